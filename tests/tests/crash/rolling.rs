//! A rolling restart of all workers, again and again, during one large harvest.
//!
//! Each process is asked to end (SIGTERM), drains at a boundary within its grace, and is started again. Slices are worked on no more often than there
//! are slices, and restarts of the upserter while it does them: PostgreSQL itself counts the calls of `passereau.apply`.
//!
//! On a fast machine the harvest must not have ended before it could be disturbed: its plan waits for an approval until the restarts before its slices
//! are done, and the platform's own triggers are as slow as those of a large synthèse ([`slow_down`]).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use passereau_contracts::HarvestRequest;
use passereau_harvest::State;
use passereau_sandbox::generate::{GenerateOptions, generate};
use passereau_tests::Fleet;
use sqlx::AssertSqlSafe;

use crate::{
    case::{self, Stage},
    outcome::left_over,
    way::{Way, approve, request},
};

/// Records of the archive, unless `PASSEREAU_ROLLING_RECORDS` says otherwise.
const RECORDS: u64 = 10_000;
/// Records of a slice, so that there are more slices than restarts, and ids of a batch.
const SLICE_RECORDS: u32 = 500;
const BATCH_IDS: u32 = 200;
/// Restarts while slices are done, besides the one that begins it.
const QUARTERS: i64 = 4;
/// How much longer each slice takes.
const SLOW: Duration = Duration::from_secs(1);

/// Restarts everything once in each of these; a state that was passed meanwhile is followed by the next, and the last one waits for us.
const STATES: [State; 3] = [State::Loading, State::Enriching, State::AwaitingApproval];

/// Each slice takes so much longer, in a trigger of the platform.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn slow_down(pool: &sqlx::PgPool, by: Duration) -> Result<()> {
    let sql = format!(
        "CREATE FUNCTION gn_synthese.tri_slow() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_sleep({}); RETURN NULL; END $$;
         CREATE TRIGGER tri_slow BEFORE INSERT ON gn_synthese.synthese FOR EACH STATEMENT EXECUTE FUNCTION gn_synthese.tri_slow()",
        by.as_secs_f64()
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.context("slowing the platform's triggers")?;
    Ok(())
}

/// Runs it, and gives a line of figures.
///
/// # Errors
/// The harvest fails, a process does not end in good order, something is left, or a slice was worked on too often.
pub async fn run(stage: &Stage) -> Result<String> {
    let records = match std::env::var("PASSEREAU_ROLLING_RECORDS") {
        Ok(text) => text.parse().context("PASSEREAU_ROLLING_RECORDS is no number")?,
        Err(_) => RECORDS,
    };
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("rolling.zip");
    generate(&GenerateOptions { records, seed: 11, revision: 1 }, &archive)?;
    let mut config = case::config(stage, Way::Straight).await?;
    config.sandbox.archives = vec![archive];
    config.environment.push(("PASSEREAU_INATURALIST_INTERVAL_S", "0.002".to_owned()));
    let (database, _) = config.prepared.as_ref().context("there is no database")?;
    case::set(&database.pool, "slice_records", SLICE_RECORDS).await?;
    case::set(&database.pool, "batch_ids", BATCH_IDS).await?;
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&database.pool).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("ALTER DATABASE \"{name}\" SET track_functions = 'all'")))
        .execute(&database.pool)
        .await?;
    slow_down(&database.pool, SLOW).await?;

    let mut fleet = Fleet::start(config).await?;
    let started = Instant::now();
    let id = fleet.submit(&HarvestRequest { plan: true, ..request() }).await?;
    for state in STATES {
        case::reached(&mut fleet, id, state).await?;
        fleet.restart_rolling().await?;
    }
    approve(&fleet, id).await?;
    // Once more in each quarter of the slices; only these restarts can cost an attempt.
    case::reached(&mut fleet, id, State::Upserting).await?;
    let pool = fleet.database.pool.clone();
    let slices: i64 =
        sqlx::query_scalar("SELECT count(*) FROM passereau.slice WHERE stage = 'upsert'").fetch_one(&pool).await?;
    let (mut rounds, mut due) = (0, slices);
    let harvest = loop {
        let harvest = fleet.harvest(id).await?.context("the harvest is gone")?;
        if !harvest.state.is_alive() {
            break harvest;
        }
        let left = slices_left(&pool).await?;
        if left > 0 && left <= due {
            due = left - slices / QUARTERS;
            fleet.restart_rolling().await?;
            rounds += 1;
        }
        tokio::time::sleep(case::LOOK_EVERY).await;
    };
    ensure!(harvest.state == State::Completed, "the harvest is {}: {:?}", harvest.state, harvest.reason);
    let counts = harvest.counts;
    ensure!(counts.read == i64::try_from(records)?, "{} records were read of {records}", counts.read);
    case::nothing_left(&mut fleet).await?;
    ensure!(left_over(&fleet, &pool).await?.is_none(), "something is left");
    // PostgreSQL counts a worker's calls when its session has ended, at the latest.
    fleet.end_workers().await?;
    let sessions =
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename <> current_user)";
    case::until("the end of the workers' sessions", async || {
        Ok(!sqlx::query_scalar::<_, bool>(sessions).fetch_one(&pool).await?)
    })
    .await?;
    let attempts: i64 = sqlx::query_scalar(
        "SELECT COALESCE(sum(calls), 0)::bigint FROM pg_stat_user_functions WHERE schemaname = 'passereau' AND funcname = 'apply'",
    )
    .fetch_one(&pool)
    .await?;
    let before = i64::try_from(STATES.len())?;
    let took = started.elapsed().as_secs();
    fleet.stop().await?;
    ensure!(rounds > 1 && slices > rounds, "{rounds} restarts while {slices} slices were done prove nothing");
    ensure!(attempts >= slices, "{attempts} attempts were counted for {slices} slices: PostgreSQL did not count");
    ensure!(
        attempts <= slices + rounds,
        "{attempts} attempts for {slices} slices and {rounds} restarts of each worker meanwhile"
    );
    Ok(format!(
        "rolling restart: {records} records, {} restarts of each worker, {rounds} of them during {slices} slices, {attempts} attempts, {} inserted, {took} s",
        rounds + before,
        counts.inserted
    ))
}

async fn slices_left(pool: &sqlx::PgPool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM passereau.slice WHERE stage = 'upsert' AND done_at IS NULL")
        .fetch_one(pool)
        .await?)
}
