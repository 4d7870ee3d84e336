//! Dead letters: found, sent again as they were, and given up.

use passereau_broker::{Exchange, Outgoing};
use passereau_harvest::State;
use passereau_runner::{
    DeadFilter, DeadLetter, Replayed, count_dead, drop_dead, find_dead, list_dead, lives, replay_dead,
};
use passereau_telemetry::DeadLetterReason;
use passereau_testing::wait_until;
use uuid::Uuid;

use crate::bench::{Bench, SOON, Step};

const SENT: Replayed = Replayed::Sent { along: Vec::new() };
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A message as a foreign client would publish it, of any kind and with any body.
fn foreign(bench: &Bench, kind: &str, body: &[u8]) -> Outgoing {
    let message = bench.message(Uuid::nil());
    Outgoing { routing_key: kind.into(), kind: kind.into(), correlation_id: None, body: body.to_vec(), ..message }
}

async fn waiting(bench: &Bench, filter: &DeadFilter) -> Vec<DeadLetter> {
    list_dead(&bench.database.pool, filter, 100).await.unwrap()
}

/// Waits for the letter of a message that waits.
async fn letter_of(bench: &Bench, message_id: Uuid) -> DeadLetter {
    let of_message = DeadFilter { harvest: Some(message_id), ..DeadFilter::default() };
    wait_until("the dead letter", SOON, async || waiting(bench, &of_message).await.pop()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_dies_twice_keeps_who_it_is_and_shows_both_deaths() {
    let bench = Bench::start([Step::Reject("the disk is full"), Step::Reject("the disk is still full")]).await;
    let harvest = bench.harvest().await;
    let headers = [("traceparent", TRACE), ("x-theirs", "kept")].map(|(name, value)| (name.into(), value.into()));
    let sent = Outgoing { headers: headers.into(), ..bench.message(harvest) };
    bench.publish(sent.clone()).await;
    let first = letter_of(&bench, sent.message_id).await;
    assert_eq!(replay_dead(&bench.database.pool, first.id).await.unwrap(), SENT);

    let second = letter_of(&bench, sent.message_id).await;
    assert_ne!(second.id, first.id);
    assert_eq!(second.message_id, Some(sent.message_id));
    assert_eq!((second.harvest_id, second.attempts), (Some(harvest), 0));
    assert_eq!(
        second.first_published_at.map(|at| at.timestamp_micros()),
        first.first_published_at.map(|at| at.timestamp_micros())
    );
    assert_eq!((&second.headers["traceparent"][..], &second.headers["x-theirs"][..]), (TRACE, "kept"));
    let history = lives(&bench.database.pool, &second).await.unwrap();
    let told: Vec<_> = history.iter().map(|life| (life.error.as_str(), life.state.as_str())).collect();
    assert_eq!(told, [("the disk is full", "replayed"), ("the disk is still full", "waiting")]);

    assert_eq!(replay_dead(&bench.database.pool, second.id).await.unwrap(), SENT);
    bench.worked(harvest).await;
    assert_eq!(bench.state(harvest).await, State::Loading, "its harvest has gone on");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_two_people_replay_at_once_is_sent_once() {
    let bench = Bench::start([Step::Reject("broken")]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    let (letter, ..) = bench.dead_letter(Some(harvest)).await;
    let pool = &bench.database.pool;
    let (one, other) = tokio::join!(replay_dead(pool, letter), replay_dead(pool, letter));
    let mut outcomes = [one.unwrap(), other.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome != SENT);
    assert_eq!(outcomes, [SENT, Replayed::NotWaiting]);
    bench.worked(harvest).await;
    assert_eq!(replay_dead(pool, letter).await.unwrap(), Replayed::NotWaiting);
    let last = bench.harvest().await;
    bench.publish(bench.message(last)).await;
    bench.worked(last).await;
    assert_eq!(bench.effects(harvest).await, 1);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_can_read_comes_back_byte_for_byte_and_is_given_up() {
    let bench = Bench::start([]).await;
    let unreadable = DeadFilter { reason: Some(DeadLetterReason::Malformed), ..DeadFilter::default() };
    let pool = &bench.database.pool;
    for body in [&b"\xff\x00{"[..], br#"{"b\u0000": 1, "a": 1e400}"#, b""] {
        let sent = foreign(&bench, "archive.load", body);
        bench.publish(sent.clone()).await;
        let first = letter_of(&bench, sent.message_id).await;
        assert_eq!(replay_dead(pool, first.id).await.unwrap(), SENT);
        let second = letter_of(&bench, sent.message_id).await;
        let second_body = find_dead(pool, second.id).await.unwrap().unwrap().body;
        assert_eq!((second_body.as_deref(), second.reason.as_str()), (Some(body), "malformed"));
        assert_eq!(count_dead(pool, &unreadable).await.unwrap(), 1, "the first death is history");
        assert!(drop_dead(pool, second.id).await.unwrap());
        assert!(!drop_dead(pool, second.id).await.unwrap(), "once");
        assert_eq!(replay_dead(pool, second.id).await.unwrap(), Replayed::NotWaiting);
        assert_eq!(count_dead(pool, &unreadable).await.unwrap(), 0);
    }
    let settled = DeadFilter { settled: true, ..unreadable };
    assert_eq!(count_dead(pool, &settled).await.unwrap(), 6, "two deaths of each stay to be looked at");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_is_not_ours_is_found_and_is_not_sent_to_nobody() {
    let bench = Bench::start([]).await;
    let sent = Outgoing { exchange: Exchange::Dead, mandatory: false, ..foreign(&bench, "nobody.home", b"<xml/>") };
    bench.publish(sent.clone()).await;
    let other = Outgoing { exchange: Exchange::Dead, mandatory: false, ..foreign(&bench, "archive.load", b"{}") };
    bench.publish(other.clone()).await;
    let letter = letter_of(&bench, sent.message_id).await;
    letter_of(&bench, other.message_id).await;
    let of_kind = DeadFilter { kind: Some("nobody.home".into()), ..DeadFilter::default() };
    let found: Vec<Uuid> = waiting(&bench, &of_kind).await.iter().map(|letter| letter.id).collect();
    assert_eq!(found, [letter.id]);
    let outcome = replay_dead(&bench.database.pool, letter.id).await.unwrap();
    assert_eq!(outcome, Replayed::NoWorker("nobody.home".into()));
    let there = find_dead(&bench.database.pool, letter.id).await.unwrap().unwrap();
    assert_eq!((there.state.as_str(), there.body.as_deref()), ("waiting", Some(&b"<xml/>"[..])));
    assert!(drop_dead(&bench.database.pool, letter.id).await.unwrap());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisonous_message_holds_nobody_up() {
    let bench = Bench::start([]).await;
    let poison = bench.harvest().await;
    *bench.probe.poison.lock().unwrap() = Some(poison);
    bench.publish(bench.message(poison)).await;
    for _ in 0..5 {
        bench.publish(foreign(&bench, "archive.load", b"not json")).await;
        let good = bench.harvest().await;
        bench.publish(bench.message(good)).await;
        bench.worked(good).await;
    }
    let (letter, reason, error) = bench.dead_letter(Some(poison)).await;
    assert_eq!(reason, "attempts_exhausted");
    assert!(error.contains("this message is poison"), "{error}");
    assert_eq!(bench.state(poison).await, State::Failed);
    assert_eq!(count_dead(&bench.database.pool, &DeadFilter::default()).await.unwrap(), 6);

    *bench.probe.poison.lock().unwrap() = None;
    assert_eq!(replay_dead(&bench.database.pool, letter).await.unwrap(), SENT);
    bench.worked(poison).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_harvest_needs_to_go_on_goes_with_any_of_its_letters() {
    let bench = Bench::start([Step::Reject("broken")]).await;
    let harvest = bench.harvest().await;
    let load = bench.message(harvest);
    bench.publish(load.clone()).await;
    let needed = letter_of(&bench, load.message_id).await;
    let late = foreign(&bench, "download.poll", &load.body);
    let late = Outgoing { exchange: Exchange::Dead, mandatory: false, correlation_id: Some(harvest), ..late };
    bench.publish(late.clone()).await;
    let letter = letter_of(&bench, late.message_id).await;

    let outcome = replay_dead(&bench.database.pool, letter.id).await.unwrap();
    assert_eq!(outcome, Replayed::Sent { along: vec![needed.id] });
    bench.worked(harvest).await;
    assert_eq!(replay_dead(&bench.database.pool, needed.id).await.unwrap(), Replayed::NotWaiting);
    assert_eq!(waiting(&bench, &DeadFilter::default()).await.len(), 0);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_of_a_cancelled_harvest_is_not_sent() {
    let bench = Bench::start([Step::Reject("broken")]).await;
    let harvest = bench.harvest().await;
    bench.publish(bench.message(harvest)).await;
    let (letter, ..) = bench.dead_letter(Some(harvest)).await;
    sqlx::query("UPDATE passereau.harvest SET state = 'cancelled' WHERE id = $1")
        .bind(harvest)
        .execute(&bench.database.pool)
        .await
        .unwrap();
    assert_eq!(replay_dead(&bench.database.pool, letter).await.unwrap(), Replayed::Cancelled(harvest));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_leave_dies_under_the_identity_that_it_had() {
    let bench = Bench::start([]).await;
    let origin = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO passereau.outbox (id, exchange, routing_key, body, raw, headers)
         VALUES (gen_random_uuid(), 'work', 'archive.load', 'null', convert_to(repeat('x', 70000), 'UTF8'),
                 jsonb_build_object('passereau-origin', $1::text, 'passereau-first-published-at', '2026-06-01T09:30:00Z'))",
    )
    .bind(origin)
    .execute(&bench.database.pool)
    .await
    .unwrap();
    let letter = letter_of(&bench, origin).await;
    assert_eq!((&letter.body, letter.queue.as_str()), (&None, "outbox"), "a list has no bodies");
    let whole = find_dead(&bench.database.pool, letter.id).await.unwrap().unwrap();
    assert_eq!(whole.body.map(|body| body.len()), Some(64 * 1024));
    assert!(
        whole.error.contains("of its 70000 bytes (SHA-256 ") && whole.error.ends_with("the first 65536 are kept"),
        "{}",
        whole.error
    );
    assert_eq!(letter.first_published_at.unwrap().to_rfc3339(), "2026-06-01T09:30:00+00:00");
    bench.finish().await;
}
