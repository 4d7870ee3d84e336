//! What a process shows of its work, and when.

use passereau_testing::wait_until;

use crate::bench::{Bench, SOON};

/// Waits until the page has a line.
async fn shows(bench: &Bench, line: &str) {
    wait_until(line, SOON, async || bench.metrics().await.lines().any(|found| found == line).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_with_an_outcome_counts_once_however_often_its_commit_fails() {
    let bench = Bench::start([]).await;
    // A sequence is not rolled back: the first two commits fail, as in a conflict of two transactions.
    sqlx::raw_sql(
        "CREATE SEQUENCE refusals;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('refusals') <= 2 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF;
             RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON effect DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .execute(&bench.database.pool)
    .await
    .unwrap();
    // Before anything has happened: Prometheus sees no growth of what it has not seen before.
    shows(&bench, r#"passereau_messages_handled_total{kind="archive.load",outcome="retried",worker="loader"} 0"#).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.worked(harvest).await;
    shows(&bench, r#"passereau_messages_handled_total{kind="archive.load",outcome="done",worker="loader"} 1"#).await;
    assert_eq!(bench.attempts().len(), 3, "the handler did its work three times");
    shows(&bench, r#"passereau_records_total{outcome="landed",stage="landed"} 10"#).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_shows_what_it_observes_and_what_it_cannot_read_is_counted_and_ends_nothing() {
    let bench = Bench::start([]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.worked(harvest).await;
    shows(&bench, "passereau_upsert_open 1").await;

    sqlx::query("ALTER TABLE effect RENAME TO elsewhere").execute(&bench.database.pool).await.unwrap();
    wait_until("a reading that fails", SOON, async || {
        let page = bench.metrics().await;
        let failures = page.lines().find_map(|line| line.strip_prefix("passereau_state_read_failures_total "));
        failures.is_some_and(|failures| failures != "0").then_some(())
    })
    .await;
    shows(&bench, "passereau_upsert_open 1").await;
    sqlx::raw_sql("ALTER TABLE elsewhere RENAME TO effect; DELETE FROM effect")
        .execute(&bench.database.pool)
        .await
        .unwrap();
    shows(&bench, "passereau_upsert_open 0").await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_lose_their_queue_are_seen_as_missing_and_as_made_anew() {
    let bench = Bench::start([]).await;
    shows(&bench, r#"passereau_consumers{state="active"} 2"#).await;
    shows(&bench, r#"passereau_consumers{state="wanted"} 2"#).await;
    let queue = passereau_broker::queue_name(bench.broker.prefix(), "loader");
    passereau_broker::topology::delete_queue(&bench.broker, &queue).await.unwrap();
    shows(&bench, r#"passereau_consumers{state="active"} 0"#).await;
    let topology = passereau_runner::fleet_topology(bench.broker.prefix());
    passereau_broker::topology::apply(&bench.broker, &topology).await.unwrap();
    shows(&bench, r#"passereau_consumers{state="active"} 2"#).await;
    let page = bench.metrics().await;
    let anew = page.lines().find_map(|line| line.strip_prefix("passereau_consumer_rebuilds_total ")).unwrap();
    assert!(anew.parse::<u64>().unwrap() >= 2, "{anew}");
    bench.finish().await;
}
