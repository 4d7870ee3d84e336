//! `make bench-flow`: deliveries of a synthèse against the tools that a person would use for them.
//!
//! One GeoNature-shaped database with records in the mix of a platform (`bench_flow/seed.sql`), and one flow of the basic preset for each format. Each
//! delivery is made by a process of its own, whose peak (`VmHWM` of `/proc/<pid>/status`, `man 5 proc`) is read before it ends. What is measured is
//! the whole delivery, from the message to the version that can be fetched: what leaves and what does not is counted, rows go into parts, the
//! file is written from them, compressed where it is text, digested, and forced onto the disk.
//!
//! In the same run `psql \copy` writes the rows of the same statements as CSV, and `ogr2ogr` as a GeoPackage; neither does anything beside it.
//!
//! `PASSEREAU_BENCH_RECORDS` changes the number of records from 1,000,000. The program fails when the exporter takes more memory than its goal.

#[path = "bench_flow/tools.rs"]
mod tools;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use passereau_contracts::FlowDeliver;
use passereau_flow::{Document, Format};
use passereau_testing::{TestDatabase, WorkerBench, amqp_url, seed_sandbox};
use passereau_tests::{agreement, peak_kib, program};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::process::{Child, Command};

/// The goal: a delivery of any size takes at most this, in MiB.
const LIMIT_MIB: u64 = 64;
/// The columns of the basic preset.
const COLUMNS: usize = 40;
/// Time between two looks at a delivery.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const SEED: &str = include_str!("bench_flow/seed.sql");

/// One delivery.
struct Delivered {
    seconds: f64,
    peak_mib: u64,
    rows: i64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let records = match env::var("PASSEREAU_BENCH_RECORDS") {
        Ok(text) => text.parse::<i32>().context("PASSEREAU_BENCH_RECORDS is no number")?,
        Err(_) => 1_000_000,
    };
    let database = TestDatabase::migrated().await;
    seed(&database.pool, records).await?;
    let folder = tempfile::tempdir().context("making a folder")?;
    let bench = WorkerBench::on(database).await;
    let (mut worst_mib, mut ratios) = (0, Vec::new());
    for format in Format::ALL {
        let delivered = deliver(&bench, format, folder.path()).await?;
        println!(
            "{format}: {} rows delivered in {:.1} s ({:.0} rows/s), peak memory {} MiB",
            delivered.rows,
            delivered.seconds,
            per_second(delivered.rows, delivered.seconds),
            delivered.peak_mib
        );
        worst_mib = worst_mib.max(delivered.peak_mib);
        let flow = passereau_flow::find(bench.pool(), &name(format)).await?.context("the flow is gone")?;
        ensure!(flow.agreement.fields().len() == COLUMNS, "the basic preset has other than {COLUMNS} columns");
        let tool = match format {
            Format::Csv => tools::psql(&bench.database.url, &flow, delivered.rows, folder.path()).await?,
            Format::GeoPackage => tools::ogr2ogr(&bench.database.url, &flow, delivered.rows, folder.path()).await?,
            _ => continue,
        };
        println!("{format}: {} in {:.1} s", tool.name, tool.seconds);
        ratios.push(delivered.seconds / tool.seconds);
    }
    bench.finish().await;
    let [csv_ratio, gpkg_ratio] = ratios[..] else { bail!("a format was not measured") };
    println!("flow: csv_ratio={csv_ratio:.2} gpkg_ratio={gpkg_ratio:.2} exporter_mib={worst_mib}");
    ensure!(worst_mib <= LIMIT_MIB, "the exporter may take {LIMIT_MIB} MiB at most");
    Ok(())
}

fn name(format: Format) -> String {
    format!("bench-{format}")
}

#[allow(clippy::cast_precision_loss, reason = "a rate to be read")]
fn per_second(rows: i64, seconds: f64) -> f64 {
    rows as f64 / seconds
}

async fn seed(pool: &PgPool, records: i32) -> Result<()> {
    let started = Instant::now();
    seed_sandbox(pool).await?;
    let sql = SEED.replace("{rows}", &records.to_string());
    let mut connection = pool.acquire().await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.context("filling the synthèse")?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *connection).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut *connection).await?;
    println!("{records} records in {:.0} s", started.elapsed().as_secs_f64());
    for format in Format::ALL {
        let name = name(format);
        let text = agreement(&name, &[format.extension()]);
        let document = Document::parse(&text, PathBuf::new(), chrono::Utc::now())
            .map_err(|problems| anyhow::anyhow!("{}", passereau_flow::in_lines(&problems)))?;
        passereau_flow::apply(pool, &document, "the data manager", chrono::Utc::now()).await?;
    }
    Ok(())
}

/// Makes a delivery with a process of its own. Its files are taken away again: those of five formats would fill a small disk.
async fn deliver(bench: &WorkerBench, format: Format, folder: &Path) -> Result<Delivered> {
    let store = folder.join(format.extension());
    let mut exporter = spawn(bench, &store)?;
    let started = Instant::now();
    let id = bench.send(&FlowDeliver { flow: name(format) }).await;
    let mut timer = tokio::time::interval(LOOK_EVERY);
    let rows = loop {
        timer.tick().await;
        if let Some(status) = exporter.try_wait()? {
            bail!("the exporter has ended: {status}");
        }
        let row: Option<(String, i64, Option<String>)> =
            sqlx::query_as("SELECT state, rows, reason FROM passereau.delivery WHERE id = $1")
                .bind(id)
                .fetch_optional(bench.pool())
                .await?;
        match row {
            Some((state, rows, _)) if state == "delivered" => break rows,
            Some((state, _, reason)) if state == "failed" => {
                bail!("the delivery has failed: {}", reason.unwrap_or_default());
            }
            _ => {}
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let peak_mib = peak_kib(exporter.id().context("the exporter has ended")?)?.div_ceil(1024);
    exporter.kill().await?;
    fs::remove_dir_all(&store).context("taking the files away")?;
    Ok(Delivered { seconds, peak_mib, rows })
}

fn spawn(bench: &WorkerBench, store: &Path) -> Result<Child> {
    Command::new(program("passereau-exporter")?)
        .args(["--database-url", &bench.database.url, "--amqp-url", &amqp_url()])
        .args(["--amqp-prefix", bench.prefix(), "--http-listen", "127.0.0.1:0", "--log", "warn"])
        .args(["--store-url", &format!("file://{}", store.join("store").display()), "--scratch-dir"])
        .arg(store.join("scratch"))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting the exporter")
}
