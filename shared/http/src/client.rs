//! The client: sends calls, and follows at most one redirect when told to.

use crate::answer::Answer;
use crate::call::Call;
use crate::config::HttpConfig;
use crate::error::{HttpError, SafeUrl};
use crate::reach::{LeadsInside, Reach};
use crate::stream::{Streamed, header_text};
use crate::{retry_after, span, user_agent};
use bytes::BytesMut;
use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use std::sync::Arc;
use std::time::Duration;
use tracing::{Instrument, Span};
use url::Url;

/// Tells the present time; needed to read a `Retry-After` that is a date.
pub type Clock = fn() -> DateTime<Utc>;

/// One client for all calls of a process; cloning shares its connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    whole: reqwest::Client,
    /// Without decompression: a range of a compressed transfer would be a range of something else.
    raw: reqwest::Client,
    stall_timeout: Duration,
    total_timeout: Duration,
    reach: Reach,
    clock: Clock,
}

impl HttpClient {
    /// Builds the client. Fails when the `User-Agent` holds no contact.
    pub fn new(config: &HttpConfig) -> Result<Self, HttpError> {
        Self::with_clock(config, Utc::now)
    }

    /// The same with another clock, for tests.
    pub fn with_clock(config: &HttpConfig, clock: Clock) -> Result<Self, HttpError> {
        user_agent::check(&config.user_agent)?;
        // Another part of the process may have installed it already: it is the same one everywhere.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let reach = Reach::of(config);
        let builder = || {
            reqwest::Client::builder()
                .dns_resolver(Arc::new(reach.clone()))
                .user_agent(&config.user_agent)
                .connect_timeout(config.http_connect_timeout)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
        };
        Ok(Self {
            whole: builder().build().map_err(HttpError::Build)?,
            raw: builder().no_gzip().build().map_err(HttpError::Build)?,
            stall_timeout: config.http_stall_timeout,
            total_timeout: config.http_total_timeout,
            clock,
            reach,
        })
    }

    /// Whether an address may be called by this client, as far as it tells by itself: for base addresses that are settings.
    ///
    /// # Errors
    /// [`HttpError::BadUrl`] says what is wrong, and which setting allows more.
    pub fn check(&self, url: &Url) -> Result<(), HttpError> {
        self.reach.check(url)
    }

    /// Sends one call and reads its whole answer, whatever the status. A redirect is an answer.
    pub async fn send(&self, call: Call) -> Result<Answer, HttpError> {
        let span = span::of(&call);
        let answer = self.send_timed(call).instrument(span.clone()).await;
        match &answer {
            Ok(answer) => {
                span::answered(&span, answer.status);
                span::received(&span, answer.body.len() as u64);
            }
            Err(error) => span::failed(&span, error),
        }
        answer
    }

    async fn send_timed(&self, call: Call) -> Result<Answer, HttpError> {
        let url = SafeUrl::from(&call.url);
        self.reach.check(&call.url)?;
        let after = self.total_timeout;
        tokio::time::timeout(after, self.send_untimed(call, url.clone()))
            .await
            .unwrap_or(Err(HttpError::Timeout { url, after }))
    }

    async fn send_untimed(&self, call: Call, url: SafeUrl) -> Result<Answer, HttpError> {
        let limit_bytes = call.limit_bytes;
        let secrets = call.secrets();
        let request = call.into_request(&self.whole);
        let mut response = request.send().await.map_err(|source| sending_failed(&url, source))?;
        let status = response.status().as_u16();
        let retry_after =
            header_text(response.headers(), RETRY_AFTER).and_then(|value| retry_after::parse(&value, (self.clock)()));
        let content_type = header_text(response.headers(), CONTENT_TYPE);
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit_bytes => {
                    return Err(HttpError::TooLarge { url, limit_bytes });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(source) => {
                    let received_bytes = body.len() as u64;
                    return Err(HttpError::Broken { url, received_bytes, source: source.without_url() });
                }
            }
        }
        Ok(Answer { url, status, retry_after, content_type, body: body.freeze(), secrets })
    }

    /// Sends one call and gives its body as it comes, whatever the status. Asks for no compression, so that lengths
    /// and ranges are those of the file.
    pub async fn stream(&self, call: Call) -> Result<Streamed, HttpError> {
        let span = span::of(&call);
        let streamed = self.stream_in(span.clone(), call).instrument(span.clone()).await;
        match &streamed {
            Ok(streamed) => span::answered(&span, streamed.status()),
            Err(error) => span::failed(&span, error),
        }
        streamed
    }

    async fn stream_in(&self, span: Span, call: Call) -> Result<Streamed, HttpError> {
        let url = call.url.clone();
        let shown = SafeUrl::from(&url);
        self.reach.check(&url)?;
        let secrets = call.secrets();
        let request = call.into_request(&self.raw).header(ACCEPT_ENCODING, "identity");
        let after = self.stall_timeout;
        let response = tokio::time::timeout(after, request.send())
            .await
            .map_err(|_| HttpError::Timeout { url: shown.clone(), after })?
            .map_err(|source| sending_failed(&shown, source))?;
        Ok(Streamed::new(url, response, after, (self.clock)(), secrets, span))
    }

    /// Streams a call and follows one redirect by hand, without the call's credentials. A second redirect is refused, as
    /// is one that leaves HTTPS, or the hosts that may be called.
    pub async fn follow(&self, call: Call) -> Result<Streamed, HttpError> {
        let first = self.stream(call.clone()).await?;
        if !first.is_redirect() {
            return Ok(first);
        }
        let target = first.redirect_target()?;
        drop(first);
        let second = self.stream(call.redirected(target)).await?;
        if second.is_redirect() {
            return Err(HttpError::Redirect { url: SafeUrl::from(second.url()), reason: "a second redirect in a row" });
        }
        Ok(second)
    }
}

fn sending_failed(url: &SafeUrl, source: reqwest::Error) -> HttpError {
    let (url, source) = (url.clone(), source.without_url());
    if leads_inside(&source) {
        HttpError::Inside { url, source }
    } else if source.is_connect() {
        HttpError::Connect { url, source }
    } else {
        HttpError::Broken { url, received_bytes: 0, source }
    }
}

/// Whether it was [`Reach`] that ended a call.
fn leads_inside(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<LeadsInside>() {
            return true;
        }
        cause = error.source();
    }
    false
}
