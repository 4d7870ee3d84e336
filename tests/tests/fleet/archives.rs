//! Real archives of GBIF, all the way into the synthèse, with their reject reports.

use std::fmt::Write;
use std::path::Path;

use passereau_harvest::{Harvest, State};
use passereau_testing::{SeedTaxon, recorded, seed_dataset, seed_taxa};
use passereau_tests::{Fleet, FleetConfig};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    harvest::assert_sums,
    prepared::{SOON, generated, of_archive},
};

/// An archive with rows.
struct Real {
    file: &'static str,
    /// Rows of its core.
    rows: i64,
    /// Rows of its multimedia table.
    media: i64,
}

const ARCHIVES: [Real; 8] = [
    Real { file: "archives/dwca-2013-07-headerless-gbif-results.zip", rows: 158, media: 0 },
    Real { file: "archives/dwca-2014-09-0000066-140928181241064.zip", rows: 470, media: 215 },
    Real { file: "archives/dwca-2020-07-0022697-200613084148143.zip", rows: 1310, media: 1362 },
    Real { file: "archives/dwca-2021-12-0076720-210914110416597.zip", rows: 12, media: 6 },
    Real { file: "archives/dwca-2023-05-0205663-230224095556074.zip", rows: 2268, media: 0 },
    Real { file: "archives/dwca-2024-11-0022407-241107131044228.zip", rows: 573, media: 0 },
    Real { file: "archives/other-dwca-utf8-eol-test.zip", rows: 1, media: 0 },
    Real { file: "derived/dwca-layout-2026-08-from-0022697.zip", rows: 1310, media: 1362 },
];

/// Files that are no archive of records: each harvest of one fails with a reason in words.
const REFUSED: [(&str, &str); 2] = [
    ("archives/malformed-descriptor-235-vs-234.zip", "235"),
    ("archives/simple-csv-2020-02-0011066-200127171203522.zip", "meta.xml"),
];

/// What became of each archive on three platforms: one that knows none of its datasets and names, one that knows all, and
/// the same without a territory of its own. Reviewed; `UPDATE_SNAPSHOTS=1` writes it anew.
const REPORTS: &str = "tests/fleet/reject_reports.txt";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_archives_of_every_generation_of_gbif_enter_the_synthese() {
    let Some(folder) = recorded("gbif") else { return };
    let (_folder, any) = generated(10);
    // The test itself says when a generation is converted again.
    let environment = vec![("PASSEREAU_RECONVERT_SECONDS", "0".to_owned())];
    let fleet = Fleet::start(FleetConfig { environment, ..FleetConfig::handing_out(vec![any]) }).await.unwrap();
    let pool = fleet.database.pool.clone();
    let mut reports = String::new();
    for Real { file, rows, media } in ARCHIVES {
        let key = fleet.put_archive(&folder.join(file)).unwrap();
        let name = file.rsplit('/').next().unwrap().trim_end_matches(".zip");
        let mut request = of_archive(key);
        request.subscription = Some(name.to_owned());
        territory(&pool, "DEP").await;
        let id = fleet.submit(&request).await.unwrap();
        let unknown = fleet.ended(id, SOON).await;
        assert_eq!((unknown.counts.read, unknown.counts.malformed), (rows, 0), "{file}");
        let multimedia: i64 = sqlx::query_scalar("SELECT multimedia FROM pinv_gbif.generation WHERE id = $1")
            .bind(unknown.generation_id)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(multimedia, media, "{file}");
        report(&fleet, &mut reports, "nothing known", &unknown).await;

        declare_all(&pool, unknown.generation_id.unwrap()).await;
        let known = reconverted(&fleet, name).await;
        report(&fleet, &mut reports, "all datasets and names known", &known).await;

        territory(&pool, "").await;
        let anywhere = reconverted(&fleet, name).await;
        report(&fleet, &mut reports, "and no territory", &anywhere).await;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(REPORTS);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &reports).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(reports, reviewed, "{REPORTS} is stale: run with UPDATE_SNAPSHOTS=1 and review");

    for (file, word) in REFUSED {
        let key = fleet.put_archive(&folder.join(file)).unwrap();
        let id = fleet.submit(&of_archive(key)).await.unwrap();
        let refused = fleet.ended(id, SOON).await;
        assert_eq!(refused.state, State::Failed, "{file}");
        let reason = refused.reason.unwrap();
        assert!(reason.contains(word), "{file}: {reason}");
    }
    fleet.stop().await.unwrap();
}

async fn territory(pool: &PgPool, types: &str) {
    sqlx::query("UPDATE pinv_gbif.setting SET value = $1 WHERE name = 'territory_area_types'")
        .bind(types)
        .execute(pool)
        .await
        .unwrap();
}

async fn reconverted(fleet: &Fleet, subscription: &str) -> Harvest {
    let id = fleet.run_command(&["harvest", "reconvert", subscription]).await.unwrap();
    fleet.ended(id.trim().parse().unwrap(), SOON).await
}

/// Adds what a data manager is told of a harvest: its counts, and the rejects by reason as the command prints them. Of the
/// reports by taxon and by dataset only the number of lines is kept: the names are those of the archives' publishers.
async fn report(fleet: &Fleet, reports: &mut String, platform: &str, harvest: &Harvest) {
    assert_eq!(harvest.state, State::Completed, "{}: {:?}", harvest.subscription, harvest.reason);
    assert_sums(&harvest.counts);
    let counts = &harvest.counts;
    writeln!(
        reports,
        "{}: {platform}\n  inserted {} unchanged {} updated {} rejected {} kept {}",
        harvest.subscription, counts.inserted, counts.unchanged, counts.updated, counts.rejected, counts.kept
    )
    .unwrap();
    let id = harvest.id.to_string();
    let by = async |what: &str| {
        let text =
            fleet.run_command(&["harvest", "rejects", &id, "--by", what, "--csv", "--lang", "en"]).await.unwrap();
        let text = text.trim_start_matches('\u{feff}');
        let mut table = csv::ReaderBuilder::new().delimiter(b';').from_reader(text.as_bytes());
        table.records().map(|line| line.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    for line in by("reason").await {
        writeln!(reports, "  {} {}", line[0], line[1]).unwrap();
    }
    writeln!(reports, "  ({} lines by taxon, {} by dataset)", by("taxon").await.len(), by("dataset").await.len())
        .unwrap();
}

/// Declares every dataset and every taxon that a generation speaks of, as a platform would that wants them all.
async fn declare_all(pool: &PgPool, generation: i64) {
    let datasets: Vec<Uuid> = sqlx::query_scalar(
        "SELECT DISTINCT dataset_key FROM pinv_gbif.occurrence WHERE generation_id = $1 AND dataset_key IS NOT NULL",
    )
    .bind(generation)
    .fetch_all(pool)
    .await
    .unwrap();
    for key in datasets {
        seed_dataset(pool, key, &format!("Dataset {key}")).await.unwrap();
    }
    let taxa: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT ON (taxon_key) taxon_key, coalesce(scientific_name, 'Incertae sedis')
         FROM pinv_gbif.occurrence WHERE generation_id = $1 AND taxon_key ~ '^[0-9]+$' ORDER BY taxon_key, scientific_name",
    )
    .bind(generation)
    .fetch_all(pool)
    .await
    .unwrap();
    seed_taxa(pool, &taxa.iter().map(|(key, name)| taxon(key, name)).collect::<Vec<_>>()).await.unwrap();
}

fn taxon(key: &str, name: &str) -> SeedTaxon {
    // Codes of their own, far above those of the seeds.
    let cd_nom = 1_000_000 + i32::try_from(key.parse::<i64>().unwrap() % 100_000_000).unwrap();
    SeedTaxon {
        gbif_key: key.to_owned(),
        scientific_name: name.to_owned(),
        canonical_name: name.to_owned(),
        rank: "SPECIES".to_owned(),
        cd_nom,
        cd_ref: cd_nom,
        linked: true,
        ..SeedTaxon::default()
    }
}
