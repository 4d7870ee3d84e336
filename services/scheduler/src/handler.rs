//! The worker: looks for what is due; `retention.run` takes away what has expired.

use std::sync::Arc;
use std::time::Duration;

use passereau_contracts::SchedulerTask;
use passereau_retention::{CLAIM, RetentionError, Run, run_while};
use passereau_runner::{Context, Done, Outcome, Stop, Worker};
use passereau_store::Store;
use passereau_telemetry::Metrics;
use sqlx::PgPool;

use crate::{ScheduleConfig, SchedulerConfig, fire, state::StateReader};

/// How soon a retention that did not get everything done is tried again: who reads a table for long has ended by then.
const AGAIN: Duration = Duration::from_secs(3600);

/// The worker.
#[derive(Clone, Debug)]
pub struct Scheduler {
    store: Store,
    config: ScheduleConfig,
    state: Arc<StateReader>,
}

impl Scheduler {
    /// Opens the store.
    ///
    /// # Errors
    /// A setting is wrong; the error names it.
    pub fn new(config: &SchedulerConfig) -> anyhow::Result<Self> {
        Ok(Self { store: Store::open(&config.store)?, config: config.schedule.clone(), state: Arc::default() })
    }
}

impl Worker for Scheduler {
    const NAME: &'static str = "scheduler";
    type Task = SchedulerTask;

    fn looks_out_every(&self) -> Option<Duration> {
        Some(self.config.look())
    }

    async fn look_out(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let now = fire::now(pool).await?;
        fire::fire_due(pool, now).await.map(|_| ())
    }

    fn observes(&self) -> bool {
        true
    }

    async fn observe(&self, pool: &PgPool, metrics: &Metrics) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.state.read(pool, metrics).await
    }

    async fn handle(&self, context: &Context, _task: SchedulerTask) -> Outcome {
        let claim = context.claim(CLAIM).await?;
        let run = run_while(context.pool(), &self.store, || !context.must_pause()).await.map_err(stop)?;
        let Run { is_paused, error, .. } = run;
        if is_paused {
            return Err(Stop::snooze(Duration::ZERO, "the retention has paused and goes on"));
        }
        if let Some(error) = error {
            return Err(Stop::retry_after(
                format!(
                    "not everything that has expired could be taken away: {error}; `passereau retention plan` shows what is left"
                ),
                Some(AGAIN),
            ));
        }
        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        Ok(Done::with(tx))
    }
}

fn stop(error: RetentionError) -> Stop {
    match error {
        RetentionError::Database { source, .. } => source.into(),
        other => Stop::retry(other),
    }
}
