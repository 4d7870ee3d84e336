//! What the documents of an archive tell of its datasets, and what the loader leaves to the registry.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;

use passereau_contracts::ArchiveLoad;
use passereau_dwca::Limits;
use passereau_harvest::State;
use passereau_loader::{Documents, Fence, LandingConfig, LandingError, Loader, LoaderConfig, read_documents};
use passereau_store::StoreConfig;
use passereau_testing::{TestDatabase, WorkerBench};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{HEADERLESS, KEY, MICROBES, TICKS, TICKS_2026, ask, built_with, fixture, land_whole};

/// Another dataset than [`KEY`].
const OTHER_KEY: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn document(title: &str) -> Vec<u8> {
    format!("<eml><dataset><title>{title}</title></dataset></eml>").into_bytes()
}

fn named(key: &str, content: Vec<u8>) -> (String, Vec<u8>) {
    (format!("dataset/{key}.xml"), content)
}

fn row(gbif_id: u32, dataset: &str) -> Vec<u8> {
    format!("{gbif_id}\t{dataset}\tHUMAN_OBSERVATION\t\t\n").into_bytes()
}

async fn read(pool: &PgPool, generation: i64, archive: &Path, must_pause: impl Fn() -> bool) -> Option<Documents> {
    let file = File::open(archive).unwrap();
    read_documents(pool, generation, file, Limits::default(), None, must_pause).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_of_real_archives_describe_their_datasets() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    for (name, documents) in [(HEADERLESS, 23), (TICKS, 24), (TICKS_2026, 24), (MICROBES, 0)] {
        let Some(path) = fixture(name) else { return };
        let (id, ..) = land_whole(pool, &path).await;
        let expected = Documents { read: documents, ..Documents::default() };
        assert_eq!(read(pool, id, &path, || false).await, Some(expected.clone()), "{name}");
        let reported = format!("SELECT report #>> '{{documents,read}}' FROM pinv_gbif.generation WHERE id = {id}");
        assert_eq!(ask(pool, &reported).await, documents.to_string(), "{name}");
        // Reading again finds nothing left to read.
        assert_eq!(read(pool, id, &path, || true).await, Some(expected), "{name}");
    }
    let inaturalist = format!(
        "SELECT format('%s|%s|%s|%s|%s|%s', title, doi, license, contact_organization, eml_read_at IS NOT NULL, registry_asked_at)
         FROM pinv_gbif.dataset WHERE dataset_key = '{KEY}'"
    );
    assert_eq!(
        ask(pool, &inaturalist).await,
        "iNaturalist Research-grade Observations|10.15468/ab3s5x|http://creativecommons.org/licenses/by-nc/4.0/legalcode\
         |iNaturalist / California Academy of Sciences|t|"
    );
    assert_eq!(ask(pool, "SELECT count(*)::text FROM pinv_gbif.dataset WHERE title IS NULL").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_read_is_counted_and_named() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let laughs = b"<!DOCTYPE eml [<!ENTITY a \"ha\">]><eml><dataset><title>&a;</title></dataset></eml>".to_vec();
    let archive = built_with(
        &row(1, KEY),
        &[
            named(KEY, document("Readable")),
            named("readme", document("No key")),
            named("aaaaaaaa-0000-4000-8000-000000000002", laughs),
            named("aaaaaaaa-0000-4000-8000-000000000003", vec![b' '; 5 << 20]),
            named("aaaaaaaa-0000-4000-8000-000000000004", b"<html>sorry</html>".to_vec()),
        ],
    );
    let (id, counts, _) = land_whole(pool, archive.path()).await;
    assert_eq!(counts.landed, 1);
    let documents = read(pool, id, archive.path(), || false).await.unwrap();
    assert_eq!((documents.read, documents.unreadable), (1, 4));
    for (sample, (name, reason)) in documents.samples.iter().zip([
        ("dataset/aaaaaaaa-0000-4000-8000-000000000002.xml", "DOCTYPE"),
        ("dataset/aaaaaaaa-0000-4000-8000-000000000003.xml", "bytes"),
        ("dataset/aaaaaaaa-0000-4000-8000-000000000004.xml", "html"),
        ("dataset/readme.xml", "key"),
    ]) {
        assert!(sample.name == name && sample.reason.contains(reason), "{sample:?}");
    }
    assert_eq!(ask(pool, "SELECT title FROM pinv_gbif.dataset").await, "Readable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_was_stopped_goes_on_where_it_stopped() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let documents: Vec<_> = (0..250_u128)
        .map(|number| named(&Uuid::from_u128(number).to_string(), document(&format!("No {number}"))))
        .collect();
    let archive = built_with(&row(1, KEY), &documents);
    let (id, ..) = land_whole(pool, archive.path()).await;
    let mut calls = 0;
    let documents = loop {
        calls += 1;
        assert!(calls < 10, "it does not come to its end");
        // One part, then stop.
        let asked = Cell::new(0);
        let pause = || asked.replace(asked.get() + 1) > 0;
        if let Some(documents) = read(pool, id, archive.path(), pause).await {
            break documents;
        }
    };
    assert_eq!((calls, documents.read), (3, 250));
    assert_eq!(ask(pool, "SELECT count(*)::text FROM pinv_gbif.dataset WHERE title LIKE 'No %'").await, "250");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_large_documents_are_held_at_a_time() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let large = "a ".repeat(3 << 19);
    let documents: Vec<_> =
        (0..5_u128).map(|number| named(&Uuid::from_u128(number).to_string(), document(&large))).collect();
    let archive = built_with(&row(1, KEY), &documents);
    let (id, ..) = land_whole(pool, archive.path()).await;
    let asked = Cell::new(0);
    // Three documents of 3 MiB pass the 8 MiB of a part.
    assert_eq!(read(pool, id, archive.path(), || asked.replace(asked.get() + 1) > 0).await, None);
    assert_eq!(ask(pool, "SELECT count(*)::text FROM pinv_gbif.dataset").await, "3");
    assert_eq!(read(pool, id, archive.path(), || false).await.unwrap().read, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_lost_its_claim_keeps_nothing() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let archive = built_with(&row(1, KEY), &[named(KEY, document("Described"))]);
    let (id, ..) = land_whole(pool, archive.path()).await;
    sqlx::query("INSERT INTO passereau.claim VALUES ('load', 7, now() + interval '1 minute')")
        .execute(pool)
        .await
        .unwrap();
    let read = async |token| {
        let fence = Fence { name: "load".to_owned(), token };
        let file = File::open(archive.path()).unwrap();
        read_documents(pool, id, file, Limits::default(), Some(&fence), || false).await
    };
    let lost = read(6).await.unwrap_err();
    assert!(matches!(lost, LandingError::ClaimLost { .. }), "{lost}");
    assert_eq!(ask(pool, "SELECT count(*)::text FROM pinv_gbif.dataset").await, "0");
    assert_eq!(read(7).await.unwrap().unwrap().read, 1);
    assert_eq!(ask(pool, "SELECT title FROM pinv_gbif.dataset").await, "Described");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_is_asked_about_datasets_that_it_was_not_asked_about_lately() {
    let store = tempfile::tempdir().unwrap();
    let archive = built_with(&[row(1, KEY), row(2, OTHER_KEY)].concat(), &[named(KEY, document("Described"))]);
    std::fs::copy(archive.path(), store.path().join("april.zip")).unwrap();
    let mut bench = WorkerBench::new().await;
    let config = LoaderConfig {
        store: StoreConfig::new(format!("file://{}", store.path().display()), std::env::temp_dir()),
        landing: LandingConfig::default(),
    };
    bench.run(Loader::new(&config).unwrap()).await;

    let first = load(&bench).await;
    bench.reaches(first, State::Enriching).await;
    let batch = "SELECT format('%s %s %s %s', ordinal, ids, dataset_keys, slices_left)
                 FROM passereau.slice JOIN passereau.harvest ON id = harvest_id";
    assert_eq!(ask(bench.pool(), batch).await, format!("0  {{{KEY},{OTHER_KEY}}} 1"));
    assert_eq!(ask(bench.pool(), "SELECT title FROM pinv_gbif.dataset").await, "Described");

    // Once the registry has answered, or has no such dataset, the next harvest has nothing to ask.
    sqlx::query("INSERT INTO pinv_gbif.dataset (dataset_key, registry_absent) VALUES ($1::uuid, true)")
        .bind(OTHER_KEY)
        .execute(bench.pool())
        .await
        .unwrap();
    sqlx::query("UPDATE pinv_gbif.dataset SET registry_asked_at = now()").execute(bench.pool()).await.unwrap();
    let second = load(&bench).await;
    bench.reaches(second, State::Planning).await;
    bench.finish().await;
}

/// A harvest of the archive in the store.
async fn load(bench: &WorkerBench) -> Uuid {
    let harvest = bench.harvest(State::Loading, None, None).await;
    sqlx::query("UPDATE passereau.harvest SET archive_key = 'april.zip' WHERE id = $1")
        .bind(harvest)
        .execute(bench.pool())
        .await
        .unwrap();
    bench.send(&ArchiveLoad { harvest_id: harvest }).await;
    harvest
}
