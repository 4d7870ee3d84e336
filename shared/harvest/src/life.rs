//! What a person decides about a harvest that is alive: pause, resume, cancel.
//!
//! Terms. A *paused* harvest is alive: its messages are parked (their outbox rows are not due) when a worker meets them, at
//! no cost; a step in hand goes on to its end, or to the boundary at which it would come back anyway (five minutes at most).
//! What others do for it goes on: a download that GBIF makes is made, and keeps its place at GBIF. A *cancelled* harvest has
//! ended; what its slices wrote stays in the synthèse.
//!
//! Invariants. A message is parked only while the harvest's row says that it is paused, and that row is locked meanwhile, so
//! that none is parked behind a resumption. Whoever writes for a harvest holds it ([`hold`]); a cancellation waits for them
//! and bars those that come later.

use passereau_contracts::{EventKind, HarvestRequest, Message};
use passereau_database::outbox::unpark;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{State, announce, find};

/// What became of the wish to pause or resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// It is so now.
    Done,
    /// It was so before; nothing has changed.
    Already,
    /// The harvest has ended, in this state.
    Ended(State),
    /// There is no such harvest.
    Unknown,
}

/// Pauses a harvest that is alive, for a reason in words.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn pause(connection: &mut PgConnection, id: Uuid, reason: Option<&str>) -> Result<Ordered, sqlx::Error> {
    let paused = sqlx::query(
        "UPDATE passereau.harvest SET paused_at = now(), paused_reason = $2, updated_at = now()
         WHERE id = $1 AND paused_at IS NULL AND state NOT IN ('completed', 'failed', 'cancelled')",
    )
    .bind(id)
    .bind(reason)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if paused == 1 { Ok(Ordered::Done) } else { why_not(connection, id).await }
}

/// Lets a paused harvest go on: its parked messages are due, and the deadline of its download is later by the pause.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn resume(connection: &mut PgConnection, id: Uuid) -> Result<Ordered, sqlx::Error> {
    let resumed = sqlx::query(
        "WITH paused AS (
             SELECT id, paused_at FROM passereau.harvest
             WHERE id = $1 AND paused_at IS NOT NULL AND state NOT IN ('completed', 'failed', 'cancelled')
             FOR UPDATE),
         later AS (
             UPDATE passereau.download d SET deadline_at = d.deadline_at + (now() - p.paused_at)
             FROM paused p WHERE d.harvest_id = p.id)
         UPDATE passereau.harvest h SET paused_at = NULL, paused_reason = NULL, updated_at = now()
         FROM paused p WHERE h.id = p.id",
    )
    .bind(id)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if resumed == 0 {
        return why_not(connection, id).await;
    }
    // After the row: what a worker parked while this waited for it is seen now.
    unpark(connection, id).await?;
    Ok(Ordered::Done)
}

async fn why_not(connection: &mut PgConnection, id: Uuid) -> Result<Ordered, sqlx::Error> {
    Ok(match find(connection, id).await? {
        None => Ordered::Unknown,
        Some(harvest) if harvest.state.is_alive() => Ordered::Already,
        Some(harvest) => Ordered::Ended(harvest.state),
    })
}

/// Whether a harvest is paused; it stays so until the end of the transaction.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn stays_paused(connection: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let paused: Option<bool> =
        sqlx::query_scalar("SELECT paused_at IS NOT NULL FROM passereau.harvest WHERE id = $1 FOR SHARE")
            .bind(id)
            .fetch_optional(connection)
            .await?;
    Ok(paused == Some(true))
}

/// Keeps a harvest from being cancelled until the end of the transaction; `false` when it is cancelled: then nothing may be
/// written for it. Waits for a cancellation that is under way.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn hold(connection: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT passereau.hold($1)").bind(id).fetch_one(connection).await
}

/// Cancels a harvest that is alive and announces it; `false` when it had ended before. What it takes with it stands in
/// `migrations/functions/87_cancel.sql`. The download at GBIF is the caller's business.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn cancel(connection: &mut PgConnection, id: Uuid, reason: &str) -> Result<bool, sqlx::Error> {
    let cancelled =
        sqlx::query_scalar("SELECT passereau.cancel($1, $2)").bind(id).bind(reason).fetch_one(&mut *connection).await?;
    if cancelled {
        announce(connection, id, EventKind::Cancelled).await?;
    }
    Ok(cancelled)
}

/// Whether another harvest waits for the same download at GBIF: GBIF gives equal requests of two days one download, and
/// cancelling it would take it from the other one.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn shares_download(executor: impl PgExecutor<'_>, id: Uuid, key: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM passereau.download d JOIN passereau.harvest h ON h.id = d.harvest_id
                        WHERE d.key = $2 AND h.id <> $1 AND h.state IN ('requesting', 'preparing'))",
    )
    .bind(id)
    .bind(key)
    .fetch_one(executor)
    .await
}

/// Takes back a request that waits for the end of another harvest of its subscription; `false` when none of this id does. The
/// id is that of its message, under which it would have become a harvest.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn withdraw(connection: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let withdrawn = sqlx::query(
        "DELETE FROM passereau.outbox
         WHERE exchange = 'work' AND routing_key = $2 AND (id = $1 OR headers ->> 'passereau-origin' = $1::text)",
    )
    .bind(id)
    .bind(HarvestRequest::KIND)
    .execute(connection)
    .await?
    .rows_affected();
    Ok(withdrawn > 0)
}

/// Whether a request of this id waits for the end of another harvest of its subscription.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn is_waiting(executor: impl PgExecutor<'_>, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM passereau.outbox WHERE exchange = 'work' AND routing_key = $2
                        AND (id = $1 OR headers ->> 'passereau-origin' = $1::text))",
    )
    .bind(id)
    .bind(HarvestRequest::KIND)
    .fetch_one(executor)
    .await
}
