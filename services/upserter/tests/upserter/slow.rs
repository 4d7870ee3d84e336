//! Slices and chunks that take longer than a transaction may, in a real worker's process.

use crate::platform::{Platform, Record, record};
use clap::Parser;
use passereau_contracts::{HarvestPlan, SyntheseUpsert};
use passereau_harvest::State;
use passereau_testing::{SOON, WorkerBench, wait_until};
use passereau_upserter::{Upserter, UpserterConfig};
use serde_json::json;
use sqlx::types::Uuid;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    upserter: UpserterConfig,
}

/// An upserter over the platform's database.
pub async fn worker(platform: Platform, arguments: &[&str]) -> WorkerBench {
    let mut bench = WorkerBench::on(platform.into_database()).await;
    let cli = Cli::parse_from(["test", "--reconvert-seconds", "0"].iter().chain(arguments));
    bench.run(Upserter::new(&cli.upserter)).await;
    bench
}

/// Makes every new row of the synthèse whose remarks say so take this long.
async fn slow_rows(platform: &Platform, seconds: f64) {
    platform
        .execute(&format!(
            "CREATE FUNCTION public.be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$;
             CREATE TRIGGER be_slow BEFORE INSERT ON gn_synthese.synthese
                 FOR EACH ROW WHEN (NEW.comment_description LIKE '%slow%') EXECUTE FUNCTION public.be_slow()"
        ))
        .await;
}

fn slow(gbif_id: i64) -> Record {
    record(gbif_id).with("occurrence_remarks", json!("slow"))
}

async fn slices(bench: &WorkerBench, harvest: Uuid) -> Vec<(i32, i64, i64, i32, i32, bool)> {
    sqlx::query_as(
        "SELECT ordinal, first_gbif_id, last_gbif_id, records, inserted, done_at IS NOT NULL
         FROM passereau.slice WHERE harvest_id = $1 ORDER BY first_gbif_id",
    )
    .bind(harvest)
    .fetch_all(bench.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn a_slice_that_takes_too_long_is_cut_until_it_fits() {
    let platform = Platform::new().await;
    slow_rows(&platform, 0.05).await;
    let harvest = platform.land("one", &(1..=60).map(slow).collect::<Vec<_>>()).await;
    let bench = worker(platform, &["--transaction-s", "1"]).await;
    bench.send(&HarvestPlan { harvest_id: harvest }).await;
    let done = wait_until("the end of the harvest", SOON * 3, async || {
        bench.find(harvest).await.filter(|harvest| harvest.state >= State::Completed)
    })
    .await;
    assert_eq!(done.state, State::Completed, "{:?}", done.reason);
    assert_eq!((done.counts.landed, done.counts.inserted, done.slices_left), (60, 60, 0));
    let slices = slices(&bench, harvest).await;
    assert!(slices.len() >= 4, "three seconds of work: {slices:?}");
    assert!(slices.iter().all(|slice| slice.3 == slice.4 && slice.5), "{slices:?}");
    assert_eq!(slices.iter().map(|slice| slice.3).sum::<i32>(), 60);
    bench.finish().await;
}

#[tokio::test]
async fn a_record_that_alone_takes_too_long_is_a_dead_letter_that_names_it_and_the_others_enter() {
    let platform = Platform::new().await;
    slow_rows(&platform, 30.0).await;
    let harvest = platform.land("one", &[record(1), record(2), slow(3), record(4)]).await;
    // Another record that takes so long once is tried again; this one does eight times.
    let bench = worker(platform, &["--transaction-s", "2"]).await;
    bench.send(&HarvestPlan { harvest_id: harvest }).await;
    let failed = wait_until("the end of the harvest", SOON * 3, async || {
        bench.find(harvest).await.filter(|harvest| harvest.state >= State::Completed)
    })
    .await;
    let error = bench.dead_letter().await;
    assert!(error.contains("which holds one record") && error.contains("PASSEREAU_TRANSACTION_S"), "{error}");
    assert_eq!((failed.state, failed.counts.inserted, failed.slices_left), (State::Failed, 3, 1));
    bench.finish().await;
}

#[tokio::test]
async fn what_was_too_long_once_is_not_tried_again_in_that_size() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &(1..=60).map(record).collect::<Vec<_>>()).await;
    platform.execute("UPDATE passereau.harvest SET slice_limit = 20").await;
    let bench = worker(platform, &[]).await;
    bench.send(&HarvestPlan { harvest_id: harvest }).await;
    let done = bench.reaches(harvest, State::Completed).await;
    assert_eq!(done.counts.inserted, 60);
    let sizes: Vec<i32> = slices(&bench, harvest).await.iter().map(|slice| slice.3).collect();
    assert_eq!(sizes, [15, 15, 15, 15]);
    bench.finish().await;
}

#[tokio::test]
async fn a_slice_that_waits_for_another_session_is_not_cut() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1), record(2)]).await;
    let bench = worker(platform, &["--transaction-s", "10"]).await;
    let mut other = bench.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE gn_synthese.synthese IN SHARE MODE").execute(&mut *other).await.unwrap();
    bench.send(&HarvestPlan { harvest_id: harvest }).await;
    bench.waits("synthese.upsert", 5.0).await;
    other.rollback().await.unwrap();
    sqlx::query("UPDATE passereau.outbox SET due_at = now()").execute(bench.pool()).await.unwrap();
    let done = bench.reaches(harvest, State::Completed).await;
    assert_eq!((done.counts.inserted, slices(&bench, harvest).await.len()), (2, 1));
    bench.finish().await;
}

#[tokio::test]
async fn a_step_of_the_plan_that_takes_too_long_is_halved() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &(1..=2500).map(record).collect::<Vec<_>>()).await;
    platform
        .execute(
            "CREATE FUNCTION public.be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF (SELECT count(*) FROM added) > 1000 THEN PERFORM pg_sleep(60); END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER be_slow AFTER INSERT ON passereau.plan REFERENCING NEW TABLE AS added
                 FOR EACH STATEMENT EXECUTE FUNCTION public.be_slow()",
        )
        .await;
    let bench = worker(platform, &["--transaction-s", "5", "--plan-chunk-records", "4000"]).await;
    bench.send(&HarvestPlan { harvest_id: harvest }).await;
    let planned = wait_until("the plan", SOON * 2, async || {
        bench.find(harvest).await.filter(|harvest| harvest.state > State::Planning)
    })
    .await;
    assert_eq!(planned.reason, None);
    let limit: i32 = sqlx::query_scalar("SELECT plan_limit FROM passereau.harvest WHERE id = $1")
        .bind(harvest)
        .fetch_one(bench.pool())
        .await
        .unwrap();
    assert_eq!(limit, 1000);
    assert_eq!(slices(&bench, harvest).await.iter().map(|slice| slice.3).sum::<i32>(), 2500);
    bench.finish().await;
}

#[tokio::test]
async fn a_slice_that_is_sent_twice_while_it_is_cut_is_written_once() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &(1..=40).map(record).collect::<Vec<_>>()).await;
    platform.execute("UPDATE passereau.harvest SET slice_limit = 20").await;
    let bench = worker(platform, &[]).await;
    bench.send(&HarvestPlan { harvest_id: harvest }).await;
    for slice in [0, 1, 0] {
        bench.send(&SyntheseUpsert { harvest_id: harvest, slice }).await;
    }
    let done = bench.reaches(harvest, State::Completed).await;
    assert_eq!((done.counts.inserted, done.slices_left), (40, 0));
    bench.finish().await;
}

#[tokio::test]
async fn a_plan_that_meets_a_cancellation_ends_without_a_row() {
    let platform = Platform::new().await;
    let first = platform.land("one", &(1..=30).map(record).collect::<Vec<_>>()).await;
    platform.run(first).await;
    platform.execute("UPDATE pinv_gbif.setting SET value = '1850-01-01' WHERE name = 'oldest_date'").await;
    // A reconversion: its generation stays whatever becomes of it.
    let mut tx = platform.pool.begin().await.unwrap();
    let harvest = passereau_harvest::reconvert(&mut tx, "one", "the test says so").await.unwrap().unwrap();
    sqlx::query("DELETE FROM passereau.outbox").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    platform.execute("UPDATE passereau.written SET place_hash = gen_random_uuid()").await;
    let mut cancelling = platform.pool.begin().await.unwrap();
    assert!(passereau_harvest::cancel(&mut cancelling, harvest, "cancelled").await.unwrap());
    let bench = worker(platform, &["--plan-chunk-records", "10"]).await;
    bench.send(&HarvestPlan { harvest_id: harvest }).await;
    wait_until("the plan at the lock", SOON, async || {
        let waiting = "SELECT true FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event = 'advisory' AND query LIKE '%passereau.hold(%'";
        sqlx::query_scalar::<_, bool>(waiting).fetch_optional(bench.pool()).await.unwrap()
    })
    .await;
    cancelling.commit().await.unwrap();
    // The worker goes on with others.
    let letters = "SELECT (SELECT count(*) FROM passereau.dead_letter) + (SELECT count(*) FROM passereau.plan)";
    wait_until("the end of the plan", SOON, async || {
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%passereau.hold(%' AND state <> 'idle'";
        (sqlx::query_scalar::<_, i64>(busy).fetch_one(bench.pool()).await.unwrap() == 1).then_some(())
    })
    .await;
    assert_eq!(sqlx::query_scalar::<_, i64>(letters).fetch_one(bench.pool()).await.unwrap(), 0);
    bench.finish().await;
}
