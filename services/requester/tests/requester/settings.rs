//! The settings that a request brings: what its subscription and its harvest have of them afterwards.

use crate::start;
use passereau_harvest::{State, advance};
use passereau_testing::{SOON, WorkerBench, wait_until};
use serde_json::{Value, json};
use uuid::Uuid;

/// A harvest of the subscription `aura`, as far as its end.
async fn harvest(bench: &WorkerBench, settings: Option<Value>) -> Uuid {
    let mut request = json!({"subscription": "aura", "archive": "archives/april.zip"});
    if let Some(settings) = settings {
        request["settings"] = settings;
    }
    let id = bench.send_body("harvest.request", request).await;
    bench.reaches(id, State::Loading).await;
    let mut connection = bench.pool().acquire().await.unwrap();
    assert!(advance(&mut connection, id, State::Loading, State::Completed).await.unwrap());
    id
}

/// The settings of the subscription, and those that a harvest of it has started with.
async fn settings(bench: &WorkerBench, harvest: Uuid) -> (Value, Value) {
    sqlx::query_as(
        "SELECT s.settings, h.settings FROM passereau.harvest h JOIN passereau.subscription s ON s.name = h.subscription
         WHERE h.id = $1",
    )
    .bind(harvest)
    .fetch_one(bench.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn settings_of_a_request_replace_those_of_its_subscription_and_without_any_they_stay() {
    let bench = start(&[]).await;
    let (cell, media) = (json!({"obscured": "cell"}), json!({"media": true}));
    let first = harvest(&bench, Some(cell.clone())).await;
    assert_eq!(settings(&bench, first).await, (cell.clone(), cell.clone()));
    let second = harvest(&bench, None).await;
    assert_eq!(settings(&bench, second).await, (cell.clone(), cell.clone()));
    let third = harvest(&bench, Some(media.clone())).await;
    assert_eq!(settings(&bench, third).await, (media.clone(), media.clone()));
    assert_eq!(settings(&bench, first).await, (media, cell), "a harvest keeps what it has started with");
    bench.finish().await;
}

#[tokio::test]
async fn a_subscription_that_makes_datasets_needs_a_framework_before_gbif_is_asked() {
    let bench = start(&[]).await;
    let request = json!({"subscription": "aura", "archive": "archives/april.zip", "settings": {"metadata": "create"}});
    let refused = bench.send_body("harvest.request", request.clone()).await;
    let said = wait_until("the refusal", SOON, async || {
        let error: Option<String> = sqlx::query_scalar("SELECT error FROM passereau.dead_letter WHERE message_id = $1")
            .bind(refused)
            .fetch_optional(bench.pool())
            .await
            .unwrap();
        error
    })
    .await;
    assert!(said.contains("acquisition_framework in pinv_gbif.setting"), "{said}");

    sqlx::query(
        "UPDATE pinv_gbif.setting SET value = (SELECT min(unique_acquisition_framework_id::text) FROM gn_meta.t_acquisition_frameworks)
         WHERE name = 'acquisition_framework'",
    )
    .execute(bench.pool())
    .await
    .unwrap();
    let accepted = bench.send_body("harvest.request", request).await;
    bench.reaches(accepted, State::Loading).await;
    bench.finish().await;
}
