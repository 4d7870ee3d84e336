//! The poller as a process: how often GBIF is asked, and what each end of a download becomes.
#![allow(clippy::unwrap_used, reason = "tests")]

use clap::Parser;
use passereau_contracts::DownloadPoll;
use passereau_gbif::client::Created;
use passereau_gbif::{GbifClient, GbifConfig};
use passereau_harvest::{Harvest, State};
use passereau_http::{HttpClient, HttpConfig, SANDBOX_HOSTS, SANDBOX_NETWORKS};
use passereau_poller::{Poller, PollerConfig};
use passereau_sandbox::{DownloadStatus, Route, Scripted};
use passereau_testing::{SOON, WorkerBench, wait_until};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    poller: PollerConfig,
}

async fn start(arguments: &[&str]) -> WorkerBench {
    let mut bench = WorkerBench::new().await;
    let url = bench.sandbox.gbif_url.clone();
    let fixed = [
        "test",
        "--user-agent",
        "passereau-test/1 (test@example.org)",
        "--http-hosts",
        SANDBOX_HOSTS,
        "--http-private-networks",
        SANDBOX_NETWORKS,
        "--gbif-url",
        &url,
        "--gbif-user",
        "passereau",
        "--gbif-password",
        "sandbox",
        "--poll-first",
        "0.01",
    ];
    let cli = Cli::parse_from(fixed.iter().chain(arguments));
    bench.run(Poller::new(&cli.poller).unwrap()).await;
    bench
}

/// A download at GBIF, and a harvest that waits for it.
async fn preparing(bench: &WorkerBench) -> (Uuid, String) {
    let http = HttpClient::new(&HttpConfig::for_sandbox("test/1 (test@example.org)")).unwrap();
    let config = GbifConfig::new(bench.sandbox.gbif_url.parse().unwrap(), "passereau", "sandbox");
    let body = json!({"format": "DWCA", "predicate": {"type": "equals", "key": "YEAR", "value": "2024"}});
    let created = GbifClient::new(http, &config).unwrap().create(&body).await.unwrap();
    let Created::Key(key) = created else { panic!("{created:?}") };
    let id = bench.harvest(State::Preparing, Some(key.as_str()), Some("passereau")).await;
    sqlx::query("INSERT INTO passereau.download (harvest_id, account, body, key) VALUES ($1, 'passereau', '{}', $2)")
        .bind(id)
        .bind(key.as_str())
        .execute(bench.pool())
        .await
        .unwrap();
    (id, key.to_string())
}

async fn polled(bench: &WorkerBench, harvest: Uuid) -> Harvest {
    bench.send(&DownloadPoll { harvest_id: harvest }).await;
    wait_until("the end of the wait", SOON, async || {
        bench.find(harvest).await.filter(|harvest| harvest.state != State::Preparing)
    })
    .await
}

#[tokio::test]
async fn a_success_keeps_doi_size_and_records() {
    let bench = start(&[]).await;
    let (id, key) = preparing(&bench).await;
    let harvest = polled(&bench, id).await;
    assert_eq!(harvest.state, State::Fetching);
    assert_eq!((harvest.download_key, harvest.expected_records), (Some(key), Some(50)));
    assert!(harvest.doi.unwrap().starts_with("10.15468/"));
    let (polls, status, size): (i32, String, i64) =
        sqlx::query_as("SELECT polls, status, size_bytes FROM passereau.download WHERE harvest_id = $1")
            .bind(id)
            .fetch_one(bench.pool())
            .await
            .unwrap();
    assert_eq!((polls, status.as_str()), (4, "SUCCEEDED"), "two looks at PREPARING, one at RUNNING");
    assert!(size > 0);
    bench.finish().await;
}

#[rstest]
#[case(DownloadStatus::Failed, "could not be made (FAILED)")]
#[case(DownloadStatus::Killed, "was ended by GBIF's system (KILLED)")]
#[case(DownloadStatus::Cancelled, "was cancelled (CANCELLED)")]
#[case(DownloadStatus::FileErased, "has no file any more (FILE_ERASED)")]
#[tokio::test]
async fn every_other_end_fails_the_harvest_with_its_words(#[case] status: DownloadStatus, #[case] words: &str) {
    let bench = start(&[]).await;
    let (id, key) = preparing(&bench).await;
    assert!(bench.sandbox.set_status(&key, status));
    let harvest = polled(&bench, id).await;
    assert_eq!(harvest.state, State::Failed);
    assert!(harvest.reason.as_deref().unwrap().contains(words), "{:?}", harvest.reason);
    bench.finish().await;
}

/// What the row of the download says: key, body, renewals.
async fn asked(bench: &WorkerBench, harvest: Uuid) -> (Option<String>, Value, i32) {
    sqlx::query_as("SELECT key, body, renewals FROM passereau.download WHERE harvest_id = $1")
        .bind(harvest)
        .fetch_one(bench.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_poll_that_sees_a_cancellation_before_the_database_does_leaves_the_harvest_alone() {
    let bench = start(&[]).await;
    let (id, key) = preparing(&bench).await;
    assert!(bench.sandbox.set_status(&key, DownloadStatus::Cancelled));
    // The requester begins, and the poll is under way before anybody sees that: however long GBIF's answer takes to be read.
    let mut beginning = bench.pool().begin().await.unwrap();
    passereau_harvest::pause(&mut beginning, id, Some("it is being cancelled")).await.unwrap();
    bench.send(&DownloadPoll { harvest_id: id }).await;
    wait_until("the poll", SOON, async || (bench.sandbox.calls(Route::DownloadStatus) == 1).then_some(())).await;
    beginning.commit().await.unwrap();
    let parked = "SELECT count(*) FROM passereau.outbox WHERE routing_key = 'download.poll' AND due_at = 'infinity'";
    wait_until("the poll put aside", SOON, async || {
        let parked: i64 = sqlx::query_scalar(parked).fetch_one(bench.pool()).await.unwrap();
        (parked == 1).then_some(())
    })
    .await;
    assert_eq!(bench.find(id).await.unwrap().state, State::Preparing);
    // Nobody cancels it after all: then GBIF's word counts.
    let mut connection = bench.pool().acquire().await.unwrap();
    passereau_harvest::resume(&mut connection, id).await.unwrap();
    bench.reaches(id, State::Failed).await;
    drop(connection);
    bench.finish().await;
}

#[rstest]
#[case(DownloadStatus::Preparing)]
#[case(DownloadStatus::Running)]
#[case(DownloadStatus::Suspended)]
#[tokio::test]
async fn what_takes_too_long_is_cancelled_and_asked_for_once_more(#[case] status: DownloadStatus) {
    let bench = start(&["--poll-deadline", "0.2"]).await;
    let (id, key) = preparing(&bench).await;
    bench.sandbox.set_status(&key, status);
    let harvest = polled(&bench, id).await;
    assert_eq!(harvest.state, State::Requesting, "it keeps its place");
    let cancelled = bench.sandbox.downloads().iter().all(|download| download.status == DownloadStatus::Cancelled);
    assert!(cancelled && bench.sandbox.calls(Route::CancelDownload) == 1);
    let (key, body, renewals) = asked(&bench, id).await;
    assert_eq!((key, renewals), (None, 1));
    assert_eq!(body["predicate"]["type"], "and", "in other words: GBIF might give the old download back");
    bench.finish().await;
}

#[tokio::test]
async fn what_takes_too_long_twice_fails_the_harvest_with_words() {
    let bench = start(&["--poll-deadline", "0.2"]).await;
    let (id, key) = preparing(&bench).await;
    sqlx::query("UPDATE passereau.download SET renewals = 1").execute(bench.pool()).await.unwrap();
    bench.sandbox.set_status(&key, DownloadStatus::Running);
    let harvest = polled(&bench, id).await;
    let reason = harvest.reason.unwrap();
    assert_eq!(harvest.state, State::Failed);
    for words in ["still RUNNING at its deadline", "asked for 2 times", "PASSEREAU_POLL_DEADLINE_S"] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(bench.sandbox.calls(Route::CancelDownload), 1);
    bench.finish().await;
}

#[tokio::test]
async fn a_download_that_another_harvest_waits_for_is_not_cancelled_at_the_deadline_of_one() {
    let bench = start(&["--poll-deadline", "0.2"]).await;
    let (id, key) = preparing(&bench).await;
    let (_, same) = preparing(&bench).await;
    assert_eq!(key, same);
    bench.sandbox.set_status(&key, DownloadStatus::Running);
    assert_eq!(polled(&bench, id).await.state, State::Requesting);
    assert_eq!(bench.sandbox.calls(Route::CancelDownload), 0);
    bench.finish().await;
}

#[tokio::test]
async fn a_download_that_a_request_named_fails_at_its_deadline_and_is_left_alone() {
    let bench = start(&["--poll-deadline", "0.2"]).await;
    let (id, key) = preparing(&bench).await;
    sqlx::query("UPDATE passereau.harvest SET account = NULL").execute(bench.pool()).await.unwrap();
    bench.sandbox.set_status(&key, DownloadStatus::Running);
    assert_eq!(polled(&bench, id).await.state, State::Failed);
    assert_eq!(bench.sandbox.calls(Route::CancelDownload), 0);
    bench.finish().await;
}

#[tokio::test]
async fn a_pause_does_not_count_against_the_deadline() {
    let bench = start(&[]).await;
    let (id, _) = preparing(&bench).await;
    let shift = "UPDATE passereau.download SET deadline_at = now() + interval '1 minute';
                 UPDATE passereau.harvest SET paused_at = now() - interval '3 hours'";
    sqlx::raw_sql(shift).execute(bench.pool()).await.unwrap();
    bench.send(&DownloadPoll { harvest_id: id }).await;
    wait_until("a parked look", SOON, async || {
        let parked = "SELECT true FROM passereau.outbox WHERE due_at = 'infinity'";
        sqlx::query_scalar::<_, bool>(parked).fetch_optional(bench.pool()).await.unwrap()
    })
    .await;
    assert_eq!(bench.sandbox.calls(Route::DownloadStatus), 0);
    let mut tx = bench.pool().begin().await.unwrap();
    passereau_harvest::resume(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    let harvest = bench.reaches(id, State::Fetching).await;
    assert_eq!(harvest.paused_at, None);
    let later: bool = sqlx::query_scalar("SELECT deadline_at > now() + interval '3 hours' FROM passereau.download")
        .fetch_one(bench.pool())
        .await
        .unwrap();
    assert!(later);
    bench.finish().await;
}

#[tokio::test]
async fn an_absent_gbif_is_waited_for_and_its_wishes_are_kept() {
    let bench = start(&[]).await;
    let (id, _) = preparing(&bench).await;
    let wish = Scripted::answer(429, "[]").with_header("retry-after", "77");
    bench.sandbox.script(Route::DownloadStatus, [Scripted::answer(503, "maintenance"), Scripted::Reset, wish]);
    bench.send(&DownloadPoll { harvest_id: id }).await;
    bench.waits("download.poll", 60.0).await;
    assert_eq!(bench.find(id).await.unwrap().state, State::Preparing);
    let attempt: i32 = sqlx::query_scalar("SELECT attempt FROM passereau.outbox WHERE routing_key = 'download.poll'")
        .fetch_one(bench.pool())
        .await
        .unwrap();
    assert_eq!(attempt, 0, "waiting costs nothing");
    bench.finish().await;
}

#[tokio::test]
async fn html_instead_of_json_ends_as_a_dead_letter_that_names_it() {
    let bench = start(&[]).await;
    let (id, _) = preparing(&bench).await;
    bench.sandbox.script(Route::DownloadStatus, vec![Scripted::html(200); 8]);
    let harvest = polled(&bench, id).await;
    assert_eq!(harvest.state, State::Failed);
    assert!(bench.dead_letter().await.contains("with an HTML page instead of JSON"));
    bench.finish().await;
}

#[tokio::test]
async fn a_status_between_forgives_broken_answers() {
    let bench = start(&[]).await;
    let (id, _) = preparing(&bench).await;
    let broken = || vec![Scripted::html(200); 3].into_iter();
    // Two looks at PREPARING and one at RUNNING between twelve broken answers, of which eight in a row would be too many.
    let pass = || std::iter::once(Scripted::Pass);
    let script = broken().chain(pass()).chain(broken()).chain(pass()).chain(broken()).chain(pass()).chain(broken());
    bench.sandbox.script(Route::DownloadStatus, script);
    assert_eq!(polled(&bench, id).await.state, State::Fetching);
    assert_eq!(bench.sandbox.calls(Route::DownloadStatus), 16);
    bench.finish().await;
}

#[tokio::test]
async fn the_deadline_is_the_databases() {
    let bench = start(&[]).await;
    let (id, key) = preparing(&bench).await;
    bench.sandbox.set_status(&key, DownloadStatus::Running);
    sqlx::query("UPDATE passereau.download SET deadline_at = now() - interval '1 millisecond' WHERE harvest_id = $1")
        .bind(id)
        .execute(bench.pool())
        .await
        .unwrap();
    let harvest = polled(&bench, id).await;
    assert_eq!((harvest.state, bench.sandbox.calls(Route::DownloadStatus)), (State::Requesting, 1));
    bench.finish().await;
}
