//! The messages that anyone may publish: `harvest.request` and `harvest.approve`.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Message, SubscriptionSettings};

/// Asks for a harvest: a GBIF query, the key of a download that exists, or an archive that is already in the store.
/// Exactly one of `query`, `download_key` and `archive` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HarvestRequest {
    /// Name of the subscription, to harvest the same thing again and again: lower-case letters, digits, `.`, `_`, `-`.
    /// Without it the harvest stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The body that GBIF's occurrence download API takes (`query.json` of the published procedure), as it is.
    /// Source: <https://techdocs.gbif.org/en/data-use/api-downloads>.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Value>,
    /// Key of a GBIF download that exists, such as `0015000-260108000000665`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_key: Option<String>,
    /// Object key of a Darwin Core Archive in the store, such as `archives/april.zip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Says that a query without `DATASET_KEY` is meant: the records of every dataset of GBIF.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_datasets: bool,
    /// What the subscription decides about its records; without it, what it has decided before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<SubscriptionSettings>,
    /// Stop once the plan is made, before the first row moves: the harvest waits for `harvest.approve`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
}

impl Message for HarvestRequest {
    const KIND: &'static str = "harvest.request";
}

/// Lets a harvest that waits for approval (event `harvest.awaiting_approval`) apply exactly the plan that it has made. A plan
/// that is out of date is made anew instead, and waits once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HarvestApprove {
    /// The harvest.
    pub harvest_id: Uuid,
    /// Who approves, for the record: a name, or another word for a person or system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Which plan is meant: `planned_at` of the event. A plan that was made anew meanwhile is then not taken for it. Without it,
    /// whatever plan waits is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<DateTime<Utc>>,
}

impl Message for HarvestApprove {
    const KIND: &'static str = "harvest.approve";
}

/// The subscription of what is copied by hand into `pinv_gbif.tmp_gbif_data`.
const BY_HAND: &str = "manual";

/// Where the archive of a request comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin<'a> {
    /// Ask GBIF for a download.
    Query(&'a Value),
    /// Fetch a download that exists.
    DownloadKey(&'a str),
    /// Load an archive of the store.
    Archive(&'a str),
}

/// Something wrong with a request, at a JSON path of its body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct RequestProblem {
    /// JSON path, such as `$.query.predicate.predicates[2].values`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl RequestProblem {
    /// A problem at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl HarvestRequest {
    /// The origin of the archive, or every problem of the request's own shape. The query's content is checked by the
    /// crate that knows GBIF's predicates, the object key by the store.
    ///
    /// # Errors
    /// All problems at once: not exactly one origin, a subscription name that cannot be one, a key without GBIF's form.
    pub fn origin(&self) -> Result<Origin<'_>, Vec<RequestProblem>> {
        let mut problems = Vec::new();
        if let Some(name) = &self.subscription
            && !is_subscription_name(name)
        {
            problems.push(RequestProblem::new(
                "$.subscription",
                format!(
                    "{name:?} is not a subscription name: 1 to 63 of a-z, 0-9, '.', '_', '-', the first a letter or digit"
                ),
            ));
        }
        if self.subscription.as_deref() == Some(BY_HAND) {
            problems.push(RequestProblem::new(
                "$.subscription",
                format!("{BY_HAND:?} is the subscription of harvests by hand (pinv_gbif.upsert_gbif_data): take another name"),
            ));
        }
        if let Some(key) = &self.download_key
            && !is_download_key(key)
        {
            problems.push(RequestProblem::new(
                "$.download_key",
                format!("{key:?} is not a GBIF download key such as 0015000-260108000000665"),
            ));
        }
        if let Some((field, message)) = self.settings.as_ref().and_then(SubscriptionSettings::problem) {
            problems.push(RequestProblem::new(format!("$.settings.{field}"), message));
        }
        let origin = match (&self.query, &self.download_key, &self.archive) {
            (Some(query), None, None) => Some(Origin::Query(query)),
            (None, Some(key), None) => Some(Origin::DownloadKey(key)),
            (None, None, Some(archive)) => Some(Origin::Archive(archive)),
            _ => {
                problems.push(RequestProblem::new("$", "give exactly one of query, download_key and archive"));
                None
            }
        };
        match origin {
            Some(origin) if problems.is_empty() => Ok(origin),
            _ => Err(problems),
        }
    }
}

fn is_subscription_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 63 && bytes.next().is_some_and(lower) && bytes.all(|b| lower(b) || matches!(b, b'.' | b'_' | b'-'))
}

/// At least 7 digits, `-`, 15 digits: gbif/occurrence `DownloadIdService.java`. `DownloadKey` of passereau-gbif keeps the
/// same rule; it is written twice because the contracts depend on no client of a service.
fn is_download_key(key: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    key.split_once('-')
        .is_some_and(|(counter, start)| counter.len() >= 7 && start.len() == 15 && digits(counter) && digits(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_an_origin_and_with_a_bad_name_reports_both() {
        let request = HarvestRequest { subscription: Some("Été".into()), ..HarvestRequest::default() };
        let problems = request.origin().expect_err("both are wrong");
        let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["$.subscription", "$"]);
    }

    #[test]
    fn the_subscription_of_harvests_by_hand_cannot_be_requested() {
        let request = HarvestRequest {
            subscription: Some("manual".into()),
            archive: Some("archives/april.zip".into()),
            ..HarvestRequest::default()
        };
        let problems = request.origin().expect_err("it is taken");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().contains("take another name"), "{}", problems[0]);
    }

    #[test]
    fn two_origins_are_refused() {
        let request = HarvestRequest {
            download_key: Some("0015000-260108000000665".into()),
            archive: Some("archives/april.zip".into()),
            ..HarvestRequest::default()
        };
        assert!(request.origin().is_err());
    }

    #[test]
    fn download_keys_have_gbifs_form() {
        assert!(is_download_key("0015000-260108000000665"));
        assert!(is_download_key("10015000-260108000000665"));
        assert!(!is_download_key("15000-260108000000665"));
        assert!(!is_download_key("../../etc/passwd"));
    }
}
