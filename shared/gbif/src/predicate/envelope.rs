//! The properties around the predicate.
//!
//! GBIF fails a request with a property it does not know (gbif/gbif-api, `DownloadRequestSerde`), and a format it does
//! not know silently becomes DWCA; both are refused here by name.

use super::Rules;
use super::problem::{Problems, shown};
use crate::search_keys::BACKBONE;
use serde_json::{Map, Value};

/// The four spellings GBIF accepts for the addresses to be written to.
pub(super) const ADDRESS_NAMES: [&str; 4] =
    ["notificationAddresses", "notificationAddress", "notification_addresses", "notification_address"];

/// The two spellings of the switch for these mails.
pub(super) const SEND_NAMES: [&str; 2] = ["sendNotification", "send_notification"];

const OTHER_NAMES: [&str; 10] = [
    "creator",
    "format",
    "predicate",
    "sql",
    "verbatimExtensions",
    "interpretedExtensions",
    "checklistKey",
    "description",
    "machineDescription",
    "type",
];

pub(super) fn check(document: &Map<String, Value>, rules: &Rules, problems: &mut Problems) {
    for name in document.keys() {
        let name = name.as_str();
        if !ADDRESS_NAMES.contains(&name)
            && !SEND_NAMES.contains(&name)
            && !OTHER_NAMES.contains(&name)
            && name != "created"
        {
            problems.add(format!("$.{name}"), unknown_property(name));
        }
    }
    check_creator(document, rules, problems);
    check_format(document, problems);
    check_notification(document, problems);
    for name in ["verbatimExtensions", "interpretedExtensions"] {
        check_texts(document, name, "a list of row types", problems);
    }
    check_checklist(document.get("checklistKey"), "$", problems);
    match document.get("description") {
        None | Some(Value::Null | Value::String(_)) => {}
        Some(_) => problems.add("$.description", "the description must be a text"),
    }
}

fn unknown_property(name: &str) -> String {
    let advice = match name {
        "predicates" => "; write `predicate`, with one predicate that may be an `and`",
        "query" => "; write `predicate`",
        "user" | "username" => "; write `creator`",
        _ => "",
    };
    format!("GBIF knows no property {}{advice}", shown(name))
}

fn check_creator(document: &Map<String, Value>, rules: &Rules, problems: &mut Problems) {
    let creator = match document.get("creator") {
        None | Some(Value::Null) => return,
        Some(Value::String(creator)) => creator,
        Some(_) => return problems.add("$.creator", "the creator must be the name of a GBIF account, as a text"),
    };
    // Without an account there is nothing to compare with; sending is refused elsewhere.
    if creator == &rules.creator || rules.creator.is_empty() {
        return;
    }
    let account = &rules.creator;
    let message = if matches!(creator.as_str(), "USER" | "USER_GBIF") {
        format!("{} is the procedure's placeholder; write {account:?}, or leave the creator out", shown(creator))
    } else {
        format!(
            "{} is not the account that sends the request ({account:?}), GBIF would refuse it; leave the creator out",
            shown(creator)
        )
    };
    problems.add("$.creator", message);
}

fn check_format(document: &Map<String, Value>, problems: &mut Problems) {
    match document.get("format") {
        None | Some(Value::Null) => {}
        Some(Value::String(format)) if format == "DWCA" => {}
        Some(Value::String(format)) => {
            problems.add("$.format", format!("only archives are read: write \"DWCA\" instead of {}", shown(format)));
        }
        Some(_) => problems.add("$.format", "the format must be the text \"DWCA\""),
    }
    if document.get("sql").is_some_and(|sql| !sql.is_null()) {
        problems.add("$.sql", "an SQL download is no archive; write a predicate");
    }
    match document.get("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind == "OCCURRENCE" => {}
        Some(_) => problems.add("$.type", "only downloads of occurrences are read: write \"OCCURRENCE\" or nothing"),
    }
}

fn check_notification(document: &Map<String, Value>, problems: &mut Problems) {
    let given: Vec<&str> = ADDRESS_NAMES.into_iter().filter(|name| document.contains_key(*name)).collect();
    if let [first, others @ ..] = given.as_slice() {
        for other in others {
            problems.add(format!("$.{other}"), format!("the same as `{first}`; GBIF keeps only one of them"));
        }
    }
    for name in given {
        check_texts(document, name, "a list of e-mail addresses", problems);
        let addresses = document.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
        for (index, address) in addresses.filter_map(|(index, value)| Some((index, value.as_str()?))) {
            if !address.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.')) {
                problems.add(format!("$.{name}[{index}]"), format!("{} is no e-mail address", shown(address)));
            }
        }
    }
    for name in SEND_NAMES {
        if document.get(name).is_some_and(|value| !value.is_boolean() && !value.is_null()) {
            problems.add(format!("$.{name}"), "write true or false, without quotes");
        }
    }
}

fn check_texts(document: &Map<String, Value>, name: &str, what: &str, problems: &mut Problems) {
    match document.get(name) {
        None | Some(Value::Null) => {}
        Some(Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                if value.as_str().is_none_or(|text| text.trim().is_empty()) {
                    problems.add(format!("$.{name}[{index}]"), "must be a text that is not empty");
                }
            }
        }
        Some(_) => problems.add(format!("$.{name}"), format!("must be {what}")),
    }
}

/// The archive's taxon keys would belong to another checklist, and no taxon would be found.
pub(super) fn check_checklist(checklist: Option<&Value>, place: &str, problems: &mut Problems) {
    match checklist {
        None | Some(Value::Null) => {}
        Some(Value::String(key)) if key.eq_ignore_ascii_case(BACKBONE) => {}
        Some(_) => problems.add(
            format!("{place}.checklistKey"),
            format!("taxa are matched through the GBIF backbone: write {BACKBONE:?}, or leave the checklist out"),
        ),
    }
}
