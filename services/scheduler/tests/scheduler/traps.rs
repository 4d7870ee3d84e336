//! Traps of the stock export module's schedules (PnX-SI/gn_module_export 1.8.2), one test each.

use chrono::TimeDelta;
use passereau_scheduler::fire::fire_due;
use passereau_testing::TestDatabase;

use crate::{due, next_at, noon, outbox, without_retention};

/// There the first schedule of the nightly loop that is not yet due raises an exception that nothing catches, and those after it do not start.
#[tokio::test]
async fn trap_a_schedule_that_is_not_yet_due_keeps_those_after_it_from_starting() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    // In the order of their names and of their making, every other one is not yet due; one can never be.
    for (name, since) in [("a", -1), ("b", 1), ("c", -30), ("d", 2), ("e", -1), ("f", 3)] {
        due(pool, &format!("flow:{name}"), TimeDelta::days(since)).await;
    }
    sqlx::query("UPDATE passereau.schedule SET expression = 'never' WHERE name = 'flow:b'")
        .execute(pool)
        .await
        .unwrap();
    fire_due(pool, noon()).await.unwrap();
    let sent: Vec<_> = outbox(pool).await.into_iter().map(|(_, _, body)| body["flow"].to_string()).collect();
    assert_eq!(sent, ["\"d\"", "\"f\""]);
    assert_eq!(next_at(pool, "flow:a").await, noon() + TimeDelta::days(1), "it keeps its time");
}

/// There a schedule whose task dies stays marked as in progress, and never runs again. Here nothing is marked: a schedule goes on at its next
/// time, whatever became of the message that it sent.
#[tokio::test]
async fn trap_a_schedule_whose_task_died_never_runs_again() {
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    without_retention(pool).await;
    due(pool, "flow:atlas", TimeDelta::zero()).await;
    for day in 0..3 {
        assert_eq!(fire_due(pool, noon() + TimeDelta::days(day)).await.unwrap().len(), 1, "day {day}");
        // The worker took the message and died: it is nowhere, and no delivery has ended.
        assert_eq!(outbox(pool).await.len(), 1);
        sqlx::query("DELETE FROM passereau.outbox").execute(pool).await.unwrap();
    }
}
