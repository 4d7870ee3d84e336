//! The gate of the synthèse: which of its rows may leave in a flow, and what of them.
//!
//! Terms. A record leaves **exactly**, as the **area** that it lies in, or not at all. Its sensitivity level decides, and for what is not
//! sensitive the wish of its producer; both by tables (`migrations/state/0018_gate.sql`) that a platform reviews. A record that leaves as
//! an area is *blurred*: each of its columns is kept, says what the area says, or is emptied, by a table of column and type of area.
//!
//! Invariants.
//! - The gate fails closed: a level, wish, licence or column that no table knows does not leave.
//! - What a blurred row says is a function of its area, its taxon, its day and the like: never of where in the area it is. That holds for
//!   the order of rows too (blurred rows come first, in the order of names that this flow alone gives them), for membership (a blurred row is in a territory
//!   when its area lies in it), and for the counts that a partner sees.
//! - No text of an agreement becomes part of a statement: selections travel as one JSON setting of the transaction.
//!
//! How it fails. The statements are static; PostgreSQL's errors reach the caller with what was being read.

mod dictionary;
mod field;
mod query;
mod row;
mod selection;

pub use field::{Dialect, Field, Kind, REQUIRED};
pub use query::{CONTROL_COLUMNS, Query, Tally};
pub use row::{CopyRow, RowError, rows};
pub use selection::{Selection, Sensitive};
