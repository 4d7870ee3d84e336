//! A plan and a run.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use passereau_runner::Claim;
use passereau_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool, types::Json};

use crate::{Kind, RetentionError, objects};

/// Rows that one transaction takes away.
const BATCH: i32 = 10_000;

/// Name of the claim; whoever holds it runs.
pub const CLAIM: &str = "retention";

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
    /// Whether it has paused and goes on.
    pub is_paused: bool,
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
        "SELECT started_at, finished_at, removed, error, paused_at_kind IS NOT NULL AS is_paused
         FROM passereau.retention_run ORDER BY id DESC LIMIT 1",
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
    let ended = run_while(pool, store, || true).await?;
    give_back(pool, claim).await?;
    Ok(ended)
}

/// The same for whoever holds the claim [`CLAIM`] and has not all the time in the world: it pauses at the next batch once `go_on` says no
/// ([`Run::is_paused`]), and a call within a day goes on there, in the same row of `passereau.retention_run`.
///
/// # Errors
/// PostgreSQL is away.
pub async fn run_while(pool: &PgPool, store: &Store, go_on: impl Fn() -> bool) -> Result<Run, RetentionError> {
    let Begun { id, removed, error, paused_at_kind, paused_after_id } = begin(pool).await?;
    let mut removed: BTreeMap<String, Amount> = removed.0;
    let mut failures: Vec<String> = error.into_iter().collect();
    let mut place = None;
    let first = Kind::ALL.iter().position(|kind| Some(kind.as_str()) == paused_at_kind.as_deref()).unwrap_or(0);
    let mut after_id = paused_after_id;
    for kind in Kind::ALL.into_iter().skip(first) {
        let mut of_kind = Amount::default();
        let after = after_id.take();
        let done = if kind.is_stored() {
            objects::remove(pool, store, kind, &mut of_kind, &go_on).await.map(|is_all| (!is_all).then_some(None))
        } else {
            rows(pool, kind, after, &mut of_kind, &go_on).await
        };
        if of_kind.count > 0 {
            tracing::info!(%kind, count = of_kind.count, bytes = of_kind.bytes, "expired, taken away");
            *removed.entry(kind.as_str().to_owned()).or_default() += of_kind;
        }
        match done {
            Ok(None) => {}
            Ok(Some(after_id)) => {
                place = Some((kind, after_id));
                break;
            }
            Err(error) => {
                tracing::warn!(%kind, %error, "what has expired could not be taken away whole");
                failures.push(error.to_string());
            }
        }
    }
    sqlx::query_as(
        "UPDATE passereau.retention_run
         SET finished_at = CASE WHEN $4 IS NULL THEN now() END, removed = $2, error = $3, paused_at_kind = $4, paused_after_id = $5
         WHERE id = $1
         RETURNING started_at, finished_at, removed, error, paused_at_kind IS NOT NULL AS is_paused",
    )
    .bind(id)
    .bind(Json(removed))
    .bind((!failures.is_empty()).then(|| failures.join("; ")))
    .bind(place.map(|(kind, _)| kind.as_str()))
    .bind(place.and_then(|(_, after_id)| after_id))
    .fetch_one(pool)
    .await
    .map_err(RetentionError::database("noting the end of a run"))
}

/// The row of a run, new or gone on with.
#[derive(FromRow)]
struct Begun {
    id: i64,
    removed: Json<BTreeMap<String, Amount>>,
    error: Option<String>,
    paused_at_kind: Option<String>,
    paused_after_id: Option<i64>,
}

/// Goes on with the last run where it has paused, or begins one.
async fn begin(pool: &PgPool) -> Result<Begun, RetentionError> {
    let paused = sqlx::query_as(
        "SELECT id, removed, error, paused_at_kind, paused_after_id FROM passereau.retention_run
         WHERE id = (SELECT max(id) FROM passereau.retention_run) AND paused_at_kind IS NOT NULL AND started_at > now() - interval '1 day'",
    )
    .fetch_optional(pool)
    .await
    .map_err(RetentionError::database("looking for a run that has paused"))?;
    if let Some(paused) = paused {
        return Ok(paused);
    }
    // Runs of more than a year ago are news to nobody.
    sqlx::query_as(
        "WITH old AS (DELETE FROM passereau.retention_run WHERE started_at < now() - interval '400 days')
         INSERT INTO passereau.retention_run DEFAULT VALUES RETURNING id, removed, error, paused_at_kind, paused_after_id",
    )
    .fetch_one(pool)
    .await
    .map_err(RetentionError::database("noting the beginning of a run"))
}

/// Where to go on: after a row, or from the beginning of the kind.
type Place = Option<i64>;

/// Takes the rows of one kind away, batch by batch; what went before an error is counted. Gives the place where it paused.
async fn rows(
    pool: &PgPool,
    kind: Kind,
    after_id: Place,
    removed: &mut Amount,
    go_on: impl Fn() -> bool,
) -> Result<Option<Place>, RetentionError> {
    if kind == Kind::Written
        && let Some(after_id) = note_gone(pool, after_id, &go_on).await?
    {
        return Ok(Some(Some(after_id)));
    }
    // A batch at least for each delivery: one that got nothing done would go on for ever.
    loop {
        let batch = sqlx::query_as("SELECT count, bytes FROM passereau.retain($1, $2)").bind(kind.as_str()).bind(BATCH);
        let batch = batch.fetch_one(pool).await;
        let batch = amount(batch.map_err(RetentionError::database(format!("taking away what has expired of {kind}")))?);
        if batch.count == 0 {
            return Ok(None);
        }
        *removed += batch;
        if !go_on() {
            // Of written rows those looked at need no second look.
            return Ok(Some((kind == Kind::Written).then_some(i64::MAX)));
        }
    }
}

/// Notes since when rows that somebody deleted have been gone from GBIF as well. Gives the last row looked at where it paused.
async fn note_gone(pool: &PgPool, after_id: Place, go_on: impl Fn() -> bool) -> Result<Place, RetentionError> {
    let mut after_id = after_id.unwrap_or(-1);
    loop {
        let looked_at: Option<i64> = sqlx::query_scalar("SELECT passereau.note_gone($1, $2)")
            .bind(after_id)
            .bind(BATCH)
            .fetch_one(pool)
            .await
            .map_err(RetentionError::database("looking for written rows that are gone"))?;
        let Some(upto_id) = looked_at else { return Ok(None) };
        after_id = upto_id;
        if !go_on() {
            return Ok(Some(after_id));
        }
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
