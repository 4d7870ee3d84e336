//! Schedules that are due.

use chrono::{DateTime, Utc};
use passereau_calendar::Recurrence;
use passereau_database::outbox::enqueue;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{ScheduleError, Subject, message, table::Schedule};

/// What became of a schedule that was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fired {
    /// Its message stands in the outbox.
    Sent {
        /// Its name.
        name: String,
        /// When it was due.
        due_at: DateTime<Utc>,
        /// The `message_id`.
        message_id: Uuid,
        /// When it is due again.
        next_at: DateTime<Utc>,
    },
    /// It cannot be read and is suspended.
    Suspended {
        /// Its name.
        name: String,
        /// Why, and what to do.
        because: String,
    },
}

#[derive(FromRow)]
struct Due {
    name: String,
    expression: String,
    time_zone: String,
    request: Option<Value>,
    anchor_at: DateTime<Utc>,
    next_at: DateTime<Utc>,
}

/// Fires everything that is due at a moment and that no other scheduler has in hand, each in a transaction of its own.
///
/// # Errors
/// Those of PostgreSQL; what has fired by then has fired.
pub async fn fire_due(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<Fired>, sqlx::Error> {
    let mut all = Vec::new();
    loop {
        let mut tx = pool.begin().await?;
        let Some(fired) = fire_next(&mut tx, now).await? else { return Ok(all) };
        tx.commit().await?;
        match &fired {
            Fired::Sent { name, due_at, message_id, next_at } => {
                tracing::info!(schedule = name, %due_at, %message_id, %next_at, "schedule fired");
            }
            Fired::Suspended { name, because } => tracing::error!(schedule = name, because, "schedule suspended"),
        }
        all.push(fired);
    }
}

/// Fires the schedule that has been due for longest, in the caller's transaction; none when nothing is due. Rows that another transaction has
/// locked are passed over, and one that fires does so for the last time before `next_at`, however late it is.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn fire_next(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Option<Fired>, sqlx::Error> {
    let due: Option<Due> = sqlx::query_as(
        "SELECT name, expression, time_zone, request, anchor_at, next_at FROM passereau.schedule
         WHERE suspended_at IS NULL AND next_at <= $1 ORDER BY next_at, name LIMIT 1 FOR UPDATE SKIP LOCKED",
    )
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(due) = due else { return Ok(None) };
    let (row, next_at) = match prepared(&due, now) {
        Ok(prepared) => prepared,
        Err(error) => return suspend(connection, due.name, error.to_string(), now).await.map(Some),
    };
    let message_id = row.id;
    // It stands there when somebody has set the schedule back to a moment that it fired at: once is enough.
    let is_there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM passereau.outbox WHERE id = $1)")
        .bind(message_id)
        .fetch_one(&mut *connection)
        .await?;
    if !is_there {
        enqueue(connection, &[row]).await?;
    }
    sqlx::query("UPDATE passereau.schedule SET next_at = $2, last_fired_at = $3 WHERE name = $1")
        .bind(&due.name)
        .bind(next_at)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(Some(Fired::Sent { name: due.name, due_at: due.next_at, message_id, next_at }))
}

/// The message of a row and when the row is due again.
fn prepared(
    due: &Due,
    now: DateTime<Utc>,
) -> Result<(passereau_database::outbox::OutboxRow, DateTime<Utc>), ScheduleError> {
    let subject: Subject = due.name.parse()?;
    let next_at = next_after(&subject, &due.expression, &due.time_zone, due.anchor_at, now)?;
    let row = message::message(&subject, due.request.as_ref(), message::id(&subject, due.next_at))?;
    Ok((row, next_at))
}

/// Whether a schedule could be fired, as far as its row alone tells. Who cannot is suspended once it is due.
pub(crate) fn can_fire(schedule: &Schedule, now: DateTime<Utc>) -> bool {
    let Schedule { name, expression, time_zone, request, anchor_at, next_at, .. } = schedule.clone();
    prepared(&Due { name, expression, time_zone, request, anchor_at, next_at }, now).is_ok()
}

/// When a schedule comes next.
pub(crate) fn next_after(
    subject: &Subject,
    expression: &str,
    time_zone: &str,
    anchor: DateTime<Utc>,
    moment: DateTime<Utc>,
) -> Result<DateTime<Utc>, ScheduleError> {
    let recurrence = Recurrence::parse(expression, time_zone, anchor).map_err(ScheduleError::recurrence(subject))?;
    recurrence.next_after(moment).ok_or_else(|| ScheduleError::Over(subject.clone()))
}

async fn suspend(
    connection: &mut PgConnection,
    name: String,
    because: String,
    now: DateTime<Utc>,
) -> Result<Fired, sqlx::Error> {
    sqlx::query("UPDATE passereau.schedule SET suspended_at = $2, suspended_because = $3 WHERE name = $1")
        .bind(&name)
        .bind(now)
        .bind(&because)
        .execute(connection)
        .await?;
    Ok(Fired::Suspended { name, because })
}

/// The time of the fleet: PostgreSQL's.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn now(pool: &PgPool) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await
}
