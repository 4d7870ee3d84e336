//! The row of `passereau.download`, as the poller reads and writes it.

use passereau_gbif::Download;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// How the wait for one download stands.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Wait {
    pub key: String,
    /// Looks so far.
    pub polls: i32,
    /// Seconds to the deadline, by the clock that has set it: PostgreSQL's. Zero or less when it has taken too long.
    pub left_seconds: f64,
    /// What was asked for.
    pub body: Value,
    /// How often it was asked for again because it took too long.
    pub renewals: i32,
    /// Seconds since it was asked for.
    pub waited_seconds: f64,
}

impl Wait {
    /// Whether it has taken too long.
    pub(crate) fn is_late(&self) -> bool {
        self.left_seconds <= 0.0
    }

    /// Time since it was asked for.
    pub(crate) fn waited(&self) -> Duration {
        Duration::try_from_secs_f64(self.waited_seconds).unwrap_or(Duration::ZERO)
    }

    /// Time to the deadline.
    pub(crate) fn left(&self) -> Duration {
        Duration::try_from_secs_f64(self.left_seconds).unwrap_or(Duration::ZERO)
    }
}

/// Reads the wait as it stands when a look begins; its first reading sets the deadline. `None` when nothing was ever asked.
pub(crate) async fn read(pool: &PgPool, harvest_id: Uuid, deadline: Duration) -> Result<Option<Wait>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE passereau.download SET deadline_at = coalesce(deadline_at, now() + make_interval(secs => $2))
         WHERE harvest_id = $1 AND key IS NOT NULL
         RETURNING key, polls, extract(epoch FROM deadline_at - now())::float8 AS left_seconds, body, renewals,
                   extract(epoch FROM now() - coalesce(asked_at, intended_at))::float8 AS waited_seconds",
    )
    .bind(harvest_id)
    .bind(deadline.as_secs_f64())
    .fetch_optional(pool)
    .await
}

/// Counts a look that brought no answer.
pub(crate) async fn looked_in_vain(connection: &mut PgConnection, harvest_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.download SET polls = polls + 1 WHERE harvest_id = $1")
        .bind(harvest_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps what a look has shown.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    download: &Download,
) -> Result<(), sqlx::Error> {
    let number = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
    sqlx::query(
        "UPDATE passereau.download
         SET polls = polls + 1, status = $2, status_at = now(), doi = $3, size_bytes = $4, total_records = $5,
             license = $6, created_at = coalesce($7, created_at)
         WHERE harvest_id = $1",
    )
    .bind(harvest_id)
    .bind(download.status.to_string())
    .bind(&download.doi)
    .bind(number(download.size_bytes))
    .bind(number(download.total_records))
    .bind(&download.license)
    .bind(download.created)
    .execute(connection)
    .await?;
    Ok(())
}

/// Starts again with another body: the download took too long. What is kept of it is its number of renewals.
pub(crate) async fn renew(connection: &mut PgConnection, harvest_id: Uuid, body: &Value) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE passereau.download
         SET body = $2, key = NULL, status = NULL, polls = 0, deadline_at = NULL, intended_at = now(), asked_at = NULL,
             renewals = renewals + 1
         WHERE harvest_id = $1",
    )
    .bind(harvest_id)
    .bind(body)
    .execute(connection)
    .await?;
    Ok(())
}

/// Hands the results of a success to the harvest. The number of records is now a count, no estimate.
pub(crate) async fn succeeded(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    download: &Download,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.harvest SET download_key = $2, doi = $3, expected_records = $4 WHERE id = $1")
        .bind(harvest_id)
        .bind(download.key.as_str())
        .bind(&download.doi)
        .bind(download.total_records.and_then(|records| i64::try_from(records).ok()))
        .execute(connection)
        .await?;
    Ok(())
}
