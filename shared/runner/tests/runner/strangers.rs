//! What somebody else may publish, who has the password of a client and knows the ids of harvests.

use std::time::Duration;

use passereau_broker::{Exchange, Outgoing, dead_queue_name, queue_name, topology};
use passereau_harvest::State;
use passereau_runner::{DeadFilter, count_dead, list_dead, replay_dead};
use passereau_testing::{Stranger, wait_until};
use uuid::Uuid;

use crate::bench::{Bench, SOON, Step};

/// 21 connections of the work and 101 of the dead queue, on two loaded cores.
const BROKEN_OFTEN: Duration = Duration::from_secs(180);
/// So many looks in a row do not see a message that waits most of the time: between two connections.
const GONE: u32 = 20;

/// Publishes what no client can read, and does `meanwhile` until neither queue holds anything any more; how often the dead queue did.
async fn outlive_poison(bench: &Bench, exchange: Exchange, mut meanwhile: impl AsyncFnMut()) -> u32 {
    let (exchange, prefix) = (exchange.name(bench.broker.prefix()), bench.broker.prefix());
    let poison =
        Stranger { exchange: &exchange, routing_key: "archive.load", message_id: b"\xff", headers: &[], body: b"{}" };
    poison.publish(&passereau_testing::amqp_url()).await;
    let queues = [queue_name(prefix, "loader"), dead_queue_name(prefix)];
    let (mut seen, mut unseen) = (0, 0);
    wait_until("the end of the poison", BROKEN_OFTEN, async || {
        meanwhile().await;
        let [work, dead] = [
            topology::waiting(&bench.broker, &queues[0]).await.unwrap(),
            topology::waiting(&bench.broker, &queues[1]).await.unwrap(),
        ];
        seen += u32::from(dead > 0);
        unseen = if work + dead == 0 { unseen + 1 } else { 0 };
        (unseen >= GONE).then_some(())
    })
    .await;
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_client_can_read_comes_to_an_end_and_stops_no_work() {
    let bench = Bench::start([]).await;
    let seen = outlive_poison(&bench, Exchange::Work, async || {
        let harvest = bench.harvest().await;
        bench.publish(bench.message(harvest)).await;
        bench.worked(harvest).await;
    })
    .await;
    assert!(seen > 0, "it came to the dead queue");
    assert_eq!(
        count_dead(&bench.database.pool, &DeadFilter::default()).await.unwrap(),
        0,
        "nobody could write it down"
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_client_can_read_in_the_dead_queue_touches_neither_work_nor_readiness() {
    let bench = Bench::start([]).await;
    let ready = async || bench.readyz().await.starts_with("HTTP/1.1 200");
    // A process that starts is ready, then looks at its consumers, and not all of them have subscribed by then.
    let first = bench.harvest().await;
    bench.publish(bench.message(first)).await;
    bench.worked(first).await;
    wait_until("readiness", SOON, async || ready().await.then_some(())).await;
    let behind = bench.harvest().await;
    let letter = Outgoing { exchange: Exchange::Dead, mandatory: false, ..bench.message(behind) };
    let mut sent = false;
    let seen = outlive_poison(&bench, Exchange::Dead, async || {
        assert!(ready().await, "{}", bench.readyz().await);
        if !std::mem::replace(&mut sent, true) {
            bench.publish(letter.clone()).await;
        }
        let harvest = bench.harvest().await;
        bench.publish(bench.message(harvest)).await;
        bench.worked(harvest).await;
    })
    .await;
    assert!(seen > 3, "the work went on meanwhile: {seen}");
    assert_eq!(bench.state(behind).await, State::Failed, "what stood behind it was moved");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_the_broker_that_a_stranger_forged_do_not_hold_the_dead_queue_up() {
    let bench = Bench::start([]).await;
    let exchange = Exchange::Dead.name(bench.broker.prefix());
    let ours = bench.harvest().await;
    let first = bench.message(ours);
    passereau_testing::note_as_sent(&bench.database.pool, &first).await;
    // RabbitMQ up to 3.13 leaves such headers as they are.
    let headers = [("x-first-death-queue", "a\0b"), ("x-first-death-reason", "c\0d"), ("x-note", "e\0f")];
    let id = first.message_id.to_string();
    let message = Stranger {
        exchange: &exchange,
        routing_key: "archive.load",
        message_id: id.as_bytes(),
        headers: &headers,
        body: &first.body,
    };
    message.publish(&passereau_testing::amqp_url()).await;
    let behind = bench.harvest().await;
    bench.publish(Outgoing { exchange: Exchange::Dead, mandatory: false, ..bench.message(behind) }).await;
    bench.dead_letter(Some(behind)).await;
    let (_, reason, error) = bench.dead_letter(None).await;
    assert_eq!(reason, "returned_by_broker");
    assert!(error.contains("c\u{fffd}d"), "{error}");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_refuses_of_a_dead_letter_is_left_out() {
    let bench = Bench::start([]).await;
    sqlx::raw_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.headers ? 'x-note' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON passereau.dead_letter FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .execute(&bench.database.pool)
    .await
    .unwrap();
    let harvest = bench.harvest().await;
    let headers = std::collections::BTreeMap::from([("x-note".to_owned(), "refused".to_owned())]);
    bench.publish(Outgoing { exchange: Exchange::Dead, mandatory: false, headers, ..bench.message(harvest) }).await;
    let (_, reason, error) = bench.dead_letter(Some(harvest)).await;
    assert_eq!(reason, "returned_by_broker");
    assert!(error.contains("not this one"), "{error}");
    assert_eq!(bench.state(harvest).await, State::Failed);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_message_fails_no_harvest_however_it_dies_and_is_replayed() {
    let bench = Bench::start([Step::Reject("no such slice"), Step::Retry("once"), Step::Reject("again")]).await;
    let harvest = bench.harvest().await;
    let forged = || Outgoing { message_id: Uuid::now_v7(), ..bench.message(harvest) };
    let malformed = forged();
    bench.publish_as_stranger(Outgoing { body: b"{".to_vec(), ..malformed }).await;
    let first = bench.dead_letter(Some(harvest)).await;
    assert_eq!(first.1, "malformed");
    replay_dead(&bench.database.pool, first.0).await.unwrap();
    let second = bench.dead_letter(Some(harvest)).await;
    assert_eq!(second.1, "malformed");
    passereau_runner::drop_dead(&bench.database.pool, second.0).await.unwrap();

    let dead = Outgoing { exchange: Exchange::Dead, mandatory: false, ..forged() };
    for (message, reason) in [(forged(), "rejected"), (forged(), "rejected"), (dead, "returned_by_broker")] {
        bench.publish_as_stranger(message).await;
        let letter = bench.dead_letter(Some(harvest)).await;
        assert_eq!(letter.1, reason);
        passereau_runner::drop_dead(&bench.database.pool, letter.0).await.unwrap();
    }
    assert_eq!(bench.attempts(), [0, 0, 1], "one was tried again");
    assert_eq!(bench.state(harvest).await, State::Loading);
    bench.publish(bench.message(harvest)).await;
    bench.worked(harvest).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_message_that_is_too_large_the_beginning_is_kept() {
    let bench = Bench::start([]).await;
    let exchange = Exchange::Work.name(bench.broker.prefix());
    let body = vec![b'x'; 300_000];
    let large =
        Stranger { exchange: &exchange, routing_key: "archive.load", message_id: b"large", headers: &[], body: &body };
    large.publish(&passereau_testing::amqp_url()).await;
    let (id, reason, error) = bench.dead_letter(None).await;
    assert_eq!(reason, "malformed");
    // printf 'x%.0s' $(seq 300000) | sha256sum
    let digest = "29927e273accc68286005017f7fa6e4f27bddb4db3083ff8b8d4c3667905b7fa";
    assert!(error.ends_with(&format!("of its 300000 bytes (SHA-256 {digest}) the first 65536 are kept")), "{error}");
    let letter = passereau_runner::find_dead(&bench.database.pool, id).await.unwrap().unwrap();
    assert_eq!(letter.body.as_deref(), Some(&body[..65_536]));
    let listed = list_dead(&bench.database.pool, &DeadFilter::default(), 10).await.unwrap();
    assert_eq!(listed.iter().map(|letter| letter.body.as_deref()).collect::<Vec<_>>(), [None]);
    bench.finish().await;
}

/// A queue of a listener that takes no message and says so.
async fn full_queue(bench: &Bench) -> (lapin::Connection, String) {
    let connection = lapin::Connection::connect(&passereau_testing::amqp_url(), lapin::ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (events, name) = (Exchange::Events.name(bench.broker.prefix()), format!("{}.full", bench.broker.prefix()));
    let mut arguments = lapin::types::FieldTable::default();
    arguments.insert("x-max-length".into(), lapin::types::AMQPValue::LongInt(0));
    arguments.insert("x-overflow".into(), lapin::types::AMQPValue::LongString("reject-publish".into()));
    let options = lapin::options::QueueDeclareOptions { auto_delete: true, ..Default::default() };
    channel.queue_declare(name.as_str().into(), options, arguments).await.unwrap();
    let bound = Default::default();
    channel
        .queue_bind(name.as_str().into(), events.as_str().into(), "#".into(), bound, Default::default())
        .await
        .unwrap();
    (connection, name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_one_listener_cannot_take_comes_ever_more_rarely_and_once_its_queue_is_gone_leaves() {
    let bench = Bench::start([]).await;
    let (connection, queue) = full_queue(&bench).await;
    let harvest = bench.harvest().await;
    let pool = &bench.database.pool;
    sqlx::query(
        "INSERT INTO passereau.outbox (id, exchange, routing_key, body)
         VALUES (gen_random_uuid(), 'events', 'harvest.started', '{}')",
    )
    .execute(pool)
    .await
    .unwrap();
    let ahead = async |attempts: i32| {
        wait_until("an attempt", SOON, async || {
            sqlx::query_scalar::<_, f64>(
                "SELECT extract(epoch FROM due_at - now())::float8 FROM passereau.outbox WHERE exchange = 'events' AND attempt = $1",
            )
            .bind(attempts)
            .fetch_optional(pool)
            .await
            .unwrap()
        })
        .await
    };
    let due_now = async || {
        sqlx::query("UPDATE passereau.outbox SET due_at = now() WHERE exchange = 'events'")
            .execute(pool)
            .await
            .unwrap();
    };
    let first = ahead(1).await;
    due_now().await;
    ahead(2).await;
    due_now().await;
    let third = ahead(3).await;
    assert!(third > 2.0 * first, "{first} s, then {third} s");
    bench.publish(bench.message(harvest)).await;
    bench.worked(harvest).await;
    topology::delete_queue(&bench.broker, &queue).await.unwrap();
    due_now().await;
    wait_until("an outbox without events", SOON, async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.outbox WHERE exchange = 'events'")
            .fetch_one(pool)
            .await
            .unwrap();
        (left == 0).then_some(())
    })
    .await;
    drop(connection);
    bench.finish().await;
}
