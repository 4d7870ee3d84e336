//! One delivery, from its decoding to the commit of its outcome.

use std::{panic::AssertUnwindSafe, time::Duration};

use chrono::{TimeDelta, Utc};
use futures_util::FutureExt;
use passereau_broker::Incoming;
use passereau_contracts::{DecodeError, Task};
use passereau_database::outbox::{Exchange, OutboxRow, enqueue, park, postpone};
use passereau_telemetry::{DeadLetterReason, MessageOutcome, Metrics, spans};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::{
    Context, Done, Outcome, RetryConfig, Stop, Worker,
    dead::{self, Death},
    envelope::{Envelope, storable},
    fault::{self, Boundary},
    inbox,
    outcome::passes,
};

/// A delivery is held for five minutes at most.
const HELD_AT_MOST: Duration = Duration::from_secs(300);
/// Handlers are asked to be back a minute earlier.
const PAUSE_AFTER: Duration = Duration::from_secs(240);
/// While PostgreSQL is away a delivery waits in hand, but well below RabbitMQ's consumer timeout of 30 minutes.
pub(crate) const WAIT_FOR_DATABASE: Duration = Duration::from_secs(20 * 60);

/// How long a delivery waits at least before it is handled again, and between two looks at PostgreSQL.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// What the least wait grows to while PostgreSQL seems to be back and takes no outcome.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What deliveries of one worker share.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// The worker's queue, with the fleet's prefix.
    pub queue: String,
    pub pool: PgPool,
    pub metrics: Metrics,
    pub retry: RetryConfig,
    pub shutdown: CancellationToken,
    /// Cancelled when a part of the process has ended that must not: the process ends then.
    pub defect: CancellationToken,
}

/// What the broker is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// The database knows the outcome.
    Acknowledge,
    /// Nothing was done: PostgreSQL stayed away, or the process ends.
    HandBack,
}

/// Handles one delivery. Never fails: whatever happens is an outcome in the database, or the message goes back.
pub(crate) async fn deliver<W: Worker>(worker: &W, surroundings: &Surroundings, incoming: &Incoming) -> Settlement {
    let envelope = Envelope::new(incoming, Utc::now());
    let span = process_span(W::NAME, &surroundings.queue, incoming, &envelope);
    deliver_in_span(worker, surroundings, envelope).instrument(span).await
}

/// The span of one handling.
pub(crate) fn process_span(worker: &'static str, queue: &str, incoming: &Incoming, envelope: &Envelope) -> Span {
    let handled = spans::Handled {
        worker,
        queue,
        exchange: &incoming.exchange,
        kind: &envelope.kind,
        message_id: envelope.message_id,
        attempt: envelope.attempt,
        body_bytes: envelope.body.len(),
        headers: &envelope.headers,
    };
    spans::process(&handled, &envelope.subject())
}

/// Says in the metrics and in the span how the handling ended.
fn handled(surroundings: &Surroundings, kind: &'static str, outcome: MessageOutcome, started: Instant) {
    surroundings.metrics.message_handled(kind, outcome, started.elapsed());
    let failed = matches!(outcome, MessageOutcome::Retried | MessageOutcome::Rejected | MessageOutcome::Returned);
    spans::ended(&Span::current(), outcome.as_str(), failed.then(|| outcome.as_str()));
}

async fn deliver_in_span<W: Worker>(worker: &W, surroundings: &Surroundings, mut envelope: Envelope) -> Settlement {
    let _in_work = surroundings.metrics.message_started();
    let started = Instant::now();
    let gone_after = started + WAIT_FOR_DATABASE;
    let mut pause = FIRST_PAUSE;
    loop {
        let settled = match attempt(worker, surroundings, &mut envelope).await {
            // The outcome cannot be written as it is: the message is written down as a dead letter instead, and no
            // outside work is done again.
            Err(Trouble::Refused(reason)) => refuse::<W>(surroundings, &envelope, &reason).await,
            settled => settled,
        };
        match settled {
            Ok((kind, outcome)) => {
                handled(surroundings, kind, outcome, started);
                return Settlement::Acknowledge;
            }
            Err(trouble) => {
                surroundings.metrics.postgres_connected(false);
                tracing::warn!(reason = trouble.reason(), "postgresql takes no outcome, the delivery waits for it");
                if !database_is_back(surroundings, pause, gone_after).await {
                    handled(surroundings, "unknown", MessageOutcome::Returned, started);
                    return Settlement::HandBack;
                }
                surroundings.metrics.postgres_connected(true);
                // What answers and then refuses again must not have the handler's outside work done again each second.
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Why an outcome could not be written.
enum Trouble {
    /// PostgreSQL is away, or refuses for a reason that passes.
    Absent(String),
    /// PostgreSQL answers, and refuses the statement.
    Refused(String),
}

impl Trouble {
    fn reason(&self) -> &str {
        match self {
            Self::Absent(reason) | Self::Refused(reason) => reason,
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        if passes(&error) { Self::Absent(error.to_string()) } else { Self::Refused(error.to_string()) }
    }
}

/// Waits for a while at least, and until PostgreSQL would write; `false` when the process ends first or the delivery was held for
/// too long.
async fn database_is_back(surroundings: &Surroundings, pause: Duration, until: Instant) -> bool {
    let mut timer = tokio::time::interval_at(Instant::now() + pause, FIRST_PAUSE);
    loop {
        tokio::select! {
            biased;
            () = surroundings.shutdown.cancelled() => return false,
            () = tokio::time::sleep_until(until) => return false,
            _ = timer.tick() => {}
        }
        // Touches no row, and yet a server that only reads refuses it.
        if sqlx::query("UPDATE passereau.claim SET token = token WHERE false").execute(&surroundings.pool).await.is_ok()
        {
            return true;
        }
    }
}

/// The kind for metrics: ours, or `unknown`, never a stranger's text.
fn known_kind(kind: &str) -> &'static str {
    passereau_contracts::WORKERS
        .iter()
        .flat_map(|worker| worker.kinds)
        .copied()
        .find(|known| *known == kind)
        .unwrap_or("unknown")
}

fn context<W: Worker>(surroundings: &Surroundings, envelope: &Envelope) -> Context {
    Context {
        pool: surroundings.pool.clone(),
        metrics: surroundings.metrics.clone(),
        consumer: W::NAME,
        message_id: envelope.message_id,
        origin: envelope.origin,
        has_own_id: envelope.has_own_id,
        attempt: envelope.attempt,
        harvest_id: envelope.harvest_id,
        shutdown: surroundings.shutdown.clone(),
        deadline: Instant::now() + PAUSE_AFTER,
    }
}

async fn refuse<W: Worker>(surroundings: &Surroundings, envelope: &Envelope, reason: &str) -> Handled {
    let error = format!("the outcome could not be written: {reason}");
    let outcome = give_up(&context::<W>(surroundings, envelope), envelope, DeadLetterReason::Rejected, &error).await?;
    Ok((known_kind(&envelope.kind), outcome))
}

/// The kind for metrics, and how the handling ended.
type Handled = Result<(&'static str, MessageOutcome), Trouble>;

async fn attempt<W: Worker>(worker: &W, surroundings: &Surroundings, envelope: &mut Envelope) -> Handled {
    let kind = known_kind(&envelope.kind);
    let mut context = context::<W>(surroundings, envelope);
    let task = match W::Task::decode(&envelope.kind, envelope.version, &envelope.body) {
        Ok(task) => task,
        Err(error) => {
            let reason = match error {
                DecodeError::UnknownKind { .. } => DeadLetterReason::UnknownKind,
                DecodeError::UnknownVersion { .. } => DeadLetterReason::UnknownVersion,
                DecodeError::Malformed { .. } => DeadLetterReason::Malformed,
            };
            meet::<W>(&context, envelope).await?;
            return Ok((kind, give_up(&context, envelope, reason, &error.to_string()).await?));
        }
    };
    // What the body says counts, whatever the correlation id is.
    envelope.harvest_id = task.harvest_id();
    context.harvest_id = envelope.harvest_id;
    let met = meet::<W>(&context, envelope).await?;
    if met.known {
        return Ok((kind, MessageOutcome::Duplicate));
    }
    if met.paused
        && let Some(outcome) = put_aside(&context, envelope).await?
    {
        return Ok((kind, outcome));
    }
    fault::reached(Boundary::Before, kind);
    let handled = timeout(HELD_AT_MOST, AssertUnwindSafe(worker.handle(&context, task)).catch_unwind()).await;
    let outcome: Outcome = match handled {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(Stop::retry(format!("the handler panicked: {}", panic_text(&*panic)))),
        Err(_) => Err(Stop::retry(format!("the handler did not come back within {} s", HELD_AT_MOST.as_secs()))),
    };
    fault::hold(kind).await;
    fault::reached(Boundary::Worked, kind);
    let settled = match outcome {
        Ok(done) => finish(&context, envelope, done).await,
        Err(stop) => stop_with(worker, surroundings, &context, envelope, stop).await,
    };
    let outcome = settled?;
    fault::reached(Boundary::Committed, kind);
    fault::reached_published(&context.pool, kind, context.harvest_id).await;
    Ok((kind, outcome))
}

/// Nothing has been done yet, so there is no outcome that PostgreSQL could refuse: whatever it says, the delivery waits.
async fn meet<W: Worker>(context: &Context, envelope: &mut Envelope) -> Result<inbox::Met, Trouble> {
    let met = inbox::meet(&context.pool, W::NAME, envelope.message_id, envelope.harvest_id).await;
    let met = met.map_err(|error| Trouble::Absent(error.to_string()))?;
    if !met.ours {
        envelope.mark_foreign();
    }
    Ok(met)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Opens the inbox transaction, or says that there is nothing to do.
async fn begin(context: &Context) -> Result<Option<Transaction<'static, Postgres>>, Trouble> {
    // What it may say instead of a transaction: handled before, or cancelled.
    Ok(context.open().await?.ok())
}

/// Parks the message of a paused harvest, at no cost, until somebody resumes it; `None` when somebody has meanwhile.
async fn put_aside(context: &Context, envelope: &Envelope) -> Result<Option<MessageOutcome>, Trouble> {
    let Some(harvest_id) = envelope.harvest_id else { return Ok(None) };
    let Some(mut tx) = begin(context).await? else { return Ok(Some(MessageOutcome::Duplicate)) };
    if !passereau_harvest::stays_paused(&mut tx, harvest_id).await? {
        return Ok(None);
    }
    tracing::info!("the harvest is paused, the message waits for `passereau harvest resume`");
    park(&mut tx, again(envelope, envelope.attempt, Duration::ZERO, None)?).await?;
    tx.commit().await?;
    Ok(Some(MessageOutcome::Snoozed))
}

async fn finish(context: &Context, envelope: &Envelope, done: Done) -> Result<MessageOutcome, Trouble> {
    let mut tx = match done.tx {
        Some(tx) => tx,
        None => match begin(context).await? {
            Some(tx) => tx,
            None => return Ok(MessageOutcome::Duplicate),
        },
    };
    let mut rows: Vec<OutboxRow> = Vec::with_capacity(done.next.len() + 1);
    for next in done.next {
        let harvest_id = harvest_of(&next.body).or(envelope.harvest_id);
        rows.push(OutboxRow::new(Exchange::Work, next.kind, next.version, next.body, harvest_id));
    }
    let outcome = match &done.again {
        Some((after, because)) => {
            tracing::debug!(after_ms = after.as_millis(), because, "comes again");
            // Something was done: what failed before it does not count against what comes after.
            rows.push(again(envelope, 0, *after, None)?);
            MessageOutcome::Snoozed
        }
        None => MessageOutcome::Done,
    };
    enqueue(&mut tx, &rows).await?;
    // An error here leaves open whether the commit happened; the next attempt asks the inbox.
    tx.commit().await?;
    done.told.into_iter().for_each(|tell| tell(&context.metrics));
    Ok(outcome)
}

/// The harvest that a message of ours names.
fn harvest_of(body: &serde_json::Value) -> Option<Uuid> {
    body.get("harvest_id")?.as_str()?.parse().ok()
}

fn again(envelope: &Envelope, attempt: i32, after: Duration, error: Option<&str>) -> Result<OutboxRow, Trouble> {
    let after = TimeDelta::from_std(after).unwrap_or(TimeDelta::MAX);
    let due_at = Utc::now().checked_add_signed(after).unwrap_or(chrono::DateTime::<Utc>::MAX_UTC);
    // The body was decoded as JSON before it came here.
    envelope.again(attempt, due_at, error).map_err(|error| Trouble::Refused(error.to_string()))
}

async fn stop_with<W: Worker>(
    worker: &W,
    surroundings: &Surroundings,
    context: &Context,
    envelope: &Envelope,
    stop: Stop,
) -> Result<MessageOutcome, Trouble> {
    let (row, outcome) = match stop {
        Stop::Duplicate | Stop::Cancelled => return Ok(MessageOutcome::Duplicate),
        Stop::DatabaseAbsent(reason) => return Err(Trouble::Absent(reason)),
        Stop::Reject { reason } => return give_up(context, envelope, DeadLetterReason::Rejected, &reason).await,
        Stop::Busy { after, because } => {
            tracing::debug!(after_ms = after.as_millis(), because, "another copy is at it, looks again");
            let row = OutboxRow { id: envelope.message_id, ..again(envelope, envelope.attempt, after, None)? };
            postpone(&context.pool, row).await?;
            return Ok(MessageOutcome::Snoozed);
        }
        Stop::Snooze { after, because } => {
            tracing::debug!(after_ms = after.as_millis(), because, "comes again");
            (again(envelope, envelope.attempt, after, None)?, MessageOutcome::Snoozed)
        }
        Stop::Retry { .. } if surroundings.shutdown.is_cancelled() => {
            // What fails while the process ends may have failed because of it: costs nothing.
            (again(envelope, envelope.attempt, Duration::ZERO, None)?, MessageOutcome::Snoozed)
        }
        Stop::Retry { error, after } => {
            let attempt = envelope.attempt.saturating_add(1);
            if attempt >= worker.max_attempts() {
                return give_up(context, envelope, DeadLetterReason::AttemptsExhausted, &error).await;
            }
            let delay = surroundings.retry.delay(attempt, after);
            tracing::warn!(attempt, delay_ms = delay.as_millis(), error, "handling failed, comes again");
            (again(envelope, attempt, delay, Some(&error))?, MessageOutcome::Retried)
        }
    };
    let Some(mut tx) = begin(context).await? else { return Ok(MessageOutcome::Duplicate) };
    enqueue(&mut tx, &[row]).await?;
    tx.commit().await?;
    Ok(outcome)
}

/// Makes a dead letter of the message, and its harvest has failed if the message is ours.
async fn give_up(
    context: &Context,
    envelope: &Envelope,
    reason: DeadLetterReason,
    error: &str,
) -> Result<MessageOutcome, Trouble> {
    let Some(mut tx) = begin(context).await? else { return Ok(MessageOutcome::Duplicate) };
    dead::bury(&mut tx, context.consumer, envelope, &Death { reason, error }).await?;
    if let Some(harvest_id) = envelope.fails() {
        passereau_harvest::fail(&mut tx, harvest_id, &storable(&format!("{}: {error}", envelope.kind))).await?;
    }
    tx.commit().await?;
    context.metrics.dead_letter(known_kind(&envelope.kind), reason, error);
    Ok(MessageOutcome::Rejected)
}
