//! The requester: takes requests in, and gets each its download at GBIF.
//!
//! Terms. A *place* is one of the simultaneous downloads that GBIF allows an account; it is held by a harvest in state
//! *requesting* or *preparing*, and counted from those states, so that it cannot leak. The *intent* is the row of
//! `passereau.download`, written before anything is sent.
//!
//! `harvest.request` is checked whole ([`accept`]), all problems at once, and becomes a harvest: one with a query goes on
//! to `download.request`, one with a key to `archive.fetch`, one with an archive to `archive.load`.
//!
//! `download.request` takes a place, writes the intent, and asks. Invariants: nothing is sent that GBIF would refuse for
//! its form; after a lost answer it first looks among the account's downloads ([`lookup`]), so no second download is
//! made; a download that GBIF gives back is compared with what was asked, and asked for in other words
//! ([`passereau_gbif::predicate::rephrase`]) when it is another's.
//!
//! `harvest.cancel` cancels the download at GBIF where it is ours, and then ends the harvest.
//!
//! `dataset.describe` asks GBIF's registry, which needs no account, who publishes the datasets of a harvest, and about those
//! that no archive has described. It is one batch of the enrichment.
//!
//! How it fails. A request with problems is a dead letter that lists them. A full account waits, at no cost. GBIF's own
//! troubles are tried again. A refused account or request fails the harvest with GBIF's words. A registry that stays away
//! stops no harvest: its datasets keep what was known of them, and the next harvest asks again.

pub mod accept;
pub mod answer;
mod cancel;
mod config;
mod describe;
mod handler;
mod intent;
pub mod lookup;
mod slot;

pub use config::{RegistryConfig, RequestConfig, RequesterConfig};
pub use handler::Requester;
