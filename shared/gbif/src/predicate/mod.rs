//! The download request: the JSON document that is POSTed to GBIF (`query.json` of the manual procedure).
//!
//! [`validate`] takes the document as a person wrote it and gives either every problem at once, each with its place in the
//! document, or a [`ValidQuery`]: the one body that will be sent. That body differs from the document only where the
//! meaning would otherwise depend on GBIF's defaults: account, format, and the checklist of every taxonomic
//! predicate.
//!
//! Terms: an *item* is what GBIF counts against its limit (each value of `in`, each other leaf); a *place* is a JSON path
//! such as `$.predicate.predicates[2].values`.
//!
//! Nothing here reads a clock, a file or the network.

mod compare;
mod digest;
mod envelope;
mod geometry;
mod leaf;
mod normalise;
mod problem;
pub mod rephrase;
mod tree;
mod values;

pub use compare::{Difference, same_request};
pub use digest::digest;
pub use problem::Problem;

use problem::Problems;
use serde_json::Value;

/// Most items of one request (gbif/occurrence, `DownloadLimits`; techdocs.gbif.org, "API Downloads").
pub const MOST_ITEMS: usize = 101_000;

/// Most points of all polygons of one request (same sources).
pub const MOST_POINTS: usize = 10_000;

/// What a request is held against, beside GBIF's own rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The GBIF account that will send it. Another `creator` would be answered with 401.
    pub creator: String,
    /// Whether the request may go without naming datasets. By default it may not: only records of known datasets
    /// can enter the synthèse.
    pub all_datasets: bool,
}

/// A request that can be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidQuery {
    body: Value,
}

impl ValidQuery {
    /// The body to POST.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The body, owned.
    pub fn into_body(self) -> Value {
        self.body
    }

    /// SHA-256 of the body in canonical form: two documents that ask the same in another layout have the same digest.
    pub fn digest(&self) -> String {
        digest(&self.body)
    }
}

/// Checks a request and makes it the body to send, or tells every problem in the order of the document.
pub fn validate(request: &Value, rules: &Rules) -> Result<ValidQuery, Vec<Problem>> {
    let mut problems = Problems::default();
    let Some(document) = request.as_object() else {
        problems.add("$", "the request must be a JSON object");
        return Err(problems.into_vec());
    };
    envelope::check(document, rules, &mut problems);
    let mut totals = tree::Totals::default();
    match document.get("predicate") {
        None | Some(Value::Null) if document.contains_key("sql") => {}
        None | Some(Value::Null) => {
            problems.add("$.predicate", "the predicate is missing; without one GBIF answers with everything it has")
        }
        Some(predicate) => {
            totals = tree::check(predicate, &mut problems);
            if !rules.all_datasets && !tree::names_datasets(predicate) {
                problems.add(
                    "$.predicate",
                    "no DATASET_KEY limits the request (with `equals` or `in`, in every branch of an `or`); name the \
                     datasets, or say `all_datasets: true`",
                );
            }
        }
    }
    if totals.items > MOST_ITEMS {
        let message = format!("the request has {} items, GBIF takes at most {MOST_ITEMS}", totals.items);
        problems.add("$.predicate", message);
    }
    if totals.points > MOST_POINTS {
        let message = format!(
            "the polygons have {} points together, GBIF takes at most {MOST_POINTS}; simplify them",
            totals.points
        );
        problems.add("$.predicate", message);
    }
    let problems = problems.into_vec();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(ValidQuery { body: normalise::body(document, rules) })
}
