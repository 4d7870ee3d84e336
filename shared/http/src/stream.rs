//! An answer that comes piece by piece: a file.

use crate::call::Validator;
use crate::error::{HttpError, SafeUrl};
use crate::retry_after;
use crate::secrets::Secrets;
use crate::span;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, Stream};
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, LOCATION, RETRY_AFTER,
};
use std::time::Duration;
use tracing::Span;
use url::Url;

/// A streamed answer. Every chunk is waited for at most the stall timeout; there is no total time, since a large archive
/// may rightly take hours.
#[derive(Debug)]
pub struct Streamed {
    url: Url,
    response: reqwest::Response,
    stall_timeout: Duration,
    received_bytes: u64,
    now: DateTime<Utc>,
    secrets: Secrets,
    /// The call's, which ends with the body.
    span: Span,
}

impl Streamed {
    pub(crate) fn new(
        url: Url,
        response: reqwest::Response,
        stall_timeout: Duration,
        now: DateTime<Utc>,
        secrets: Secrets,
        span: Span,
    ) -> Self {
        Self { url, response, stall_timeout, received_bytes: 0, now, secrets, span }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Where this answer came from, after the hop if there was one.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Length of this body in bytes, if announced: of the part with status 206, of the file with 200.
    pub fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }

    /// First byte, last byte and whole length of the file, from `Content-Range: bytes 0-99/1234`; the length is unknown
    /// when the server writes `*`.
    pub fn content_range(&self) -> Option<(u64, u64, Option<u64>)> {
        parse_content_range(&self.header(CONTENT_RANGE)?)
    }

    /// What to send as `If-Range` later: a strong `ETag`, else `Last-Modified`. A weak tag cannot be used for ranges
    /// (RFC 9110, section 13.1.5).
    pub fn validator(&self) -> Option<Validator> {
        self.header(ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| self.header(LAST_MODIFIED)).map(Validator)
    }

    /// Whether the answer sends us elsewhere.
    pub fn is_redirect(&self) -> bool {
        matches!(self.status(), 301 | 302 | 303 | 307 | 308)
    }

    /// Where a redirect leads. Leaving HTTPS is refused; so is, by the call that follows it, whatever may not be called.
    pub fn redirect_target(&self) -> Result<Url, HttpError> {
        let refuse = |reason| HttpError::Redirect { url: SafeUrl::from(&self.url), reason };
        let location = self.header(LOCATION).ok_or_else(|| refuse("it says not where to"))?;
        let target = self.url.join(&location).map_err(|_| refuse("its Location is no address"))?;
        match (self.url.scheme(), target.scheme()) {
            (_, "https") | ("http", "http") => {}
            ("https", "http") => return Err(refuse("it leaves HTTPS")),
            _ => return Err(refuse("its Location is no web address")),
        }
        Ok(target)
    }

    /// The next piece, or `None` at the end. An end before the announced length is an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let after = self.stall_timeout;
        let chunk = match tokio::time::timeout(after, self.response.chunk()).await {
            Err(_) => Err(HttpError::Stalled { url: self.shown(), after, received_bytes: self.received_bytes }),
            Ok(Err(source)) => Err(HttpError::Broken {
                url: self.shown(),
                received_bytes: self.received_bytes,
                source: source.without_url(),
            }),
            Ok(Ok(chunk)) => {
                self.received_bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                Ok(chunk)
            }
        };
        match &chunk {
            Ok(Some(_)) => {}
            Ok(None) => span::received(&self.span, self.received_bytes),
            Err(error) => span::failed(&self.span, error),
        }
        chunk
    }

    /// The body as a stream of pieces; ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, HttpError>> + Send {
        stream::try_unfold(
            self,
            |mut streamed| async move { Ok(streamed.chunk().await?.map(|chunk| (chunk, streamed))) },
        )
    }

    /// This answer as an error, with the beginning of its text.
    pub async fn into_error(mut self) -> HttpError {
        let status = self.status();
        let retry_after = self.header(RETRY_AFTER).and_then(|value| retry_after::parse(&value, self.now));
        let head = self.chunk().await.ok().flatten().unwrap_or_default();
        HttpError::Status { url: self.shown(), status, retry_after, excerpt: self.secrets.excerpt(&head) }
    }

    fn shown(&self) -> SafeUrl {
        SafeUrl::from(&self.url)
    }

    fn header(&self, name: HeaderName) -> Option<String> {
        header_text(self.response.headers(), name)
    }
}

pub(crate) fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(|value| value.trim().to_owned())
}

fn parse_content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, length) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let length = if length == "*" { None } else { Some(length.parse().ok()?) };
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_with_and_without_the_whole_length() {
        assert_eq!(parse_content_range("bytes 0-99/1234"), Some((0, 99, Some(1234))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, 9, None)));
        for bad in ["bytes */1234", "bytes 5-9", "items 0-1/2", ""] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }
}
