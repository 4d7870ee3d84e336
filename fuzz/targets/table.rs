//! Lines, rows and quoting, against a plain model. Input: four numbers (limit of a line as a power of two, lines to skip, bytes
//! of one read, repetitions), then the text.
#![no_main]

use std::borrow::Cow;
use std::io::Read;

use libfuzzer_sys::fuzz_target;
use passereau_dwca::{Block, Blocks, Splitter, lines, unquote};

/// Longest text that is made of an input: a field of 10 MB must fit.
const LONGEST: usize = 12 << 20;

/// Gives at most `most` bytes at once, as an inflater may.
struct Dripping<'a>(&'a [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

/// The lines of a text by the book.
fn model(text: &[u8]) -> Vec<&[u8]> {
    let mut all: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    // The last newline ends a line and begins none.
    if all.last().is_some_and(|last| last.is_empty()) {
        all.pop();
    }
    all
}

fn check_row(splitter: &mut Splitter, width: usize, limit: usize, line: &[u8]) -> bool {
    let Ok(row) = splitter.split(line) else { return false };
    assert!(line.len() <= limit && !line.contains(&0));
    assert_eq!(row.width(), width);
    let fields: Vec<&str> = (0..width).map(|at| row.field(at)).collect();
    assert_eq!(fields.join("\t").as_bytes(), line);
    assert_eq!(row.field(width), "");
    for field in fields {
        match unquote(field) {
            Cow::Borrowed(plain) => assert_eq!(plain, field),
            Cow::Owned(plain) => assert_eq!(format!("\"{}\"", plain.replace('"', "\"\"")), field),
        }
    }
    true
}

fuzz_target!(|data: &[u8]| {
    let [power, skip, read, times, text @ ..] = data else { return };
    let limit = 1_usize << (power % 24);
    let skip = u64::from(*skip);
    let text = text.repeat((usize::from(*times) + 1).min(LONGEST / text.len().max(1)).max(1));
    let expected = model(&text);
    let mut blocks = Blocks::new(Dripping(&text, usize::from(*read) * 97 + 1), "table.txt", limit);
    let skipped = blocks.skip_lines(skip).expect("reading memory does not fail");
    assert_eq!(skipped, skip.min(expected.len() as u64));

    let width = 1 + usize::try_from(skip % 8).unwrap_or(0);
    let mut splitter = Splitter::new(width, limit);
    let (mut seen, mut rows, mut malformed) = (skipped, 0, 0);
    let mut buffer = Vec::new();
    while let Some(block) = blocks.next_block(&mut buffer).expect("reading memory does not fail") {
        // A block, a line and what the vector grows by.
        assert!(buffer.capacity() <= 2 * limit + (2 << 20), "{} bytes are held", buffer.capacity());
        match block {
            Block::TooLong { line } => {
                assert_eq!(line, seen + 1);
                assert!(expected[seen as usize].len() > limit);
                seen += 1;
                malformed += 1;
            }
            Block::Lines { first_line } => {
                assert_eq!(first_line, seen + 1);
                for line in lines(&buffer) {
                    assert_eq!(line, expected[seen as usize]);
                    seen += 1;
                    if check_row(&mut splitter, width, limit, line) { rows += 1 } else { malformed += 1 }
                }
            }
        }
    }
    assert_eq!(seen, expected.len() as u64, "lines are lost");
    assert_eq!(seen - skipped, rows + malformed);
});
