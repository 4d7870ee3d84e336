//! Everything that can go wrong between us and an answer that can be used.

use crate::user_agent::UserAgentProblem;
use std::fmt;
use std::time::Duration;
use url::Url;

/// An address fit to be shown: no user, no password, no query (a query may be thousands of characters of ids).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeUrl(String);

impl From<&Url> for SafeUrl {
    fn from(url: &Url) -> Self {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Self(format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or(""), url.path()))
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a call brought no usable answer. Each variant says to whom we were talking.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client cannot be built because nobody could be reached about it.
    #[error(transparent)]
    UserAgent(#[from] UserAgentProblem),
    /// The client cannot be built: no trusted certificates on this machine, an unreadable proxy setting.
    #[error("the HTTP client cannot be built; check the certificates and the proxy settings of this machine")]
    Build(#[source] reqwest::Error),
    /// The address is no web address, carries a user and a password, or is none of those that may be called.
    #[error("{url} cannot be called: {reason}")]
    BadUrl {
        /// The refused address.
        url: SafeUrl,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host's name leads to addresses inside only.
    #[error(
        "{url} leads inside, where nobody is called; check the name server, or name the network in PASSEREAU_HTTP_PRIVATE_NETWORKS"
    )]
    Inside {
        /// Whom we called.
        url: SafeUrl,
        /// What the name leads to.
        #[source]
        source: reqwest::Error,
    },
    /// Nobody answered the connection: name, network, refused port, TLS.
    #[error("{url} cannot be reached; check the network, the proxy and the certificate")]
    Connect {
        /// Whom we called.
        url: SafeUrl,
        /// The reason given by the network.
        #[source]
        source: reqwest::Error,
    },
    /// The whole answer did not come in time.
    #[error("{url} did not answer within {} s", after.as_secs_f64())]
    Timeout {
        /// Whom we called.
        url: SafeUrl,
        /// The time that was given.
        after: Duration,
    },
    /// A transfer stood still.
    #[error("{url} sent nothing for {} s after {received_bytes} bytes", after.as_secs_f64())]
    Stalled {
        /// Whom we called.
        url: SafeUrl,
        /// The time without a byte.
        after: Duration,
        /// Bytes received before.
        received_bytes: u64,
    },
    /// The connection broke after it was made; whether the server acted on the call is unknown.
    #[error("the connection to {url} broke after {received_bytes} bytes of the answer")]
    Broken {
        /// Whom we called.
        url: SafeUrl,
        /// Bytes of the body received before.
        received_bytes: u64,
        /// The reason given by the network.
        #[source]
        source: reqwest::Error,
    },
    /// An answer with a status that its caller has no use for.
    #[error("{url} answered {status}: {excerpt}")]
    Status {
        /// Whom we called.
        url: SafeUrl,
        /// The HTTP status.
        status: u16,
        /// What the server asked us to wait.
        retry_after: Option<Duration>,
        /// The beginning of its text.
        excerpt: String,
    },
    /// The answer is larger than anything we expect from this call.
    #[error("the answer of {url} is larger than {limit_bytes} bytes and was dropped")]
    TooLarge {
        /// Whom we called.
        url: SafeUrl,
        /// The cap of this call.
        limit_bytes: usize,
    },
    /// A web page instead of JSON: a proxy, a maintenance page or a wrong base address.
    #[error(
        "{url} answered {status} with an HTML page instead of JSON: {excerpt}; check the base address and any proxy"
    )]
    Html {
        /// Whom we called.
        url: SafeUrl,
        /// The HTTP status.
        status: u16,
        /// The beginning of the page.
        excerpt: String,
    },
    /// The answer stops in the middle of its JSON.
    #[error("the JSON of {url} is cut after {received_bytes} bytes")]
    CutJson {
        /// Whom we called.
        url: SafeUrl,
        /// Bytes received.
        received_bytes: usize,
    },
    /// The answer is no JSON, or not of the shape its documentation gives.
    #[error("the answer of {url} is not the expected JSON: {excerpt}")]
    Json {
        /// Whom we called.
        url: SafeUrl,
        /// The beginning of the text.
        excerpt: String,
        /// What the parser met.
        #[source]
        source: serde_json::Error,
    },
    /// A redirect that cannot be followed.
    #[error("{url} redirects in a way that is not followed: {reason}")]
    Redirect {
        /// Whom we called.
        url: SafeUrl,
        /// Why the hop was refused.
        reason: &'static str,
    },
}

impl HttpError {
    /// What kind of failure it is, in one word: for spans, which group failures and hold nobody's words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UserAgent(_) => "user_agent",
            Self::Build(_) => "build",
            Self::BadUrl { .. } => "bad_url",
            Self::Inside { .. } => "inside",
            Self::Connect { .. } => "connect",
            Self::Timeout { .. } => "timeout",
            Self::Stalled { .. } => "stalled",
            Self::Broken { .. } => "broken",
            Self::Status { .. } => "status",
            Self::TooLarge { .. } => "too_large",
            Self::Html { .. } => "html",
            Self::CutJson { .. } => "cut_json",
            Self::Json { .. } => "json",
            Self::Redirect { .. } => "redirect",
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            // A name server may be wrong for a while.
            Self::Inside { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Stalled { .. }
            | Self::Broken { .. }
            | Self::CutJson { .. }
            // A maintenance page passes; a wrong base address uses up the message's budget and becomes a dead letter.
            | Self::Html { .. } => true,
            Self::Status { status, .. } => is_transient_status(*status),
            Self::UserAgent(_)
            | Self::Build(_)
            | Self::BadUrl { .. }
            | Self::TooLarge { .. }
            | Self::Json { .. }
            | Self::Redirect { .. } => false,
        }
    }

    /// What the server asked us to wait, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the server may have acted on the call although we have no answer: such a call is repeated only after
    /// looking at what exists.
    pub fn outcome_is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Stalled { .. }
                | Self::Broken { .. }
                | Self::CutJson { .. }
                | Self::Html { .. }
                | Self::TooLarge { .. }
                | Self::Json { .. }
        )
    }
}

/// An error with its causes, on one line: what a message's history and a log line need.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// Statuses that mean "not now": 408, 420 (GBIF), 425, 429 and the server's own troubles.
fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 420 | 425 | 429 | 500..=599) && status != 501
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let url = Url::parse("https://user:secret@api.example.org:8443/v1/x?token=1#y").expect("an address");
        assert_eq!(SafeUrl::from(&url).to_string(), "https://api.example.org:8443/v1/x");
    }

    #[test]
    fn only_troubles_that_pass_are_transient() {
        for (status, expected) in
            [(400, false), (401, false), (404, false), (420, true), (429, true), (500, true), (501, false), (503, true)]
        {
            assert_eq!(is_transient_status(status), expected, "{status}");
        }
    }
}
