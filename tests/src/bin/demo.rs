//! The demonstration: a request goes in by message, records come out in the synthèse, a second harvest of the same
//! request writes nothing, and a partner fetches a flow of them.
//!
//! Runs on the servers of `passereau-platform` (`make demo`). Exit code 0 and a last line `demo: ok …` mean that every
//! check held; anything else is an error in words.

#[path = "demo/partner.rs"]
mod partner;

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use passereau_contracts::HarvestRequest;
use passereau_harvest::{Harvest, State, rejects_by_reason};
use passereau_sandbox::{Route, SandboxConfig, generate};
use passereau_tests::{Fleet, FleetConfig, SUBSCRIPTION, own_address, query};
use sqlx::PgPool;
use uuid::Uuid;

/// Records of the archive.
const RECORDS: u64 = 20_000;
/// Calls a second that the stand-in iNaturalist allows, and the pace that keeps below it.
const INATURALIST_CALLS_PER_SECOND: u32 = 50;
const INATURALIST_INTERVAL_S: &str = "0.022";
/// A harvest that takes longer has stopped.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("demo.zip");
    println!("generating an archive of {RECORDS} records");
    let options = generate::GenerateOptions { records: RECORDS, seed: 20_260_818, revision: 1 };
    generate::generate(&options, &archive)?;

    println!("starting GeoNature's database, a stand-in GBIF and iNaturalist, and the workers");
    let sandbox = SandboxConfig {
        archives: vec![archive],
        inaturalist_rate: Some(INATURALIST_CALLS_PER_SECOND),
        ..SandboxConfig::default()
    };
    let account = sandbox.user.clone();
    let environment = vec![("PASSEREAU_INATURALIST_INTERVAL_S", INATURALIST_INTERVAL_S.to_owned())];
    let gateway = own_address()?;
    let environment_of = vec![("gateway", vec![("PASSEREAU_GATEWAY_LISTEN", gateway.to_string())])];
    let config = FleetConfig { sandbox, environment, environment_of, with_flows: true, ..FleetConfig::default() };
    let mut fleet = Fleet::start(config).await?;
    fleet.start_worker("gateway")?;
    let request =
        HarvestRequest { subscription: Some(SUBSCRIPTION.into()), query: Some(query(&account)), ..Default::default() };

    let started = Instant::now();
    let first = harvest(&fleet, &request, "first harvest").await?;
    let before = footprint(&fleet.database.pool).await?;
    let second = harvest(&fleet, &request, "second harvest, same request").await?;
    let seconds = started.elapsed().as_secs_f64();
    let after = footprint(&fleet.database.pool).await?;

    let rejects = rejects_by_reason(&fleet.database.pool, SUBSCRIPTION).await?;
    for reject in &rejects {
        println!("  reject {:<22} {:>6}", reject.reason, reject.records);
    }
    let (one, two) = (first.counts, second.counts);
    let visible = visible(&fleet.database.pool).await?;
    ensure!(one.read == RECORDS as i64, "{} records were read of {RECORDS}", one.read);
    ensure!(one.inserted > 0, "nothing was inserted");
    ensure!(fleet.sandbox.calls(Route::Observations) > 0, "iNaturalist was not asked");
    ensure!(unasked(&fleet.database.pool).await? == 0, "records wait for a UUID that iNaturalist was never asked for");
    ensure!(unclassified(&fleet.database.pool).await? == 0, "rows stand in the synthèse without a sensitivity");
    ensure!(visible == one.inserted, "{} rows were inserted, GeoNature's view shows {visible}", one.inserted);
    ensure!(before == after, "the second harvest wrote into the synthèse: {before:?} became {after:?}");
    ensure!(two.inserted + two.updated == 0, "the second harvest counts rows written");
    ensure!(two.unchanged == one.inserted, "{} unchanged of {}", two.unchanged, one.inserted);
    ensure!(fleet.sandbox.credential_leaks() == 0, "the GBIF password reached the file server");
    let fetched = partner::fetch(&fleet, folder.path(), gateway).await?;
    ensure!(fetched.rows > 0, "the flow holds no row");
    ensure!(
        fetched.rows + fetched.withheld == one.inserted,
        "{fetched:?} is not the synthèse, which has {} rows",
        one.inserted
    );
    fleet.stop().await?;
    println!(
        "demo: ok records={} inserted={} updated={} unchanged={} rejected={} flow_rows={} withheld={} seconds={seconds:.1}",
        one.read, one.inserted, two.updated, two.unchanged, two.rejected, fetched.rows, fetched.withheld
    );
    Ok(())
}

/// Submits the request by message and follows it to its end, printing each stage.
async fn harvest(fleet: &Fleet, request: &HarvestRequest, label: &str) -> anyhow::Result<Harvest> {
    let started = Instant::now();
    let id = fleet.submit(request).await?;
    println!("{label}: {id}");
    let mut shown = String::new();
    let mut timer = tokio::time::interval(Duration::from_millis(100));
    loop {
        timer.tick().await;
        if let Some(harvest) = fleet.harvest(id).await? {
            let line = progress(&harvest);
            if line != shown {
                println!("  {:>6.1} s  {line}", started.elapsed().as_secs_f64());
                shown = line;
            }
            match harvest.state {
                State::Completed => return Ok(harvest),
                state if !state.is_alive() => bail!("{label} {state}: {}", harvest.reason.unwrap_or_default()),
                _ => {}
            }
        } else {
            refused(&fleet.database.pool, id).await?;
        }
        ensure!(started.elapsed() < PATIENCE, "{label} did not end within {} s", PATIENCE.as_secs());
    }
}

fn progress(harvest: &Harvest) -> String {
    let counts = harvest.counts;
    let mut line = format!("{:<10}", harvest.state.as_str());
    let told = [
        ("landed", counts.landed),
        ("slices left", i64::from(harvest.slices_left)),
        ("inserted", counts.inserted),
        ("updated", counts.updated),
        ("unchanged", counts.unchanged),
        ("rejected", counts.rejected),
    ];
    for (name, count) in told.into_iter().filter(|(_, count)| *count > 0) {
        line.push_str(&format!("  {name} {count}"));
    }
    line.trim_end().to_owned()
}

/// A request that was refused never becomes a harvest.
async fn refused(pool: &PgPool, id: Uuid) -> anyhow::Result<()> {
    let error: Option<String> = sqlx::query_scalar("SELECT error FROM passereau.dead_letter WHERE message_id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await?;
    error.map_or(Ok(()), |error| bail!("the request was refused: {error}"))
}

/// Every value of the synthèse, its dates of change and its physical row versions among them.
async fn footprint(pool: &PgPool) -> anyhow::Result<(i64, Option<String>)> {
    sqlx::query_as(
        "SELECT count(*), md5(string_agg(md5(s::text || s.xmin::text), '' ORDER BY id_synthese))
         FROM gn_synthese.synthese s",
    )
    .fetch_one(pool)
    .await
    .context("reading the synthèse")
}

/// Records that wait for a UUID although iNaturalist has not been asked. One that it did not know waits rightly: it is asked
/// again in a week.
async fn unasked(pool: &PgPool) -> anyhow::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM pinv_gbif.reject r
         JOIN pinv_gbif.generation g ON g.subscription = r.subscription AND g.state = 'current'
         JOIN pinv_gbif.occurrence o ON o.generation_id = g.id AND o.gbif_id = r.gbif_id
         LEFT JOIN pinv_gbif.cor_uuid_inaturalist i ON i.id_inaturalist = o.inaturalist_id
         WHERE r.reason = 'uuid_pending' AND i.absent_since IS NULL",
    )
    .fetch_one(pool)
    .await
    .context("reading the records that wait")
}

/// Rows that users whose data are blurred would never see.
async fn unclassified(pool: &PgPool) -> anyhow::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM gn_synthese.synthese WHERE id_nomenclature_sensitivity IS NULL")
        .fetch_one(pool)
        .await
        .context("reading the sensitivity of the synthèse")
}

/// Rows of source GBIF that GeoNature's own view shows.
async fn visible(pool: &PgPool) -> anyhow::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM gn_synthese.v_synthese_for_web_app v
         JOIN gn_synthese.t_sources s ON s.id_source = v.id_source WHERE s.name_source = 'GBIF'",
    )
    .fetch_one(pool)
    .await
    .context("reading GeoNature's view")
}
