//! `make bench-scale`: how much faster 2, 4 and 8 processes of the loader and of the upserter are than one, on one RabbitMQ and one PostgreSQL.
//!
//! Archives lie in a bucket of the S3 kind and each process has scratch space of its own, as on hosts that share no folder. Loaders: as many
//! subscriptions as the most processes, an archive each, from the first message to the last archive landed. Upserters: the slices of one of these
//! harvests, from the first to the last. Both in the same run for each number of processes, on a fresh copy of one database, so that what is compared is
//! the number alone. GBIF and iNaturalist are stand-ins; the records name no observation that would have to be asked for.
//!
//! `PASSEREAU_BENCH_RECORDS` changes the number of records of each archive from 10,000. What more processes can bring ends with the processors of the
//! machine, which PostgreSQL needs as well; the last line says how many there were.

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use passereau_contracts::HarvestRequest;
use passereau_harvest::State;
use passereau_sandbox::{
    SandboxConfig,
    generate::{GenerateOptions, generate},
};
use passereau_testing::servers::{Platform, Wanted};
use passereau_tests::{Bucket, Fleet, FleetConfig, Prepared, program};
use sqlx::PgPool;
use uuid::Uuid;

const PROCESSES: [usize; 4] = [1, 2, 4, 8];
/// Harvests that are loaded side by side.
const HARVESTS: usize = 8;
const RECORDS: u64 = 10_000;
/// Small enough for eight processes to have work.
const SLICE_RECORDS: u32 = 500;
const PATIENCE: Duration = Duration::from_secs(900);

#[tokio::main]
async fn main() -> Result<()> {
    passereau_broker::install_crypto();
    let records = match env::var("PASSEREAU_BENCH_RECORDS") {
        Ok(text) => text.parse().context("PASSEREAU_BENCH_RECORDS is no number")?,
        Err(_) => RECORDS,
    };
    // Servers of its own: a prepared database goes with them, after its copies.
    let wanted = Wanted { database: true, broker: true, ..Wanted::default() };
    let platform = Platform::start(&program("passereau-platform")?, wanted).await?;
    passereau_testing::use_servers(&platform.addresses);
    let folder = tempfile::tempdir().context("making a folder")?;
    let archive = folder.path().join("generated.zip");
    generate(&GenerateOptions { records, seed: 1, revision: 1 }, &archive)?;
    let bucket = Bucket::start().await?;
    let key = bucket.put_archive(&archive).await?;
    let prepared = Prepared::new(&archive).await?;
    println!("scale: {HARVESTS} archives of {records} records in a bucket; slices of {SLICE_RECORDS} records");
    let mut first: Option<Rates> = None;
    let mut curve = Vec::new();
    for processes in PROCESSES {
        let rates = measure(&prepared, &bucket, &key, &archive, processes).await?;
        let one = *first.get_or_insert(rates);
        println!(
            "scale: {processes} processes: loaders {:.0} records/s ({:.2} of one), upserters {:.0} records/s ({:.2} of one)",
            rates.loaded,
            rates.loaded / one.loaded,
            rates.upserted,
            rates.upserted / one.upserted
        );
        curve.push((processes, rates.loaded / one.loaded, rates.upserted / one.upserted));
    }
    let of = |which: fn(&(usize, f64, f64)) -> f64| {
        let points: Vec<String> = curve.iter().map(|point| format!("{}:{:.2}", point.0, which(point))).collect();
        points.join(",")
    };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!("scale: loader={} upserter={} processors={processors}", of(|point| point.1), of(|point| point.2));
    Ok(())
}

/// Records a second.
#[derive(Clone, Copy, Debug)]
struct Rates {
    loaded: f64,
    upserted: f64,
}

async fn measure(prepared: &Prepared, bucket: &Bucket, key: &str, archive: &Path, processes: usize) -> Result<Rates> {
    let copy = prepared.copy().await;
    let small_slices = format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET passereau.slice_records = {SLICE_RECORDS}', current_database()); END $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(small_slices)).execute(&copy.0.pool).await.context("making slices small")?;
    let mut environment = bucket.environment();
    // One delivery for each process: what is compared is the number of processes.
    environment.push(("PASSEREAU_CONCURRENCY", "1".to_owned()));
    let config = FleetConfig {
        sandbox: SandboxConfig { archives: vec![archive.to_owned()], ..SandboxConfig::default() },
        environment,
        absent: vec!["loader", "upserter"],
        prepared: Some(copy),
        ..FleetConfig::default()
    };
    let mut fleet = Fleet::start(config).await?;
    let mut harvests = Vec::new();
    for number in 0..HARVESTS {
        let request = HarvestRequest {
            subscription: Some(format!("scale-{number}")),
            archive: Some(key.to_owned()),
            ..HarvestRequest::default()
        };
        harvests.push(fleet.submit(&request).await?);
    }
    let pool = fleet.database.pool.clone();
    until("archives that wait for a loader", async || Ok(fleet.waiting("loader").await? as usize == HARVESTS)).await?;
    let started = Instant::now();
    for _ in 0..processes {
        fleet.start_worker("loader")?;
    }
    until("archives that are landed", async || landed(&pool, &harvests).await).await?;
    let loading = started.elapsed();
    let read: i64 =
        sqlx::query_scalar("SELECT coalesce(sum(landed), 0)::bigint FROM passereau.harvest WHERE id = ANY ($1)")
            .bind(&harvests)
            .fetch_one(&pool)
            .await?;
    // The archives hold the same records: one subscription takes them, the others would find them taken.
    let (chosen, others) = harvests.split_first().context("there are no harvests")?;
    for other in others {
        fleet.run_command(&["harvest", "cancel", &other.to_string()]).await?;
    }
    let started = Instant::now();
    for _ in 0..processes {
        fleet.start_worker("upserter")?;
    }
    let mut slices = None;
    until("the end of the harvest", async || {
        let harvest = fleet.harvest(*chosen).await?.context("the harvest is gone")?;
        if harvest.state == State::Upserting && slices.is_none() {
            slices = Some(Instant::now());
        }
        if !harvest.state.is_alive() && harvest.state != State::Completed {
            bail!("the harvest {}: {}", harvest.state, harvest.reason.unwrap_or_default());
        }
        Ok(harvest.state == State::Completed)
    })
    .await?;
    let upserting = slices.unwrap_or(started).elapsed();
    let counts = fleet.harvest(*chosen).await?.context("the harvest is gone")?.counts;
    ensure!(counts.inserted > 0, "nothing was inserted");
    fleet.stop().await?;
    let second = |records: i64, time: Duration| records as f64 / time.as_secs_f64();
    Ok(Rates { loaded: second(read, loading), upserted: second(counts.inserted, upserting) })
}

/// Whether all harvests have left the loader.
async fn landed(pool: &PgPool, harvests: &[Uuid]) -> Result<bool> {
    let (behind, failed): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE state IN ('requested', 'requesting', 'preparing', 'fetching', 'loading')),
                count(*) FILTER (WHERE state = 'failed')
         FROM passereau.harvest WHERE id = ANY ($1)",
    )
    .bind(harvests)
    .fetch_one(pool)
    .await?;
    ensure!(failed == 0, "{failed} harvests have failed");
    Ok(behind == 0)
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    let mut timer = tokio::time::interval(Duration::from_millis(20));
    while !condition().await? {
        ensure!(started.elapsed() < PATIENCE, "{what}: not seen within {} s", PATIENCE.as_secs());
        timer.tick().await;
    }
    Ok(())
}
