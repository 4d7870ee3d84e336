//! The exporter: makes a delivery of a flow.
//!
//! Terms. A **delivery** is one version of a flow. It is *read*: what may leave ([`passereau_gate`]) goes from the synthèse into **parts**,
//! objects of the store that hold rows as PostgreSQL's `COPY` writes them. Then it is *written*: each format is made from the parts, in a pass of its
//! own. Then it is *published*: the manifest goes beside the files, and one transaction makes it the version that is fetched.
//!
//! Invariants.
//! - Parts, and so everything in the store, hold what may leave and nothing else.
//! - Memory does not grow with the rows: a part is streamed, a file is written row by row.
//! - A snapshot of the database is held for one part, and no longer than a limit (`PASSEREAU_EXPORT_SNAPSHOT_S`).
//! - No delivery is too large for the time that a message is held: what takes longer goes on between two handlings (`making`).
//! - Blurred rows are read before exact ones. A record that becomes sensitive in between is in neither, and no record is in both but one that has
//!   ceased to be sensitive.
//! - A reader sees a version whole or not at all: files and manifest stand in a folder of their own, and the row that names them is written last.
//! - A delivery follows one version of its agreement: the gate gives it no row while another one is in force, and the transaction that publishes it asks
//!   again whether it may, of a flow that nobody changes until then. Rows that were read long ago are not published.
//! - A message has a delivery that goes on, or one that has ended; a delivery of another message is waited for.
//! - A delivery that says the same as the one before it makes no new version, as long as that one is in the store as a whole.
//! - Nothing else stays in the store (`tidy`).
//!
//! How it fails. After any crash the work goes on at the part or the file that was being made. A flow that may not be delivered (suspended, ended, not
//! approved), and a selection that takes too long to read, end the delivery with a reason and an event; the version before stays. A delivery whose parts
//! are lost, which is too old or follows an agreement that is no longer in force ends so too, and its message makes another one.

mod config;
mod deliver;
mod error;
mod files;
mod ledger;
mod making;
mod manifest;
mod part;
mod publish;
mod scratch;
mod statuses;
mod tidy;
mod write;

pub use config::{ExportConfig, ExporterConfig};
pub use deliver::Exporter;
pub use manifest::{FileEntry, Manifest};
