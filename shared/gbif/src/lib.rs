//! GBIF's occurrence downloads: what may be asked, and how the API answers.
//!
//! - [`predicate`]: pure. Checks a download request before it is sent, all problems at once; makes it the one body that
//!   is sent; compares what GBIF says it was asked with what we asked.
//! - [`client`]: the calls. Each answer that means something to a harvest is a variant of its own; every other is a
//!   [`GbifError`] that says whether it is worth another try.
//! - [`registry`]: the calls about datasets and their publishers, which need no account.
//! - [`search_keys`]: the 142 keys of predicates.
//! - [`status`]: what the API tells of one download.
//!
//! The feature `client`, on by default, holds the calls and what they need; the rest is pure.
//!
//! Facts about GBIF come from gbif/occurrence, gbif/gbif-api, gbif/registry and techdocs.gbif.org, as of August 2026.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
mod config;
#[cfg(feature = "client")]
mod error;
mod key;
pub mod predicate;
pub mod registry;
pub mod search_keys;
pub mod status;
mod storable;

#[cfg(feature = "client")]
pub use client::GbifClient;
#[cfg(feature = "client")]
pub use config::GbifConfig;
#[cfg(feature = "client")]
pub use error::GbifError;
pub use key::{BadDownloadKey, DownloadKey};
pub use status::{Download, DownloadPage, DownloadStatus};
