//! `make bench-landing`: the manual procedure and the loader, side by side on one archive.
//!
//! The procedure is the published one: `unzip`, `cut -f` with its column positions, `psql \copy` of 26 + 2 columns into
//! tables of text types with their key. The loader lands the same archive with all its checks, commit and key included.
//! Both write into one fresh database of the server that `PASSEREAU_DATABASE_URL` names, after a checkpoint each.
//! `PASSEREAU_BENCH_ARCHIVE` is the archive. It fails when the loader takes more than half of the procedure's time.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use passereau_loader::{Landed, LandingConfig, LandingInput, land, open_generation};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The goal: the loader takes at most this share of the procedure's time.
const GOAL_RATIO: f64 = 0.5;

/// The procedure's list of fields of `occurrence.txt`; field 206 no longer is what it was meant to be, which costs the same.
const FIELDS: &str = "1,6,8,18,22,25,27,30,31,32,33,34,35,40,48,63,90,98,99,100,135,149,180,188,194,206";

/// Its two tables. Every column is text, as in the measurement that the goal was set by.
const TABLES: &str = "
    CREATE SCHEMA bench;
    CREATE TABLE bench.tmp_gbif_data (
        gbif_id text PRIMARY KEY, modified text, \"references\" text, basis_of_record text, occurrence_id text,
        recorded_by text, individual_count text, sex text, life_stage text, reproductive_condition text, caste text,
        behavior text, vitality text, occurrence_status text, occurrence_remarks text, event_date text,
        verbatim_locality text, decimal_latitude text, decimal_longitude text, coordinate_uncertainty_meters text,
        identified_by text, scientific_name text, dataset_key text, issue text, taxonkey text,
        verbatim_scientific_name text);
    CREATE TABLE bench.cor_multimedia (gbif_id text, media_url text)";

#[tokio::main]
async fn main() -> Result<()> {
    let admin =
        env::var("PASSEREAU_DATABASE_URL").context("PASSEREAU_DATABASE_URL is not set: run `make bench-landing`")?;
    let archive = PathBuf::from(
        env::var("PASSEREAU_BENCH_ARCHIVE").context("PASSEREAU_BENCH_ARCHIVE is not set: run `make bench-landing`")?,
    );
    let name = format!("passereau_bench_{}", Uuid::new_v4().simple());
    let mut server = PgConnection::connect(&admin).await?;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut server).await?;
    let measured = measure(&admin, &name, &archive).await;
    sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut server).await?;
    let (procedure, loader) = measured?;
    let ratio = loader / procedure;
    println!("landing: ratio={ratio:.2} procedure_s={procedure:.1} loader_s={loader:.1}");
    ensure!(
        ratio <= GOAL_RATIO,
        "the loader took {ratio:.3} of the procedure's time, the goal is at most {GOAL_RATIO}"
    );
    Ok(())
}

async fn measure(admin: &str, name: &str, archive: &Path) -> Result<(f64, f64)> {
    let options: PgConnectOptions = admin.parse()?;
    let pool = PgPoolOptions::new().max_connections(4).connect_with(options.database(name)).await?;
    passereau_database::migrate(&pool).await?;
    let mut url: url::Url = admin.parse()?;
    url.set_path(name);
    let procedure = procedure(&pool, url.as_str(), archive).await?;
    let loader = loader(&pool, archive).await?;
    pool.close().await;
    Ok((procedure, loader))
}

/// Unpacks, cuts and copies; tells the time of each step.
async fn procedure(pool: &PgPool, url: &str, archive: &Path) -> Result<f64> {
    sqlx::raw_sql(TABLES).execute(pool).await?;
    sqlx::query("CHECKPOINT").execute(pool).await?;
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let here = |script: &str| {
        let status =
            Command::new("sh").args(["-ec", script]).current_dir(folder.path()).env("ARCHIVE", archive).status()?;
        ensure!(status.success(), "`{script}` failed; are unzip and psql installed?");
        anyhow::Ok(())
    };
    here("unzip -q \"$ARCHIVE\"")?;
    let unzipped = started.elapsed().as_secs_f64();
    here(&format!("cut -f {FIELDS} occurrence.txt > data.txt; cut -f 1,4 multimedia.txt > media.txt"))?;
    let cut = started.elapsed().as_secs_f64();
    // Quote and escape by a character that no text holds: raw quotes then are what they are.
    let copy = |table: &str, file: &str| {
        let path = folder.path().join(file);
        let command = format!(
            "\\copy {table} FROM '{}' WITH (FORMAT csv, HEADER, DELIMITER E'\\t', QUOTE E'\\b')",
            path.display()
        );
        let status = Command::new("psql").args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", &command, url]).status()?;
        ensure!(status.success(), "psql could not copy {file}");
        anyhow::Ok(())
    };
    copy("bench.tmp_gbif_data", "data.txt")?;
    copy("bench.cor_multimedia", "media.txt")?;
    let total = started.elapsed().as_secs_f64();
    println!("procedure: unzip {unzipped:.1} s, cut {:.1} s, copy {:.1} s", cut - unzipped, total - cut);
    Ok(total)
}

/// Lands the archive and checks that nothing was lost on the way.
async fn loader(pool: &PgPool, archive: &Path) -> Result<f64> {
    sqlx::query("CHECKPOINT").execute(pool).await?;
    let started = Instant::now();
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
    let Landed::Finished { counts, report } = land(pool, input).await? else { bail!("the landing was stopped") };
    let elapsed = started.elapsed().as_secs_f64();
    let procedure: i64 = sqlx::query_scalar("SELECT count(*) FROM bench.tmp_gbif_data").fetch_one(pool).await?;
    ensure!(u64::try_from(procedure)? == counts.landed, "the procedure has {procedure} records, the loader {counts:?}");
    println!(
        "loader: {} records and {} media, {} malformed, {} terms missing",
        counts.landed,
        counts.multimedia,
        counts.malformed,
        report.missing_terms.len()
    );
    Ok(elapsed)
}
