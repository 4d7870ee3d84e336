//! A plan that a person looks at first.

use crate::platform::{OTHER_DATASET, Platform, record};
use passereau_upserter::functions;
use serde_json::json;
use sqlx::types::Uuid;

/// A harvest whose request says `plan: true`.
async fn with_plan_only(platform: &Platform, harvest: Uuid) -> Uuid {
    sqlx::query("UPDATE passereau.harvest SET plan_only = true WHERE id = $1")
        .bind(harvest)
        .execute(&platform.pool)
        .await
        .unwrap();
    harvest
}

/// Why the plan is out of date today.
async fn out_of_date(platform: &Platform, harvest: Uuid) -> Option<String> {
    functions::plan_out_of_date(&platform.pool, harvest).await.unwrap()
}

#[tokio::test]
async fn a_plan_tells_what_it_would_do_field_by_field_and_writes_nothing() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "mark"})).await;
    let first: Vec<_> = (1..=20).map(record).collect();
    platform.run(platform.land_whole("one", OTHER_DATASET, &first).await).await;
    platform.execute("UPDATE gn_synthese.synthese SET observers = 'Anne Martin', validator = 'Anne Martin' WHERE entity_source_pk_value = '3'").await;
    let before = platform.fingerprint().await;

    let mut second: Vec<_> = (1..=18).map(record).collect();
    for (id, changed) in second.iter_mut().take(7).enumerate() {
        *changed = record(id as i64 + 1)
            .with("occurrence_remarks", json!(format!("remark {id}")))
            .with("recorded_by", json!("B. Nyme"));
    }
    second[7] = record(8).with("sex", json!("Female"));
    second.push(record(21));
    second.push(record(22).with("taxon_key", json!("1")));
    let harvest = with_plan_only(&platform, platform.land_whole("one", OTHER_DATASET, &second).await).await;
    assert_eq!(platform.plan(harvest).await.as_deref(), Some("a plan was asked for"));
    assert_eq!(platform.fingerprint().await, before);

    let plan = platform.summary(harvest).await;
    assert_eq!(
        plan["counts"],
        json!({"landed": 20, "new": 1, "changed": 8, "unchanged": 10, "kept": 0, "rejected": 1})
    );
    assert_eq!(plan["rejected"], json!({"taxon_unmatched": 1}));
    assert_eq!(plan["new"][0]["gbif_id"], json!(21));
    let remarks = &plan["fields"]["comment_description"];
    assert_eq!((remarks["records"].as_i64(), remarks["samples"].as_array().unwrap().len()), (Some(7), 5));
    assert_eq!(remarks["samples"][1]["gbif"], json!("remark 1"));
    let sex = &plan["fields"]["id_nomenclature_sex"]["samples"][0];
    assert_eq!((sex["here"].as_str(), sex["gbif"].as_str()), (Some("6 Non renseigné"), Some("2 Femelle")));
    assert_eq!(plan["fields"]["observers"]["records"], json!(6));
    assert_eq!(
        plan["edited"]["observers"]["samples"][0],
        json!({
            "gbif_id": 3, "id_synthese": plan["edited"]["observers"]["samples"][0]["id_synthese"], "here": "Anne Martin", "gbif": "B. Nyme"
        })
    );
    assert_eq!(plan["validated"]["comment_description"]["records"], json!(1));
    assert_eq!((plan["vanished"]["records"].as_i64(), plan["vanished"]["rows"]["mark"].as_i64()), (Some(2), Some(2)));
    assert!(plan["fields"].get("the_geom_4326").is_none());
}

#[tokio::test]
async fn an_approved_plan_does_what_it_told() {
    let platform = Platform::new().await;
    platform.run(platform.land("one", &[record(1), record(2)]).await).await;
    let harvest = platform.land("one", &[record(1).with("occurrence_remarks", json!("x")), record(2), record(3)]).await;
    let harvest = with_plan_only(&platform, harvest).await;
    assert!(platform.plan(harvest).await.is_some());
    assert_eq!(out_of_date(&platform, harvest).await, None);
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged), (1, 1, 1));
    // What it was stays readable once its rows are consumed.
    assert_eq!(platform.summary(harvest).await["counts"]["new"], json!(1));
}

#[tokio::test]
async fn a_plan_is_out_of_date_when_anything_that_made_it_is_another() {
    let platform = Platform::new().await;
    platform.decide("one", json!({})).await;
    let harvest = with_plan_only(&platform, platform.land("one", &[record(1)]).await).await;
    assert!(platform.plan(harvest).await.is_some());
    let cases = [
        ("UPDATE taxonomie.t_meta_taxref SET version = version + 1", "TAXREF"),
        ("INSERT INTO pinv_gbif.cor_taxon (taxon_key, cd_nom) VALUES ('77', 700001)", "TAXREF"),
        ("UPDATE pinv_gbif.setting SET value = '1950-01-01' WHERE name = 'oldest_date'", "vocabulary"),
        ("DELETE FROM pinv_gbif.cor_vocabulary WHERE value = 'female'", "vocabulary"),
        ("UPDATE passereau.subscription SET settings = '{\"media\": true}' WHERE name = 'one'", "subscription"),
        ("UPDATE gn_meta.t_datasets SET unique_dataset_id = gen_random_uuid()", "metadata"),
        ("UPDATE passereau.harvest SET planned_at = now() - interval '8 days'", "older than 7 days"),
    ];
    for (change, word) in cases {
        let mut tx = platform.pool.begin().await.unwrap();
        sqlx::raw_sql(change).execute(&mut *tx).await.unwrap();
        let why = functions::plan_out_of_date(&mut *tx, harvest).await.unwrap();
        assert!(why.as_deref().is_some_and(|why| why.contains(word)), "{change}: {why:?}");
        tx.rollback().await.unwrap();
    }
    assert_eq!(out_of_date(&platform, harvest).await, None);
}

#[tokio::test]
async fn a_plan_that_is_made_anew_waits_once_more_and_says_why() {
    let platform = Platform::new().await;
    let harvest =
        with_plan_only(&platform, platform.land("one", &[record(1), record(2).with("taxon_key", json!("77"))]).await)
            .await;
    assert!(platform.plan(harvest).await.is_some());
    platform.execute("INSERT INTO pinv_gbif.cor_taxon (taxon_key, cd_nom) VALUES ('77', 700001)").await;
    let why = out_of_date(&platform, harvest).await.unwrap();
    functions::renew_plan(&platform.pool, harvest, &why).await.unwrap();
    let reason = platform.plan(harvest).await.unwrap();
    assert!(reason.starts_with("the plan that was approved was out of date (changed since: TAXREF)"), "{reason}");
    assert_eq!(out_of_date(&platform, harvest).await, None);
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.rejected), (2, 0));
}
