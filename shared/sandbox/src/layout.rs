//! The columns of GBIF's Darwin Core Archives as of August 2026, and rows that fill them by name.
//!
//! 230 columns in `occurrence.txt`, 194 in `verbatim.txt`, 15 in `multimedia.txt`; the order is that of gbif/dwc-api's
//! `DwcTerm` and `GbifTerm` with gbif/download-tables' exclusions, as a `meta.xml` of 18 August 2026 shows it. The lists
//! are `data/*.terms`: one term URI a line, then a tab and `;` for multi-valued columns.

use std::{
    collections::HashMap,
    fmt::{Display, Write as _},
    sync::LazyLock,
};

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Term URI, as in `meta.xml`.
    pub term: &'static str,
    /// Last segment of the URI, as in the header line.
    pub name: &'static str,
    /// Delimiter of a multi-valued column (`delimitedBy` in `meta.xml`).
    pub delimited_by: Option<&'static str>,
}

/// A table of the archive.
#[derive(Debug)]
pub struct Layout {
    /// Name of the entry, `occurrence.txt`.
    pub location: &'static str,
    /// Row type URI. `verbatim.txt` has the same one as the core.
    pub row_type: &'static str,
    /// Columns in order; the first is `gbifID`.
    pub columns: Vec<Column>,
    index: HashMap<&'static str, usize>,
}

const OCCURRENCE_ROW_TYPE: &str = "http://rs.tdwg.org/dwc/terms/Occurrence";

/// The core: interpreted records.
pub static OCCURRENCE: LazyLock<Layout> =
    LazyLock::new(|| Layout::new("occurrence.txt", OCCURRENCE_ROW_TYPE, include_str!("../data/occurrence.terms")));

/// The records as they were published.
pub static VERBATIM: LazyLock<Layout> =
    LazyLock::new(|| Layout::new("verbatim.txt", OCCURRENCE_ROW_TYPE, include_str!("../data/verbatim.terms")));

/// Pictures and sounds, several rows a record.
pub static MULTIMEDIA: LazyLock<Layout> = LazyLock::new(|| {
    Layout::new("multimedia.txt", "http://rs.gbif.org/terms/1.0/Multimedia", include_str!("../data/multimedia.terms"))
});

impl Layout {
    fn new(location: &'static str, row_type: &'static str, terms: &'static str) -> Self {
        let columns: Vec<Column> = terms
            .lines()
            .map(|line| {
                let (term, delimited_by) = match line.split_once('\t') {
                    Some((term, delimiter)) => (term, Some(delimiter)),
                    None => (line, None),
                };
                Column { term, name: term.rsplit(['/', '#']).next().unwrap_or(term), delimited_by }
            })
            .collect();
        let index = columns.iter().enumerate().map(|(position, column)| (column.name, position)).collect();
        Self { location, row_type, columns, index }
    }

    /// The header line, without its line feed.
    pub fn header(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join("\t")
    }
}

/// How values that hold a quotation mark are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// As GBIF's small downloads: the value is enclosed in `"` and each inner `"` is doubled.
    Doubled,
    /// As GBIF's large downloads: `"` is a character like any other.
    Raw,
}

/// One row under construction. Reused from record to record so that its cells are allocated once.
#[derive(Debug)]
pub struct Row {
    layout: &'static Layout,
    cells: Vec<String>,
}

impl Row {
    /// An empty row of `layout`.
    pub fn new(layout: &'static Layout) -> Self {
        Self { layout, cells: vec![String::new(); layout.columns.len()] }
    }

    /// Empties every cell.
    pub fn clear(&mut self) {
        self.cells.iter_mut().for_each(String::clear);
    }

    /// Writes `value` into the column called `name`. A name that the layout lacks is a defect, caught by tests.
    pub fn put(&mut self, name: &str, value: impl Display) {
        if let Some(cell) = self.cell(name) {
            // Writing into a String cannot fail.
            let _ = write!(cell, "{value}");
        }
    }

    /// The same for text, without the cost of formatting.
    pub fn text(&mut self, name: &str, value: &str) {
        if let Some(cell) = self.cell(name) {
            cell.push_str(value);
        }
    }

    fn cell(&mut self, name: &str) -> Option<&mut String> {
        let position = self.layout.index.get(name).copied();
        debug_assert!(position.is_some(), "{} has no column {name}", self.layout.location);
        let cell = self.cells.get_mut(position?)?;
        cell.clear();
        Some(cell)
    }

    /// Appends the row to `out`, line feed included.
    pub fn write(&self, quoting: Quoting, out: &mut Vec<u8>) {
        for (position, cell) in self.cells.iter().enumerate() {
            if position > 0 {
                out.push(b'\t');
            }
            if quoting == Quoting::Doubled && cell.contains('"') {
                out.push(b'"');
                out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
                out.push(b'"');
            } else {
                out.extend_from_slice(cell.as_bytes());
            }
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_and_known_positions() {
        assert_eq!(OCCURRENCE.columns.len(), 230);
        assert_eq!(VERBATIM.columns.len(), 194);
        assert_eq!(MULTIMEDIA.columns.len(), 15);
        // Positions of 2026, counted from 1: where the procedure's `cut -f206` finds subgenusKey.
        for (name, position) in
            [("gbifID", 1), ("eventDate", 63), ("taxonKey", 194), ("subgenusKey", 206), ("verbatimScientificName", 210)]
        {
            assert_eq!(OCCURRENCE.columns[position - 1].name, name);
        }
    }

    #[test]
    fn quoting_habits() {
        let mut row = Row::new(&MULTIMEDIA);
        row.put("gbifID", 1);
        row.text("title", "\"NSG X\" Mitte \"Y\"");
        let mut raw = Vec::new();
        row.write(Quoting::Raw, &mut raw);
        assert!(String::from_utf8_lossy(&raw).contains("\t\"NSG X\" Mitte \"Y\"\t"));
        let mut doubled = Vec::new();
        row.write(Quoting::Doubled, &mut doubled);
        assert!(String::from_utf8_lossy(&doubled).contains("\t\"\"\"NSG X\"\" Mitte \"\"Y\"\"\"\t"));
    }
}
