//! The schedules as an operator sees and changes them. Moments are given by the caller, as in [`crate::fire`].

use chrono::{DateTime, Utc};
use passereau_database::outbox::enqueue;
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{ScheduleError, Subject, fire::next_after, message};

/// A row.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize)]
pub struct Schedule {
    /// `flow:<name>`, `subscription:<name>` or `retention`.
    pub name: String,
    /// A period or five cron fields.
    pub expression: String,
    /// IANA name of the zone that the expression is meant in.
    pub time_zone: String,
    /// What a subscription asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// What periods are counted from.
    pub anchor_at: DateTime<Utc>,
    /// When it fires next, unless it is suspended.
    pub next_at: DateTime<Utc>,
    /// When it fired last.
    pub last_fired_at: Option<DateTime<Utc>>,
    /// Since when it is suspended.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Why.
    pub suspended_because: Option<String>,
}

/// What is to be done when.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What.
    pub subject: Subject,
    /// A period or five cron fields.
    pub expression: String,
    /// IANA name of a zone.
    pub time_zone: String,
    /// The body of a `harvest.request`, for a subscription; without it the one that it has stays.
    pub request: Option<Value>,
}

/// All schedules by name.
///
/// # Errors
/// [`ScheduleError::Database`].
pub async fn list(pool: &PgPool) -> Result<Vec<Schedule>, ScheduleError> {
    sqlx::query_as("SELECT * FROM passereau.schedule ORDER BY name")
        .fetch_all(pool)
        .await
        .map_err(ScheduleError::database("listing the schedules"))
}

/// Makes a schedule or changes one. Its periods are counted from now; where the time is the one that it had, only the request changes and
/// the schedule keeps its step. A suspended one stays so.
///
/// # Errors
/// What is wrong with expression, zone or request; [`ScheduleError::Agreed`] for a flow; [`ScheduleError::Database`].
pub async fn set(pool: &PgPool, setting: &Setting, now: DateTime<Utc>) -> Result<Schedule, ScheduleError> {
    let Setting { subject, expression, time_zone, request } = setting;
    let database = |source| ScheduleError::Database { doing: format!("setting the schedule {subject}"), source };
    let mut tx = pool.begin().await.map_err(database)?;
    let stands = locked(&mut tx, subject).await?;
    let request = request.as_ref().or(stands.as_ref().and_then(|row| row.request.as_ref()));
    match subject {
        Subject::Flow(_) => return Err(ScheduleError::Agreed(subject.clone())),
        Subject::Subscription(_) => drop(message::harvest_request(subject, request)?),
        Subject::Retention if request.is_none() => {}
        Subject::Retention => {
            let why = "it asks for nothing; leave --request out".to_owned();
            return Err(ScheduleError::Request { subject: subject.clone(), why });
        }
    }
    let expression = expression.trim();
    // Checked even where nothing changes.
    let mut next_at = next_after(subject, expression, time_zone, now, now)?;
    let mut anchor_at = now;
    if let Some(row) =
        stands.as_ref().filter(|row| (row.expression.as_str(), &row.time_zone) == (expression, time_zone))
    {
        (anchor_at, next_at) = (row.anchor_at, row.next_at);
    }
    let row = sqlx::query_as(
        "INSERT INTO passereau.schedule (name, expression, time_zone, request, anchor_at, next_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name) DO UPDATE SET expression = excluded.expression, time_zone = excluded.time_zone, request = excluded.request,
             anchor_at = excluded.anchor_at, next_at = excluded.next_at
         RETURNING *",
    )
    .bind(subject.to_string())
    .bind(expression)
    .bind(time_zone)
    .bind(request)
    .bind(anchor_at)
    .bind(next_at)
    .fetch_one(&mut *tx)
    .await
    .map_err(database)?;
    tx.commit().await.map_err(database)?;
    Ok(row)
}

/// Lets a schedule stand still. One that does keeps its date, and the reason if none is given.
///
/// # Errors
/// [`ScheduleError::Agreed`] for a flow, which is suspended as a whole; [`ScheduleError::Unknown`], [`ScheduleError::Database`].
pub async fn suspend(
    pool: &PgPool,
    subject: &Subject,
    because: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Schedule, ScheduleError> {
    refuse_flow(subject)?;
    let row = sqlx::query_as(
        "UPDATE passereau.schedule
         SET suspended_at = coalesce(suspended_at, $2), suspended_because = coalesce($3, suspended_because)
         WHERE name = $1 RETURNING *",
    )
    .bind(subject.to_string())
    .bind(now)
    .bind(because)
    .fetch_optional(pool)
    .await
    .map_err(ScheduleError::database(format!("suspending the schedule {subject}")))?;
    row.ok_or_else(|| ScheduleError::Unknown(subject.clone()))
}

/// Lets a suspended schedule go on. What was due meanwhile is not made up for: it fires at its next moment.
///
/// # Errors
/// As [`suspend`], and a row that cannot be read.
pub async fn resume(pool: &PgPool, subject: &Subject, now: DateTime<Utc>) -> Result<Schedule, ScheduleError> {
    refuse_flow(subject)?;
    let database = |source| ScheduleError::Database { doing: format!("resuming the schedule {subject}"), source };
    let mut tx = pool.begin().await.map_err(database)?;
    let row = known(&mut tx, subject).await?;
    if row.suspended_at.is_none() {
        return Ok(row);
    }
    let next_at = next_after(subject, &row.expression, &row.time_zone, row.anchor_at, now)?;
    let row = sqlx::query_as(
        "UPDATE passereau.schedule SET suspended_at = NULL, suspended_because = NULL, next_at = $2 WHERE name = $1 RETURNING *",
    )
    .bind(subject.to_string())
    .bind(next_at)
    .fetch_one(&mut *tx)
    .await
    .map_err(database)?;
    tx.commit().await.map_err(database)?;
    Ok(row)
}

/// The next `flow apply`, `approve` or `resume` would let its schedule go on, whatever is said here.
fn refuse_flow(subject: &Subject) -> Result<(), ScheduleError> {
    if matches!(subject, Subject::Flow(_)) { Err(ScheduleError::Agreed(subject.clone())) } else { Ok(()) }
}

/// Takes a schedule away. The subscription with its records, or what the retention would have taken, stays.
///
/// # Errors
/// [`ScheduleError::Agreed`] for a flow that is there; [`ScheduleError::Unknown`], [`ScheduleError::Database`].
pub async fn forget(pool: &PgPool, subject: &Subject) -> Result<(), ScheduleError> {
    let database = |source| ScheduleError::Database { doing: format!("dropping the schedule {subject}"), source };
    if let Subject::Flow(flow) = subject {
        let is_there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM passereau.flow WHERE name = $1)")
            .bind(flow)
            .fetch_one(pool)
            .await
            .map_err(database)?;
        if is_there {
            return Err(ScheduleError::Agreed(subject.clone()));
        }
    }
    let dropped = sqlx::query("DELETE FROM passereau.schedule WHERE name = $1").bind(subject.to_string());
    match dropped.execute(pool).await.map_err(database)?.rows_affected() {
        0 => Err(ScheduleError::Unknown(subject.clone())),
        _ => Ok(()),
    }
}

/// Fires a schedule now, suspended or not, beside its own moments, which stay. Gives the message's id.
///
/// # Errors
/// [`ScheduleError::Unknown`], a request that is not right, [`ScheduleError::Database`].
pub async fn run_now(pool: &PgPool, subject: &Subject, now: DateTime<Utc>) -> Result<Uuid, ScheduleError> {
    let database = |source| ScheduleError::Database { doing: format!("running the schedule {subject}"), source };
    let mut tx = pool.begin().await.map_err(database)?;
    let row = known(&mut tx, subject).await?;
    let message = message::message(subject, row.request.as_ref(), Uuid::now_v7())?;
    enqueue(&mut tx, std::slice::from_ref(&message)).await.map_err(database)?;
    sqlx::query("UPDATE passereau.schedule SET last_fired_at = $2 WHERE name = $1")
        .bind(subject.to_string())
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(database)?;
    tx.commit().await.map_err(database)?;
    Ok(message.id)
}

async fn locked(connection: &mut PgConnection, subject: &Subject) -> Result<Option<Schedule>, ScheduleError> {
    sqlx::query_as("SELECT * FROM passereau.schedule WHERE name = $1 FOR UPDATE")
        .bind(subject.to_string())
        .fetch_optional(connection)
        .await
        .map_err(ScheduleError::database(format!("reading the schedule {subject}")))
}

async fn known(connection: &mut PgConnection, subject: &Subject) -> Result<Schedule, ScheduleError> {
    locked(connection, subject).await?.ok_or_else(|| ScheduleError::Unknown(subject.clone()))
}
