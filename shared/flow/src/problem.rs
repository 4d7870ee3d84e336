//! What is wrong with an agreement, and where.

use std::{collections::BTreeMap, fmt, ops::Range};

use serde::Serialize;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with an agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line of the file, from 1; none where the agreement is not a file.
    pub line: Option<usize>,
    /// Column of that line, from 1.
    pub column: Option<usize>,
    /// The key, such as `fields.add[0]`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(formatter, "line {line}, column {column}: ")?;
        }
        if !self.key.is_empty() {
            write!(formatter, "{} ", self.key)?;
        }
        write!(formatter, "{}", self.problem)?;
        if !self.instead.is_empty() {
            write!(formatter, "; {}", self.instead)?;
        }
        Ok(())
    }
}

/// Each problem on a line.
#[must_use]
pub fn in_lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// A problem before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub key: String,
    pub problem: String,
    pub instead: String,
}

impl Found {
    pub fn new(key: impl Into<String>, problem: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), instead: instead.into() }
    }
}

/// Where the keys of a file stand, by line and column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(BTreeMap<String, (usize, usize)>);

impl Places {
    /// Of a parsed file.
    pub fn of(text: &str, table: &DeTable<'_>) -> Self {
        let mut places = BTreeMap::new();
        walk(table, "", &mut |key, span| {
            places.insert(key.to_owned(), position(text, span.start));
        });
        Self(places)
    }

    /// Whether the file has the key.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The key that stands at a place: the innermost, where several begin there.
    pub fn key_at(&self, place: (usize, usize)) -> Option<&str> {
        let here = self.0.iter().filter(|(_, known)| **known == place).map(|(key, _)| key.as_str());
        here.max_by_key(|key| key.len())
    }

    /// The problem at its place; that of a missing key is the place of what it is missing from.
    pub fn locate(&self, found: Found) -> Problem {
        let mut prefix = found.key.as_str();
        let place = loop {
            if let Some(place) = self.0.get(prefix) {
                break Some(*place);
            }
            match prefix.rfind(['.', '[']) {
                Some(end) => prefix = &prefix[..end],
                None => break None,
            }
        };
        let Found { key, problem, instead } = found;
        Problem { line: place.map(|place| place.0), column: place.map(|place| place.1), key, problem, instead }
    }
}

/// Line and column of a byte, both from 1; columns count characters.
pub(crate) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Calls with each key and where it is written. An element of an array is at its value.
fn walk(table: &DeTable<'_>, prefix: &str, each: &mut impl FnMut(&str, Range<usize>)) {
    for (key, value) in table {
        let path = join(prefix, key.get_ref());
        each(&path, key.span());
        walk_value(value.get_ref(), &path, each);
    }
}

fn walk_value(value: &DeValue<'_>, path: &str, each: &mut impl FnMut(&str, Range<usize>)) {
    match value {
        DeValue::Table(table) => walk(table, path, each),
        DeValue::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let path = format!("{path}[{index}]");
                each(&path, value.span());
                walk_value(value.get_ref(), &path, each);
            }
        }
        _ => {}
    }
}

pub(crate) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}
