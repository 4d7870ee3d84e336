//! Dead letters as they are looked at and given up.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use passereau_telemetry::DeadLetterReason;
use sqlx::{FromRow, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

/// A row of `passereau.dead_letter`.
#[derive(Clone, Debug, FromRow)]
pub struct DeadLetter {
    /// Its id, which `replay` takes.
    pub id: Uuid,
    /// The message's first `message_id`: the same at each of its deaths.
    pub message_id: Option<Uuid>,
    /// Where it died.
    pub queue: String,
    /// Its kind.
    pub kind: Option<String>,
    /// Version of its body.
    pub version: Option<i32>,
    /// Its body as it came, 64 KiB of it at most; `None` in lists.
    pub body: Option<Vec<u8>>,
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
    /// When the message was first published, as far as that is known.
    pub first_published_at: Option<DateTime<Utc>>,
    /// When it died.
    pub died_at: DateTime<Utc>,
    /// `waiting`, `replayed` or `dropped`.
    pub state: String,
    /// When it was replayed or dropped.
    pub settled_at: Option<DateTime<Utc>>,
}

/// The start of a question for whole letters.
pub(crate) const COLUMNS: &str =
    "SELECT id, message_id, queue, kind, version, body, headers, harvest_id, reason, error, attempts, first_published_at,
            died_at, state, settled_at
     FROM passereau.dead_letter";

/// The same without bodies: a list may be long.
const HEADS: &str =
    "SELECT id, message_id, queue, kind, version, NULL::bytea AS body, headers, harvest_id, reason, error, attempts,
            first_published_at, died_at, state, settled_at
     FROM passereau.dead_letter";

/// Which dead letters; without anything, all that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this kind, ours or not.
    pub kind: Option<String>,
    /// About this harvest, or the request of this id that became none.
    pub harvest: Option<Uuid>,
    /// Given up for this reason.
    pub reason: Option<DeadLetterReason>,
    /// Also those that were replayed or dropped.
    pub settled: bool,
}

const MATCHES: &str =
    "WHERE ($1::text IS NULL OR kind = $1) AND ($2::uuid IS NULL OR harvest_id = $2 OR message_id = $2)
                         AND ($3::text IS NULL OR reason = $3) AND ($4 OR state = 'waiting')";

/// The dead letters that match, oldest first, at most so many, without their bodies.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn list_dead(pool: &PgPool, filter: &DeadFilter, limit: i64) -> Result<Vec<DeadLetter>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{HEADS} {MATCHES} ORDER BY died_at, id LIMIT $5")))
        .bind(&filter.kind)
        .bind(filter.harvest)
        .bind(filter.reason.map(DeadLetterReason::as_str))
        .bind(filter.settled)
        .bind(limit)
        .fetch_all(pool)
        .await
}

/// How many match.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn count_dead(pool: &PgPool, filter: &DeadFilter) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM passereau.dead_letter {MATCHES}")))
        .bind(&filter.kind)
        .bind(filter.harvest)
        .bind(filter.reason.map(DeadLetterReason::as_str))
        .bind(filter.settled)
        .fetch_one(pool)
        .await
}

/// One dead letter.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn find_dead(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Option<DeadLetter>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"))).bind(id).fetch_optional(executor).await
}

/// Every death of the message that a letter holds, the first one first, without bodies: those that were replayed are its history.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn lives(executor: impl PgExecutor<'_>, letter: &DeadLetter) -> Result<Vec<DeadLetter>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{HEADS} WHERE message_id = $1 OR id = $2 ORDER BY died_at, id")))
        .bind(letter.message_id)
        .bind(letter.id)
        .fetch_all(executor)
        .await
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
