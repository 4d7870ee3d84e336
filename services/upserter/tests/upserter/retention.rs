//! What is kept for a time: what goes, what stays, and that the synthèse does not notice.

use std::collections::BTreeMap;

use passereau_retention::{Amount, Kind, RetentionError, last_run, plan, run, run_while};
use passereau_store::{ObjectKey, Store, StoreConfig};
use serde_json::json;
use sqlx::{AssertSqlSafe, types::Uuid};
use tempfile::TempDir;

use crate::platform::{Platform, record};

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let url = url::Url::from_directory_path(folder.path().join("store")).unwrap().to_string();
    let store = Store::open(&StoreConfig::new(url, folder.path().join("scratch"))).unwrap();
    (folder, store)
}

async fn put(store: &Store, folder: &TempDir, key: &str) {
    let path = folder.path().join("file");
    std::fs::write(&path, b"12345").unwrap();
    store.put_file(&ObjectKey::parse(key).unwrap(), &path).await.unwrap();
}

async fn keys(store: &Store) -> Vec<String> {
    store.list("").await.unwrap().into_iter().map(|(key, _)| key.to_string()).collect()
}

/// Ends a harvest so many days ago.
async fn end(platform: &Platform, harvest: Uuid, state: &str, days: i32) {
    sqlx::query(
        "UPDATE passereau.harvest SET state = $2, finished_at = now() - make_interval(days => $3),
                failed_state = CASE WHEN $2 = 'failed' THEN 'upserting' END WHERE id = $1",
    )
    .bind(harvest)
    .bind(state)
    .bind(days)
    .execute(&platform.pool)
    .await
    .unwrap();
}

async fn dead_letter(platform: &Platform, harvest: Option<Uuid>, state: &str, days: i32) {
    sqlx::query(
        "INSERT INTO passereau.dead_letter (id, queue, body, harvest_id, reason, error, state, died_at, settled_at)
         SELECT gen_random_uuid(), 'upserter', '', $1, 'rejected', 'x', $2, at, CASE WHEN $2 <> 'waiting' THEN at END
         FROM (SELECT now() - make_interval(days => $3) AS at) ago",
    )
    .bind(harvest)
    .bind(state)
    .bind(days)
    .execute(&platform.pool)
    .await
    .unwrap();
}

async fn days(platform: &Platform, setting: &str, value: &str) {
    platform
        .execute(&format!("UPDATE pinv_gbif.setting SET value = '{value}' WHERE name = 'retention_{setting}_days'"))
        .await;
}

/// The subscriptions whose generation stands, with its table.
async fn standing(platform: &Platform) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT g.subscription FROM pinv_gbif.generation g
         WHERE g.state <> 'dropped' AND to_regclass('pinv_gbif.occurrence_' || g.id) IS NOT NULL
           AND to_regclass('pinv_gbif.multimedia_' || g.id) IS NOT NULL ORDER BY 1",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

/// What a plan announces, of the kinds of which something would go.
async fn announced(platform: &Platform, store: &Store) -> BTreeMap<Kind, Amount> {
    let expired = plan(&platform.pool, store).await.unwrap();
    assert_eq!(expired.iter().map(|expired| expired.kind).collect::<Vec<_>>(), Kind::ALL);
    expired.into_iter().filter(|e| e.amount.count > 0).map(|e| (e.kind, e.amount)).collect()
}

/// Runs, and checks that what goes is what was announced and that the synthèse keeps every row as it was.
async fn takes_away(platform: &Platform, store: &Store) -> BTreeMap<Kind, u64> {
    let before = platform.fingerprint().await;
    let announced = announced(platform, store).await;
    let done = run(&platform.pool, store).await.unwrap();
    assert_eq!((done.error, done.finished_at.is_some()), (None, true));
    let gone: BTreeMap<String, Amount> = serde_json::from_value(done.removed).unwrap();
    assert_eq!(gone.len(), announced.len(), "a plan says what a run does: {gone:?} {announced:?}");
    for (kind, amount) in &announced {
        let removed = gone[kind.as_str()];
        assert_eq!(removed.count, amount.count, "{kind}");
        // A row's size differs by some bytes with the way that PostgreSQL read it.
        let exact = matches!(kind, Kind::Generation | Kind::OneOff | Kind::Archive | Kind::Part);
        assert!(removed.bytes > 0 && (!exact || removed.bytes == amount.bytes), "{kind}: {removed:?} {amount:?}");
    }
    assert_eq!(platform.fingerprint().await, before, "the synthèse keeps every row as it was");
    announced.into_iter().map(|(kind, amount)| (kind, amount.count)).collect()
}

#[tokio::test]
async fn what_harvests_left_behind_goes_and_what_can_go_on_stays() {
    let platform = Platform::new().await;
    let (_folder, store) = store();
    let current = platform.land("current", &[record(1), record(2)]).await;
    platform.run(current).await;
    end(&platform, current, "completed", 400).await;
    for (subscription, first_id) in
        [("cancelled", 10), ("failed", 20), ("live", 30), ("recent", 40), ("replayable", 50), ("superseded", 60)]
    {
        let harvest = platform.land(subscription, &[record(first_id), record(first_id + 1)]).await;
        platform.plan(harvest).await;
        match subscription {
            "live" => platform
                .execute(
                    "UPDATE passereau.harvest SET updated_at = now() - interval '400 days' WHERE subscription = 'live'",
                )
                .await,
            "cancelled" => end(&platform, harvest, "cancelled", 31).await,
            "recent" => end(&platform, harvest, "failed", 29).await,
            _ => end(&platform, harvest, "failed", 31).await,
        }
        if subscription == "replayable" || subscription == "superseded" {
            dead_letter(&platform, Some(harvest), "waiting", 31).await;
        }
    }
    let newer = platform.land("superseded", &[record(60)]).await;
    platform.run(newer).await;

    let gone = takes_away(&platform, &store).await;
    // The slice of the current harvest as well: what it counted stands in the harvest.
    let expected = BTreeMap::from([(Kind::Generation, 3), (Kind::Plan, 6), (Kind::Slice, 4)]);
    assert_eq!(gone, expected);
    assert_eq!(standing(&platform).await, ["current", "live", "recent", "replayable", "superseded"]);
    let planned: Vec<i64> =
        sqlx::query_scalar("SELECT gbif_id FROM passereau.plan ORDER BY 1").fetch_all(&platform.pool).await.unwrap();
    assert_eq!(planned, [30, 31, 40, 41, 50, 51]);
    assert_eq!(platform.count("SELECT count(*) FROM passereau.harvest").await, 8, "harvests stay for ever");
    assert_eq!(announced(&platform, &store).await, BTreeMap::new());

    // What stayed goes on: the live harvest, and the failed one as after a replay.
    for subscription in ["live", "replayable"] {
        let harvest: Uuid = sqlx::query_scalar("SELECT id FROM passereau.harvest WHERE subscription = $1")
            .bind(subscription)
            .fetch_one(&platform.pool)
            .await
            .unwrap();
        assert_eq!(platform.run(harvest).await.inserted, 2, "{subscription}");
    }
}

#[tokio::test]
async fn a_dropped_letter_lets_go_of_what_its_harvest_left_behind() {
    let platform = Platform::new().await;
    let (_folder, store) = store();
    let entered = platform.land("entered", &[record(2)]).await;
    platform.run(entered).await;
    let harvest = platform.land("failed", &[record(1)]).await;
    end(&platform, harvest, "failed", 31).await;
    dead_letter(&platform, Some(harvest), "waiting", 31).await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::new());
    platform.execute("UPDATE passereau.dead_letter SET state = 'dropped', settled_at = now()").await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::from([(Kind::Generation, 1)]));
}

#[tokio::test]
async fn messages_and_letters_are_forgotten_after_their_days_and_a_waiting_letter_never() {
    let platform = Platform::new().await;
    let (_folder, store) = store();
    let entered = platform.land("entered", &[record(1)]).await;
    platform.run(entered).await;
    for (state, days) in [("waiting", 4000), ("replayed", 91), ("dropped", 91), ("replayed", 89)] {
        dead_letter(&platform, None, state, days).await;
    }
    platform
        .execute(
            "INSERT INTO passereau.inbox SELECT 'loader', gen_random_uuid(), now() - make_interval(days => d)
             FROM unnest(ARRAY[29, 31, 32]) d;
             INSERT INTO passereau.deleted (gbif_id, id_synthese, subscription, harvest_id, deleted_at, content)
             SELECT d, d, 's', gen_random_uuid(), now() - make_interval(days => d), '{}' FROM unnest(ARRAY[99, 4000]) d",
        )
        .await;
    let gone = takes_away(&platform, &store).await;
    assert_eq!(gone, BTreeMap::from([(Kind::Inbox, 2), (Kind::DeadLetter, 2)]));
    // For ever unless the platform says otherwise.
    days(&platform, "deleted", "100").await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::from([(Kind::Deleted, 1)]));
    // And for ever again, whichever way it is said.
    for forever in ["0", "", " "] {
        days(&platform, "inbox", forever).await;
        platform.execute("UPDATE passereau.inbox SET handled_at = now() - interval '20 years'").await;
        assert_eq!(takes_away(&platform, &store).await, BTreeMap::new(), "{forever:?}");
    }
}

#[tokio::test]
async fn a_one_off_request_keeps_its_records_until_the_platform_says_otherwise_and_none_of_them_waits() {
    let platform = Platform::new().await;
    let (_folder, store) = store();
    for (subscription, dataset) in
        [("waits", "00000000-0000-4000-8000-00000000dead"), ("settled", crate::platform::DATASET)]
    {
        let id = if subscription == "waits" { 1 } else { 2 };
        let harvest = platform.land(subscription, &[record(id).with("dataset_key", json!(dataset))]).await;
        platform.run(harvest).await;
        end(&platform, harvest, "completed", 91).await;
    }
    let named = platform.land("named", &[record(3)]).await;
    platform.run(named).await;
    end(&platform, named, "completed", 91).await;
    platform.execute("UPDATE passereau.subscription SET one_off = name <> 'named'; DELETE FROM passereau.slice").await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::new(), "the default is for ever");

    days(&platform, "one_off", "90").await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::from([(Kind::OneOff, 1)]));
    assert_eq!(standing(&platform).await, ["named", "waits"], "records that wait for a dataset are not lost");
    assert_eq!(platform.standing().await, [2, 3], "what entered stays");
    assert!(platform.look_out().await.is_empty(), "what has no records is not converted again");
}

#[tokio::test]
async fn a_row_that_somebody_deleted_is_remembered_for_as_long_as_gbif_publishes_its_record() {
    let platform = Platform::new().await;
    let (_folder, store) = store();
    let first = platform.land("s", &[record(1), record(2), record(3)]).await;
    platform.run(first).await;
    platform.execute("DELETE FROM gn_synthese.synthese WHERE entity_source_pk_value IN ('1', '2')").await;
    let second = platform.land("s", &[record(1), record(3)]).await;
    platform.run(second).await;
    let long_ago = "UPDATE passereau.written SET written_at = now() - interval '20 years', gone_since = gone_since - interval '31 days'";
    platform.execute(long_ago).await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::new(), "the default is for ever");

    // The days count from when a run first saw that GBIF no longer has it.
    days(&platform, "written", "30").await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::new());
    platform.execute(long_ago).await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::from([(Kind::Written, 1)]));
    let left: Vec<i64> =
        sqlx::query_scalar("SELECT gbif_id FROM passereau.written ORDER BY 1").fetch_all(&platform.pool).await.unwrap();
    assert_eq!(left, [1, 3], "record 1 is still published: its deletion is not undone");
    let third = platform.land("s", &[record(1), record(3)]).await;
    assert_eq!(platform.run(third).await.inserted, 0);
    assert_eq!(platform.standing().await, [3]);
}

#[tokio::test]
async fn a_record_that_came_back_before_its_row_was_forgotten_counts_from_the_beginning() {
    let platform = Platform::new().await;
    let (_folder, store) = store();
    let first = platform.land("s", &[record(1), record(2)]).await;
    platform.run(first).await;
    platform.execute("DELETE FROM gn_synthese.synthese WHERE entity_source_pk_value = '1'").await;
    days(&platform, "written", "30").await;
    let without = platform.land("s", &[record(2)]).await;
    platform.run(without).await;
    takes_away(&platform, &store).await;
    platform.execute("UPDATE passereau.written SET gone_since = gone_since - interval '31 days'").await;
    let with = platform.land("s", &[record(1), record(2)]).await;
    platform.run(with).await;
    assert_eq!(takes_away(&platform, &store).await, BTreeMap::new(), "it is published again");
    assert_eq!(platform.count("SELECT count(gone_since) FROM passereau.written").await, 0);
}

#[tokio::test]
async fn archives_and_parts_go_from_the_store_when_no_harvest_needs_them() {
    let platform = Platform::new().await;
    let (folder, store) = store();
    let mut parts = Vec::new();
    for (id, (download, state, days)) in [
        ("old", "failed", 31),
        ("newest", "completed", 400),
        ("live", "fetching", 400),
        ("young", "completed", 29),
        ("replayable", "failed", 31),
    ]
    .into_iter()
    .enumerate()
    {
        let harvest = platform.land(download, &[record(id as i64 + 1)]).await;
        if state == "completed" {
            platform.run(harvest).await;
        }
        end(&platform, harvest, state, days).await;
        if download == "replayable" {
            dead_letter(&platform, Some(harvest), "waiting", 31).await;
        }
        sqlx::query("UPDATE passereau.harvest SET download_key = $2 WHERE id = $1")
            .bind(harvest)
            .bind(download)
            .execute(&platform.pool)
            .await
            .unwrap();
        put(&store, &folder, &format!("archives/{download}.zip")).await;
        put(&store, &folder, &format!("parts/{harvest}/000000")).await;
        put(&store, &folder, &format!("parts/{harvest}/000001")).await;
        parts.push(harvest);
    }
    platform.execute("UPDATE passereau.subscription SET one_off = name = 'young'").await;
    // What a person put there, and parts of another fleet's harvest.
    put(&store, &folder, "archives/april.zip").await;
    let foreign = Uuid::new_v4();
    put(&store, &folder, &format!("parts/{foreign}/000000")).await;

    let gone = takes_away(&platform, &store).await;
    assert_eq!((gone.get(&Kind::Archive), gone.get(&Kind::Part)), (Some(&1), Some(&4)), "{gone:?}");
    let left = keys(&store).await;
    let archives: Vec<&String> = left.iter().filter(|key| key.starts_with("archives/")).collect();
    assert_eq!(
        archives,
        [
            "archives/april.zip",
            "archives/live.zip",
            "archives/newest.zip",
            "archives/replayable.zip",
            "archives/young.zip"
        ]
    );
    for (harvest, stays) in parts.iter().zip([false, false, true, true, true]).chain([(&foreign, true)]) {
        assert_eq!(left.contains(&format!("parts/{harvest}/000000")), stays, "{harvest}");
    }
    // The archive of a one-off request is a copy of what GBIF keeps: it goes although nothing newer came.
    platform
        .execute("UPDATE passereau.harvest SET finished_at = now() - interval '31 days' WHERE download_key = 'young'")
        .await;
    assert_eq!(takes_away(&platform, &store).await.get(&Kind::Archive), Some(&1));
    assert!(!keys(&store).await.contains(&"archives/young.zip".to_owned()));
}

#[tokio::test]
async fn an_archive_that_is_being_fetched_is_left_to_its_fetch() {
    let platform = Platform::new().await;
    let (folder, store) = store();
    let harvest = platform.land("old", &[record(1)]).await;
    end(&platform, harvest, "cancelled", 31).await;
    platform.execute("UPDATE passereau.harvest SET download_key = 'k'").await;
    put(&store, &folder, "archives/k.zip").await;
    // As the downloader claims it.
    platform.execute("INSERT INTO passereau.claim VALUES ('fetch archives/k.zip', 1, now() + interval '1 hour')").await;
    run(&platform.pool, &store).await.unwrap();
    assert_eq!(keys(&store).await, ["archives/k.zip"]);
    platform.execute("UPDATE passereau.claim SET expires_at = '-infinity'").await;
    run(&platform.pool, &store).await.unwrap();
    assert_eq!(keys(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn of_many_processes_one_takes_away_at_a_time() {
    let platform = Platform::new().await;
    let (_folder, store) = store();
    platform
        .execute("INSERT INTO passereau.inbox SELECT 'loader', gen_random_uuid(), now() - interval '31 days' FROM generate_series(1, 25000)")
        .await;
    let at_once = || run(&platform.pool, &store);
    let (a, b, c) = tokio::join!(at_once(), at_once(), at_once());
    let (done, kept_out): (Vec<_>, Vec<_>) = [a, b, c].into_iter().partition(Result::is_ok);
    assert!(kept_out.iter().all(|error| matches!(error, Err(RetentionError::Busy))), "{kept_out:?}");
    let removed = |run: &passereau_retention::Run| run.removed["inbox"]["count"].as_u64().unwrap_or(0);
    assert_eq!(done.iter().flatten().map(removed).sum::<u64>(), 25_000, "more than one batch");
    assert_eq!(
        platform.count("SELECT count(*) FROM passereau.retention_run").await,
        i64::try_from(done.len()).unwrap()
    );
}

/// A delivery is held for five minutes at most; the next one goes on.
#[tokio::test]
async fn a_run_that_has_to_pause_goes_on_where_it_was() {
    let platform = Platform::new().await;
    let (folder, store) = store();
    let harvest = platform.land("old", &[record(1)]).await;
    end(&platform, harvest, "cancelled", 31).await;
    platform.execute("UPDATE passereau.harvest SET download_key = 'k'").await;
    put(&store, &folder, "archives/k.zip").await;
    platform
        .execute(
            "INSERT INTO passereau.inbox SELECT 'loader', gen_random_uuid(), now() - interval '31 days' FROM generate_series(1, 25000);
             UPDATE pinv_gbif.setting SET value = '30' WHERE name = 'retention_written_days';
             INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash, rest_hash, harvest_id, gone_since)
             SELECT id, -id, of, 1, of, of, of, of, of, now() - interval '31 days'
             FROM generate_series(1, 15000) AS id, gen_random_uuid() AS of",
        )
        .await;
    let mut pauses = 0;
    let done = loop {
        let run = run_while(&platform.pool, &store, || false).await.unwrap();
        assert_eq!(run.is_paused, run.finished_at.is_none());
        if !run.is_paused {
            break run;
        }
        pauses += 1;
        assert!(pauses < 30, "it gets on: {run:?}");
    };
    assert!(pauses >= 6, "a batch each: {pauses}");
    let removed = |kind: &str| done.removed[kind]["count"].as_u64();
    assert_eq!(
        (removed("generation"), removed("archive"), removed("inbox"), removed("written")),
        (Some(1), Some(1), Some(25_000), Some(15_000)),
        "{done:?}"
    );
    assert_eq!(platform.count("SELECT count(*) FROM passereau.retention_run").await, 1, "one run");
    assert_eq!(last_run(&platform.pool).await.unwrap().as_ref(), Some(&done));
    // A run that paused and was never gone on with is no place to go on tomorrow.
    platform.execute("UPDATE passereau.retention_run SET finished_at = NULL, paused_at_kind = 'deleted', started_at = now() - interval '25 hours'").await;
    run(&platform.pool, &store).await.unwrap();
    assert_eq!(platform.count("SELECT count(*) FROM passereau.retention_run").await, 2);
}

#[tokio::test]
async fn what_cannot_be_taken_away_is_named_and_holds_up_nothing_else() {
    let platform = Platform::new().await;
    let (_folder, store) = store();
    let harvest = platform.land("failed", &[record(1)]).await;
    end(&platform, harvest, "failed", 31).await;
    platform
        .execute(
            "INSERT INTO passereau.inbox VALUES ('loader', gen_random_uuid(), now() - interval '31 days');
             ALTER FUNCTION pinv_gbif.drop_generation(bigint) RENAME TO drop_generation_away",
        )
        .await;
    let done = run(&platform.pool, &store).await.unwrap();
    let error = done.error.unwrap();
    assert!(error.contains("generation") && error.contains("drop_generation"), "{error}");
    assert_eq!(done.removed["inbox"]["count"], 1);
    assert_eq!(standing(&platform).await, ["failed"]);
}

#[tokio::test]
async fn days_are_checked_where_they_are_written_and_convert_nothing_again() {
    let platform = Platform::new().await;
    let harvest = platform.land("s", &[record(1)]).await;
    platform.run(harvest).await;
    for (name, value, word) in [
        ("failed", "soon", "number of days"),
        ("archive", "-1", "number of days"),
        ("inbox", "1", "7 days"),
        ("written", "1.5", "number of days"),
    ] {
        let written = sqlx::raw_sql(AssertSqlSafe(format!(
            "UPDATE pinv_gbif.setting SET value = '{value}' WHERE name = 'retention_{name}_days'"
        )))
        .execute(&platform.pool)
        .await;
        let error = written.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    days(&platform, "failed", "7").await;
    assert!(platform.look_out().await.is_empty(), "how long things are kept decides no conversion");
    platform.execute("UPDATE pinv_gbif.setting SET value = '1901-01-01' WHERE name = 'oldest_date'").await;
    assert_eq!(platform.look_out().await.len(), 1, "other settings still do");
}

/// The table of the documentation is the list of the code, with the defaults of a new platform.
#[tokio::test]
async fn the_documentation_lists_every_kind_with_its_setting_and_default() {
    let platform = Platform::new().await;
    let mut expected = Vec::new();
    for kind in Kind::ALL {
        let value: Option<String> = sqlx::query_scalar("SELECT value FROM pinv_gbif.setting WHERE name = $1")
            .bind(kind.setting())
            .fetch_one(&platform.pool)
            .await
            .unwrap();
        expected.push((kind.to_string(), kind.setting().to_owned(), value.unwrap_or_else(|| "for ever".to_owned())));
    }
    let table = include_str!("../../../../docs/retention.md");
    let listed: Vec<(String, String, String)> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            (cells[1].to_owned(), cells[2].to_owned(), cells[3].to_owned())
        })
        .collect();
    assert_eq!(listed, expected);
    let settings = platform.count("SELECT count(*) FROM pinv_gbif.setting WHERE name LIKE 'retention\\_%'").await;
    let named: std::collections::BTreeSet<&str> = Kind::ALL.into_iter().map(Kind::setting).collect();
    assert_eq!(settings, named.len() as i64, "no setting without a kind");
}
