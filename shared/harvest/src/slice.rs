//! Fan-out and join: the parts of a stage, counted down to zero.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{State, advance};

/// A stage that is done in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Batches of iNaturalist ids, and one of datasets.
    Enrich,
    /// Slices of the synthèse.
    Upsert,
}

impl Stage {
    /// The value of column `passereau.slice.stage`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrich => "enrich",
            Self::Upsert => "upsert",
        }
    }
}

/// Sets the counter of a stage to the number of its slices, which the caller inserted in the same transaction. Returns
/// how many there are.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn fan_out(connection: &mut PgConnection, harvest_id: Uuid, stage: Stage) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE passereau.harvest
         SET slices_left = (SELECT count(*) FROM passereau.slice
                            WHERE harvest_id = $1 AND stage = $2 AND done_at IS NULL),
             updated_at = now()
         WHERE id = $1
         RETURNING slices_left",
    )
    .bind(harvest_id)
    .bind(stage.as_str())
    .fetch_one(connection)
    .await
}

/// Marks a slice as done and counts down; returns how many are left. Whoever gets 0 sends the next stage. `None` when the
/// slice was done before.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn count_down(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    stage: Stage,
    ordinal: i32,
) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH done AS (
             UPDATE passereau.slice SET done_at = now()
             WHERE harvest_id = $1 AND stage = $2 AND ordinal = $3 AND done_at IS NULL
             RETURNING harvest_id)
         UPDATE passereau.harvest h SET slices_left = slices_left - 1, updated_at = now()
         FROM done WHERE h.id = done.harvest_id
         RETURNING slices_left",
    )
    .bind(harvest_id)
    .bind(stage.as_str())
    .bind(ordinal)
    .fetch_optional(connection)
    .await
}

/// Counts a batch of the enrichment down. `true` when it was the last and the harvest has gone on to its plan: the caller
/// sends `harvest.plan`.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn end_batch(connection: &mut PgConnection, harvest_id: Uuid, ordinal: i32) -> Result<bool, sqlx::Error> {
    let left = count_down(connection, harvest_id, Stage::Enrich, ordinal).await?;
    Ok(left == Some(0) && advance(connection, harvest_id, State::Enriching, State::Planning).await?)
}
