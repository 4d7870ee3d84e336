//! The SQL functions against a GeoNature-shaped database with its triggers on.

use crate::platform::{INATURALIST, OTHER_DATASET, Platform, code, record};
use passereau_upserter::functions;
use serde_json::json;
use sqlx::types::Uuid;

#[tokio::test]
async fn a_new_record_enters_with_its_columns_and_the_defaults_of_the_instance() {
    let platform = Platform::new().await;
    let long = "🐦".repeat(1200);
    let harvest = platform
        .land(
            "one",
            &[
                record(5_006_733_106),
                record(2).with("recorded_by", json!(long)).with("verbatim_locality", json!("é".repeat(600))),
                record(3).with("individual_count", json!(null)).with("coordinate_uncertainty_in_meters", json!(1e12)),
            ],
        )
        .await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.landed, counts.inserted, counts.rejected), (3, 3, 0));

    let row: (String, i32, i32, i32, String, String, String, String, serde_json::Value) = sqlx::query_as(
        r#"SELECT unique_id_sinp::text, cd_nom, count_max, "precision", nom_cite, meta_v_taxref, last_action::text,
                  ST_AsText(ST_SnapToGrid(the_geom_local, 1)), additional_data
           FROM gn_synthese.synthese WHERE entity_source_pk_value = '5006733106'"#,
    )
    .fetch_one(&platform.pool)
    .await
    .unwrap();
    assert_eq!(row.0, "322eb804-7805-5a51-a2fa-e41e54fb8344");
    assert_eq!((row.1, row.2, row.3), (700_001, 4, 13));
    assert_eq!((row.4.as_str(), row.5.as_str(), row.6.as_str()), ("Parus major", "Taxref V18.0", "I"));
    assert_eq!(row.7, "POINT(913603 6457090)");
    assert_eq!(row.8["license"], "CC_BY_4_0");
    assert!(row.8.get("lastInterpreted").is_none());

    let visible: i64 = platform.count("SELECT count(*) FROM gn_synthese.v_synthese_for_web_app WHERE id_nomenclature_sensitivity IS NOT NULL AND id_nomenclature_observation_status IS NOT NULL").await;
    assert_eq!(visible, 3);
    assert_eq!(
        platform
            .count(
                "SELECT octet_length(observers)::bigint FROM gn_synthese.synthese WHERE entity_source_pk_value = '2'"
            )
            .await,
        2600
    );
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.synthese WHERE entity_source_pk_value = '3' AND count_min IS NULL AND \"precision\" IS NULL").await, 1);
}

#[tokio::test]
async fn the_same_records_again_write_nothing() {
    let platform = Platform::new().await;
    let records: Vec<_> = (1..=50).map(record).collect();
    let first = platform.land("one", &records).await;
    platform.run(first).await;
    let before = platform.fingerprint().await;

    let again: Vec<_> =
        records.into_iter().map(|r| r.with_unhashed("last_interpreted", json!("2026-11-01T00:00:00Z"))).collect();
    let second = platform.land("one", &again).await;
    let counts = platform.run(second).await;
    assert_eq!((counts.unchanged, counts.inserted, counts.updated, counts.vanished), (50, 0, 0, 0));
    assert_eq!(platform.fingerprint().await, before);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.generation WHERE state = 'current'").await, 1);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 50);
}

#[tokio::test]
async fn only_the_columns_that_changed_are_named() {
    let platform = Platform::new().await;
    let first = platform.land("one", &(1..=5).map(record).collect::<Vec<_>>()).await;
    platform.run(first).await;
    // A person validated a row: its columns are nobody else's business.
    platform.execute("UPDATE gn_synthese.synthese SET validation_comment = 'seen', id_nomenclature_valid_status = ref_nomenclatures.get_id_nomenclature('STATUT_VALID', '1') WHERE entity_source_pk_value = '3'").await;
    let areas = platform.areas().await;

    let second = platform
        .land(
            "one",
            &[
                record(1),
                record(2).with("decimal_latitude", json!(45.9)),
                record(3).with("occurrence_remarks", json!("other")),
                record(4).with("date_start", json!("2021-05-02T00:00:00")),
                // Landed, but nothing that we write.
                record(5).with("species_key", json!("12")),
            ],
        )
        .await;
    let counts = platform.run(second).await;
    assert_eq!((counts.unchanged, counts.updated, counts.inserted), (2, 3, 0));

    let after = platform.areas().await;
    let changed: Vec<_> = areas.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.0.as_str()).collect();
    assert_eq!(changed, ["2"], "the area trigger fires for the moved record only");
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.synthese WHERE entity_source_pk_value = '3' AND comment_description = 'other' AND validation_comment = 'seen' AND last_action = 'U'").await, 1);
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.synthese WHERE entity_source_pk_value = '4' AND date_min = '2021-05-02' AND date_max = '2021-05-02'").await, 1);

    // The record of which nothing was written costs nothing the next time either.
    let third = platform.land("one", &[record(5).with("species_key", json!("12"))]).await;
    let counts = platform.run(third).await;
    assert_eq!((counts.unchanged, counts.vanished), (1, 4));
}

#[tokio::test]
async fn each_reason_to_reject_has_its_record() {
    let platform = Platform::new().await;
    platform.execute("INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, asked_at) VALUES (11, now())").await;
    let records = [
        record(1)
            .with("dataset_key", json!("99999999-0000-4000-8000-000000000000"))
            .with("occurrence_status", json!("ABSENT")),
        record(2).with("occurrence_status", json!("absent")),
        record(3).with("date_start", json!(null)).with("event_date", json!(null)),
        record(4).with("date_start", json!(null)).with("event_date", json!("the other day")),
        record(5).with("decimal_latitude", json!(null)),
        record(6).with("decimal_latitude", json!(91.0)),
        record(7).with("decimal_latitude", json!(-90.0)),
        record(8).with("taxon_key", json!("1")),
        record(9).with("dataset_key", json!(INATURALIST)).with("inaturalist_id", json!(10)),
        record(10).with("dataset_key", json!(INATURALIST)).with("inaturalist_id", json!(11)),
        record(11).with("producer_uuid", json!("11111111-0000-4000-8000-000000000000")),
        record(12).with("producer_uuid", json!("11111111-0000-4000-8000-000000000000")),
        record(13).with("date_end", json!("1999-01-01T00:00:00")),
        // The pole that Lambert-93 can hold is no invalid place, only a far one.
        record(14).with("decimal_latitude", json!(90.0)),
    ];
    let harvest = platform.land("one", &records).await;
    let counts = platform.run_in_chunks(harvest, 3).await;
    assert_eq!((counts.landed, counts.inserted, counts.rejected), (14, 1, 13));
    let rejects: Vec<(i64, String, Option<String>)> =
        sqlx::query_as("SELECT gbif_id, reason, detail FROM pinv_gbif.reject ORDER BY gbif_id")
            .fetch_all(&platform.pool)
            .await
            .unwrap();
    let reasons: Vec<_> = rejects.iter().map(|(id, reason, _)| (*id, reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (1, "dataset_unknown"),
            (2, "occurrence_absent"),
            (3, "date_missing"),
            (4, "date_unreadable"),
            (5, "coordinates_missing"),
            (6, "coordinates_invalid"),
            (7, "coordinates_invalid"),
            (8, "taxon_unmatched"),
            (9, "uuid_pending"),
            (10, "uuid_pending"),
            (12, "uuid_duplicate"),
            (13, "date_unreadable"),
            (14, "outside_territory"),
        ]
    );
    assert_eq!(rejects[3].2.as_deref(), Some("the other day"));

    // What enters the next time, or is gone, is a reject no more; first_seen stays for what remains.
    platform.execute("UPDATE pinv_gbif.cor_uuid_inaturalist SET absent_since = now() - interval '8 days', asked_at = now() WHERE id_inaturalist = 11").await;
    platform.execute("UPDATE pinv_gbif.reject SET first_seen_at = '2020-01-01'").await;
    let next = platform
        .land(
            "one",
            &[
                record(6).with("decimal_latitude", json!(45.0)),
                record(8).with("taxon_key", json!("1")),
                record(10).with("dataset_key", json!(INATURALIST)).with("inaturalist_id", json!(11)),
            ],
        )
        .await;
    let counts = platform.run(next).await;
    assert_eq!((counts.inserted, counts.rejected, counts.vanished), (2, 1, 11));
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.reject").await, 1);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.reject WHERE gbif_id = 8 AND first_seen_at = '2020-01-01' AND last_seen_at > '2026-01-01'").await, 1);
}

#[tokio::test]
async fn an_observation_keeps_the_uuid_it_entered_with() {
    let platform = Platform::new().await;
    platform.execute("INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid) VALUES (10, 'aaaaaaaa-0000-4000-8000-000000000000')").await;
    platform
        .execute(
            "INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, absent_since, asked_at)
                  VALUES (11, now() - interval '8 days', now())",
        )
        .await;
    let observation =
        |id: i64, number: i64| record(id).with("dataset_key", json!(INATURALIST)).with("inaturalist_id", json!(number));
    let producer = "bbbbbbbb-0000-4000-8000-000000000000";
    let harvest = platform
        .land(
            "one",
            &[
                observation(1, 10),
                observation(2, 11),
                observation(3, 10),
                record(4).with("producer_uuid", json!(producer)),
            ],
        )
        .await;
    let counts = platform.run_in_chunks(harvest, 1).await;
    assert_eq!((counts.inserted, counts.rejected), (3, 1), "3 is the same observation as 1");
    let of_url = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://www.gbif.org/occurrence/2").to_string();
    let uuids = platform.uuids().await;
    assert_eq!(uuids, ["aaaaaaaa-0000-4000-8000-000000000000", of_url.as_str(), producer]);

    // iNaturalist answers after all, the producer forgets its UUID, and a new record claims one that is written.
    platform.execute("UPDATE pinv_gbif.cor_uuid_inaturalist SET uuid = 'cccccccc-0000-4000-8000-000000000000'").await;
    let next = platform
        .land(
            "one",
            &[observation(1, 10), observation(2, 11), record(4), record(5).with("producer_uuid", json!(producer))],
        )
        .await;
    let counts = platform.run(next).await;
    assert_eq!((counts.unchanged, counts.updated, counts.rejected), (3, 0, 1));
    assert_eq!(platform.uuids().await, uuids);
    assert_eq!(
        platform.count("SELECT count(*) FROM pinv_gbif.reject WHERE gbif_id = 5 AND reason = 'uuid_duplicate'").await,
        1
    );
}

#[tokio::test]
async fn what_stands_in_the_synthese_already_is_a_reject_and_never_a_crash() {
    let platform = Platform::new().await;
    platform
        .execute(
            "INSERT INTO gn_synthese.synthese (id_source, unique_id_sinp, nom_cite, date_min, date_max)
             SELECT id_source, 'dddddddd-0000-4000-8000-000000000000', 'x', now(), now() FROM gn_synthese.t_sources WHERE name_source = 'Import';
             INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, nom_cite, date_min, date_max)
             SELECT id_source, '2', 'x', now(), now() FROM gn_synthese.t_sources WHERE name_source = 'GBIF'",
        )
        .await;
    let harvest = platform
        .land(
            "one",
            &[record(1).with("producer_uuid", json!("dddddddd-0000-4000-8000-000000000000")), record(2), record(3)],
        )
        .await;
    let counts = platform.run(harvest).await;
    // A row with our source and key was written by hand: it is adopted (adoption.rs).
    assert_eq!((counts.inserted, counts.updated, counts.rejected), (1, 1, 1));
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.reject WHERE reason = 'already_present'").await, 1);
}

#[tokio::test]
async fn what_changed_since_the_plan_is_respected() {
    let platform = Platform::new().await;
    let first = platform.land("one", &[record(1), record(2), record(3)]).await;
    platform.run(first).await;
    let second = platform
        .land(
            "one",
            &[
                record(1).with("occurrence_remarks", json!("a")),
                record(2).with("occurrence_remarks", json!("b")),
                record(3),
                record(4),
                record(5).with("dataset_key", json!(OTHER_DATASET)),
            ],
        )
        .await;
    assert_eq!(functions::plan(&platform.pool, second, 100).await.unwrap().planned, 4);
    platform.execute("DELETE FROM gn_synthese.synthese WHERE entity_source_pk_value = '1'").await;
    platform.execute(&format!("DELETE FROM gn_meta.t_datasets WHERE unique_dataset_id = '{}'", OTHER_DATASET)).await;
    let third = platform.land("two", &[record(4)]).await;
    platform.run(third).await;

    let counts = platform.run(second).await;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.rejected, counts.kept), (0, 1, 1, 1, 2));
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.synthese").await, 3);
}

#[tokio::test]
async fn the_newer_of_two_claims_wins() {
    let platform = Platform::new().await;
    let at = |when: &str, remark: &str| {
        record(1).with("last_interpreted", json!(when)).with("occurrence_remarks", json!(remark))
    };
    let newer = platform.land("one", &[at("2026-06-02T00:00:00Z", "newer")]).await;
    platform.run(newer).await;
    let older = platform.land("two", &[at("2026-06-01T00:00:00Z", "older"), record(2)]).await;
    let counts = platform.run(older).await;
    assert_eq!((counts.kept, counts.inserted, counts.updated), (1, 1, 0));
    let newest = platform.land("two", &[at("2026-06-03T00:00:00Z", "newest"), record(2)]).await;
    let counts = platform.run(newest).await;
    assert_eq!((counts.kept, counts.updated, counts.unchanged), (0, 1, 1));
    assert_eq!(
        platform.count("SELECT count(*) FROM gn_synthese.synthese WHERE comment_description = 'newest'").await,
        1
    );
}

#[tokio::test]
async fn interrupted_and_repeated_calls_neither_lose_nor_double() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &(1..=7).map(record).collect::<Vec<_>>()).await;
    assert!(!functions::plan(&platform.pool, harvest, 3).await.unwrap().done);
    let mut killed = platform.pool.begin().await.unwrap();
    assert_eq!(functions::plan(&mut *killed, harvest, 3).await.unwrap().read, 3);
    killed.rollback().await.unwrap();
    let error = functions::finish(&platform.pool, harvest).await.unwrap_err();
    assert_eq!(code(&error), "PS002");
    while !functions::plan(&platform.pool, harvest, 3).await.unwrap().done {}
    assert_eq!(functions::plan(&platform.pool, harvest, 3).await.unwrap().slices, Some(1));
    assert_eq!(platform.count("SELECT count(*) FROM passereau.plan").await, 7);

    let first = functions::apply(&platform.pool, harvest, 0).await.unwrap();
    let before = platform.fingerprint().await;
    let second = functions::apply(&platform.pool, harvest, 0).await.unwrap();
    assert_eq!((first.already, first.inserted, first.slices_left), (false, 7, 0));
    assert_eq!((second.already, second.inserted, second.slices_left), (true, 7, 0));
    assert_eq!(platform.fingerprint().await, before);

    platform.execute("UPDATE passereau.harvest SET inserted = inserted + 1").await;
    let error = functions::finish(&platform.pool, harvest).await.unwrap_err();
    assert_eq!(code(&error), "PS003");
    assert!(error.to_string().contains("inserted 8"), "{error}");
    platform.execute("UPDATE passereau.harvest SET inserted = inserted - 1").await;
    functions::finish(&platform.pool, harvest).await.unwrap();
    functions::finish(&platform.pool, harvest).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_ready_names_the_command() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1)]).await;
    platform.execute("DROP INDEX gn_synthese.of_gbif").await;
    let error = functions::plan(&platform.pool, harvest, 10).await.unwrap_err();
    assert_eq!(code(&error), "PS001");
    assert!(error.to_string().contains("passereau install"), "{error}");

    // An equivalent index under another name is one.
    platform
        .execute("CREATE UNIQUE INDEX of_somebody ON gn_synthese.synthese (id_source, entity_source_pk_value)")
        .await;
    assert!(functions::plan(&platform.pool, harvest, 10).await.unwrap().done);
    platform.execute("UPDATE gn_synthese.t_sources SET name_source = 'renamed' WHERE name_source = 'GBIF'").await;
    let error = functions::apply(&platform.pool, harvest, 0).await.unwrap_err();
    assert!(error.to_string().contains("passereau install"), "{error}");
}

#[tokio::test]
async fn a_geonature_without_links_to_gbif_names_the_version_it_needs() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1)]).await;
    platform.execute("ALTER TABLE taxonomie.taxref_liens RENAME TO links_of_before").await;
    let error = functions::plan(&platform.pool, harvest, 10).await.unwrap_err();
    assert_eq!(code(&error), "PS001");
    let said = error.to_string();
    assert!(said.contains("passereau install") && said.contains("GeoNature 2.16"), "{said}");

    platform.execute("ALTER TABLE taxonomie.links_of_before RENAME TO taxref_liens").await;
    assert_eq!(platform.run(harvest).await.inserted, 1);
}

#[tokio::test]
async fn a_presence_that_has_become_an_absence_does_not_stay_a_presence() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1)]).await;
    platform.run(harvest).await;
    let absent = |id| record(id).with("occurrence_status", json!("ABSENT")).with("individual_count", json!(0));
    let harvest = platform.land("one", &[absent(1), absent(2)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.updated, counts.rejected), (1, 1));
    let row: (String, Option<i32>) = sqlx::query_as(
        "SELECT ref_nomenclatures.get_cd_nomenclature(id_nomenclature_observation_status), count_max FROM gn_synthese.synthese",
    )
    .fetch_one(&platform.pool)
    .await
    .unwrap();
    assert_eq!(row, ("No".to_owned(), None));
}

#[tokio::test]
async fn a_claim_that_rejected_a_record_does_not_keep_another_one_from_entering_it() {
    let platform = Platform::new().await;
    platform.decide("strict", json!({"max_uncertainty_m": 5})).await;
    let at = |when: &str| record(1).with_unhashed("last_interpreted", json!(when));
    let strict = platform.land("strict", &[at("2026-02-01T00:00:00Z")]).await;
    assert_eq!(platform.run(strict).await.rejected, 1);
    let open = platform.land("open", &[at("2026-01-01T00:00:00Z")]).await;
    assert_eq!(platform.run(open).await.inserted, 1);
    // Other settings, the same row: neither makes it look changed for the other.
    for subscription in ["open", "open"] {
        let again = platform.land(subscription, &[at("2026-01-01T00:00:00Z")]).await;
        assert_eq!(platform.run(again).await.unchanged, 1);
    }
}

#[tokio::test]
async fn a_row_tells_one_download_and_never_a_mixture() {
    let platform = Platform::new().await;
    let first = platform.land("one", &[record(1)]).await;
    platform
        .execute(
            "UPDATE passereau.harvest SET download_key = 'first', doi = '10.15468/dl.first', archive_sha256 = 'abc'",
        )
        .await;
    platform.run(first).await;
    let second = platform.land("one", &[record(1).with("decimal_latitude", json!(45.9))]).await;
    platform.execute(&format!("UPDATE passereau.harvest SET download_key = 'second' WHERE id = '{second}'")).await;
    platform.run(second).await;
    let row = "SELECT count(*) FROM gn_synthese.synthese WHERE additional_data ->> 'downloadKey' = 'second'
               AND NOT additional_data ?| ARRAY['downloadDoi', 'archiveSha256']";
    assert_eq!(platform.count(row).await, 1);
    let view = "SELECT count(*) FROM pinv_gbif.v_provenance WHERE download_key = 'second' AND download_doi IS NULL";
    assert_eq!(platform.count(view).await, 1);
}

#[tokio::test]
async fn a_setting_that_is_none_is_refused_where_it_is_written() {
    let platform = Platform::new().await;
    for wrong in [
        r#"{"max_uncertainty": 1000}"#,
        r#"{"max_uncertainty_m": "mille"}"#,
        r#"{"obscured": "celll"}"#,
        r#"{"accept": ["absentt"]}"#,
        r#"{"media": "oui"}"#,
        r#"[]"#,
    ] {
        let refused = sqlx::query("UPDATE passereau.subscription SET settings = $1::jsonb WHERE name = 'manual'")
            .bind(wrong)
            .execute(&platform.pool)
            .await
            .unwrap_err();
        assert_eq!(code(&refused), "PS001", "{wrong}: {refused}");
    }
    let right = serde_json::to_value(passereau_contracts::SubscriptionSettings {
        max_uncertainty_m: Some(1000.0),
        obscured: Some(passereau_contracts::Obscured::Cell),
        longest_interval_days: Some(31),
        accept: vec![passereau_contracts::Acceptable::CountZero, passereau_contracts::Acceptable::UnknownUncertainty],
        uuid_absent: Some(passereau_contracts::UuidAbsent::Reject),
        already_present: Some(passereau_contracts::AlreadyPresent::Update),
        metadata: Some(passereau_contracts::Metadata::Create),
        media: true,
        vanished: Some(passereau_contracts::Vanished::Mark),
        observers: Some(passereau_contracts::Observers::Login),
    })
    .unwrap();
    platform.decide("one", right).await;
}
