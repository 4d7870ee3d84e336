//! The second harvest: what it writes, row by row, and what its triggers do.

use crate::platform::{Platform, record};
use passereau_testing::{SOON, wait_until};
use serde_json::json;
use sqlx::{Connection, PgConnection};

const RECORDS: i64 = 400;

/// Rows of the synthèse that were ever inserted, updated and deleted, by PostgreSQL's own count. A session adds what it did at its end
/// at the latest: all of them are ended first.
async fn written(platform: &Platform) -> (i64, i64, i64) {
    platform.pool.close().await;
    let mut alone = PgConnection::connect(&platform.url).await.unwrap();
    wait_until("the end of the other sessions", SOON, async || {
        let others =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let others: i64 = sqlx::query_scalar(others).fetch_one(&mut alone).await.unwrap();
        (others == 0).then_some(())
    })
    .await;
    sqlx::query_as("SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE schemaname = 'gn_synthese' AND relname = 'synthese'")
        .fetch_one(&mut alone)
        .await
        .unwrap()
}

/// The row version of each record: which transaction wrote it last.
async fn versions(platform: &Platform) -> Vec<(i64, String)> {
    sqlx::query_as(
        "SELECT entity_source_pk_value::bigint, xmin::text || ctid::text FROM gn_synthese.synthese ORDER BY 1",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn the_same_archive_again_writes_no_row_of_the_synthese() {
    let platform = Platform::new().await;
    let records: Vec<_> = (1..=RECORDS).map(record).collect();
    platform.run(platform.land("one", &records).await).await;
    let (versions_before, fingerprint) = (versions(&platform).await, platform.fingerprint().await);
    let counts = platform.run(platform.land("one", &records).await).await;
    assert_eq!(counts.unchanged, RECORDS);
    assert_eq!(versions(&platform).await, versions_before);
    assert_eq!(platform.fingerprint().await, fingerprint);
    // Both harvests together: each row was inserted once, and given its sensitivity once by GeoNature's own trigger.
    assert_eq!(written(&platform).await, (RECORDS, RECORDS, 0), "by PostgreSQL's own count");
}

#[tokio::test]
async fn one_in_a_hundred_moved_remarked_vanished_and_new_writes_exactly_those() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "mark"})).await;
    let all: Vec<_> = (1..=RECORDS).map(record).collect();
    platform.run(platform.land_whole("one", "x", &all).await).await;
    let (before, areas) = (versions(&platform).await, platform.areas().await);

    let hundredth = RECORDS / 100;
    let mut next = Vec::new();
    for id in 1..=RECORDS {
        match id % 100 {
            1 => next.push(record(id).with("decimal_latitude", json!(45.6))),
            2 => next.push(record(id).with("occurrence_remarks", json!("other"))),
            3 => {}
            _ => next.push(record(id)),
        }
    }
    next.extend((RECORDS + 1..=RECORDS + hundredth).map(record));
    let counts = platform.run(platform.land_whole("one", "x", &next).await).await;
    assert_eq!(
        (counts.inserted, counts.updated, counts.vanished, counts.unchanged),
        (hundredth, 2 * hundredth, hundredth, RECORDS - 3 * hundredth)
    );

    let after = versions(&platform).await;
    let rewritten: Vec<i64> =
        after.iter().filter(|row| !before.contains(row)).map(|(id, _)| *id).filter(|id| *id <= RECORDS).collect();
    let expected: Vec<i64> = (1..=RECORDS).filter(|id| [1, 2, 3].contains(&(id % 100))).collect();
    assert_eq!(rewritten, expected, "moved, remarked, marked; nothing else");
    assert_eq!(after.len() as i64, RECORDS + hundredth);

    let areas_after = platform.areas().await;
    let touched: Vec<i64> =
        areas.iter().filter(|row| !areas_after.contains(row)).map(|(id, _)| id.parse().unwrap()).collect();
    let mut touched = touched;
    touched.sort_unstable();
    let moved: Vec<i64> = (1..=RECORDS).filter(|id| id % 100 == 1).collect();
    assert_eq!(touched, moved, "the areas are computed again for what moved only");
}

#[tokio::test]
async fn an_edited_vocabulary_converts_again_and_writes_only_what_comes_out_different() {
    let platform = Platform::new().await;
    let records: Vec<_> =
        (1..=50).map(|id| if id <= 3 { record(id).with("sex", json!("gynandromorph")) } else { record(id) }).collect();
    platform.run(platform.land("one", &records).await).await;
    let before = versions(&platform).await;
    platform
        .execute(
            "INSERT INTO pinv_gbif.cor_vocabulary (term, value, nomenclature_type, nomenclature_code, reason)
             VALUES ('sex', 'gynandromorph', 'SEXE', '4', 'both at once')",
        )
        .await;
    let done = platform.look_out().await;
    assert_eq!(done.len(), 1);
    let (counts, why) = &done[0];
    assert!(why.contains("vocabulary"), "{why}");
    assert_eq!((counts.updated, counts.unchanged), (3, 47));
    let after = versions(&platform).await;
    let rewritten: Vec<i64> = after.iter().filter(|row| !before.contains(row)).map(|(id, _)| *id).collect();
    assert_eq!(rewritten, [1, 2, 3]);
}

#[tokio::test]
async fn provenance_alone_rewrites_nothing() {
    let platform = Platform::new().await;
    let records: Vec<_> = (1..=5).map(record).collect();
    platform.run(platform.land("one", &records).await).await;
    let before = platform.fingerprint().await;
    let second = platform.land("one", &records).await;
    sqlx::query("UPDATE passereau.harvest SET download_key = '0000001-260101000000000', doi = '10.15468/dl.abcdef' WHERE id = $1")
        .bind(second)
        .execute(&platform.pool)
        .await
        .unwrap();
    assert_eq!(platform.run(second).await.unchanged, 5);
    assert_eq!(platform.fingerprint().await, before);
}
