//! What a request to be forgotten reaches, and what it meets: harvests at work, people who edit, what others brought.

use std::time::Duration;

use passereau_dwca::Limits;
use passereau_erasure::erase;
use passereau_testing::wait_until;
use serde_json::{Value, json};

use crate::{
    platform::{INATURALIST, Record, record},
    privacy::{CC_BY, NAME, Privacy, all, of_inaturalist, owned, photo, seen_by},
};

/// How long the other side may take to get where it waits.
const WAIT: Duration = Duration::from_secs(60);

/// Until somebody waits for a lock of this kind in this database.
async fn waits(privacy: &Privacy, lock: &str) {
    let waiting = format!(
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE NOT l.granted AND a.datname = current_database() AND {lock}"
    );
    wait_until("the erasure waits", WAIT, async || (privacy.platform.count(&waiting).await > 0).then_some(())).await;
}

#[tokio::test]
async fn holders_of_rights_in_what_is_compared_and_authors_of_deleted_media_go_as_well() {
    let privacy = Privacy::new().await;
    let whole = async |records: &[Record], media: &[Value]| {
        privacy.platform.decide("one", json!({ "vanished": "delete", "media": true })).await;
        let harvest = privacy.platform.land_whole("one", "x", records).await;
        privacy.add_media(harvest, media).await;
        harvest
    };
    let other = |holder| seen_by(1, "A. Nonyme", "B. Nonyme", holder);
    let gone = seen_by(2, "A. Nonyme", "B. Nonyme", "Muséum");
    let mut photos = [photo(2, CC_BY, NAME), photo(2, CC_BY, "Paul Martin")];
    photos[1]["identifier"] = json!("https://photos.example.org/other.jpg");
    let first = whole(&[other(NAME), gone], &photos).await;
    privacy.platform.run(first).await;
    // Of a validated row GBIF changes the holder; the other record vanishes with its row and media; a plan waits for approval.
    privacy
        .platform
        .execute("UPDATE gn_synthese.synthese SET validator = 'V. Alide' WHERE entity_source_pk_value = '1'")
        .await;
    let second = whole(&[other("Paul \"Paulo\" Martin")], &[]).await;
    privacy.platform.run(second).await;
    let third = whole(&[other(NAME)], &[]).await;
    privacy.platform.plan(third).await;
    privacy.platform.execute("UPDATE passereau.harvest SET state = 'awaiting_approval' WHERE state = 'planning'").await;
    let holding = privacy.tables_with("M_ller-Dupont").await;
    for table in ["passereau.deleted", "passereau.plan", "pinv_gbif.edited_locally"] {
        assert!(holding.iter().any(|held| held == table), "{table} in {holding:?}");
    }

    privacy.erase(&[NAME]).await;
    assert_eq!(privacy.tables_with("M_ller-Dupont").await, Vec::<String>::new());
    let others = "SELECT count(*) FROM passereau.deleted WHERE media::text LIKE '%Paul Martin%' AND jsonb_array_length(media) = 2";
    assert_eq!(privacy.platform.count(others).await, 1, "the media of others stay as they were");
    let compared = "SELECT count(*) FROM pinv_gbif.edited_locally e
                    WHERE (e.content #>> '{additional_data,here}')::jsonb ? 'rightsHolder'
                      AND (e.content #>> '{additional_data,gbif}')::jsonb ->> 'rightsHolder' = 'Paul \"Paulo\" Martin'";
    assert_eq!(privacy.platform.count(compared).await, 1, "what is kept can still be read");
}

#[tokio::test]
async fn an_erasure_is_not_complete_while_a_harvest_may_write_the_name() {
    let privacy = Privacy::new().await;
    privacy.harvest("one", json!({}), &all(), &[]).await;
    let harvest = privacy.platform.land("two", &[seen_by(50, NAME, NAME, NAME)]).await;
    privacy.platform.execute("UPDATE passereau.harvest SET state = 'enriching' WHERE state = 'planning'").await;
    let names = owned(&[NAME]);
    let again = async || erase(&privacy.platform.pool, &privacy.store, &Limits::default(), &names, None).await.unwrap();
    let done = again().await;
    assert_eq!(done.at_work, [harvest]);
    assert!(!done.is_complete());
    let open = "SELECT count(*) FROM passereau.erasure WHERE erased_at IS NULL";
    assert_eq!(privacy.platform.count(open).await, 1);
    privacy.platform.run(harvest).await;
    assert!(again().await.is_complete());
    assert_eq!(privacy.platform.count(open).await, 0);
}

#[tokio::test]
async fn an_erasure_waits_for_a_harvest_by_hand_that_nobody_sees_yet() {
    let privacy = Privacy::new().await;
    privacy
        .platform
        .execute(&format!(
            "INSERT INTO pinv_gbif.tmp_gbif_data (gbif_id, recorded_by, event_date, decimal_latitude, decimal_longitude,
                                                  scientific_name, dataset_key, taxonkey, basis_of_record, occurrence_status)
             VALUES (1, '{NAME}', '2021-05-01', 45.18, 5.72, 'Parus major Linnaeus, 1758', '{}', 9705453, 'HUMAN_OBSERVATION', 'PRESENT');
             SELECT pinv_gbif.upsert_gbif_data();
             DELETE FROM gn_synthese.synthese; DELETE FROM passereau.written",
            crate::platform::DATASET
        ))
        .await;
    // The same generation once more, and not committed yet: the row holds the name, and nobody else sees it.
    let mut by_hand = privacy.platform.pool.begin().await.unwrap();
    sqlx::query("SELECT pinv_gbif.upsert_gbif_data()").execute(&mut *by_hand).await.unwrap();
    let committed = async {
        waits(&privacy, "relation = 'passereau.erasure'::regclass").await;
        by_hand.commit().await.unwrap();
    };
    let (_, ()) = tokio::join!(privacy.erase(&[NAME]), committed);
    assert_eq!(privacy.people().await, [("1".into(), None, None, None)]);
}

#[tokio::test]
async fn an_edit_that_a_person_commits_during_an_erasure_stays_theirs() {
    let privacy = Privacy::new().await;
    privacy.harvest("one", json!({}), &[seen_by(1, NAME, "B. Nonyme", "Muséum")], &[]).await;
    let mut person = privacy.platform.pool.begin().await.unwrap();
    sqlx::query("UPDATE gn_synthese.synthese SET comment_description = 'seen by a person'")
        .execute(&mut *person)
        .await
        .unwrap();
    let committed = async {
        waits(&privacy, "locktype = 'transactionid'").await;
        person.commit().await.unwrap();
    };
    let (_, ()) = tokio::join!(privacy.erase(&[NAME]), committed);
    let harvest = privacy
        .harvest("one", json!({}), &[seen_by(1, NAME, "B. Nonyme", "Muséum").with("individual_count", 9.into())], &[])
        .await;
    assert_eq!(harvest.updated, 1);
    assert_eq!(privacy.platform.value(1, "comment_description").await.as_deref(), Some("seen by a person"));
}

#[tokio::test]
async fn what_others_attached_or_brought_is_told_and_not_touched() {
    let privacy = Privacy::new().await;
    passereau_testing::seed_dataset(&privacy.platform.pool, INATURALIST.parse().unwrap(), "iNaturalist").await.unwrap();
    // A row of another source, which is an observation of iNaturalist by its proof; and a media that a person attached to ours.
    privacy
        .platform
        .execute(&format!(
            "INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, id_dataset, unique_id_sinp, nom_cite, date_min, date_max, observers, digital_proof)
             SELECT s.id_source, '7', d.id_dataset, gen_random_uuid(), 'cité', now(), now(), '{NAME}', 'https://www.inaturalist.org/observations/1'
             FROM gn_synthese.t_sources s, gn_meta.t_datasets d WHERE s.name_source = 'Import' AND d.unique_dataset_id = '{INATURALIST}';
             INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid, asked_at) VALUES (1, gen_random_uuid(), now())"
        ))
        .await;
    let counts = privacy.harvest("one", json!({}), &[of_inaturalist(1, "A. Nonyme"), record(2)], &[]).await;
    assert_eq!((counts.inserted, counts.rejected), (1, 1), "{counts:?}");
    privacy
        .platform
        .execute(&format!(
            "INSERT INTO gn_commons.t_medias (id_nomenclature_media_type, id_table_location, uuid_attached_row, title_fr, author, media_url)
             SELECT ref_nomenclatures.get_id_nomenclature('TYPE_MEDIA', '2'), (SELECT max(id_table_location) FROM gn_commons.bib_tables_location),
                    s.unique_id_sinp, 'x', '{NAME}', 'https://example.org/x.jpg'
             FROM gn_synthese.synthese s WHERE entity_source_pk_value = '2';
             CREATE TABLE pinv_gbif.adopted_gbif_data (recorded_by text); INSERT INTO pinv_gbif.adopted_gbif_data VALUES ('{NAME}')"
        ))
        .await;
    let planned = privacy.plan(&[NAME]).await.unwrap();
    let told: Vec<_> = planned.values.iter().map(|value| (value.of_table.as_str(), value.ours)).collect();
    let expected =
        ["gn_synthese.synthese", "gn_commons.t_medias", "pinv_gbif.adopted_gbif_data"].map(|table| (table, false));
    assert_eq!(told, expected);
    privacy.erase(&[NAME]).await;
    let left = format!(
        "SELECT (SELECT count(*) FROM gn_synthese.synthese WHERE observers = '{NAME}') + (SELECT count(*) FROM gn_commons.t_medias WHERE author = '{NAME}')"
    );
    assert_eq!(privacy.platform.count(&left).await, 2);
}
