//! Dead letters: messages that gave up, as rows, until somebody replays or drops them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use passereau_broker::{Incoming, Outgoing};
use passereau_contracts::{
    ATTEMPT_HEADER as ATTEMPT, FIRST_PUBLISHED_AT_HEADER as FIRST_PUBLISHED_AT, ORIGIN_HEADER as ORIGIN, WORKERS,
};
use passereau_database::outbox::{Exchange, OutboxRow, enqueue};
use passereau_harvest::{Revived, revive};
use passereau_telemetry::DeadLetterReason;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::envelope::{Envelope, storable};

/// Why a message gave up.
pub(crate) struct Death<'a> {
    pub reason: DeadLetterReason,
    pub error: &'a str,
}

/// Writes the dead letter of a message, in the caller's transaction.
pub(crate) async fn bury(
    connection: &mut PgConnection,
    queue: &str,
    envelope: &Envelope,
    death: &Death<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO passereau.dead_letter
             (id, message_id, queue, kind, version, body, headers, harvest_id, reason, error, attempts, first_published_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(Uuid::now_v7())
    .bind(envelope.origin)
    .bind(queue)
    .bind(&envelope.kind)
    .bind(i32::from(envelope.version))
    .bind(&envelope.body)
    .bind(Json(&envelope.headers))
    .bind(envelope.harvest_id)
    .bind(death.reason.as_str())
    .bind(storable(death.error))
    .bind(envelope.attempt)
    .bind(envelope.first_published_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes a dead letter of a message of the outbox that no broker would take, and its harvest has failed.
pub(crate) async fn bury_unsendable(
    connection: &mut PgConnection,
    message: Outgoing,
    error: &str,
) -> Result<(), sqlx::Error> {
    let envelope = Envelope {
        message_id: message.message_id,
        has_own_id: true,
        kind: message.kind,
        version: message.version,
        attempt: 0,
        origin: message.message_id,
        first_published_at: Utc::now(),
        harvest_id: message.correlation_id,
        headers: message.headers,
        body: message.body,
    };
    let error = format!("the message cannot be sent: {error}");
    bury(&mut *connection, "outbox", &envelope, &Death { reason: DeadLetterReason::Rejected, error: &error }).await?;
    if let Some(harvest_id) = envelope.harvest_id {
        passereau_harvest::fail(connection, harvest_id, &format!("{}: {error}", envelope.kind)).await?;
    }
    Ok(())
}

/// Moves a message that the broker gave up into the table; once, however often it comes.
pub(crate) async fn adopt(pool: &PgPool, incoming: &Incoming) -> Result<(), sqlx::Error> {
    let envelope = Envelope::new(incoming, Utc::now());
    let worker = WORKERS.iter().find(|worker| worker.kinds.contains(&envelope.kind.as_str()));
    if let Some(worker) = worker
        && crate::inbox::knows(pool, worker.worker, envelope.message_id).await?
    {
        // The work was done, only its acknowledgement was lost too often.
        return Ok(());
    }
    let (queue, error) = match &incoming.death {
        Some(death) => (
            death.queue.clone(),
            format!("RabbitMQ gave the message up ({}); look into the worker's log, then replay", death.reason),
        ),
        None => ("passereau.dead".to_owned(), "the message came to the dead queue without a reason".to_owned()),
    };
    let mut tx = pool.begin().await?;
    if crate::inbox::claim(&mut tx, "dead", envelope.message_id).await? {
        let death = Death { reason: DeadLetterReason::ReturnedByBroker, error: &error };
        bury(&mut tx, &queue, &envelope, &death).await?;
        if let Some(harvest_id) = envelope.harvest_id {
            passereau_harvest::fail(&mut tx, harvest_id, &format!("{}: {error}", envelope.kind)).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// A row of `passereau.dead_letter`.
#[derive(Clone, Debug, FromRow)]
pub struct DeadLetter {
    /// Its id, which `replay` takes.
    pub id: Uuid,
    /// The message's first `message_id`.
    pub message_id: Option<Uuid>,
    /// Where it died.
    pub queue: String,
    /// Its kind.
    pub kind: Option<String>,
    /// Version of its body.
    pub version: Option<i32>,
    /// Its body, as it came.
    pub body: Vec<u8>,
    /// Its headers.
    pub headers: Json<BTreeMap<String, String>>,
    /// The harvest it was about.
    pub harvest_id: Option<Uuid>,
    /// Why, from a closed list.
    pub reason: String,
    /// Why, in words.
    pub error: String,
    /// Failed attempts before the last.
    pub attempts: i32,
    /// When it died.
    pub died_at: DateTime<Utc>,
    /// `waiting`, `replayed` or `dropped`.
    pub state: String,
}

const COLUMNS: &str = "SELECT id, message_id, queue, kind, version, body, headers, harvest_id, reason, error, attempts,
                              died_at, state
                       FROM passereau.dead_letter";

/// The dead letters that wait, oldest first.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn list_dead(pool: &PgPool) -> Result<Vec<DeadLetter>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE state = 'waiting' ORDER BY died_at")))
        .fetch_all(pool)
        .await
}

/// One dead letter.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn find_dead(pool: &PgPool, id: Uuid) -> Result<Option<DeadLetter>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"))).bind(id).fetch_optional(pool).await
}

/// Gives a dead letter up: it is never sent again, and what its harvest left behind may go. `false`: it does not wait (any more).
///
/// # Errors
/// Those of PostgreSQL.
pub async fn drop_dead(pool: &PgPool, id: Uuid) -> Result<bool, sqlx::Error> {
    let dropped = sqlx::query(
        "UPDATE passereau.dead_letter SET state = 'dropped', settled_at = now() WHERE id = $1 AND state = 'waiting'",
    )
    .bind(id)
    .execute(pool)
    .await?;
    Ok(dropped.rows_affected() == 1)
}

/// What became of a wish to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is on its way again; its harvest is alive again if it had failed for this message.
    Sent,
    /// There is no such dead letter, or it was replayed or dropped before.
    NotWaiting,
    /// Its body is no JSON: sending it again would change nothing.
    NotJson,
    /// Another harvest of the subscription is alive; replay when that one has ended.
    Busy(Uuid),
    /// A later harvest of the subscription is complete: going on with this one would put older data over newer.
    Superseded(Uuid),
}

/// Sends a dead letter again, with its identity and history and a fresh budget of attempts. A harvest that failed goes
/// back to the state in which the message finds it.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn replay_dead(pool: &PgPool, id: Uuid) -> Result<Replayed, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let letter: Option<DeadLetter> =
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1 AND state = 'waiting' FOR UPDATE")))
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(letter) = letter else { return Ok(Replayed::NotWaiting) };
    let Ok(body) = serde_json::from_slice::<Value>(&letter.body) else { return Ok(Replayed::NotJson) };
    let kind = letter.kind.unwrap_or_default();
    let mut rows = Vec::new();
    if let Some(harvest_id) = letter.harvest_id {
        match revive(&mut tx, harvest_id).await? {
            Revived::Busy(other) => return Ok(Replayed::Busy(other)),
            Revived::Superseded(newer) => return Ok(Replayed::Superseded(newer)),
            Revived::NotFailed => {}
            // The rest of its stage was taken back when it failed; the letter itself is sent below, with its history.
            Revived::Resumed(pending) => rows.extend(
                pending
                    .into_iter()
                    .filter(|pending| pending.kind != kind || pending.body != body)
                    .map(|pending| OutboxRow::new(Exchange::Work, pending.kind, 1, pending.body, Some(harvest_id))),
            ),
        }
    }
    let mut headers = letter.headers.0;
    headers.insert(ATTEMPT.to_owned(), "0".to_owned());
    if let Some(origin) = letter.message_id {
        headers.insert(ORIGIN.to_owned(), origin.to_string());
    }
    headers.entry(FIRST_PUBLISHED_AT.to_owned()).or_insert_with(|| letter.died_at.to_rfc3339());
    let version = letter.version.and_then(|version| u16::try_from(version).ok()).unwrap_or(1);
    rows.push(OutboxRow { headers, ..OutboxRow::new(Exchange::Work, kind, version, body, letter.harvest_id) });
    enqueue(&mut tx, &rows).await?;
    sqlx::query("UPDATE passereau.dead_letter SET state = 'replayed', settled_at = now() WHERE id = $1")
        .bind(id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Replayed::Sent)
}
