//! Reads one page of observations.

use crate::client::{Found, Lookup};
use crate::error::InaturalistError;
use serde::Deserialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The envelope of a search. `status` and `errors` of failures are not read: their types change from one kind to another.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    total_results: u64,
    results: Vec<Observation>,
}

#[derive(Debug, Deserialize)]
struct Observation {
    id: i64,
    uuid: Uuid,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(default)]
    login: Option<String>,
}

/// Sorts a page into found and absent. `asked` holds each id once.
pub(crate) fn read(page: Page, asked: &[i64]) -> Result<Lookup, InaturalistError> {
    let sent = page.results.len() as u64;
    if sent < page.total_results {
        // An unfiltered search is cut too; tell which of the two it is.
        return Err(unfiltered(page.total_results, asked)
            .unwrap_or(InaturalistError::Truncated { total: page.total_results, sent }));
    }
    if let Some(error) = unfiltered(sent, asked) {
        return Err(error);
    }
    let mut by_id: BTreeMap<i64, Observation> = page.results.into_iter().map(|one| (one.id, one)).collect();
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

fn unfiltered(total: u64, asked: &[i64]) -> Option<InaturalistError> {
    let asked = asked.len() as u64;
    (total > asked).then_some(InaturalistError::Unfiltered { total, asked })
}
