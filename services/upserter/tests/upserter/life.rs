//! A harvest that is cancelled between its slices, and while one of them is being written.

use crate::platform::{Platform, record};
use passereau_harvest::{State, cancel, find, hold};
use passereau_testing::{SOON, wait_until};
use passereau_upserter::functions;
use sqlx::types::Uuid;

async fn cancelled(platform: &Platform, harvest: Uuid) -> bool {
    let mut tx = platform.pool.begin().await.unwrap();
    let cancelled = cancel(&mut tx, harvest, "cancelled by the test").await.unwrap();
    tx.commit().await.unwrap();
    cancelled
}

/// A harvest that is planned, in two slices of two records.
async fn in_two_slices(platform: &Platform) -> Uuid {
    let harvest = platform.land("one", &(1..=4).map(record).collect::<Vec<_>>()).await;
    functions::plan(&platform.pool, harvest, 100).await.unwrap();
    assert_eq!(functions::split_slice(&platform.pool, harvest, 0).await.unwrap(), Some(1));
    platform.execute("UPDATE passereau.harvest SET state = 'upserting'").await;
    harvest
}

const SYNTHESE: &str = "SELECT count(*) FROM gn_synthese.synthese";

#[tokio::test]
async fn what_a_cancelled_harvest_has_written_stays_and_the_next_one_finds_it_unchanged() {
    let platform = Platform::new().await;
    let harvest = in_two_slices(&platform).await;
    functions::apply(&platform.pool, harvest, 0).await.unwrap();
    assert!(cancelled(&platform, harvest).await);
    let ended = find(&platform.pool, harvest).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.counts.inserted), (State::Cancelled, 2));
    assert_eq!(ended.reason.as_deref(), Some("cancelled by the test"));
    for left in ["passereau.plan", "passereau.slice WHERE done_at IS NULL", "pinv_gbif.occurrence"] {
        assert_eq!(platform.count(&format!("SELECT count(*) FROM {left}")).await, 0, "{left}");
    }
    let announced =
        "SELECT count(*) FROM passereau.outbox WHERE exchange = 'events' AND routing_key = 'harvest.cancelled'";
    assert_eq!(platform.count(announced).await, 1);
    assert!(!cancelled(&platform, harvest).await, "a second time changes nothing");
    assert_eq!(platform.count(announced).await, 1);

    assert_eq!(platform.count(SYNTHESE).await, 2);
    let next = platform.land("one", &(1..=4).map(record).collect::<Vec<_>>()).await;
    let counts = platform.run(next).await;
    assert_eq!((counts.unchanged, counts.inserted, counts.vanished), (2, 2, 0));
}

#[tokio::test]
async fn a_slice_in_hand_commits_before_the_cancellation_and_one_that_comes_later_writes_nothing() {
    let platform = Platform::new().await;
    let harvest = in_two_slices(&platform).await;
    // What the runner does for every handler, then what the upserter does.
    let mut in_hand = platform.pool.begin().await.unwrap();
    assert!(hold(&mut in_hand, harvest).await.unwrap());
    let applied = functions::apply(&mut *in_hand, harvest, 0).await.unwrap();
    assert_eq!(applied.inserted, 2);

    let pool = platform.pool.clone();
    let cancelling = tokio::spawn(async move {
        let mut tx = pool.begin().await.unwrap();
        let cancelled = cancel(&mut tx, harvest, "cancelled").await.unwrap();
        tx.commit().await.unwrap();
        cancelled
    });
    let waiting = |of: &'static str| {
        format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory' AND query LIKE '%{of}(%'"
        )
    };
    wait_until("the cancellation at the lock", SOON, async || {
        (platform.count(&waiting("passereau.cancel")).await == 1).then_some(())
    })
    .await;
    // The other slice comes while the cancellation waits: it queues behind it, so slices cannot keep it off for ever.
    let pool = platform.pool.clone();
    let late = tokio::spawn(async move {
        let mut tx = pool.begin().await.unwrap();
        hold(&mut tx, harvest).await.unwrap()
    });
    wait_until("the late slice at the lock", SOON, async || {
        (platform.count(&waiting("passereau.hold")).await == 1).then_some(())
    })
    .await;
    in_hand.commit().await.unwrap();
    assert!(cancelling.await.unwrap());
    assert!(!late.await.unwrap(), "nothing may be written for it any more");
    assert_eq!(platform.count(SYNTHESE).await, 2);
    assert_eq!(platform.count("SELECT inserted FROM passereau.harvest").await, 2, "counted as it was written");
}

#[tokio::test]
async fn a_slice_that_rolls_back_before_the_cancellation_leaves_nothing() {
    let platform = Platform::new().await;
    let harvest = in_two_slices(&platform).await;
    let mut in_hand = platform.pool.begin().await.unwrap();
    assert!(hold(&mut in_hand, harvest).await.unwrap());
    functions::apply(&mut *in_hand, harvest, 0).await.unwrap();
    in_hand.rollback().await.unwrap();
    assert!(cancelled(&platform, harvest).await);
    assert_eq!(platform.count(SYNTHESE).await, 0);
}

#[tokio::test]
async fn a_reader_of_the_generations_does_not_keep_a_harvest_alive_and_its_generation_goes_afterwards() {
    let platform = Platform::new().await;
    let harvest = in_two_slices(&platform).await;
    let mut reader = platform.pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM pinv_gbif.occurrence").execute(&mut *reader).await.unwrap();
    assert!(cancelled(&platform, harvest).await);
    assert_eq!(find(&platform.pool, harvest).await.unwrap().unwrap().state, State::Cancelled);
    let expired = "SELECT count(*) FROM passereau.v_expired_generation WHERE kind = 'generation'";
    assert_eq!(platform.count(expired).await, 1, "the retention takes it at its next look");
    reader.rollback().await.unwrap();
    platform.execute("SELECT passereau.retain('generation', 10)").await;
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.occurrence").await, 0);
    assert_eq!(platform.count(expired).await, 0);
}

#[tokio::test]
async fn a_harvest_that_has_ended_is_not_cancelled_and_keeps_its_generation() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1)]).await;
    platform.run(harvest).await;
    assert!(!cancelled(&platform, harvest).await);
    assert_eq!(find(&platform.pool, harvest).await.unwrap().unwrap().state, State::Completed);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 1);
}

#[tokio::test]
async fn a_reconversion_that_was_cancelled_keeps_the_generation_and_does_not_come_back_by_itself() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[record(1)]).await;
    platform.run(harvest).await;
    platform.execute("UPDATE pinv_gbif.setting SET value = '1850-01-01' WHERE name = 'oldest_date'").await;
    let mut tx = platform.pool.begin().await.unwrap();
    let again = passereau_harvest::reconvert(&mut tx, "one", "the test says so").await.unwrap().unwrap();
    tx.commit().await.unwrap();
    assert!(cancelled(&platform, again).await);
    assert_eq!(platform.count("SELECT count(*) FROM pinv_gbif.tmp_gbif_data").await, 1);
    assert!(platform.look_out().await.is_empty());

    let mut tx = platform.pool.begin().await.unwrap();
    let by_hand = passereau_harvest::reconvert(&mut tx, "one", "asked for by hand").await.unwrap().unwrap();
    tx.commit().await.unwrap();
    assert_eq!(platform.run(by_hand).await.unchanged, 1);
}
