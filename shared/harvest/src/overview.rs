//! What operators ask about harvests.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::{Harvest, State};

/// Which harvests are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this subscription.
    pub subscription: Option<&'a str>,
    /// Only those that are paused.
    pub paused: bool,
    /// At most so many.
    pub limit: i64,
}

impl Wanted<'_> {
    /// Whichever they are.
    #[must_use]
    pub fn newest(limit: i64) -> Self {
        Self { state: None, subscription: None, paused: false, limit }
    }
}

/// The newest harvests first.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn list(pool: &PgPool, wanted: &Wanted<'_>) -> Result<Vec<Harvest>, sqlx::Error> {
    sqlx::query_as(
        "SELECT * FROM passereau.harvest
         WHERE ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR subscription = $3)
           AND (NOT $4 OR paused_at IS NOT NULL AND state NOT IN ('completed', 'failed', 'cancelled'))
         ORDER BY created_at DESC LIMIT $1",
    )
    .bind(wanted.limit)
    .bind(wanted.state.map(State::as_str))
    .bind(wanted.subscription)
    .bind(wanted.paused)
    .fetch_all(pool)
    .await
}

/// When slices may go into the synthèse again by the platform's hours; `None` when they may now.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn upsert_opens_at(pool: &PgPool) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar("SELECT passereau.upsert_opens_at()").fetch_one(pool).await
}

/// How far a stage that fans out has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct Progress {
    /// `enrich` or `upsert`.
    pub stage: String,
    /// Slices that are done.
    pub done: i64,
    /// All slices.
    pub total: i64,
    /// Records of the slices that are done.
    pub records: i64,
}

/// The progress of each stage of a harvest that has slices.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn progress(pool: &PgPool, id: Uuid) -> Result<Vec<Progress>, sqlx::Error> {
    sqlx::query_as(
        "SELECT stage, count(done_at) AS done, count(*) AS total,
                coalesce(sum(records) FILTER (WHERE done_at IS NOT NULL), 0)::bigint AS records
         FROM passereau.slice WHERE harvest_id = $1 GROUP BY stage ORDER BY stage",
    )
    .bind(id)
    .fetch_all(pool)
    .await
}

/// Rejects of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct RejectCount {
    /// The reason's code.
    pub reason: String,
    /// Records.
    pub records: i64,
    /// Those of them that have a row in the synthèse all the same, which is left as it was.
    pub standing: i64,
}

/// The rejects that a subscription has, most frequent first.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn rejects_by_reason(pool: &PgPool, subscription: &str) -> Result<Vec<RejectCount>, sqlx::Error> {
    sqlx::query_as(
        "SELECT reason, count(*) AS records, count(id_synthese) AS standing FROM pinv_gbif.reject
         WHERE subscription = $1 GROUP BY reason ORDER BY records DESC, reason",
    )
    .bind(subscription)
    .fetch_all(pool)
    .await
}
