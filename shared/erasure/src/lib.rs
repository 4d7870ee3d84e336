//! Erasure: a person's name out of everything that Passereau holds, and never landed again.
//!
//! What is a name, where names stand and how they go is SQL (`migrations/functions/15_names.sql`, `96_erasure.sql`,
//! `97_erase.sql`): one implementation for what is landed, copied by hand and written. This crate asks for the plan, goes
//! through it slice by slice, and looks into the archives that are kept, which no SQL can read.
//!
//! Terms: a *place* is a column of a table in which people are named; a *value* is what stands there, one name or a list; a
//! *text* is anything else that holds the name, which a person has to look at.
//!
//! Invariants: the digests are recorded before anything is erased, so that nothing comes back behind us; nothing is erased but
//! values that the plan shows; a call that was interrupted is called again and goes on with what is left; the name is kept
//! nowhere, and no error repeats it.
//!
//! Fails with [`ErasureError`]; slices that were committed stay.

mod archives;
mod erase;
mod error;
mod plan;

pub use archives::{Archive, Verdict, sweep};
pub use erase::{Erased, erase};
pub use error::ErasureError;
pub use plan::{Plan, Text, Value, plan};
