//! One HTTP client for every outside service that Passereau talks to.
//!
//! What it adds to a plain client, because GBIF and iNaturalist ask for it or because a harvest would suffer without it:
//!
//! - **it says who it is**: without a contact in the `User-Agent` it cannot be built ([`user_agent`]);
//! - **it never retries and never follows a redirect by itself**: retries belong to messages, and a redirect of
//!   GBIF's leads to another host which must not see the account's password ([`HttpClient::follow`] makes one hop,
//!   without credentials);
//! - **it calls nobody but whom it is told it may**: hosts on a list, at public addresses, also after a redirect ([`Hosts`],
//!   [`Networks`]);
//! - **no answer is unbounded**: a whole answer has a cap on its bytes ([`Call::limit_bytes`]) and a total time, a
//!   streamed one has a time without a byte after which it is called stalled ([`Streamed`]);
//! - **every failure decides for itself whether trying later makes sense**: [`HttpError::is_transient`] and
//!   [`HttpError::retry_after`];
//! - **every call is a span** of the handling that makes it;
//! - **nothing secret is ever shown**: an `Authorization` header is marked as sensitive, an address is shown without
//!   its user, password and query.
//!
//! Words: a *call* is one request; a *hop* is the one redirect that is followed; an *excerpt* is the beginning of an
//! answer's text on one line, fit for a log.

mod answer;
mod call;
mod client;
mod config;
mod error;
mod excerpt;
mod hosts;
mod networks;
mod reach;
pub mod retry_after;
mod secrets;
mod span;
mod stream;
pub mod user_agent;

pub use answer::Answer;
pub use bytes::Bytes;
pub use call::{Call, Validator};
pub use client::{Clock, HttpClient};
pub use config::{HttpConfig, SANDBOX_HOSTS, SANDBOX_NETWORKS, parse_seconds};
pub use error::{HttpError, SafeUrl, chain};
pub use excerpt::{excerpt, is_html};
pub use hosts::Hosts;
pub use networks::Networks;
pub use stream::Streamed;
pub use url::Url;
