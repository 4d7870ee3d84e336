//! What several fuzz targets ask of what was read.

use chrono::{DateTime, Datelike, Utc};
use serde_json::Value;

/// Fails when a text could not be stored: PostgreSQL keeps no NUL.
pub fn assert_storable(text: &str) {
    assert!(!text.contains('\0'), "a NUL reached a text that is stored: {text:?}");
}

/// Fails when a moment is outside what `timestamptz` holds.
pub fn assert_storable_time(time: DateTime<Utc>) {
    assert!((-4712..294_276).contains(&time.year()), "{time} is no timestamp of PostgreSQL");
}

/// Fails when any text of a document, names included, could not be stored.
pub fn assert_storable_json(value: &Value) {
    match value {
        Value::String(text) => assert_storable(text),
        Value::Array(list) => list.iter().for_each(assert_storable_json),
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            assert_storable(name);
            assert_storable_json(value);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The first line of an input, and what follows it.
pub fn first_line(data: &[u8]) -> (&str, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let line = data.get(..end).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    (line, data.get(end + 1..).unwrap_or_default())
}
