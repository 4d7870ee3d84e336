//! How far a fetch has come, kept outside the process so that any process can go on.
//!
//! The parts themselves lie in the store; the ledger remembers what they are parts *of*. Order matters: the ledger is written before
//! the first part of a file, and after the parts of an abandoned file are gone. A process killed in between starts that file again;
//! parts of two files never meet.

use std::future::Future;
use std::time::Duration;

use passereau_runner::{Claim, Stop};
use sqlx::PgPool;
use uuid::Uuid;

use crate::reply::Known;

/// How far a fetch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The file that the parts belong to, once its first byte was answered.
    pub known: Option<Known>,
    /// Size of the parts in bytes.
    pub part_bytes: u64,
    /// How often it was begun anew because the file had changed at the server.
    pub restarts: u32,
    /// How often the whole file came and was corrupt.
    pub corruptions: u32,
    /// Every part is there and the archive that they make passed every check.
    pub verified: bool,
    /// Time since it was first begun.
    pub age: Duration,
    /// Steps that were done since it was loaded: parts stored, checks passed. Not kept; it tells progress from standstill.
    pub steps: u64,
}

impl Progress {
    /// Nothing fetched yet.
    #[must_use]
    pub fn new(part_bytes: u64) -> Self {
        Self { known: None, part_bytes, restarts: 0, corruptions: 0, verified: false, age: Duration::ZERO, steps: 0 }
    }
}

/// Keeps progress.
pub trait Ledger: Send + Sync {
    /// Replaces what was kept.
    fn save(&self, progress: &Progress) -> impl Future<Output = Result<(), Stop>> + Send;
}

/// The ledger in `passereau.fetch`, written only while the claim is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    pub(crate) pool: &'a PgPool,
    pub(crate) claim: &'a Claim,
    pub(crate) harvest_id: Uuid,
}

impl Table<'_> {
    /// What was kept; a row is made when there is none, so that the waiting has a beginning.
    pub(crate) async fn load(&self, part_bytes: u64) -> Result<Progress, Stop> {
        let row: Row = sqlx::query_as(
            "INSERT INTO passereau.fetch (harvest_id, part_bytes) VALUES ($1, $2)
             ON CONFLICT (harvest_id) DO UPDATE SET harvest_id = excluded.harvest_id
             RETURNING etag, size_bytes, part_bytes, restarts, corruptions, verified,
                       extract(epoch FROM now() - started_at)::double precision AS age_s",
        )
        .bind(self.harvest_id)
        .bind(to_i64(part_bytes))
        .fetch_one(self.pool)
        .await?;
        Ok(Progress {
            known: row.size_bytes.map(|size| Known { size_bytes: to_u64(size), validator: row.etag }),
            part_bytes: to_u64(row.part_bytes).max(1),
            restarts: u32::try_from(row.restarts).unwrap_or(0),
            corruptions: u32::try_from(row.corruptions).unwrap_or(0),
            verified: row.verified,
            age: Duration::try_from_secs_f64(row.age_s).unwrap_or_default(),
            steps: 0,
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    etag: Option<String>,
    size_bytes: Option<i64>,
    part_bytes: i64,
    restarts: i32,
    corruptions: i32,
    verified: bool,
    age_s: f64,
}

impl Ledger for Table<'_> {
    async fn save(&self, progress: &Progress) -> Result<(), Stop> {
        let mut tx = self.pool.begin().await?;
        self.claim.check(&mut tx).await?;
        sqlx::query(
            "UPDATE passereau.fetch
             SET etag = $2, size_bytes = $3, part_bytes = $4, restarts = $5, corruptions = $6, verified = $7
             WHERE harvest_id = $1",
        )
        .bind(self.harvest_id)
        .bind(progress.known.as_ref().and_then(|known| known.validator.as_deref()))
        .bind(progress.known.as_ref().map(|known| to_i64(known.size_bytes)))
        .bind(to_i64(progress.part_bytes))
        .bind(i32::try_from(progress.restarts).unwrap_or(i32::MAX))
        .bind(i32::try_from(progress.corruptions).unwrap_or(i32::MAX))
        .bind(progress.verified)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

fn to_i64(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn to_u64(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}
