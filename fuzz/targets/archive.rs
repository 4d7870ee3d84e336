//! Zips. Input: the file.
#![no_main]

use std::cell::Cell;
use std::io::{Cursor, Read, Seek, SeekFrom};

use libfuzzer_sys::fuzz_target;
use passereau_dwca::{Archive, ArchiveError, Block, Limits, Splitter, lines, verify};

const LIMITS: Limits = Limits {
    max_entries: 256,
    max_inflated_bytes: 16 << 20,
    max_ratio: 500,
    max_line_bytes: 1 << 20,
    max_descriptor_bytes: 1 << 20,
};

/// Counts the bytes that are read of a file.
struct Counted<'a>(Cursor<&'a [u8]>, &'a Cell<u64>);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.set(self.1.get() + read as u64);
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

/// A path inside the archive and nowhere else, by the book.
fn is_inside(name: &str) -> bool {
    !name.starts_with('/') && !name.contains(['\\', '\0']) && !name.split('/').any(|step| step == "..")
}

fn read_table<R: Read + Seek>(archive: &mut Archive<R>, multimedia: bool) -> Result<u64, ArchiveError> {
    let table = if multimedia { archive.multimedia().cloned() } else { Some(archive.core().clone()) };
    let Some(table) = table else { return Ok(0) };
    let mut splitter = Splitter::new(table.width(), LIMITS.max_line_bytes);
    let mut blocks = archive.rows(&table)?;
    let (mut buffer, mut next, mut bytes) = (Vec::new(), table.header_lines + 1, 0);
    while let Some(block) = blocks.next_block(&mut buffer)? {
        bytes += buffer.len() as u64;
        assert!(bytes <= LIMITS.max_inflated_bytes, "more than all entries may inflate to");
        match block {
            Block::TooLong { line } => {
                assert_eq!(line, next);
                next += 1;
            }
            Block::Lines { first_line } => {
                assert_eq!(first_line, next);
                for line in lines(&buffer) {
                    // Another width is an error, never a row: a value would stand in the wrong column.
                    if let Ok(row) = splitter.split(line) {
                        assert_eq!(row.width(), table.width());
                    }
                    next += 1;
                }
            }
        }
    }
    Ok(next)
}

fuzz_target!(|data: &[u8]| {
    let read = Cell::new(0);
    let verified = verify(Counted(Cursor::new(data), &read), &LIMITS);
    // The directory and the entries, each a few times: not once for every entry.
    let most = 8 * data.len() as u64 + (4 << 20);
    assert!(read.get() <= most, "{} bytes are read of a file of {}", read.get(), data.len());
    if let Ok(verified) = &verified {
        assert!(verified.entries <= LIMITS.max_entries && verified.inflated_bytes <= LIMITS.max_inflated_bytes);
    }
    let Ok(mut archive) = Archive::open(Cursor::new(data), LIMITS) else {
        return;
    };
    assert!(is_inside(&archive.core().location) || !archive.holds(archive.core()));
    for name in archive.documents().iter().take(8) {
        assert!(is_inside(name));
        if let Ok(bytes) = archive.document(name, 1000) {
            assert!(bytes.len() <= 1000);
        }
    }
    for multimedia in [false, true] {
        let whole = read_table(&mut archive, multimedia);
        if verified.is_ok() {
            assert!(!matches!(whole, Err(ArchiveError::NotAZip { .. })), "verified and yet no zip: {whole:?}");
            assert!(
                !matches!(&whole, Err(ArchiveError::Damaged { reason, .. }) if !reason.contains("header")),
                "verified and yet damaged: {whole:?}"
            );
        }
    }
});
