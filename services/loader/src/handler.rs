//! The handler: an archive of the store becomes the generation of its harvest.

use std::time::Duration;

use passereau_contracts::{DatasetDescribe, HarvestPlan, InatEnrich, LoaderTask};
use passereau_harvest::{Harvest, Stage, State, advance, cut_batches, fan_out, in_state};
use passereau_runner::{Context, Done, Outcome, Stop, Worker, is_database_absent};
use passereau_store::{ObjectKey, Store, StoreConfig, StoreError};
use passereau_telemetry::spans::database;
use sqlx::PgConnection;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Fence, Landed, LandedCounts, LandingConfig, LandingError, LandingInput, land, open_generation, read_documents,
};

/// Settings of the loader.
#[derive(clap::Args, Clone, Debug)]
pub struct LoaderConfig {
    /// Where the archives are.
    #[command(flatten)]
    pub store: StoreConfig,
    /// How they are landed.
    #[command(flatten)]
    pub landing: LandingConfig,
}

/// The worker.
#[derive(Debug)]
pub struct Loader {
    store: Store,
    landing: LandingConfig,
}

impl Loader {
    /// Opens the store.
    ///
    /// # Errors
    /// The store cannot be opened; the error names the setting.
    pub fn new(config: &LoaderConfig) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open(&config.store)?, landing: config.landing.clone() })
    }

    async fn load(&self, context: &Context, harvest: &Harvest) -> Outcome {
        let key = harvest.archive_key.as_deref().ok_or_else(|| {
            Stop::reject(format!("harvest {} has no archive to load; submit the request again", harvest.id))
        })?;
        let key = ObjectKey::parse(key).map_err(|error| Stop::reject(error.to_string()))?;
        let claim = context.claim(&format!("load {}", harvest.id)).await?;
        let fence = Fence { name: claim.name().to_owned(), token: claim.token() };
        let generation_id = open(context, harvest).await?;
        let file = self.store.open_seekable(&key).await.map_err(store_stop)?;
        let input = LandingInput {
            generation_id,
            file,
            multimedia: true,
            deadline: Some(context.deadline().into_std()),
            cancel: context.shutdown().clone(),
            fence: Some(fence.clone()),
            config: self.landing.clone(),
            metrics: Some(context.metrics().clone()),
        };
        let landed = land(context.pool(), input).instrument(database("land archive")).await;
        let counts = match landed.map_err(landing_stop)? {
            Landed::Finished { counts, report } => {
                tracing::info!(
                    generation_id,
                    read = counts.read,
                    landed = counts.landed,
                    duplicate = counts.duplicate,
                    malformed = counts.malformed,
                    missing_terms = report.missing_terms.len(),
                    "archive landed"
                );
                counts
            }
            Landed::Unfinished { cursor } => {
                return Err(Stop::snooze(Duration::ZERO, format!("landed up to record {}", cursor.occurrence)));
            }
        };
        self.read_documents(context, generation_id, &key, &fence).await?;
        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        record(&mut tx, harvest.id, generation_id, &counts).await?;
        let batches = cut_batches(&mut tx, harvest.id, generation_id).await?;
        let next = if batches.is_empty() { State::Planning } else { State::Enriching };
        if !advance(&mut tx, harvest.id, State::Loading, next).await? {
            return Ok(Done::with(tx));
        }
        let harvest_id = harvest.id;
        if batches.is_empty() {
            return Done::with(tx).send(&HarvestPlan { harvest_id });
        }
        fan_out(&mut tx, harvest_id, Stage::Enrich).await?;
        let done = (0..batches.inaturalist)
            .try_fold(Done::with(tx), |done, batch| done.send(&InatEnrich { harvest_id, batch }))?;
        match batches.datasets {
            Some(batch) => done.send(&DatasetDescribe { harvest_id, batch }),
            None => Ok(done),
        }
    }

    /// Keeps what the archive tells of its datasets.
    async fn read_documents(
        &self,
        context: &Context,
        generation_id: i64,
        key: &ObjectKey,
        fence: &Fence,
    ) -> Result<(), Stop> {
        let file = self.store.open_seekable(key).await.map_err(store_stop)?;
        let limits = self.landing.limits.clone();
        let pause = || context.must_pause();
        let read = read_documents(context.pool(), generation_id, file, limits, Some(fence), pause)
            .instrument(database("read documents"))
            .await;
        let Some(documents) = read.map_err(landing_stop)? else {
            return Err(Stop::snooze(Duration::ZERO, "some documents of datasets are still to be read"));
        };
        if documents.unreadable > 0 {
            let first = documents.samples.first().map(|document| format!("{}: {}", document.name, document.reason));
            tracing::warn!(
                generation_id,
                unreadable = documents.unreadable,
                first,
                "documents of datasets cannot be read"
            );
        }
        Ok(())
    }
}

/// Makes the generation before any of its rows, so that whoever takes the work over goes on with the same one.
async fn open(context: &Context, harvest: &Harvest) -> Result<i64, Stop> {
    let mut tx = context.begin_early().await?;
    let key = harvest.archive_key.as_deref().unwrap_or_default();
    let sha256 = harvest.archive_sha256.as_deref();
    let generation_id = open_generation(&mut tx, &harvest.subscription, harvest.id, key, sha256).await?;
    sqlx::query("UPDATE passereau.harvest SET generation_id = $2, updated_at = now() WHERE id = $1")
        .bind(harvest.id)
        .bind(generation_id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(generation_id)
}

/// Writes the counts, and whether the generation is complete: GBIF announced as many records as there are distinct ids,
/// and no line was malformed. Only then can records vanish.
async fn record(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    generation_id: i64,
    counts: &LandedCounts,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE passereau.harvest SET read = g.read, landed = g.landed, duplicate = g.duplicate, malformed = g.malformed
         FROM pinv_gbif.generation g WHERE harvest.id = $1 AND g.id = $2",
    )
    .bind(harvest_id)
    .bind(generation_id)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE pinv_gbif.generation g SET complete = coalesce(h.expected_records = g.landed, false) AND $3
         FROM passereau.harvest h WHERE h.id = $1 AND g.id = $2",
    )
    .bind(harvest_id)
    .bind(generation_id)
    .bind(counts.malformed == 0)
    .execute(connection)
    .await?;
    Ok(())
}

fn store_stop(error: StoreError) -> Stop {
    if error.is_transient() { Stop::retry(error) } else { Stop::reject(error.to_string()) }
}

fn landing_stop(error: LandingError) -> Stop {
    match error {
        LandingError::ClaimLost { .. } => Stop::busy(error.to_string()),
        // PostgreSQL being away costs no attempt.
        LandingError::Database { source, .. } if is_database_absent(&source) => source.into(),
        error if error.is_transient() => Stop::retry(error),
        error => Stop::reject(error.to_string()),
    }
}

impl Worker for Loader {
    const NAME: &'static str = "loader";
    type Task = LoaderTask;

    async fn handle(&self, context: &Context, task: LoaderTask) -> Outcome {
        match in_state(context.pool(), task.0.harvest_id, &[State::Loading]).await? {
            Some(harvest) => self.load(context, &harvest).await,
            None => Ok(Done::nothing()),
        }
    }
}
