//! What becomes of a delivery, outcome by outcome.

use std::time::Duration;

use passereau_broker::{Exchange, Outgoing};
use passereau_harvest::State;
use passereau_runner::{Replayed, replay_dead};
use passereau_testing::wait_until;
use uuid::Uuid;

use crate::bench::{Bench, SOON, Step};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_three_times_has_its_effect_once() {
    let bench = Bench::start([]).await;
    let harvest = bench.harvest().await;
    let message = bench.message(harvest);
    for _ in 0..3 {
        bench.publish(message.clone()).await;
    }
    // A message behind them on the same queue: when it is done, the copies have been met.
    let last = bench.harvest().await;
    bench.publish(bench.message(last)).await;
    bench.worked(last).await;
    assert_eq!(bench.effects(harvest).await, 1);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_finds_the_work_taken_waits_under_its_own_id_and_does_not_undo_it() {
    // One step for each look of the copy. What is handled is looked for each second, so that `sent` is empty in the end.
    let steps = std::iter::repeat_n(Step::ClaimedUntilReleased, 50);
    let bench = Bench::start_with(steps, |config| config.resend_seconds = 1).await;
    let harvest = bench.harvest().await;
    let message = bench.message(harvest);
    bench.publish(message.clone()).await;
    bench.probe.started.notified().await;
    bench.publish(message.clone()).await;
    // It would look again in a few seconds; held here, it looks when the test says so, however slow the machine is.
    let hold = "UPDATE passereau.outbox SET due_at = now() + interval '1 hour'
                WHERE id = $1 AND due_at > now() AND attempt = 0 RETURNING true";
    let pool = &bench.database.pool;
    wait_until("the copy that waits", SOON, async || {
        sqlx::query_scalar::<_, bool>(hold).bind(message.message_id).fetch_optional(pool).await.unwrap()
    })
    .await;
    let looks = bench.attempts().len();
    assert!(looks >= 2, "{looks}");
    bench.probe.released.notify_one();
    bench.worked(harvest).await;
    sqlx::query("UPDATE passereau.outbox SET due_at = now()").execute(pool).await.unwrap();
    sqlx::query("SELECT pg_notify('passereau_outbox', '')").execute(pool).await.unwrap();
    let left = "SELECT (SELECT count(*) FROM passereau.outbox) + (SELECT count(*) FROM passereau.sent)";
    wait_until("the end of the copy", SOON, async || {
        (sqlx::query_scalar::<_, i64>(left).fetch_one(pool).await.unwrap() == 0).then_some(())
    })
    .await;
    let effects: i64 = sqlx::query_scalar("SELECT count(*) FROM effect").fetch_one(pool).await.unwrap();
    assert_eq!(effects, 1);
    assert_eq!(bench.attempts().len(), looks, "the copy was known when it came again");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snooze_is_a_row_with_its_exact_date_and_costs_no_attempt() {
    let bench = Bench::start([Step::Snooze(Duration::from_secs(77))]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    let due_in: f64 = wait_until("the snoozed message", SOON, async || {
        sqlx::query_scalar(
            "SELECT extract(epoch FROM due_at - created_at)::float8 FROM passereau.outbox
             WHERE harvest_id = $1 AND exchange = 'work'",
        )
        .bind(harvest)
        .fetch_optional(&bench.database.pool)
        .await
        .unwrap()
    })
    .await;
    // The date is reckoned before the transaction that writes it begins: a slow machine makes the difference smaller.
    assert!((60.0..=77.5).contains(&due_in), "due in {due_in} s");
    // The time is injected: the row is due when its date says so, and the relay's timer finds it.
    sqlx::query("UPDATE passereau.outbox SET due_at = now()").execute(&bench.database.pool).await.unwrap();
    bench.worked(harvest).await;
    assert_eq!(bench.attempts(), [0, 0]);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_tried_again_and_then_becomes_a_dead_letter_that_fails_its_harvest() {
    let bench = Bench::start([Step::Retry("GBIF is away"), Step::Panic, Step::Retry("GBIF is still away")]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    let (_, reason, error) = bench.dead_letter(Some(harvest)).await;
    assert_eq!((reason.as_str(), error.as_str()), ("attempts_exhausted", "GBIF is still away"));
    assert_eq!(bench.attempts(), [0, 1, 2], "a panic is a failed attempt like any other");
    assert_eq!(bench.state(harvest).await, State::Failed);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_message_leaves_the_queue_and_a_replay_takes_its_harvest_up_again() {
    let bench = Bench::start([Step::Reject("the archive is no zip")]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    let (letter, reason, _) = bench.dead_letter(Some(harvest)).await;
    assert_eq!(reason, "rejected");
    assert_eq!(bench.state(harvest).await, State::Failed);

    let next = bench.harvest().await;
    bench.publish(bench.message(next)).await;
    bench.worked(next).await;

    assert_eq!(replay_dead(&bench.database.pool, letter).await.unwrap(), Replayed::Sent { along: vec![] });
    assert_eq!(bench.state(harvest).await, State::Loading);
    bench.worked(harvest).await;
    assert_eq!(replay_dead(&bench.database.pool, letter).await.unwrap(), Replayed::NotWaiting);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_understood_becomes_a_dead_letter_with_its_reason_and_the_worker_goes_on() {
    let bench = Bench::start([]).await;
    let good = bench.message(Uuid::nil());
    let nul = std::collections::BTreeMap::from([("x-note".to_owned(), "a\0b".to_owned())]);
    let strange: [(&str, Outgoing); 6] = [
        ("malformed", Outgoing { body: b"{\"a\\u0000\": 1}".to_vec(), correlation_id: None, ..good.clone() }),
        ("malformed", Outgoing { body: vec![0xff, 0x00, 0xfe], correlation_id: None, ..good.clone() }),
        ("malformed", Outgoing { body: b"[]".to_vec(), correlation_id: None, headers: nul, ..good.clone() }),
        ("malformed", Outgoing { body: b"{\"harvest_id\": ".to_vec(), correlation_id: None, ..good.clone() }),
        ("malformed", Outgoing { body: b"{\"harvest\": 1}".to_vec(), correlation_id: None, ..good.clone() }),
        ("unknown_version", Outgoing { version: 7, correlation_id: None, ..good.clone() }),
    ];
    for (expected, message) in strange {
        bench.publish(Outgoing { message_id: Uuid::now_v7(), ..message }).await;
        let (id, reason, error) = bench.dead_letter(None).await;
        assert_eq!(reason, expected, "{error}");
        sqlx::query("UPDATE passereau.dead_letter SET state = 'dropped' WHERE id = $1")
            .bind(id)
            .execute(&bench.database.pool)
            .await
            .unwrap();
    }
    assert!(bench.attempts().is_empty(), "no handler saw them");
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    bench.worked(harvest).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_out_of_all_reason_counts_as_the_last_attempt_and_kills_no_worker() {
    let bench = Bench::start([Step::Retry("first"), Step::Retry("second")]).await;
    let harvest = bench.harvest().await;
    let headers = std::collections::BTreeMap::from([("passereau-attempt".to_owned(), i32::MAX.to_string())]);
    bench.publish(Outgoing { headers, ..bench.message(harvest) }).await;
    let (_, reason, _) = bench.dead_letter(Some(harvest)).await;
    assert_eq!(reason, "attempts_exhausted");
    let next = bench.harvest().await;
    bench.publish(bench.message(next)).await;
    bench.worked(next).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_that_postgresql_refuses_becomes_a_dead_letter_and_is_not_repeated_for_ever() {
    let bench = Bench::start([]).await;
    let harvest = bench.harvest().await;
    sqlx::query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.routing_key = 'archive.load' THEN RAISE EXCEPTION 'no room for it'; END IF; RETURN NEW; END $$",
    )
    .execute(&bench.database.pool)
    .await
    .unwrap();
    sqlx::query("CREATE TRIGGER refuse BEFORE INSERT ON passereau.outbox FOR EACH ROW EXECUTE FUNCTION refuse()")
        .execute(&bench.database.pool)
        .await
        .unwrap();
    bench.probe.steps.lock().unwrap().push_back(Step::Snooze(Duration::ZERO));
    bench.publish(bench.message(harvest)).await;
    let (_, reason, error) = bench.dead_letter(Some(harvest)).await;
    assert_eq!(reason, "rejected");
    assert!(error.contains("no room for it"), "{error}");
    assert_eq!(bench.attempts().len(), 1, "the handler ran once");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_harvest_is_not_taken_up_again_over_a_newer_one() {
    let bench = Bench::start([Step::Reject("broken")]).await;
    let old = bench.harvest_of(Some("twice")).await;
    bench.publish(bench.message(old)).await;
    let (letter, ..) = bench.dead_letter(Some(old)).await;
    let newer = bench.harvest_of(Some("twice")).await;
    sqlx::query(
        "UPDATE passereau.harvest SET state = 'completed', created_at = now() + interval '1 second' WHERE id = $1",
    )
    .bind(newer)
    .execute(&bench.database.pool)
    .await
    .unwrap();
    assert_eq!(replay_dead(&bench.database.pool, letter).await.unwrap(), Replayed::Superseded(newer));
    assert_eq!(bench.state(old).await, State::Failed);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_gives_up_is_moved_into_the_table() {
    let bench = Bench::start([]).await;
    let harvest = bench.harvest().await;
    bench.publish(Outgoing { exchange: Exchange::Dead, mandatory: false, ..bench.message(harvest) }).await;
    let (_, reason, _) = bench.dead_letter(Some(harvest)).await;
    assert_eq!(reason, "returned_by_broker");
    assert_eq!(bench.state(harvest).await, State::Failed);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_no_queue_takes_stays_in_the_outbox_and_holds_up_nobody() {
    let bench = Bench::start([]).await;
    let harvest = bench.harvest().await;
    sqlx::query(
        "INSERT INTO passereau.outbox (id, exchange, routing_key, body)
         VALUES (gen_random_uuid(), 'work', 'nobody.home', '{}'),
                (gen_random_uuid(), 'work', 'archive.load', jsonb_build_object('harvest_id', $1::uuid))",
    )
    .bind(harvest)
    .execute(&bench.database.pool)
    .await
    .unwrap();
    bench.worked(harvest).await;
    // The handler may be done before the relay has committed that its message is sent.
    wait_until("an outbox that holds nothing else", SOON, async || {
        let left: Vec<String> = sqlx::query_scalar("SELECT routing_key FROM passereau.outbox WHERE exchange = 'work'")
            .fetch_all(&bench.database.pool)
            .await
            .unwrap();
        (left == ["nobody.home"]).then_some(())
    })
    .await;
    bench.finish().await;
}
