//! The loader: one archive becomes one generation of typed records.
//!
//! [`land`] reads the archive, which it never unpacks, and copies its records into PostgreSQL with all checks: descriptor
//! against header, width and encoding of each line, types, dates, identifiers, duplicates, checksums. Words are those of
//! the guide: archive, generation, record.

mod config;
mod datasets;
mod error;
mod generation;
mod handler;
mod landing;
mod pipeline;
mod report;

pub use config::LandingConfig;
pub use datasets::read_documents;
pub use error::LandingError;
pub use generation::{Cursor, Generation, LandedCounts, open_generation};
pub use handler::{Loader, LoaderConfig};
pub use landing::{Fence, Landed, LandingInput, land};
pub use report::{Documents, MalformedRow, Report, UnreadableDocument};
