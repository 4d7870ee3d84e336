//! Who a record is: its UUID, whatever GBIF and iNaturalist say later, and whatever stands in the synthèse.

use std::collections::BTreeSet;

use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::platform::{INATURALIST, Platform, Record, record};

const UUID: &str = "dddddddd-0000-4000-8000-000000000000";

fn identified(gbif_id: i64, uuid: &str) -> Record {
    record(gbif_id).with("producer_uuid", json!(uuid))
}

fn observation(gbif_id: i64, number: i64) -> Record {
    record(gbif_id).with("dataset_key", json!(INATURALIST)).with("inaturalist_id", json!(number))
}

async fn row_of_another_source(platform: &Platform, uuid: &str) {
    platform
        .execute(&format!(
            "INSERT INTO gn_synthese.synthese (id_source, unique_id_sinp, entity_source_pk_value, id_dataset, cd_nom, nom_cite,
                                               date_min, date_max, observers, determiner, id_nomenclature_sex)
             SELECT s.id_source, '{uuid}', 'import-1', d.id_dataset, 700001, 'mésange', '2020-01-01', '2020-01-01', 'Zoé', 'Zoé',
                    ref_nomenclatures.get_id_nomenclature('SEXE', '2')
             FROM gn_synthese.t_sources s, gn_meta.t_datasets d
             WHERE s.name_source = 'Import' AND d.unique_dataset_id = '{INATURALIST}'"
        ))
        .await;
}

#[tokio::test]
async fn the_three_forms_of_a_producers_uuid_are_one() {
    let platform = Platform::new().await;
    for (text, expected) in [
        ("DDDDDDDD-0000-4000-8000-000000000000", Some(UUID)),
        ("urn:uuid:dddddddd-0000-4000-8000-000000000000", Some(UUID)),
        ("URN:UUID:dddddddd-0000-4000-8000-000000000000", Some(UUID)),
        ("https://openobs.mnhn.fr/occurrences/dddddddd-0000-4000-8000-000000000000", Some(UUID)),
        ("http://naturefrance.fr/dddddddd-0000-4000-8000-000000000000", Some(UUID)),
        ("https://notmnhn.fr/dddddddd-0000-4000-8000-000000000000", None),
        ("https://inpn.mnhn.fr/dddddddd-0000-4000-8000-000000000000?x=1", None),
        ("https://inpn.mnhn.fr/", None),
        ("https://example.org/dddddddd-0000-4000-8000-000000000000", None),
        ("dddddddd-0000-4000-8000-000000000000 ", None),
        ("{dddddddd-0000-4000-8000-000000000000}", None),
        ("dddddddd000040008000000000000000", None),
        ("00000000-0000-0000-0000-000000000000", None),
        ("", None),
    ] {
        let found: Option<String> = sqlx::query_scalar("SELECT passereau.producer_uuid($1)::text")
            .bind(text)
            .fetch_one(&platform.pool)
            .await
            .unwrap();
        assert_eq!(found.as_deref(), expected, "{text}");
    }
}

#[tokio::test]
async fn an_observation_that_inaturalist_does_not_know_waits_until_it_was_absent_twice() {
    let platform = Platform::new().await;
    platform
        .execute(
            "INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, asked_at, absent_since) VALUES
                 (11, now(), now() - interval '6 days'), (12, now(), now() - interval '7 days')",
        )
        .await;
    let records = [observation(1, 10), observation(2, 11), observation(3, 12), record(4)];
    let harvest = platform.land("one", &records).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.rejected), (2, 2), "the rest goes on");
    assert_eq!(platform.rejects().await, [(1, "uuid_pending".to_owned()), (2, "uuid_pending".to_owned())]);

    let platform = Platform::new().await;
    platform.decide("one", json!({"uuid_absent": "reject"})).await;
    platform
        .execute(
            "INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, asked_at, absent_since)
             VALUES (12, now(), now() - interval '7 days')",
        )
        .await;
    let harvest = platform.land("one", &records).await;
    platform.run(harvest).await;
    let rejects = platform.rejects().await;
    assert_eq!(rejects[2], (3, "uuid_absent".to_owned()), "{rejects:?}");
}

#[tokio::test]
async fn a_record_that_gbif_has_numbered_anew_keeps_its_row() {
    let platform = Platform::new().await;
    let first = platform.land("one", &[identified(1, UUID), record(2)]).await;
    platform.run(first).await;
    let row = "SELECT id_synthese::bigint FROM gn_synthese.synthese WHERE unique_id_sinp = 'dddddddd-0000-4000-8000-000000000000'";
    let before = platform.count(row).await;
    let areas = platform.areas().await.into_iter().map(|(_, areas)| areas).collect::<BTreeSet<_>>();

    let second = platform.land("one", &[identified(10, UUID), record(2)]).await;
    let counts = platform.run(second).await;
    assert_eq!((counts.updated, counts.unchanged, counts.inserted, counts.rejected), (1, 1, 0, 0));
    assert_eq!(platform.count(row).await, before);
    let key = format!("SELECT entity_source_pk_value::bigint FROM gn_synthese.synthese WHERE id_synthese = {before}");
    assert_eq!(platform.count(&key).await, 10);
    let areas_now = platform.areas().await.into_iter().map(|(_, areas)| areas).collect::<BTreeSet<_>>();
    assert_eq!(areas_now, areas, "no costly trigger fires for a number");

    let third = platform.land("one", &[identified(10, UUID), record(2)]).await;
    assert_eq!(platform.run(third).await.unchanged, 2);
}

#[tokio::test]
async fn one_uuid_twice_enters_once_whoever_has_it() {
    let platform = Platform::new().await;
    let first = platform.land("one", &[identified(5, UUID), identified(6, UUID)]).await;
    let counts = platform.run_in_chunks(first, 1).await;
    assert_eq!((counts.inserted, counts.rejected), (1, 1));
    assert_eq!(platform.rejects().await, [(6, "uuid_duplicate".to_owned())]);
    // The other subscription still publishes record 5: record 7 is a second one, not the same under a new number.
    let second = platform.land("two", &[identified(7, UUID)]).await;
    assert_eq!(platform.run(second).await.rejected, 1);
    assert!(platform.rejects().await.contains(&(7, "uuid_duplicate".to_owned())));
}

#[tokio::test]
async fn a_uuid_of_another_source_is_left_alone_unless_the_subscription_updates_it() {
    let platform = Platform::new().await;
    row_of_another_source(&platform, UUID).await;
    let content = "SELECT count(*) FROM gn_synthese.synthese WHERE nom_cite = 'mésange' AND observers = 'Zoé'";
    let harvest = platform.land("one", &[identified(1, UUID)]).await;
    assert_eq!(platform.run(harvest).await.rejected, 1);
    assert_eq!(platform.count(content).await, 1);
    let detail: String =
        sqlx::query_scalar("SELECT detail FROM pinv_gbif.reject").fetch_one(&platform.pool).await.unwrap();
    assert!(detail.contains("source Import"), "{detail}");

    platform.decide("one", json!({"already_present": "update"})).await;
    let harvest = platform.land("one", &[identified(1, UUID).with("identified_by", Value::Null)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.updated, counts.inserted, counts.rejected), (1, 0, 0));
    let row: (String, String, String, String, String, String) = sqlx::query_as(
        "SELECT t.name_source, s.entity_source_pk_value, s.observers, s.determiner, s.nom_cite,
                ref_nomenclatures.get_cd_nomenclature(s.id_nomenclature_sex)
         FROM gn_synthese.synthese s JOIN gn_synthese.t_sources t USING (id_source)",
    )
    .fetch_one(&platform.pool)
    .await
    .unwrap();
    let row = [row.0, row.1, row.2, row.3, row.4, row.5];
    // Source, key and what GBIF does not say stay; what it says is the record's.
    assert_eq!(row, ["Import", "import-1", "A. Nonyme", "Zoé", "Parus major", "2"]);

    let again = platform.land("one", &[identified(1, UUID).with("identified_by", Value::Null)]).await;
    assert_eq!(platform.run(again).await.unchanged, 1);
    let changed = platform.land("one", &[identified(1, UUID).with("occurrence_remarks", json!("vue"))]).await;
    assert_eq!(platform.run(changed).await.updated, 1, "it is followed from then on");
}

/// Any mixture of identities, over several harvests: no error, the sums hold, no UUID stands twice, and the same generation
/// again writes nothing.
#[tokio::test]
async fn whatever_the_identities_the_sums_hold_and_the_second_time_writes_nothing() {
    let platform = Platform::new().await;
    row_of_another_source(&platform, "e0000000-0000-4000-8000-000000000001").await;
    platform
        .execute(
            "INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid, asked_at, absent_since) VALUES
                 (1, 'e0000000-0000-4000-8000-000000000002', now(), NULL), (2, NULL, now(), now()),
                 (3, NULL, now(), now() - interval '30 days')",
        )
        .await;
    let identity = prop_oneof![
        Just(json!({})),
        (1..6_u8).prop_map(|n| json!({"producer_uuid": format!("e0000000-0000-4000-8000-00000000000{n}")})),
        (1..5_i64).prop_map(|n| json!({"dataset_key": INATURALIST, "inaturalist_id": n})),
    ];
    let generation = proptest::collection::btree_map(1..30_i64, identity, 1..15);
    let mut runner = TestRunner::deterministic();
    for round in 0..12 {
        let records: Vec<Record> = generation
            .new_tree(&mut runner)
            .unwrap()
            .current()
            .into_iter()
            .map(|(id, columns)| {
                let columns = columns.as_object().unwrap().clone();
                columns.into_iter().fold(record(id), |record, (column, value)| record.with(&column, value))
            })
            .collect();
        platform.decide("one", json!({"already_present": if round % 2 == 0 { "reject" } else { "update" }})).await;
        for again in [false, true] {
            let harvest = platform.land("one", &records).await;
            let before = platform.fingerprint().await;
            let counts = platform.run_in_chunks(harvest, 4).await;
            let sum = counts.inserted + counts.updated + counts.unchanged + counts.rejected + counts.kept;
            assert_eq!(counts.landed, sum, "{counts:?}");
            if again {
                assert_eq!((counts.inserted, counts.updated), (0, 0), "round {round}: {counts:?}");
                assert_eq!(platform.fingerprint().await, before);
            }
        }
        let twice = "SELECT count(*) FROM (SELECT FROM passereau.written GROUP BY id_synthese HAVING count(*) > 1) t";
        assert_eq!(platform.count(twice).await, 0, "round {round}: one row, one record");
    }
}

#[tokio::test]
async fn two_records_that_exchange_their_uuids_are_left_alone() {
    let platform = Platform::new().await;
    let other = "dddddddd-0000-4000-8000-000000000002";
    let said = |id, uuid: &str, remark: &str| identified(id, uuid).with("occurrence_remarks", json!(remark));
    let harvest = platform.land("one", &[said(1, UUID, "of the first"), said(2, other, "of the second")]).await;
    platform.run(harvest).await;
    let harvest = platform.land("one", &[said(1, other, "of the second"), said(2, UUID, "of the first")]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.updated, counts.rejected), (0, 2));
    assert_eq!(platform.rejects().await, [(1, "uuid_changed".to_owned()), (2, "uuid_changed".to_owned())]);
    let right = format!(
        "SELECT count(*) FROM gn_synthese.synthese WHERE (unique_id_sinp, comment_description) IN (('{UUID}', 'of the first'), ('{other}', 'of the second'))"
    );
    assert_eq!(platform.count(&right).await, 2, "no content stands under the UUID of another");
}

#[tokio::test]
async fn an_older_generation_does_not_keep_a_record_from_its_new_number() {
    let platform = Platform::new().await;
    let at = |id, when: &str| identified(id, UUID).with_unhashed("last_interpreted", json!(when));
    let once = platform.land("once", &[at(1, "2026-01-01T00:00:00Z")]).await;
    platform.run(once).await;
    let weekly = platform.land("weekly", &[at(2, "2026-02-01T00:00:00Z")]).await;
    assert_eq!(platform.run(weekly).await.updated, 1);
}

#[tokio::test]
async fn a_row_of_another_source_is_never_made_worse() {
    let platform = Platform::new().await;
    row_of_another_source(&platform, UUID).await;
    platform
        .execute(
            "UPDATE gn_synthese.synthese SET the_geom_4326 = p, the_geom_point = p, the_geom_local = ST_Transform(p, 2154), \"precision\" = 5,
                    date_min = '2021-05-01 08:30', date_max = '2021-05-01 08:30'
             FROM (SELECT ST_SetSRID(ST_MakePoint(5.72, 45.18), 4326) AS p) place",
        )
        .await;
    platform.decide("one", json!({"already_present": "update", "obscured": "cell"})).await;
    let hidden = identified(1, UUID)
        .with("dataset_key", json!(INATURALIST))
        .with("information_withheld", json!("Coordinate uncertainty increased to 26691m"))
        .with("coordinate_uncertainty_in_meters", json!(26_691.0));
    let harvest = platform.land("one", std::slice::from_ref(&hidden)).await;
    assert_eq!(platform.run(harvest).await.updated, 1);
    let kept =
        "SELECT count(*) FROM gn_synthese.synthese WHERE GeometryType(the_geom_4326) = 'POINT' AND \"precision\" = 5
                AND date_min = '2021-05-01 08:30' AND nom_cite = 'Parus major'";
    assert_eq!(platform.count(kept).await, 1);

    platform.decide("one", json!({"already_present": "reject"})).await;
    let harvest = platform.land("one", &[hidden.with("occurrence_remarks", json!("not any more"))]).await;
    assert_eq!(platform.run(harvest).await.rejected, 1, "the subscription has changed its mind");
    assert_eq!(
        platform.count("SELECT count(*) FROM gn_synthese.synthese WHERE comment_description IS NOT NULL").await,
        0
    );
}
