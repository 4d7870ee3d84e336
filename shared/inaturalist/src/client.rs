//! The one call.

use crate::config::InaturalistConfig;
use crate::error::InaturalistError;
use crate::page::{Lookup, Page};
use passereau_http::{Answer, Call, HttpClient};
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;

/// Most ids of one lookup: the largest page the API gives.
pub const MOST_IDS: usize = 200;

/// Shortest wait after a 429: the smallest window the server counts in is the minute (a maintainer in issue 265 of
/// inaturalist/iNaturalistAPI).
const SHORTEST_WAIT: Duration = Duration::from_secs(60);

/// A page of 200 times three or four fields is some 30 kB.
const LIMIT_BYTES: usize = 1024 * 1024;

/// What is asked of each observation besides its id and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// Its UUID.
    Uuid,
    /// Its UUID and the name of the observer's account.
    UuidAndLogin,
}

impl Fields {
    /// The parameter `fields`: a list, dots for what is nested (inaturalist/iNaturalistAPI, `lib/inaturalist_api_v2.js`).
    const fn parameter(self) -> &'static str {
        match self {
            Self::Uuid => "id,uri,uuid",
            Self::UuidAndLogin => "id,uri,uuid,user.login",
        }
    }
}

/// The iNaturalist API; needs no account.
#[derive(Clone, Debug)]
pub struct InaturalistClient {
    http: HttpClient,
    base: Url,
}

impl InaturalistClient {
    /// The client of one address.
    pub fn new(http: HttpClient, config: &InaturalistConfig) -> Result<Self, InaturalistError> {
        let base = &config.inaturalist_url;
        if base.cannot_be_a_base() || !matches!(base.scheme(), "http" | "https") {
            return Err(InaturalistError::BaseUrl("it must begin with http:// or https://"));
        }
        http.check(base).map_err(InaturalistError::Base)?;
        Ok(Self { http, base: base.clone() })
    }

    /// The address that is called, without its path: what the fleet's budget of calls is kept for.
    pub fn base_url(&self) -> &Url {
        &self.base
    }

    /// Looks up to [`MOST_IDS`] observations up, by one call. Repeated ids count once.
    pub async fn lookup(&self, ids: &[i64], fields: Fields) -> Result<Lookup, InaturalistError> {
        let ids: Vec<i64> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let url = self.url(&ids, fields)?;
        let failed = |source| InaturalistError::Http { ids: ids.len(), source };
        let answer = self.http.send(Call::get(url).limit_bytes(LIMIT_BYTES)).await.map_err(failed)?;
        match answer.status {
            200 => Ok(answer.json::<Page>().map_err(failed)?.read(&ids)?),
            _ => Err(failure(&answer)),
        }
    }

    fn url(&self, ids: &[i64], fields: Fields) -> Result<Url, InaturalistError> {
        if ids.is_empty() {
            return Err(InaturalistError::NoIds);
        }
        if ids.len() > MOST_IDS {
            return Err(InaturalistError::TooManyIds { given: ids.len(), most: MOST_IDS });
        }
        if let Some(bad) = ids.iter().find(|id| **id <= 0) {
            return Err(InaturalistError::BadId(*bad));
        }
        let mut url = self.base.clone();
        // Checked at construction: the address has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v2", "observations"]);
        }
        let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        // Written by hand: the usual encoding would write each comma as three characters. An unknown parameter is
        // ignored by the API, so a misspelt `id` would be no filter.
        url.set_query(Some(&format!("id={list}&fields={}&per_page={MOST_IDS}", fields.parameter())));
        Ok(url)
    }
}

fn failure(answer: &Answer) -> InaturalistError {
    let (status, excerpt) = (answer.status, answer.excerpt());
    match status {
        429 => InaturalistError::SlowDown { retry_after: answer.retry_after.unwrap_or_default().max(SHORTEST_WAIT) },
        500..=599 => InaturalistError::Unavailable { status, retry_after: answer.retry_after, excerpt },
        400 | 422 => InaturalistError::Refused { status, excerpt },
        _ => InaturalistError::Blocked { status, excerpt },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use passereau_http::HttpConfig;

    fn client() -> InaturalistClient {
        let http = HttpClient::new(&HttpConfig::new("passereau-test/1 (test@example.org)")).expect("a client");
        let inaturalist_url = "https://api.inaturalist.org".parse().expect("an address");
        InaturalistClient::new(http, &InaturalistConfig { inaturalist_url }).expect("a client")
    }

    #[test]
    fn the_address_asks_for_a_full_page_and_for_no_more_of_a_person_than_is_wanted() {
        let url = client().url(&[1, 22], Fields::Uuid).expect("an address");
        let expected = "https://api.inaturalist.org/v2/observations?id=1,22&fields=id,uri,uuid&per_page=200";
        assert_eq!(url.as_str(), expected);
        let url = client().url(&[1], Fields::UuidAndLogin).expect("an address");
        let expected = "https://api.inaturalist.org/v2/observations?id=1&fields=id,uri,uuid,user.login&per_page=200";
        assert_eq!(url.as_str(), expected);
        // Two hundred numbers of ten digits stay far below the 8 kB that servers take.
        let most: Vec<i64> = (3_394_120_000..3_394_120_200).collect();
        assert!(client().url(&most, Fields::UuidAndLogin).expect("an address").as_str().len() < 2_500);
    }

    #[test]
    fn what_would_ask_for_the_whole_site_is_not_sent() {
        assert!(matches!(client().url(&[], Fields::Uuid), Err(InaturalistError::NoIds)));
        assert!(matches!(client().url(&[5, 0], Fields::Uuid), Err(InaturalistError::BadId(0))));
        let too_many: Vec<i64> = (1..=201).collect();
        assert!(matches!(
            client().url(&too_many, Fields::Uuid),
            Err(InaturalistError::TooManyIds { given: 201, most: 200 })
        ));
    }
}
