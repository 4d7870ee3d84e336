//! What a landing has to tell beside its counts: `pinv_gbif.generation.report`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Malformed rows that are kept as samples; all are counted.
pub const SAMPLES: usize = 100;

/// The report of a generation, as stored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Report {
    /// Terms of landed columns that the archive does not have, by column.
    pub missing_terms: Vec<String>,
    /// Tables that the descriptor names and the archive does not hold.
    pub absent_tables: Vec<String>,
    /// Values that could not be read as their type and are NULL, by column.
    pub unreadable: BTreeMap<String, u64>,
    /// The first malformed rows of `occurrence.txt`.
    pub malformed: Vec<MalformedRow>,
    /// How many rows of `multimedia.txt` are malformed.
    pub multimedia_malformed: u64,
    /// The first of them.
    pub multimedia_malformed_rows: Vec<MalformedRow>,
    /// Whether all of `occurrence.txt` is committed.
    pub occurrence_done: bool,
    /// Whether all of `multimedia.txt` is committed.
    pub multimedia_done: bool,
}

/// One malformed row.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct MalformedRow {
    /// Line in its file, counted from 1 and header included.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}
