//! Converting a current generation again, so that records that waited enter without another download.
//!
//! What makes a subscription due stands in `migrations/functions/85_reconvert.sql`. A reconversion is a harvest like another
//! from `enriching` (when iNaturalist or the registry is still to be asked) or `planning` on: it has its own id, counts and events.

use passereau_contracts::{DatasetDescribe, EventKind, HarvestPlan, InatEnrich, Message};
use passereau_database::outbox::{Exchange, OutboxRow, enqueue};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{Stage, State, advance, announce, cut_batches, fan_out};

/// A subscription whose current generation would come out otherwise today.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Due {
    /// Its name.
    pub subscription: String,
    /// The first reason, in words.
    pub why: String,
}

/// Subscriptions that are due, by name. None while the database is not prepared for harvests.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn due_reconversions(pool: &PgPool) -> Result<Vec<Due>, sqlx::Error> {
    let due = sqlx::query_as("SELECT subscription, why FROM passereau.due_reconversions()").fetch_all(pool).await;
    match due {
        // PS001: `passereau install` has yet to be run. Harvests say so; a look-out has nothing to look for.
        Err(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some("PS001") => Ok(Vec::new()),
        due => due,
    }
}

/// Starts the reconversion of a subscription, for a reason in words, and returns its harvest. `None` when the subscription has no current
/// generation, or a harvest alive: then that one will do it.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn reconvert(
    connection: &mut PgConnection,
    subscription: &str,
    why: &str,
) -> Result<Option<Uuid>, sqlx::Error> {
    let harvest_id = Uuid::now_v7();
    let started: Option<Uuid> = sqlx::query_scalar("SELECT passereau.reconvert($1, $2, 'reconvert', $3)")
        .bind(subscription)
        .bind(harvest_id)
        .bind(why)
        .fetch_one(&mut *connection)
        .await?;
    if started.is_none() {
        return Ok(None);
    }
    announce(connection, harvest_id, EventKind::Started).await?;
    let generation_id: i64 = sqlx::query_scalar("SELECT generation_id FROM passereau.harvest WHERE id = $1")
        .bind(harvest_id)
        .fetch_one(&mut *connection)
        .await?;
    let batches = cut_batches(connection, harvest_id, generation_id).await?;
    let next = if batches.is_empty() {
        vec![row(harvest_id, &HarvestPlan { harvest_id })?]
    } else {
        advance(connection, harvest_id, State::Planning, State::Enriching).await?;
        fan_out(connection, harvest_id, Stage::Enrich).await?;
        let of_ids = (0..batches.inaturalist).map(|batch| row(harvest_id, &InatEnrich { harvest_id, batch }));
        let of_datasets = batches.datasets.map(|batch| row(harvest_id, &DatasetDescribe { harvest_id, batch }));
        of_ids.chain(of_datasets).collect::<Result<_, _>>()?
    };
    enqueue(connection, &next).await?;
    Ok(Some(harvest_id))
}

fn row<M: Message>(harvest_id: Uuid, message: &M) -> Result<OutboxRow, sqlx::Error> {
    let body = serde_json::to_value(message).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    Ok(OutboxRow::new(Exchange::Work, M::KIND, M::VERSION, body, Some(harvest_id)))
}
