//! Memory grows neither with an archive nor with a flow: a process that has done something small does something many times as large, and its peak
//! rises by a fraction of that. The benchmarks (`make bench-memory`, `make bench-flow`) hold a million records to limits of their own.

use std::{fs::File, io::Write, path::Path, time::Duration};

use passereau_contracts::{FlowDeliver, HarvestRequest};
use passereau_flow::Document;
use passereau_harvest::State;
use passereau_sandbox::generate::{GenerateOptions, generate};
use passereau_testing::{TestDatabase, WorkerBench, amqp_url, seed_sandbox, wait_until};
use passereau_tests::{Fleet, FleetConfig, agreement, peak_kib, program};
use serde_json::json;
use sqlx::AssertSqlSafe;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::prepared::request;

/// A minute of work on two idle cores, which may be busy.
const LATE: Duration = Duration::from_secs(600);

/// What a peak may rise by, in KiB: buffers that something small does not fill (a block of the store is 8 MiB, a part of a fetch as well), and what the
/// allocator keeps.
const RISE_KIB: u64 = 32 * 1024;

/// What the large archive holds besides its records, in bytes: without it an archive is hardly larger than the blocks that it passes through.
const BESIDES: usize = 128 << 20;

/// Adds a file that nobody reads, uncompressed.
fn grow(archive: &Path) {
    let mut zip = ZipWriter::new_append(File::options().read(true).write(true).open(archive).unwrap()).unwrap();
    zip.start_file("besides.bin", SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
    zip.write_all(&vec![b'x'; BESIDES]).unwrap();
    zip.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let archives = [20_000, 80_000].map(|records| {
        let path = folder.path().join(format!("{records}.zip"));
        generate(&GenerateOptions { records, seed: 7, revision: 1 }, &path).unwrap();
        path
    });
    grow(&archives[1]);
    let environment = vec![("PASSEREAU_INATURALIST_INTERVAL_S", "0.002".to_owned())];
    let fleet = Fleet::start(FleetConfig { environment, ..FleetConfig::handing_out(archives.into()) }).await.unwrap();
    let (mut peaks, mut landed_kib) = (Vec::new(), 0);
    for year in ["2001", "2002"] {
        // Another request is another download. Nothing is written: that is done in slices of the same size whatever the archive, and takes minutes.
        let mut asked = HarvestRequest { plan: true, ..request() };
        let predicates = asked.query.as_mut().unwrap()["predicate"]["predicates"].as_array_mut().unwrap();
        predicates.push(json!({"type": "equals", "key": "YEAR", "value": year}));
        let id = fleet.submit(&asked).await.unwrap();
        wait_until("a plan that waits for approval", LATE, async || {
            let harvest = fleet.harvest(id).await.unwrap()?;
            assert!(harvest.state.is_alive(), "{:?}", harvest.reason);
            (harvest.state == State::AwaitingApproval).then_some(())
        })
        .await;
        peaks.push(fleet.peaks_kib().unwrap());
        landed_kib = sqlx::query_scalar(
            "SELECT (sum(pg_table_size(p.relid)) / 1024)::bigint FROM pg_partition_tree('pinv_gbif.occurrence') p WHERE p.isleaf",
        )
        .fetch_one(&fleet.database.pool)
        .await
        .unwrap();
        fleet.run_command(&["harvest", "cancel", &id.to_string()]).await.unwrap();
        fleet.ended(id, LATE).await;
    }
    assert!(landed_kib > i64::try_from(RISE_KIB).unwrap(), "{landed_kib} KiB of records prove nothing");
    for ((worker, small), (_, large)) in peaks[0].iter().zip(&peaks[1]) {
        println!("{worker}: {small} KiB, then {large} KiB");
        assert!(
            large - small < RISE_KIB,
            "the {worker} took {small} KiB, and {large} KiB for {landed_kib} KiB of records"
        );
    }
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_flow() {
    const RECORDS: &str = "40000";
    let database = TestDatabase::migrated().await;
    seed_sandbox(&database.pool).await.unwrap();
    let seed = include_str!("../../src/bin/bench_flow/seed.sql").replace("{rows}", RECORDS);
    sqlx::raw_sql(AssertSqlSafe(seed)).execute(&database.pool).await.unwrap();
    // One that nothing is below.
    let one_taxon: i32 = sqlx::query_scalar(
        "SELECT min(s.cd_nom) FROM gn_synthese.synthese s JOIN taxonomie.taxref t USING (cd_nom)
         WHERE NOT EXISTS (SELECT FROM taxonomie.taxref b WHERE b.cd_sup = t.cd_ref OR b.cd_ref = t.cd_ref AND b.cd_nom <> t.cd_nom)",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    let bench = WorkerBench::on(database).await;
    let folder = tempfile::tempdir().unwrap();
    let mut exporter = tokio::process::Command::new(program("passereau-exporter").unwrap())
        .args(["--database-url", &bench.database.url, "--amqp-url", &amqp_url(), "--amqp-prefix", bench.prefix()])
        .args(["--http-listen", "127.0.0.1:0", "--log", "warn", "--scratch-dir"])
        .arg(folder.path().join("scratch"))
        .args(["--store-url", &format!("file://{}", folder.path().join("store").display())])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = exporter.id().unwrap();
    let mut delivered = Vec::new();
    for (name, taxa) in [("one-taxon", format!("\n[taxa]\ncd_ref = [{one_taxon}]\n")), ("everything", String::new())] {
        let text = agreement(name, &["csv", "json", "geojson", "geojsonl", "gpkg"]) + &taxa;
        let document = Document::parse(&text, "flow.toml".into(), chrono::Utc::now()).unwrap();
        passereau_flow::apply(bench.pool(), &document, "the data manager", chrono::Utc::now()).await.unwrap();
        let id = bench.send(&FlowDeliver { flow: name.to_owned() }).await;
        let (rows, bytes) = wait_until("a delivery", LATE, async || {
            assert!(exporter.try_wait().unwrap().is_none(), "the exporter has ended");
            let row: Option<(String, i64, Option<i64>, Option<String>)> = sqlx::query_as(
                "SELECT state, rows, (SELECT sum((f.value ->> 'size_bytes')::bigint)::bigint FROM jsonb_each(files) f), reason FROM passereau.delivery WHERE id = $1",
            )
            .bind(id)
            .fetch_optional(bench.pool())
            .await
            .unwrap();
            let (state, rows, bytes, reason) = row?;
            assert!(state != "failed", "{reason:?}");
            (state == "delivered").then(|| (rows, bytes.unwrap()))
        })
        .await;
        println!("{name}: {rows} rows, {bytes} bytes, {} KiB at most", peak_kib(pid).unwrap());
        delivered.push((rows, bytes, peak_kib(pid).unwrap()));
    }
    let [(few, _, small), (many, bytes, large)] = delivered[..] else { unreachable!("two flows were delivered") };
    assert!(few > 0 && many > 20 * few, "{few} rows, then {many}");
    assert!(bytes / 1024 > 5 * i64::try_from(RISE_KIB).unwrap(), "{bytes} bytes prove nothing");
    assert!(large - small < RISE_KIB, "the exporter took {small} KiB for {few} rows, and {large} KiB for {many}");
    exporter.kill().await.unwrap();
    bench.finish().await;
}
