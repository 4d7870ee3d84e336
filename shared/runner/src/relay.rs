//! The relay: publishes what is due in the outbox.
//!
//! Every process relays, for all. Rows are taken with `SKIP LOCKED`, so that relays never wait for each other, and leave the outbox
//! once the broker has confirmed them, work for `passereau.sent`; both in one short transaction. A relay that dies in between leaves the rows,
//! and they are published again under the same `message_id`, which the inbox of the receiver knows. The relay is woken by
//! `NOTIFY`, by the due date of the next row, and by a timer in case a notification was lost.
//!
//! Events go beside work, in rounds of their own: RabbitMQ confirms an event when the queue of every listener has it, so that one broken
//! or full queue of a stranger leaves it unconfirmed. That must hold up no work, and the other listeners get the event again with each
//! attempt; so the attempts become rarer. Nothing is given up: a queue that is mended gets what it missed.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use passereau_broker::{Exchange, Outgoing, PublishError, Publisher};
use sqlx::{FromRow, PgPool, postgres::PgListener, types::Json};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use uuid::Uuid;

use passereau_contracts::{ATTEMPT_HEADER, ORIGIN_HEADER};
use passereau_telemetry::{DeadLetterReason, Light, Metrics, spans};

use crate::{
    dead,
    fault::{self, Boundary, Disorder},
    subject::subject,
};

/// Rows published at once.
const BATCH: i64 = 200;
/// Longest sleep: a lost notification delays a message by this much.
const IDLE: Duration = Duration::from_secs(5);
/// Without a connection for notifications, the outbox is looked at this often.
const DEAF: Duration = Duration::from_secs(1);
/// What could not be published waits this long.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest time between two attempts at an event that some listener's queue does not take.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// How long the statements of one round may take before PostgreSQL counts as away.
const STATEMENTS: Duration = Duration::from_secs(30);

#[derive(FromRow)]
struct Due {
    id: Uuid,
    exchange: String,
    routing_key: String,
    version: i32,
    body: serde_json::Value,
    raw: Option<Vec<u8>>,
    headers: Json<BTreeMap<String, String>>,
    harvest_id: Option<Uuid>,
    attempt: i32,
}

impl Due {
    fn into_outgoing(self) -> Outgoing {
        let work = self.exchange == "work";
        let mut headers = self.headers.0;
        headers.insert(ATTEMPT_HEADER.to_owned(), self.attempt.to_string());
        Outgoing {
            message_id: self.id,
            exchange: if work { Exchange::Work } else { Exchange::Events },
            kind: self.routing_key.clone(),
            routing_key: self.routing_key,
            version: u16::try_from(self.version).unwrap_or(0),
            correlation_id: self.harvest_id,
            headers,
            body: self.raw.unwrap_or_else(|| self.body.to_string().into_bytes()),
            // Work that no queue takes must be noticed; nobody needs to listen to events.
            mandatory: work,
        }
    }
}

/// Relays until it is told to stop, then once more, so that what a drained worker wrote leaves with it.
/// Knows first when PostgreSQL is away, and says so in readiness.
pub(crate) async fn run(
    pool: PgPool,
    publisher: Publisher,
    metrics: Metrics,
    postgres: Light,
    stop: CancellationToken,
    confirm_timeout: Duration,
) {
    let patience = STATEMENTS + confirm_timeout;
    let look = Notify::new();
    tokio::join!(
        relay_work(&pool, &publisher, &metrics, &postgres, &stop, patience, &look),
        relay_events(&pool, &publisher, &metrics, &stop, patience, &look),
    );
}

/// Each round of events begins with one of work: that one hears notifications.
async fn relay_events(
    pool: &PgPool,
    publisher: &Publisher,
    metrics: &Metrics,
    stop: &CancellationToken,
    patience: Duration,
    look: &Notify,
) {
    loop {
        let stopping = stop.is_cancelled();
        let full = within(patience, relay_once(pool, publisher, metrics, Exchange::Events)).await;
        if stopping {
            return;
        }
        if matches!(full, Ok(true)) {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = look.notified() => {}
        }
    }
}

async fn relay_work(
    pool: &PgPool,
    publisher: &Publisher,
    metrics: &Metrics,
    postgres: &Light,
    stop: &CancellationToken,
    patience: Duration,
    look: &Notify,
) {
    let mut listener: Option<PgListener> = None;
    loop {
        let stopping = stop.is_cancelled();
        look.notify_one();
        let full = match within(patience, relay_once(pool, publisher, metrics, Exchange::Work)).await {
            Ok(full) => full,
            Err(error) => {
                tracing::warn!(%error, "the outbox could not be relayed");
                false
            }
        };
        if stopping {
            return;
        }
        if full {
            continue;
        }
        let state = within(STATEMENTS, outbox(pool)).await;
        let sleep = until_next(state, metrics, postgres);
        if listener.is_none() {
            listener = listen(pool).await;
        }
        let Some(ears) = listener.as_mut() else {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(sleep.min(DEAF)) => {}
            }
            continue;
        };
        let heard = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(sleep) => true,
            notification = ears.recv() => notification.is_ok(),
        };
        if !heard {
            listener = None;
        }
    }
}

async fn listen(pool: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen("passereau_outbox").await.ok()?;
    Some(listener)
}

/// A server that is frozen or cut off answers nothing, for as long as the socket lives: after a while that counts as its absence.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let words = format!("no answer within {} s", limit.as_secs());
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, words)))
    })
}

/// How many rows are due, for how many seconds the oldest one, in how many seconds the next one.
type Waiting = (i64, Option<f64>, Option<f64>);

async fn outbox(pool: &PgPool) -> Result<Waiting, sqlx::Error> {
    sqlx::query_as(
        "SELECT count(*) FILTER (WHERE due_at <= now()),
                extract(epoch FROM now() - min(due_at) FILTER (WHERE due_at <= now()))::float8,
                extract(epoch FROM min(due_at) FILTER (WHERE due_at > now() AND due_at < 'infinity') - now())::float8
         FROM passereau.outbox",
    )
    .fetch_one(pool)
    .await
}

/// How long until a row is due, and the state of the outbox for metrics.
fn until_next(state: Result<Waiting, sqlx::Error>, metrics: &Metrics, postgres: &Light) -> Duration {
    match state {
        Ok((due, oldest, next)) => {
            metrics.postgres_connected(true);
            postgres.green();
            metrics.outbox_waiting(due.unsigned_abs(), Duration::from_secs_f64(oldest.unwrap_or(0.0).max(0.0)));
            next.map_or(IDLE, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, IDLE.as_secs_f64())))
        }
        Err(error) => {
            if crate::outcome::is_database_absent(&error) {
                metrics.postgres_connected(false);
            }
            postgres.red(format!("PostgreSQL does not answer: {error}"));
            Duration::from_secs(1)
        }
    }
}

/// The span of a message that is published, in the trace of whoever wrote it; the message carries it.
fn span_of(publisher: &Publisher, message: &mut Outgoing) -> Span {
    let origin = message.headers.get(ORIGIN_HEADER).and_then(|text| text.parse().ok()).unwrap_or(message.message_id);
    let subject = subject(&message.kind, Some(origin), message.correlation_id, &message.body);
    let exchange = publisher.exchange_name(message.exchange);
    let published = spans::Published {
        exchange: &exchange,
        kind: &message.kind,
        message_id: message.message_id,
        body_bytes: message.body.len(),
    };
    spans::publish(&published, &subject, &mut message.headers)
}

/// Publishes one batch for one exchange; `true` when there may be more.
async fn relay_once(
    pool: &PgPool,
    publisher: &Publisher,
    metrics: &Metrics,
    exchange: Exchange,
) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let due: Vec<Due> = sqlx::query_as(
        "SELECT id, exchange, routing_key, version, body, raw, headers, harvest_id, attempt
         FROM passereau.outbox WHERE due_at <= now() AND exchange = $2 ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED",
    )
    .bind(BATCH)
    .bind(if exchange == Exchange::Work { "work" } else { "events" })
    .fetch_all(&mut *tx)
    .await?;
    if due.is_empty() {
        return Ok(false);
    }
    let full = due.len() as i64 == BATCH;
    let (mut sent, mut held, mut unconfirmed, mut unsendable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut batch: Vec<Outgoing> = due.into_iter().map(Due::into_outgoing).collect();
    let spans: HashMap<Uuid, Span> =
        batch.iter_mut().map(|message| (message.message_id, span_of(publisher, message))).collect();
    match fault::disorder() {
        Some(Disorder::Twice) => drop(publisher.publish(batch.clone()).await),
        Some(Disorder::Shuffled) => batch.sort_by_key(|message| message.message_id.as_bytes()[15]),
        None => {}
    }
    let answers = publisher.publish(batch.clone()).await;
    if answers.iter().any(|(_, answer)| answer.is_ok()) {
        batch.iter().for_each(|message| fault::reached(Boundary::Confirmed, &message.kind));
    }
    for (message, (id, result)) in batch.into_iter().zip(answers) {
        if let (Some(span), Err(error)) = (spans.get(&id), &result) {
            spans::failed_with(span, Some(error.kind()));
        }
        match result {
            Ok(()) => sent.push(id),
            Err(error) if !error.is_transient() && message.exchange == Exchange::Events => {
                // Nobody needs to listen: no failure of its harvest, and no letter, which could not be replayed.
                tracing::warn!(message_id = %id, kind = message.kind, %error, "the event cannot be sent, it is left out");
                unsendable.push(id);
            }
            Err(error) if !error.is_transient() => {
                dead::bury_unsendable(&mut tx, message, &error.to_string()).await?;
                metrics.dead_letter("unknown", DeadLetterReason::Rejected, &error.to_string());
                unsendable.push(id);
            }
            Err(error @ PublishError::Unknown { .. }) if message.exchange == Exchange::Events => {
                tracing::warn!(message_id = %id, kind = message.kind, %error, "the queue of some listener does not take the event, once more later");
                unconfirmed.push(id);
            }
            Err(error) => {
                tracing::warn!(message_id = %id, %error, "message stays in the outbox");
                held.push(id);
            }
        }
    }
    sqlx::query("DELETE FROM passereau.outbox WHERE id = ANY($1)").bind(&unsendable).execute(&mut *tx).await?;
    // Work stays known until it is handled (lost.rs).
    sqlx::query(
        "WITH confirmed AS (DELETE FROM passereau.outbox WHERE id = ANY($1) RETURNING *)
         INSERT INTO passereau.sent (id, routing_key, version, body, raw, headers, harvest_id, attempt)
         SELECT id, routing_key, version, body, raw, headers, harvest_id, attempt FROM confirmed WHERE exchange = 'work'
         ON CONFLICT (id) DO UPDATE SET sent_at = now()",
    )
    .bind(&sent)
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE passereau.outbox SET due_at = now() + make_interval(secs => $2) WHERE id = ANY($1)")
        .bind(&held)
        .bind(PAUSE.as_secs_f64())
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE passereau.outbox
         SET due_at = now() + make_interval(secs => least($3, $2 * 2.0 ^ least(attempt, 30))), attempt = attempt + 1
         WHERE id = ANY($1)",
    )
    .bind(&unconfirmed)
    .bind(PAUSE.as_secs_f64())
    .bind(LONGEST_PAUSE.as_secs_f64())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    metrics.outbox_relayed(sent.len() as u64, (held.len() + unconfirmed.len()) as u64);
    Ok(full && held.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_turns_readiness_red_and_is_asked_again() {
        let health = passereau_telemetry::Health::new();
        let postgres = health.light("postgres", "not asked yet");
        postgres.green();
        let state = within(STATEMENTS, std::future::pending()).await;
        let sleep = until_next(state, &Metrics::new("test"), &postgres);
        assert!(sleep <= Duration::from_secs(1), "{sleep:?}");
        let reason = &health.ready().checks["postgres"];
        assert!(reason.contains("no answer within 30 s"), "{reason}");
    }
}
