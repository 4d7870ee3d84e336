//! One harvest: reading it, moving it along, ending it.

use chrono::{DateTime, Utc};
use passereau_contracts::{Counts, EventKind};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgExecutor, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{State, announce};

/// A row of `passereau.harvest`.
#[derive(Clone, Debug, Serialize)]
pub struct Harvest {
    /// Its id, also the `correlation_id` of its messages.
    pub id: Uuid,
    /// Its subscription.
    pub subscription: String,
    /// `request`, `reconvert` (its current generation, converted again) or `manual` (copied by hand).
    pub origin: String,
    /// Why a reconversion was started.
    pub cause: Option<String>,
    /// The subscription's settings, as it started with them.
    pub settings: Value,
    /// Where it is.
    pub state: State,
    /// The request as it was accepted: a `harvest.request` body, its query normalised.
    pub request: Value,
    /// The GBIF account that asks, for a request with a query.
    pub account: Option<String>,
    /// Key of the GBIF download.
    pub download_key: Option<String>,
    /// DOI of the GBIF download.
    pub doi: Option<String>,
    /// Object key of the archive.
    pub archive_key: Option<String>,
    /// SHA-256 of the archive, hexadecimal.
    pub archive_sha256: Option<String>,
    /// Size of the archive, bytes.
    pub archive_bytes: Option<i64>,
    /// Records that GBIF announced.
    pub expected_records: Option<i64>,
    /// Its generation, once the loader began.
    pub generation_id: Option<i64>,
    /// Slices or batches of the present stage that are not done.
    pub slices_left: i32,
    /// The counts so far.
    pub counts: Counts,
    /// Of the vanished records, rows of the synthèse that were marked.
    pub marked: i64,
    /// Of the vanished records, rows of the synthèse that were archived and deleted.
    pub deleted: i64,
    /// Why it failed or was cancelled, or what it waits for.
    pub reason: Option<String>,
    /// Since when it is paused ([`crate::pause`]).
    pub paused_at: Option<DateTime<Utc>>,
    /// Why it is paused, if somebody said so.
    pub paused_reason: Option<String>,
    /// What its plan is, once there is one (`passereau.plan_summary`).
    pub plan_summary: Option<Value>,
    /// When its plan was made.
    pub planned_at: Option<DateTime<Utc>>,
    /// Who approved the plan, if it waited for that.
    pub approved_by: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl<'r> FromRow<'r, PgRow> for Harvest {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let state: String = row.try_get("state")?;
        Ok(Self {
            id: row.try_get("id")?,
            subscription: row.try_get("subscription")?,
            origin: row.try_get("origin")?,
            cause: row.try_get("cause")?,
            settings: row.try_get("settings")?,
            state: state.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            request: row.try_get("request")?,
            account: row.try_get("account")?,
            download_key: row.try_get("download_key")?,
            doi: row.try_get("doi")?,
            archive_key: row.try_get("archive_key")?,
            archive_sha256: row.try_get("archive_sha256")?,
            archive_bytes: row.try_get("archive_bytes")?,
            expected_records: row.try_get("expected_records")?,
            generation_id: row.try_get("generation_id")?,
            slices_left: row.try_get("slices_left")?,
            counts: Counts {
                read: row.try_get("read")?,
                landed: row.try_get("landed")?,
                duplicate: row.try_get("duplicate")?,
                malformed: row.try_get("malformed")?,
                inserted: row.try_get("inserted")?,
                updated: row.try_get("updated")?,
                unchanged: row.try_get("unchanged")?,
                rejected: row.try_get("rejected")?,
                kept: row.try_get("kept")?,
                vanished: row.try_get("vanished")?,
            },
            marked: row.try_get("marked")?,
            deleted: row.try_get("deleted")?,
            reason: row.try_get("reason")?,
            paused_at: row.try_get("paused_at")?,
            paused_reason: row.try_get("paused_reason")?,
            plan_summary: row.try_get("plan_summary")?,
            planned_at: row.try_get("planned_at")?,
            approved_by: row.try_get("approved_by")?,
            created_at: row.try_get("created_at")?,
            finished_at: row.try_get("finished_at")?,
        })
    }
}

/// Reads a harvest.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Harvest>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM passereau.harvest WHERE id = $1").bind(id).fetch_optional(executor).await
}

/// Reads a harvest when it is in one of the states; `None` means that the message came late or twice.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn in_state(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    states: &[State],
) -> Result<Option<Harvest>, sqlx::Error> {
    Ok(find(executor, id).await?.filter(|harvest| states.contains(&harvest.state)))
}

/// Moves a harvest from one state to the next; `false` when it is not in `from` any more. A plan that is
/// made and a harvest that is completed are announced.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn advance(connection: &mut PgConnection, id: Uuid, from: State, to: State) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(
        "UPDATE passereau.harvest
         SET state = $3, updated_at = now(), finished_at = CASE WHEN $4 THEN NULL ELSE now() END
         WHERE id = $1 AND state = $2",
    )
    .bind(id)
    .bind(from.as_str())
    .bind(to.as_str())
    .bind(to.is_alive())
    .execute(&mut *connection)
    .await?
    .rows_affected()
        == 1;
    let news = match (from, to) {
        (_, State::Completed) => Some(EventKind::Completed),
        (State::Planning, State::Upserting | State::Finishing) => Some(EventKind::Planned),
        _ => None,
    };
    if let Some(kind) = news.filter(|_| moved) {
        announce(connection, id, kind).await?;
    }
    Ok(moved)
}

/// Lets a harvest whose plan is made wait for a person, and announces it with the reason; `false` when it is not planning any
/// more.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn await_approval(connection: &mut PgConnection, id: Uuid, reason: &str) -> Result<bool, sqlx::Error> {
    if !advance(connection, id, State::Planning, State::AwaitingApproval).await? {
        return Ok(false);
    }
    sqlx::query("UPDATE passereau.harvest SET reason = $2 WHERE id = $1")
        .bind(id)
        .bind(reason)
        .execute(&mut *connection)
        .await?;
    announce(connection, id, EventKind::Planned).await?;
    announce(connection, id, EventKind::AwaitingApproval).await?;
    Ok(true)
}

/// Lets a harvest that waited for it apply its plan; `false` when it does not wait any more.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn approve(connection: &mut PgConnection, id: Uuid, by: Option<&str>) -> Result<bool, sqlx::Error> {
    if !advance(connection, id, State::AwaitingApproval, State::Upserting).await? {
        return Ok(false);
    }
    sqlx::query("UPDATE passereau.harvest SET reason = NULL, approved_at = now(), approved_by = $2 WHERE id = $1")
        .bind(id)
        .bind(by)
        .execute(connection)
        .await?;
    Ok(true)
}

/// Ends a harvest that is alive, with its reason, and announces it. Messages of it that still wait are taken back: what
/// is left to do can be derived ([`crate::revive`]).
/// `false` when it had ended before.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn fail(connection: &mut PgConnection, id: Uuid, reason: &str) -> Result<bool, sqlx::Error> {
    let failed = sqlx::query(
        "UPDATE passereau.harvest
         SET state = 'failed', failed_state = state, reason = $2, updated_at = now(), finished_at = now()
         WHERE id = $1 AND state NOT IN ('completed', 'failed', 'cancelled')",
    )
    .bind(id)
    .bind(reason)
    .execute(&mut *connection)
    .await?
    .rows_affected()
        == 1;
    if failed {
        sqlx::query("DELETE FROM passereau.outbox WHERE harvest_id = $1 AND exchange = 'work'")
            .bind(id)
            .execute(&mut *connection)
            .await?;
        announce(connection, id, EventKind::Failed).await?;
    }
    Ok(failed)
}
