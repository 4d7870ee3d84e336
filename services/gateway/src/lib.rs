//! The gateway: partners fetch their flows from it over HTTP.
//!
//! Terms. A **flow** has **versions**, each with files and a manifest, made by the exporter. **latest** is the newest version. A **token** belongs to one
//! partner and opens one flow. A **representation** is a file, or the compressed one beside it, or a document made from rows.
//!
//! Invariants.
//! - Nothing of a flow is read before a token has opened it; a flow that there is not answers as one that there is.
//! - What is served stands in a row of table `passereau.delivery`: no text of a request becomes part of a key.
//! - `latest` is looked up once for a request: headers and bytes are of one version, whatever is published meanwhile.
//! - An entity tag is the SHA-256 of the very bytes that follow; a range never continues other bytes than it names.
//! - The text of a token stands in no log, trace, metric, header or page. Requests are named by route, flow and the id of the token.
//! - Memory does not grow with a file: 64 KiB are read at a time, 128 KiB offered.
//! - It writes one column of the database, `flow_token.last_used_at`, and nothing into the store.
//!
//! A token is asked for at the beginning of a request. A download that began when it was revoked goes on; the next request, be it for the next range,
//! does not.
//!
//! How it fails. PostgreSQL away: 503 with a time to come back, and not ready. A file that is not in the store, or has another size: the log says
//! which, nothing of it is sent. A read error on the way, or a kill: the connection breaks before `Content-Length`, so that no client takes a part for the
//! whole. RabbitMQ is not needed.
//!
//! HTTP: RFC 9110 (semantics), 9112 (HTTP/1.1), 6750 and 7617 (tokens), 6266 (file names), 9457 (problems), 6585 (429).

mod body;
mod catalogue;
mod conditions;
mod config;
mod credentials;
mod documents;
mod error;
mod handler;
mod limit;
mod media;
mod negotiate;
mod network;
mod observed;
pub mod openapi;
mod page;
mod patient;
mod places;
mod process;
mod range;
mod refusal;
mod representation;
mod routes;
mod server;

pub use config::GatewayConfig;
pub use error::GatewayError;
pub use network::{Network, NoNetwork};
pub use process::{GatewayProcess, GatewayProcessConfig};
pub use server::Gateway;
