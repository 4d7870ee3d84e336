//! The end of a process, PostgreSQL or RabbitMQ away, two copies of one piece of work.

use std::time::Duration;

use passereau_harvest::State;
use passereau_testing::wait_until;
use sqlx::{Connection, PgConnection};

use crate::{
    bench::{Bench, SOON, Step},
    proxy::Proxy,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_process_hands_its_work_on_without_an_attempt() {
    let mut bench = Bench::start([Step::UntilShutdown]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.probe.started.notified().await;
    bench.stop().await;
    assert_eq!(bench.effects(harvest).await, 0);
    bench.run().await;
    bench.worked(harvest).await;
    assert_eq!(bench.attempts(), [0, 0]);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgresql_is_away_a_message_waits_and_loses_no_attempt() {
    let bench = Bench::start([]).await;
    let harvest = bench.harvest().await;
    let name = bench.database.url.rsplit('/').next().unwrap().to_owned();
    let mut admin = PgConnection::connect(&passereau_testing::database_url()).await.unwrap();
    allow_connections(&mut admin, &name, false).await;
    bench.publish_as_stranger(bench.message(harvest)).await;
    // Met, and not answered: the delivery is in hand while its database refuses every connection.
    wait_until("the refused connections", SOON, async || {
        let connected: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = $1")
            .bind(&name)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        (connected == 0).then_some(())
    })
    .await;
    wait_until("readiness that names PostgreSQL", SOON, async || {
        let answer = bench.readyz().await;
        (answer.starts_with("HTTP/1.1 503") && answer.contains("PostgreSQL does not answer")).then_some(())
    })
    .await;
    allow_connections(&mut admin, &name, true).await;
    wait_until("readiness", SOON, async || bench.readyz().await.starts_with("HTTP/1.1 200").then_some(())).await;
    bench.worked(harvest).await;
    assert_eq!(bench.state(harvest).await, State::Loading, "no dead letter, no failure");
    assert!(bench.attempts().iter().all(|attempt| *attempt == 0), "{:?}", bench.attempts());
    bench.finish().await;
}

/// A process that reaches RabbitMQ through a proxy, ready and alive; nothing else does.
async fn behind_a_proxy(steps: impl IntoIterator<Item = Step>) -> (Bench, Proxy) {
    let (proxy, through) = Proxy::start(&passereau_testing::amqp_url()).await;
    let bench = Bench::start_with(steps, |config| config.broker.url = Some(through.into())).await;
    is_well(&bench).await;
    (bench, proxy)
}

async fn is_well(bench: &Bench) {
    wait_until("readiness", SOON, async || bench.readyz().await.starts_with("HTTP/1.1 200").then_some(())).await;
    wait_until("life", SOON, async || bench.healthz().await.starts_with("HTTP/1.1 200").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_is_away_a_process_is_not_ready_and_once_that_lasts_not_alive() {
    let (bench, mut proxy) = behind_a_proxy([]).await;
    proxy.cut().await;
    wait_until("readiness that names the connection", SOON, async || {
        let answer = bench.readyz().await;
        (answer.starts_with("HTTP/1.1 503") && answer.contains("connection lost")).then_some(())
    })
    .await;
    wait_until("the wish to be restarted", SOON, async || {
        let answer = bench.healthz().await;
        (answer.starts_with("HTTP/1.1 503") && answer.contains("no connection for ")).then_some(())
    })
    .await;
    proxy.restore().await;
    is_well(&bench).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.worked(harvest).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_takes_no_messages_a_process_is_not_ready_and_yet_alive() {
    let (bench, proxy) = behind_a_proxy([Step::Snooze(Duration::ZERO)]).await;
    // Its message comes again, which the process publishes: only what has published is told.
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.worked(harvest).await;
    proxy.block("low on memory").await;
    wait_until("readiness that says why", SOON, async || {
        let answer = bench.readyz().await;
        (answer.starts_with("HTTP/1.1 503") && answer.contains("RabbitMQ takes no messages: low on memory"))
            .then_some(())
    })
    .await;
    wait_until("life", SOON, async || bench.healthz().await.starts_with("HTTP/1.1 200").then_some(())).await;
    proxy.unblock().await;
    is_well(&bench).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_a_session_is_absence_and_what_an_administrator_must_mend_is_not() {
    let database = passereau_testing::TestDatabase::migrated().await;
    let name = database.url.rsplit('/').next().unwrap().to_owned();
    let mut admin = PgConnection::connect(&passereau_testing::database_url()).await.unwrap();
    let absent = passereau_runner::is_database_absent;

    let mut ended = PgConnection::connect(&database.url).await.unwrap();
    allow_connections(&mut admin, &name, false).await;
    assert!(absent(&sqlx::query("SELECT 1").execute(&mut ended).await.unwrap_err()), "a session that was ended");
    assert!(absent(&PgConnection::connect(&database.url).await.unwrap_err()), "a database that takes no connection");

    let elsewhere = format!("{}_gone", database.url);
    assert!(!absent(&PgConnection::connect(&elsewhere).await.unwrap_err()), "a database that does not exist");
    let refused = sqlx::query("SELECT 1 FROM passereau.no_such_table").execute(&mut admin).await.unwrap_err();
    assert!(!absent(&refused), "a statement that is wrong");
    allow_connections(&mut admin, &name, true).await;
}

async fn allow_connections(admin: &mut PgConnection, database: &str, allowed: bool) {
    let statement = format!("ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS {allowed}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *admin).await.unwrap();
    if !allowed {
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
            .bind(database)
            .execute(admin)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_ran_out_cannot_write_any_more() {
    let bench = Bench::start([]).await;
    let pool = &bench.database.pool;
    let first = passereau_runner::Claim::take(pool, "archive test").await.unwrap().expect("free");
    assert!(passereau_runner::Claim::take(pool, "archive test").await.unwrap().is_none(), "held");
    // Its holder was stopped for longer than the claim lives. Here it still runs, and may renew the claim in between.
    let second = wait_until("a claim that ran out", SOON, async || {
        sqlx::query("UPDATE passereau.claim SET expires_at = now() - interval '1 second'").execute(pool).await.unwrap();
        passereau_runner::Claim::take(pool, "archive test").await.unwrap()
    })
    .await;
    assert!(second.token() > first.token());
    let mut tx = pool.begin().await.unwrap();
    assert!(first.release(&mut tx).await.is_err(), "the first copy finds out before it commits");
    tx.rollback().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    second.release(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let third = passereau_runner::Claim::take(pool, "archive test").await.unwrap();
    assert!(third.is_some(), "a claim given back is free at once");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_connected_and_consumes_nothing_is_not_ready_and_then_not_alive() {
    let bench = Bench::start([]).await;
    wait_until("life", SOON, async || bench.healthz().await.starts_with("HTTP/1.1 200").then_some(())).await;
    let queue = passereau_broker::queue_name(bench.broker.prefix(), "loader");
    passereau_broker::topology::delete_queue(&bench.broker, &queue).await.unwrap();
    wait_until("readiness that names the subscription", SOON, async || {
        let answer = bench.readyz().await;
        (answer.starts_with("HTTP/1.1 503") && answer.contains("no subscription")).then_some(())
    })
    .await;
    wait_until("the wish to be restarted", SOON, async || {
        let answer = bench.healthz().await;
        (answer.starts_with("HTTP/1.1 503") && answer.contains("passereau topology apply")).then_some(())
    })
    .await;
    let topology = passereau_runner::fleet_topology(bench.broker.prefix());
    passereau_broker::topology::apply(&bench.broker, &topology).await.unwrap();
    wait_until("life", SOON, async || bench.healthz().await.starts_with("HTTP/1.1 200").then_some(())).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.worked(harvest).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rabbitmq_has_confirmed_and_lost_is_published_again_once_its_queue_is_empty() {
    let mut bench = Bench::start_with([], |config| config.resend_seconds = 1).await;
    bench.stop().await;
    let (lost, kept) = (bench.harvest().await, bench.harvest().await);
    // As the relay leaves them: one that the broker has lost, one of a harvest that has ended meanwhile.
    for harvest in [lost, kept] {
        sqlx::query(
            "INSERT INTO passereau.sent (id, routing_key, version, body, headers, harvest_id, attempt, sent_at)
             VALUES (gen_random_uuid(), 'archive.load', 1, jsonb_build_object('harvest_id', $1::text), '{}', $1, 0, now() - interval '1 hour')",
        )
        .bind(harvest)
        .execute(&bench.database.pool)
        .await
        .unwrap();
    }
    let mut connection = bench.database.pool.acquire().await.unwrap();
    passereau_harvest::fail(&mut connection, kept, "the test says so").await.unwrap();
    bench.run().await;
    bench.worked(lost).await;
    wait_until("an empty table", SOON, async || {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM passereau.sent").fetch_one(&bench.database.pool).await.unwrap();
        (left == 0).then_some(())
    })
    .await;
    assert_eq!((bench.effects(lost).await, bench.effects(kept).await), (1, 0));
    bench.finish().await;
}
