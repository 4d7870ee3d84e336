//! `manifest.json`: what a version of a flow holds. Partners' programs read it: `docs/flows/manifest.schema.json` is made of these types.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use passereau_gate::Tally;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// Where it stands in the store.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// A column, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// Its name in the files.
    pub name: String,
    /// Its name in the agreement; empty for the geometry, which every file has.
    pub field: String,
    /// Its definition, in French.
    pub fr: String,
    /// Its definition, in English.
    pub en: String,
}

/// What may be redistributed, in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clause {
    /// In French.
    pub fr: String,
    /// In English.
    pub en: String,
}

impl Default for Clause {
    fn default() -> Self {
        Self {
            fr: "Les données peuvent être rediffusées à leur précision, à l'exception des données sensibles : une donnée sensible ne doit en aucun cas être rediffusée plus précisément que le niveau indiqué dans la colonne niveau_sensibilite.".to_owned(),
            en: "Records may be redistributed at their precision, except sensitive ones: a sensitive record must never be redistributed more precisely than the level that the column niveau_sensibilite tells.".to_owned(),
        }
    }
}

/// What a version holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Name of the flow.
    pub flow: String,
    /// Name of the version: the folder of its files.
    pub version: String,
    /// The version of the agreement that it follows.
    pub agreement_version: i32,
    /// When the first of its rows was read, UTC.
    pub read_at: DateTime<Utc>,
    /// Its rows.
    pub rows: i64,
    /// Its columns, in their order.
    pub fields: Vec<Explained>,
    /// What was asked for: territory, taxa, sources, datasets, sensitive records.
    pub filters: Value,
    /// Rows by licence (SPDX names).
    pub licences: BTreeMap<String, i64>,
    /// What left exactly or as an area, by level.
    pub delivered: Vec<Tally>,
    /// What did not leave, and why. With a territory, records whose place may not be told are not counted.
    pub withheld: Vec<Tally>,
    /// What may be redistributed.
    pub clause: Clause,
    /// Version of TAXREF.
    pub taxref_version: Option<String>,
    /// The sensitivity rules in force.
    pub sensitivity: Value,
    /// What GBIF asks to be cited for the rows that came from it.
    pub citations: Vec<String>,
    /// The files by extension, without the manifest itself.
    pub files: BTreeMap<String, FileEntry>,
}
