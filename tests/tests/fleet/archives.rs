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

/// Archives with rows, the rows of their core, and how many of them enter a synthèse that knows their datasets and taxa.
/// The rest has no coordinates, no date, no taxon key, or is an absence; each is a reject with its reason.
const ARCHIVES: [(&str, i64, i64); 8] = [
    ("archives/dwca-2013-07-headerless-gbif-results.zip", 158, 13),
    ("archives/dwca-2014-09-0000066-140928181241064.zip", 470, 144),
    ("archives/dwca-2020-07-0022697-200613084148143.zip", 1310, 1151),
    ("archives/dwca-2021-12-0076720-210914110416597.zip", 12, 9),
    ("archives/dwca-2023-05-0205663-230224095556074.zip", 2268, 0),
    ("archives/dwca-2024-11-0022407-241107131044228.zip", 573, 0),
    ("archives/other-dwca-utf8-eol-test.zip", 1, 1),
    ("derived/dwca-layout-2026-08-from-0022697.zip", 1310, 1151),
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
    for (file, rows, entered) in ARCHIVES {
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
