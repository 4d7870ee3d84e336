//! The predicates that compare one search key with values.

use super::envelope::check_checklist;
use super::problem::{Problems, shown};
use super::tree::only;
use super::values::{Problem as ValueProblem, check_value};
use crate::search_keys::{BACKBONE, Kind, SearchKey};
use serde_json::{Map, Value};

/// Checks one leaf and gives its number of items.
pub(super) fn check(kind: &str, node: &Map<String, Value>, place: &str, problems: &mut Problems) -> usize {
    let is_null_test = matches!(kind, "isNull" | "isNotNull");
    let names: &[&str] = match kind {
        "isNull" | "isNotNull" => &["type", "parameter", "checklistKey"],
        "equals" | "like" => &["type", "key", "value", "matchCase", "checklistKey"],
        "in" => &["type", "key", "values", "matchCase", "checklistKey"],
        _ => &["type", "key", "value", "checklistKey", "matchCase"],
    };
    let name_of_key = if is_null_test { "parameter" } else { "key" };
    let name_of_value = if kind == "in" { "values" } else { "value" };
    let swapped_key = swapped(node, if is_null_test { "key" } else { "parameter" }, name_of_key);
    let swapped_value = swapped(node, if kind == "in" { "value" } else { "values" }, name_of_value);

    let known = |name: &&String| Some(name.as_str()) != swapped_key && Some(name.as_str()) != swapped_value;
    let rest: Map<String, Value> =
        node.iter().filter(|(name, _)| known(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    only(&rest, names, place, problems);

    if let Some(wrong) = swapped_key {
        problems.add(format!("{place}.{wrong}"), format!("`{kind}` takes `{name_of_key}`, not `{wrong}`"));
    }
    let key = check_key(kind, node, name_of_key, swapped_key.is_some(), place, problems);
    check_checklist(node.get("checklistKey"), place, problems);
    if node.get("matchCase").is_some_and(|value| !value.is_boolean() && !value.is_null()) {
        problems.add(format!("{place}.matchCase"), "write true or false, without quotes");
    }
    if is_null_test {
        return 1;
    }
    if let Some(wrong) = swapped_value {
        problems.add(format!("{place}.{wrong}"), format!("`{kind}` takes `{name_of_value}`, not `{wrong}`"));
        return 1;
    }
    if kind == "in" {
        return check_list(node.get("values"), key, place, problems);
    }
    let place = format!("{place}.value");
    check_one(node.get("value"), key, kind == "like", &place, problems);
    1
}

/// The other name of a property, if it stands where the right one should.
fn swapped(node: &Map<String, Value>, wrong: &'static str, right: &str) -> Option<&'static str> {
    (node.contains_key(wrong) && !node.contains_key(right)).then_some(wrong)
}

fn check_key(
    kind: &str,
    node: &Map<String, Value>,
    name: &str,
    is_reported: bool,
    place: &str,
    problems: &mut Problems,
) -> Option<&'static SearchKey> {
    let place = format!("{place}.{name}");
    let Some(text) = node.get(name).and_then(Value::as_str) else {
        if !is_reported {
            problems.add(place, format!("`{kind}` needs a search key, as a text"));
        }
        return None;
    };
    let Some(key) = SearchKey::find(text) else {
        let upper = upper_snake(text);
        let advice = SearchKey::find(&upper).map(|key| format!("; write {:?}", key.name)).unwrap_or_default();
        problems.add(place, format!("GBIF knows no search key {}{advice}", shown(text)));
        return None;
    };
    if key.is_place() {
        problems.add(place, format!("{text} is not compared with `{kind}`; use `within` or `geoDistance`"));
        return None;
    }
    if matches!(kind, "lessThan" | "lessThanOrEquals" | "greaterThan" | "greaterThanOrEquals") && !key.is_ordered() {
        problems.add(
            place.as_str(),
            format!("`{kind}` works for numbers, dates and geological time; {text} is none of these"),
        );
    }
    if kind == "like" && key.kind != Kind::Text {
        problems.add(place, format!("`like` works for texts only; {text} is none"));
    }
    Some(key)
}

/// `taxonKey` and `taxon-key` are how other programs write `TAXON_KEY`.
fn upper_snake(text: &str) -> String {
    let mut upper = String::new();
    for c in text.chars() {
        if c.is_ascii_uppercase() && upper.chars().last().is_some_and(|last| last != '_') && text != text.to_uppercase()
        {
            upper.push('_');
        }
        upper.push(if matches!(c, '-' | ' ' | '.') { '_' } else { c.to_ascii_uppercase() });
    }
    upper
}

fn check_list(values: Option<&Value>, key: Option<&'static SearchKey>, place: &str, problems: &mut Problems) -> usize {
    let place = format!("{place}.values");
    match values {
        Some(Value::Array(values)) if !values.is_empty() => {
            for (index, value) in values.iter().enumerate() {
                check_one(Some(value), key, false, &format!("{place}[{index}]"), problems);
            }
            values.len()
        }
        Some(Value::Array(_)) => {
            problems.add(place, "the list is empty; GBIF wants at least one value");
            1
        }
        _ => {
            problems.add(place, "`in` needs a list of values");
            1
        }
    }
}

fn check_one(
    value: Option<&Value>,
    key: Option<&'static SearchKey>,
    is_pattern: bool,
    place: &str,
    problems: &mut Problems,
) {
    let text = match value {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => {
            return problems.add(place, format!("values are texts: write \"{number}\" instead of {number}"));
        }
        Some(Value::Bool(flag)) => {
            return problems.add(place, format!("values are texts: write \"{flag}\" instead of {flag}"));
        }
        None => return problems.add(place, "the value is missing"),
        Some(_) => return problems.add(place, "the value must be a text"),
    };
    if text.trim().is_empty() {
        return problems.add(place, "the value is empty");
    }
    let Some(key) = key.filter(|_| !is_pattern) else {
        return;
    };
    if key.name == "CHECKLIST_KEY" && !text.eq_ignore_ascii_case(BACKBONE) {
        return problems.add(place, format!("taxa are matched through the GBIF backbone, {BACKBONE:?}"));
    }
    if let Err(ValueProblem(expected)) = check_value(key.kind, text) {
        problems.add(place, format!("{} is not {expected}, which {} needs", shown(text), key.name));
    }
}
