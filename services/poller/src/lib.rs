//! The poller: asks GBIF how a download goes, until it has ended.
//!
//! It never waits with a delivery in hand: between two looks the message is a row with a date. Looks become rarer with
//! their number ([`schedule`]); a deadline ends the wait for a download that GBIF has forgotten: it is cancelled there and
//! asked for once more, in other words, before the harvest fails.
//!
//! Every state that ends a download ends the wait, each with its own outcome ([`verdict`]): a success keeps DOI, size and
//! number of records and goes on to `archive.fetch`; the others fail the harvest, each with its reason and what to do.
//!
//! How it fails. While GBIF is away or asks to slow down, the next look is later, at no cost, up to the deadline. An answer
//! that is no status (HTML, a broken document) spends an attempt; a status gives the attempts back, so that only broken
//! answers in a row end the wait.

mod config;
mod handler;
mod ledger;
pub mod schedule;
pub mod verdict;

pub use config::{PollConfig, PollerConfig};
pub use handler::Poller;
