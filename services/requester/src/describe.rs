//! `dataset.describe`: what GBIF's registry tells of the datasets of a harvest.
//!
//! Each answer is kept at once, so that an attempt goes on where the one before stopped. The pace is one budget of the whole
//! fleet. An answer that cannot be used leaves its dataset for the next harvest, but for a document, which is done without; a
//! registry that stays away or turns us away leaves all that are left.

use crate::config::{RegistryConfig, RequesterConfig};
use passereau_contracts::{DatasetDescribe, HarvestPlan};
use passereau_eml::Eml;
use passereau_gbif::registry::Dataset;
use passereau_gbif::{GbifClient, GbifError};
use passereau_harvest::dataset::{self, DocumentSource, RegistryAnswer, Unasked};
use passereau_harvest::{State, end_batch, in_state, pace};
use passereau_http::chain;
use passereau_runner::{Context, Done, Outcome, Stop};
use passereau_telemetry::{Api, CallOutcome};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// A delivery is held this long before the other messages of the queue have their turn: people wait for some of them.
const STEP: Duration = Duration::from_secs(30);

/// Handles the message.
pub(crate) async fn describe(
    gbif: &GbifClient,
    config: &RequesterConfig,
    context: &Context,
    message: &DatasetDescribe,
) -> Outcome {
    let DatasetDescribe { harvest_id, batch } = *message;
    let ordinal = i32::try_from(batch).map_err(|_| Stop::reject(format!("batch {batch} cannot exist")))?;
    if in_state(context.pool(), harvest_id, &[State::Enriching]).await?.is_none() {
        return Ok(Done::nothing());
    }
    let unasked = dataset::unasked(context.pool(), harvest_id, ordinal).await?;
    let publishers = dataset::publishers(context.pool()).await?;
    let budget = format!("gbif registry {}", gbif.base_url());
    let mut registry = Registry { gbif, config: &config.registry, context, budget, publishers, failures: 0 };
    let step_ends = Instant::now() + STEP;
    let mut answered = 0;
    for (place, wanted) in unasked.iter().enumerate() {
        if context.must_pause() || Instant::now() >= step_ends {
            // A step without a single answer would come again for ever.
            if answered > 0 || context.shutdown().is_cancelled() {
                let because = format!("{} datasets are left to ask about", unasked.len() - place);
                return Ok(Done::with(context.begin().await?).again(Duration::ZERO, because));
            }
            break;
        }
        match registry.ask(wanted).await? {
            Asked::Kept => answered += 1,
            Asked::Unusable(error) => {
                tracing::warn!(%harvest_id, dataset = %wanted.key, error = chain(&error), "GBIF's registry gives an answer that cannot be used");
            }
            Asked::Away(because) => {
                let datasets = unasked.len() - place;
                tracing::warn!(%harvest_id, datasets, because, "going on without what GBIF's registry tells of these datasets");
                break;
            }
        }
    }
    let mut tx = context.begin().await?;
    let is_last = end_batch(&mut tx, harvest_id, ordinal).await?;
    let done = Done::with(tx);
    if is_last { done.send(&HarvestPlan { harvest_id }) } else { Ok(done) }
}

/// What became of a question.
enum Asked {
    /// The answer is kept.
    Kept,
    /// There is an answer, but not one that this program can use; others may be.
    Unusable(GbifError),
    /// The registry is not to be asked any more now.
    Away(String),
}

/// The registry, asked within the fleet's budget.
struct Registry<'a> {
    gbif: &'a GbifClient,
    config: &'a RegistryConfig,
    context: &'a Context,
    budget: String,
    /// Names of publishers that are known, by key.
    publishers: HashMap<Uuid, String>,
    /// Its failures in a row, as the last turn told them.
    failures: i32,
}

/// Why a dataset has no answer.
enum Trouble {
    Call(GbifError),
    Resting,
    Stop(Stop),
}

impl From<GbifError> for Trouble {
    fn from(error: GbifError) -> Self {
        Self::Call(error)
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Stop(error.into())
    }
}

impl Registry<'_> {
    /// Asks about one dataset and keeps the answer.
    async fn ask(&mut self, wanted: &Unasked) -> Result<Asked, Stop> {
        match self.describe(wanted).await {
            Ok(()) => Ok(Asked::Kept),
            Err(Trouble::Stop(stop)) => Err(stop),
            Err(Trouble::Resting) => Ok(Asked::Away("it has failed too often in a row and is left alone".to_owned())),
            Err(Trouble::Call(error)) => self.judge(error).await,
        }
    }

    async fn describe(&mut self, wanted: &Unasked) -> Result<(), Trouble> {
        self.turn().await?;
        let answer = match self.told(self.gbif.dataset(wanted.key).await)? {
            Some(found) => Some(self.answer(found).await?),
            None => None,
        };
        let document = match answer {
            Some(_) if !wanted.has_document => self.document(wanted.key).await?,
            _ => None,
        };
        let mut tx = self.context.pool().begin().await?;
        dataset::keep_answer(&mut tx, wanted.key, answer.as_ref()).await?;
        if let Some(document) = document {
            dataset::keep_documents(&mut tx, &[(wanted.key, document)], DocumentSource::Registry).await?;
        }
        pace::succeeded(&mut tx, &self.budget).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The registry's fields, readable, with the name of the publisher.
    async fn answer(&mut self, found: Dataset) -> Result<RegistryAnswer, Trouble> {
        let line = |text: Option<String>| text.and_then(|text| passereau_eml::line(&text));
        let publisher = match found.publishing_organization_key {
            Some(key) => self.publisher(key).await?,
            None => None,
        };
        Ok(RegistryAnswer {
            title: line(found.title),
            description: found.description.and_then(|text| passereau_eml::paragraphs(&text)),
            license: line(found.license),
            doi: line(found.doi),
            citation: line(found.citation.and_then(|citation| citation.text)),
            kind: line(found.kind),
            modified: found.modified,
            withdrawn: found.deleted.is_some(),
            publisher_key: found.publishing_organization_key,
            publisher,
        })
    }

    async fn publisher(&mut self, key: Uuid) -> Result<Option<String>, Trouble> {
        if let Some(name) = self.publishers.get(&key) {
            return Ok(Some(name.clone()));
        }
        self.turn().await?;
        let organization = self.told(self.gbif.organization(key).await)?;
        let name = organization.and_then(|organization| passereau_eml::line(&organization.title?));
        if let Some(name) = &name {
            self.publishers.insert(key, name.clone());
        }
        Ok(name)
    }

    /// A document that cannot be used is as good as none: the registry's own fields say the most of it.
    async fn document(&mut self, key: Uuid) -> Result<Option<Eml>, Trouble> {
        self.turn().await?;
        let read = match self.told(self.gbif.dataset_document(key).await) {
            Ok(None) => return Ok(None),
            Ok(Some(document)) => Eml::parse(&document).map_err(|error| error.to_string()),
            Err(error) if is_of_one_dataset(&error) => Err(chain(&error)),
            Err(error) => return Err(error.into()),
        };
        if let Err(error) = &read {
            tracing::warn!(dataset = %key, error, "the document of GBIF's registry cannot be used");
        }
        Ok(read.ok())
    }

    async fn turn(&mut self) -> Result<(), Trouble> {
        match self.context.turn(&self.budget, &self.config.limits()).await? {
            Some(failures) => {
                self.failures = failures;
                Ok(())
            }
            None => {
                self.context.metrics().api_called(Api::GbifRegistry, CallOutcome::Resting);
                Err(Trouble::Resting)
            }
        }
    }

    /// Counts a call.
    fn told<T>(&self, result: Result<T, GbifError>) -> Result<T, GbifError> {
        let outcome = match &result {
            Ok(_) => CallOutcome::Answered,
            Err(error) if is_of_one_dataset(error) => CallOutcome::Answered,
            Err(_) => CallOutcome::Failed,
        };
        self.context.metrics().api_called(Api::GbifRegistry, outcome);
        result
    }

    /// A failed call: tried again within the attempts, then done without.
    async fn judge(&self, error: GbifError) -> Result<Asked, Stop> {
        if is_of_one_dataset(&error) {
            return Ok(Asked::Unusable(error));
        }
        if !error.is_transient() {
            return Ok(Asked::Away(chain(&error)));
        }
        let failure = pace::Failure { failures: self.failures, asked: error.retry_after(), never_arrived: false };
        let mut connection = self.context.pool().acquire().await?;
        let in_a_row = pace::failed(&mut connection, &self.budget, &self.config.limits(), &failure).await?;
        let failures = in_a_row.max(self.context.attempt().saturating_add(1));
        if failures >= self.config.gbif_registry_attempts {
            return Ok(Asked::Away(chain(&error)));
        }
        Err(Stop::retry_after(chain(&error), error.retry_after()))
    }
}

/// Whether the answer tells nothing of the next one: no JSON, too large, moved, gone, a key that is not liked. 403 is how
/// GBIF turns a client away.
fn is_of_one_dataset(error: &GbifError) -> bool {
    match error {
        GbifError::Http { .. } => !error.is_transient(),
        GbifError::Unexpected { status, .. } => *status != 403,
        _ => false,
    }
}
