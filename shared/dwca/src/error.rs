//! Why an archive cannot be read, with what to do next.

use std::io;

/// An archive that cannot be read as a whole. One bad line is no such error: see [`crate::LineProblem`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file below the archive could not be read.
    #[error("reading {what} failed; check the disk or the store and try again")]
    Io {
        /// What was being read.
        what: String,
        /// The system's answer.
        source: io::Error,
    },

    /// The file is no zip, or its end is missing.
    #[error("the file is not a whole zip ({reason}); fetch the archive again")]
    NotAZip {
        /// What was found instead.
        reason: String,
    },

    /// An entry's bytes do not match its checksum or its size.
    #[error("entry {entry} is damaged ({reason}); fetch the archive again")]
    Damaged {
        /// Name of the entry.
        entry: String,
        /// What does not match.
        reason: String,
    },

    /// An entry's name leads out of the archive.
    #[error("entry {entry} has an unsafe name; GBIF makes no such file, do not use it")]
    UnsafeName {
        /// The name, escaped for display.
        entry: String,
    },

    /// Two entries share their bytes or their name.
    #[error("{what}; GBIF makes no such file, do not use it")]
    Overlap {
        /// What is shared.
        what: &'static str,
    },

    /// The archive is larger than a limit allows.
    #[error("{what} is {found}, the limit is {limit}; raise {setting} if the archive is known to be genuine")]
    TooLarge {
        /// What was measured.
        what: String,
        /// The measure.
        found: u128,
        /// The limit it passes.
        limit: u128,
        /// Environment variable of the limit.
        setting: &'static str,
    },

    /// An entry is encrypted, a link, or packed by a method that GBIF does not use.
    #[error("entry {entry} is {what}; ask for the download again in format DWCA")]
    Unsupported {
        /// Name of the entry.
        entry: String,
        /// What cannot be handled.
        what: &'static str,
    },

    /// There is no `meta.xml` at the root.
    #[error("the zip holds no meta.xml at its root (is it a SIMPLE_CSV download?); ask for format DWCA")]
    NoDescriptor,

    /// `meta.xml` cannot be understood.
    #[error("meta.xml cannot be used: {reason}; keep the archive and report it to GBIF")]
    Descriptor {
        /// What is wrong in it.
        reason: String,
    },

    /// A table of the descriptor is spread over several files.
    #[error("the table of {locations:?} is spread over several files, which GBIF never does; load each file by itself")]
    SeveralFiles {
        /// The locations that were given.
        locations: Vec<String>,
    },

    /// A table that is needed has no entry.
    #[error("meta.xml names {entry} but the zip does not hold it; fetch the archive again")]
    MissingEntry {
        /// Location of the table.
        entry: String,
    },

    /// The header line disagrees with the descriptor: columns are shifted or renamed.
    #[error(
        "{entry} line 1: column {column} is {found:?} in the header and {expected:?} in meta.xml; \
         the layout cannot be trusted, ask GBIF for the download again"
    )]
    Header {
        /// Name of the entry.
        entry: String,
        /// Column, counted from 1.
        column: usize,
        /// Name by the descriptor; empty when it has no such column.
        expected: String,
        /// Name by the header; empty when it has no such column.
        found: String,
    },

    /// Rows do not have the layout that the descriptor promises.
    #[error("{entry} line {line}: {reason}; the layout cannot be trusted, ask GBIF for the download again")]
    Layout {
        /// Name of the entry.
        entry: String,
        /// Line, counted from 1 and header included.
        line: u64,
        /// What disagrees.
        reason: String,
    },
}

impl ArchiveError {
    /// Whether reading the same file again can succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// Whether the bytes are not those that GBIF made, so that a new fetch can help.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::NotAZip { .. } | Self::Damaged { .. } | Self::MissingEntry { .. })
    }

    /// Tells a damaged entry from an unreadable disk: the inflater and the checksum report data errors.
    pub(crate) fn reading(entry: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                Self::Damaged { entry: entry.to_owned(), reason: source.to_string() }
            }
            _ => Self::Io { what: format!("entry {entry}"), source },
        }
    }

    /// The same for the zip's own structures.
    pub(crate) fn opening(error: zip::result::ZipError) -> Self {
        match error {
            zip::result::ZipError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                Self::Io { what: "the archive".to_owned(), source }
            }
            other => Self::NotAZip { reason: other.to_string() },
        }
    }
}
