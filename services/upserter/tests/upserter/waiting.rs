//! Records that waited enter by themselves once the cause is gone, without another download.

use serde_json::json;

use crate::platform::{DATASET, INATURALIST, Platform, record};

const LATE_DATASET: &str = "99999999-0000-4000-8000-000000000000";

#[tokio::test]
async fn records_enter_once_their_dataset_is_known() {
    let platform = Platform::new().await;
    let late = record(1).with("dataset_key", json!(LATE_DATASET));
    let harvest = platform.land("one", &[late, record(2)]).await;
    platform.run(harvest).await;
    assert!(platform.look_out().await.is_empty(), "nothing has changed");

    passereau_testing::seed_dataset(&platform.pool, LATE_DATASET.parse().unwrap(), "late").await.unwrap();
    let done = platform.look_out().await;
    assert_eq!(done.len(), 1);
    let (counts, why) = &done[0];
    assert_eq!((counts.landed, counts.inserted, counts.unchanged, counts.rejected), (2, 1, 1, 0), "{why}");
    assert_eq!(counts.vanished, 0);
    assert_eq!(platform.rejects().await, []);
    assert!(platform.look_out().await.is_empty(), "once is enough");
    let told = "SELECT count(*) FROM passereau.outbox WHERE routing_key = 'harvest.started'";
    assert_eq!(platform.count(told).await, 1, "listeners hear of it");
}

#[tokio::test]
async fn records_enter_after_an_update_of_taxref() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1).with("taxon_key", json!("81"))]).await;
    let unmatched = record(1).with("taxon_key", json!("81")).with("scientific_name", json!("Aus novus L., 1758"));
    platform.run(harvest).await;
    let harvest = platform
        .land(
            "one",
            &[unmatched.with("verbatim_scientific_name", json!("Aus novus")).with("accepted_taxon_key", json!(null))],
        )
        .await;
    platform.run(harvest).await;
    assert_eq!(platform.rejects().await, [(1, "taxon_unmatched".to_owned())]);
    platform
        .execute(
            "INSERT INTO taxonomie.taxref (cd_nom, cd_ref, lb_nom, nom_complet) VALUES (800001, 800001, 'Aus novus', 'Aus novus L., 1758');
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES ('GBIF', 'x', 800001, '81');
             INSERT INTO taxonomie.t_meta_taxref (referencial_name, version, update_date) VALUES ('taxref', 19, now())",
        )
        .await;
    let done = platform.look_out().await;
    assert_eq!((done[0].0.inserted, done[0].1.as_str()), (1, "TAXREF has another version"));
    let version = "SELECT count(*) FROM gn_synthese.synthese WHERE meta_v_taxref = 'Taxref V19.0'";
    assert_eq!(platform.count(version).await, 1);
}

#[tokio::test]
async fn records_enter_once_inaturalist_has_answered() {
    let platform = Platform::new().await;
    let waiting = record(1).with("dataset_key", json!(INATURALIST)).with("inaturalist_id", json!(10));
    let harvest = platform.land("one", &[waiting]).await;
    platform.run(harvest).await;
    assert!(platform.look_out().await.is_empty());
    platform
        .execute("INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid, asked_at) VALUES (10, gen_random_uuid(), now())")
        .await;
    let done = platform.look_out().await;
    assert_eq!((done[0].0.inserted, done[0].1.as_str()), (1, "iNaturalist has answered"));
}

#[tokio::test]
async fn an_unanswered_question_is_asked_again_after_a_day() {
    let platform = Platform::new().await;
    let waiting = record(1).with("dataset_key", json!(INATURALIST)).with("inaturalist_id", json!(10));
    let harvest = platform.land("one", &[waiting]).await;
    platform.run(harvest).await;
    platform.execute("UPDATE passereau.subscription SET converted_at = now() - interval '25 hours'").await;
    let due = passereau_harvest::due_reconversions(&platform.pool).await.unwrap();
    assert_eq!(due.len(), 1);
    let mut tx = platform.pool.begin().await.unwrap();
    passereau_harvest::reconvert(&mut tx, "one", "for a test").await.unwrap().expect("a harvest");
    tx.commit().await.unwrap();
    let asked = "SELECT count(*) FROM passereau.outbox o JOIN passereau.harvest h ON h.id = o.harvest_id
                 WHERE o.routing_key = 'inat.enrich' AND h.state = 'enriching' AND h.origin = 'reconvert'";
    assert_eq!(platform.count(asked).await, 1);
    assert!(platform.look_out().await.is_empty(), "one harvest is alive, which will do it");
}

#[tokio::test]
async fn an_edited_setting_converts_again_and_writes_only_what_comes_out_otherwise() {
    let platform = Platform::new().await;
    let paris = record(1).with("decimal_longitude", json!(2.35)).with("decimal_latitude", json!(48.85));
    let harvest = platform.land("one", &[paris, record(2)]).await;
    platform.run(harvest).await;
    let version = "SELECT xmin::text::bigint FROM gn_synthese.synthese WHERE entity_source_pk_value = '2'";
    let before = platform.count(version).await;
    platform.execute("UPDATE pinv_gbif.setting SET value = NULL WHERE name = 'territory_area_types'").await;
    let done = platform.look_out().await;
    assert_eq!((done[0].0.inserted, done[0].0.unchanged, done[0].0.updated), (1, 1, 0), "{}", done[0].1);
    assert_eq!(platform.count(version).await, before, "the other row is as it was");
}

#[tokio::test]
async fn what_failed_is_not_tried_again_every_minute() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1).with("dataset_key", json!(LATE_DATASET))]).await;
    platform.run(harvest).await;
    passereau_testing::seed_dataset(&platform.pool, LATE_DATASET.parse().unwrap(), "late").await.unwrap();
    let mut tx = platform.pool.begin().await.unwrap();
    let harvest = passereau_harvest::reconvert(&mut tx, "one", "for a test").await.unwrap().expect("a harvest");
    passereau_harvest::fail(&mut tx, harvest, "for a test").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(passereau_harvest::due_reconversions(&platform.pool).await.unwrap(), []);
    let next = platform.land("one", &[record(1).with("dataset_key", json!(DATASET))]).await;
    assert_eq!(platform.run(next).await.inserted, 1);
}

#[tokio::test]
async fn a_code_that_is_offered_again_reaches_the_records() {
    let platform = Platform::new().await;
    let female = "UPDATE ref_nomenclatures.t_nomenclatures SET active = $ WHERE id_nomenclature = ref_nomenclatures.get_id_nomenclature('SEXE', '2')";
    platform.execute(&female.replace('$', "false")).await;
    let harvest = platform.land("one", &[record(1).with("sex", json!("Female"))]).await;
    platform.run(harvest).await;
    let told = "SELECT count(*) FROM gn_synthese.synthese WHERE ref_nomenclatures.get_cd_nomenclature(id_nomenclature_sex) = '2'";
    assert_eq!(platform.count(told).await, 0);
    platform.execute(&female.replace('$', "true")).await;
    assert_eq!(platform.look_out().await[0].0.updated, 1);
    assert_eq!(platform.count(told).await, 1);
}

#[tokio::test]
async fn a_harvest_that_was_cancelled_does_not_hold_up_waiting_records() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1).with("dataset_key", json!(LATE_DATASET))]).await;
    platform.run(harvest).await;
    platform
        .execute(
            "INSERT INTO passereau.harvest (id, subscription, state, request, request_digest)
             VALUES (gen_random_uuid(), 'one', 'cancelled', '{}', ''), (gen_random_uuid(), 'one', 'failed', '{}', '')",
        )
        .await;
    passereau_testing::seed_dataset(&platform.pool, LATE_DATASET.parse().unwrap(), "late").await.unwrap();
    assert_eq!(platform.look_out().await[0].0.inserted, 1);
}

#[tokio::test]
async fn own_data_that_is_found_out_late_is_a_reject_and_names_its_row() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1)]).await;
    platform.run(harvest).await;
    platform
        .execute(&format!(
            "INSERT INTO pinv_gbif.dataset (dataset_key, title, publishing_organization_key)
             VALUES ('{DATASET}', 'own', '1928bdf0-f5d2-11dc-8c12-b8a03c50a862')"
        ))
        .await;
    platform.look_out().await;
    assert_eq!(platform.rejects().await, [(1, "own_data".to_owned())]);
    let standing = "SELECT count(*) FROM pinv_gbif.reject r JOIN gn_synthese.synthese s USING (id_synthese)";
    assert_eq!(platform.count(standing).await, 1, "a row that stands is not hidden behind a reject");
}
