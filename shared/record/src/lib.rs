//! Records: one row of an archive as one typed row of a generation. Pure and synchronous.
//!
//! Terms: a *record* is what GBIF has under one `gbifID`; its *columns* are those of `pinv_gbif.occurrence`, found by term.
//!
//! Invariants: what cannot be read as its type is NULL and counted, never guessed; a line that is no record is
//! [`Malformed`] with its reason and writes nothing; the same content has the same hash in every layout.

pub mod columns;
pub mod copy_binary;
pub mod event_date;
pub mod identifiers;
mod writer;

pub use writer::{Malformed, RecordWriter, TableKind, Trust};
