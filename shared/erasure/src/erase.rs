//! Going through the plan.

use std::collections::BTreeMap;

use passereau_dwca::Limits;
use passereau_store::Store;
use serde::Serialize;
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use crate::archives::{Archive, Verdict, archives, drop_archive};
use crate::error::ErasureError;
use crate::plan::{Value, digests, values};

/// Rows of one transaction: some seconds of GeoNature's triggers at most.
const SLICE: i32 = 5000;
/// How often everything is gone through: a second time finds what a harvest has written meanwhile, more is something else.
const MOST_PASSES: u32 = 5;

/// What an erasure did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Erased {
    /// Names that were not recorded before.
    pub recorded: i64,
    /// Rows that were changed, by place; `archives` counts those that were deleted.
    pub changed: BTreeMap<String, i64>,
    /// Archives that are still there, with the reason: in use, or unreadable.
    pub archives_left: Vec<Archive>,
    /// Harvests at work when everything was looked through for the last time, which may write the name behind us: call again once
    /// they have ended.
    pub at_work: Vec<Uuid>,
}

impl Erased {
    /// Whether everything was gone through for good.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.at_work.is_empty() && self.archives_left.is_empty()
    }
}

/// Records the names and takes them out of everything. `reference` is the platform's own number of the request.
///
/// # Errors
/// As [`crate::plan`]; and a name that comes back as fast as it goes.
pub async fn erase(
    pool: &PgPool,
    store: &Store,
    limits: &Limits,
    names: &[String],
    reference: Option<&str>,
) -> Result<Erased, ErasureError> {
    let digests = digests(pool, names).await?;
    let recorded = sqlx::query_scalar("SELECT passereau.begin_erasure($1, $2)")
        .bind(&digests)
        .bind(reference)
        .fetch_one(pool)
        .await
        .map_err(ErasureError::database("recording the names"))?;
    let mut erased = Erased { recorded, ..Erased::default() };
    let mut passes = 0;
    loop {
        // Before the look, each time: who is not at work now has committed what the look then sees, and who begins later reads
        // what has no name any more.
        erased.at_work = at_work(pool).await?;
        let found: Vec<Value> = values(pool, &digests).await?.into_iter().filter(|value| value.ours).collect();
        let Some(first) = found.first() else { break };
        if passes == MOST_PASSES {
            return Err(ErasureError::Unending { passes, left: format!("{}.{}", first.of_table, first.of_column) });
        }
        passes += 1;
        pass(pool, &found, &mut erased.changed).await?;
    }
    for archive in archives(pool, store, limits, &digests).await? {
        if drop_archive(pool, store, &archive).await? {
            *erased.changed.entry("archives".to_owned()).or_default() += 1;
        } else {
            let verdict = if archive.verdict == Verdict::Holds { Verdict::InUse } else { archive.verdict };
            erased.archives_left.push(Archive { verdict, ..archive });
        }
    }
    if erased.is_complete() {
        sqlx::query("SELECT passereau.end_erasure($1, $2)")
            .bind(&digests)
            .bind(Json(&erased.changed))
            .execute(pool)
            .await
            .map_err(ErasureError::database("recording what was erased"))?;
    }
    Ok(erased)
}

/// Every column once: what is planned before the synthèse, which it would be written into.
async fn pass(pool: &PgPool, found: &[Value], changed: &mut BTreeMap<String, i64>) -> Result<(), ErasureError> {
    let mut columns: BTreeMap<(bool, &str, &str), Vec<&Value>> = BTreeMap::new();
    for value in found {
        columns.entry((value.place != "planned", &value.of_table, &value.of_column)).or_default().push(value);
    }
    for ((_, table, column), values) in columns {
        let shown: Vec<&str> = values.iter().map(|value| value.value.as_str()).collect();
        let replacement: Vec<Option<&str>> = values.iter().map(|value| value.without.as_deref()).collect();
        loop {
            let rows: i32 = sqlx::query_scalar("SELECT passereau.erase_slice($1, $2, $3, $4, $5)")
                .bind(table)
                .bind(column)
                .bind(&shown)
                .bind(&replacement)
                .bind(SLICE)
                .fetch_one(pool)
                .await
                .map_err(ErasureError::database("erasing a slice"))?;
            if rows == 0 {
                break;
            }
            if let Some(value) = values.first() {
                *changed.entry(value.place.clone()).or_default() += i64::from(rows);
            }
        }
    }
    Ok(())
}

/// Harvests whose transactions may hold what was landed before the names were recorded. Waits for a harvest by hand, which is one
/// transaction that nobody sees among them: it holds this lock until it has committed (`90_manual.sql`).
async fn at_work(pool: &PgPool) -> Result<Vec<Uuid>, ErasureError> {
    let failed = || ErasureError::database("looking for harvests at work");
    let mut tx = pool.begin().await.map_err(failed())?;
    sqlx::query("LOCK TABLE passereau.erasure IN ROW EXCLUSIVE MODE").execute(&mut *tx).await.map_err(failed())?;
    let at_work = sqlx::query_scalar(
        "SELECT id FROM passereau.harvest WHERE state IN ('loading', 'enriching', 'planning', 'upserting', 'finishing')
         ORDER BY created_at",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(at_work)
}
