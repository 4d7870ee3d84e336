//! Looks for a download among those of the account.

use crate::answer::may_be_ours;
use chrono::{DateTime, Utc};
use passereau_gbif::predicate::same_request;
use passereau_gbif::{DownloadKey, GbifClient, GbifError};
use serde_json::Value;

/// Most pages that are read: an account that asked for more than a hundred downloads since has other troubles.
const MOST_PAGES: u64 = 5;

/// The account's newest download of `body` that was made since then and has a file or will have one.
pub async fn find(gbif: &GbifClient, body: &Value, since: DateTime<Utc>) -> Result<Option<DownloadKey>, GbifError> {
    let mut offset = 0;
    for _ in 0..MOST_PAGES {
        let page = gbif.own_downloads(offset).await?;
        let ours = |download: &&passereau_gbif::Download| {
            may_be_ours(download, since) && same_request(body, &download.request).is_ok()
        };
        if let Some(found) = page.results.iter().find(ours) {
            return Ok(Some(found.key.clone()));
        }
        let is_past = page.results.last().and_then(|last| last.created).is_none_or(|created| created < since);
        if page.end_of_records || is_past {
            break;
        }
        offset += page.results.len() as u64;
    }
    Ok(None)
}
