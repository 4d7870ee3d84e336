//! One request, described before it is sent.

use crate::secrets::Secrets;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use url::Url;

/// What proves that a file is still the one whose beginning we have: the value of `ETag` or `Last-Modified`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator(pub String);

/// One call: method, address, body, credentials and the most bytes its answer may have.
///
/// It can be printed: credentials are not part of what is shown.
#[derive(Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) credentials: Option<(String, SecretString)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) limit_bytes: usize,
}

/// The cap of a call that sets none: 16 MiB. The largest usual answer, a page of an account's downloads with
/// long predicates, is a few MiB.
const DEFAULT_LIMIT_BYTES: usize = 16 * 1024 * 1024;

impl Call {
    /// Reads something.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Removes or cancels something.
    pub fn delete(url: Url) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Sends a JSON document.
    pub fn post_json(url: Url, body: &serde_json::Value) -> Self {
        let mut call = Self::new(Method::POST, url);
        call.body = Some(body.to_string().into_bytes());
        call.header(reqwest::header::CONTENT_TYPE, "application/json")
    }

    fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), credentials: None, body: None, limit_bytes: DEFAULT_LIMIT_BYTES }
    }

    /// Authenticates with a user name and a password (HTTP Basic). Never carried over a redirect.
    #[must_use]
    pub fn basic(mut self, user: &str, password: &SecretString) -> Self {
        self.credentials = Some((user.to_owned(), password.clone()));
        self
    }

    /// Drops an answer larger than this many bytes, counted after decompression.
    #[must_use]
    pub fn limit_bytes(mut self, limit_bytes: usize) -> Self {
        self.limit_bytes = limit_bytes;
        self
    }

    /// Asks for the bytes from `start` to `end` inclusive, or to the end of the file.
    #[must_use]
    pub fn range(self, start: u64, end: Option<u64>) -> Self {
        let end = end.map(|end| end.to_string()).unwrap_or_default();
        self.header(reqwest::header::RANGE, &format!("bytes={start}-{end}"))
    }

    /// Asks for the range only if the file is still the same; else the server sends the whole file with status 200.
    #[must_use]
    pub fn if_range(self, validator: &Validator) -> Self {
        self.header(reqwest::header::IF_RANGE, &validator.0)
    }

    /// The address that is called.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What of this call must not be shown.
    pub(crate) fn secrets(&self) -> Secrets {
        self.credentials.as_ref().map(|(user, password)| Secrets::of(user, password)).unwrap_or_default()
    }

    /// A value that cannot be a header is left out: every value comes from a server's own header or from us.
    fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The same call elsewhere, without credentials.
    pub(crate) fn redirected(&self, url: Url) -> Self {
        Self { url, credentials: None, ..self.clone() }
    }

    pub(crate) fn into_request(self, client: &reqwest::Client) -> reqwest::RequestBuilder {
        let mut request = client.request(self.method, self.url).headers(self.headers);
        if let Some((user, password)) = self.credentials {
            // reqwest marks the header as sensitive, so that no layer below prints it.
            request = request.basic_auth(user, Some(password.expose_secret()));
        }
        match self.body {
            Some(body) => request.body(body),
            None => request,
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, crate::SafeUrl::from(&self.url))
    }
}
