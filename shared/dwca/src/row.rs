//! One line cut into fields.
//!
//! A [`Splitter`] keeps the places of the cuts, so that splitting allocates nothing once warm. A line that cannot be a
//! row gives a [`LineProblem`]; the caller counts it and goes on.

use std::fmt;

use memchr::{memchr, memchr_iter};

/// Why a line is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineProblem {
    /// The line is longer than the limit, in bytes.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The line is not UTF-8 from this byte on.
    NotUtf8 {
        /// Offset in the line, in bytes.
        offset: usize,
    },
    /// The line holds a NUL, which no text column can store.
    Nul {
        /// Offset in the line, in bytes.
        offset: usize,
    },
    /// The line has another number of fields than its table.
    Width {
        /// Fields by the descriptor.
        expected: usize,
        /// Fields of the line.
        found: usize,
        /// A field starts a quote that the line does not end: a quoted value was probably broken by a newline.
        open_quote: bool,
    },
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "longer than {limit} bytes"),
            Self::NotUtf8 { offset } => write!(f, "not UTF-8 at byte {offset}"),
            Self::Nul { offset } => write!(f, "NUL at byte {offset}"),
            Self::Width { expected, found, open_quote } => {
                write!(f, "{found} fields instead of {expected}")?;
                if *open_quote { f.write_str(", with an open quote") } else { Ok(()) }
            }
        }
    }
}

/// Cuts lines into rows of one width.
#[derive(Clone, Debug)]
pub struct Splitter {
    width: usize,
    max_line_bytes: usize,
    /// Start of each field, then one past the end of the last, so that field n is `cuts[n]..cuts[n + 1] - 1`.
    cuts: Vec<usize>,
}

impl Splitter {
    /// A splitter for rows of `width` fields and at most `max_line_bytes` bytes.
    pub fn new(width: usize, max_line_bytes: usize) -> Self {
        Self { width, max_line_bytes, cuts: Vec::with_capacity(width + 1) }
    }

    /// The longest line that is a row, in bytes.
    pub fn max_line_bytes(&self) -> usize {
        self.max_line_bytes
    }

    /// Cuts one line, given without its newline.
    pub fn split<'a>(&'a mut self, line: &'a [u8]) -> Result<Row<'a>, LineProblem> {
        if line.len() > self.max_line_bytes {
            return Err(LineProblem::TooLong { limit: self.max_line_bytes });
        }
        let text = std::str::from_utf8(line).map_err(|error| LineProblem::NotUtf8 { offset: error.valid_up_to() })?;
        if let Some(offset) = memchr(0, line) {
            return Err(LineProblem::Nul { offset });
        }
        self.cuts.clear();
        self.cuts.push(0);
        self.cuts.extend(memchr_iter(b'\t', line).map(|tab| tab + 1));
        self.cuts.push(line.len() + 1);
        let found = self.cuts.len() - 1;
        if found != self.width {
            let open_quote = text
                .split('\t')
                .any(|field| field.starts_with('"') && field.bytes().filter(|byte| *byte == b'"').count() % 2 == 1);
            return Err(LineProblem::Width { expected: self.width, found, open_quote });
        }
        Ok(Row { text, cuts: &self.cuts })
    }
}

/// One row, borrowed from its line.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    text: &'a str,
    cuts: &'a [usize],
}

impl<'a> Row<'a> {
    /// The raw field at `index`, counted from 0; empty beyond the row.
    #[inline]
    pub fn field(&self, index: usize) -> &'a str {
        match (self.cuts.get(index), self.cuts.get(index + 1)) {
            (Some(start), Some(next)) => self.text.get(*start..next - 1).unwrap_or(""),
            _ => "",
        }
    }

    /// Number of fields.
    pub fn width(&self) -> usize {
        self.cuts.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_at_tabs_only() -> Result<(), LineProblem> {
        let mut splitter = Splitter::new(3, 100);
        let row = splitter.split("a\u{85}b\u{2028}\t\tc d\r".as_bytes())?;
        assert_eq!((row.field(0), row.field(1), row.field(2), row.field(3)), ("a\u{85}b\u{2028}", "", "c d\r", ""));
        assert_eq!(row.width(), 3);
        Ok(())
    }

    #[test]
    fn problems_name_their_reason() {
        let mut splitter = Splitter::new(2, 10);
        let mut problem = |line: &[u8]| splitter.split(line).map(|_| ()).map_err(|problem| problem.to_string());
        assert_eq!(problem(b"a\tb"), Ok(()));
        assert_eq!(problem(b"a\t\xff"), Err("not UTF-8 at byte 2".to_owned()));
        assert_eq!(problem(b"a\tb\0"), Err("NUL at byte 3".to_owned()));
        assert_eq!(problem(b"a"), Err("1 fields instead of 2".to_owned()));
        assert_eq!(problem(b""), Err("1 fields instead of 2".to_owned()));
        assert_eq!(problem(b"\"a"), Err("1 fields instead of 2, with an open quote".to_owned()));
        assert_eq!(problem(b"aaaaa\tbbbbb"), Err("longer than 10 bytes".to_owned()));
    }
}
