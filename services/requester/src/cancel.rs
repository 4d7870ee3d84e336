//! `harvest.cancel`: first the download at GBIF, then the harvest.
//!
//! Outside first, because it can be repeated (the harvest is paused meanwhile): GBIF answers a second DELETE as it answered the first
//! (gbif/occurrence, `DownloadRequestServiceImpl`). Only a download that we asked for, that is not finished and that no
//! other harvest waits for is cancelled there. GBIF being away holds the harvest up for a few attempts; then it is
//! cancelled all the same, and its reason says what is left to do.

use crate::answer;
use crate::handler::CLOCK_SKEW;
use crate::intent::{self, Intent};
use crate::lookup;
use passereau_contracts::HarvestCancel;
use passereau_gbif::{DownloadKey, GbifClient, GbifError};
use passereau_harvest::{Harvest, State, find, pause, shares_download, withdraw};
use passereau_http::chain;
use passereau_runner::{Claim, Context, Done, Outcome, Stop};
use uuid::Uuid;

/// Attempts that GBIF has to hear of the cancellation, the delays between them being half a minute or less.
const GBIF_ATTEMPTS: i32 = 4;
/// Attempts after which a harvest that does not exist is a mistake: its request may just be on its way.
const UNKNOWN_ATTEMPTS: i32 = 3;

pub(crate) async fn cancel(gbif: &GbifClient, context: &Context, message: &HarvestCancel) -> Outcome {
    let id = message.harvest_id;
    let Some(harvest) = find(context.pool(), id).await? else { return take_back(context, id).await };
    if !harvest.state.is_alive() {
        tracing::info!(harvest_id = %id, state = %harvest.state, "the harvest has ended, there is nothing to cancel");
        return Ok(Done::nothing());
    }
    // As long as it is held, nobody asks GBIF for the download.
    let claim = context.claim(&format!("download {id}")).await?;
    let harvest = find(context.pool(), id).await?.unwrap_or(harvest);
    let left_at_gbif = at_gbif(gbif, context, &harvest).await?;
    let words = [Some(message.words()), left_at_gbif].into_iter().flatten().collect::<Vec<_>>().join("; ");
    end(context, claim, id, &words).await
}

/// A request that waits behind another harvest of its subscription is no harvest yet.
async fn take_back(context: &Context, id: Uuid) -> Outcome {
    let mut tx = context.begin().await?;
    if withdraw(&mut tx, id).await? {
        tracing::info!(request = %id, "the request that waited is taken back");
        return Ok(Done::with(tx));
    }
    tx.rollback().await?;
    let words = format!("there is no harvest {id} to cancel; `passereau harvest list` shows those that there are");
    Err(if context.attempt() < UNKNOWN_ATTEMPTS { Stop::retry(words) } else { Stop::reject(words) })
}

async fn end(context: &Context, claim: Claim, id: Uuid, words: &str) -> Outcome {
    let mut tx = context.begin().await?;
    match passereau_harvest::cancel(&mut tx, id, words).await {
        Ok(true) => tracing::info!(harvest_id = %id, reason = words, "cancelled"),
        Ok(false) => tracing::info!(harvest_id = %id, "the harvest has ended meanwhile, there is nothing to cancel"),
        Err(error) => return Err(error.into()),
    }
    claim.release(&mut tx).await?;
    Ok(Done::with(tx))
}

/// Cancels the harvest's download, if it is ours to cancel; gives words where it goes on at GBIF all the same.
async fn at_gbif(gbif: &GbifClient, context: &Context, harvest: &Harvest) -> Result<Option<String>, Stop> {
    // What a request named was asked for by somebody else: it is left alone.
    if harvest.account.is_none() || !matches!(harvest.state, State::Requesting | State::Preparing) {
        return Ok(None);
    }
    let Some(intent) = intent::find(context.pool(), harvest.id).await? else { return Ok(None) };
    let key = match key(gbif, &intent).await {
        Ok(Some(key)) => key,
        Ok(None) => return Ok(None),
        Err(error) => return goes_on(context, "whose key is not known", &error).map(Some),
    };
    if shares_download(context.pool(), harvest.id, key.as_str()).await? {
        return Ok(Some(format!("download {key} goes on at GBIF, because another harvest waits for it")));
    }
    // Until our commit, or for good if we die before it, the harvest waits: its poll must not take GBIF's CANCELLED for the end.
    let mut connection = context.pool().acquire().await?;
    pause(&mut connection, harvest.id, Some("it is being cancelled")).await?;
    drop(connection);
    match gbif.cancel(&key).await {
        Ok(cancelled) => {
            tracing::info!(harvest_id = %harvest.id, download_key = %key, ?cancelled, "cancelled at GBIF");
            Ok(None)
        }
        Err(error) => goes_on(context, key.as_str(), &error).map(Some),
    }
}

/// The key of what was asked for, also when the answer to the question was lost.
async fn key(gbif: &GbifClient, intent: &Intent) -> Result<Option<DownloadKey>, GbifError> {
    match &intent.key {
        Some(key) => Ok(key.parse().ok()),
        None if intent.asked_at.is_some() => lookup::find(gbif, &intent.body, intent.intended_at - CLOCK_SKEW).await,
        None => Ok(None),
    }
}

/// GBIF did not hear of it: once more, or words about what is left to do.
fn goes_on(context: &Context, download: &str, error: &GbifError) -> Result<String, Stop> {
    if error.is_transient() && context.attempt() < GBIF_ATTEMPTS {
        return Err(answer::stop(error));
    }
    Ok(format!(
        "GBIF did not take the cancellation of the download {download} ({}): where it is still being made, cancel it at \
         https://www.gbif.org/user/download",
        chain(error)
    ))
}
