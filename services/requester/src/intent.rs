//! The intent: the row of `passereau.download`, written before anything is sent to GBIF.

use chrono::{DateTime, Utc};
use passereau_gbif::{Download, DownloadKey};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// What is known of a harvest's download.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Intent {
    pub body: Value,
    pub intended_at: DateTime<Utc>,
    /// When GBIF was last asked; from then on a download may exist.
    pub asked_at: Option<DateTime<Utc>>,
    pub key: Option<String>,
}

/// The intent of a harvest, if it has one.
pub(crate) async fn find(pool: &PgPool, harvest_id: Uuid) -> Result<Option<Intent>, sqlx::Error> {
    sqlx::query_as("SELECT body, intended_at, asked_at, key FROM passereau.download WHERE harvest_id = $1")
        .bind(harvest_id)
        .fetch_optional(pool)
        .await
}

/// The intent of a harvest, written if it is the first time.
pub(crate) async fn open(pool: &PgPool, harvest_id: Uuid, account: &str, body: &Value) -> Result<Intent, sqlx::Error> {
    sqlx::query_as(
        "INSERT INTO passereau.download (harvest_id, account, body) VALUES ($1, $2, $3)
         ON CONFLICT (harvest_id) DO UPDATE SET account = excluded.account
         RETURNING body, intended_at, asked_at, key",
    )
    .bind(harvest_id)
    .bind(account)
    .bind(body)
    .fetch_one(pool)
    .await
}

/// Remembers that GBIF is about to be asked.
pub(crate) async fn asking(pool: &PgPool, harvest_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.download SET asked_at = now() WHERE harvest_id = $1")
        .bind(harvest_id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Remembers the key, before anything else is done with it.
pub(crate) async fn answered(pool: &PgPool, harvest_id: Uuid, key: &DownloadKey) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.download SET key = $2 WHERE harvest_id = $1")
        .bind(harvest_id)
        .bind(key.as_str())
        .execute(pool)
        .await?;
    Ok(())
}

/// Starts again with another body: the download GBIF gave was made for another request.
pub(crate) async fn reword(pool: &PgPool, harvest_id: Uuid, body: &Value) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.download SET body = $2, key = NULL, asked_at = NULL WHERE harvest_id = $1")
        .bind(harvest_id)
        .bind(body)
        .execute(pool)
        .await?;
    Ok(())
}

/// Keeps what GBIF says of the harvest's download, in the row and in the harvest.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    account: &str,
    download: &Download,
) -> Result<(), sqlx::Error> {
    let records = download.total_records.and_then(|number| i64::try_from(number).ok());
    sqlx::query(
        "INSERT INTO passereau.download
             (harvest_id, account, body, key, status, status_at, doi, size_bytes, total_records, license)
         VALUES ($1, $2, $3, $4, $5, now(), $6, $7, $8, $9)
         ON CONFLICT (harvest_id) DO UPDATE
         SET key = excluded.key, status = excluded.status, status_at = now(), doi = excluded.doi,
             size_bytes = excluded.size_bytes, total_records = excluded.total_records, license = excluded.license",
    )
    .bind(harvest_id)
    .bind(account)
    .bind(&download.request)
    .bind(download.key.as_str())
    .bind(download.status.to_string())
    .bind(&download.doi)
    .bind(download.size_bytes.and_then(|size| i64::try_from(size).ok()))
    .bind(records)
    .bind(&download.license)
    .execute(&mut *connection)
    .await?;
    // The number of an unfinished download is an estimate: nothing is measured against it.
    let expected = records.filter(|_| download.status == passereau_gbif::DownloadStatus::Succeeded);
    sqlx::query("UPDATE passereau.harvest SET download_key = $2, doi = $3, expected_records = $4 WHERE id = $1")
        .bind(harvest_id)
        .bind(download.key.as_str())
        .bind(&download.doi)
        .bind(expected)
        .execute(connection)
        .await?;
    Ok(())
}
