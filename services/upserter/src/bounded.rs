//! Transactions of a minute at most: what takes longer is taken back and done in halves.
//!
//! PostgreSQL itself ends the statement (`statement_timeout`, set for the transaction only), so nothing that it did stays.
//! A step that waits for another session's lock for half of that time is no reason for halves: it is taken back as well
//! and comes again.

use passereau_contracts::SyntheseUpsert;
use passereau_harvest::{State, in_state};
use passereau_runner::{Context, Done, Outcome, Stop};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

use crate::error;
use crate::functions::{self, Planned};

/// Fewest records of a step of the plan: below it, something else than their number takes the time.
const SMALLEST_STEP: i32 = 1000;

/// Sets the limits of the transaction.
pub(crate) async fn set(connection: &mut PgConnection, seconds: u32) -> Result<(), sqlx::Error> {
    limit(connection, seconds.saturating_mul(1000), seconds.saturating_mul(500)).await
}

/// Lifts them: a commit that PostgreSQL would end leaves open what became of it.
pub(crate) async fn lift(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    limit(connection, 0, 0).await
}

async fn limit(connection: &mut PgConnection, statement_ms: u32, lock_ms: u32) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true)")
        .bind(statement_ms.to_string())
        .bind(lock_ms.to_string())
        .execute(connection)
        .await
        .map(|_| ())
}

/// The next step of a plan, in a transaction of its own; when it takes too long, half of it, and the harvest remembers.
pub(crate) async fn plan(pool: &PgPool, harvest_id: Uuid, most: i32, seconds: u32) -> Result<Planned, Stop> {
    let remembered: Option<i32> = sqlx::query_scalar("SELECT plan_limit FROM passereau.harvest WHERE id = $1")
        .bind(harvest_id)
        .fetch_optional(pool)
        .await?
        .flatten();
    let records = remembered.unwrap_or(most).min(most);
    let mut tx = pool.begin().await?;
    // It may have failed meanwhile, and another harvest of the subscription may have begun.
    if !passereau_harvest::hold(&mut tx, harvest_id).await?
        || in_state(&mut *tx, harvest_id, &[State::Planning]).await?.is_none()
    {
        return Err(Stop::Cancelled);
    }
    set(&mut tx, seconds).await?;
    match functions::plan(&mut *tx, harvest_id, records).await {
        Ok(planned) => {
            lift(&mut tx).await?;
            tx.commit().await?;
            Ok(planned)
        }
        Err(error) if error::took_too_long(&error) => {
            tx.rollback().await?;
            if records <= SMALLEST_STEP {
                return Err(Stop::retry(format!(
                    "planning {records} records of harvest {harvest_id} takes longer than {seconds} s; look for what \
                     keeps the database busy, or allow more with PASSEREAU_TRANSACTION_S"
                )));
            }
            let half = (records / 2).max(SMALLEST_STEP);
            sqlx::query("UPDATE passereau.harvest SET plan_limit = $2, updated_at = now() WHERE id = $1")
                .bind(harvest_id)
                .bind(half)
                .execute(pool)
                .await?;
            let because = format!("a step of {records} records takes longer than {seconds} s, {half} are tried");
            tracing::warn!(%harvest_id, because);
            Err(Stop::snooze(Duration::ZERO, because))
        }
        Err(error) => Err(error::stop(error)),
    }
}

/// Cuts a slice in two and sends both halves.
pub(crate) async fn cut(context: &Context, message: &SyntheseUpsert, ordinal: i32, seconds: u32) -> Outcome {
    let SyntheseUpsert { harvest_id, slice } = *message;
    let mut tx = context.begin().await?;
    let Some(second) = functions::split_slice(&mut *tx, harvest_id, ordinal).await? else {
        tx.rollback().await?;
        return Err(Stop::retry(format!(
            "slice {slice} of harvest {harvest_id}, which holds one record, takes longer than {seconds} s; look for what \
             slows GeoNature's triggers down or keeps the database busy, or allow more with PASSEREAU_TRANSACTION_S"
        )));
    };
    tracing::info!(%harvest_id, slice, second, "a slice takes too long, it is cut in two");
    let second = u32::try_from(second).map_err(|_| Stop::reject(format!("slice {second} cannot exist")))?;
    Done::with(tx).send(&SyntheseUpsert { harvest_id, slice })?.send(&SyntheseUpsert { harvest_id, slice: second })
}
