//! A rolling restart of all workers, again and again, during one large harvest.
//!
//! Each process is asked to end (SIGTERM), drains at a boundary within its grace, and is started again. No slice is worked on more
//! often than there are slices and restarts of the upserter: PostgreSQL itself counts the calls of `passereau.apply`.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use passereau_harvest::State;
use passereau_sandbox::generate::{GenerateOptions, generate};
use passereau_tests::Fleet;
use sqlx::AssertSqlSafe;

use crate::{
    case::{self, Stage},
    outcome::left_over,
};

/// Records of the archive, unless `PASSEREAU_ROLLING_RECORDS` says otherwise.
const RECORDS: u64 = 20_000;

/// Restarts everything once in each of these.
const STATES: [State; 4] = [State::Loading, State::Enriching, State::Planning, State::Upserting];

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
    let mut config = case::config(stage).await?;
    config.sandbox.archives = vec![archive];
    config.environment.push(("PASSEREAU_INATURALIST_INTERVAL_S", "0.002".to_owned()));
    let (database, _) = config.prepared.as_ref().context("there is no database")?;
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&database.pool).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("ALTER DATABASE \"{name}\" SET track_functions = 'all'")))
        .execute(&database.pool)
        .await?;

    let mut fleet = Fleet::start(config).await?;
    let started = Instant::now();
    let id = fleet.submit(&case::request()).await?;
    let mut rounds = 0;
    for state in STATES {
        case::reached(&mut fleet, id, state).await?;
        fleet.restart_rolling().await?;
        rounds += 1;
    }
    // Every ten thousand records once more.
    let pool = fleet.database.pool.clone();
    let mut left = slices_left(&pool).await?;
    let harvest = loop {
        let harvest = fleet.harvest(id).await?.context("the harvest is gone")?;
        if !harvest.state.is_alive() {
            break harvest;
        }
        let now_left = slices_left(&pool).await?;
        if now_left < left {
            left = now_left;
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
    let slices: i64 =
        sqlx::query_scalar("SELECT count(*) FROM passereau.slice WHERE stage = 'upsert'").fetch_one(&pool).await?;
    let attempts: i64 = sqlx::query_scalar(
        "SELECT COALESCE(sum(calls), 0)::bigint FROM pg_stat_user_functions WHERE schemaname = 'passereau' AND funcname = 'apply'",
    )
    .fetch_one(&pool)
    .await?;
    let took = started.elapsed().as_secs();
    fleet.stop().await?;
    ensure!(attempts >= slices, "{attempts} attempts were counted for {slices} slices: PostgreSQL did not count");
    ensure!(
        attempts <= slices + rounds,
        "{attempts} attempts for {slices} slices and {rounds} restarts of each worker"
    );
    Ok(format!(
        "rolling restart: {records} records, {rounds} restarts of each worker, {slices} slices, {attempts} attempts, {} inserted, {took} s",
        counts.inserted
    ))
}

async fn slices_left(pool: &sqlx::PgPool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM passereau.slice WHERE stage = 'upsert' AND done_at IS NULL")
        .fetch_one(pool)
        .await?)
}
