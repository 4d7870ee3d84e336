//! `harvest.cancel`: what GBIF is told, and where the harvest stands afterwards.

use crate::{query, row, run, start};
use passereau_contracts::{DownloadRequest, HarvestCancel};
use passereau_harvest::{Harvest, NewHarvest, Started, State};
use passereau_sandbox::{DownloadStatus, Route, Scripted};
use passereau_testing::{SOON, WorkerBench, wait_until};
use serde_json::{Value, json};
use uuid::Uuid;

fn order(harvest_id: Uuid) -> HarvestCancel {
    HarvestCancel { harvest_id, by: Some("Mme Cigogne".into()), reason: Some("wrong region".into()) }
}

async fn cancelled(bench: &WorkerBench, harvest: Uuid) -> Harvest {
    bench.send(&order(harvest)).await;
    bench.reaches(harvest, State::Cancelled).await
}

async fn preparing(bench: &WorkerBench, request: Value) -> (Uuid, String) {
    let id = bench.send_body("harvest.request", request).await;
    let key = bench.reaches(id, State::Preparing).await.download_key.unwrap();
    // The sandbox counts looks; nobody looks here.
    bench.sandbox.set_status(&key, DownloadStatus::Running);
    (id, key)
}

fn status(bench: &WorkerBench, key: &str) -> DownloadStatus {
    bench.sandbox.downloads().into_iter().find(|download| download.key == key).unwrap().status
}

#[tokio::test]
async fn a_download_of_ours_is_cancelled_at_gbif_and_its_place_is_free() {
    let bench = start(&["--gbif-places", "1"]).await;
    let id = bench.send_body("harvest.request", query(2024)).await;
    let key = bench.reaches(id, State::Preparing).await.download_key.unwrap();
    let second = bench.send_body("harvest.request", query(2023)).await;
    bench.reaches(second, State::Requested).await;

    let harvest = cancelled(&bench, id).await;
    assert_eq!(harvest.reason.as_deref(), Some("cancelled by Mme Cigogne: wrong region"));
    assert!(harvest.finished_at.is_some());
    assert_eq!(status(&bench, &key), DownloadStatus::Cancelled);
    bench.reaches(second, State::Preparing).await;

    // A second order finds nothing to do, and is no dead letter.
    bench.send(&order(id)).await;
    let third = bench.send_body("harvest.request", json!({"archive": "archives/april.zip"})).await;
    bench.reaches(third, State::Loading).await;
    let letters: i64 =
        sqlx::query_scalar("SELECT count(*) FROM passereau.dead_letter").fetch_one(bench.pool()).await.unwrap();
    assert_eq!((bench.sandbox.calls(Route::CancelDownload), letters), (1, 0));
    bench.finish().await;
}

#[tokio::test]
async fn a_harvest_that_waits_for_a_place_is_cancelled_without_a_word_to_gbif() {
    let bench = start(&["--gbif-places", "1"]).await;
    preparing(&bench, query(2024)).await;
    let waiting = bench.send_body("harvest.request", query(2023)).await;
    bench.reaches(waiting, State::Requested).await;
    cancelled(&bench, waiting).await;
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM passereau.outbox WHERE harvest_id = $1 AND exchange = 'work'")
            .bind(waiting)
            .fetch_one(bench.pool())
            .await
            .unwrap();
    let calls = [Route::CreateDownload, Route::CancelDownload].map(|route| bench.sandbox.calls(route));
    assert_eq!((left, calls), (0, [1, 0]));
    bench.finish().await;
}

#[tokio::test]
async fn a_download_that_somebody_else_asked_for_is_left_alone() {
    let bench = start(&[]).await;
    let (_, key) = preparing(&bench, query(2024)).await;
    let named = bench.send_body("harvest.request", json!({"download_key": key})).await;
    bench.reaches(named, State::Preparing).await;
    cancelled(&bench, named).await;
    assert_eq!(bench.sandbox.calls(Route::CancelDownload), 0);
    assert_eq!(status(&bench, &key), DownloadStatus::Running);
    bench.finish().await;
}

#[tokio::test]
async fn a_download_that_another_harvest_waits_for_goes_on_until_that_one_is_cancelled_too() {
    let bench = start(&[]).await;
    let (first, key) = preparing(&bench, query(2024)).await;
    // GBIF gives equal requests of two days one download.
    let (second, same) = preparing(&bench, query(2024)).await;
    assert_eq!(key, same);
    let reason = cancelled(&bench, first).await.reason.unwrap();
    assert!(reason.contains("goes on at GBIF, because another harvest waits for it"), "{reason}");
    assert_eq!(bench.sandbox.calls(Route::CancelDownload), 0);
    cancelled(&bench, second).await;
    assert_eq!(bench.sandbox.calls(Route::CancelDownload), 1);
    bench.finish().await;
}

#[tokio::test]
async fn a_download_whose_key_was_lost_is_found_and_cancelled() {
    let bench = start(&[]).await;
    // The answer is lost, and GBIF asks to be left alone before it can be looked for.
    let away = Scripted::answer(503, "maintenance").with_header("retry-after", "900");
    bench.sandbox.script(Route::CreateDownload, [Scripted::LoseAnswer]);
    bench.sandbox.script(Route::UserDownloads, [away]);
    let id = bench.send_body("harvest.request", query(2024)).await;
    bench.waits("download.request", 600.0).await;
    assert_eq!(bench.find(id).await.unwrap().state, State::Requesting);
    cancelled(&bench, id).await;
    assert_eq!((bench.sandbox.calls(Route::CancelDownload), bench.sandbox.downloads().len()), (1, 1));
    bench.finish().await;
}

#[tokio::test]
async fn gbif_refusing_or_being_away_is_told_and_holds_nothing_up_for_ever() {
    let bench = start(&[]).await;
    let (refused, key) = preparing(&bench, query(2024)).await;
    bench.sandbox.script(Route::CancelDownload, [Scripted::answer(401, "not yours")]);
    let reason = cancelled(&bench, refused).await.reason.unwrap();
    assert!(reason.contains(&key) && reason.contains("https://www.gbif.org/user/download"), "{reason}");

    let (away, _) = preparing(&bench, query(2023)).await;
    bench.sandbox.script(Route::CancelDownload, vec![Scripted::answer(503, "maintenance"); 5]);
    let reason = cancelled(&bench, away).await.reason.unwrap();
    assert!(reason.contains("maintenance") && reason.contains("https://www.gbif.org/user/download"), "{reason}");
    assert_eq!(bench.sandbox.unplayed_scripts(), 0, "it was tried five times");

    let (back, key) = preparing(&bench, query(2022)).await;
    bench.sandbox.script(Route::CancelDownload, [Scripted::answer(503, "maintenance"), Scripted::Reset]);
    assert_eq!(cancelled(&bench, back).await.reason.as_deref(), Some("cancelled by Mme Cigogne: wrong region"));
    assert_eq!(status(&bench, &key), DownloadStatus::Cancelled);
    bench.finish().await;
}

#[tokio::test]
async fn a_paused_harvest_can_be_cancelled() {
    let bench = start(&[]).await;
    let (id, _) = preparing(&bench, query(2024)).await;
    let mut connection = bench.pool().acquire().await.unwrap();
    passereau_harvest::pause(&mut connection, id, None).await.unwrap();
    assert!(cancelled(&bench, id).await.paused_at.is_none());
    drop(connection);
    bench.finish().await;
}

#[tokio::test]
async fn a_request_that_waits_behind_another_harvest_is_taken_back() {
    let bench = run(&["--gbif-user", "passereau", "--gbif-password", "sandbox", "--busy-wait", "600"]).await;
    let named = |year| {
        let mut request = query(year);
        request["subscription"] = json!("aura");
        request
    };
    let (first, _) = preparing(&bench, named(2024)).await;
    let waiting = bench.send_body("harvest.request", named(2023)).await;
    bench.waits("harvest.request", 500.0).await;
    assert!(passereau_harvest::is_waiting(bench.pool(), waiting).await.unwrap());
    bench.send(&order(waiting)).await;
    wait_until("the request taken back", SOON, async || {
        (!passereau_harvest::is_waiting(bench.pool(), waiting).await.unwrap()).then_some(())
    })
    .await;
    assert_eq!(bench.find(first).await.unwrap().state, State::Preparing);
    bench.finish().await;
}

#[tokio::test]
async fn an_unknown_harvest_is_a_dead_letter_that_says_so() {
    let bench = start(&[]).await;
    bench.send(&order(Uuid::now_v7())).await;
    let error = bench.dead_letter().await;
    assert!(error.contains("there is no harvest") && error.contains("passereau harvest list"), "{error}");
    bench.finish().await;
}

#[tokio::test]
async fn a_download_that_is_asked_for_again_in_other_words_is_a_new_one() {
    let bench = start(&[]).await;
    let (id, key) = preparing(&bench, query(2024)).await;
    // What the poller does at the deadline, and GBIF did not hear of the cancellation.
    let (_, _, body) = row(&bench, id).await;
    sqlx::query(
        "WITH renewed AS (UPDATE passereau.download SET body = $2, key = NULL, asked_at = NULL WHERE harvest_id = $1)
         UPDATE passereau.harvest SET state = 'requesting' WHERE id = $1",
    )
    .bind(id)
    .bind(passereau_gbif::predicate::rephrase::wrap(&body))
    .execute(bench.pool())
    .await
    .unwrap();
    bench.send(&DownloadRequest { harvest_id: id }).await;
    let again = wait_until("the new download", SOON, async || {
        bench.find(id).await.filter(|harvest| harvest.state == State::Preparing)
    })
    .await;
    assert_ne!(again.download_key, Some(key));
    bench.finish().await;
}

#[tokio::test]
async fn of_two_requests_of_one_subscription_at_the_same_moment_one_waits() {
    let bench = WorkerBench::new().await;
    let new = |id: Uuid| NewHarvest {
        id,
        subscription: Some("aura".into()),
        settings: None,
        plan_only: false,
        request: json!({}),
        digest: id.to_string(),
        joins: false,
        state: State::Requested,
        account: None,
        download_key: None,
        archive_key: None,
    };
    let pool = bench.pool().clone();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let (pool, new) = (pool.clone(), new(Uuid::now_v7()));
            tokio::spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                let started = passereau_harvest::start(&mut tx, &new).await.unwrap();
                tx.commit().await.unwrap();
                started
            })
        })
        .collect();
    let mut started = Vec::new();
    for start in starts {
        started.push(start.await.unwrap());
    }
    let first = started.iter().find_map(|one| if let Started::New(id) = one { Some(*id) } else { None }).unwrap();
    let busy = started.iter().filter(|one| **one == Started::Busy(first)).count();
    assert_eq!(busy, 7, "{started:?}");
    // And whoever goes past that question meets the index.
    let past = sqlx::query(
        "INSERT INTO passereau.harvest (id, subscription, state, request, request_digest)
         VALUES (gen_random_uuid(), 'aura', 'planning', '{}', '')",
    )
    .execute(bench.pool())
    .await;
    let refused = past.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(|error| error.constraint()), Some("harvest_one_alive"));
    bench.finish().await;
}
