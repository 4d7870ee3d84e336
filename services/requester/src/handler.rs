//! The handler: what is done, in which order.

use crate::accept::{self, Accepted, Source};
use crate::answer::{self, Decision, Existing};
use crate::config::RequesterConfig;
use crate::intent::{self, Intent};
use crate::slot::{self, Place};
use crate::{cancel, describe, lookup};
use chrono::TimeDelta;
use passereau_contracts::{
    ArchiveFetch, ArchiveLoad, DownloadPoll, DownloadRequest, HarvestRequest, Metadata, RequesterTask,
};
use passereau_gbif::predicate::{rephrase, same_request};
use passereau_gbif::{Download, DownloadKey, GbifClient};
use passereau_harvest::{Harvest, NewHarvest, Started, State, advance, in_state, start};
use passereau_http::HttpClient;
use passereau_runner::{Context, Done, Outcome, Stop, Worker};
use passereau_telemetry::{Metrics, catalogue};
use serde_json::Value;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// GBIF's clock and the database's may differ: a download made this long before the intent may still be ours.
pub(crate) const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(10);

/// The worker.
#[derive(Clone, Debug)]
pub struct Requester {
    gbif: GbifClient,
    config: RequesterConfig,
}

impl Requester {
    /// Prepares the client.
    ///
    /// # Errors
    /// A setting is wrong (no contact in the `User-Agent`, no web address); the error names it.
    pub fn new(config: &RequesterConfig) -> anyhow::Result<Self> {
        let http = HttpClient::new(&config.http)?;
        Ok(Self { gbif: GbifClient::new(http, &config.gbif)?, config: config.clone() })
    }

    /// `harvest.request`: a new harvest, or the one that is on its way.
    async fn accept(&self, context: &Context, request: &HarvestRequest) -> Outcome {
        let accepted =
            accept::accept(request, self.gbif.user()).map_err(|problems| Stop::reject(accept::report(&problems)))?;
        if accepted.source == Source::Query && !self.config.gbif.has_account() {
            return Err(no_account());
        }
        if accepted.request.settings.as_ref().is_some_and(|settings| settings.metadata == Some(Metadata::Create)) {
            has_framework(context.pool()).await?;
        }
        let named = match &accepted.source {
            Source::Download(key) => Some(self.named(key).await?),
            Source::Query | Source::Archive(_) => None,
        };
        let existing = named.as_ref().map(|(_, existing)| *existing);
        let new = self.new_harvest(context, &accepted, existing)?;
        let mut tx = context.begin().await?;
        match start(&mut tx, &new).await? {
            Started::New(harvest_id) => {
                tracing::info!(%harvest_id, state = %new.state, "harvest started");
                if let Some((download, _)) = &named {
                    intent::keep(&mut tx, harvest_id, self.gbif.user(), download).await?;
                }
                let done = Done::with(tx);
                match (&accepted.source, existing) {
                    (Source::Query, _) => done.send(&DownloadRequest { harvest_id }),
                    (Source::Download(_), Some(Existing::Unfinished)) => done.send(&DownloadPoll { harvest_id }),
                    (Source::Download(_), _) => done.send(&ArchiveFetch { harvest_id }),
                    (Source::Archive(_), _) => done.send(&ArchiveLoad { harvest_id }),
                }
            }
            Started::Joined(harvest_id) => {
                tracing::info!(%harvest_id, "the same request is on its way, joined");
                Ok(Done::with(tx))
            }
            Started::Busy(harvest_id) => Err(Stop::snooze(
                self.config.request.busy_wait,
                format!("harvest {harvest_id} of the same subscription is on its way and comes first"),
            )),
        }
    }

    /// What GBIF knows of a download that a request names.
    async fn named(&self, key: &DownloadKey) -> Result<(Download, Existing), Stop> {
        let download = self.gbif.status(key).await.map_err(|error| answer::stop(&error))?;
        let download = download.ok_or_else(|| Stop::reject(format!("GBIF knows no download {key}; check the key")))?;
        let existing = answer::usable(&download).map_err(Stop::reject)?;
        Ok((download, existing))
    }

    fn new_harvest(
        &self,
        context: &Context,
        accepted: &Accepted,
        existing: Option<Existing>,
    ) -> Result<NewHarvest, Stop> {
        let request = serde_json::to_value(&accepted.request)
            .map_err(|error| Stop::reject(format!("keeping the request: {error}; this is a defect")))?;
        let settings = request.get("settings").cloned();
        let (state, download_key, archive_key) = match &accepted.source {
            Source::Query => (State::Requested, None, None),
            Source::Download(key) if existing == Some(Existing::Unfinished) => {
                (State::Preparing, Some(key.to_string()), None)
            }
            Source::Download(key) => (State::Fetching, Some(key.to_string()), None),
            Source::Archive(key) => (State::Loading, None, Some(key.as_str().to_owned())),
        };
        Ok(NewHarvest {
            // The harvest has its message's name, so that a sender can follow it; a message that waited has a new one.
            id: context.message_id().unwrap_or_else(Uuid::now_v7),
            subscription: accepted.request.subscription.clone(),
            settings,
            request,
            digest: accepted.digest.clone(),
            joins: context.message_id().is_none(),
            plan_only: accepted.request.plan,
            state,
            // Only what we ask for takes a place of the account.
            account: (accepted.source == Source::Query).then(|| self.gbif.user().to_owned()),
            download_key,
            archive_key,
        })
    }

    /// `download.request`: a place, the intent, the question, and a look at what GBIF gave.
    async fn download(&self, context: &Context, harvest_id: Uuid) -> Outcome {
        let claim = context.claim(&format!("download {harvest_id}")).await?;
        // Behind the claim, which a cancellation holds: nothing is asked of GBIF for a harvest that has just ended.
        let states = [State::Requested, State::Requesting];
        let Some(harvest) = in_state(context.pool(), harvest_id, &states).await? else {
            return Ok(Done::nothing());
        };
        let (account, original) = self.question(&harvest)?;
        let places = self.config.request.gbif_places;
        if let Place::NoneOf(places) = slot::take(context.pool(), harvest_id, account, places).await? {
            let because = format!("all {places} places that the GBIF account has for now are taken");
            return Err(Stop::snooze(self.config.request.gbif_place_wait, because));
        }
        let intent = intent::open(context.pool(), harvest_id, account, original).await?;
        let key = match &intent.key {
            Some(key) => key.parse().map_err(|error| Stop::reject(format!("harvest {harvest_id}: {error}")))?,
            None => self.ask(context, harvest_id, account, &intent).await?,
        };
        let download = self.gbif.status(&key).await.map_err(|error| answer::stop(&error))?;
        let download = download.ok_or_else(|| Stop::retry(format!("GBIF gave key {key} but does not know it yet")))?;
        if let Err(difference) = same_request(&intent.body, &download.request) {
            return self.reword(context, harvest_id, original, &intent, &difference.to_string()).await;
        }
        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        if !advance(&mut tx, harvest_id, State::Requesting, State::Preparing).await? {
            return Ok(Done::with(tx));
        }
        intent::keep(&mut tx, harvest_id, account, &download).await?;
        tracing::info!(%harvest_id, download_key = %key, "GBIF prepares the download");
        Done::with(tx).send(&DownloadPoll { harvest_id })
    }

    /// The account and the body that a harvest asks with.
    fn question<'a>(&self, harvest: &'a Harvest) -> Result<(&'a str, &'a Value), Stop> {
        if !self.config.gbif.has_account() {
            return Err(no_account());
        }
        let query = harvest.request.get("query").filter(|query| query.is_object());
        let Some(query) = query else {
            return Err(Stop::reject(format!("harvest {} has no query; submit the request again", harvest.id)));
        };
        match harvest.account.as_deref() {
            Some(account) if account == self.gbif.user() => Ok((account, query)),
            account => Err(Stop::reject(format!(
                "harvest {} was accepted for GBIF account {:?}, this requester has {:?}; submit the request again",
                harvest.id,
                account.unwrap_or_default(),
                self.gbif.user()
            ))),
        }
    }

    /// Gets a key: the one of an earlier question whose answer was lost, or that of a new question.
    async fn ask(
        &self,
        context: &Context,
        harvest_id: Uuid,
        account: &str,
        intent: &Intent,
    ) -> Result<DownloadKey, Stop> {
        if intent.asked_at.is_some() {
            let since = intent.intended_at - CLOCK_SKEW;
            let found = lookup::find(&self.gbif, &intent.body, since).await.map_err(|error| answer::stop(&error))?;
            if let Some(key) = found {
                tracing::info!(%harvest_id, download_key = %key, "found the download whose answer was lost");
                intent::answered(context.pool(), harvest_id, &key).await?;
                return Ok(key);
            }
        }
        intent::asking(context.pool(), harvest_id).await?;
        let created = self.gbif.create(&intent.body).await.map_err(|error| answer::stop(&error))?;
        match answer::decide(created) {
            Decision::Take(key) => {
                intent::answered(context.pool(), harvest_id, &key).await?;
                slot::raise(context.pool(), account).await?;
                Ok(key)
            }
            Decision::Wait { after, because } => {
                let mut tx = context.pool().begin().await?;
                slot::lower(&mut tx, harvest_id, account, after).await?;
                slot::give_back(&mut tx, harvest_id).await?;
                tx.commit().await?;
                Err(Stop::snooze(after, because))
            }
            Decision::Retry { error, after } => Err(Stop::retry_after(error, after)),
            Decision::Refuse(reason) => Err(Stop::reject(reason)),
        }
    }

    /// GBIF gave the download of another request: asks in other words, twice at most.
    async fn reword(
        &self,
        context: &Context,
        harvest_id: Uuid,
        original: &Value,
        intent: &Intent,
        difference: &str,
    ) -> Outcome {
        if rephrase::times(original, &intent.body) >= rephrase::MOST {
            let advice = "it was asked three times in other words; wait for two days, or change the request";
            return Err(Stop::reject(format!("{difference}; {advice}")));
        }
        tracing::warn!(%harvest_id, difference, "asking in other words");
        intent::reword(context.pool(), harvest_id, &rephrase::wrap(&intent.body)).await?;
        Err(Stop::snooze(Duration::ZERO, "asking GBIF in other words"))
    }
}

fn no_account() -> Stop {
    Stop::reject("no GBIF account is set; set PASSEREAU_GBIF_USER and PASSEREAU_GBIF_PASSWORD, then replay")
}

/// Refuses a subscription that makes datasets where there is no framework to make them in: told now, and not once GBIF has
/// made the download. Class PS is explained in `migrations/functions/10_destination.sql`.
async fn has_framework(pool: &PgPool) -> Result<(), Stop> {
    match sqlx::query("SELECT passereau.acquisition_framework()").execute(pool).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(refusal)) if refusal.code().is_some_and(|code| code.starts_with("PS")) => {
            Err(Stop::reject(format!("$.settings.metadata: {}", refusal.message())))
        }
        Err(error) => Err(error.into()),
    }
}

impl Worker for Requester {
    const NAME: &'static str = "requester";
    type Task = RequesterTask;

    /// GBIF's maintenance may last hours; with ten minutes between attempts this is more than three.
    fn max_attempts(&self) -> i32 {
        25
    }

    fn observes(&self) -> bool {
        self.config.gbif.has_account()
    }

    /// Only the requesters know how many places the account has.
    async fn observe(&self, pool: &PgPool, metrics: &Metrics) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (places, taken) = slot::count(pool, self.gbif.user(), self.config.request.gbif_places).await?;
        metrics.show_one(&catalogue::GBIF_PLACES, f64::from(places));
        metrics.show_one(&catalogue::GBIF_PLACES_TAKEN, f64::from(i32::try_from(taken).unwrap_or(i32::MAX)));
        Ok(())
    }

    async fn handle(&self, context: &Context, task: RequesterTask) -> Outcome {
        match task {
            RequesterTask::Harvest(request) => self.accept(context, &request).await,
            RequesterTask::Cancel(message) => cancel::cancel(&self.gbif, context, &message).await,
            RequesterTask::Download(message) => self.download(context, message.harvest_id).await,
            RequesterTask::Describe(message) => describe::describe(&self.gbif, &self.config, context, &message).await,
        }
    }
}
