//! A `harvest.request`, checked whole before anything is done for it.

use passereau_contracts::{HarvestRequest, Origin, RequestProblem};
use passereau_gbif::DownloadKey;
use passereau_gbif::predicate::{self, Rules};
use passereau_store::ObjectKey;
use serde_json::{Value, json};

/// Where the archive will come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Ask GBIF for a download.
    Query,
    /// Fetch a download that exists.
    Download(DownloadKey),
    /// Load an archive of the store.
    Archive(ObjectKey),
}

/// A request without problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Where the archive will come from.
    pub source: Source,
    /// The request as it is kept, its query being the body that will be sent.
    pub request: HarvestRequest,
    /// Equal for requests that ask the same, whatever their subscription and layout.
    pub digest: String,
}

/// Checks a request, or tells all of its problems in the order of its fields. `account` is the GBIF account that sends.
pub fn accept(request: &HarvestRequest, account: &str) -> Result<Accepted, Vec<RequestProblem>> {
    let mut problems = request.origin().err().unwrap_or_default();
    let mut kept = request.clone();
    if let Some(query) = &request.query {
        let rules = Rules { creator: account.to_owned(), all_datasets: request.all_datasets };
        match predicate::validate(query, &rules) {
            Ok(valid) => kept.query = Some(valid.into_body()),
            Err(found) => problems.extend(found.into_iter().map(|problem| {
                let path = format!("$.query{}", problem.path.trim_start_matches('$'));
                RequestProblem::new(path, problem.message)
            })),
        }
    }
    if let Some(archive) = &request.archive
        && let Err(error) = ObjectKey::parse(archive)
    {
        problems.push(RequestProblem::new("$.archive", error.to_string()));
    }
    match source(&kept) {
        Some(source) if problems.is_empty() => {
            let digest = predicate::digest(&asked(&kept));
            Ok(Accepted { source, request: kept, digest })
        }
        _ => Err(problems),
    }
}

fn source(request: &HarvestRequest) -> Option<Source> {
    match request.origin().ok()? {
        Origin::Query(_) => Some(Source::Query),
        Origin::DownloadKey(key) => key.parse().ok().map(Source::Download),
        Origin::Archive(key) => ObjectKey::parse(key).ok().map(Source::Archive),
    }
}

/// What is asked, without the name it is asked under.
fn asked(request: &HarvestRequest) -> Value {
    let HarvestRequest { query, download_key, archive, settings, plan, subscription: _, all_datasets: _ } = request;
    json!({ "query": query, "download_key": download_key, "archive": archive, "settings": settings, "plan": plan })
}

/// All problems in one text, for the dead letter.
pub fn report(problems: &[RequestProblem]) -> String {
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let count = match problems.len() {
        1 => "one problem".to_owned(),
        many => format!("{many} problems"),
    };
    format!("the request has {count}:\n  {}", list.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use passereau_contracts::SubscriptionSettings;

    fn query(value: Value) -> HarvestRequest {
        HarvestRequest { query: Some(value), ..HarvestRequest::default() }
    }

    fn good() -> Value {
        json!({"predicate": {"type": "equals", "key": "DATASET_KEY", "value": "50c9509d-22c7-4a22-a47d-8c48425ef4a7"}})
    }

    #[test]
    fn a_query_is_kept_as_it_will_be_sent() {
        let accepted = accept(&query(good()), "gbif_user").expect("no problem");
        assert_eq!(accepted.source, Source::Query);
        let kept = accepted.request.query.expect("a query");
        assert_eq!((kept["creator"].as_str(), kept["format"].as_str()), (Some("gbif_user"), Some("DWCA")));
    }

    #[test]
    fn the_digest_is_of_what_is_asked_not_of_its_name() {
        let named = HarvestRequest { subscription: Some("inaturalist".into()), ..query(good()) };
        let digest = |request: &HarvestRequest| accept(request, "gbif_user").expect("no problem").digest;
        assert_eq!(digest(&named), digest(&query(good())));
        let archive = HarvestRequest { archive: Some("archives/a.zip".into()), ..HarvestRequest::default() };
        assert_ne!(digest(&archive), digest(&named));
        let settings = Some(SubscriptionSettings { media: true, ..SubscriptionSettings::default() });
        assert_ne!(digest(&HarvestRequest { settings, ..archive.clone() }), digest(&archive));
    }

    #[test]
    fn problems_of_every_field_are_told_at_once() {
        let request = HarvestRequest {
            subscription: Some("Été".into()),
            archive: Some("../../etc/passwd".into()),
            ..query(json!({"creator": "USER", "predicate": {"type": "in", "key": "TAXON_KEY", "values": []}}))
        };
        let problems = accept(&request, "gbif_user").expect_err("all is wrong");
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        let expected =
            ["$.subscription", "$", "$.query.creator", "$.query.predicate.values", "$.query.predicate", "$.archive"];
        assert_eq!(paths, expected);
        assert!(
            report(&problems).starts_with("the request has 6 problems:\n  $.subscription: "),
            "{}",
            report(&problems)
        );
    }
}
