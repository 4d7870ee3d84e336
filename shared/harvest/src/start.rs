//! Accepting a request: a new harvest, or the one that is already on its way.

use passereau_contracts::EventKind;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{State, announce};

/// A request that has been validated.
#[derive(Clone, Debug)]
pub struct NewHarvest {
    /// Id of the harvest to be.
    pub id: Uuid,
    /// Its subscription; `None` makes one of its own, named by the harvest's id.
    pub subscription: Option<String>,
    /// The subscription's settings from now on; `None` leaves those that it has.
    pub settings: Option<Value>,
    /// The request, its query normalised.
    pub request: Value,
    /// Digest of the request: equal requests have equal digests.
    pub digest: String,
    /// Whether an equal request that is alive is joined: a request without an identity of its own cannot be told from a
    /// second copy.
    pub joins: bool,
    /// Whether it stops once its plan is made, until somebody approves it.
    pub plan_only: bool,
    /// The state it starts in.
    pub state: State,
    /// GBIF account, for a query.
    pub account: Option<String>,
    /// Key of a download that exists.
    pub download_key: Option<String>,
    /// Object key of an archive that exists.
    pub archive_key: Option<String>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// A new harvest.
    New(Uuid),
    /// The same request is alive: the caller joins that harvest.
    Joined(Uuid),
    /// The subscription has another harvest alive; it comes first.
    Busy(Uuid),
}

/// Makes the harvest and its subscription, and announces it, or says which harvest is in the way.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn start(connection: &mut PgConnection, new: &NewHarvest) -> Result<Started, sqlx::Error> {
    // Two copies of one request must not both find that nobody is alive.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('passereau.harvest.start'))").execute(&mut *connection).await?;
    let name = new.subscription.clone().unwrap_or_else(|| new.id.to_string());
    let alive: Option<(Uuid, bool)> = sqlx::query_as(
        "SELECT id, request_digest = $2 FROM passereau.harvest
         WHERE state NOT IN ('completed', 'failed', 'cancelled')
           AND (subscription = $1 OR ($3 AND request_digest = $2))
         ORDER BY request_digest = $2 DESC, created_at LIMIT 1",
    )
    .bind(&name)
    .bind(&new.digest)
    .bind(new.joins)
    .fetch_optional(&mut *connection)
    .await?;
    match alive {
        Some((id, true)) if new.joins => return Ok(Started::Joined(id)),
        Some((id, _)) => return Ok(Started::Busy(id)),
        None => {}
    }
    sqlx::query(
        "INSERT INTO passereau.subscription AS known (name, request, one_off, settings) VALUES ($1, $2, $3, coalesce($4, '{}'))
         ON CONFLICT (name) DO UPDATE
         SET request = excluded.request, settings = coalesce($4, known.settings), updated_at = now()",
    )
    .bind(&name)
    .bind(&new.request)
    .bind(new.subscription.is_none())
    .bind(&new.settings)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO passereau.harvest
             (id, subscription, state, request, request_digest, account, download_key, archive_key, plan_only, settings)
         SELECT $1, s.name, $3, $4, $5, $6, $7, $8, $9, s.settings FROM passereau.subscription s WHERE s.name = $2",
    )
    .bind(new.id)
    .bind(&name)
    .bind(new.state.as_str())
    .bind(&new.request)
    .bind(&new.digest)
    .bind(&new.account)
    .bind(&new.download_key)
    .bind(&new.archive_key)
    .bind(new.plan_only)
    .execute(&mut *connection)
    .await?;
    announce(connection, new.id, EventKind::Started).await?;
    Ok(Started::New(new.id))
}
