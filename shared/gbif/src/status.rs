//! What GBIF tells of one download.
//!
//! Source: gbif/gbif-api, `Download`; recorded traffic of ropensci/rgbif. Fields we do not use are not read, fields we do
//! not know are no error.

use crate::{DownloadKey, storable};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;

/// State of a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DownloadStatus {
    /// Waiting in GBIF's queue, or being started. May last hours.
    Preparing,
    /// Being made.
    Running,
    /// Put aside by GBIF, which will go on with it.
    Suspended,
    /// The file is there.
    Succeeded,
    /// Ended by its owner or by an administrator.
    Cancelled,
    /// Ended by GBIF's system.
    Killed,
    /// GBIF could not make it; the same request may succeed.
    Failed,
    /// It was there; the file is gone.
    FileErased,
    /// A word GBIF did not use in August 2026.
    #[serde(untagged, deserialize_with = "storable::word")]
    Other(String),
}

impl DownloadStatus {
    /// Whether nothing will change any more. A word we do not know is no end: the deadline is.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled | Self::Killed | Self::Failed | Self::FileErased)
    }

    /// Whether GBIF counts it against the account's three simultaneous downloads.
    pub fn is_unfinished(&self) -> bool {
        matches!(self, Self::Preparing | Self::Running | Self::Suspended)
    }
}

impl fmt::Display for DownloadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preparing => "PREPARING",
            Self::Running => "RUNNING",
            Self::Suspended => "SUSPENDED",
            Self::Succeeded => "SUCCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::Killed => "KILLED",
            Self::Failed => "FAILED",
            Self::FileErased => "FILE_ERASED",
            Self::Other(word) => word,
        })
    }
}

/// One download.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Download {
    /// Its key.
    pub key: DownloadKey,
    /// Its DOI, without the resolver; assigned at the end, and never to those of 2014.
    #[serde(default, deserialize_with = "storable::text")]
    pub doi: Option<String>,
    /// Its state.
    pub status: DownloadStatus,
    /// What was asked, as GBIF keeps it; `Null` if absent.
    #[serde(default, deserialize_with = "storable::document")]
    pub request: Value,
    /// When it was asked.
    #[serde(default, deserialize_with = "storable::time")]
    pub created: Option<DateTime<Utc>>,
    /// When it last changed; what is visible lags some seconds behind.
    #[serde(default, deserialize_with = "storable::time")]
    pub modified: Option<DateTime<Utc>>,
    /// Where the file is, or will be: present before the file exists.
    #[serde(default, deserialize_with = "storable::text")]
    pub download_link: Option<String>,
    /// Length of the file in bytes. GBIF's 0 stands for "not known", also for a success whose file it could not read.
    #[serde(default, rename = "size", deserialize_with = "positive")]
    pub size_bytes: Option<u64>,
    /// Number of records: an estimate until the end, then the count. GBIF's -1 stands for "not known".
    #[serde(default, deserialize_with = "not_negative")]
    pub total_records: Option<u64>,
    /// Number of datasets; 0 until nearly finished.
    #[serde(default, deserialize_with = "not_negative")]
    pub number_datasets: Option<u64>,
    /// The licence GBIF states. Not to be relied on: it may be `unspecified` at the end, and change back and forth.
    #[serde(default, deserialize_with = "storable::text")]
    pub license: Option<String>,
}

/// One page of the account's downloads, newest first.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadPage {
    /// Number of the first of this page.
    pub offset: u64,
    /// Whether nothing comes after it.
    pub end_of_records: bool,
    /// The downloads.
    pub results: Vec<Download>,
}

fn positive<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(not_negative(from)?.filter(|number| *number > 0))
}

fn not_negative<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<i64>::deserialize(from)?.and_then(|number| u64::try_from(number).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_words_and_fields_are_tolerated() {
        let download: Download = serde_json::from_value(json!({
            "key": "0012150-260108223611665", "status": "HIBERNATING", "totalRecords": -1, "size": 0, "news": {"a": 1}
        }))
        .expect("a download");
        assert_eq!(download.status, DownloadStatus::Other("HIBERNATING".to_owned()));
        assert!(!download.status.is_terminal() && !download.status.is_unfinished());
        assert_eq!((download.total_records, download.size_bytes, download.doi), (None, None, None));
    }

    #[test]
    fn what_no_column_can_keep_is_put_right() {
        let download: Download = serde_json::from_value(json!({
            "key": "0012150-260108223611665", "status": "ODD\0", "doi": "10.15468/\0", "request": {"a\0": ["\0"]},
            "created": "-200000-01-01T00:00:00Z", "modified": "2026-01-08T22:40:00Z"
        }))
        .expect("a download");
        assert_eq!(download.status, DownloadStatus::Other("ODD\u{fffd}".to_owned()));
        assert_eq!(download.doi.as_deref(), Some("10.15468/\u{fffd}"));
        assert_eq!(download.request, json!({"a\u{fffd}": ["\u{fffd}"]}));
        assert!(download.created.is_none() && download.modified.is_some());
    }

    #[test]
    fn five_states_are_terminal() {
        for (word, is_terminal) in [
            ("PREPARING", false),
            ("RUNNING", false),
            ("SUSPENDED", false),
            ("SUCCEEDED", true),
            ("CANCELLED", true),
            ("KILLED", true),
            ("FAILED", true),
            ("FILE_ERASED", true),
        ] {
            let status: DownloadStatus = serde_json::from_value(json!(word)).expect("a state");
            assert_eq!((status.is_terminal(), status.to_string().as_str()), (is_terminal, word));
            assert!(!matches!(status, DownloadStatus::Other(_)), "{word}");
        }
    }
}
