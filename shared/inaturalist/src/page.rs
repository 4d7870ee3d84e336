//! Reads one page of observations.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One observation that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number, GBIF's `catalogNumber`.
    pub id: i64,
    /// Its permanent key.
    pub uuid: Uuid,
    /// Its address, as stored when it was made; not always on iNaturalist's host.
    pub uri: Option<String>,
    /// The name of the observer's account, where it was asked for: personal data.
    pub login: Option<String>,
}

/// What became of the ids of one lookup, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Observations that exist, in ascending order of id.
    pub found: Vec<Found>,
    /// Ids without an observation: unknown, deleted or removed.
    pub absent: Vec<i64>,
}

/// A page that says nothing about the ids that were asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageProblem {
    /// The page is cut: it holds fewer observations than were found.
    #[error("{total} observations were found but {sent} sent")]
    Truncated {
        /// `total_results` of the page.
        total: u64,
        /// Observations on the page.
        sent: u64,
    },
    /// More observations were found than asked for: the filter was not understood.
    #[error("{total} observations were found for {asked} ids")]
    Unfiltered {
        /// `total_results` of the page.
        total: u64,
        /// How many ids were asked.
        asked: u64,
    },
}

/// The envelope of a search. `status` and `errors` of failures are not read: their types change from one kind to another.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    total_results: u64,
    results: Vec<Observation>,
}

#[derive(Clone, Debug, Deserialize)]
struct Observation {
    id: i64,
    uuid: Uuid,
    #[serde(default, deserialize_with = "storable")]
    uri: Option<String>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    #[serde(default, deserialize_with = "storable")]
    login: Option<String>,
}

/// A text that a database column can keep: a NUL in it is replaced, so that one odd observation does not stop the batch.
fn storable<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(|text| text.replace('\0', "\u{fffd}")))
}

impl Page {
    /// Sorts the page into found and absent. `asked` holds each id once.
    ///
    /// # Errors
    /// The page is cut, or answers another question.
    pub fn read(self, asked: &[i64]) -> Result<Lookup, PageProblem> {
        let sent = self.results.len() as u64;
        if sent < self.total_results {
            // An unfiltered search is cut too; tell which of the two it is.
            return Err(unfiltered(self.total_results, asked)
                .unwrap_or(PageProblem::Truncated { total: self.total_results, sent }));
        }
        if let Some(problem) = unfiltered(sent, asked) {
            return Err(problem);
        }
        let mut by_id: BTreeMap<i64, Observation> = self.results.into_iter().map(|one| (one.id, one)).collect();
        let mut lookup = Lookup::default();
        for id in asked {
            match by_id.remove(id) {
                Some(Observation { id, uuid, uri, user }) => {
                    let login = user.and_then(|user| user.login).filter(|login| !login.is_empty());
                    lookup.found.push(Found { id, uuid, uri, login });
                }
                None => lookup.absent.push(*id),
            }
        }
        Ok(lookup)
    }
}

fn unfiltered(total: u64, asked: &[i64]) -> Option<PageProblem> {
    let asked = asked.len() as u64;
    (total > asked).then_some(PageProblem::Unfiltered { total, asked })
}
