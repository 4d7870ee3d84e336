//! Answers that are no success: problem details for programs and people, RFC 9457.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request is not answered with what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// More than one token.
    SeveralTokens,
    /// No token, or none that opens this flow, whether there is such a flow or not.
    Unauthorised { is_presented: bool },
    /// There is no such thing in the flow.
    NotFound(&'static str),
    /// A method other than GET and HEAD.
    Method,
    /// The client takes no coding that there is.
    NotAcceptable,
    /// The version is not fetched any more.
    Gone,
    /// A precondition of the request does not hold.
    Precondition,
    /// It has no such bytes.
    Range { size: u64 },
    /// Too many requests.
    TooMany { after: Duration },
    /// Too many downloads.
    Busy { after: Duration },
    /// The database is away.
    Unavailable { after: Duration },
    /// A mistake here; the log has it.
    Broken,
}

/// What the body of a refusal says (RFC 9457, 3).
#[derive(Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// The status of the answer in words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong and what to do.
    detail: String,
}

impl Refusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::SeveralTokens => StatusCode::BAD_REQUEST,
            Self::Unauthorised { .. } => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Gone => StatusCode::GONE,
            Self::Precondition => StatusCode::PRECONDITION_FAILED,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy { .. } | Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn detail(&self) -> &'static str {
        match self {
            Self::SeveralTokens => {
                "The request presents more than one token; send one, as Authorization: Bearer, as a Basic password, or as ?token=."
            }
            Self::Unauthorised { .. } => {
                "A token that opens this flow is needed: send Authorization: Bearer, or Basic with the token as password. If it was accepted \
                 before, it has expired or was revoked: ask the platform for a new one."
            }
            Self::NotFound(what) => what,
            Self::Method => "Only GET and HEAD are answered.",
            Self::NotAcceptable => {
                "The file exists without coding, or with gzip beside it; Accept-Encoding refuses what there is."
            }
            Self::Gone => "This version is not kept any more; /flows/{flow}/versions lists those that are.",
            Self::Precondition => {
                "The file has another entity tag, or is newer, than the request demands; fetch it anew."
            }
            Self::Range { .. } => "The file has no such bytes; Content-Range tells its size.",
            Self::TooMany { .. } => "Too many requests; come back after the seconds of Retry-After.",
            Self::Busy { .. } => "Too many downloads at the same time; come back after the seconds of Retry-After.",
            Self::Unavailable { .. } => {
                "The platform's database does not answer; come back after the seconds of Retry-After."
            }
            Self::Broken => {
                "The platform could not answer; its log says why. If it lasts, tell its administrators when this was."
            }
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { after } | Self::Busy { after } | Self::Unavailable { after } => Some(*after),
            _ => None,
        }
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response<Body> {
        let status = self.status();
        let problem = Problem {
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.detail().to_owned(),
        };
        // Three texts and numbers always become JSON.
        let mut response = Response::new(Body::from(serde_json::to_vec(&problem).unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match &self {
            Self::Unauthorised { is_presented } => {
                // RFC 6750, 3: who presents nothing is told no error.
                let bearer = if *is_presented {
                    "Bearer realm=\"flows\", error=\"invalid_token\""
                } else {
                    "Bearer realm=\"flows\""
                };
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(bearer));
                let basic = "Basic realm=\"flows\", charset=\"UTF-8\"";
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(basic));
            }
            Self::SeveralTokens => {
                let bearer = "Bearer realm=\"flows\", error=\"invalid_request\"";
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(bearer));
            }
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Self::Range { size } => {
                if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
                    headers.insert(header::CONTENT_RANGE, value);
                }
            }
            _ => {}
        }
        if let Some(after) = self.retry_after() {
            // Whole seconds, never too early.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs() + 1));
        }
        response
    }
}
