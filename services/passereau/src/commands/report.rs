//! Reports of a subscription: a statement, shown as aligned text or as CSV for a spreadsheet.
//!
//! Every column is text; rows are written one by one as they arrive, so a report is as long as it has to be.

use std::io::{self, Write};

use anyhow::Context;
use futures_util::TryStreamExt;
use sqlx::{PgPool, Row};

use super::{spreadsheet::Spreadsheet, unless_closed};

/// A statement, whose one parameter is the subscription, and its columns, all of them text, with the width they have when it is
/// not CSV.
pub(super) struct Report {
    pub(super) sql: &'static str,
    pub(super) columns: &'static [(&'static str, usize)],
}

impl Report {
    /// Prints the report of a subscription.
    pub(super) async fn print(&self, pool: &PgPool, subscription: &str, as_csv: bool) -> anyhow::Result<()> {
        let out = io::BufWriter::new(io::stdout().lock());
        unless_closed(self.write(pool, subscription, as_csv, out).await).context("writing the report")
    }

    /// The names of the columns, then row after row as they come.
    async fn write(&self, pool: &PgPool, subscription: &str, as_csv: bool, out: impl Write) -> io::Result<()> {
        let mut sheet = Sheet::new(as_csv, self.columns, out)?;
        sheet.row(self.columns.iter().map(|(name, _)| *name))?;
        let mut rows = sqlx::query(self.sql).bind(subscription).fetch(pool);
        while let Some(row) = rows.try_next().await.map_err(io::Error::other)? {
            let values: Result<Vec<Option<&str>>, _> = (0..self.columns.len()).map(|at| row.try_get(at)).collect();
            sheet.row(values.map_err(io::Error::other)?.into_iter().map(Option::unwrap_or_default))?;
        }
        sheet.flush()
    }
}

/// Where rows go.
enum Sheet<W: Write> {
    Csv(Box<Spreadsheet<W>>),
    Text(W, &'static [(&'static str, usize)]),
}

impl<W: Write> Sheet<W> {
    fn new(as_csv: bool, columns: &'static [(&'static str, usize)], out: W) -> io::Result<Self> {
        Ok(if as_csv { Self::Csv(Box::new(Spreadsheet::new(out)?)) } else { Self::Text(out, columns) })
    }

    fn row<'v>(&mut self, values: impl Iterator<Item = &'v str>) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.row(values)?,
            Self::Text(out, columns) => {
                let padded = columns.iter().zip(values).map(|((name, width), value)| match *name {
                    "records" => format!("{value:>width$}"),
                    _ => format!("{value:<width$}"),
                });
                writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(csv) => csv.flush()?,
            Self::Text(out, _) => out.flush()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[(&str, usize)] = &[("records", 9), ("reason", 20), ("taxon_key", 10), ("scientific_name", 0)];

    fn sheet(as_csv: bool, rows: &[&[&str]]) -> String {
        let mut out = Vec::new();
        let mut sheet = Sheet::new(as_csv, COLUMNS, &mut out).expect("sheet");
        for row in rows {
            sheet.row(row.iter().copied()).expect("row");
        }
        sheet.flush().expect("flush");
        drop(sheet);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn csv_is_for_a_spreadsheet() {
        let row = ["3", "taxon_unmatched", "", "=Aus \"bus\" L., 1758"];
        assert_eq!(sheet(true, &[&row]), "\u{feff}3;taxon_unmatched;;\"'=Aus \"\"bus\"\" L., 1758\"\n");
    }

    #[test]
    fn text_is_aligned_and_ends_with_its_last_value() {
        let rows: [&[&str]; 2] = [&["12", "own_data", "71", ""], &["7", "count_zero", "72", "Aus bus"]];
        assert_eq!(
            sheet(false, &rows),
            "       12  own_data              71\n        7  count_zero            72          Aus bus\n"
        );
    }
}
