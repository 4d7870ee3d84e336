//! The downloads that the stand-in GBIF knows, and how they grow up.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    clock::Clock,
    dice::{mix, mix_text},
    hosted::Hosted,
    request::Asked,
};

/// States of a download (gbif/gbif-api `Download.Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DownloadStatus {
    /// Waiting for GBIF's queue.
    Preparing,
    /// Being made.
    Running,
    /// Paused by GBIF; unfinished.
    Suspended,
    /// Ready.
    Succeeded,
    /// Cancelled by its owner.
    Cancelled,
    /// Ended by GBIF.
    Killed,
    /// Went wrong.
    Failed,
    /// Ready once, the file is gone.
    FileErased,
}

impl DownloadStatus {
    /// Whether the download still counts against the simultaneous limit.
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Preparing | Self::Running | Self::Suspended)
    }
}

/// How long a download takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many status calls answer PREPARING, then so many RUNNING, then SUCCEEDED.
    Polls {
        /// Calls that answer PREPARING.
        preparing: u32,
        /// Calls after those that answer RUNNING.
        running: u32,
    },
    /// So much virtual time in each state.
    Elapsed {
        /// Time in PREPARING.
        preparing: Duration,
        /// Time in RUNNING.
        running: Duration,
    },
}

/// One download.
#[derive(Clone, Debug)]
pub(crate) struct Download {
    pub(crate) key: String,
    pub(crate) user: String,
    pub(crate) asked: Asked,
    pub(crate) created: Duration,
    pub(crate) archive: usize,
    pub(crate) source: String,
    polls: u32,
    forced: Option<DownloadStatus>,
}

/// GBIF compares with the caller's downloads of this time, 50 at most (gbif/occurrence `DownloadResource`).
const SAME_WITHIN: Duration = Duration::from_secs(48 * 3600);
const SAME_AMONG: usize = 50;

/// Six months, after which files may be erased.
const KEPT: Duration = Duration::from_secs(182 * 86_400);

impl Download {
    pub(crate) fn status(&self, pace: Pace, now: Duration) -> DownloadStatus {
        if let Some(forced) = self.forced {
            return forced;
        }
        let age = now.saturating_sub(self.created);
        let (preparing, running) = match pace {
            Pace::Polls { preparing, running } => {
                // Before the first call the state is the one which that call will be told.
                let polls = self.polls.max(1);
                (polls <= preparing, polls <= preparing.saturating_add(running))
            }
            Pace::Elapsed { preparing, running } => (age < preparing, age < preparing + running),
        };
        match (preparing, running) {
            (true, _) => DownloadStatus::Preparing,
            (_, true) => DownloadStatus::Running,
            _ => DownloadStatus::Succeeded,
        }
    }

    /// `10.15468/dl.` and six characters.
    pub(crate) fn doi(&self) -> String {
        let mut bits = mix_text(&self.key);
        let name: String = (0..6)
            .map(|_| {
                bits = mix(bits);
                char::from(b"23456789abcdefghjkmnpqrstuvwxyz"[usize::try_from(bits % 31).unwrap_or(0)])
            })
            .collect();
        format!("10.15468/dl.{name}")
    }

    /// The status document, as its owner or anybody else sees it.
    pub(crate) fn document(&self, view: &View<'_>, archive: &Hosted, owner: bool) -> Value {
        let status = self.status(view.pace, view.now);
        let succeeded = matches!(status, DownloadStatus::Succeeded | DownloadStatus::FileErased);
        let mut request: Map<String, Value> = self.asked.stored.clone();
        if !owner {
            for hidden in ["creator", "notificationAddresses", "description"] {
                request.remove(hidden);
            }
        }
        // The licence comes and goes while a download is made, and even afterwards: seen in recorded traffic.
        let license = match status {
            DownloadStatus::Preparing => "unspecified",
            _ if self.polls.is_multiple_of(2) => "unspecified",
            _ => "http://creativecommons.org/licenses/by-nc/4.0/legalcode",
        };
        let size = if status == DownloadStatus::Succeeded {
            std::fs::metadata(&archive.path).map_or(0, |metadata| metadata.len())
        } else {
            0
        };
        // Until it is made, the number of records is an estimate.
        let total = if succeeded { archive.total_records } else { archive.total_records + archive.total_records / 50 };
        let link = match status {
            DownloadStatus::FileErased => String::new(),
            _ => format!("{}/v1/occurrence/download/request/{}.zip", view.base_url, self.key),
        };
        let mut document = json!({
            "key": self.key,
            "license": license,
            "request": request,
            "created": view.clock.stamp(self.created),
            "modified": view.clock.stamp(if status == DownloadStatus::Preparing { self.created } else { view.now }),
            "eraseAfter": view.clock.stamp(self.created + KEPT),
            "status": status,
            "downloadLink": link,
            "size": size,
            "totalRecords": total,
            "numberDatasets": if succeeded { archive.datasets.len() } else { 0 },
        });
        if succeeded {
            document["doi"] = self.doi().into();
        }
        if owner {
            document["source"] = self.source.clone().into();
        }
        document
    }
}

/// What a status document needs besides the download.
pub(crate) struct View<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) now: Duration,
    pub(crate) pace: Pace,
    pub(crate) base_url: &'a str,
}

/// All downloads, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    all: Vec<Download>,
    turn: usize,
}

/// The service's start time, second half of every key.
const SERVICE_START: &str = "260806074905277";

impl Downloads {
    pub(crate) fn all(&self) -> &[Download] {
        &self.all
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Download> {
        self.all.iter().find(|download| download.key == key || download.doi() == key)
    }

    /// The caller's download that GBIF would hand out again for this request.
    pub(crate) fn same(&self, asked: &Asked, user: &str, pace: Pace, now: Duration) -> Option<&Download> {
        self.all.iter().rev().filter(|download| download.user == user).take(SAME_AMONG).find(|download| {
            let status = download.status(pace, now);
            now.saturating_sub(download.created) <= SAME_WITHIN
                && (status.is_unfinished() || status == DownloadStatus::Succeeded)
                && download.asked.compared == asked.compared
        })
    }

    pub(crate) fn unfinished(&self, user: &str, pace: Pace, now: Duration) -> usize {
        let of_user = self.all.iter().filter(|download| download.user == user);
        of_user.filter(|download| download.status(pace, now).is_unfinished()).count()
    }

    /// Adds a download. Its archive is the next in turn among those that hold a dataset the request names, else among all.
    pub(crate) fn add(&mut self, asked: Asked, user: &str, source: &str, now: Duration, archives: &[Hosted]) -> String {
        let named: Vec<usize> = (0..archives.len())
            .filter(|&index| asked.dataset_keys.iter().any(|key| archives[index].datasets.contains_key(key)))
            .collect();
        let candidates = if named.is_empty() { (0..archives.len()).collect() } else { named };
        let archive = candidates.get(self.turn % candidates.len().max(1)).copied().unwrap_or(0);
        self.turn += 1;
        let key = format!("{:07}-{SERVICE_START}", 22_238 + self.all.len());
        self.all.push(Download {
            key: key.clone(),
            user: user.to_owned(),
            asked,
            created: now,
            archive,
            source: source.to_owned(),
            polls: 0,
            forced: None,
        });
        key
    }

    /// Counts a status call.
    pub(crate) fn poll(&mut self, key: &str) {
        if let Some(download) = self.all.iter_mut().find(|download| download.key == key || download.doi() == key) {
            download.polls = download.polls.saturating_add(1);
        }
    }

    /// Sets a state for good. False when the key is unknown.
    pub(crate) fn force(&mut self, key: &str, status: DownloadStatus) -> bool {
        let found = self.all.iter_mut().find(|download| download.key == key);
        found.map(|download| download.forced = Some(status)).is_some()
    }
}
