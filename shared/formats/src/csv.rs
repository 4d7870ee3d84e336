//! CSV: RFC 4180, lines that end in CR LF, a header of the columns' names, the geometry as WKT in the last column where there is one.
//!
//! A missing value and an empty text look the same. Spreadsheets take a cell that begins with `=`, `+`, `-`, `@`, their wide
//! forms, a tab or a line end for a formula (OWASP, "CSV Injection"), and a text of anybody's may become one: see
//! [`Formulas`].

use std::fs::File;
use std::path::Path;

use csv::{QuoteStyle, Terminator, WriterBuilder};

use crate::geometry::Geometry;
use crate::value::{Value, looks_like_number};
use crate::writer::{BUFFER_BYTES, Encode, Problem, create};
use crate::{Column, FormatError, Kind, Row};

/// What makes UTF-8 known to Excel.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What to do with texts that a spreadsheet would take for a formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Formulas {
    /// An apostrophe is put before them, unless they are numbers. Only in columns of [`Kind::Text`].
    #[default]
    Guard,
    /// They are written as they are.
    AsIs,
}

/// What differs between one reader of CSV and another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// What stands between cells: a semicolon, as GeoNature and French spreadsheets have it.
    pub separator: u8,
    /// Whether the file begins with a byte order mark, which Excel needs and programs dislike.
    pub byte_order_mark: bool,
    /// What to do with formulas.
    pub formulas: Formulas,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { separator: b';', byte_order_mark: false, formulas: Formulas::Guard }
    }
}

impl CsvOptions {
    /// Whether cells stay apart: the separator is one character of ASCII, and no part of a number, a word or a quoted cell.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        match self.separator {
            b'\t' => Ok(()),
            b'"' | b'+' | b'-' | b'.' | b'\'' | b' ' => Err(FormatError::Separator(self.separator)),
            byte if byte.is_ascii_punctuation() => Ok(()),
            byte => Err(FormatError::Separator(byte)),
        }
    }
}

/// A CSV file that is being written.
pub(crate) struct Csv {
    csv: csv::Writer<File>,
    kinds: Vec<Kind>,
    has_geometry: bool,
    formulas: Formulas,
    scratch: Vec<u8>,
}

impl Csv {
    pub(crate) fn create(
        path: &Path,
        columns: &[Column],
        geometry_column: Option<&str>,
        options: &CsvOptions,
    ) -> Result<Self, FormatError> {
        let io = |source| FormatError::Io { doing: "writing", path: path.to_owned(), source };
        let mut file = create(path)?;
        if options.byte_order_mark {
            std::io::Write::write_all(&mut file, BYTE_ORDER_MARK).map_err(io)?;
        }
        let mut csv = WriterBuilder::new()
            .delimiter(options.separator)
            .terminator(Terminator::CRLF)
            .quote_style(QuoteStyle::Necessary)
            .buffer_capacity(BUFFER_BYTES)
            .from_writer(file);
        let names = columns.iter().map(|column| column.name.as_str()).chain(geometry_column);
        csv.write_record(names).map_err(|error| io(error.into()))?;
        let kinds = columns.iter().map(|column| column.kind).collect();
        Ok(Self {
            csv,
            kinds,
            has_geometry: geometry_column.is_some(),
            formulas: options.formulas,
            scratch: Vec::new(),
        })
    }

    fn value(&mut self, value: Value<'_>) -> Result<(), Problem> {
        let cell: &[u8] = match value {
            Value::Text(text) if self.formulas == Formulas::Guard && is_formula(text.as_bytes()) => {
                self.scratch.clear();
                self.scratch.push(b'\'');
                self.scratch.extend_from_slice(text.as_bytes());
                &self.scratch
            }
            Value::Text(text)
            | Value::Integer(_, text)
            | Value::Real(text)
            | Value::Date(text)
            | Value::Time(text)
            | Value::Json(text) => text.as_bytes(),
            Value::Boolean(true) => b"true",
            Value::Boolean(false) => b"false",
            Value::DateTime(moment) => {
                self.scratch.clear();
                moment.write_iso(&mut self.scratch)?;
                &self.scratch
            }
        };
        self.csv.write_field(cell).map_err(problem)
    }
}

impl Encode for Csv {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        for (index, text) in row.values.iter().enumerate() {
            match (text, self.kinds.get(index)) {
                (Some(text), Some(&kind)) => {
                    self.value(Value::read(kind, text).ok_or(Problem::Value(index))?)?;
                }
                _ => self.csv.write_field(b"").map_err(problem)?,
            }
        }
        if self.has_geometry {
            self.scratch.clear();
            if let Some(wkb) = row.geometry {
                Geometry::read(wkb)?.write_wkt(&mut self.scratch)?;
            }
            self.csv.write_field(&self.scratch).map_err(problem)?;
        }
        self.csv.write_record(None::<&[u8]>).map_err(problem)
    }

    fn end(&mut self) -> Result<(), Problem> {
        Ok(self.csv.flush()?)
    }
}

fn problem(error: csv::Error) -> Problem {
    Problem::Io(error.into())
}

/// Whether a spreadsheet would compute the cell.
fn is_formula(text: &[u8]) -> bool {
    match text {
        [b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n', ..] => !looks_like_number(text),
        // ＝ ＋ － ＠, which some spreadsheets read as the narrow ones.
        [0xEF, 0xBC, 0x9D | 0x8B | 0x8D | 0xA0, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_told_from_numbers() {
        for text in [
            "=1+1",
            "+33 6 12",
            "-",
            "--1",
            "-2+3",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "+cmd|' /C calc'!A0",
            "-1;2",
            "-NaN",
            "\n=1",
            "＝1+1",
            "＠a",
        ] {
            assert!(is_formula(text.as_bytes()), "{text:?}");
        }
        for text in ["", "Pinson", "-12", "+33612", "-0.50", "-007", "-1e-7", "'=1", " =1", "a=1"] {
            assert!(!is_formula(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a_separator_must_keep_cells_apart() {
        for separator in [b';', b',', b'|', b'\t'] {
            assert!(CsvOptions { separator, ..CsvOptions::default() }.check().is_ok());
        }
        for separator in [b'"', b'\n', b'\r', b'0', b'a', b'-', b'.', b' ', b'\0', 0xC3] {
            assert!(CsvOptions { separator, ..CsvOptions::default() }.check().is_err(), "{separator}");
        }
    }
}
