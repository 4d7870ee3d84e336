//! A table's text in blocks of whole lines.
//!
//! Blocks travel from the thread that inflates to the one that parses; their buffers are the caller's, to be used again.
//! A line that passes the limit never stands in memory whole: its bytes are dropped and it becomes [`Block::TooLong`].

use std::io::Read;

use memchr::{memchr, memchr_iter, memrchr};

use crate::ArchiveError;

/// Bytes a block aims at: large enough to make hand-over between threads cheap, small enough for the caches.
const BLOCK_BYTES: usize = 256 << 10;

/// What was put in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Whole lines; the last may lack its newline at the end of the table.
    Lines {
        /// Number of the first line in its file, counted from 1 and header included.
        first_line: u64,
    },
    /// One line beyond the limit, which was dropped.
    TooLong {
        /// Number of the line.
        line: u64,
    },
}

/// Reads blocks out of an inflating entry.
#[derive(Debug)]
pub struct Blocks<R> {
    reader: R,
    entry: String,
    max_line_bytes: usize,
    carry: Vec<u8>,
    next_line: u64,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    /// Blocks of the entry named `entry`, starting at line 1.
    pub fn new(reader: R, entry: &str, max_line_bytes: usize) -> Self {
        Self { reader, entry: entry.to_owned(), max_line_bytes, carry: Vec::new(), next_line: 1, ended: false }
    }

    /// Fills `buffer` with the next block; nothing after the last. The entry's checksum is right once that is said.
    pub fn next_block(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Block>, ArchiveError> {
        buffer.clear();
        buffer.append(&mut self.carry);
        loop {
            self.fill(buffer)?;
            if self.ended {
                if buffer.is_empty() {
                    return Ok(None);
                }
                break;
            }
            if let Some(last) = memrchr(b'\n', buffer) {
                self.carry.extend_from_slice(buffer.get(last + 1..).unwrap_or_default());
                buffer.truncate(last + 1);
                break;
            }
            if buffer.len() > self.max_line_bytes {
                return self.drop_line(buffer).map(Some);
            }
        }
        let first_line = self.next_line;
        self.next_line += memchr_iter(b'\n', buffer).count() as u64 + u64::from(buffer.last() != Some(&b'\n'));
        Ok(Some(Block::Lines { first_line }))
    }

    /// Passes over `count` lines, as cheaply as they can be inflated. Returns how many there were.
    pub fn skip_lines(&mut self, count: u64) -> Result<u64, ArchiveError> {
        let mut buffer = Vec::new();
        let mut skipped = 0;
        while skipped < count {
            let Some(block) = self.next_block(&mut buffer)? else { break };
            let Block::Lines { first_line } = block else {
                skipped += 1;
                continue;
            };
            let held = self.next_line - first_line;
            if skipped + held <= count {
                skipped += held;
                continue;
            }
            let wanted = usize::try_from(count - skipped).unwrap_or(usize::MAX);
            let cut = memchr_iter(b'\n', &buffer).nth(wanted - 1).map_or(buffer.len(), |at| at + 1);
            self.carry.splice(0..0, buffer.drain(cut..));
            self.next_line = first_line + (count - skipped);
            skipped = count;
        }
        Ok(skipped)
    }

    fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<(), ArchiveError> {
        if self.ended {
            return Ok(());
        }
        let wanted = BLOCK_BYTES.saturating_sub(buffer.len()).max(BLOCK_BYTES / 4);
        buffer.reserve(wanted);
        let read = (&mut self.reader)
            .take(wanted as u64)
            .read_to_end(buffer)
            .map_err(|source| ArchiveError::reading(&self.entry, source))?;
        self.ended = read < wanted;
        Ok(())
    }

    fn drop_line(&mut self, buffer: &mut Vec<u8>) -> Result<Block, ArchiveError> {
        let line = self.next_line;
        self.next_line += 1;
        while !self.ended {
            buffer.clear();
            self.fill(buffer)?;
            if let Some(end) = memchr(b'\n', buffer) {
                self.carry.extend_from_slice(buffer.get(end + 1..).unwrap_or_default());
                break;
            }
        }
        buffer.clear();
        Ok(Block::TooLong { line })
    }
}

/// The lines of a block, without their newlines.
pub fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, next) = match memchr(b'\n', rest) {
            Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
            None => (rest, &[][..]),
        };
        rest = next;
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], limit: usize, skip: u64) -> Result<Vec<(u64, String)>, ArchiveError> {
        let mut blocks = Blocks::new(text, "table.txt", limit);
        blocks.skip_lines(skip)?;
        let (mut buffer, mut seen) = (Vec::new(), Vec::new());
        while let Some(block) = blocks.next_block(&mut buffer)? {
            match block {
                Block::Lines { first_line } => {
                    seen.extend(
                        (first_line..).zip(lines(&buffer).map(|line| String::from_utf8_lossy(line).into_owned())),
                    );
                }
                Block::TooLong { line } => seen.push((line, "too long".to_owned())),
            }
        }
        Ok(seen)
    }

    fn numbered(from: u64, lines: &[&str]) -> Vec<(u64, String)> {
        (from..).zip(lines.iter().map(|line| (*line).to_owned())).collect()
    }

    #[test]
    fn the_last_newline_is_optional() -> Result<(), ArchiveError> {
        assert_eq!(read(b"a\nb\n", 10, 0)?, numbered(1, &["a", "b"]));
        assert_eq!(read(b"a\nb", 10, 0)?, numbered(1, &["a", "b"]));
        assert_eq!(read(b"a\n\nb", 10, 0)?, numbered(1, &["a", "", "b"]));
        assert_eq!(read(b"", 10, 0)?, []);
        Ok(())
    }

    #[test]
    fn skipping_keeps_line_numbers() -> Result<(), ArchiveError> {
        assert_eq!(read(b"a\nb\nc\nd", 10, 2)?, numbered(3, &["c", "d"]));
        assert_eq!(read(b"a\nb", 10, 2)?, []);
        assert_eq!(read(b"a\nb\n", 10, 7)?, []);
        let many: String = (0..200_000).map(|n| format!("line {n}\n")).collect();
        let rest = read(many.as_bytes(), 100, 150_000)?;
        assert_eq!(rest.len(), 50_000);
        assert_eq!(rest.first(), Some(&(150_001, "line 150000".to_owned())));
        Ok(())
    }

    #[test]
    fn a_line_beyond_the_limit_is_dropped_and_the_rest_goes_on() -> Result<(), ArchiveError> {
        let mut text = b"first\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 3 << 20));
        text.extend_from_slice(b"\nlast\nvery last");
        assert_eq!(read(&text, 1 << 20, 0)?, numbered(1, &["first", "too long", "last", "very last"]));
        assert_eq!(read(&text, 1 << 20, 2)?, numbered(3, &["last", "very last"]));
        let mut open = b"first\n".to_vec();
        open.extend(std::iter::repeat_n(b'x', 3 << 20));
        assert_eq!(read(&open, 1 << 20, 0)?, numbered(1, &["first", "too long"]));
        Ok(())
    }
}
