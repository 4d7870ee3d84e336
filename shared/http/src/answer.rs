//! A whole answer: status, the headers that matter, and a body of bounded size.

use crate::error::{HttpError, SafeUrl};
use crate::excerpt::{LONGEST_BYTES, is_html};
use crate::secrets::Secrets;
use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use std::fmt;
use std::time::Duration;

/// What a server answered, whatever the status: the service's own crate knows what each status means.
///
/// It can be printed: what is shown of the body is its beginning, without the credentials of the call.
#[derive(Clone)]
pub struct Answer {
    pub(crate) url: SafeUrl,
    /// The HTTP status.
    pub status: u16,
    /// What the server asked us to wait, from `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The declared type of the body.
    pub content_type: Option<String>,
    /// The body, decompressed.
    pub body: Bytes,
    pub(crate) secrets: Secrets,
}

impl Answer {
    /// Whether the status is of the 200s.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as one trimmed text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }

    /// The beginning of the body on one line, without the credentials that were sent: a server may show them, whatever the status.
    pub fn excerpt(&self) -> String {
        self.secrets.excerpt(&self.body)
    }

    /// Reads the body of a success as JSON.
    ///
    /// A web page is named as such, and JSON that stops in the middle is told from JSON of another shape, because only
    /// the former is worth another try.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        if !self.is_success() {
            return Err(self.as_error());
        }
        if is_html(self.content_type.as_deref(), &self.body) {
            return Err(HttpError::Html { url: self.url.clone(), status: self.status, excerpt: self.excerpt() });
        }
        serde_json::from_slice(&self.body).map_err(|source| {
            if source.is_eof() {
                HttpError::CutJson { url: self.url.clone(), received_bytes: self.body.len() }
            } else {
                // Its words quote the body as well.
                let source = serde_json::Error::custom(self.secrets.strip(&source.to_string(), LONGEST_BYTES));
                HttpError::Json { url: self.url.clone(), excerpt: self.excerpt(), source }
            }
        })
    }

    /// This answer as an error: its status is of no use to the caller.
    pub fn as_error(&self) -> HttpError {
        HttpError::Status {
            url: self.url.clone(),
            status: self.status,
            retry_after: self.retry_after,
            excerpt: self.excerpt(),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}: {}", self.status, self.url, self.excerpt())
    }
}
