//! The handler: one call for one batch.

use crate::answers;
use crate::config::EnricherConfig;
use crate::verdict::{Verdict, judge};
use passereau_contracts::{EnricherTask, HarvestPlan, InatEnrich};
use passereau_harvest::{State, end_batch, in_state, pace};
use passereau_http::{HttpClient, chain};
use passereau_inaturalist::{InaturalistClient, InaturalistError, Lookup, MOST_IDS};
use passereau_runner::{Context, Done, Outcome, Stop, Worker};
use passereau_telemetry::{Api, CallOutcome, Metrics, RecordOutcome, Stage as Counted, catalogue, spans::database};
use sqlx::{PgPool, Postgres, Transaction};
use std::time::Duration;
use tracing::Instrument;

/// The worker.
#[derive(Clone, Debug)]
pub struct Enricher {
    client: InaturalistClient,
    config: EnricherConfig,
    /// Name of the budget: one for each address.
    budget: String,
}

impl Enricher {
    /// Prepares the client.
    ///
    /// # Errors
    /// A setting is wrong (no contact in the `User-Agent`, no web address); the error names it.
    pub fn new(config: &EnricherConfig) -> anyhow::Result<Self> {
        let client = InaturalistClient::new(HttpClient::new(&config.http)?, &config.inaturalist)?;
        let budget = format!("inaturalist {}", client.base_url());
        Ok(Self { client, config: config.clone(), budget })
    }

    async fn enrich(&self, context: &Context, message: &InatEnrich) -> Outcome {
        let InatEnrich { harvest_id, batch } = *message;
        let ordinal = i32::try_from(batch).map_err(|_| Stop::reject(format!("batch {batch} cannot exist")))?;
        if in_state(context.pool(), harvest_id, &[State::Enriching]).await?.is_none() {
            return Ok(Done::nothing());
        }
        let fields = answers::wanted(context.pool(), harvest_id).await?;
        let absent_again = self.config.lookup.absent_again;
        let unanswered = answers::unanswered(context.pool(), harvest_id, ordinal, fields, absent_again).await?;
        let Some(mut ids) = unanswered else {
            return Ok(Done::nothing());
        };
        if ids.is_empty() {
            return finish(context.begin().await?, message, ordinal).await;
        }
        let is_last_call = ids.len() <= MOST_IDS;
        ids.truncate(MOST_IDS);
        let Some(failures) = context.turn(&self.budget, &self.config.lookup.limits()).await? else {
            context.metrics().api_called(Api::Inaturalist, CallOutcome::Resting);
            tracing::info!(%harvest_id, batch, ids = ids.len(), "iNaturalist rests, going on without these UUIDs");
            return finish(context.begin().await?, message, ordinal).await;
        };
        match self.client.lookup(&ids, fields).await {
            Ok(lookup) => {
                context.metrics().api_called(Api::Inaturalist, CallOutcome::Answered);
                let mut tx = context.begin().await?;
                answers::keep(&mut tx, &lookup, fields).instrument(database("keep answers")).await?;
                pace::succeeded(&mut tx, &self.budget).await?;
                if is_last_call {
                    Ok(finish(tx, message, ordinal).await?.count(looked_up(&lookup)))
                } else {
                    let done = Done::with(tx).count(looked_up(&lookup));
                    Ok(done.again(Duration::ZERO, "the batch has more ids than a call"))
                }
            }
            Err(error) => {
                context.metrics().api_called(Api::Inaturalist, CallOutcome::Failed);
                let failures = self.count_failure(context, &error, failures).await?;
                let failures = failures.max(context.attempt().saturating_add(1));
                match judge(&error, failures, self.config.lookup.inaturalist_attempts) {
                    Verdict::Retry { error, after } => Err(Stop::retry_after(error, after)),
                    Verdict::Refuse(reason) => Err(Stop::reject(reason)),
                    Verdict::GoOnWithout { error } => {
                        tracing::warn!(%harvest_id, batch, ids = ids.len(), error, "going on without these UUIDs");
                        finish(context.begin().await?, message, ordinal).await
                    }
                }
            }
        }
    }

    /// Counts a failure of iNaturalist's for the whole fleet; gives its failures in a row.
    async fn count_failure(&self, context: &Context, error: &InaturalistError, before: i32) -> Result<i32, Stop> {
        if error.is_ours() {
            return Ok(before);
        }
        let failure =
            pace::Failure { failures: before, asked: error.retry_after(), never_arrived: error.never_arrived() };
        let limits = self.config.lookup.limits();
        let failures = pace::failed(&mut *context.pool().acquire().await?, &self.budget, &limits, &failure).await?;
        if failures > before && failures >= limits.most_failures {
            tracing::error!(
                failures,
                error = chain(error),
                rest_s = limits.rest.as_secs(),
                "iNaturalist has failed too often in a row and is left alone; records without a known UUID wait for a later harvest"
            );
        }
        Ok(failures)
    }
}

/// Counts the batch down; the last one sends the plan.
async fn finish(mut tx: Transaction<'static, Postgres>, message: &InatEnrich, ordinal: i32) -> Outcome {
    let harvest_id = message.harvest_id;
    let is_last = end_batch(&mut tx, harvest_id, ordinal).await?;
    let done = Done::with(tx);
    if is_last { done.send(&HarvestPlan { harvest_id }) } else { Ok(done) }
}

/// Tells what became of the ids of a call.
fn looked_up(lookup: &Lookup) -> impl FnOnce(&Metrics) + Send + 'static {
    let (found, absent) = (lookup.found.len() as u64, lookup.absent.len() as u64);
    move |metrics| {
        metrics.records(Counted::Enriched, RecordOutcome::Found, found);
        metrics.records(Counted::Enriched, RecordOutcome::Absent, absent);
    }
}

impl Worker for Enricher {
    const NAME: &'static str = "inat-enricher";
    type Task = EnricherTask;

    /// One more than the handler's own budget, so that it is the handler that gives up.
    fn max_attempts(&self) -> i32 {
        self.config.lookup.inaturalist_attempts.saturating_add(1)
    }

    fn observes(&self) -> bool {
        true
    }

    /// Only the enrichers know how many calls a day may have.
    async fn observe(&self, pool: &PgPool, metrics: &Metrics) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let used = pace::used_today(pool, &self.budget).await?;
        let per_day = self.config.lookup.inaturalist_per_day;
        let api = || vec![Api::Inaturalist.as_str().to_owned()];
        metrics.show(&catalogue::API_CALLS_PER_DAY, [(api(), f64::from(per_day))]);
        metrics.show(&catalogue::API_CALLS_LEFT, [(api(), f64::from(per_day.saturating_sub(used)))]);
        Ok(())
    }

    async fn handle(&self, context: &Context, task: EnricherTask) -> Outcome {
        self.enrich(context, &task.0).await
    }
}
