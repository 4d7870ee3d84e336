//! The enricher as a process: batches, answers that are kept, outages.
#![allow(clippy::unwrap_used, reason = "tests")]

use clap::Parser;
use passereau_contracts::InatEnrich;
use passereau_harvest::pace::{Failure, Limits, Turn, failed, take};
use passereau_harvest::{Stage, State, fan_out};
use passereau_http::{SANDBOX_HOSTS, SANDBOX_NETWORKS};
use passereau_inat_enricher::{Enricher, EnricherConfig};
use passereau_sandbox::{Route, Scripted, inaturalist::exists, inaturalist_login, inaturalist_uuid};
use passereau_testing::{WorkerBench, wait_past_midnight};
use std::time::Duration;
use uuid::Uuid;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    enricher: EnricherConfig,
}

async fn start(arguments: &[&str]) -> WorkerBench {
    let mut bench = WorkerBench::new().await;
    let url = bench.sandbox.inaturalist_url.clone();
    start_at(&mut bench, &url, arguments).await;
    bench
}

/// The enricher with another iNaturalist than the sandbox's.
async fn start_at(bench: &mut WorkerBench, url: &str, arguments: &[&str]) {
    let fixed = [
        "test",
        "--user-agent",
        "passereau-test/1 (test@example.org)",
        "--http-hosts",
        SANDBOX_HOSTS,
        "--http-private-networks",
        SANDBOX_NETWORKS,
        "--inaturalist-url",
        url,
        "--inaturalist-interval",
        "0.001",
    ];
    let cli = Cli::parse_from(fixed.iter().chain(arguments));
    bench.run(Enricher::new(&cli.enricher).unwrap()).await;
}

/// Some ids that exist in the sandbox.
fn existing(count: usize) -> Vec<i64> {
    (300_000_000..).filter(|id| exists(*id)).take(count).collect()
}

/// A harvest with these batches.
async fn enriching(bench: &WorkerBench, batches: &[&[i64]]) -> Uuid {
    let id = bench.harvest(State::Enriching, None, None).await;
    batches_of(bench, id, batches).await
}

/// These batches for a harvest that has none yet.
async fn batches_of(bench: &WorkerBench, id: Uuid, batches: &[&[i64]]) -> Uuid {
    let mut tx = bench.pool().begin().await.unwrap();
    for (ordinal, ids) in batches.iter().enumerate() {
        sqlx::query(
            "INSERT INTO passereau.slice (harvest_id, stage, ordinal, ids, records) VALUES ($1, 'enrich', $2, $3, $4)",
        )
        .bind(id)
        .bind(ordinal as i32)
        .bind(ids)
        .bind(ids.len() as i32)
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    fan_out(&mut tx, id, Stage::Enrich).await.unwrap();
    tx.commit().await.unwrap();
    for batch in 0..batches.len() {
        bench.send(&InatEnrich { harvest_id: id, batch: batch as u32 }).await;
    }
    id
}

async fn answers(bench: &WorkerBench) -> Vec<(i64, Option<Uuid>, bool)> {
    sqlx::query_as(
        "SELECT id_inaturalist, uuid, absent_since IS NOT NULL FROM pinv_gbif.cor_uuid_inaturalist
         ORDER BY id_inaturalist",
    )
    .fetch_all(bench.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn answers_are_kept_and_the_last_batch_sends_the_plan() {
    let bench = start(&[]).await;
    let ids = existing(3);
    bench.sandbox.hide_observation(ids[1]);
    let first = enriching(&bench, &[&ids[..2], &ids[2..]]).await;
    bench.reaches(first, State::Planning).await;
    let expected = vec![
        (ids[0], Some(inaturalist_uuid(ids[0])), false),
        (ids[1], None, true),
        (ids[2], Some(inaturalist_uuid(ids[2])), false),
    ];
    assert_eq!(answers(&bench).await, expected);
    let calls = bench.sandbox.calls(Route::Observations);
    assert_eq!(calls, 2);

    // Nobody is asked again: not for what is known, and not so soon for what is absent.
    let second = enriching(&bench, &[&ids]).await;
    bench.reaches(second, State::Planning).await;
    assert_eq!((bench.sandbox.calls(Route::Observations), answers(&bench).await), (calls, expected));
    bench.finish().await;
}

#[tokio::test]
async fn an_absent_observation_is_asked_again_after_a_while() {
    let bench = start(&["--inaturalist-absent-again", "0.001"]).await;
    let ids = existing(1);
    bench.sandbox.hide_observation(ids[0]);
    let first = enriching(&bench, &[&ids]).await;
    bench.reaches(first, State::Planning).await;
    bench.sandbox.show_observation(ids[0]);
    let second = enriching(&bench, &[&ids]).await;
    bench.reaches(second, State::Planning).await;
    assert_eq!(answers(&bench).await, vec![(ids[0], Some(inaturalist_uuid(ids[0])), false)]);
    bench.finish().await;
}

#[tokio::test]
async fn a_large_batch_takes_several_calls() {
    let bench = start(&[]).await;
    let ids = existing(450);
    let harvest = enriching(&bench, &[&ids]).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!((answers(&bench).await.len(), bench.sandbox.calls(Route::Observations)), (450, 3));
    bench.finish().await;
}

#[tokio::test]
async fn an_outage_ends_with_the_harvest_going_on() {
    let bench = start(&["--inaturalist-attempts", "3"]).await;
    let ids = existing(2);
    let outage = [Scripted::html(502), Scripted::Truncate { after_bytes: 20 }, Scripted::answer(500, "{}")];
    bench.sandbox.script(Route::Observations, outage);
    let harvest = enriching(&bench, &[&ids]).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!((answers(&bench).await, bench.sandbox.calls(Route::Observations)), (vec![], 3));
    bench.finish().await;
}

#[tokio::test]
async fn too_many_calls_put_the_whole_fleet_off() {
    let bench = start(&[]).await;
    bench.sandbox.script(Route::Observations, [Scripted::html(429)]);
    enriching(&bench, &[&existing(1)]).await;
    bench.waits("inat.enrich", 50.0).await;
    let seconds: f64 = sqlx::query_scalar("SELECT extract(epoch FROM next_at - now())::float8 FROM passereau.pace")
        .fetch_one(bench.pool())
        .await
        .unwrap();
    assert!(seconds > 40.0, "{seconds}");
    bench.finish().await;
}

#[tokio::test]
async fn the_days_budget_is_kept() {
    wait_past_midnight().await;
    let bench = start(&["--inaturalist-per-day", "1"]).await;
    let ids = existing(2);
    enriching(&bench, &[&ids[..1], &ids[1..]]).await;
    // Until midnight, UTC.
    bench.waits("inat.enrich", 1.0).await;
    assert_eq!(bench.sandbox.calls(Route::Observations), 1);
    bench.finish().await;
}

#[tokio::test]
async fn a_refused_question_fails_the_harvest_by_name() {
    let bench = start(&[]).await;
    bench.sandbox.script(Route::Observations, [Scripted::answer(422, r#"{"status":"422"}"#)]);
    let harvest = enriching(&bench, &[&existing(1)]).await;
    let failed = bench.reaches(harvest, State::Failed).await;
    assert!(failed.reason.as_deref().unwrap().contains("refuses the question (422)"), "{:?}", failed.reason);
    bench.finish().await;
}

#[tokio::test]
async fn a_block_stops_no_other_record() {
    for status in [401, 403, 404] {
        let bench = start(&[]).await;
        let ids = existing(2);
        bench.sandbox.script(Route::Observations, [Scripted::answer(status, "no")]);
        let harvest = enriching(&bench, &[&ids[..1], &ids[1..]]).await;
        bench.reaches(harvest, State::Planning).await;
        assert_eq!((answers(&bench).await.len(), bench.sandbox.calls(Route::Observations)), (1, 2), "{status}");
        bench.finish().await;
    }
}

/// Failures in a row, and calls used of the day.
async fn pace(bench: &WorkerBench) -> (i32, i32) {
    sqlx::query_as("SELECT failures, used FROM passereau.pace").fetch_one(bench.pool()).await.unwrap()
}

#[tokio::test]
async fn an_outage_costs_a_few_calls_and_not_some_for_each_batch() {
    let bench = start(&["--inaturalist-attempts", "3"]).await;
    let ids = existing(20);
    bench.sandbox.script(Route::Observations, vec![Scripted::html(502); 4]);
    let batches: Vec<&[i64]> = ids.chunks(1).collect();
    let harvest = enriching(&bench, &batches).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!(
        (answers(&bench).await, bench.sandbox.calls(Route::Observations), pace(&bench).await),
        (vec![], 3, (3, 3))
    );

    // After the rest one call tries; a failure renews the rest.
    let rested = "UPDATE passereau.pace SET next_at = now()";
    sqlx::query(rested).execute(bench.pool()).await.unwrap();
    let harvest = enriching(&bench, &batches).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!((bench.sandbox.calls(Route::Observations), pace(&bench).await), (4, (4, 4)));

    // A success ends the row, and everybody asks again.
    sqlx::query(rested).execute(bench.pool()).await.unwrap();
    let harvest = enriching(&bench, &batches).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!((answers(&bench).await.len(), pace(&bench).await), (20, (0, 24)));
    bench.finish().await;
}

#[tokio::test]
async fn a_call_that_never_arrived_uses_nothing_of_the_day() {
    let mut bench = WorkerBench::new().await;
    start_at(&mut bench, "http://127.0.0.1:1", &["--inaturalist-attempts", "2"]).await;
    let harvest = enriching(&bench, &[&existing(1)]).await;
    bench.reaches(harvest, State::Planning).await;
    assert_eq!(pace(&bench).await, (2, 0));
    bench.finish().await;
}

#[tokio::test]
async fn calls_under_way_together_count_as_one_failure() {
    let bench = WorkerBench::new().await;
    let mut connection = bench.pool().acquire().await.unwrap();
    let limits = Limits {
        interval: Duration::from_secs(1),
        per_day: 10,
        horizon: Duration::from_secs(15),
        most_failures: 2,
        rest: Duration::from_secs(600),
    };
    for _ in 0..3 {
        let turn = take(&mut connection, "x", &limits).await.unwrap();
        assert!(matches!(turn, Turn::After { failures: 0, .. }), "{turn:?}");
    }
    let failure = |failures, never_arrived| Failure { failures, asked: None, never_arrived };
    for never_arrived in [false, true, false] {
        assert_eq!(failed(&mut connection, "x", &limits, &failure(0, never_arrived)).await.unwrap(), 1);
    }
    assert_eq!(pace(&bench).await, (1, 2));
    assert!(matches!(take(&mut connection, "x", &limits).await.unwrap(), Turn::After { failures: 1, .. }));
    assert_eq!(failed(&mut connection, "x", &limits, &failure(1, false)).await.unwrap(), 2);
    assert_eq!(take(&mut connection, "x", &limits).await.unwrap(), Turn::Resting);
    drop(connection);
    bench.finish().await;
}

async fn logins(bench: &WorkerBench) -> Vec<(i64, Option<String>)> {
    sqlx::query_as("SELECT id_inaturalist, login FROM pinv_gbif.cor_login_inaturalist ORDER BY 1")
        .fetch_all(bench.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn accounts_are_asked_for_only_where_a_subscription_wants_them_and_those_erased_stay_away() {
    let bench = start(&[]).await;
    let ids = existing(3);
    bench.sandbox.hide_observation(ids[2]);
    let first = enriching(&bench, &[&ids]).await;
    bench.reaches(first, State::Planning).await;
    assert_eq!(logins(&bench).await, []);

    sqlx::query("INSERT INTO passereau.erasure (digest) SELECT unnest(passereau.erasure_digests(ARRAY[$1]))")
        .bind(inaturalist_login(ids[1]).to_uppercase())
        .execute(bench.pool())
        .await
        .unwrap();
    let second = bench.harvest(State::Enriching, None, None).await;
    sqlx::query("UPDATE passereau.harvest SET settings = '{\"observers\": \"login\"}' WHERE id = $1")
        .bind(second)
        .execute(bench.pool())
        .await
        .unwrap();
    let second = batches_of(&bench, second, &[&ids]).await;
    bench.reaches(second, State::Planning).await;
    let expected = [(ids[0], Some(inaturalist_login(ids[0]))), (ids[1], None), (ids[2], None)];
    assert_eq!(logins(&bench).await, expected);
    let calls = bench.sandbox.calls(Route::Observations);

    // Nobody is asked twice, erased or absent.
    let third = bench.harvest(State::Enriching, None, None).await;
    sqlx::query("UPDATE passereau.harvest SET settings = '{\"observers\": \"login\"}' WHERE id = $1")
        .bind(third)
        .execute(bench.pool())
        .await
        .unwrap();
    let third = batches_of(&bench, third, &[&ids]).await;
    bench.reaches(third, State::Planning).await;
    assert_eq!((bench.sandbox.calls(Route::Observations), logins(&bench).await.len()), (calls, 3));
    bench.finish().await;
}
