//! The documents beside the files: the list of versions, and what a page reads of a manifest.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::catalogue::Delivery;

/// The versions of a flow that can be fetched.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Versions {
    /// Name of the flow.
    pub flow: String,
    /// Its versions, the newest first.
    pub versions: Vec<Version>,
}

/// A version.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Version {
    /// Its name.
    pub version: String,
    /// When it was published, UTC.
    pub published_at: DateTime<Utc>,
    /// Its rows.
    pub rows: i64,
    /// The version of the agreement that it follows.
    pub agreement_version: i32,
    /// Path of its manifest.
    pub manifest: String,
    /// Its files by extension.
    pub files: BTreeMap<String, File>,
}

/// A file of a version.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct File {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes in hexadecimal digits: also its entity tag.
    pub sha256: String,
}

/// Lists deliveries.
pub(crate) fn versions(flow: &str, deliveries: &[Delivery]) -> Versions {
    let of = |delivery: &Delivery| {
        let folder = format!("/flows/{flow}/{}", delivery.version);
        let files = delivery.files.iter().map(|(extension, file)| {
            let path = format!("{folder}/{flow}.{extension}");
            (extension.clone(), File { path, size_bytes: file.size_bytes, sha256: file.sha256.clone() })
        });
        Version {
            version: delivery.version.clone(),
            published_at: delivery.finished_at,
            rows: delivery.rows,
            agreement_version: delivery.flow_version,
            manifest: format!("{folder}/manifest.json"),
            files: files.collect(),
        }
    };
    Versions { flow: flow.to_owned(), versions: deliveries.iter().map(of).collect() }
}

/// What a version holds; docs/flows.md explains each member. There may be more of them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Manifest {
    /// When the first of its rows was read, UTC.
    pub read_at: Option<DateTime<Utc>>,
    /// Its rows.
    pub rows: i64,
    /// Its columns, in their order.
    pub fields: Vec<Explained>,
    /// Rows by licence (SPDX names).
    pub licences: BTreeMap<String, i64>,
    /// What left exactly or as an area, by level.
    pub delivered: Vec<Tally>,
    /// What did not leave, and why.
    pub withheld: Vec<Tally>,
    /// What may be redistributed.
    pub clause: Option<Clause>,
    /// Version of TAXREF.
    pub taxref_version: Option<String>,
    /// What GBIF asks to be cited for the rows that came from it.
    pub citations: Vec<String>,
}

/// A column, explained.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Explained {
    /// Its name in the files.
    pub name: String,
    /// Its name in the agreement; empty for the geometry, which every file has.
    pub field: String,
    /// Its definition, in French.
    pub fr: String,
    /// Its definition, in English.
    pub en: String,
}

/// Records with one fate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Tally {
    /// The sensitivity level, as the platform names it.
    pub level: Option<String>,
    /// `exact`, `area` or `withheld`.
    pub outcome: String,
    /// The type of area, of outcome `area`.
    pub area_type: Option<String>,
    /// Why, of outcome `withheld`.
    pub reason: Option<String>,
    /// How many.
    pub records: i64,
}

/// A text in both languages.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Clause {
    /// In French.
    pub fr: String,
    /// In English.
    pub en: String,
}

impl Manifest {
    /// What can be read of a manifest; a member of another form is as one that is not there.
    pub(crate) fn read(manifest: &Value) -> Self {
        fn member<T: DeserializeOwned + Default>(manifest: &Value, name: &str) -> T {
            manifest.get(name).and_then(|value| T::deserialize(value).ok()).unwrap_or_default()
        }
        Self {
            read_at: member(manifest, "read_at"),
            rows: member(manifest, "rows"),
            fields: member(manifest, "fields"),
            licences: member(manifest, "licences"),
            delivered: member(manifest, "delivered"),
            withheld: member(manifest, "withheld"),
            clause: member(manifest, "clause"),
            taxref_version: member(manifest, "taxref_version"),
            citations: member(manifest, "citations"),
        }
    }
}
