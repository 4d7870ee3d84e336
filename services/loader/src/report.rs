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
    /// What became of the documents that describe datasets.
    pub documents: Documents,
}

/// The documents `dataset/*.xml` of an archive, as far as they have been read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Documents {
    /// Documents whose dataset is described from now on.
    pub read: u64,
    /// Documents that cannot be read.
    pub unreadable: u64,
    /// The first of them.
    pub samples: Vec<UnreadableDocument>,
}

impl Documents {
    /// How many there were, in the order of their names.
    pub(crate) fn seen(&self) -> usize {
        usize::try_from(self.read + self.unreadable).unwrap_or(usize::MAX)
    }
}

/// A document that cannot be read.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct UnreadableDocument {
    /// Its name in the archive.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// One malformed row.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct MalformedRow {
    /// Line in its file, counted from 1 and header included.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}
