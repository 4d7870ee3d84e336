//! The upserter: from a landed generation to the synthèse.
//!
//! Everything that decides stands in SQL functions (`migrations/functions`): `passereau.plan` compares and converts chunk
//! by chunk, `passereau.apply` writes one slice, `passereau.finish` checks the sums and makes the generation current. This
//! crate calls them and moves the harvest along.
//!
//! Slices are applied in the platform's hours only (`15_hours.sql`); out of them their messages wait. A slice or a chunk that
//! takes longer than a transaction may is done in halves.
//!
//! Invariants. A chunk commits with its cursor, a slice with its counts, so that a kill at any moment repeats nothing. A
//! delivery is not held beyond its deadline: a long plan comes back at once, at no cost.
//!
//! How it fails. A database that is not ready (no source, no index) rejects the message with the command that prepares it:
//! run it, then replay the dead letter. Sums that do not hold reject with every figure. Everything else is tried again.

mod bounded;
mod config;
mod error;
pub mod functions;
mod handler;

pub use config::UpserterConfig;
pub use handler::Upserter;
