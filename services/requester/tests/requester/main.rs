//! The requester as a process: what comes in by message, what GBIF is asked, where the harvest stands afterwards.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cancel;
mod describe;
mod places;
mod settings;

use clap::Parser;
use passereau_harvest::State;
use passereau_requester::{Requester, RequesterConfig};
use passereau_sandbox::{DownloadStatus, Route, Scripted};
use passereau_testing::WorkerBench;
use serde_json::{Value, json};
use uuid::Uuid;

const DATASET: &str = "50c9509d-22c7-4a22-a47d-8c48425ef4a7";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    requester: RequesterConfig,
}

/// A requester with an account at GBIF.
async fn start(arguments: &[&str]) -> WorkerBench {
    let account = ["--gbif-user", "passereau", "--gbif-password", "sandbox"];
    let waits = ["--gbif-place-wait", "0.05", "--busy-wait", "0.05"];
    run(&[&account, &waits, arguments].concat()).await
}

/// A requester that knows where GBIF is.
async fn run(arguments: &[&str]) -> WorkerBench {
    let mut bench = WorkerBench::new().await;
    let url = bench.sandbox.gbif_url.clone();
    let hosts = ["--http-hosts", passereau_http::SANDBOX_HOSTS];
    let networks = ["--http-private-networks", passereau_http::SANDBOX_NETWORKS];
    let who = ["test", "--user-agent", "passereau-test/1 (test@example.org)", "--gbif-url", &url];
    let fixed = [&who[..], &hosts, &networks].concat();
    let cli = Cli::parse_from(fixed.iter().chain(arguments));
    bench.run(Requester::new(&cli.requester).unwrap()).await;
    bench
}

fn query(year: u32) -> Value {
    json!({"query": {"predicate": {"type": "and", "predicates": [
        {"type": "equals", "key": "DATASET_KEY", "value": DATASET},
        {"type": "equals", "key": "YEAR", "value": year.to_string()}]}}})
}

async fn row(bench: &WorkerBench, harvest: Uuid) -> (String, String, Value) {
    sqlx::query_as("SELECT key, status, body FROM passereau.download WHERE harvest_id = $1")
        .bind(harvest)
        .fetch_one(bench.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_query_becomes_a_download_that_is_polled() {
    let bench = start(&[]).await;
    let id = bench.send_body("harvest.request", query(2024)).await;
    let harvest = bench.reaches(id, State::Preparing).await;
    let (key, status, body) = row(&bench, id).await;
    assert_eq!(harvest.download_key.as_deref(), Some(key.as_str()));
    assert_eq!((status.as_str(), body["creator"].as_str()), ("PREPARING", Some("passereau")));
    assert_eq!(harvest.expected_records, None, "an estimate is not expected");
    assert_eq!(bench.sandbox.calls(Route::UserDownloads), 0, "nothing was lost, nothing is looked up");
    let sent: Value = serde_json::from_str(&bench.sandbox.bodies(Route::CreateDownload)[0]).unwrap();
    assert_eq!(sent["checklistKey"], "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c");
    bench.finish().await;
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_download() {
    let bench = start(&[]).await;
    bench.sandbox.script(Route::CreateDownload, [Scripted::LoseAnswer]);
    let id = bench.send_body("harvest.request", query(2024)).await;
    bench.reaches(id, State::Preparing).await;
    assert_eq!((bench.sandbox.downloads().len(), bench.sandbox.calls(Route::CreateDownload)), (1, 1));
    bench.finish().await;
}

#[tokio::test]
async fn a_request_with_problems_is_a_dead_letter_that_lists_them() {
    let bench = start(&[]).await;
    let mut request = query(2024);
    request["query"]["creator"] = json!("USER");
    request["query"]["predicate"]["predicates"][1]["key"] = json!("JAHR");
    bench.send_body("harvest.request", request).await;
    let error = bench.dead_letter().await;
    assert!(
        error.contains("2 problems") && error.contains("$.query.creator") && error.contains("predicates[1].key"),
        "{error}"
    );
    assert_eq!(bench.sandbox.calls(Route::CreateDownload), 0);
    bench.finish().await;
}

#[tokio::test]
async fn wrong_credentials_fail_the_harvest_and_the_worker_goes_on() {
    let bench = start(&[]).await;
    bench.sandbox.script(Route::CreateDownload, [Scripted::answer(401, "Failed to authenticate user passereau")]);
    let id = bench.send_body("harvest.request", query(2024)).await;
    let failed = bench.reaches(id, State::Failed).await;
    assert!(failed.reason.unwrap().contains("PASSEREAU_GBIF_PASSWORD"));
    let next = bench.send_body("harvest.request", query(2023)).await;
    bench.reaches(next, State::Preparing).await;
    bench.finish().await;
}

#[tokio::test]
async fn slowing_down_waits_and_a_full_account_gives_its_place_back() {
    let bench = start(&[]).await;
    let slow = Scripted::answer(429, "[]").with_header("retry-after", "77");
    bench.sandbox.script(Route::CreateDownload, [slow]);
    let id = bench.send_body("harvest.request", query(2024)).await;
    bench.waits("download.request", 60.0).await;
    bench.reaches(id, State::Requesting).await;

    bench.sandbox.script(Route::CreateDownload, [Scripted::answer(420, "A download limitation is exceeded:")]);
    let full = bench.send_body("harvest.request", query(2023)).await;
    passereau_testing::wait_until("the place given back", passereau_testing::SOON, async || {
        (bench.sandbox.calls(Route::CreateDownload) == 2).then_some(())
    })
    .await;
    bench.reaches(full, State::Requested).await;
    bench.finish().await;
}

#[tokio::test]
async fn an_account_has_so_many_places_and_one_that_is_freed_is_taken() {
    let bench = start(&["--gbif-places", "1"]).await;
    let first = bench.send_body("harvest.request", query(2024)).await;
    bench.reaches(first, State::Preparing).await;
    let second = bench.send_body("harvest.request", query(2023)).await;
    bench.reaches(second, State::Requested).await;
    assert_eq!(bench.sandbox.calls(Route::CreateDownload), 1);

    let mut connection = bench.pool().acquire().await.unwrap();
    assert!(passereau_harvest::advance(&mut connection, first, State::Preparing, State::Fetching).await.unwrap());
    bench.reaches(second, State::Preparing).await;
    bench.finish().await;
}

#[tokio::test]
async fn more_replayed_harvests_than_places_do_not_wait_for_each_other_for_ever() {
    let bench = start(&["--gbif-places", "1"]).await;
    // Each failed while it was asking: wrong credentials, twice.
    let refusal = || Scripted::answer(401, "Failed to authenticate user passereau");
    bench.sandbox.script(Route::CreateDownload, [refusal(), refusal()]);
    let (first, second) = (query(2023), query(2024));
    let ids = [bench.send_body("harvest.request", first).await, bench.send_body("harvest.request", second).await];
    for id in ids {
        bench.reaches(id, State::Failed).await;
    }
    let letters: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM passereau.dead_letter").fetch_all(bench.pool()).await.unwrap();
    for letter in letters {
        passereau_runner::replay_dead(bench.pool(), letter).await.unwrap();
    }
    let preparing = passereau_testing::wait_until("one of them at GBIF", passereau_testing::SOON, async || {
        let states: Vec<(Uuid, String)> =
            sqlx::query_as("SELECT id, state FROM passereau.harvest").fetch_all(bench.pool()).await.unwrap();
        states.into_iter().find(|(_, state)| state == "preparing").map(|(id, _)| id)
    })
    .await;
    sqlx::query("UPDATE passereau.harvest SET state = 'fetching' WHERE id = $1")
        .bind(preparing)
        .execute(bench.pool())
        .await
        .unwrap();
    let other = ids.into_iter().find(|id| *id != preparing).unwrap();
    bench.reaches(other, State::Preparing).await;
    bench.finish().await;
}

#[tokio::test]
async fn a_request_with_an_identity_of_its_own_is_a_harvest_of_its_own() {
    let bench = start(&[]).await;
    let first = bench.send_body("harvest.request", query(2024)).await;
    bench.reaches(first, State::Preparing).await;
    let second = bench.send_body("harvest.request", query(2024)).await;
    bench.reaches(second, State::Preparing).await;
    assert_ne!(first, second, "whoever names a message finds a harvest of that name");
    bench.finish().await;
}

#[tokio::test]
async fn a_subscription_harvests_one_thing_at_a_time() {
    let bench = start(&[]).await;
    let named = |year| {
        let mut request = query(year);
        request["subscription"] = json!("aura");
        request
    };
    let first = bench.send_body("harvest.request", named(2024)).await;
    bench.reaches(first, State::Preparing).await;
    bench.send_body("harvest.request", named(2023)).await;
    let other = bench.send_body("harvest.request", query(2022)).await;
    bench.reaches(other, State::Preparing).await;
    assert_eq!(bench.sandbox.calls(Route::CreateDownload), 2, "the second of the subscription waits");

    let mut connection = bench.pool().acquire().await.unwrap();
    assert!(passereau_harvest::fail(&mut connection, first, "the test says so").await.unwrap());
    passereau_testing::wait_until("the second harvest", passereau_testing::SOON, async || {
        (bench.sandbox.calls(Route::CreateDownload) == 3).then_some(())
    })
    .await;
    bench.finish().await;
}

#[tokio::test]
async fn a_download_of_another_request_is_asked_for_in_other_words() {
    let bench = start(&[]).await;
    // GBIF compares neither checklist nor extensions: it gives this download back for the query without extensions.
    let mut other = query(2024)["query"].clone();
    other["verbatimExtensions"] = json!(["http://rs.gbif.org/terms/1.0/Image"]);
    other["predicate"]["predicates"][0]["matchCase"] = json!(false);
    let http =
        passereau_http::HttpClient::new(&passereau_http::HttpConfig::for_sandbox("test/1 (test@example.org)")).unwrap();
    let config = passereau_gbif::GbifConfig::new(bench.sandbox.gbif_url.parse().unwrap(), "passereau", "sandbox");
    let gbif = passereau_gbif::GbifClient::new(http, &config).unwrap();
    let made = gbif.create(&other).await.unwrap();

    let id = bench.send_body("harvest.request", query(2024)).await;
    let harvest = bench.reaches(id, State::Preparing).await;
    let passereau_gbif::client::Created::Key(made) = made else { panic!("{made:?}") };
    assert_ne!(harvest.download_key.as_deref(), Some(made.as_str()));
    let (_, _, body) = row(&bench, id).await;
    assert_eq!(body["predicate"]["predicates"][0]["type"], "and");
    bench.finish().await;
}

#[tokio::test]
async fn a_named_download_is_fetched_polled_or_refused() {
    let bench = start(&[]).await;
    let made = bench.send_body("harvest.request", query(2024)).await;
    let key = bench.reaches(made, State::Preparing).await.download_key.unwrap();

    let polled = bench.send_body("harvest.request", json!({"download_key": key, "subscription": "polled"})).await;
    let harvest = bench.reaches(polled, State::Preparing).await;
    assert_eq!((harvest.download_key.as_deref(), harvest.account), (Some(key.as_str()), None));

    bench.sandbox.set_status(&key, DownloadStatus::Succeeded);
    let fetched = bench.send_body("harvest.request", json!({"download_key": key, "subscription": "fetched"})).await;
    let harvest = bench.reaches(fetched, State::Fetching).await;
    assert_eq!(harvest.expected_records, Some(50));
    assert_eq!(row(&bench, fetched).await.1, "SUCCEEDED");

    bench.send_body("harvest.request", json!({"download_key": "9999999-260108223611665"})).await;
    assert!(bench.dead_letter().await.contains("GBIF knows no download 9999999-260108223611665"));
    bench.finish().await;
}

#[tokio::test]
async fn an_archive_goes_straight_to_the_loader() {
    let bench = start(&[]).await;
    let id = bench.send_body("harvest.request", json!({"archive": "archives/april.zip"})).await;
    let harvest = bench.reaches(id, State::Loading).await;
    assert_eq!(harvest.archive_key.as_deref(), Some("archives/april.zip"));
    bench.finish().await;
}
