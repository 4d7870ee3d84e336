//! The handler: plan, approval, slice, finish.

use std::time::Duration;

use passereau_contracts::{HarvestApprove, HarvestFinish, HarvestPlan, SyntheseUpsert, UpserterTask};
use passereau_harvest::{Due, State, advance, approve, await_approval, due_reconversions, find, in_state, reconvert};
use passereau_runner::{Context, Done, Outcome, Stop, Worker};
use passereau_telemetry::{Metrics, RecordOutcome, Stage as Counted, spans::database};
use sqlx::{PgPool, Postgres, Transaction};
use tracing::Instrument;
use uuid::Uuid;

use crate::bounded;
use crate::config::UpserterConfig;
use crate::error::{stop, took_too_long};
use crate::functions::{self, Applied, Beside};

/// The worker.
#[derive(Clone, Debug)]
pub struct Upserter {
    config: UpserterConfig,
}

impl Upserter {
    /// There is nothing to prepare: the database is checked by the first function that needs it.
    #[must_use]
    pub fn new(config: &UpserterConfig) -> Self {
        Self { config: config.clone() }
    }

    /// Chunk after chunk, each in its own transaction; the last one sends the slices.
    async fn plan(&self, context: &Context, harvest_id: Uuid) -> Outcome {
        if in_state(context.pool(), harvest_id, &[State::Planning]).await?.is_none() {
            return Ok(Done::nothing());
        }
        loop {
            let (records, seconds) = (self.config.plan_chunk_records, self.config.transaction_s);
            let chunk =
                bounded::plan(context.pool(), harvest_id, records, seconds).instrument(database("make plan")).await?;
            tracing::info!(%harvest_id, read = chunk.read, planned = chunk.planned, done = chunk.done, "a chunk is planned");
            let unchanged = u64::try_from(chunk.read - chunk.planned).unwrap_or(0);
            context.metrics().records(Counted::Planned, RecordOutcome::Unchanged, unchanged);
            context.metrics().records(
                Counted::Planned,
                RecordOutcome::Planned,
                u64::try_from(chunk.planned).unwrap_or(0),
            );
            if chunk.done {
                break;
            }
            if context.must_pause() {
                return Ok(Done::with(context.begin().await?).again(Duration::ZERO, "the plan goes on"));
            }
        }
        let mut tx = context.begin().await?;
        // Answers again what the last chunk answered; a second copy of this message may have been faster.
        let planned = functions::plan(&mut *tx, harvest_id, self.config.plan_chunk_records).await.map_err(stop)?;
        if let Some(reason) = functions::awaits_approval(&mut *tx, harvest_id).await.map_err(stop)? {
            if await_approval(&mut tx, harvest_id, &reason).await? {
                tracing::info!(%harvest_id, reason, "the plan waits for approval");
            }
            return Ok(Done::with(tx));
        }
        if !advance(&mut tx, harvest_id, State::Planning, State::Upserting).await? {
            return Ok(Done::with(tx));
        }
        send_slices(tx, harvest_id, planned.slices.unwrap_or(0)).await
    }

    /// Applies exactly the plan that was looked at; one that is out of date is made anew, and waits once more.
    async fn approve(&self, context: &Context, message: &HarvestApprove) -> Outcome {
        let HarvestApprove { harvest_id, by, planned_at } = message;
        let mut tx = context.begin().await?;
        let Some(harvest) = find(&mut *tx, *harvest_id).await? else {
            return Err(Stop::reject(format!(
                "there is no harvest {harvest_id} to approve: `passereau harvest list` shows those that there are"
            )));
        };
        if harvest.state == State::Planning {
            return Err(Stop::snooze(Duration::from_secs(2), "the plan is being made"));
        }
        let is_meant = planned_at.is_none_or(|meant| Some(meant) == harvest.planned_at);
        if harvest.state != State::AwaitingApproval || !is_meant {
            tracing::info!(%harvest_id, state = %harvest.state, is_meant, "approved, but this plan does not wait for approval");
            return Ok(Done::with(tx));
        }
        if let Some(reason) = functions::plan_out_of_date(&mut *tx, *harvest_id).await.map_err(stop)? {
            if !advance(&mut tx, *harvest_id, State::AwaitingApproval, State::Planning).await? {
                return Ok(Done::with(tx));
            }
            tracing::info!(%harvest_id, reason, "the plan is out of date and is made anew");
            functions::renew_plan(&mut *tx, *harvest_id, &reason).await.map_err(stop)?;
            return Done::with(tx).send(&HarvestPlan { harvest_id: *harvest_id });
        }
        if !approve(&mut tx, *harvest_id, by.as_deref()).await? {
            return Ok(Done::with(tx));
        }
        // The last chunk of a complete plan answers again how many slices there are.
        let planned = functions::plan(&mut *tx, *harvest_id, self.config.plan_chunk_records).await.map_err(stop)?;
        send_slices(tx, *harvest_id, planned.slices.unwrap_or(0)).await
    }

    async fn upsert(&self, context: &Context, message: &SyntheseUpsert) -> Outcome {
        let SyntheseUpsert { harvest_id, slice } = *message;
        let ordinal = i32::try_from(slice).map_err(|_| Stop::reject(format!("slice {slice} cannot exist")))?;
        if in_state(context.pool(), harvest_id, &[State::Upserting]).await?.is_none() {
            return Ok(Done::nothing());
        }
        let gate = functions::gate(context.pool(), harvest_id, ordinal).await?;
        if let Some(seconds) = gate.and_then(|gate| gate.opens_in_seconds) {
            return Err(Stop::snooze(Duration::from_secs_f64(seconds.max(1.0)), "the platform's hours are over"));
        }
        if gate.is_some_and(|gate| gate.is_too_large) {
            return bounded::cut(context, message, ordinal, self.config.transaction_s).await;
        }
        let mut tx = context.begin().await?;
        // Another slice may have failed the harvest meanwhile: its successor's plan must not meet this one's rows.
        if in_state(&mut *tx, harvest_id, &[State::Upserting]).await?.is_none() {
            return Ok(Done::with(tx));
        }
        bounded::set(&mut tx, self.config.transaction_s).await?;
        let applied = match functions::apply(&mut *tx, harvest_id, ordinal).instrument(database("write slice")).await {
            Err(error) if took_too_long(&error) => {
                tx.rollback().await?;
                return bounded::cut(context, message, ordinal, self.config.transaction_s).await;
            }
            applied => applied.map_err(stop)?,
        };
        bounded::lift(&mut tx).await?;
        if applied.already {
            return Ok(Done::with(tx));
        }
        let beside = functions::beside(&mut tx, harvest_id, ordinal).await?;
        if applied.slices_left == 0 && advance(&mut tx, harvest_id, State::Upserting, State::Finishing).await? {
            return Done::with(tx).count(tell(applied, beside)).send(&HarvestFinish { harvest_id });
        }
        Ok(Done::with(tx).count(tell(applied, beside)))
    }

    async fn finish(&self, context: &Context, harvest_id: Uuid) -> Outcome {
        if in_state(context.pool(), harvest_id, &[State::Finishing]).await?.is_none() {
            return Ok(Done::nothing());
        }
        let mut tx = context.begin().await?;
        functions::finish(&mut *tx, harvest_id).instrument(database("finish harvest")).await.map_err(stop)?;
        advance(&mut tx, harvest_id, State::Finishing, State::Completed).await?;
        Ok(Done::with(tx))
    }
}

/// The slices of a plan that may be applied; none at all is the end of it.
async fn send_slices(mut tx: Transaction<'static, Postgres>, harvest_id: Uuid, slices: i32) -> Outcome {
    let slices = u32::try_from(slices).unwrap_or(0);
    if slices == 0 {
        advance(&mut tx, harvest_id, State::Upserting, State::Finishing).await?;
        return Done::with(tx).send(&HarvestFinish { harvest_id });
    }
    let mut done = Done::with(tx);
    for slice in 0..slices {
        done = done.send(&SyntheseUpsert { harvest_id, slice })?;
    }
    Ok(done)
}

async fn convert_again(pool: &PgPool, due: &Due) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    if let Some(harvest_id) = reconvert(&mut tx, &due.subscription, &due.why).await? {
        tracing::info!(%harvest_id, subscription = due.subscription, why = due.why, "converting again");
    }
    tx.commit().await
}

/// Tells what a slice came to.
fn tell(applied: Applied, beside: Beside) -> impl FnOnce(&Metrics) + Send + 'static {
    let known = |count: i32| u64::try_from(count).unwrap_or(0);
    move |metrics| {
        for (outcome, count) in [
            (RecordOutcome::Inserted, applied.inserted),
            (RecordOutcome::Updated, applied.updated),
            (RecordOutcome::Rejected, applied.rejected),
            (RecordOutcome::Kept, applied.kept),
            (RecordOutcome::Vanished, beside.vanished),
        ] {
            metrics.records(Counted::Upserted, outcome, known(count));
        }
        for (reason, count) in beside.rejects {
            metrics.rejected(&reason, u64::try_from(count).unwrap_or(0));
        }
    }
}

impl Worker for Upserter {
    const NAME: &'static str = "upserter";
    type Task = UpserterTask;

    fn looks_out_every(&self) -> Option<Duration> {
        (self.config.reconvert_seconds > 0).then(|| Duration::from_secs(self.config.reconvert_seconds))
    }

    async fn look_out(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let trimmed = functions::trim_areas(pool).await?;
        if trimmed > 0 {
            tracing::info!(
                trimmed,
                "areas have changed: obscured positions have lost those that say more than they may"
            );
        }
        for due in due_reconversions(pool).await? {
            // One that cannot be converted holds up none of the others.
            if let Err(error) = convert_again(pool, &due).await {
                tracing::warn!(subscription = due.subscription, %error, "cannot be converted again now, tried at the next look");
            }
        }
        Ok(())
    }

    async fn handle(&self, context: &Context, task: UpserterTask) -> Outcome {
        match task {
            UpserterTask::Plan(message) => self.plan(context, message.harvest_id).await,
            UpserterTask::Approve(message) => self.approve(context, &message).await,
            UpserterTask::Upsert(message) => self.upsert(context, &message).await,
            UpserterTask::Finish(message) => self.finish(context, message.harvest_id).await,
        }
    }
}
