//! The tree of predicates: walks it, counts, and hands the leaves on.
//!
//! Shapes: gbif/gbif-api, `org.gbif.api.model.predicate`; techdocs.gbif.org, "API Downloads".

use super::problem::{Problems, shown};
use super::{geometry, leaf};
use serde_json::{Map, Value};

/// What GBIF limits.
#[derive(Default, Debug, Clone, Copy)]
pub(super) struct Totals {
    pub items: usize,
    pub points: usize,
}

pub(super) fn check(predicate: &Value, problems: &mut Problems) -> Totals {
    let mut totals = Totals::default();
    walk(predicate, "$.predicate", problems, &mut totals);
    totals
}

/// The depth is bounded by the parser that read the document (128 levels).
fn walk(predicate: &Value, place: &str, problems: &mut Problems, totals: &mut Totals) {
    let Some(node) = predicate.as_object() else {
        return problems.add(place, "a predicate must be an object with a `type`");
    };
    if node.is_empty() {
        return problems.add(place, "the predicate is empty; GBIF would answer with everything it has");
    }
    let Some(kind) = node.get("type").and_then(Value::as_str) else {
        return problems.add(format!("{place}.type"), "the type of the predicate is missing or no text");
    };
    match kind {
        "and" | "or" => walk_list(node, place, problems, totals),
        "not" => {
            only(node, &["type", "predicate"], place, problems);
            match node.get("predicate") {
                Some(inner) => walk(inner, &format!("{place}.predicate"), problems, totals),
                None => problems.add(format!("{place}.predicate"), "`not` needs one `predicate`"),
            }
        }
        "equals"
        | "in"
        | "like"
        | "lessThan"
        | "lessThanOrEquals"
        | "greaterThan"
        | "greaterThanOrEquals"
        | "isNull"
        | "isNotNull" => totals.items += leaf::check(kind, node, place, problems),
        "within" => {
            totals.items += 1;
            totals.points += geometry::check_within(node, place, problems);
        }
        "geoDistance" => {
            totals.items += 1;
            geometry::check_distance(node, place, problems);
        }
        "range" | "fullTextSearch" => {
            problems.add(format!("{place}.type"), format!("{} is not announced by GBIF for downloads", shown(kind)))
        }
        other => {
            problems.add(format!("{place}.type"), format!("GBIF knows no predicate {}{}", shown(other), nearest(other)))
        }
    }
}

fn walk_list(node: &Map<String, Value>, place: &str, problems: &mut Problems, totals: &mut Totals) {
    only(node, &["type", "predicates"], place, problems);
    let place = format!("{place}.predicates");
    match node.get("predicates") {
        Some(Value::Array(list)) if !list.is_empty() => {
            for (index, inner) in list.iter().enumerate() {
                walk(inner, &format!("{place}[{index}]"), problems, totals);
            }
        }
        Some(Value::Array(_)) => problems.add(place, "the list is empty"),
        _ => problems.add(place, "a list of predicates is missing"),
    }
}

/// Names every property the predicate may not have.
pub(super) fn only(node: &Map<String, Value>, names: &[&str], place: &str, problems: &mut Problems) {
    for name in node.keys().filter(|name| !names.contains(&name.as_str())) {
        let known = names.iter().filter(|known| **known != "type").map(|known| format!("`{known}`"));
        let known = known.collect::<Vec<_>>().join(", ");
        problems.add(format!("{place}.{name}"), format!("this predicate has no such property; it has {known}"));
    }
}

/// The usual spellings that GBIF does not take.
fn nearest(kind: &str) -> String {
    const TYPES: [&str; 14] = [
        "and",
        "or",
        "not",
        "equals",
        "in",
        "like",
        "lessThan",
        "lessThanOrEquals",
        "greaterThan",
        "greaterThanOrEquals",
        "isNull",
        "isNotNull",
        "within",
        "geoDistance",
    ];
    let plain = |text: &str| text.replace(['_', '-', ' '], "").to_ascii_lowercase();
    TYPES
        .into_iter()
        .find(|known| plain(known) == plain(kind))
        .map(|known| format!("; write `{known}`"))
        .unwrap_or_default()
}

/// Whether every record of the answer belongs to a dataset that the request names. Under `or` each branch must name
/// one; what stands under `not` names what is left out.
pub(super) fn names_datasets(predicate: &Value) -> bool {
    let branches = || predicate["predicates"].as_array().filter(|list| !list.is_empty());
    match predicate["type"].as_str() {
        Some("and") => branches().is_some_and(|list| list.iter().any(names_datasets)),
        Some("or") => branches().is_some_and(|list| list.iter().all(names_datasets)),
        Some("equals" | "in") => predicate["key"] == "DATASET_KEY",
        _ => false,
    }
}
