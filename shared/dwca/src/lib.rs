//! Darwin Core Archives as GBIF makes them: descriptor, tables, rows. Pure and synchronous.
//!
//! Terms: an *entry* is a file inside the zip; the *descriptor* is its `meta.xml`; a *table* is one declared entry
//! with a row type; a *row* is one line of a table, cut at tabs.
//!
//! Invariants:
//! - columns are found by term in the descriptor and cross-checked with the header line, never by position;
//! - lines end at `\n` only and fields at `\t` only: U+0085, U+2028 and the like stay in their value;
//! - one bad line is reported with its number and its reason, and the rest of the table goes on;
//! - memory is bounded by [`Limits`], not by the archive.
//!
//! Fails with [`ArchiveError`], which says whether the file is damaged, hostile or of a layout that is not understood.
//!
//! Sources: <https://dwc.tdwg.org/text/> for the descriptor, the repository `gbif/occurrence` (`DwcaDownloadWorker.java`,
//! `DownloadUtils.java`) for what GBIF writes.

mod archive;
mod blocks;
mod descriptor;
mod entries;
mod error;
mod header;
mod limits;
mod quoting;
mod row;
mod verify;

pub use archive::Archive;
pub use blocks::{Block, Blocks, lines};
pub use descriptor::{Descriptor, Field, Table};
pub use error::ArchiveError;
pub use limits::Limits;
pub use quoting::unquote;
pub use row::{LineProblem, Row, Splitter};
pub use verify::{Verified, verify};

/// Row type of occurrence records, interpreted or verbatim (<https://dwc.tdwg.org/terms/#occurrence>).
pub const OCCURRENCE: &str = "http://rs.tdwg.org/dwc/terms/Occurrence";

/// Row type of GBIF's multimedia extension (<https://rs.gbif.org/extension/gbif/1.0/multimedia.xml>).
pub const MULTIMEDIA: &str = "http://rs.gbif.org/terms/1.0/Multimedia";
