//! The deliveries of a flow that can be fetched, as the database has them. The keys of objects come from here and from nowhere else.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{PgPool, types::Json};

/// A file of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct FileEntry {
    /// Where it stands in the store.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// A delivery that was published.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Delivery {
    /// Name of the version.
    #[sqlx(rename = "folder")]
    pub version: String,
    /// The version of the agreement that it follows.
    pub flow_version: i32,
    /// When it was published.
    pub finished_at: DateTime<Utc>,
    /// Its rows.
    pub rows: i64,
    /// Its files by extension.
    pub files: Json<BTreeMap<String, FileEntry>>,
    /// Whether its files were taken away.
    pub is_erased: bool,
}

/// Which version of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'v> {
    /// The newest that can be fetched.
    Latest,
    /// The one of this name.
    Version(&'v str),
}

/// Sensitive records at their precision may be fetched for as long as their authorisation lasts, and no longer than the flow delivers them so. Then
/// such a version is gone, whether or not the exporter has taken its files away yet.
const SELECT: &str = "
SELECT folder, flow_version, finished_at, rows, files, is_erased
FROM passereau.delivery d
CROSS JOIN LATERAL (
    SELECT d.erased_at IS NOT NULL OR EXISTS (
        SELECT FROM passereau.flow_version v JOIN passereau.flow f ON f.name = v.flow
        WHERE v.flow = d.flow AND v.version = d.flow_version AND v.agreement ->> 'sensitive' = 'precise'
          AND (f.agreement ->> 'sensitive' IS DISTINCT FROM 'precise'
               OR (v.agreement #>> '{authorisation,ends_on}')::date
                  < (now() AT TIME ZONE coalesce(v.agreement ->> 'time_zone', 'UTC'))::date)) AS is_erased) e
WHERE flow = $1 AND state = 'delivered' AND folder IS NOT NULL AND finished_at IS NOT NULL
  AND CASE WHEN $2::text IS NULL THEN NOT is_erased ELSE folder = $2 END
ORDER BY finished_at DESC, folder DESC";

impl Wanted<'_> {
    const fn name(&self) -> Option<&str> {
        match self {
            Self::Latest => None,
            Self::Version(name) => Some(name),
        }
    }
}

/// One delivery of a flow. What was read once is one delivery, whatever is published afterwards.
pub(crate) async fn delivery(pool: &PgPool, flow: &str, wanted: Wanted<'_>) -> Result<Option<Delivery>, sqlx::Error> {
    sqlx::query_as(SELECT).bind(flow).bind(wanted.name()).fetch_optional(pool).await
}

/// All that can be fetched, the newest first.
pub(crate) async fn deliveries(pool: &PgPool, flow: &str) -> Result<Vec<Delivery>, sqlx::Error> {
    sqlx::query_as(SELECT).bind(flow).bind(None::<&str>).fetch_all(pool).await
}

/// The manifest of a delivery.
pub(crate) async fn manifest(pool: &PgPool, flow: &str, version: &str) -> Result<Option<Value>, sqlx::Error> {
    let found: Option<Option<Json<Value>>> = sqlx::query_scalar(
        "SELECT manifest FROM passereau.delivery WHERE flow = $1 AND folder = $2 AND state = 'delivered'",
    )
    .bind(flow)
    .bind(version)
    .fetch_optional(pool)
    .await?;
    Ok(found.flatten().map(|Json(manifest)| manifest))
}

/// The key of a file of the delivery that was published last, of whatever flow; none when there is none.
pub(crate) async fn newest_key(pool: &PgPool) -> Result<Option<String>, sqlx::Error> {
    let files: Option<Json<BTreeMap<String, FileEntry>>> = sqlx::query_scalar(
        "SELECT files FROM passereau.delivery WHERE state = 'delivered' AND erased_at IS NULL AND finished_at IS NOT NULL
         ORDER BY finished_at DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await?;
    Ok(files.and_then(|Json(files)| files.into_values().next()).map(|file| file.key))
}

/// Whether PostgreSQL did not answer, rather than refuse.
pub(crate) fn is_absent(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        // Connection exceptions, shutdown, crash, starting up, too many connections.
        sqlx::Error::Database(refusal) => refusal
            .code()
            .is_some_and(|code| code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "53300")),
        _ => false,
    }
}
