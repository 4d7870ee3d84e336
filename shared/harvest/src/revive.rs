//! Taking a failed harvest up again where it stopped.
//!
//! What is left to do is derived from the harvest's state and its slices; no message has to be remembered for it. Every
//! stage can be repeated, so a message that comes twice does no harm.

use passereau_contracts::{
    ArchiveFetch, ArchiveLoad, DatasetDescribe, DownloadPoll, DownloadRequest, HarvestFinish, HarvestPlan, InatEnrich,
    Message, SyntheseUpsert,
};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Stage, State, advance};

/// A message that is still to be sent for a harvest.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Its kind.
    pub kind: &'static str,
    /// Its body.
    pub body: Value,
}

/// What became of the wish to go on.
#[derive(Clone, Debug, PartialEq)]
pub enum Revived {
    /// The harvest is alive again; these messages bring it along.
    Resumed(Vec<Pending>),
    /// The harvest does not exist or has not failed: there is nothing to take up.
    NotFailed,
    /// Another harvest of the subscription is alive.
    Busy(Uuid),
    /// A later harvest of the subscription is complete; its data are newer.
    Superseded(Uuid),
}

/// Brings a failed harvest back to the state in which it failed. A pause that was ordered before it failed ends.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn revive(connection: &mut PgConnection, id: Uuid) -> Result<Revived, sqlx::Error> {
    let other: Option<(Uuid, bool)> = sqlx::query_as(
        "SELECT other.id, other.state = 'completed' FROM passereau.harvest h
         JOIN passereau.harvest other ON other.subscription = h.subscription AND other.id <> h.id
         WHERE h.id = $1 AND h.state = 'failed'
           AND (other.state NOT IN ('completed', 'failed', 'cancelled')
                OR other.state = 'completed' AND other.created_at > h.created_at)
         ORDER BY other.state = 'completed' DESC LIMIT 1",
    )
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    match other {
        Some((newer, true)) => return Ok(Revived::Superseded(newer)),
        Some((busy, false)) => return Ok(Revived::Busy(busy)),
        None => {}
    }
    let state: Option<String> = sqlx::query_scalar(
        "UPDATE passereau.harvest
         SET state = failed_state, failed_state = NULL, reason = NULL, paused_at = NULL, paused_reason = NULL,
             finished_at = NULL, updated_at = now()
         WHERE id = $1 AND state = 'failed' AND failed_state IS NOT NULL
         RETURNING state",
    )
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(state) = state else { return Ok(Revived::NotFailed) };
    let state: State = state.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    pending(connection, id, state).await.map(Revived::Resumed)
}

/// The last slice may have been done while the harvest counted as failed; then the next stage is due.
async fn pending(connection: &mut PgConnection, id: Uuid, state: State) -> Result<Vec<Pending>, sqlx::Error> {
    let one = |message: Result<Pending, sqlx::Error>| message.map(|pending| vec![pending]);
    match state {
        State::Requested | State::Requesting => one(message(&DownloadRequest { harvest_id: id })),
        State::Preparing => one(message(&DownloadPoll { harvest_id: id })),
        State::Fetching => one(message(&ArchiveFetch { harvest_id: id })),
        State::Loading => one(message(&ArchiveLoad { harvest_id: id })),
        State::Planning => one(message(&HarvestPlan { harvest_id: id })),
        State::Finishing => one(message(&HarvestFinish { harvest_id: id })),
        State::Enriching => {
            let batches = undone(connection, id, Stage::Enrich).await?;
            if batches.is_empty() && advance(connection, id, state, State::Planning).await? {
                return one(message(&HarvestPlan { harvest_id: id }));
            }
            let of_batch = |Undone { ordinal, of_datasets }| match of_datasets {
                true => message(&DatasetDescribe { harvest_id: id, batch: ordinal }),
                false => message(&InatEnrich { harvest_id: id, batch: ordinal }),
            };
            batches.into_iter().map(of_batch).collect()
        }
        State::Upserting => {
            let slices = undone(connection, id, Stage::Upsert).await?;
            if slices.is_empty() && advance(connection, id, state, State::Finishing).await? {
                return one(message(&HarvestFinish { harvest_id: id }));
            }
            slices.into_iter().map(|slice| message(&SyntheseUpsert { harvest_id: id, slice: slice.ordinal })).collect()
        }
        State::AwaitingApproval | State::Completed | State::Failed | State::Cancelled => Ok(Vec::new()),
    }
}

fn message<M: Message>(message: &M) -> Result<Pending, sqlx::Error> {
    let body = serde_json::to_value(message).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    Ok(Pending { kind: M::KIND, body })
}

/// A slice or batch that is still to be done.
struct Undone {
    ordinal: u32,
    of_datasets: bool,
}

async fn undone(connection: &mut PgConnection, id: Uuid, stage: Stage) -> Result<Vec<Undone>, sqlx::Error> {
    let rows: Vec<(i32, bool)> = sqlx::query_as(
        "SELECT ordinal, dataset_keys IS NOT NULL FROM passereau.slice
         WHERE harvest_id = $1 AND stage = $2 AND done_at IS NULL ORDER BY ordinal",
    )
    .bind(id)
    .bind(stage.as_str())
    .fetch_all(connection)
    .await?;
    let undone = |(ordinal, of_datasets)| Some(Undone { ordinal: u32::try_from(ordinal).ok()?, of_datasets });
    Ok(rows.into_iter().filter_map(undone).collect())
}
