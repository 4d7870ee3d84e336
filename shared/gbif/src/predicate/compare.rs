//! Is the download that GBIF gave back the one that was asked for?
//!
//! GBIF gives an existing download of the last two days back when format and predicate are equal, but its comparison
//! leaves out the checklist of the whole request and both lists of extensions (gbif/occurrence, `DownloadResource`). So
//! the archive may hold taxon keys of another checklist, or miss tables. The status of a download echoes the request: that
//! echo is compared here, with what GBIF adds or hides left aside: `matchCase: false`, empty lists of extensions, and for
//! readers other than the owner no creator, addresses or description.

use crate::search_keys::{BACKBONE, Kind, SearchKey};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Where the echo differs from what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GBIF's download was made for another request: at {path} it has {echoed} where {asked} was asked")]
pub struct Difference {
    /// The place in the request.
    pub path: String,
    /// What was asked there, shortened.
    pub asked: String,
    /// What GBIF has there, shortened.
    pub echoed: String,
}

/// Compares the request we sent with the one a download was made for.
pub fn same_request(asked: &Value, echoed: &Value) -> Result<(), Difference> {
    let text = |request: &Value, name: &str, default: &str| request[name].as_str().unwrap_or(default).to_owned();
    for (name, default) in [("format", "DWCA"), ("type", "OCCURRENCE"), ("checklistKey", BACKBONE)] {
        let (asked, echoed) = (text(asked, name, default), text(echoed, name, default));
        if !asked.eq_ignore_ascii_case(&echoed) {
            return Err(difference(&format!("$.{name}"), &json!(asked), &json!(echoed)));
        }
    }
    for name in ["verbatimExtensions", "interpretedExtensions"] {
        let set = |request: &Value| -> BTreeSet<String> {
            request[name].as_array().into_iter().flatten().map(Value::to_string).collect()
        };
        if set(asked) != set(echoed) {
            return Err(difference(&format!("$.{name}"), &asked[name], &echoed[name]));
        }
    }
    compare("$.predicate", &plain(&asked["predicate"]), &plain(&echoed["predicate"]))
}

/// A predicate without what means nothing: defaults, absent values, the case of booleans.
fn plain(predicate: &Value) -> Value {
    let Some(node) = predicate.as_object() else {
        return predicate.clone();
    };
    let key = node.get("key").or_else(|| node.get("parameter")).and_then(Value::as_str).and_then(SearchKey::find);
    let mut plain_node = Map::new();
    for (name, value) in node {
        let value = match (name.as_str(), value) {
            (_, Value::Null) => continue,
            ("matchCase", Value::Bool(false)) => continue,
            ("checklistKey", Value::String(checklist)) if checklist.eq_ignore_ascii_case(BACKBONE) => continue,
            ("predicate", inner) => plain(inner),
            ("predicates", Value::Array(list)) => list.iter().map(plain).collect(),
            ("value", Value::String(text)) if key.is_some_and(|key| key.kind == Kind::Boolean) => {
                json!(text.to_ascii_lowercase())
            }
            _ => value.clone(),
        };
        plain_node.insert(name.clone(), value);
    }
    Value::Object(plain_node)
}

fn compare(path: &str, asked: &Value, echoed: &Value) -> Result<(), Difference> {
    match (asked, echoed) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            names.into_iter().try_for_each(|name| {
                let path = format!("{path}.{name}");
                compare(&path, left.get(name).unwrap_or(&Value::Null), right.get(name).unwrap_or(&Value::Null))
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => (left.iter().zip(right).enumerate())
            .try_for_each(|(index, (left, right))| compare(&format!("{path}[{index}]"), left, right)),
        _ if asked == echoed => Ok(()),
        _ => Err(difference(path, asked, echoed)),
    }
}

fn difference(path: &str, asked: &Value, echoed: &Value) -> Difference {
    let short = |value: &Value| {
        let text = if value.is_null() { "nothing".to_owned() } else { value.to_string() };
        let mut short: String = text.chars().take(80).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        short
    };
    Difference { path: path.to_owned(), asked: short(asked), echoed: short(echoed) }
}
