//! What no database column can keep is put right while an answer is read: PostgreSQL stores no NUL
//! (<https://www.postgresql.org/docs/current/datatype-character.html>) and no moment before 4713 BC. One odd value of one answer
//! must not stop a harvest, and a repetition of the call would bring it again.

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// A word, with U+FFFD for each NUL.
pub(crate) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    String::deserialize(from).map(without_nul)
}

/// A text that may be absent.
pub(crate) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(without_nul))
}

/// A moment that may be absent; one outside our calendar's years of four digits is as good as absent.
pub(crate) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(Option::<DateTime<Utc>>::deserialize(from)?.filter(|time| (1..=9999).contains(&time.year())))
}

/// A document with all its texts and names.
pub(crate) fn document<'de, D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
    Value::deserialize(from).map(clean)
}

fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul(text)),
        Value::Array(list) => list.into_iter().map(clean).collect(),
        Value::Object(map) => map.into_iter().map(|(name, value)| (without_nul(name), clean(value))).collect(),
        other => other,
    }
}
