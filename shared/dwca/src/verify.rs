//! Whether a file is a whole, honest archive: the check between the fetch and the store.
//!
//! Every entry is inflated once to its checksum; nothing is kept. A file that passes can still hold bad rows: those
//! are found when its tables are read.

use std::io::{self, Read, Seek};

use crate::{ArchiveError, Limits, entries};

/// What was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Number of entries, all with the right checksum.
    pub entries: usize,
    /// Bytes that all entries inflate to.
    pub inflated_bytes: u64,
}

/// Checks the central directory, names, overlaps, limits and every checksum of the archive.
pub fn verify<R: Read + Seek>(reader: R, limits: &Limits) -> Result<Verified, ArchiveError> {
    let mut zip = entries::open(reader, limits)?;
    let mut inflated_bytes = 0;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(ArchiveError::opening)?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let declared = entry.size();
        let found = io::copy(&mut entry, &mut io::sink()).map_err(|source| ArchiveError::reading(&name, source))?;
        if found != declared {
            let reason = format!("{found} bytes instead of {declared}");
            return Err(ArchiveError::Damaged { entry: name, reason });
        }
        inflated_bytes += found;
    }
    Ok(Verified { entries: zip.len(), inflated_bytes })
}
