//! CSV that people open in a spreadsheet.
//!
//! It is written for one of a French office: UTF-8 with a byte order mark, without which Excel shows `Ã©` for `é`, and with
//! semicolons, which a French Excel splits at a double click. Names come from anywhere, so a cell that a spreadsheet would
//! compute begins with an apostrophe.

use std::io::{self, Write};

const BYTE_ORDER_MARK: &str = "\u{feff}";
const SEPARATORS: [char; 3] = [';', '\t', ','];
/// A spreadsheet computes a cell that begins with one of these.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Where rows go.
pub(super) struct Spreadsheet<W: Write>(csv::Writer<W>);

impl<W: Write> Spreadsheet<W> {
    /// An empty one.
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(BYTE_ORDER_MARK.as_bytes())?;
        Ok(Self(csv::WriterBuilder::new().delimiter(SEPARATORS[0] as u8).from_writer(out)))
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) -> io::Result<()> {
        for cell in cells {
            self.0.write_field(disarmed(cell.as_ref()))?;
        }
        // An empty record ends the row.
        self.0.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Sends on what it still holds.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A file as it comes back. A spreadsheet may have changed the separator, which is read from the headings.
pub(super) fn reader(text: &str) -> csv::Reader<&[u8]> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let headings = text.lines().next().unwrap_or_default();
    let separator = SEPARATORS.into_iter().max_by_key(|it| headings.matches(*it).count()).unwrap_or(SEPARATORS[0]);
    csv::ReaderBuilder::new().delimiter(separator as u8).flexible(true).from_reader(text.as_bytes())
}

/// With an apostrophe before what a spreadsheet would compute.
fn disarmed(cell: &str) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell.to_owned() }
}

/// What stood in a cell before [`Spreadsheet::row`] disarmed it.
pub(super) fn armed(cell: &str) -> String {
    let cell = cell.trim();
    cell.strip_prefix('\'').filter(|bare| bare.starts_with(FORMULA)).unwrap_or(cell).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_french_spreadsheet_opens_it_and_computes_nothing() {
        let mut out = Vec::new();
        let mut sheet = Spreadsheet::new(&mut out).expect("sheet");
        sheet.row(["né à", "=1+1", "a;b", ""]).expect("row");
        sheet.row(["\"quoted\"", "-1", "second\nline", "é"]).expect("row");
        sheet.flush().expect("flush");
        drop(sheet);
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, "\u{feff}né à;'=1+1;\"a;b\";\n\"\"\"quoted\"\"\";'-1;\"second\nline\";é\n");
    }

    #[test]
    fn what_was_disarmed_comes_back_as_it_was() {
        for cell in ["=1+1", "-1", "@x", "'s Gravesande", "Aus bus"] {
            assert_eq!(armed(&disarmed(cell)), cell);
        }
    }
}
