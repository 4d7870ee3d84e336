//! What a plan is, as `passereau.plan_summary` (`migrations/functions/62_summary.sql`) tells it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A plan for people. Samples are at most five records of each kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    /// Landed, new, changed, unchanged, kept, rejected.
    pub counts: Counts,
    /// Kept records by reason.
    pub kept: BTreeMap<String, i64>,
    /// Rejected records by reason.
    pub rejected: BTreeMap<String, i64>,
    /// New records, the first few.
    pub new: Vec<NewRecord>,
    /// Datasets that are to be made in GeoNature.
    pub datasets: Vec<NewDataset>,
    /// Columns that are to be written.
    pub fields: BTreeMap<String, Column>,
    /// Columns that a person changed and that stay.
    pub edited: BTreeMap<String, Column>,
    /// Columns that are to be written although a person has validated the row.
    pub validated: BTreeMap<String, Column>,
    /// Records that no current generation holds any more.
    pub vanished: Vanished,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub landed: i64,
    pub new: i64,
    pub changed: i64,
    pub unchanged: i64,
    pub kept: i64,
    pub rejected: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct NewRecord {
    pub gbif_id: i64,
    pub nom_cite: Option<String>,
    pub date: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct NewDataset {
    pub dataset_key: Option<String>,
    pub title: Option<String>,
    pub records: i64,
}

/// A column of `gn_synthese.synthese` and the records that it concerns.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Column {
    pub records: i64,
    pub samples: Vec<Sample>,
}

/// One record: the value as it stands, and as GBIF has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Sample {
    pub gbif_id: i64,
    pub here: Option<String>,
    pub gbif: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Vanished {
    /// Records that the subscription has lost.
    pub records: i64,
    /// The subscription's setting.
    pub setting: String,
    /// What becomes of their rows: how many of each.
    pub rows: BTreeMap<String, i64>,
    /// Rows that a person has validated or reported on.
    pub validated: i64,
    pub datasets: Vec<VanishedDataset>,
    pub samples: Vec<VanishedRecord>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct VanishedDataset {
    pub dataset_key: Option<String>,
    pub records: i64,
    pub of_records: i64,
    pub brakes: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct VanishedRecord {
    pub gbif_id: i64,
    pub nom_cite: Option<String>,
    pub date: Option<String>,
    pub reason: String,
}

impl Summary {
    /// Reads a summary; what a newer database tells besides is passed over.
    pub(super) fn read(value: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(value)
    }
}
