//! Why a file cannot be written, with what to do next.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::Kind;

/// A file that was not written, or not whole: throw away what its path holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file could not be made, written or read.
    #[error("{doing} {} failed; check the disk's space and rights, then write the file anew", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// SQLite refused to write a GeoPackage.
    #[error("{doing} of the GeoPackage {} failed; check the disk's space and rights, then write the file anew", path.display())]
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },

    /// No format can hold such a layer.
    #[error("the layer `{layer}` cannot be written: {reason}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },

    /// The byte cannot separate the cells of a CSV.
    #[error("{} cannot separate cells; use `;`, `,`, `|` or a tab", char::from(*.0).escape_default())]
    Separator(u8),

    /// A row has more or fewer values than the layer has columns.
    #[error("row {row} of {} has {found} values for {expected} columns; the query and the layer must name the same columns", path.display())]
    Width {
        /// The file.
        path: PathBuf,
        /// Number of the row, from 1.
        row: u64,
        /// Columns of the layer.
        expected: usize,
        /// Values of the row.
        found: usize,
    },

    /// A value is not of its column's kind. The value itself is not told: errors go where the row may not.
    #[error("column `{column}` of row {row} of {} holds what is no {kind}; mend the value or declare another kind", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Number of the row, from 1.
        row: u64,
        /// Name of the column.
        column: String,
        /// What the column holds.
        kind: Kind,
    },

    /// A geometry is malformed, or none that every format can hold.
    #[error("the geometry of row {row} of {} {reason}", path.display())]
    Geometry {
        /// The file.
        path: PathBuf,
        /// Number of the row, from 1.
        row: u64,
        /// What is wrong with it and what to do.
        reason: String,
    },

    /// A call after an error.
    #[error("{} is incomplete since an earlier error; throw it away and write it anew", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
    },
}

impl FormatError {
    /// Whether the same rows may be written later: the disk was full or failed, or the system had no memory or handle left. Anything else stands
    /// in the rows or the layer and comes again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    ErrorCode::DiskFull
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::CannotOpen
                        | ErrorCode::OutOfMemory
                        | ErrorCode::DatabaseBusy
                )
            ),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: i32) -> FormatError {
        let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        FormatError::Sqlite { doing: "writing", path: PathBuf::new(), source }
    }

    #[test]
    fn a_full_disk_passes_in_every_format_and_a_constraint_does_not() {
        assert!(
            FormatError::Io { doing: "writing", path: PathBuf::new(), source: io::Error::other("full") }.is_transient()
        );
        for code in [rusqlite::ffi::SQLITE_FULL, rusqlite::ffi::SQLITE_IOERR_WRITE] {
            assert!(sqlite(code).is_transient(), "{code}");
        }
        assert!(!sqlite(rusqlite::ffi::SQLITE_CONSTRAINT).is_transient());
        assert!(!FormatError::Separator(b'a').is_transient());
    }
}
