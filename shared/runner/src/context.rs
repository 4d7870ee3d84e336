//! What a handler is given besides its task.

use std::time::Duration;

use passereau_harvest::pace;
use passereau_telemetry::Metrics;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Claim, Stop, inbox};

/// The surroundings of one handling.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) pool: PgPool,
    pub(crate) metrics: Metrics,
    pub(crate) consumer: &'static str,
    pub(crate) message_id: Uuid,
    pub(crate) origin: Uuid,
    pub(crate) has_own_id: bool,
    pub(crate) attempt: i32,
    pub(crate) harvest_id: Option<Uuid>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) deadline: Instant,
}

impl Context {
    /// The pool, for reading before the transaction.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Where to count records.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Failed attempts before this one.
    #[must_use]
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// The identity that the sender gave the message; it stays through snoozes, retries and replays, so what is derived
    /// from it is the same each time. `None` for a foreign message without `message_id`.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        self.has_own_id.then_some(self.origin)
    }

    /// When the handler has to be back, its cursor saved: a minute before the delivery would have been held for too long.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether it is time to save a cursor and return: the deadline has passed or the process is shutting down.
    #[must_use]
    pub fn must_pause(&self) -> bool {
        self.shutdown.is_cancelled() || Instant::now() >= self.deadline
    }

    /// Cancelled when the process is asked to end.
    #[must_use]
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Opens the transaction of the effects and claims the inbox row. Give it back with [`crate::Done::with`]. Until it
    /// ends, the harvest cannot be cancelled.
    ///
    /// # Errors
    /// [`Stop::Duplicate`] when the message was handled before, [`Stop::Cancelled`] when its harvest is cancelled,
    /// otherwise those of PostgreSQL.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, Stop> {
        self.open().await?
    }

    /// The same with PostgreSQL's own words, by which the runner tells what passes.
    pub(crate) async fn open(&self) -> Result<Result<Transaction<'static, Postgres>, Stop>, sqlx::Error> {
        let Some(mut tx) = self.open_early().await? else { return Ok(Err(Stop::Cancelled)) };
        let first = inbox::claim(&mut tx, self.consumer, self.message_id).await?;
        Ok(if first { Ok(tx) } else { Err(Stop::Duplicate) })
    }

    /// Opens a transaction for what is written before the work is done (a row that is made first, a cursor). Until it
    /// ends, the harvest cannot be cancelled.
    ///
    /// # Errors
    /// [`Stop::Cancelled`] when the harvest is cancelled, otherwise those of PostgreSQL.
    pub async fn begin_early(&self) -> Result<Transaction<'static, Postgres>, Stop> {
        self.open_early().await?.ok_or(Stop::Cancelled)
    }

    async fn open_early(&self) -> Result<Option<Transaction<'static, Postgres>>, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        match self.harvest_id {
            Some(harvest_id) if !passereau_harvest::hold(&mut tx, harvest_id).await? => Ok(None),
            _ => Ok(Some(tx)),
        }
    }

    /// Takes a turn of a budget of the whole fleet, and waits for it if it is near; gives the service's failures in a row.
    /// `None` while the service rests: do without it.
    ///
    /// # Errors
    /// [`Stop::Snooze`] when the turn is far ahead or the process ends, otherwise those of PostgreSQL.
    pub async fn turn(&self, budget: &str, limits: &pace::Limits) -> Result<Option<i32>, Stop> {
        let mut tx = self.pool.begin().await?;
        let turn = pace::take(&mut tx, budget, limits).await?;
        tx.commit().await?;
        match turn {
            pace::Turn::NotBefore(after) => Err(Stop::snooze(after, format!("the budget of {budget} is taken"))),
            pace::Turn::Resting => Ok(None),
            pace::Turn::After { wait, failures } => tokio::select! {
                () = tokio::time::sleep(wait) => Ok(Some(failures)),
                () = self.shutdown.cancelled() => Err(Stop::snooze(Duration::ZERO, "the process ends")),
            },
        }
    }

    /// Keeps a second copy of the same outside work out for as long as the claim is held.
    ///
    /// # Errors
    /// [`Stop::Busy`] while somebody else holds it, otherwise those of PostgreSQL.
    pub async fn claim(&self, name: &str) -> Result<Claim, Stop> {
        match Claim::take(&self.pool, name).await? {
            Some(claim) => Ok(claim),
            None => Err(Stop::busy(format!("{name} is being worked on by another process"))),
        }
    }
}
