//! What all writers have in common: rows are counted and measured, errors get their place, and after one nothing more
//! is written.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::{Column, FormatError, Row};

/// Bytes that are gathered before the system is called.
pub(crate) const BUFFER_BYTES: usize = 1 << 20;

/// A file that rows are being written to.
pub trait Writer: Send {
    /// Writes one row.
    ///
    /// # Errors
    /// What is wrong with the row, or why it could not be written. Either way the file is incomplete from then on.
    fn row(&mut self, row: &Row<'_>) -> Result<(), FormatError>;

    /// Writes what comes after the last row, and gives the number of rows.
    ///
    /// # Errors
    /// Why the end could not be written; [`FormatError::Incomplete`] after an earlier error.
    fn finish(self: Box<Self>) -> Result<u64, FormatError>;
}

/// Why a format could not write, before anybody knows where.
#[derive(Debug)]
pub(crate) enum Problem {
    Io(io::Error),
    Sqlite(rusqlite::Error),
    /// The value of the column with this index is not of its kind.
    Value(usize),
    Geometry(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What a format has to know: how a row is written, and the end.
pub(crate) trait Encode: Send {
    /// Writes a row that has as many values as there are columns.
    fn row(&mut self, row: &Row<'_>) -> Result<(), Problem>;
    /// Writes the end and hands everything to the system.
    fn end(&mut self) -> Result<(), Problem>;
}

/// A format's writer with the checks that all share.
pub(crate) struct Checked<E> {
    path: PathBuf,
    columns: Vec<Column>,
    rows: u64,
    failed: bool,
    encode: E,
}

impl<E: Encode> Checked<E> {
    pub(crate) fn new(path: &Path, columns: &[Column], encode: E) -> Self {
        Self { path: path.to_owned(), columns: columns.to_vec(), rows: 0, failed: false, encode }
    }

    fn incomplete(&self) -> FormatError {
        FormatError::Incomplete { path: self.path.clone() }
    }

    #[cold]
    fn explain(&self, problem: Problem) -> FormatError {
        let path = self.path.clone();
        match problem {
            Problem::Io(source) => FormatError::Io { doing: "writing", path, source },
            Problem::Sqlite(source) => FormatError::Sqlite { doing: "writing", path, source },
            Problem::Geometry(reason) => FormatError::Geometry { path, row: self.rows + 1, reason },
            Problem::Value(index) => {
                let Some(column) = self.columns.get(index) else { return self.incomplete() };
                FormatError::Value { path, row: self.rows + 1, column: column.name.clone(), kind: column.kind }
            }
        }
    }
}

impl<E: Encode> Writer for Checked<E> {
    fn row(&mut self, row: &Row<'_>) -> Result<(), FormatError> {
        if self.failed {
            return Err(self.incomplete());
        }
        // Until the row is whole: also if something below panics.
        self.failed = true;
        if row.values.len() != self.columns.len() {
            return Err(FormatError::Width {
                path: self.path.clone(),
                row: self.rows + 1,
                expected: self.columns.len(),
                found: row.values.len(),
            });
        }
        self.encode.row(row).map_err(|problem| self.explain(problem))?;
        self.rows += 1;
        self.failed = false;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64, FormatError> {
        if self.failed {
            return Err(self.incomplete());
        }
        self.encode.end().map_err(|problem| self.explain(problem))?;
        Ok(self.rows)
    }
}

/// An empty file.
pub(crate) fn create(path: &Path) -> Result<File, FormatError> {
    File::create(path).map_err(|source| FormatError::Io { doing: "creating", path: path.to_owned(), source })
}

/// An empty file with a buffer, for what is written row by row.
pub(crate) fn create_buffered(path: &Path) -> Result<BufWriter<File>, FormatError> {
    Ok(BufWriter::with_capacity(BUFFER_BYTES, create(path)?))
}
