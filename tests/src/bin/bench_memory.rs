//! `make bench-memory`: the peak resident memory of a process that lands an archive.
//!
//! The program runs itself again as that process, so that nothing else is measured; the peak is `VmHWM` of
//! `/proc/self/status` (`man 5 proc`). Variables as for `bench_landing`.

use std::env;
use std::fs::{self, File};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use passereau_loader::{Landed, LandingConfig, LandingInput, land, open_generation};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Argument of the process that is measured, followed by its database.
const LAND: &str = "land";

/// The goal: a process that lands an archive of any size stays below this, in MiB.
const LIMIT_MIB: u64 = 256;

#[tokio::main]
async fn main() -> Result<()> {
    let admin =
        env::var("PASSEREAU_DATABASE_URL").context("PASSEREAU_DATABASE_URL is not set: run `make bench-memory`")?;
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(LAND) {
        let name = arguments.next().context("the database's name is missing")?;
        return measured(&admin, &name).await;
    }
    let name = format!("passereau_bench_{}", Uuid::new_v4().simple());
    let mut server = PgConnection::connect(&admin).await?;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut server).await?;
    let output = Command::new(env::current_exe()?).args([LAND, &name]).output();
    sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut server).await?;
    let output = output?;
    ensure!(output.status.success(), "the landing failed: {}", String::from_utf8_lossy(&output.stderr));
    let peak_kib: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let mib = peak_kib.div_ceil(1024);
    println!("memory: loader_mib={mib}");
    ensure!(mib < LIMIT_MIB, "the loader may take less than {LIMIT_MIB} MiB");
    Ok(())
}

/// Lands the archive in this process and prints its peak in KiB.
async fn measured(admin: &str, name: &str) -> Result<()> {
    let archive =
        env::var("PASSEREAU_BENCH_ARCHIVE").context("PASSEREAU_BENCH_ARCHIVE is not set: run `make bench-memory`")?;
    let options: PgConnectOptions = admin.parse()?;
    let pool = PgPoolOptions::new().max_connections(4).connect_with(options.database(name)).await?;
    passereau_database::migrate(&pool).await?;
    let generation_id = {
        let mut connection = pool.acquire().await?;
        open_generation(&mut connection, "bench", Uuid::new_v4(), "bench.zip", None).await?
    };
    let input = LandingInput {
        generation_id,
        file: File::open(archive)?,
        multimedia: true,
        deadline: None,
        cancel: CancellationToken::new(),
        fence: None,
        config: LandingConfig::default(),
        metrics: None,
    };
    let Landed::Finished { counts, .. } = land(&pool, input).await? else { bail!("the landing was stopped") };
    ensure!(counts.landed > 0, "the archive holds no records");
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    println!("{}", peak.trim().trim_end_matches("kB").trim());
    Ok(())
}
