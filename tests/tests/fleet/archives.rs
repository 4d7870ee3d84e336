//! Real archives of GBIF, all the way into the synthèse.

use passereau_harvest::{State, rejects_by_reason};
use passereau_testing::{SeedTaxon, fixtures, seed_dataset, seed_taxa};
use passereau_tests::Fleet;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    harvest::assert_sums,
    prepared::{SOON, fleet, generated, of_archive},
};

/// An archive with rows, and what becomes of them in a synthèse that knows all of its datasets and taxa.
struct Real {
    file: &'static str,
    /// Rows of its core.
    rows: i64,
    /// Rows of its multimedia table.
    media: i64,
    /// Records that enter.
    entered: i64,
    /// The others, by reason.
    reasons: &'static [(&'static str, i64)],
}

const ARCHIVES: [Real; 8] = [
    Real {
        file: "archives/dwca-2013-07-headerless-gbif-results.zip",
        rows: 158,
        media: 0,
        entered: 13,
        reasons: &[("date_missing", 114), ("coordinates_missing", 31)],
    },
    Real {
        file: "archives/dwca-2014-09-0000066-140928181241064.zip",
        rows: 470,
        media: 215,
        entered: 144,
        reasons: &[("coordinates_missing", 235), ("date_missing", 91)],
    },
    Real {
        file: "archives/dwca-2020-07-0022697-200613084148143.zip",
        rows: 1310,
        media: 1362,
        entered: 1151,
        reasons: &[("coordinates_missing", 110), ("date_missing", 49)],
    },
    Real {
        file: "archives/dwca-2021-12-0076720-210914110416597.zip",
        rows: 12,
        media: 6,
        entered: 9,
        reasons: &[("coordinates_missing", 3)],
    },
    Real {
        file: "archives/dwca-2023-05-0205663-230224095556074.zip",
        rows: 2268,
        media: 0,
        entered: 0,
        reasons: &[("date_missing", 2268)],
    },
    Real {
        file: "archives/dwca-2024-11-0022407-241107131044228.zip",
        rows: 573,
        media: 0,
        entered: 0,
        reasons: &[("coordinates_missing", 573)],
    },
    Real { file: "archives/other-dwca-utf8-eol-test.zip", rows: 1, media: 0, entered: 1, reasons: &[] },
    Real {
        file: "derived/dwca-layout-2026-08-from-0022697.zip",
        rows: 1310,
        media: 1362,
        entered: 1151,
        reasons: &[("coordinates_missing", 110), ("date_missing", 49)],
    },
];

/// Files that are no archive of records: each harvest of one fails with a reason in words.
const REFUSED: [(&str, &str); 2] = [
    ("archives/malformed-descriptor-235-vs-234.zip", "235"),
    ("archives/simple-csv-2020-02-0011066-200127171203522.zip", "meta.xml"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_archives_of_every_generation_of_gbif_enter_the_synthese() {
    let Some(fixtures) = fixtures() else {
        println!("skipped: the real archives were not found");
        return;
    };
    let (_folder, any) = generated(10);
    let fleet = fleet(any).await;
    let pool = fleet.database.pool.clone();
    for Real { file, rows, media, entered, reasons } in ARCHIVES {
        let key = fleet.put_archive(&fixtures.join("gbif").join(file)).unwrap();
        let mut request = of_archive(key);
        request.subscription = Some(file.rsplit('/').next().unwrap().trim_end_matches(".zip").to_owned());

        // A platform that knows none of the datasets: nothing enters, nothing is lost.
        let unknown = run(&fleet, &request).await;
        assert_eq!(unknown.state, State::Completed, "{file}: {:?}", unknown.reason);
        assert_eq!((unknown.counts.read, unknown.counts.malformed), (rows, 0), "{file}");
        assert_sums(&unknown.counts);

        declare_all(&pool, unknown.generation_id.unwrap()).await;
        let known = run(&fleet, &request).await;
        assert_eq!(known.state, State::Completed, "{file}: {:?}", known.reason);
        assert_sums(&known.counts);
        let rejects = rejects_by_reason(&pool, &known.subscription).await.unwrap();
        // Records that an archive before has brought with the same content are unchanged.
        assert_eq!(known.counts.inserted + known.counts.unchanged, entered, "{file}: {rejects:?}");
        let multimedia: i64 = sqlx::query_scalar("SELECT multimedia FROM pinv_gbif.generation WHERE id = $1")
            .bind(known.generation_id)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(multimedia, media, "{file}");
        let counted: Vec<(&str, i64)> = rejects.iter().map(|reject| (reject.reason.as_str(), reject.records)).collect();
        assert_eq!(counted, reasons, "{file}");
        assert!(rejects.iter().all(|reject| reject.reason != "dataset_unknown"), "{file}: {rejects:?}");
    }
    for (file, word) in REFUSED {
        let key = fleet.put_archive(&fixtures.join("gbif").join(file)).unwrap();
        let refused = run(&fleet, &of_archive(key)).await;
        assert_eq!(refused.state, State::Failed, "{file}");
        let reason = refused.reason.unwrap();
        assert!(reason.contains(word), "{file}: {reason}");
    }
    fleet.stop().await.unwrap();
}

async fn run(fleet: &Fleet, request: &passereau_contracts::HarvestRequest) -> passereau_harvest::Harvest {
    let id = fleet.submit(request).await.unwrap();
    fleet.ended(id, SOON).await
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
        kingdom: String::new(),
        phylum: String::new(),
        class: String::new(),
        order: String::new(),
        family: String::new(),
        rank: "SPECIES".to_owned(),
        cd_nom,
        cd_ref: cd_nom,
        linked: true,
        vernacular_name: String::new(),
    }
}
