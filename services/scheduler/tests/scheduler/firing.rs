//! One due schedule, one message.

use std::sync::Arc;

use chrono::TimeDelta;
use passereau_database::{DatabaseConfig, connect};
use passereau_scheduler::fire::{Fired, fire_due, fire_next};
use passereau_testing::TestDatabase;
use serde_json::json;
use tokio::sync::Barrier;

use crate::{due, next_at, noon, outbox, without_retention};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_four_schedulers_one_fires_each_due_schedule() {
    let database = TestDatabase::migrated().await;
    without_retention(&database.pool).await;
    for number in 0..25 {
        due(&database.pool, &format!("flow:atlas-{number}"), TimeDelta::seconds(number)).await;
    }
    let begin = Arc::new(Barrier::new(4));
    let schedulers = (0..4).map(|_| {
        let (url, begin) = (database.url.clone(), Arc::clone(&begin));
        tokio::spawn(async move {
            let pool = connect(&DatabaseConfig { connections: 2, ..DatabaseConfig::new(url) }).unwrap();
            begin.wait().await;
            fire_due(&pool, noon()).await.unwrap().len()
        })
    });
    let mut fired = 0;
    for scheduler in schedulers.collect::<Vec<_>>() {
        fired += scheduler.await.unwrap();
    }
    assert_eq!(fired, 25);
    let mut flows: Vec<_> = outbox(&database.pool).await.into_iter().map(|(_, _, body)| body.to_string()).collect();
    flows.dedup();
    assert_eq!(flows.len(), 25);
    assert_eq!(fire_due(&database.pool, noon()).await.unwrap(), [], "nothing is due any more");
}

#[tokio::test]
async fn each_subject_sends_its_message() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    for name in ["flow:atlas", "subscription:inaturalist", "retention"] {
        due(pool, name, TimeDelta::zero()).await;
    }
    fire_due(pool, noon()).await.unwrap();
    let sent: Vec<_> = outbox(pool).await.into_iter().map(|(_, kind, body)| (kind, body)).collect();
    let request = json!({"subscription": "inaturalist", "archive": "archives/april.zip"});
    assert_eq!(
        sent,
        [
            ("flow.deliver".to_owned(), json!({"flow": "atlas"})),
            ("harvest.request".to_owned(), request),
            ("retention.run".to_owned(), json!({}))
        ]
    );
}

#[tokio::test]
async fn a_scheduler_that_was_killed_before_its_commit_has_sent_nothing_and_the_next_one_does() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    due(pool, "flow:atlas", TimeDelta::zero()).await;
    let mut killed = pool.begin().await.unwrap();
    let Some(Fired::Sent { message_id, .. }) = fire_next(&mut killed, noon()).await.unwrap() else {
        panic!("it is due")
    };
    assert_eq!(fire_due(pool, noon()).await.unwrap(), [], "it is in hand");
    // PostgreSQL takes the transaction of a process that is gone back.
    drop(killed);
    let fired = passereau_testing::wait_until("the lock gone", passereau_testing::SOON, async || {
        Some(fire_due(pool, noon()).await.unwrap()).filter(|fired| !fired.is_empty())
    })
    .await;
    assert!(
        matches!(&fired[..], [Fired::Sent { message_id: again, .. }] if *again == message_id),
        "the same id: {fired:?}"
    );
    assert_eq!(outbox(pool).await.len(), 1);
}

#[tokio::test]
async fn what_was_missed_for_days_fires_once_and_keeps_its_hour() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    due(pool, "flow:atlas", TimeDelta::days(9) + TimeDelta::hours(2)).await;
    assert_eq!(fire_due(pool, noon()).await.unwrap().len(), 1);
    assert_eq!(next_at(pool, "flow:atlas").await, noon() + TimeDelta::hours(22), "10:00 tomorrow, as ever");
    assert_eq!(fire_due(pool, noon() + TimeDelta::hours(21)).await.unwrap(), []);
    assert_eq!(fire_due(pool, noon() + TimeDelta::hours(22)).await.unwrap().len(), 1);
    assert_eq!(outbox(pool).await.len(), 2);
}

#[tokio::test]
async fn a_schedule_that_was_set_back_sends_under_the_id_that_is_known() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    due(pool, "flow:atlas", TimeDelta::zero()).await;
    fire_due(pool, noon()).await.unwrap();
    sqlx::query("UPDATE passereau.schedule SET next_at = $1").bind(noon()).execute(pool).await.unwrap();
    assert_eq!(fire_due(pool, noon()).await.unwrap().len(), 1);
    assert_eq!(outbox(pool).await.len(), 1);
}

#[tokio::test]
async fn a_suspended_schedule_does_not_fire() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    due(pool, "flow:atlas", TimeDelta::days(1)).await;
    sqlx::query("UPDATE passereau.schedule SET suspended_at = now()").execute(pool).await.unwrap();
    assert_eq!(fire_due(pool, noon()).await.unwrap(), []);
    assert_eq!(outbox(pool).await, []);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_suspended_with_the_reason_and_holds_up_no_other() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    for (name, change) in [
        ("flow:a", "expression = 'every day'"),
        ("flow:b", "time_zone = 'Paris'"),
        ("subscription:c", r#"request = '{"archive": "a.zip", "download_key": "0015000-260108000000665"}'"#),
    ] {
        due(pool, name, TimeDelta::days(1)).await;
        let change = format!("UPDATE passereau.schedule SET {change} WHERE name = '{name}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(pool).await.unwrap();
    }
    due(pool, "flow:good", TimeDelta::zero()).await;
    assert_eq!(fire_due(pool, noon()).await.unwrap().len(), 4);
    let reasons: Vec<String> = sqlx::query_scalar(
        "SELECT suspended_because FROM passereau.schedule WHERE suspended_at IS NOT NULL ORDER BY name",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(reasons.len(), 3);
    for (reason, words) in reasons.iter().zip(["P1D", "Europe/Paris", "exactly one of"]) {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(outbox(pool).await.len(), 1, "the good one");
    assert_eq!(fire_due(pool, noon()).await.unwrap(), []);
}

#[tokio::test]
async fn the_retention_is_a_schedule_from_the_start_due_at_once_and_then_each_day() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    let now = passereau_scheduler::fire::now(pool).await.unwrap();
    assert_eq!(fire_due(pool, now).await.unwrap().len(), 1);
    let next = next_at(pool, "retention").await;
    assert!(next > now && next <= now + TimeDelta::days(1), "{next}");
    assert_eq!(outbox(pool).await[0].1, "retention.run");
}
