//! Makes a checked document the body that is sent.

use super::Rules;
use super::envelope::{ADDRESS_NAMES, SEND_NAMES};
use crate::search_keys::{BACKBONE, SearchKey};
use serde_json::{Map, Value, json};

/// The body: one spelling of each property, the account, the format, and the backbone everywhere a checklist matters.
/// Values stay as they were written (`"True"` too), and so does the order of every list: GBIF finds an existing
/// download only when the lists agree.
pub(super) fn body(document: &Map<String, Value>, rules: &Rules) -> Value {
    let first = |names: &[&str]| names.iter().find_map(|name| document.get(*name)).filter(|value| !value.is_null());
    let mut body = Map::new();
    body.insert("creator".to_owned(), json!(rules.creator));
    body.insert("format".to_owned(), json!("DWCA"));
    body.insert("checklistKey".to_owned(), json!(BACKBONE));
    if let Some(addresses) = first(&ADDRESS_NAMES) {
        body.insert("notificationAddresses".to_owned(), addresses.clone());
    }
    // GBIF's own default, written out.
    body.insert("sendNotification".to_owned(), first(&SEND_NAMES).cloned().unwrap_or(json!(false)));
    for name in ["verbatimExtensions", "interpretedExtensions", "description", "machineDescription"] {
        if let Some(value) = first(&[name]) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(predicate) = document.get("predicate") {
        body.insert("predicate".to_owned(), pinned(predicate));
    }
    Value::Object(body)
}

/// The predicate with the backbone in each taxonomic leaf.
fn pinned(predicate: &Value) -> Value {
    let Some(node) = predicate.as_object() else {
        return predicate.clone();
    };
    let mut node = node.clone();
    node.retain(|_, value| !value.is_null());
    if let Some(Value::Array(list)) = node.get_mut("predicates") {
        *list = list.iter().map(pinned).collect();
    }
    if let Some(inner) = node.get("predicate").map(pinned) {
        node.insert("predicate".to_owned(), inner);
    }
    let key = node.get("key").or_else(|| node.get("parameter")).and_then(Value::as_str);
    if key.and_then(SearchKey::find).is_some_and(SearchKey::is_taxonomic) {
        node.insert("checklistKey".to_owned(), json!(BACKBONE));
    }
    Value::Object(node)
}
