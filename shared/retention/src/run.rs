//! A plan, a run, and when the daily run is due.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use passereau_runner::Claim;
use passereau_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool};

use crate::{Kind, RetentionError, objects};

/// Rows that one transaction takes away.
const BATCH: i32 = 10_000;

/// Whoever holds it runs.
const CLAIM: &str = "retention";

/// How much of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Amount {
    /// Generations, objects or rows.
    pub count: u64,
    /// About how many bytes: of objects and of the tables of generations exactly, of rows without their indexes.
    pub bytes: u64,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// What may go of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// The kind.
    pub kind: Kind,
    /// Days that the platform keeps it; none is for ever.
    pub days: Option<i32>,
    /// What may go now.
    #[serde(flatten)]
    pub amount: Amount,
}

/// A run that was.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize)]
pub struct Run {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; none while it is on its way, or when it was killed.
    pub finished_at: Option<DateTime<Utc>>,
    /// `count` and `bytes` by kind, of the kinds of which something went.
    pub removed: Value,
    /// What could not be taken away, and why.
    pub error: Option<String>,
}

/// What a run would take away now, for every kind.
///
/// # Errors
/// PostgreSQL or the store failed.
pub async fn plan(pool: &PgPool, store: &Store) -> Result<Vec<Expired>, RetentionError> {
    let mut expired = Vec::new();
    for kind in Kind::ALL {
        let days: Option<i32> = sqlx::query_scalar("SELECT NULLIF(passereau.setting($1)::integer, 0)")
            .bind(kind.setting())
            .fetch_one(pool)
            .await
            .map_err(RetentionError::database(format!("reading the setting {}", kind.setting())))?;
        let amount = if kind.is_stored() {
            let objects = objects::expired(pool, store, kind).await?;
            Amount { count: objects.len() as u64, bytes: objects.iter().map(|(_, size_bytes)| size_bytes).sum() }
        } else {
            let row = sqlx::query_as("SELECT count, bytes FROM passereau.expired($1)").bind(kind.as_str());
            let row = row.fetch_one(pool).await;
            amount(row.map_err(RetentionError::database(format!("looking for what has expired of {kind}")))?)
        };
        expired.push(Expired { kind, days, amount });
    }
    Ok(expired)
}

/// The run that began last.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn last_run(pool: &PgPool) -> Result<Option<Run>, RetentionError> {
    sqlx::query_as(
        "SELECT started_at, finished_at, removed, error FROM passereau.retention_run ORDER BY id DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await
    .map_err(RetentionError::database("reading the last run of the retention"))
}

/// Takes away what has expired, now. What fails is named in [`Run::error`] and holds up nothing else.
///
/// # Errors
/// [`RetentionError::Busy`] while another process is at it; PostgreSQL is away.
pub async fn run(pool: &PgPool, store: &Store) -> Result<Run, RetentionError> {
    let claim = Claim::take(pool, CLAIM).await.map_err(RetentionError::database("claiming the retention"))?;
    let Some(claim) = claim else { return Err(RetentionError::Busy) };
    take_away(pool, store, claim).await
}

/// The same once a day for the whole fleet: nothing when a run succeeded within a day, when one failed within an hour, or while
/// another process is at it.
///
/// # Errors
/// PostgreSQL is away.
pub async fn run_if_due(pool: &PgPool, store: &Store) -> Result<Option<Run>, RetentionError> {
    let claim = Claim::take(pool, CLAIM).await.map_err(RetentionError::database("claiming the retention"))?;
    let Some(claim) = claim else { return Ok(None) };
    // With the claim in hand: whoever was faster has left its row.
    let due: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT FROM passereau.retention_run r
                            WHERE r.started_at > now() - interval '1 hour'
                               OR (r.started_at > now() - interval '1 day' AND r.finished_at IS NOT NULL AND r.error IS NULL))",
    )
    .fetch_one(pool)
    .await
    .map_err(RetentionError::database("looking for the last run of the retention"))?;
    if !due {
        give_back(pool, claim).await?;
        return Ok(None);
    }
    take_away(pool, store, claim).await.map(Some)
}

async fn take_away(pool: &PgPool, store: &Store, claim: Claim) -> Result<Run, RetentionError> {
    // Runs of more than a year ago are news to nobody.
    let id: i64 = sqlx::query_scalar(
        "WITH old AS (DELETE FROM passereau.retention_run WHERE started_at < now() - interval '400 days')
         INSERT INTO passereau.retention_run DEFAULT VALUES RETURNING id",
    )
    .fetch_one(pool)
    .await
    .map_err(RetentionError::database("noting the beginning of a run"))?;
    let mut removed: BTreeMap<&str, Amount> = BTreeMap::new();
    let mut failures = Vec::new();
    for kind in Kind::ALL {
        let mut of_kind = Amount::default();
        let done = if kind.is_stored() {
            objects::remove(pool, store, kind).await.map(|amount| of_kind += amount)
        } else {
            rows(pool, kind, &mut of_kind).await
        };
        if let Err(error) = done {
            tracing::warn!(%kind, %error, "what has expired could not be taken away whole");
            failures.push(error.to_string());
        }
        if of_kind.count > 0 {
            tracing::info!(%kind, count = of_kind.count, bytes = of_kind.bytes, "expired, taken away");
            removed.insert(kind.as_str(), of_kind);
        }
    }
    let ended = sqlx::query_as(
        "UPDATE passereau.retention_run SET finished_at = now(), removed = $2, error = $3 WHERE id = $1
         RETURNING started_at, finished_at, removed, error",
    )
    .bind(id)
    .bind(sqlx::types::Json(removed))
    .bind((!failures.is_empty()).then(|| failures.join("; ")))
    .fetch_one(pool)
    .await
    .map_err(RetentionError::database("noting the end of a run"))?;
    give_back(pool, claim).await?;
    Ok(ended)
}

/// Takes the rows of one kind away, batch by batch; what went before an error is counted.
async fn rows(pool: &PgPool, kind: Kind, removed: &mut Amount) -> Result<(), RetentionError> {
    if kind == Kind::Written {
        note_gone(pool).await?;
    }
    loop {
        let batch = sqlx::query_as("SELECT count, bytes FROM passereau.retain($1, $2)").bind(kind.as_str()).bind(BATCH);
        let batch = batch.fetch_one(pool).await;
        let batch = amount(batch.map_err(RetentionError::database(format!("taking away what has expired of {kind}")))?);
        if batch.count == 0 {
            return Ok(());
        }
        *removed += batch;
    }
}

/// Notes since when rows that somebody deleted have been gone from GBIF as well.
async fn note_gone(pool: &PgPool) -> Result<(), RetentionError> {
    let mut after_id: i64 = -1;
    loop {
        let looked_at: Option<i64> = sqlx::query_scalar("SELECT passereau.note_gone($1, $2)")
            .bind(after_id)
            .bind(BATCH)
            .fetch_one(pool)
            .await
            .map_err(RetentionError::database("looking for written rows that are gone"))?;
        let Some(upto_id) = looked_at else { return Ok(()) };
        after_id = upto_id;
    }
}

async fn give_back(pool: &PgPool, claim: Claim) -> Result<(), RetentionError> {
    let mut connection = pool.acquire().await.map_err(RetentionError::database("giving the retention back"))?;
    if let Err(stop) = claim.release(&mut connection).await {
        // Every batch judges for itself, so that a second run beside this one did no harm.
        tracing::warn!(%stop, "the retention was held by another process as well");
    }
    Ok(())
}

fn amount((count, bytes): (i64, i64)) -> Amount {
    Amount { count: u64::try_from(count).unwrap_or(0), bytes: u64::try_from(bytes).unwrap_or(0) }
}
