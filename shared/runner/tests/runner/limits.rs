//! What PostgreSQL refuses for a while, what it does not answer, and what a process needs of it.

use std::time::Duration;

use passereau_harvest::State;
use passereau_testing::wait_until;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::bench::{Bench, SOON, Step};

async fn letters(bench: &Bench) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM passereau.dead_letter").fetch_one(&bench.database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_passes_makes_no_dead_letter() {
    for (table, code) in [("inbox", "55P03"), ("outbox", "57014"), ("outbox", "40P01")] {
        let bench = Bench::start([Step::Snooze(Duration::ZERO)]).await;
        let harvest = bench.harvest().await;
        let once = format!(
            "CREATE SEQUENCE refusals;
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('refusals') = 1 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON passereau.{table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        );
        sqlx::raw_sql(AssertSqlSafe(once)).execute(&bench.database.pool).await.unwrap();
        bench.publish_as_stranger(bench.message(harvest)).await;
        bench.worked(harvest).await;
        assert_eq!(letters(&bench).await, 0, "{code}");
        assert_eq!(bench.state(harvest).await, State::Loading, "{code}");
        assert!(bench.attempts().iter().all(|attempt| *attempt == 0), "{:?}", bench.attempts());
        bench.finish().await;
    }
}

async fn set_read_only(admin: &mut PgConnection, database: &str, setting: &str) {
    let statement = format!("ALTER DATABASE \"{database}\" {setting}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *admin).await.unwrap();
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(database)
        .execute(admin)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgresql_only_reads_the_outside_work_is_not_done_again_and_again() {
    let bench = Bench::start([]).await;
    let harvest = bench.harvest().await;
    let name = bench.database.url.rsplit('/').next().unwrap().to_owned();
    let mut admin = PgConnection::connect(&passereau_testing::database_url()).await.unwrap();
    set_read_only(&mut admin, &name, "SET default_transaction_read_only = on").await;
    bench.publish_as_stranger(bench.message(harvest)).await;
    wait_until("the first handling", SOON, async || (!bench.attempts().is_empty()).then_some(())).await;
    let mut looks = std::collections::BTreeSet::new();
    wait_until("three looks for a PostgreSQL that writes", SOON, async || {
        let look: Option<chrono::DateTime<chrono::Utc>> = sqlx::query_scalar(
            "SELECT max(query_start) FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'UPDATE passereau.claim%WHERE false'",
        )
        .bind(&name)
        .fetch_one(&mut admin)
        .await
        .unwrap();
        looks.extend(look);
        (looks.len() >= 3).then_some(())
    })
    .await;
    assert_eq!(bench.attempts(), [0], "handled once, then it waits");
    set_read_only(&mut admin, &name, "RESET default_transaction_read_only").await;
    bench.worked(harvest).await;
    assert_eq!(bench.state(harvest).await, State::Loading);
    assert_eq!(letters(&bench).await, 0);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_gets_no_answer_does_not_keep_its_process_from_ending() {
    let mut bench = Bench::start([]).await;
    let mut lock = bench.database.pool.begin().await.unwrap();
    // As a server that is frozen: the statement has arrived, and no answer comes.
    sqlx::query("LOCK TABLE passereau.outbox IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let name = bench.database.url.rsplit('/').next().unwrap().to_owned();
    let mut admin = PgConnection::connect(&passereau_testing::database_url()).await.unwrap();
    wait_until("a relay that waits", SOON, async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock' AND query LIKE '%FROM passereau.outbox%'",
        )
        .bind(&name)
        .fetch_one(&mut admin)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    tokio::time::timeout(SOON, bench.stop()).await.expect("the process ends");
    lock.rollback().await.unwrap();
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_leave_the_relay_and_the_claims_a_connection_however_few_are_asked_for() {
    let mut bench = Bench::start([]).await;
    bench.stop().await;
    bench.config.database.connections = 1;
    bench.config.concurrency = 8;
    bench.probe.steps.lock().unwrap().extend(vec![Step::ClaimedUntilReleased; 8]);
    bench.run().await;
    let mut harvests = Vec::new();
    for _ in 0..8 {
        harvests.push(bench.harvest().await);
        bench.publish(bench.message(*harvests.last().unwrap())).await;
    }
    wait_until("eight handlers in work", SOON, async || (bench.attempts().len() >= 8).then_some(())).await;
    for harvest in &harvests {
        wait_until("its effect", SOON, async || {
            bench.probe.released.notify_waiters();
            (bench.effects(*harvest).await > 0).then_some(())
        })
        .await;
    }
    wait_until("readiness", SOON, async || bench.readyz().await.starts_with("HTTP/1.1 200").then_some(())).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_missing_does_not_hide_what_other_queues_have_lost() {
    let bench = Bench::start_with([], |config| config.resend_seconds = 1).await;
    let harvest = bench.harvest().await;
    let queue = passereau_broker::queue_name(bench.broker.prefix(), "requester");
    passereau_broker::topology::delete_queue(&bench.broker, &queue).await.unwrap();
    sqlx::query(
        "INSERT INTO passereau.sent (id, routing_key, version, body, headers, harvest_id, attempt, sent_at)
         SELECT gen_random_uuid(), kind, 1, jsonb_build_object('harvest_id', $1::text), '{}', $1, 0, now() - interval '1 hour'
         FROM unnest(ARRAY['harvest.request', 'archive.load']) AS kind",
    )
    .bind(harvest)
    .execute(&bench.database.pool)
    .await
    .unwrap();
    bench.worked(harvest).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_large_fails_no_harvest_and_a_long_reason_fits_into_one() {
    let mut bench = Bench::start([]).await;
    bench.stop().await;
    let (alive, failed) = (bench.harvest().await, bench.harvest().await);
    let pool = &bench.database.pool;
    sqlx::query(
        "INSERT INTO passereau.outbox (id, exchange, routing_key, body, raw, harvest_id)
         VALUES (gen_random_uuid(), 'events', 'harvest.started', 'null', convert_to(repeat('x', 70000), 'UTF8'), $1)",
    )
    .bind(alive)
    .execute(pool)
    .await
    .unwrap();
    let reason = "\u{1}é".repeat(70_000);
    passereau_harvest::fail(&mut pool.acquire().await.unwrap(), failed, &reason).await.unwrap();
    let bytes: i32 = sqlx::query_scalar(
        "SELECT octet_length(body::text) FROM passereau.outbox WHERE routing_key = 'harvest.failed' AND harvest_id = $1",
    )
    .bind(failed)
    .fetch_one(pool)
    .await
    .unwrap();
    assert!(bytes < 64 * 1024, "{bytes}");
    let kept = passereau_harvest::find(pool, failed).await.unwrap().unwrap().reason;
    assert_eq!(kept.as_deref(), Some(reason.as_str()), "the row has the whole");
    bench.run().await;
    wait_until("an empty outbox", SOON, async || {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM passereau.outbox").fetch_one(&bench.database.pool).await.unwrap();
        (left == 0).then_some(())
    })
    .await;
    assert_eq!(bench.state(alive).await, State::Loading);
    assert_eq!(letters(&bench).await, 0);
    bench.finish().await;
}
