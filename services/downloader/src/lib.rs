//! The downloader: brings the archive of a GBIF download into the store, whole or not at all.
//!
//! Terms. A *part* is a piece of the file, an object `parts/<harvest>/<number>` of its own. The *archive* is the verified file under
//! `archives/<download key>.zip`; it is visible only when every check has passed. *Known* is what proves that parts belong to one file:
//! its size and its `ETag` or date.
//!
//! The way: GBIF's redirect is asked for without credentials and followed to the file server; missing parts are fetched by range
//! ([`fetch`]); they are verified as one file and published ([`archive`]); the harvest learns key, size and SHA-256 and goes on to the loader.
//!
//! Invariants. Nothing received is asked for twice, unless the file changed at the server. Parts of two files are never joined. A delivery ends
//! before its deadline with its progress kept. At most one process works on a harvest (a claim), and a second one could do no harm.
//!
//! How it fails. Not there yet: it looks again, rarer and rarer, for a day. Erased: the harvest fails with advice. The
//! connection breaks or stalls: another delivery goes on where the last stopped, and only one that got nothing done
//! costs an attempt. No room in the store: it waits, at no cost, and says so. Corrupt: fetched
//! again once, then the harvest fails with advice. Not an archive that we may open (names, bombs): the harvest fails at once.

pub mod archive;
mod config;
mod error;
pub mod fetch;
mod handler;
pub mod joined;
pub mod ledger;
pub mod parts;
pub mod reply;
pub mod room;

pub use config::FetchConfig;
pub use error::FetchError;
pub use handler::{Downloader, DownloaderConfig};
