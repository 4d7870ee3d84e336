//! Scripts and records: what a test tells the sandbox to do wrong, and what it may ask about the calls received.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use axum::http::{Method, request::Parts};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A place where calls arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `POST /v1/occurrence/download/request`
    CreateDownload,
    /// `GET /v1/occurrence/download/{key}` (and by DOI)
    DownloadStatus,
    /// `DELETE /v1/occurrence/download/request/{key}`
    CancelDownload,
    /// `GET /v1/occurrence/download/request/{key}.zip`, the redirect
    DownloadFile,
    /// The file server behind the redirect
    FileBody,
    /// `GET /v1/occurrence/download/user/{user}` and `/count`
    UserDownloads,
    /// `GET /v1/dataset/{uuid}`
    Dataset,
    /// `GET /v1/dataset/{uuid}/document`
    DatasetDocument,
    /// `GET /v1/organization/{uuid}`
    Organization,
    /// `/v2/observations` of iNaturalist
    Observations,
    /// Anything else
    Other,
}

/// Which of the three servers a call reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Gbif,
    Files,
    Inaturalist,
}

impl Route {
    pub(crate) fn of(host: Host, method: &Method, path: &str) -> Self {
        match host {
            Host::Files => return Self::FileBody,
            Host::Inaturalist if path.starts_with("/v2/observations") => return Self::Observations,
            Host::Inaturalist => return Self::Other,
            Host::Gbif => {}
        }
        if let Some(rest) = path.strip_prefix("/v1/occurrence/download/request") {
            return match (method, rest) {
                (&Method::POST, "") => Self::CreateDownload,
                (&Method::DELETE, _) => Self::CancelDownload,
                (&Method::GET | &Method::HEAD, _) => Self::DownloadFile,
                _ => Self::Other,
            };
        }
        if let Some(rest) = path.strip_prefix("/v1/occurrence/download/") {
            return match rest.split('/').collect::<Vec<_>>().as_slice() {
                ["user", ..] => Self::UserDownloads,
                [_, "datasets" | "citation"] | ["describe", ..] => Self::Other,
                [_] | [_, _] => Self::DownloadStatus,
                _ => Self::Other,
            };
        }
        if path.starts_with("/v1/organization/") {
            return Self::Organization;
        }
        match path.strip_prefix("/v1/dataset/") {
            Some(rest) if rest.ends_with("/document") => Self::DatasetDocument,
            Some(_) => Self::Dataset,
            None => Self::Other,
        }
    }
}

/// What happens to one call instead of, or after, the usual handling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scripted {
    /// Nothing unusual. Lets a script say "the third call".
    Pass,
    /// This answer; the call has no effect.
    Answer {
        /// HTTP status.
        status: u16,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Body.
        #[serde(default)]
        body: String,
    },
    /// A proxy's page that asks to come again at a date; the call has no effect.
    RetryAt {
        /// HTTP status.
        status: u16,
        /// How far off the date in `Retry-After` is when the answer is written, in real seconds.
        after_s: u32,
    },
    /// The connection is closed; the call has no effect.
    Reset,
    /// The call has its effect, then the connection is closed without an answer.
    LoseAnswer,
    /// The true answer, of which only so many bytes arrive before the connection is closed. `Content-Length` is the whole.
    Truncate {
        /// Bytes of the body that arrive.
        after_bytes: u64,
    },
    /// The true answer; after so many bytes nothing more comes, and the connection stays open.
    Stall {
        /// Bytes of the body that arrive.
        after_bytes: u64,
    },
    /// The true answer, in small pieces with pauses.
    Drip {
        /// Size of a piece.
        chunk_bytes: usize,
        /// Pause after each piece, in real milliseconds.
        pause_ms: u64,
    },
    /// The true answer with one byte of its body inverted: the right length, the wrong content.
    Garble {
        /// Which byte, from 0; beyond the body nothing changes.
        at_byte: u64,
    },
    /// The true answer with this header instead of its own.
    Header {
        /// Name.
        name: String,
        /// Value.
        value: String,
    },
    /// The true answer, a JSON document, with another value at one place.
    Say {
        /// The place, a JSON pointer (RFC 6901); a member that is missing is added, any other missing place changes nothing.
        pointer: String,
        /// The value.
        value: Value,
    },
    /// The true answer, a JSON document, with one of its lists in the reverse order.
    Reverse {
        /// The list, a JSON pointer.
        pointer: String,
    },
    /// The call is handled as if it did not name this parameter or header.
    Deaf {
        /// A parameter of the query, or a header in lower case.
        to: String,
    },
}

impl Scripted {
    /// A plain-text answer.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        let headers = [("content-type".to_owned(), "text/plain".to_owned())].into();
        Self::Answer { status, headers, body: body.into() }
    }

    /// A proxy's page where JSON is expected.
    pub fn html(status: u16) -> Self {
        let headers = [("content-type".to_owned(), "text/html".to_owned())].into();
        Self::Answer { status, headers, body: "<html><body><h1>Backend fetch failed</h1></body></html>\n".to_owned() }
    }

    /// GBIF's front-end limit: a JSON array of three sentences, sometimes with `Retry-After` (kartoza/bims issue 4756).
    pub fn gbif_slow_down(retry_after_s: Option<u64>) -> Self {
        let body = r#"[
 "This is not an efficient way to retrieve this data, please slow down or stop your script.",
 "Check the API documentation <https://techdocs.gbif.org/en/openapi/> for a more efficient way, for example using the Occurrence Download API to download data in bulk.",
 "We can also provide data about downloads, datasets, citations and so on in CSV or some other format, please contact helpdesk@gbif.org."
]
"#;
        let answer = Self::answer(429, body).with_header("content-type", "application/json");
        match retry_after_s {
            Some(seconds) => answer.with_header("retry-after", &seconds.to_string()),
            None => answer,
        }
    }

    /// The true answer with another value at one place of its JSON.
    pub fn say(pointer: &str, value: impl Into<Value>) -> Self {
        Self::Say { pointer: pointer.to_owned(), value: value.into() }
    }

    /// The call is handled as if it did not name this parameter or header.
    pub fn deaf(to: &str) -> Self {
        Self::Deaf { to: to.to_owned() }
    }

    /// Adds a header to an answer; other scripts stay as they are.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }
}

/// One call as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers, names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// Body, lossily as text.
    pub body: String,
    /// When it had arrived as a whole, by the machine's clock.
    pub at: Instant,
}

impl Recorded {
    /// The first header called `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Calls kept per route; older ones are forgotten so that a long demonstration does not grow.
const RECORDED_PER_ROUTE: usize = 1_000;

#[derive(Debug, Default)]
struct Pages {
    scripts: BTreeMap<Route, VecDeque<Scripted>>,
    calls: BTreeMap<Route, u64>,
    recorded: BTreeMap<Route, VecDeque<Recorded>>,
}

/// Scripts still to be played and calls received.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Pages>);

impl Ledger {
    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn script(&self, route: Route, scripted: impl IntoIterator<Item = Scripted>) {
        self.pages().scripts.entry(route).or_default().extend(scripted);
    }

    /// Notes a call and says what to do with it.
    pub(crate) fn arrive(&self, route: Route, parts: &Parts, body: &Bytes) -> Scripted {
        let mut pages = self.pages();
        *pages.calls.entry(route).or_default() += 1;
        let recorded = pages.recorded.entry(route).or_default();
        if recorded.len() == RECORDED_PER_ROUTE {
            recorded.pop_front();
        }
        recorded.push_back(Recorded {
            method: parts.method.to_string(),
            target: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body: String::from_utf8_lossy(body).into_owned(),
            at: Instant::now(),
        });
        pages.scripts.get_mut(&route).and_then(VecDeque::pop_front).unwrap_or(Scripted::Pass)
    }

    pub(crate) fn calls(&self, route: Route) -> u64 {
        self.pages().calls.get(&route).copied().unwrap_or(0)
    }

    pub(crate) fn recorded(&self, route: Route) -> Vec<Recorded> {
        self.pages().recorded.get(&route).map(|calls| calls.iter().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn forget(&self) -> usize {
        std::mem::take(&mut self.pages().scripts).values().map(VecDeque::len).sum()
    }

    pub(crate) fn unplayed(&self) -> usize {
        self.pages().scripts.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn scripts_are_read_from_json() {
        let text = r#"{
            "create_download": ["lose_answer", "pass", {"answer": {"status": 503, "headers": {"retry-after": "77"}}}],
            "file_body": [{"truncate": {"after_bytes": 1000}}, {"drip": {"chunk_bytes": 10, "pause_ms": 5}}, "reset"]
        }"#;
        let scripts: BTreeMap<Route, Vec<Scripted>> = serde_json::from_str(text).unwrap();
        assert_eq!(scripts[&Route::CreateDownload][0], Scripted::LoseAnswer);
        assert_eq!(scripts[&Route::FileBody][0], Scripted::Truncate { after_bytes: 1000 });
        assert!(
            matches!(&scripts[&Route::CreateDownload][2], Scripted::Answer { status: 503, body, .. } if body.is_empty())
        );
    }

    #[test]
    fn routes_by_path() {
        let gbif = |method: Method, path: &str| Route::of(Host::Gbif, &method, path);
        assert_eq!(gbif(Method::POST, "/v1/occurrence/download/request"), Route::CreateDownload);
        assert_eq!(gbif(Method::GET, "/v1/occurrence/download/request/0000001-1.zip"), Route::DownloadFile);
        assert_eq!(gbif(Method::DELETE, "/v1/occurrence/download/request/0000001-1"), Route::CancelDownload);
        assert_eq!(gbif(Method::GET, "/v1/occurrence/download/10.15468/dl.abcdef"), Route::DownloadStatus);
        assert_eq!(gbif(Method::GET, "/v1/occurrence/download/0000001-1/datasets"), Route::Other);
        assert_eq!(gbif(Method::GET, "/v1/occurrence/download/user/me/count"), Route::UserDownloads);
        assert_eq!(gbif(Method::GET, "/v1/dataset/x/document"), Route::DatasetDocument);
        assert_eq!(gbif(Method::GET, "/v1/organization/x"), Route::Organization);
    }
}
