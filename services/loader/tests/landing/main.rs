//! Every archive of the fixtures, landed into a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod datasets;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use passereau_loader::{
    Fence, Landed, LandedCounts, LandingConfig, LandingError, LandingInput, Report, land, open_generation,
};
use passereau_testing::TestDatabase;
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zip::write::SimpleFileOptions;

const HEADERLESS: &str = "archives/dwca-2013-07-headerless-gbif-results.zip";
const TICKS: &str = "archives/dwca-2020-07-0022697-200613084148143.zip";
const TICKS_2026: &str = "derived/dwca-layout-2026-08-from-0022697.zip";
const PLANTS: &str = "archives/dwca-2024-11-0022407-241107131044228.zip";
const MICROBES: &str = "archives/dwca-2023-05-0205663-230224095556074.zip";
const NEXT_LINE: &str = "archives/other-dwca-utf8-eol-test.zip";
const SHIFTED: &str = "archives/malformed-descriptor-235-vs-234.zip";

fn fixture(name: &str) -> Option<PathBuf> {
    passereau_testing::recorded(&format!("gbif/{name}"))
}

async fn new_generation(pool: &PgPool) -> i64 {
    let mut connection = pool.acquire().await.unwrap();
    open_generation(&mut connection, "test", Uuid::new_v4(), "archive.zip", None).await.unwrap()
}

fn input(generation_id: i64, archive: &Path) -> LandingInput {
    LandingInput {
        generation_id,
        file: File::open(archive).unwrap(),
        multimedia: true,
        deadline: None,
        cancel: CancellationToken::new(),
        fence: None,
        config: LandingConfig::default(),
        metrics: None,
    }
}

fn finished(landed: Landed) -> (LandedCounts, Report) {
    match landed {
        Landed::Finished { counts, report } => (counts, *report),
        Landed::Unfinished { cursor } => panic!("stopped at {cursor:?}"),
    }
}

async fn land_whole(pool: &PgPool, archive: &Path) -> (i64, LandedCounts, Report) {
    let id = new_generation(pool).await;
    let (counts, report) = finished(land(pool, input(id, archive)).await.unwrap());
    (id, counts, report)
}

/// One text, made of the rows of a query with one column.
async fn ask(pool: &PgPool, query: &str) -> String {
    let rows: Vec<Option<String>> = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|row| row.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("\n")
}

/// Every value of a generation, in an order that does not depend on how it came there.
async fn content(pool: &PgPool, id: i64) -> String {
    let of = |table: &str| {
        format!(
            "SELECT md5(string_agg(r, E'\\n' ORDER BY r COLLATE \"C\")) FROM
             (SELECT (to_jsonb(t) - 'generation_id')::text AS r FROM pinv_gbif.{table} t WHERE generation_id = {id}) rows"
        )
    };
    format!("{} {}", ask(pool, &of("occurrence")).await, ask(pool, &of("multimedia")).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_archive_lands_with_its_published_counts() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    for (name, records, multimedia, absent) in [
        (HEADERLESS, 158, 0, 31),
        ("archives/dwca-2014-09-0000066-140928181241064.zip", 470, 215, 10),
        (TICKS, 1310, 1362, 3),
        ("archives/dwca-2021-12-0076720-210914110416597.zip", 12, 6, 3),
        (MICROBES, 2268, 0, 2),
        (PLANTS, 573, 0, 0),
        (TICKS_2026, 1310, 1362, 0),
        (NEXT_LINE, 1, 0, 31),
    ] {
        let Some(path) = fixture(name) else { return };
        let (id, counts, report) = land_whole(pool, &path).await;
        let expected = LandedCounts { read: records, landed: records, duplicate: 0, malformed: 0, multimedia };
        assert_eq!(counts, expected, "{name}");
        assert_eq!(report.missing_terms.len(), absent, "{name}: {:?}", report.missing_terms);
        assert!(report.absent_tables.is_empty() && report.malformed.is_empty(), "{name}: {report:?}");
        // Archives of 2013 still had free text in coordinatePrecision.
        let unreadable: Vec<(&str, u64)> =
            report.unreadable.iter().map(|(column, count)| (column.as_str(), *count)).collect();
        let expected: &[(&str, u64)] = if name == HEADERLESS { &[("coordinate_precision", 9)] } else { &[] };
        assert_eq!(unreadable, expected, "{name}");
        let stored = ask(
            pool,
            &format!(
                "SELECT format('%s %s %s %s %s', g.state, g.read, g.landed,
                        (SELECT count(*) FROM pinv_gbif.occurrence o WHERE o.generation_id = g.id),
                        (SELECT count(*) FROM pinv_gbif.multimedia m WHERE m.generation_id = g.id))
                 FROM pinv_gbif.generation g WHERE id = {id}"
            ),
        )
        .await;
        assert_eq!(stored, format!("landed {records} {records} {records} {multimedia}"), "{name}");
        // Landing what is landed changes nothing and says the same.
        assert_eq!(finished(land(pool, input(id, &path)).await.unwrap()), (counts, report), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_typed_and_quotes_undone() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let Some(ticks) = fixture(TICKS) else { return };
    let (id, ..) = land_whole(pool, &ticks).await;
    let one = |expression: &str, condition: &str| {
        format!("SELECT ({expression})::text FROM pinv_gbif.occurrence WHERE generation_id = {id} AND {condition}")
    };
    assert_eq!(ask(pool, &one("count(inaturalist_id)", "true")).await, "1015");
    assert_eq!(ask(pool, &one("count(date_start)", "event_date IS NOT NULL AND date_start = date_end")).await, "1261");
    assert_eq!(ask(pool, &one("count(*)", "modified IS NOT NULL")).await, "1133");
    assert_eq!(ask(pool, &one("count(*)", "last_interpreted IS NOT NULL")).await, "1310");
    assert_eq!(ask(pool, &one("count(*)", "individual_count IS NOT NULL")).await, "82");
    assert_eq!(ask(pool, &one("count(*)", "dataset_key = '50c9509d-22c7-4a22-a47d-8c48425ef4a7'")).await, "1015");
    assert_eq!(
        ask(pool, &one("count(*)", "catalog_number <> inaturalist_id::text AND inaturalist_id IS NOT NULL")).await,
        "0"
    );
    // Nothing is left of the quoting, and what was quoted is there.
    assert_eq!(
        ask(pool, &format!("SELECT count(*)::text FROM pinv_gbif.occurrence o WHERE generation_id = {id} AND to_jsonb(o)::text LIKE '%\\\"\\\"\\\"%'")).await,
        "0"
    );
    assert_ne!(ask(pool, &one("count(*)", "occurrence_remarks ~ '\"'")).await, "0");
    let row =
        "format('%s|%s|%s|%s|%s|%s|%s', date_start, last_interpreted AT TIME ZONE 'UTC', modified, decimal_latitude,
               coordinate_uncertainty_in_meters, inaturalist_id, taxon_key)";
    assert_eq!(
        ask(pool, &one(row, "gbif_id = 2803151307")).await,
        "2020-06-24 20:58:14|2020-07-09 05:45:04.129|2020-06-25 01:39:04|37.309069|28417|50839517|2184301"
    );
    let remarks = one("occurrence_remarks", "gbif_id IN (2611186589, 2596339783) ORDER BY gbif_id DESC");
    assert_eq!(
        ask(pool, &remarks).await,
        "Note no \"star\"\ntentative. \"White dot\" seems to be light reflecting off"
    );

    let Some(plants) = fixture(PLANTS) else { return };
    let (plants, ..) = land_whole(pool, &plants).await;
    let years = format!(
        "SELECT DISTINCT format('%s %s', to_char(date_start - make_interval(years => event_date::int), 'MM-DD'),
                to_char(date_end, 'MM-DD')) FROM pinv_gbif.occurrence WHERE generation_id = {plants} AND event_date ~ '^[0-9]{{4}}$'"
    );
    assert_eq!(ask(pool, &years).await, "01-01 12-31");
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_2013_have_their_terms_elsewhere() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let Some(path) = fixture(HEADERLESS) else { return };
    let (id, ..) = land_whole(pool, &path).await;
    let of = |what: &str| {
        format!("SELECT {what} FROM pinv_gbif.occurrence WHERE generation_id = {id} AND gbif_id = 607759330")
    };
    let row = "format('%s|%s|%s|%s|%s|%s', dataset_key, taxon_key, occurrence_id, date_start, modified, verbatim_scientific_name)";
    assert_eq!(
        ask(pool, &of(row)).await,
        "5d6c10bd-ea31-4363-8b79-58c96d859f5b|2407477||1930-04-01 00:00:00||Chelonodon fluviatilis"
    );
    assert_eq!(ask(pool, "SELECT count(date_start)::text FROM pinv_gbif.occurrence").await, "44");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_line_character_stays_in_its_value() {
    let database = TestDatabase::migrated().await;
    let Some(path) = fixture(NEXT_LINE) else { return };
    land_whole(&database.pool, &path).await;
    let (all, named) = ("count(*)::text", "identified_by");
    assert_eq!(ask(&database.pool, &format!("SELECT {all} FROM pinv_gbif.occurrence")).await, "1");
    let identified_by = ask(&database.pool, &format!("SELECT {named} FROM pinv_gbif.occurrence")).await;
    assert_eq!(identified_by, "\u{c3}\u{85}hlander, E");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layout_does_not_change_the_content() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let (Some(old), Some(new)) = (fixture(TICKS), fixture(TICKS_2026)) else { return };
    let (old, ..) = land_whole(pool, &old).await;
    let (new, ..) = land_whole(pool, &new).await;
    let same = format!(
        "SELECT count(*)::text FROM pinv_gbif.occurrence a JOIN pinv_gbif.occurrence b USING (gbif_id, content_hash)
         WHERE a.generation_id = {old} AND b.generation_id = {new}"
    );
    assert_eq!(ask(pool, &same).await, "1310");
    assert_eq!(ask(pool, "SELECT count(DISTINCT content_hash)::text FROM pinv_gbif.occurrence").await, "1310");
    assert_eq!(content(pool, old).await, content(pool, new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_landing_goes_on_where_it_stopped() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    for name in [TICKS, MICROBES] {
        let Some(path) = fixture(name) else { return };
        let (whole, counts, report) = land_whole(pool, &path).await;
        let id = new_generation(pool).await;
        let mut calls = 0;
        let again = loop {
            calls += 1;
            assert!(calls < 100, "{name} does not come to its end");
            // A deadline that has passed: one frame of rows, then stop.
            match land(pool, LandingInput { deadline: Some(Instant::now()), ..input(id, &path) }).await.unwrap() {
                Landed::Unfinished { cursor } => assert!(cursor.occurrence > 0),
                done => break finished(done),
            }
        };
        assert!(calls > 3, "{name} was stopped {calls} times");
        assert_eq!(again, (counts, report), "{name}");
        assert_eq!(content(pool, id).await, content(pool, whole).await, "{name}");
        // Several parts in one call.
        let id = new_generation(pool).await;
        let config = LandingConfig { part_records: 100, ..LandingConfig::default() };
        let (in_parts, _) = finished(land(pool, LandingInput { config, ..input(id, &path) }).await.unwrap());
        assert_eq!(in_parts, counts);
        assert_eq!(content(pool, id).await, content(pool, whole).await, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_landing_stops_and_a_lost_claim_writes_nothing() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let Some(path) = fixture(TICKS) else { return };
    let id = new_generation(pool).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let stopped = land(pool, LandingInput { cancel, ..input(id, &path) }).await.unwrap();
    assert!(matches!(stopped, Landed::Unfinished { cursor } if cursor.occurrence == 0));

    sqlx::query("INSERT INTO passereau.claim VALUES ('load', 7, now() + interval '1 minute')")
        .execute(pool)
        .await
        .unwrap();
    let fence = |token| Some(Fence { name: "load".to_owned(), token });
    let lost = land(pool, LandingInput { fence: fence(6), ..input(id, &path) }).await.unwrap_err();
    assert!(matches!(lost, LandingError::ClaimLost { .. }) && lost.is_transient(), "{lost}");
    assert_eq!(ask(pool, &format!("SELECT count(*)::text FROM pinv_gbif.occurrence_{id}")).await, "0");
    let (counts, _) = finished(land(pool, LandingInput { fence: fence(7), ..input(id, &path) }).await.unwrap());
    assert_eq!(counts.landed, 1310);
}

/// An archive of gbifID, datasetKey, basisOfRecord, occurrenceRemarks, lastInterpreted.
fn built(rows: &[u8]) -> tempfile::NamedTempFile {
    built_with(rows, &[])
}

/// The same with documents of datasets.
fn built_with(rows: &[u8], documents: &[(String, Vec<u8>)]) -> tempfile::NamedTempFile {
    let terms = [
        "http://rs.gbif.org/terms/1.0/gbifID",
        "http://rs.gbif.org/terms/1.0/datasetKey",
        "http://rs.tdwg.org/dwc/terms/basisOfRecord",
        "http://rs.tdwg.org/dwc/terms/occurrenceRemarks",
        "http://rs.gbif.org/terms/1.0/lastInterpreted",
    ];
    let mut fields = String::new();
    for (index, term) in terms.iter().enumerate() {
        fields.push_str(&format!("<field index=\"{index}\" term=\"{term}\"/>"));
    }
    let meta = format!(
        "<archive xmlns=\"http://rs.tdwg.org/dwc/text/\"><core encoding=\"UTF-8\" fieldsTerminatedBy=\"\\t\" \
         linesTerminatedBy=\"\\n\" fieldsEnclosedBy=\"\" ignoreHeaderLines=\"0\" \
         rowType=\"http://rs.tdwg.org/dwc/terms/Occurrence\"><files><location>occurrence.txt</location></files>\
         <id index=\"0\"/>{fields}<field default=\"Adult\" term=\"http://rs.tdwg.org/dwc/terms/lifeStage\"/></core></archive>"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
    let documents = documents.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
    for (name, content) in [("meta.xml", meta.as_bytes()), ("occurrence.txt", rows)].into_iter().chain(documents) {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    file
}

const KEY: &str = "50c9509d-22c7-4a22-a47d-8c48425ef4a7";

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rows_with_one_number_the_newer_stays() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let row = |id: u32, remarks: &str, day: &str| format!("{id}\t{KEY}\tHUMAN_OBSERVATION\t{remarks}\t{day}\n");
    let rows = [
        row(1, "older", "2026-01-01T00:00:00Z"),
        row(2, "first", "2026-01-01T00:00:00Z"),
        row(1, "newer", "2026-02-01T00:00:00Z"),
        row(2, "second", "2026-01-01T00:00:00Z"),
        row(1, "unknown", ""),
        row(3, "alone", ""),
        "x\tmalformed\n".to_owned(),
    ];
    let archive = built(rows.concat().as_bytes());
    let (id, counts, report) = land_whole(pool, archive.path()).await;
    assert_eq!(counts, LandedCounts { read: 7, landed: 3, duplicate: 3, malformed: 1, multimedia: 0 });
    assert_eq!(counts.read, counts.landed + counts.duplicate + counts.malformed);
    assert_eq!(report.malformed.len(), 1);
    let kept = format!(
        "SELECT format('%s %s %s', gbif_id, occurrence_remarks, life_stage) FROM pinv_gbif.occurrence
         WHERE generation_id = {id} ORDER BY 1"
    );
    assert_eq!(ask(pool, &kept).await, "1 newer Adult\n2 first Adult\n3 alone Adult");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_rows_are_counted_with_line_and_reason() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let mut rows = Vec::new();
    for id in 1..=300_u32 {
        let line = match id {
            10 => "10\ttoo\tfew\n".to_owned(),
            11 => format!("eleven\t{KEY}\tHUMAN_OBSERVATION\t\t\n"),
            12 => format!("12\t{KEY}\tHUMAN_OBSERVATION\t\0\t\n"),
            13 => format!("13\t{KEY}\tHUMAN_OBSERVATION\t{}\t\n", "x".repeat(3 << 20)),
            150.. => "\n".to_owned(),
            _ => format!("{id}\t{KEY}\tHUMAN_OBSERVATION\t\t\n"),
        };
        rows.extend_from_slice(line.as_bytes());
    }
    rows.extend_from_slice(b"301\t50c9509d-22c7-4a22-a47d-8c48425ef4a7\tHUMAN_OBSERVATION\t\xff\t");
    let archive = built(&rows);
    let id = new_generation(pool).await;
    let mut config = LandingConfig::default();
    config.limits.max_line_bytes = 1 << 20;
    let (counts, report) = finished(land(pool, LandingInput { config, ..input(id, archive.path()) }).await.unwrap());
    assert_eq!(counts, LandedCounts { read: 301, landed: 145, duplicate: 0, malformed: 156, multimedia: 0 });
    let reasons: Vec<String> = report.malformed.iter().map(|row| format!("{} {}", row.line, row.reason)).collect();
    assert_eq!(reasons.len(), 100);
    assert_eq!(
        reasons[..5],
        [
            "10 3 fields instead of 5",
            "11 gbifID \"eleven\" is no number",
            "12 NUL at byte 58",
            "13 longer than 1048576 bytes",
            "150 1 fields instead of 5"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_trusted_lands_nothing() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let shifted = built(b"1\tHUMAN_OBSERVATION\t50c9509d-22c7-4a22-a47d-8c48425ef4a7\t\t\n");
    let html = tempfile::NamedTempFile::new().unwrap();
    html.as_file().write_all(b"<html>sorry</html>").unwrap();
    let mut archives = vec![shifted.path().to_owned(), html.path().to_owned()];
    archives.extend(fixture(SHIFTED));
    archives.extend(fixture("archives/simple-csv-2025-02-0009886-250127130748423.zip"));
    archives.extend(fixture("archives/descriptors-2026-08-0022238-260806074905277.zip"));
    for archive in archives {
        let id = new_generation(pool).await;
        let refused = land(pool, input(id, &archive)).await.unwrap_err();
        assert!(matches!(refused, LandingError::Archive { .. }) && !refused.is_transient(), "{refused}");
        assert_eq!(ask(pool, &format!("SELECT state FROM pinv_gbif.generation WHERE id = {id}")).await, "loading");
        assert_eq!(ask(pool, &format!("SELECT count(*)::text FROM pinv_gbif.occurrence_{id}")).await, "0");
    }
    let missing = land(pool, input(4_000_000, html.path())).await.unwrap_err();
    assert!(matches!(missing, LandingError::NotLoading { .. }), "{missing}");
}

/// A harvest that is loading into a new generation.
async fn loading(pool: &PgPool) -> (Uuid, i64) {
    let harvest = Uuid::new_v4();
    sqlx::query("INSERT INTO passereau.subscription (name, request) VALUES ('test', '{}')")
        .execute(pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO passereau.harvest (id, subscription, state, request, request_digest)
         VALUES ($1, 'test', 'loading', '{}', '')",
    )
    .bind(harvest)
    .execute(pool)
    .await
    .unwrap();
    let mut connection = pool.acquire().await.unwrap();
    (harvest, open_generation(&mut connection, "test", harvest, "archive.zip", None).await.unwrap())
}

/// How many tables of generations there are.
async fn tables(pool: &PgPool) -> String {
    ask(pool, "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'pinv_gbif' AND tablename ~ '^(occurrence|multimedia)_[0-9]'")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_landing_that_meets_a_cancellation_ends_and_leaves_no_table() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let Some(ticks) = fixture(TICKS) else { return };
    let (harvest, id) = loading(pool).await;
    // Part of it is landed, then somebody cancels while it goes on.
    let some = LandingInput { deadline: Some(Instant::now()), ..input(id, &ticks) };
    assert!(matches!(land(pool, some).await.unwrap(), Landed::Unfinished { .. }));
    assert_eq!(tables(pool).await, "2");
    let mut cancelling = pool.begin().await.unwrap();
    assert!(passereau_harvest::cancel(&mut cancelling, harvest, "cancelled").await.unwrap());
    let going_on = tokio::spawn({
        let (pool, input) = (pool.clone(), input(id, &ticks));
        async move { land(&pool, input).await }
    });
    let waiting = "SELECT count(*)::text FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event = 'advisory' AND query LIKE '%passereau.hold(%'";
    passereau_testing::wait_until("the landing at the lock", std::time::Duration::from_secs(30), async || {
        (ask(pool, waiting).await == "1").then_some(())
    })
    .await;
    cancelling.commit().await.unwrap();
    let lost = going_on.await.unwrap().unwrap_err();
    assert!(matches!(lost, LandingError::ClaimLost { .. }), "{lost}");
    assert_eq!(tables(pool).await, "0");
    // Once more, as a message that comes late would.
    let late = land(pool, input(id, &ticks)).await.unwrap_err();
    assert!(matches!(late, LandingError::NotLoading { .. }), "{late}");
    assert_eq!(tables(pool).await, "0");
}
