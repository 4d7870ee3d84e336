//! Rows of the outbox: messages that leave once the transaction that wrote them has committed.
//!
//! The row's id is the `message_id`. A row whose `due_at` lies ahead is a delay: nothing waits in RabbitMQ, so a delay is
//! exact, visible and can be cancelled. A row whose `due_at` is `infinity` is *parked*: its harvest is paused, and somebody
//! has to resume it. The relay that publishes due rows is part of the runner.
//!
//! A row carries the trace of whoever writes it, so that the handling of its message can be linked to it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use passereau_telemetry::trace_context;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// Which exchange a message leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Work for a worker; it must reach a queue.
    Work,
    /// News for whoever listens; nobody needs to.
    Events,
}

impl Exchange {
    /// The value of column `exchange`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Events => "events",
        }
    }
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// Becomes the `message_id`.
    pub id: Uuid,
    /// Where to.
    pub exchange: Exchange,
    /// The kind.
    pub routing_key: String,
    /// Version of the body.
    pub version: u16,
    /// The body.
    pub body: Value,
    /// The body of a message that is sent again exactly as it came; `body` is then null.
    pub raw: Option<Vec<u8>>,
    /// Trace context and history.
    pub headers: BTreeMap<String, String>,
    /// The harvest it is about.
    pub harvest_id: Option<Uuid>,
    /// Failed attempts so far.
    pub attempt: i32,
    /// Not before; `None` is at once.
    pub due_at: Option<DateTime<Utc>>,
}

impl OutboxRow {
    /// A message that was not sent before: under an id of its own, without headers, due at once. The trace is added when it is written.
    pub fn new(
        exchange: Exchange,
        kind: impl Into<String>,
        version: u16,
        body: Value,
        harvest_id: Option<Uuid>,
    ) -> Self {
        Self {
            id: Uuid::now_v7(),
            exchange,
            routing_key: kind.into(),
            version,
            body,
            raw: None,
            headers: BTreeMap::new(),
            harvest_id,
            attempt: 0,
            due_at: None,
        }
    }
}

/// Writes rows in the caller's transaction, in one statement.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn enqueue(connection: &mut PgConnection, rows: &[OutboxRow]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let headers: Vec<_> = rows.iter().map(|row| Json(traced(row.headers.clone()))).collect();
    sqlx::query(
        "INSERT INTO passereau.outbox
             (id, exchange, routing_key, version, body, raw, headers, harvest_id, attempt, due_at)
         SELECT id, exchange, routing_key, version, body, raw, headers, harvest_id, attempt, coalesce(due_at, now())
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::jsonb[], $6::jsonb[], $7::uuid[], $8::int[],
                     $9::timestamptz[], $10::bytea[])
              AS row(id, exchange, routing_key, version, body, headers, harvest_id, attempt, due_at, raw)",
    )
    .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.exchange.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.routing_key.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| i32::from(row.version)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.body.clone()).collect::<Vec<_>>())
    .bind(headers)
    .bind(rows.iter().map(|row| row.harvest_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.attempt).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.due_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.raw.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Headers with the trace of whoever writes the row, unless they bring one.
fn traced(mut headers: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if !headers.contains_key(trace_context::TRACEPARENT) {
        trace_context::inject(&mut headers);
    }
    headers
}

/// Puts a message that was published back among the rows, under its own id and for its `due_at`. Where the row still stands there, because the relay
/// that has published it has not committed, this waits for it: an insert that gave way would be lost with the relay's deletion.
/// For what may be handled by another copy meanwhile, whose handling is then what counts.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn postpone(pool: &PgPool, row: OutboxRow) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(
        "INSERT INTO passereau.outbox (id, exchange, routing_key, version, body, raw, headers, harvest_id, attempt, due_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, now()))
         ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at",
    )
    .bind(row.id)
    .bind(row.exchange.as_str())
    .bind(row.routing_key)
    .bind(i32::from(row.version))
    .bind(row.body)
    .bind(row.raw)
    .bind(Json(traced(row.headers)))
    .bind(row.harvest_id)
    .bind(row.attempt)
    .bind(row.due_at)
    .execute(&mut *tx)
    .await?;
    // After the relay's own note of it: what waits here is not lost at the broker.
    sqlx::query("DELETE FROM passereau.sent WHERE id = $1").bind(row.id).execute(&mut *tx).await?;
    tx.commit().await
}

/// Writes a row that is not due before somebody says so, in the caller's transaction.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn park(connection: &mut PgConnection, row: OutboxRow) -> Result<(), sqlx::Error> {
    let id = row.id;
    enqueue(connection, &[row]).await?;
    sqlx::query("UPDATE passereau.outbox SET due_at = 'infinity' WHERE id = $1").bind(id).execute(connection).await?;
    Ok(())
}

/// Makes the parked rows of a harvest due, in the caller's transaction; returns how many.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn unpark(connection: &mut PgConnection, harvest_id: Uuid) -> Result<u64, sqlx::Error> {
    let due = sqlx::query("UPDATE passereau.outbox SET due_at = now() WHERE harvest_id = $1 AND due_at = 'infinity'")
        .bind(harvest_id)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    // The trigger notifies of new rows only.
    sqlx::query("SELECT pg_notify('passereau_outbox', '')").execute(connection).await?;
    Ok(due)
}
