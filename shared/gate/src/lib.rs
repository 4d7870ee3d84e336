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
//! - No text of an agreement becomes part of a statement: selections travel as one JSON setting of the transaction. Without it, without the
//!   flow's row, or when row and selection do not agree on the version or on a territory, nothing leaves.
//! - An area counts when it is enabled and the row meets it, whatever `cor_area_synthese` still says. A row in two takes one by a rule.
//! - No rule of `passereau.blur_rule` keeps what is the place itself, leads to it by a look-up, or would be untrue (`never_kept` in the
//!   dictionary).
//!
//! How it fails. The statements are static; PostgreSQL's errors reach the caller with what was being read. Systems of coordinates that do
//! not agree are an error, not an empty delivery.
//!
//! What it cannot mend. Whoever reviews an agreement should know that a blurred row
//! - has a day, a taxon and observers: records of the same people on the same day that leave exactly, here or elsewhere, suggest the place.
//!   The hour, the group, the harvest and the order of ids are gone; a platform that wants more empties `observateurs` in the table;
//! - that is new in a delivery came with what else is new in it, and keeps its name: whoever keeps all deliveries sees it change its area.
//!   A record without a UUID is named by its `id_synthese`, and gets another name when it is written anew under another id;
//! - that was exact in a delivery before its level rose is still exact in that delivery;
//! - is of the datasets, sources and taxa that the agreement asks for: a flow of one study of one site tells the site, and two flows that
//!   differ by one dataset tell the dataset. The counts of what is withheld do so too, where a flow has no territory;
//! - has a level, and GeoNature's rules are per department: in a mesh across two of them the level may tell which;
//! - names people with the letters of their names only. A place in plain letters in the observers' column ("mare aux fées") is not
//!   told from a name; accounts with digits lose their mention;
//! - cites GBIF, and neither its dataset nor its harvest, because either may be that of one site. The manifest must not list a harvest for
//!   the sake of blurred rows alone: where it has some of GBIF it lists all those that records leave exactly of, wherever they are.
//!
mod dictionary;
mod field;
mod query;
mod row;
mod selection;

pub use field::{Dialect, Field, GEOMETRY, Kind, REQUIRED};
pub use query::{CONTROL_COLUMNS, Query, SOME_HARVEST, Tally};
pub use row::{CopyRow, RowError, rows};
pub use selection::{Selection, Sensitive};
