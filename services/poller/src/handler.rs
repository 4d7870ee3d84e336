//! The handler: one look.

use crate::config::PollerConfig;
use crate::ledger::{self, Wait};
use crate::schedule::{interval, next_look};
use crate::verdict::{Verdict, judge};
use passereau_contracts::{ArchiveFetch, DownloadRequest, PollerTask};
use passereau_gbif::predicate::rephrase;
use passereau_gbif::{Download, DownloadKey, DownloadStatus, GbifClient, GbifError};
use passereau_harvest::{Harvest, State, advance, fail, in_state, shares_download, stays_paused};
use passereau_http::{HttpClient, HttpError, chain};
use passereau_runner::{Context, Done, Outcome, Stop, Worker};
use passereau_telemetry::{GbifStatus, Metrics};
use std::time::Duration;
use uuid::Uuid;

/// Times that a download is asked for again because it took too long.
const MOST_RENEWALS: i32 = 1;

/// The worker.
#[derive(Clone, Debug)]
pub struct Poller {
    gbif: GbifClient,
    config: PollerConfig,
}

impl Poller {
    /// Prepares the client.
    ///
    /// # Errors
    /// A setting is wrong (no contact in the `User-Agent`, no web address); the error names it.
    pub fn new(config: &PollerConfig) -> anyhow::Result<Self> {
        let http = HttpClient::new(&config.http)?;
        Ok(Self { gbif: GbifClient::new(http, &config.gbif)?, config: config.clone() })
    }

    async fn look(&self, context: &Context, harvest_id: Uuid) -> Outcome {
        let Some(harvest) = in_state(context.pool(), harvest_id, &[State::Preparing]).await? else {
            return Ok(Done::nothing());
        };
        let wait = ledger::read(context.pool(), harvest_id, self.config.poll.poll_deadline).await?;
        let wait =
            wait.ok_or_else(|| Stop::reject(format!("harvest {harvest_id} has no download; submit it again")))?;
        let key: DownloadKey =
            wait.key.parse().map_err(|error| Stop::reject(format!("harvest {harvest_id}: {error}")))?;
        match self.gbif.status(&key).await {
            Ok(Some(download)) => self.conclude(context, &harvest, &wait, &download).await,
            // A key that was just given may be unknown for a moment; a wrong one uses its attempts up.
            Ok(None) => Err(Stop::retry(format!("GBIF does not know download {key}; check the key"))),
            Err(error) if is_away(&error) => self.look_later(context, harvest_id, &wait, &error).await,
            Err(error) => Err(Stop::retry_after(chain(&error), error.retry_after())),
        }
    }

    async fn conclude(&self, context: &Context, harvest: &Harvest, wait: &Wait, download: &Download) -> Outcome {
        let harvest_id = harvest.id;
        // Somebody cancels the harvest: GBIF has heard of it before the database has.
        if download.status == DownloadStatus::Cancelled
            && stays_paused(&mut *context.pool().acquire().await?, harvest_id).await?
        {
            return Err(Stop::snooze(Duration::ZERO, "the harvest is paused, and its download cancelled"));
        }
        let verdict = judge(download, wait.is_late());
        if let Verdict::TooLate(reason) = &verdict
            && harvest.account.is_some()
        {
            return self.renew(context, harvest_id, wait, download, reason).await;
        }
        let mut tx = context.begin().await?;
        ledger::keep(&mut tx, harvest_id, download).await?;
        match verdict {
            Verdict::Wait => {
                // An answer that can be read forgives the broken ones before it: `again` counts the attempts anew.
                let after = next_look(self.interval(wait), None, wait.left());
                Ok(Done::with(tx).again(after, format!("download {} is {}", download.key, download.status)))
            }
            Verdict::Fetch => {
                if !advance(&mut tx, harvest_id, State::Preparing, State::Fetching).await? {
                    return Ok(Done::with(tx));
                }
                ledger::succeeded(&mut tx, harvest_id, download).await?;
                tracing::info!(%harvest_id, download_key = %download.key, records = download.total_records, "GBIF has made the download");
                Done::with(tx).count(over(wait, download)).send(&ArchiveFetch { harvest_id })
            }
            Verdict::TooLate(reason) | Verdict::Failed(reason) => {
                tracing::warn!(%harvest_id, reason, "the harvest has failed");
                fail(&mut tx, harvest_id, &reason).await?;
                Ok(Done::with(tx).count(over(wait, download)))
            }
        }
    }

    /// A download of ours took too long: it is cancelled and asked for once more, or the harvest has failed.
    async fn renew(
        &self,
        context: &Context,
        harvest_id: Uuid,
        wait: &Wait,
        download: &Download,
        reason: &str,
    ) -> Outcome {
        self.cancel(context, harvest_id, &download.key).await?;
        let mut tx = context.begin().await?;
        ledger::keep(&mut tx, harvest_id, download).await?;
        if wait.renewals >= MOST_RENEWALS {
            let reason = format!("{reason} (it was asked for {} times)", wait.renewals + 1);
            tracing::warn!(%harvest_id, reason, "the harvest has failed");
            fail(&mut tx, harvest_id, &reason).await?;
            return Ok(Done::with(tx).count(over(wait, download)));
        }
        if !advance(&mut tx, harvest_id, State::Preparing, State::Requesting).await? {
            return Ok(Done::with(tx));
        }
        tracing::warn!(%harvest_id, reason, "cancelled, and asked for once more");
        // In other words: GBIF might give the old download back.
        ledger::renew(&mut tx, harvest_id, &rephrase::wrap(&wait.body)).await?;
        Done::with(tx).count(over(wait, download)).send(&DownloadRequest { harvest_id })
    }

    /// GBIF is away: the wait goes on at no cost, up to the deadline.
    async fn look_later(&self, context: &Context, harvest_id: Uuid, wait: &Wait, error: &GbifError) -> Outcome {
        let mut tx = context.begin().await?;
        ledger::looked_in_vain(&mut tx, harvest_id).await?;
        if wait.is_late() {
            let reason = format!("GBIF was away at the deadline of download {}: {}", wait.key, chain(error));
            fail(&mut tx, harvest_id, &reason).await?;
            return Ok(Done::with(tx));
        }
        let error_text = chain(error);
        tracing::warn!(%harvest_id, error = error_text, "GBIF is away, looking later");
        let after = next_look(self.interval(wait), error.retry_after(), wait.left());
        Ok(Done::with(tx).again(after, error_text))
    }

    fn interval(&self, wait: &Wait) -> Duration {
        let polls = u32::try_from(wait.polls).unwrap_or(0).saturating_add(1);
        interval(polls, self.config.poll.poll_first, self.config.poll.poll_longest)
    }

    /// Best effort: the wait is over whether or not GBIF hears of it. A download that another harvest waits for goes on.
    async fn cancel(&self, context: &Context, harvest_id: Uuid, key: &DownloadKey) -> Result<(), Stop> {
        if !self.config.gbif.has_account() || shares_download(context.pool(), harvest_id, key.as_str()).await? {
            return Ok(());
        }
        if let Err(error) = self.gbif.cancel(key).await {
            tracing::warn!(download_key = %key, error = chain(&error), "the download could not be cancelled");
        }
        Ok(())
    }
}

/// Tells that a wait has ended, and in what state the download was then.
fn over(wait: &Wait, download: &Download) -> impl FnOnce(&Metrics) + Send + 'static {
    let (status, waited) = (GbifStatus::of(&download.status.to_string()), wait.waited());
    move |metrics| metrics.gbif_waited(status, waited)
}

/// Whether GBIF cannot be reached or asks for patience, as opposed to giving an answer that is none.
fn is_away(error: &GbifError) -> bool {
    match error {
        GbifError::SlowDown { .. } | GbifError::Unavailable { .. } => true,
        GbifError::Http { source, .. } => {
            source.is_transient() && !matches!(source, HttpError::Html { .. } | HttpError::CutJson { .. })
        }
        _ => false,
    }
}

impl Worker for Poller {
    const NAME: &'static str = "poller";
    type Task = PollerTask;

    async fn handle(&self, context: &Context, task: PollerTask) -> Outcome {
        self.look(context, task.0.harvest_id).await
    }
}
