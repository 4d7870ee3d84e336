//! The calls to GBIF's API.
//!
//! Source: gbif/occurrence, `DownloadResource` and `DownloadRequestServiceImpl`; gbif/registry,
//! `OccurrenceDownloadResource`; recorded traffic of ropensci/rgbif and gbif/pygbif.
//!
//! Only calls that need it carry the account. None is repeated here.

use crate::status::{Download, DownloadPage};
use crate::{DownloadKey, GbifConfig, GbifError};
use passereau_http::{Answer, Call, HttpClient, HttpError, Url};
use passereau_secret::SecretString;
use serde_json::Value;
use std::time::Duration;

/// The GBIF API with one account.
#[derive(Clone, Debug)]
pub struct GbifClient {
    http: HttpClient,
    base: Url,
    user: String,
    password: SecretString,
}

/// What became of a request for a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// GBIF has a download for it: a new one, or one of the last two days that it holds for the same. Its status tells
    /// what it was made for.
    Key(DownloadKey),
    /// GBIF refuses the request (400); it must be changed.
    BadRequest(String),
    /// GBIF refuses the account, or the creator is another (401).
    Unauthorized(String),
    /// Too many items or points (413).
    TooLarge(String),
    /// The account has its three unfinished downloads, or GBIF is full (420).
    TooManySimultaneous(String),
    /// The front end asks to slow down (429).
    SlowDown {
        /// How long, if GBIF said.
        retry_after: Option<Duration>,
    },
    /// Maintenance, or a trouble of GBIF's own (5xx). It may have made the download.
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// How long, if GBIF said.
        retry_after: Option<Duration>,
        /// The beginning of GBIF's words.
        excerpt: String,
    },
    /// Another status, or a 201 without a key.
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// The beginning of GBIF's words.
        excerpt: String,
    },
}

/// What became of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// Done, or the download was finished already (GBIF answers the same).
    Done,
    /// GBIF knows no such download.
    Unknown,
}

/// Where the file of a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchivePlace {
    /// There. Read it without credentials.
    At(Url),
    /// GBIF knows no such download, or it is not ready yet: both are 404.
    NotReady(String),
    /// Erased (410).
    Erased(String),
}

/// Downloads asked for in one page: a page of long predicates is large, and large offsets have failed at GBIF
/// (gbif/occurrence issue 98).
pub const PAGE_SIZE: u64 = 20;

/// Cap of such a page, in bytes: twenty requests of 101,000 items each.
const PAGE_LIMIT_BYTES: usize = 64 * 1024 * 1024;

impl GbifClient {
    /// The client of one account.
    pub fn new(http: HttpClient, config: &GbifConfig) -> Result<Self, GbifError> {
        let wrong = |reason| Err(GbifError::Setting { setting: "PASSEREAU_GBIF_URL", reason });
        let base = &config.gbif_url;
        if base.cannot_be_a_base() || !matches!(base.scheme(), "http" | "https") {
            return wrong("it must begin with http:// or https://");
        }
        if !base.username().is_empty() || base.password().is_some() {
            return wrong("user and password have settings of their own");
        }
        http.check(base).map_err(GbifError::Base)?;
        let (given, file) = (config.gbif_password.as_ref(), config.gbif_password_file.as_deref());
        let password = passereau_secret::read("PASSEREAU_GBIF_PASSWORD", given, file)?.unwrap_or_default();
        Ok(Self { http, base: base.clone(), user: config.gbif_user.clone(), password })
    }

    /// Where GBIF is.
    pub fn base_url(&self) -> &Url {
        &self.base
    }

    /// Name of the account.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Asks for a download. An error means that no answer came; GBIF may have made it
    /// ([`GbifError::outcome_is_unknown`]).
    pub async fn create(&self, body: &Value) -> Result<Created, GbifError> {
        let call = Call::post_json(self.url(&["occurrence", "download", "request"]), body);
        let answer = self.send("asking for a download", self.signed(call)).await?;
        let (status, retry_after) = (answer.status, answer.retry_after);
        Ok(match status {
            // The key comes as bare text under the type of JSON.
            201 => match answer.text().trim_matches('"').parse() {
                Ok(key) => Created::Key(key),
                Err(_) => Created::Unexpected { status, excerpt: answer.excerpt() },
            },
            400 => Created::BadRequest(answer.excerpt()),
            401 => Created::Unauthorized(answer.excerpt()),
            413 => Created::TooLarge(answer.excerpt()),
            420 => Created::TooManySimultaneous(answer.excerpt()),
            429 => Created::SlowDown { retry_after },
            500..=599 => Created::Unavailable { status, retry_after, excerpt: answer.excerpt() },
            _ => Created::Unexpected { status, excerpt: answer.excerpt() },
        })
    }

    /// The state of a download; `None` if GBIF knows no such key. Public: the request in it lacks what only its owner
    /// may see.
    pub async fn status(&self, key: &DownloadKey) -> Result<Option<Download>, GbifError> {
        let doing = "asking for the state of a download";
        let call = Call::get(self.url(&["occurrence", "download", key.as_str()]));
        let answer = self.send(doing, call).await?;
        match answer.status {
            404 => Ok(None),
            _ => read(doing, &answer).map(Some),
        }
    }

    /// Cancels a download of the account's.
    pub async fn cancel(&self, key: &DownloadKey) -> Result<Cancelled, GbifError> {
        let doing = "cancelling a download";
        let call = Call::delete(self.url(&["occurrence", "download", "request", key.as_str()]));
        let answer = self.send(doing, self.signed(call)).await?;
        match answer.status {
            404 => Ok(Cancelled::Unknown),
            status if answer.is_success() || status == 410 => Ok(Cancelled::Done),
            _ => Err(refused(doing, &answer)),
        }
    }

    /// One page of the account's downloads, from number `offset`, newest first.
    pub async fn own_downloads(&self, offset: u64) -> Result<DownloadPage, GbifError> {
        let doing = "listing the account's downloads";
        let mut url = self.url(&["occurrence", "download", "user", &self.user]);
        url.query_pairs_mut().append_pair("limit", &PAGE_SIZE.to_string()).append_pair("offset", &offset.to_string());
        let answer = self.send(doing, self.signed(Call::get(url).limit_bytes(PAGE_LIMIT_BYTES))).await?;
        read(doing, &answer)
    }

    /// Where the file of a download is; GBIF redirects to a separate file server. The file itself is not read.
    pub async fn archive_place(&self, key: &DownloadKey) -> Result<ArchivePlace, GbifError> {
        let doing = "asking where an archive is";
        let url = self.url(&["occurrence", "download", "request", &format!("{key}.zip")]);
        let streamed = self.http.stream(Call::get(url)).await.map_err(|source| GbifError::Http { doing, source })?;
        let status = streamed.status();
        if streamed.is_redirect() {
            let target = streamed.redirect_target().map_err(|source| GbifError::Http { doing, source })?;
            return Ok(ArchivePlace::At(target));
        }
        if status == 200 {
            return Ok(ArchivePlace::At(streamed.url().clone()));
        }
        match streamed.into_error().await {
            HttpError::Status { status: 404, excerpt, .. } => Ok(ArchivePlace::NotReady(excerpt)),
            HttpError::Status { status: 410, excerpt, .. } => Ok(ArchivePlace::Erased(excerpt)),
            HttpError::Status { status, retry_after, excerpt, .. } => {
                Err(classify(doing, status, retry_after, excerpt))
            }
            source => Err(GbifError::Http { doing, source }),
        }
    }

    pub(crate) async fn send(&self, doing: &'static str, call: Call) -> Result<Answer, GbifError> {
        self.http.send(call).await.map_err(|source| GbifError::Http { doing, source })
    }

    fn signed(&self, call: Call) -> Call {
        call.basic(&self.user, &self.password)
    }

    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Checked at construction: the address has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(segments);
        }
        url
    }
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(doing: &'static str, answer: &Answer) -> Result<T, GbifError> {
    if !answer.is_success() {
        return Err(refused(doing, answer));
    }
    answer.json().map_err(|source| GbifError::Http { doing, source })
}

pub(crate) fn refused(doing: &'static str, answer: &Answer) -> GbifError {
    classify(doing, answer.status, answer.retry_after, answer.excerpt())
}

fn classify(doing: &'static str, status: u16, retry_after: Option<Duration>, excerpt: String) -> GbifError {
    match status {
        401 => GbifError::Unauthorized { doing, text: excerpt },
        // 420 is GBIF's own word for a limit that is reached; 408 and 425 ask for nothing but another try.
        420 | 429 => GbifError::SlowDown { doing, status, retry_after },
        408 | 425 | 500..=599 => GbifError::Unavailable { doing, status, retry_after, excerpt },
        _ => GbifError::Unexpected { doing, status, excerpt },
    }
}
