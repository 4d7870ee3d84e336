//! When a record was observed, as far as the synthèse takes it. The forms of GBIF's dates are the loader's tests.

use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::platform::{Platform, Record, record};

fn dated(gbif_id: i64, start: &str, end: &str) -> Record {
    record(gbif_id)
        .with("event_date", json!(format!("{start}/{end}")))
        .with("date_start", json!(start))
        .with("date_end", json!(end))
}

#[tokio::test]
async fn a_date_outside_what_can_be_true_is_a_reject() {
    let platform = Platform::new().await;
    let year = platform.count("SELECT extract(year FROM now() AT TIME ZONE 'UTC')::bigint").await;
    let harvest = platform
        .land(
            "one",
            &[
                dated(1, "1899-12-31T00:00:00", "1900-01-31T00:00:00"),
                dated(2, "1900-01-01T00:00:00", "1900-01-31T00:00:00"),
                dated(3, "2999-01-01T00:00:00", "2999-01-01T00:00:00"),
                // A year that has begun is its whole range; an end beyond it is no date of an observation.
                dated(4, &format!("{year}-01-01T00:00:00"), &format!("{year}-12-31T00:00:00")),
                dated(5, "2021-05-01T00:00:00", "2999-12-31T00:00:00"),
            ],
        )
        .await;
    platform.run(harvest).await;
    let ahead = |id| (id, "date_future".to_owned());
    assert_eq!(platform.rejects().await, [(1, "date_too_old".to_owned()), ahead(3), ahead(5)]);
    assert!(platform.look_out().await.is_empty(), "what lies ahead for ever is not tried again and again");

    platform.execute("UPDATE pinv_gbif.setting SET value = '1800-01-01' WHERE name = 'oldest_date'").await;
    let entered = platform.look_out().await;
    assert_eq!(entered.len(), 1);
    assert_eq!((entered[0].0.inserted, entered[0].0.rejected), (1, 2), "the limit is a setting");
}

#[tokio::test]
async fn an_interval_longer_than_the_subscription_accepts_is_a_reject() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"longest_interval_days": 31})).await;
    let harvest = platform
        .land(
            "one",
            &[
                dated(1, "2021-05-01T00:00:00", "2021-05-31T00:00:00"),
                dated(2, "2021-05-01T00:00:00", "2021-06-02T00:00:00"),
                dated(3, "2021-01-01T00:00:00", "2021-12-31T00:00:00"),
            ],
        )
        .await;
    platform.run(harvest).await;
    let too_long = |id| (id, "interval_too_long".to_owned());
    assert_eq!(platform.rejects().await, [too_long(2), too_long(3)]);
}

/// Whatever the loader gives: a record enters with exactly its two dates, or is a reject with a reason about dates. Nothing
/// else, and never an error.
#[tokio::test]
async fn every_pair_of_dates_enters_as_it_is_or_has_a_reason() {
    let platform = Platform::new().await;
    let mut runner = TestRunner::deterministic();
    let moment = || {
        (1850_i32..2080, 1_u32..=12, 1_u32..=28, 0_u32..24, any::<bool>()).prop_map(
            |(year, month, day, hour, whole)| {
                format!("{year}-{month:02}-{day:02}T{:02}:00:00", if whole { 0 } else { hour })
            },
        )
    };
    let pairs: Vec<(String, String)> =
        (0..300).map(|_| (moment(), moment()).new_tree(&mut runner).unwrap().current()).collect();
    let records: Vec<Record> = (1..).zip(&pairs).map(|(id, (start, end))| dated(id, start, end)).collect();
    let harvest = platform.land("one", &records).await;
    let counts = platform.run(harvest).await;
    assert_eq!(counts.landed, counts.inserted + counts.rejected);
    assert!(counts.inserted > 20 && counts.rejected > 20, "{counts:?}");
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT entity_source_pk_value::bigint, to_char(date_min, 'YYYY-MM-DD\"T\"HH24:MI:SS'), to_char(date_max, 'YYYY-MM-DD\"T\"HH24:MI:SS')
         FROM gn_synthese.synthese ORDER BY 1",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    for (id, start, end) in rows {
        let (given_start, given_end) = &pairs[usize::try_from(id - 1).unwrap()];
        assert_eq!((&start, &end), (given_start, given_end));
        assert!(start <= end && start.as_str() >= "1900", "{start} {end}");
    }
    let reasons: Vec<String> = sqlx::query_scalar("SELECT DISTINCT reason FROM pinv_gbif.reject ORDER BY 1")
        .fetch_all(&platform.pool)
        .await
        .unwrap();
    assert_eq!(reasons, ["date_future", "date_too_old", "date_unreadable"]);
}

#[tokio::test]
async fn a_setting_that_is_no_day_is_named() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1)]).await;
    for wrong in ["31/12/1900", "01/02/1900", "1900", "1900-02-30"] {
        platform.execute(&format!("UPDATE pinv_gbif.setting SET value = '{wrong}' WHERE name = 'oldest_date'")).await;
        let error = passereau_upserter::functions::plan(&platform.pool, harvest, 10).await.unwrap_err();
        assert_eq!(crate::platform::code(&error), "PS001", "{wrong}: {error}");
        assert!(error.to_string().contains(&format!("oldest_date holds \"{wrong}\"")), "{error}");
    }
}
