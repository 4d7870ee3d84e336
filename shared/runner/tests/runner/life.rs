//! Paused and cancelled harvests, as the runner treats them.

use crate::bench::{Bench, SOON, Step};
use passereau_harvest::{Ordered, State, cancel, pause, resume};
use passereau_testing::wait_until;
use std::time::Duration;
use uuid::Uuid;

async fn paused(bench: &Bench, harvest: Uuid) -> Ordered {
    let mut connection = bench.database.pool.acquire().await.unwrap();
    pause(&mut connection, harvest, Some("the disk is full")).await.unwrap()
}

async fn resumed(bench: &Bench, harvest: Uuid) -> Ordered {
    let mut tx = bench.database.pool.begin().await.unwrap();
    let ordered = resume(&mut tx, harvest).await.unwrap();
    tx.commit().await.unwrap();
    ordered
}

/// The attempts of the harvest's parked messages.
async fn parked(bench: &Bench, harvest: Uuid) -> Vec<i32> {
    sqlx::query_scalar("SELECT attempt FROM passereau.outbox WHERE harvest_id = $1 AND due_at = 'infinity'")
        .bind(harvest)
        .fetch_all(&bench.database.pool)
        .await
        .unwrap()
}

async fn is_parked(bench: &Bench, harvest: Uuid) {
    wait_until("a parked message", SOON, async || (parked(bench, harvest).await == [0]).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_harvest_waits_at_no_cost_while_others_go_on_and_goes_on_when_it_is_resumed() {
    let bench = Bench::start([]).await;
    let (held, other) = (bench.harvest().await, bench.harvest().await);
    assert_eq!(paused(&bench, held).await, Ordered::Done);
    assert_eq!(paused(&bench, held).await, Ordered::Already);
    bench.publish(bench.message(held)).await;
    is_parked(&bench, held).await;
    assert!(bench.attempts().is_empty(), "no handler saw it");

    // The relay bears a row without a date: what waits with one still leaves.
    bench.probe.steps.lock().unwrap().push_back(Step::Snooze(Duration::from_millis(20)));
    bench.publish(bench.message(other)).await;
    bench.worked(other).await;
    assert!(bench.readyz().await.contains(r#""postgres":"ok""#));
    assert_eq!((bench.effects(held).await, bench.state(held).await), (0, State::Loading));

    assert_eq!(resumed(&bench, held).await, Ordered::Done);
    bench.worked(held).await;
    assert_eq!(bench.attempts(), [0, 0, 0]);
    assert_eq!(resumed(&bench, held).await, Ordered::Already);
    assert!(parked(&bench, held).await.is_empty());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_in_hand_is_finished_and_the_next_one_waits() {
    let bench = Bench::start([Step::UntilReleased]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.probe.started.notified().await;
    assert_eq!(paused(&bench, harvest).await, Ordered::Done);
    bench.probe.released.notify_one();
    bench.worked(harvest).await;
    bench.publish(bench.message(harvest)).await;
    is_parked(&bench, harvest).await;
    assert_eq!(bench.effects(harvest).await, 1);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_harvest_that_is_alive_can_be_paused() {
    let bench = Bench::start([]).await;
    let harvest = bench.harvest().await;
    let mut connection = bench.database.pool.acquire().await.unwrap();
    passereau_harvest::fail(&mut connection, harvest, "the test says so").await.unwrap();
    assert_eq!(paused(&bench, harvest).await, Ordered::Ended(State::Failed));
    assert_eq!(paused(&bench, Uuid::now_v7()).await, Ordered::Unknown);
    assert_eq!(resumed(&bench, harvest).await, Ordered::Ended(State::Failed));
    drop(connection);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_for_a_harvest_that_is_cancelled_while_a_step_is_in_hand() {
    let bench = Bench::start([Step::UntilReleased]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.probe.started.notified().await;
    let mut tx = bench.database.pool.begin().await.unwrap();
    assert!(cancel(&mut tx, harvest, "cancelled").await.unwrap());
    tx.commit().await.unwrap();
    bench.probe.released.notify_one();

    // A later message of another harvest is handled: the worker is neither stuck nor gone.
    let next = bench.harvest().await;
    bench.publish(bench.message(next)).await;
    bench.worked(next).await;
    bench.publish(bench.message(harvest)).await;
    wait_until("the late message", SOON, async || (bench.attempts().len() == 3).then_some(())).await;
    let mut bench = bench;
    bench.stop().await;
    assert_eq!((bench.effects(harvest).await, bench.state(harvest).await), (0, State::Cancelled));
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM passereau.dead_letter) + (SELECT count(*) FROM passereau.outbox WHERE exchange = 'work')",
    )
    .fetch_one(&bench.database.pool)
    .await
    .unwrap();
    assert_eq!(left, 0, "a late message is no dead letter, and does not come again");
    bench.finish().await;
}
