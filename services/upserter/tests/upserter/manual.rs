//! By hand: the published procedure's commands, and `pinv_gbif.upsert_gbif_data()`.

use std::{fs, process::Command, time::Duration};

use passereau_contracts::{Event, EventKind};
use passereau_testing::wait_until;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, PgExecutor, types::Uuid};

use crate::platform::{DATASET, INATURALIST, Platform, code, record};

/// The column that `cut` puts at each place of the procedure's file, from 1.
const DATE: usize = 16;

/// A line of the file that the procedure's `cut` makes.
fn line(gbif_id: i64) -> Vec<String> {
    [
        &gbif_id.to_string(),
        "2026-01-15T10:20:30Z",
        &format!("https://www.gbif.org/occurrence/{gbif_id}"),
        "HUMAN_OBSERVATION",
        &format!("http://example.org/{gbif_id}"),
        "A. Nonyme",
        "4",
        "",
        "Adult",
        "",
        "",
        "",
        "",
        "PRESENT",
        "near the river",
        "2021-05-01",
        "Grenoble",
        "45.18",
        "5.72",
        "12.5",
        "B. Nonyme",
        "Parus major Linnaeus, 1758",
        DATASET,
        "COORDINATE_ROUNDED",
        "9705453",
        "Parus major",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The same line with other values, at places counted from 1.
fn with(mut line: Vec<String>, changes: &[(usize, &str)]) -> Vec<String> {
    for (place, value) in changes {
        line[place - 1] = (*value).to_owned();
    }
    line
}

fn file(lines: &[Vec<String>]) -> String {
    lines.iter().map(|line| line.join("\t") + "\n").collect()
}

/// The published `\copy`, over the protocol that `\copy` speaks.
async fn copy(connection: &mut PgConnection, view: &str, options: &str, text: &str) -> Result<u64, sqlx::Error> {
    let statement = format!("COPY pinv_gbif.{view} FROM STDIN WITH (FORMAT text, DELIMITER E'\\t'{options})");
    let mut copy = connection.copy_in_raw(&statement).await?;
    copy.send(text.as_bytes()).await?;
    copy.finish().await
}

impl Platform {
    async fn copy(&self, lines: &[Vec<String>]) -> u64 {
        let mut connection = self.pool.acquire().await.unwrap();
        copy(&mut connection, "tmp_gbif_data", "", &file(lines)).await.unwrap()
    }

    async fn upsert(&self) -> Upserted {
        upsert(&self.pool).await.unwrap()
    }

    async fn text(&self, sql: &str) -> String {
        let text: Option<String> =
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.pool).await.unwrap();
        text.unwrap_or_default()
    }
}

/// What the function returns.
#[derive(Clone, Debug, PartialEq, FromRow)]
struct Upserted {
    harvest_id: Uuid,
    read: i64,
    landed: i64,
    duplicate: i64,
    malformed: i64,
    inserted: i64,
    updated: i64,
    unchanged: i64,
    rejected: i64,
    kept: i64,
    vanished: i64,
}

async fn upsert(executor: impl PgExecutor<'_>) -> Result<Upserted, sqlx::Error> {
    sqlx::query_as("SELECT * FROM pinv_gbif.upsert_gbif_data()").fetch_one(executor).await
}

#[tokio::test]
async fn the_published_commands_go_on_working_in_psql() {
    let platform = Platform::new().await;
    let folder = std::env::temp_dir().join(format!("passereau-by-hand-{}", Uuid::new_v4().simple()));
    fs::create_dir(&folder).unwrap();
    let header = "gbifID\tand so on\n".to_owned();
    fs::write(folder.join("data_gbif_import.txt"), header.clone() + &file(&[line(1), line(2)])).unwrap();
    fs::write(folder.join("multimedia_import.txt"), header + "1\thttps://example.org/1.jpg\n").unwrap();
    let copy = |table: &str, file: &str| {
        let path = folder.join(file);
        format!(
            r"\copy pinv_gbif.{table} FROM PROGRAM 'tail -n +2 {}' WITH ( FORMAT text, DELIMITER E'\t' );",
            path.display()
        )
    };
    let psql = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
        .args(["-c", &copy("tmp_gbif_data", "data_gbif_import.txt")])
        .args(["-c", &copy("cor_multimedia", "multimedia_import.txt")])
        .args(["-c", "SELECT pinv_gbif.upsert_gbif_data();", &platform.url])
        .output()
        .expect("psql (`make setup` installs it)");
    fs::remove_dir_all(&folder).unwrap();
    let (said, noticed) = (String::from_utf8_lossy(&psql.stdout), String::from_utf8_lossy(&psql.stderr));
    assert!(psql.status.success(), "{noticed}");
    assert!(said.contains(",2,2,0,0,2,0,0,0,0,0)"), "{said}");
    assert!(noticed.contains("2 landed = 2 inserted + 0 updated"), "in words too: {noticed}");
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.v_synthese_for_web_app").await, 2);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.cor_multimedia").await, 1);
}

#[tokio::test]
async fn what_is_copied_shows_at_once_and_enters_as_the_loader_would_land_it() {
    let platform = Platform::new().await;
    let quoted = r#""3mm (1/8"")""#;
    platform
        .copy(&[
            line(1),
            with(line(2), &[(5, "urn:uuid:CA7AC3C2-2A61-4A95-94E9-17EB1B9F6A4E"), (DATE, "2021-05-01T14:23")]),
            // Numbers that are none, or that no column can hold.
            with(line(3), &[(7, "a few"), (15, quoted), (20, "1e999")]),
            with(line(4), &[(18, "NaN")]),
            with(line(5), &[(18, "1e400")]),
        ])
        .await;
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 5);
    let as_copied = "SELECT individual_count || '|' || sex || '|' || occurrence_remarks FROM pinv_gbif.tmp_gbif_data WHERE gbif_id = 3";
    assert_eq!(platform.text(as_copied).await, format!("a few||{quoted}"));
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.generation").await, 0, "nothing is harvested yet");

    let done = platform.upsert().await;
    assert_eq!((done.read, done.landed, done.inserted, done.rejected), (5, 5, 3, 2));
    assert_eq!(
        platform.rejects().await,
        [(4, "coordinates_missing".to_owned()), (5, "coordinates_missing".to_owned())]
    );
    let row = "SELECT concat_ws('|', unique_id_sinp, date_min, count_max, comment_description, \"precision\", nom_cite)
               FROM gn_synthese.synthese WHERE entity_source_pk_value = ";
    assert_eq!(
        platform.text(&format!("{row}'2'")).await,
        "ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e|2021-05-01 14:23:00|4|near the river|13|Parus major"
    );
    let row = platform.text(&format!("{row}'3'")).await;
    assert!(row.ends_with(r#"|2021-05-01 00:00:00|3mm (1/8")|Parus major"#), "{row}");
    let empty = "SELECT count(*) FROM pinv_gbif.occurrence WHERE sex IS NULL AND reproductive_condition IS NULL";
    assert_eq!(platform.count(empty).await, 5, "an empty field is NULL");
}

#[tokio::test]
async fn the_call_is_a_harvest_like_another() {
    let platform = Platform::new().await;
    platform.copy(&[line(1), with(line(2), &[(25, "1")]), line(3)]).await;
    let done = platform.upsert().await;
    assert_eq!((done.inserted, done.rejected), (2, 1));
    let recorded: Upserted = sqlx::query_as(
        "SELECT id AS harvest_id, read, landed, duplicate, malformed, inserted, updated, unchanged, rejected, kept, vanished
         FROM passereau.harvest WHERE subscription = 'manual' AND origin = 'manual' AND state = 'completed' AND finished_at IS NOT NULL",
    )
    .fetch_one(&platform.pool)
    .await
    .unwrap();
    assert_eq!(recorded, done);

    let (kind, body): (String, Value) =
        sqlx::query_as("SELECT routing_key, body FROM passereau.outbox WHERE exchange = 'events' AND harvest_id = $1")
            .bind(done.harvest_id)
            .fetch_one(&platform.pool)
            .await
            .unwrap();
    let event: Event = serde_json::from_value(body).expect("the published shape");
    assert_eq!((event.kind.as_str(), event.kind), (kind.as_str(), EventKind::Completed));
    assert_eq!((event.harvest_id, event.subscription.as_str()), (done.harvest_id, "manual"));
    assert_eq!((event.counts.landed, event.counts.inserted, event.counts.rejected), (3, 2, 1));

    // The settings of subscription manual hold for it as for any other.
    platform.decide("manual", json!({"max_uncertainty_m": 10})).await;
    platform.copy(&[line(4)]).await;
    assert_eq!(platform.upsert().await.rejected, 1);
    assert_eq!(platform.rejects().await, [(4, "too_imprecise".to_owned())], "those of the copy before are replaced");
}

#[tokio::test]
async fn a_second_run_writes_nothing() {
    let platform = Platform::new().await;
    let lines: Vec<_> = (1..=20).map(line).collect();
    platform.copy(&lines).await;
    assert_eq!(platform.upsert().await.inserted, 20);
    let before = platform.fingerprint().await;

    // Nothing copied: the generation that is there, once more.
    let again = platform.upsert().await;
    assert_eq!((again.landed, again.unchanged, again.vanished), (20, 20, 0));
    // The same file.
    platform.copy(&lines).await;
    let again = platform.upsert().await;
    assert_eq!((again.landed, again.unchanged, again.vanished), (20, 20, 0));
    assert_eq!(platform.fingerprint().await, before);
    // A shorter one, with one record changed.
    platform.copy(&[line(1), with(line(2), &[(15, "elsewhere")])]).await;
    let changed = platform.upsert().await;
    assert_eq!((changed.unchanged, changed.updated, changed.vanished), (1, 1, 18));
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.synthese").await, 20, "what vanished stays");
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 2);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.generation WHERE state <> 'dropped'").await, 1);
}

#[tokio::test]
async fn a_record_copied_twice_is_counted_and_the_later_copy_stands() {
    let platform = Platform::new().await;
    platform.copy(&[line(1), line(2), with(line(0), &[]), line(1)]).await;
    platform.copy(&[with(line(2), &[(15, "corrected")])]).await;
    assert_eq!(
        platform.text("SELECT occurrence_remarks FROM pinv_gbif.tmp_gbif_data WHERE gbif_id = 2").await,
        "corrected"
    );
    let done = platform.upsert().await;
    assert_eq!((done.read, done.landed, done.duplicate, done.malformed), (5, 2, 2, 1), "0 is no gbifID");
    assert_eq!(
        platform.count("SELECT count(*) FROM gn_synthese.synthese WHERE comment_description = 'corrected'").await,
        1
    );
}

#[tokio::test]
async fn an_empty_field_needs_null_as_it_did_in_the_table_of_the_procedure() {
    let platform = Platform::new().await;
    let text = file(&[with(line(1), &[(2, "")]), line(2)]);
    let mut connection = platform.pool.acquire().await.unwrap();
    let refused = copy(&mut connection, "tmp_gbif_data", "", &text).await.unwrap_err();
    assert_eq!(code(&refused), "22007", "{refused}");
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 0, "all or nothing");
    assert_eq!(copy(&mut connection, "tmp_gbif_data", ", NULL ''", &text).await.unwrap(), 2);
    assert_eq!(platform.upsert().await.inserted, 2);
}

#[tokio::test]
async fn what_was_copied_can_be_taken_back_and_nothing_else() {
    let platform = Platform::new().await;
    let other = platform.land("one", &[record(1), record(2)]).await;
    platform.run(other).await;
    platform.copy(&[line(2), line(3), line(4)]).await;
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 4);
    let remark = "SELECT occurrence_remarks FROM pinv_gbif.tmp_gbif_data WHERE gbif_id = 2";
    assert_eq!(platform.text(remark).await, "near the river", "what is copied stands in front");

    let delete = |condition: &'static str| {
        let sql = format!("DELETE FROM pinv_gbif.tmp_gbif_data {condition}");
        let pool = platform.pool.clone();
        async move { sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap().rows_affected() }
    };
    assert_eq!(delete("WHERE gbif_id = 4").await, 1);
    assert_eq!(delete("").await, 2);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 2);
    platform.copy(&[line(3)]).await;
    platform.execute("TRUNCATE pinv_gbif.manual_occurrence, pinv_gbif.manual_multimedia").await;
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 2);
}

#[tokio::test]
async fn a_copy_is_seen_in_place_of_the_one_before_it() {
    let platform = Platform::new().await;
    platform.copy(&[line(1), line(2), line(3)]).await;
    platform.upsert().await;
    platform.copy(&[line(3), line(4)]).await;
    let seen = "SELECT string_agg(gbif_id::text, ' ' ORDER BY gbif_id) FROM pinv_gbif.tmp_gbif_data";
    assert_eq!(platform.text(seen).await, "3 4");
    platform.execute("DELETE FROM pinv_gbif.tmp_gbif_data").await;
    assert_eq!(platform.text(seen).await, "1 2 3", "the generation is still there");
}

#[tokio::test]
async fn an_observation_of_inaturalist_waits_until_its_uuid_is_there() {
    let platform = Platform::new().await;
    passereau_testing::seed_dataset(&platform.pool, INATURALIST.parse().unwrap(), "iNaturalist").await.unwrap();
    let address = "https://www.inaturalist.org/observations/45276113";
    let elsewhere = "https://inaturalist.ca/observations/12";
    platform
        .copy(&[
            with(line(1), &[(3, address), (5, address), (23, INATURALIST)]),
            with(line(2), &[(3, ""), (5, elsewhere), (23, INATURALIST)]),
        ])
        .await;
    let done = platform.upsert().await;
    assert_eq!((done.inserted, done.rejected), (0, 2));
    assert_eq!(platform.rejects().await, [(1, "uuid_pending".to_owned()), (2, "uuid_pending".to_owned())]);

    // What the procedure's R script brings.
    let mut connection = platform.pool.acquire().await.unwrap();
    let answers = format!(
        "45276113\t{address}\taaaaaaaa-0000-4000-8000-000000000000\n12\t\\N\tbbbbbbbb-0000-4000-8000-000000000000\n"
    );
    copy(&mut connection, "cor_uuid_inaturalist (id_inaturalist, url, uuid)", "", &answers).await.unwrap();
    let done = platform.upsert().await;
    assert_eq!((done.inserted, done.rejected), (2, 0));
    assert_eq!(
        platform.uuids().await,
        ["aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"]
    );
}

#[tokio::test]
async fn two_calls_at_once_do_one_after_the_other() {
    let platform = Platform::new().await;
    platform.copy(&[line(1), line(2)]).await;
    let mut first = platform.pool.begin().await.unwrap();
    let ahead = upsert(&mut *first).await.unwrap();
    // Meanwhile somebody copies more, which the first call cannot have seen.
    platform.copy(&[line(3)]).await;
    let pool = platform.pool.clone();
    let second = tokio::spawn(async move { upsert(&pool).await });
    wait_until("the second call behind the first", Duration::from_secs(30), async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%upsert_gbif_data()%'";
        (platform.count(waiting).await == 1).then_some(())
    })
    .await;
    first.commit().await.unwrap();
    let behind = second.await.unwrap().unwrap();
    assert_eq!((ahead.read, ahead.inserted), (2, 2));
    assert_eq!(
        (behind.read, behind.inserted, behind.vanished),
        (1, 1, 2),
        "the copy of meanwhile is a harvest of its own"
    );
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.synthese").await, 3);
    assert_eq!(platform.count("SELECT count(*) FROM passereau.harvest WHERE state = 'completed'").await, 2);
}

#[tokio::test]
async fn a_harvest_of_the_worker_is_not_run_into() {
    let platform = Platform::new().await;
    let alive = platform.land("manual", &[record(9)]).await;
    platform.copy(&[line(1)]).await;
    let error = upsert(&platform.pool).await.unwrap_err();
    assert_eq!(code(&error), "PS002");
    assert!(error.to_string().contains(&format!("passereau harvest show {alive}")), "{error}");
    let copied = "SELECT count(*) FROM pinv_gbif.manual_occurrence";
    assert_eq!(platform.count(copied).await, 1, "what was copied is still there");

    platform.run(alive).await;
    assert_eq!(platform.upsert().await.inserted, 1);
}

#[tokio::test]
async fn a_record_that_a_harvest_holds_is_left_to_it() {
    let platform = Platform::new().await;
    let interpreted = record(1).with_unhashed("last_interpreted", json!("2026-06-02T00:00:00Z"));
    let harvest = platform.land("one", &[interpreted]).await;
    platform.run(harvest).await;
    let before = platform.fingerprint().await;
    platform.copy(&[with(line(1), &[(15, "by hand")])]).await;
    assert_eq!(platform.upsert().await.kept, 1, "a copy does not say when GBIF interpreted it");
    assert_eq!(platform.fingerprint().await, before);
}

#[tokio::test]
async fn a_reader_of_the_views_does_not_undo_the_work() {
    let platform = Platform::new().await;
    platform.copy(&[line(1)]).await;
    platform.upsert().await;
    let mut reader = platform.pool.begin().await.unwrap();
    sqlx::raw_sql("SELECT * FROM pinv_gbif.tmp_gbif_data").execute(&mut *reader).await.unwrap();
    platform.copy(&[line(1), line(2)]).await;
    let done = platform.upsert().await;
    assert_eq!((done.inserted, done.unchanged), (1, 1));
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 2);
    let standing = "SELECT count(*) FROM pinv_gbif.generation WHERE state <> 'dropped'";
    assert_eq!(platform.count(standing).await, 2, "the one that is read waits to be dropped");

    reader.rollback().await.unwrap();
    platform.upsert().await;
    assert_eq!(platform.count(standing).await, 1);
}

#[tokio::test]
async fn whoever_calls_needs_no_more_than_to_be_a_member_of_the_workers_role() {
    let platform = Platform::new().await;
    let name = platform.text("SELECT current_database()").await;
    let (role, owner) = (format!("{name}_manager"), platform.text("SELECT current_user::text").await);
    platform.execute(&format!("CREATE ROLE \"{role}\"")).await;
    let mut connection = platform.pool.acquire().await.unwrap();
    let outcome = async {
        let run = async |connection: &mut PgConnection, sql: String| {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
        };
        // Rights to copy, but not to harvest.
        run(&mut connection, format!("GRANT USAGE ON SCHEMA pinv_gbif, passereau TO \"{role}\"; SET ROLE \"{role}\""))
            .await?;
        let refused = upsert(&mut *connection).await.unwrap_err();
        run(&mut connection, format!("RESET ROLE; GRANT \"{owner}\" TO \"{role}\"; SET ROLE \"{role}\"")).await?;
        copy(&mut connection, "tmp_gbif_data", "", &file(&[line(1)])).await?;
        let done = upsert(&mut *connection).await?;
        let still: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut *connection).await?;
        run(&mut connection, "RESET ROLE".to_owned()).await?;
        Ok::<_, sqlx::Error>((refused, done, still))
    }
    .await;
    drop(connection.close().await);
    platform.execute(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"")).await;
    let (refused, done, still) = outcome.unwrap();
    assert!(refused.to_string().contains(&format!("GRANT {owner} TO")), "{refused}");
    assert_eq!((done.inserted, still), (1, role));
    let foreign = "SELECT count(*) FROM pg_class WHERE relnamespace = 'pinv_gbif'::regnamespace
                   AND relowner <> (SELECT relowner FROM pg_class WHERE oid = 'pinv_gbif.occurrence'::regclass)";
    assert_eq!(platform.count(foreign).await, 0, "the workers own what was made");
}

#[tokio::test]
async fn a_call_that_can_do_nothing_says_what_to_do() {
    let platform = Platform::new().await;
    let error = upsert(&platform.pool).await.unwrap_err();
    assert!(error.to_string().contains("copy the records first"), "{error}");
    let mut connection = platform.pool.acquire().await.unwrap();
    copy(&mut connection, "cor_multimedia", "", "1\thttps://example.org/1.jpg\n").await.unwrap();
    let error = upsert(&platform.pool).await.unwrap_err();
    assert!(error.to_string().contains("copy the records too"), "{error}");

    platform.copy(&[line(1)]).await;
    for (call, said) in [("'15000-26'", "not the key of a GBIF download"), ("NULL, 'dl.4gbcs6'", "not a DOI")] {
        let sql = format!("SELECT * FROM pinv_gbif.upsert_gbif_data({call})");
        let error = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&platform.pool).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(platform.count("SELECT count(*) FROM passereau.harvest").await, 0);
    platform
        .execute("SELECT pinv_gbif.upsert_gbif_data('0015000-260108000000665', 'https://doi.org/10.15468/dl.4gbcs6')")
        .await;
    let cited = "SELECT passereau.citation(id) FROM passereau.harvest";
    assert!(platform.text(cited).await.ends_with("GBIF Occurrence Download https://doi.org/10.15468/dl.4gbcs6"));
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.cor_multimedia").await, 1);
}

#[tokio::test]
async fn a_copied_position_that_inaturalist_has_obscured_stands_in_no_commune() {
    let platform = Platform::new().await;
    platform
        .execute(
            "INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid, asked_at)
             VALUES (1, gen_random_uuid(), now()), (2, gen_random_uuid(), now())",
        )
        .await;
    let observation = |id: i64, uncertainty: &str| {
        let address = format!("https://www.inaturalist.org/observations/{id}");
        with(line(id), &[(3, &address), (5, &address), (20, uncertainty), (23, INATURALIST)])
    };
    // The columns that are copied do not tell; the uncertainty does.
    platform.copy(&[observation(1, "27205"), observation(2, "120")]).await;
    assert_eq!(platform.upsert().await.inserted, 1);
    assert_eq!(platform.rejects().await, [(1, "obscured".to_owned())]);
}
