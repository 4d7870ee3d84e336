//! What the registry is asked about the datasets of a harvest. No test here has an account at GBIF.

use crate::run;
use chrono::{DateTime, Utc};
use passereau_contracts::DatasetDescribe;
use passereau_harvest::{Pending, Revived, Stage, State, fan_out};
use passereau_sandbox::seeds::{MUSEUM_ANIMALS, MUSEUM_PLANTS, UNKNOWN_DATASET};
use passereau_sandbox::{Route, Scripted, publisher_key};
use passereau_testing::WorkerBench;
use serde_json::{Value, json};
use uuid::Uuid;

async fn start(arguments: &[&str]) -> WorkerBench {
    run(&[&["--gbif-registry-interval", "0.001"], arguments].concat()).await
}

fn key(text: &str) -> Uuid {
    text.parse().unwrap()
}

/// A harvest with one batch, of these datasets.
async fn describing(bench: &WorkerBench, keys: &[Uuid]) -> Uuid {
    let id = bench.harvest(State::Enriching, None, None).await;
    let mut tx = bench.pool().begin().await.unwrap();
    sqlx::query(
        "INSERT INTO passereau.slice (harvest_id, stage, ordinal, dataset_keys, records) VALUES ($1, 'enrich', 0, $2, 0)",
    )
    .bind(id)
    .bind(keys)
    .execute(&mut *tx)
    .await
    .unwrap();
    fan_out(&mut tx, id, Stage::Enrich).await.unwrap();
    tx.commit().await.unwrap();
    bench.send(&DatasetDescribe { harvest_id: id, batch: 0 }).await;
    id
}

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Known {
    title: Option<String>,
    description: Option<String>,
    doi: Option<String>,
    publishing_organization_key: Option<Uuid>,
    publishing_organization: Option<String>,
    license: Option<String>,
    #[sqlx(rename = "type")]
    kind: Option<String>,
    modified: Option<DateTime<Utc>>,
    asked: bool,
    registry_absent: bool,
}

async fn known(bench: &WorkerBench, key: Uuid) -> Option<Known> {
    sqlx::query_as("SELECT *, registry_asked_at > now() - interval '1 hour' IS TRUE AS asked FROM pinv_gbif.dataset WHERE dataset_key = $1")
        .bind(key)
        .fetch_optional(bench.pool())
        .await
        .unwrap()
}

async fn a_month_passes(bench: &WorkerBench, key: Uuid) {
    sqlx::query("UPDATE pinv_gbif.dataset SET registry_asked_at = now() - interval '31 days' WHERE dataset_key = $1")
        .bind(key)
        .execute(bench.pool())
        .await
        .unwrap();
}

/// An answer of the registry, in these words.
fn told(answer: &Value) -> Scripted {
    Scripted::answer(200, answer.to_string()).with_header("content-type", "application/json")
}

async fn dead_letters(bench: &WorkerBench) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM passereau.dead_letter").fetch_one(bench.pool()).await.unwrap()
}

#[tokio::test]
async fn a_harvest_learns_who_publishes_its_datasets_and_what_no_archive_has_told() {
    let bench = start(&[]).await;
    let (told, untold, strange) = (key(MUSEUM_ANIMALS.key), key(MUSEUM_PLANTS.key), Uuid::now_v7());
    sqlx::query(
        "INSERT INTO pinv_gbif.dataset (dataset_key, title, eml_read_at) VALUES ($1, 'As the archive says', now())",
    )
    .bind(told)
    .execute(bench.pool())
    .await
    .unwrap();
    let harvest = describing(&bench, &[told, untold, strange]).await;
    bench.reaches(harvest, State::Planning).await;

    let animals = known(&bench, told).await.unwrap();
    assert_eq!(animals.title.as_deref(), Some("As the archive says"));
    assert_eq!(animals.publishing_organization.as_deref(), Some(MUSEUM_ANIMALS.publisher));
    assert_eq!(animals.publishing_organization_key, Some(publisher_key(MUSEUM_ANIMALS.publisher)));
    assert_eq!((animals.description, animals.asked, animals.registry_absent), (None, true, false));
    let plants = known(&bench, untold).await.unwrap();
    assert_eq!((plants.title.as_deref(), plants.doi.as_deref()), (Some(MUSEUM_PLANTS.title), Some(MUSEUM_PLANTS.doi)));
    assert!(plants.description.unwrap().starts_with("Records invented for tests"));
    let absent = known(&bench, strange).await.unwrap();
    assert_eq!((absent.title, absent.asked, absent.registry_absent), (None, true, true));
    let calls = |route| bench.sandbox.calls(route);
    assert_eq!((calls(Route::Dataset), calls(Route::DatasetDocument), calls(Route::Organization)), (3, 1, 2));
    for call in bench.sandbox.recorded(Route::Dataset) {
        assert_eq!(call.header("authorization"), None, "the registry needs no account");
    }

    // A month later, and not before, they are asked about again.
    let again = describing(&bench, &[told, untold]).await;
    bench.reaches(again, State::Planning).await;
    assert_eq!(calls(Route::Dataset), 3);
    a_month_passes(&bench, told).await;
    let later = describing(&bench, &[told, untold]).await;
    bench.reaches(later, State::Planning).await;
    assert_eq!(calls(Route::Dataset), 4);
    bench.finish().await;
}

#[tokio::test]
async fn the_plan_waits_for_the_other_batches() {
    let bench = start(&[]).await;
    let harvest = bench.harvest(State::Enriching, None, None).await;
    let mut tx = bench.pool().begin().await.unwrap();
    sqlx::query(
        "INSERT INTO passereau.slice (harvest_id, stage, ordinal, ids, dataset_keys, records)
         VALUES ($1, 'enrich', 0, '{1}', NULL, 1), ($1, 'enrich', 1, NULL, ARRAY[$2], 0)",
    )
    .bind(harvest)
    .bind(key(MUSEUM_ANIMALS.key))
    .execute(&mut *tx)
    .await
    .unwrap();
    fan_out(&mut tx, harvest, Stage::Enrich).await.unwrap();
    tx.commit().await.unwrap();
    bench.send(&DatasetDescribe { harvest_id: harvest, batch: 1 }).await;
    passereau_testing::wait_until("the batch of datasets done", passereau_testing::SOON, async || {
        bench.find(harvest).await.filter(|harvest| harvest.slices_left == 1)
    })
    .await;
    assert_eq!(bench.find(harvest).await.unwrap().state, State::Enriching);
    bench.finish().await;
}

#[tokio::test]
async fn a_harvest_that_is_taken_up_again_asks_about_its_datasets() {
    let bench = WorkerBench::new().await;
    let harvest = describing(&bench, &[key(MUSEUM_ANIMALS.key)]).await;
    let mut connection = bench.pool().acquire().await.unwrap();
    assert!(passereau_harvest::fail(&mut connection, harvest, "the test says so").await.unwrap());
    let Revived::Resumed(pending) = passereau_harvest::revive(&mut connection, harvest).await.unwrap() else {
        panic!("the harvest had failed")
    };
    let body = json!({"harvest_id": harvest, "batch": 0});
    assert_eq!(pending, [Pending { kind: "dataset.describe", body }]);
    bench.finish().await;
}

#[tokio::test]
async fn an_outage_of_the_registry_stops_no_harvest() {
    let bench = start(&["--gbif-registry-attempts", "3"]).await;
    let keys = [key(MUSEUM_ANIMALS.key), key(MUSEUM_PLANTS.key)];
    let down = || Scripted::answer(503, "down for maintenance");
    bench.sandbox.script(Route::Dataset, [Scripted::Pass, down(), Scripted::html(200), down()]);
    let harvest = describing(&bench, &keys).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!(bench.sandbox.calls(Route::Dataset), 4, "what is answered is not asked again");
    assert!(known(&bench, keys[0]).await.unwrap().asked);
    assert_eq!(known(&bench, keys[1]).await, None);
    assert_eq!(dead_letters(&bench).await, 0);

    // While it rests, the next harvest does not even ask; after that, it does.
    let next = describing(&bench, &keys).await;
    bench.reaches(next, State::Planning).await;
    assert_eq!(bench.sandbox.calls(Route::Dataset), 4);
    sqlx::query("UPDATE passereau.pace SET next_at = now()").execute(bench.pool()).await.unwrap();
    let after = describing(&bench, &keys).await;
    bench.reaches(after, State::Planning).await;
    assert!(known(&bench, keys[1]).await.unwrap().asked);
    bench.finish().await;
}

#[tokio::test]
async fn a_registry_that_turns_us_away_is_not_asked_for_the_rest() {
    let bench = start(&[]).await;
    bench.sandbox.script(Route::Dataset, [Scripted::answer(403, "Forbidden")]);
    let harvest = describing(&bench, &[key(MUSEUM_ANIMALS.key), key(MUSEUM_PLANTS.key)]).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!((bench.sandbox.calls(Route::Dataset), dead_letters(&bench).await), (1, 0));
    bench.finish().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_its_dataset_alone_for_another_time() {
    let bench = start(&[]).await;
    let mut keys = [key(MUSEUM_ANIMALS.key), key(MUSEUM_PLANTS.key), key(UNKNOWN_DATASET.key)];
    keys.sort_unstable();
    bench.sandbox.script(Route::Dataset, [told(&json!([]))]);
    bench.sandbox.script(Route::DatasetDocument, [Scripted::answer(200, "<html>no document</html>")]);
    let harvest = describing(&bench, &keys).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!(known(&bench, keys[0]).await, None);
    let [second, third] = [keys[1], keys[2]].map(|key| known(&bench, key));
    let (second, third) = (second.await.unwrap(), third.await.unwrap());
    // Without its document, a dataset is what the registry's own fields say.
    assert!(second.asked && second.title.is_some() && second.description.is_none(), "{second:?}");
    assert!(third.asked && third.description.is_some(), "{third:?}");
    bench.finish().await;
}

#[tokio::test]
async fn a_document_that_is_too_large_or_elsewhere_is_done_without() {
    let bench = start(&[]).await;
    let keys = [key(MUSEUM_ANIMALS.key), key(MUSEUM_PLANTS.key)];
    let moved = Scripted::answer(302, "").with_header("location", "https://example.org/document");
    bench.sandbox.script(Route::DatasetDocument, [Scripted::answer(200, " ".repeat(5 << 20)), moved]);
    let harvest = describing(&bench, &keys).await;
    bench.reaches(harvest, State::Planning).await;
    for key in keys {
        let known = known(&bench, key).await.unwrap();
        assert!(known.asked && known.title.is_some() && known.description.is_none(), "{known:?}");
    }
    bench.finish().await;
}

#[tokio::test]
async fn a_registry_that_will_not_speak_of_one_dataset_is_asked_about_the_others() {
    let bench = start(&[]).await;
    let mut keys = [key(MUSEUM_ANIMALS.key), key(MUSEUM_PLANTS.key), key(UNKNOWN_DATASET.key)];
    keys.sort_unstable();
    bench.sandbox.script(Route::Dataset, [Scripted::answer(400, "Bad Request"), Scripted::answer(410, "Gone")]);
    let harvest = describing(&bench, &keys).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!((known(&bench, keys[0]).await, known(&bench, keys[1]).await), (None, None));
    assert!(known(&bench, keys[2]).await.unwrap().asked);
    bench.finish().await;
}

#[tokio::test]
async fn texts_of_the_registry_are_kept_readable() {
    let bench = start(&[]).await;
    let dataset = Uuid::now_v7();
    let text = "a\0\tb &amp; c";
    let answer = told(&json!({"key": dataset, "title": text, "description": text, "doi": text, "license": text,
                              "citation": {"text": text}, "type": text}));
    bench.sandbox.script(Route::Dataset, [answer]);
    let harvest = describing(&bench, &[dataset]).await;
    bench.reaches(harvest, State::Planning).await;
    let texts: Vec<String> = sqlx::query_scalar(
        "SELECT unnest(ARRAY[title, description, doi, license, citation, type]) FROM pinv_gbif.dataset",
    )
    .fetch_all(bench.pool())
    .await
    .unwrap();
    // What PostgreSQL cannot hold is shown as a character that is missing; other control characters are white space.
    assert_eq!(texts, ["a\u{FFFD} b & c"; 6]);
    bench.finish().await;
}

#[tokio::test]
async fn what_the_registry_tells_replaces_what_it_told_and_what_it_leaves_out_stays() {
    let bench = start(&[]).await;
    let (dataset, publisher) = (Uuid::now_v7(), publisher_key(MUSEUM_ANIMALS.publisher));
    bench.sandbox.script(
        Route::Dataset,
        [
            told(&json!({"key": dataset, "title": "Birds", "license": "by", "type": "OCCURRENCE",
                         "modified": "2026-01-08T11:36:11Z", "publishingOrganizationKey": publisher})),
            told(&json!({"key": dataset, "title": "Birds of the Auvergne", "publishingOrganizationKey": publisher})),
            told(&json!({"key": dataset, "publishingOrganizationKey": Uuid::now_v7()})),
        ],
    );
    let first = describing(&bench, &[dataset]).await;
    bench.reaches(first, State::Planning).await;
    let birds = known(&bench, dataset).await.unwrap();
    assert_eq!(birds.title.as_deref(), Some("Birds"));
    assert_eq!(birds.publishing_organization.as_deref(), Some(MUSEUM_ANIMALS.publisher));

    a_month_passes(&bench, dataset).await;
    bench.sandbox.script(Route::Organization, [Scripted::answer(404, "Not found")]);
    let second = describing(&bench, &[dataset]).await;
    bench.reaches(second, State::Planning).await;
    let renamed = Known { title: Some("Birds of the Auvergne".to_owned()), ..birds };
    assert_eq!(known(&bench, dataset).await.as_ref(), Some(&renamed));
    assert!(renamed.license.is_some() && renamed.kind.is_some() && renamed.modified.is_some(), "{renamed:?}");

    // A name does not go over to another publisher.
    a_month_passes(&bench, dataset).await;
    let third = describing(&bench, &[dataset]).await;
    bench.reaches(third, State::Planning).await;
    let handed_on = known(&bench, dataset).await.unwrap();
    assert_eq!((&handed_on.title, handed_on.publishing_organization), (&renamed.title, None));
    assert_ne!(handed_on.publishing_organization_key, Some(publisher));
    bench.finish().await;
}
