//! What was agreed when, and what was delivered.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{Agreement, FlowError};

/// Versions and deliveries of a flow, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// Every version that was ever in force.
    pub versions: Vec<Version>,
    /// The newest deliveries.
    pub deliveries: Vec<Delivered>,
}

/// A version of an agreement.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct Version {
    /// Its number, from 1.
    pub version: i32,
    /// What was agreed.
    #[sqlx(json)]
    pub agreement: Agreement,
    /// When it was applied.
    pub applied_at: DateTime<Utc>,
    /// Who applied it.
    pub applied_by: String,
    /// Who approved that sensitive records leave at their precision.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<DateTime<Utc>>,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct Delivered {
    /// The id of the message that asked for it.
    pub id: Uuid,
    /// The version of the agreement that it follows.
    pub flow_version: i32,
    /// `reading`, `writing`, `delivered`, `unchanged` or `failed`.
    pub state: String,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Rows that left.
    pub rows: i64,
    /// Name of the folder of its files.
    pub folder: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When its files were taken away.
    pub erased_at: Option<DateTime<Utc>>,
}

/// All versions of a flow, and its `limit` newest deliveries.
///
/// # Errors
/// No flow has this name, or the database.
pub async fn history(pool: &PgPool, name: &str, limit: i64) -> Result<History, FlowError> {
    let doing = || FlowError::database(format!("reading the history of flow {name}"));
    let versions: Vec<Version> = sqlx::query_as(
        "SELECT version, agreement, applied_at, applied_by, approved_by, approved_at FROM passereau.flow_version
         WHERE flow = $1 ORDER BY version DESC",
    )
    .bind(name)
    .fetch_all(pool)
    .await
    .map_err(doing())?;
    if versions.is_empty() {
        return Err(FlowError::Unknown(name.to_owned()));
    }
    let deliveries = sqlx::query_as(
        "SELECT id, flow_version, state, requested_at, finished_at, rows, folder, reason, erased_at FROM passereau.delivery
         WHERE flow = $1 ORDER BY requested_at DESC LIMIT $2",
    )
    .bind(name)
    .bind(limit)
    .fetch_all(pool)
    .await
    .map_err(doing())?;
    Ok(History { versions, deliveries })
}
