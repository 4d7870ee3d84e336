//! Retention: what the fleet keeps, for how long, and taking away what was kept for long enough.
//!
//! Terms. A *kind* is one of the things that are kept ([`Kind`], a closed list; `docs/retention.md` is its table). What is
//! *expired* may go now; a *run* takes it away and leaves a row in `passereau.retention_run`.
//!
//! The rules stand in `migrations/functions/88_retention.sql`, the days in `pinv_gbif.setting`. This crate calls the functions batch by
//! batch, each in a transaction of its own, and deletes what they name from the store.
//!
//! Invariants. The synthèse does not change by a row. Nothing of a live harvest, of a named subscription's current generation or
//! of a failed harvest that can be replayed goes. A plan shows what a run would take away. At most one run is on its way in a fleet
//! (a claim). A run that has to pause leaves its place in its row, and whoever goes on begins there.
//!
//! How it fails. A kind that cannot be taken away (a table that is being read for long, a store that does not answer) is named in the
//! run's row and holds up no other; the next run tries again. A run that was killed has taken away a part, and the next goes on.

mod error;
mod kind;
mod objects;
mod run;

pub use error::RetentionError;
pub use kind::Kind;
pub use run::{Amount, CLAIM, Expired, Run, last_run, plan, run, run_while};
