//! The central directory: names, sizes and places of the entries, checked before anything is inflated.
//!
//! Invariant: an archive that passed [`open`] has only safe, distinct names, entries that share no byte, and declared
//! sizes within the limits. The zip crate stops an entry that inflates beyond its declared size.

use std::io::{Read, Seek, SeekFrom};

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use crate::{ArchiveError, Limits};

/// Entries below this size may be packed as densely as they like: a header-only table is legitimate.
const RATIO_FREE_BYTES: u64 = 16 << 20;

/// Opens the zip and checks its directory.
pub(crate) fn open<R: Read + Seek>(mut reader: R, limits: &Limits) -> Result<ZipArchive<R>, ArchiveError> {
    check_start(&mut reader)?;
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut zip = ZipArchive::with_config(config, reader).map_err(ArchiveError::opening)?;
    if zip.has_duplicate_names() {
        return Err(ArchiveError::Overlap { what: "two entries have the same name" });
    }
    if zip.len() > limits.max_entries {
        return Err(ArchiveError::TooLarge {
            what: "the number of entries".to_owned(),
            found: zip.len() as u128,
            limit: limits.max_entries as u128,
            setting: "PASSEREAU_ARCHIVE_MAX_ENTRIES",
        });
    }
    let mut total: u128 = 0;
    for index in 0..zip.len() {
        total += u128::from(check_entry(&zip, index, limits)?);
    }
    if total > u128::from(limits.max_inflated_bytes) {
        return Err(ArchiveError::TooLarge {
            what: "the inflated size in bytes".to_owned(),
            found: total,
            limit: u128::from(limits.max_inflated_bytes),
            setting: "PASSEREAU_ARCHIVE_MAX_INFLATED_BYTES",
        });
    }
    if zip.has_overlapping_entries().map_err(ArchiveError::opening)? {
        return Err(ArchiveError::Overlap { what: "two entries share their bytes" });
    }
    Ok(zip)
}

/// An HTML page or an error text saved under the archive's name is told apart at once.
fn check_start<R: Read + Seek>(reader: &mut R) -> Result<(), ArchiveError> {
    let mut start = [0_u8; 4];
    let what = "the start of the archive";
    reader.seek(SeekFrom::Start(0)).map_err(|source| ArchiveError::Io { what: what.to_owned(), source })?;
    match reader.read_exact(&mut start) {
        Ok(()) if start == *b"PK\x03\x04" || start == *b"PK\x05\x06" => Ok(()),
        Ok(()) => Err(ArchiveError::NotAZip { reason: format!("it starts with \"{}\"", start.escape_ascii()) }),
        Err(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(ArchiveError::NotAZip { reason: "it has less than 4 bytes".to_owned() })
        }
        Err(source) => Err(ArchiveError::Io { what: what.to_owned(), source }),
    }
}

/// Checks one entry and returns its declared size.
fn check_entry<R: Read + Seek>(zip: &ZipArchive<R>, index: usize, limits: &Limits) -> Result<u64, ArchiveError> {
    let entry = zip.by_index_data(index).map_err(ArchiveError::opening)?;
    let raw = entry.name_raw();
    let name = match std::str::from_utf8(raw) {
        Ok(name) if is_safe(name) => name.to_owned(),
        _ => return Err(ArchiveError::UnsafeName { entry: raw.escape_ascii().to_string() }),
    };
    let unsupported = |what| ArchiveError::Unsupported { entry: name.clone(), what };
    if entry.encrypted() {
        return Err(unsupported("encrypted"));
    }
    if entry.is_symlink() {
        return Err(unsupported("a symbolic link"));
    }
    if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(unsupported("packed by a method other than deflate"));
    }
    let (packed, size) = (entry.compressed_size(), entry.size());
    if size > RATIO_FREE_BYTES && size / packed.max(1) > limits.max_ratio {
        return Err(ArchiveError::TooLarge {
            what: format!("the compression ratio of entry {name}"),
            found: u128::from(size / packed.max(1)),
            limit: u128::from(limits.max_ratio),
            setting: "PASSEREAU_ARCHIVE_MAX_RATIO",
        });
    }
    Ok(size)
}

/// A relative path without steps upwards, drive letters, backslashes or control characters.
fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('/')
        && !name.contains(['\\', ':'])
        && !name.chars().any(char::is_control)
        && name.trim_end_matches('/').split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn names_that_lead_out_are_unsafe() {
        for name in ["occurrence.txt", "dataset/50c9509d.xml", "__MACOSX/", "__MACOSX/._meta.xml", "a..b.txt"] {
            assert!(is_safe(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../x", "a/../x", "a/./x", "a//x", "C:x", "a\\x", "a\nx", "..", "a\0"] {
            assert!(!is_safe(name), "{name:?}");
        }
    }
}
