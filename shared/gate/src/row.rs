//! One row as `COPY` writes it: one line, tabs between cells, `\N` for no value, backslashes before what would be read otherwise
//! (<https://www.postgresql.org/docs/current/sql-copy.html>, "Text Format").

use std::borrow::Cow;

/// Why a line is no row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// It has other cells than the statement gives.
    #[error("a row of the gate has {found} cells instead of {expected}")]
    Cells {
        /// How many it has.
        found: usize,
        /// How many the statement gives.
        expected: usize,
    },
    /// A control column has no value or a wrong one.
    #[error("a row of the gate has no valid {0}")]
    Control(&'static str),
}

/// A row of [`Query::exact_rows`](crate::Query::exact_rows) or [`Query::blurred_rows`](crate::Query::blurred_rows). It borrows its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRow<'a> {
    /// Of a row that leaves exactly; none for one that leaves as an area.
    pub id_synthese: Option<i32>,
    /// The public id: the record's own UUID, or the one that it has in this flow alone. An exact row may have none.
    pub id: Option<&'a str>,
    /// WKB in WGS 84 as hexadecimal digits.
    pub geometry: Option<&'a str>,
    /// The sensitivity level's label.
    pub level: Cow<'a, str>,
    /// The type of the area; none for a row that leaves exactly.
    pub area_type: Option<Cow<'a, str>>,
    /// SPDX name.
    pub licence: Cow<'a, str>,
    /// The harvest that wrote an exact row.
    pub harvest: Option<&'a str>,
    values: &'a str,
}

impl<'a> CopyRow<'a> {
    /// Reads a line, with or without its end, of a statement with so many fields.
    ///
    /// # Errors
    /// [`RowError`], when the line is not of such a statement.
    pub fn parse(line: &'a str, fields: usize) -> Result<Self, RowError> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let (found, expected) = (line.split('\t').count(), crate::CONTROL_COLUMNS + fields);
        if found != expected {
            return Err(RowError::Cells { found, expected });
        }
        // At most so many parts: the last one is the rest of the line.
        let mut parts = line.splitn(crate::CONTROL_COLUMNS + 1, '\t');
        let mut next = || parts.next().filter(|cell| *cell != r"\N");
        let id_synthese = match next() {
            Some(id) => Some(id.parse().map_err(|_not_a_number| RowError::Control("id_synthese"))?),
            None => None,
        };
        let (id, geometry) = (next(), next());
        let level = next().map(unescaped).ok_or(RowError::Control("level"))?;
        let area_type = next().map(unescaped);
        let licence = next().map(unescaped).ok_or(RowError::Control("licence"))?;
        let harvest = next();
        if id_synthese.is_some() == area_type.is_some() {
            return Err(RowError::Control("area_type: a row leaves exactly or as an area"));
        }
        if area_type.is_some() && (id.is_none() || geometry.is_none()) {
            return Err(RowError::Control("id and geometry of a row that leaves as an area"));
        }
        let values = parts.next().unwrap_or_default();
        Ok(Self { id_synthese, id, geometry, level, area_type, licence, harvest, values })
    }

    /// Whether it leaves as an area.
    #[must_use]
    pub const fn is_blurred(&self) -> bool {
        self.area_type.is_some()
    }

    /// The values of its fields, in their order.
    pub fn values(&self) -> impl Iterator<Item = Option<Cow<'a, str>>> + use<'a> {
        self.values.split('\t').map(|cell| (cell != r"\N").then(|| unescaped(cell)))
    }
}

/// The rows of a text of whole lines, of a statement with so many fields.
pub fn rows(text: &str, fields: usize) -> impl Iterator<Item = Result<CopyRow<'_>, RowError>> {
    text.split_terminator('\n').map(move |line| CopyRow::parse(line, fields))
}

/// A cell without its backslashes; the cell itself where it has none.
fn unescaped(cell: &str) -> Cow<'_, str> {
    let Some(first) = cell.find('\\') else { return Cow::Borrowed(cell) };
    let mut text = String::with_capacity(cell.len());
    let (plain, rest) = cell.split_at(first);
    text.push_str(plain);
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        // PostgreSQL writes no octal and no hexadecimal escapes.
        match characters.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('v') => text.push('\u{b}'),
            Some(other) => text.push(other),
            None => text.push('\\'),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: &str =
        "7\t0b2f\t0101\tNon sensible\t\\N\tCC0-1.0\t0197\tune\\ttabulation\\nune ligne\t\\N\t\tC:\\\\temp\t\\\\N\n";

    #[test]
    fn a_line_becomes_control_columns_and_values() {
        let row = CopyRow::parse(EXACT, 5).expect("row");
        assert_eq!((row.id_synthese, row.id, row.geometry), (Some(7), Some("0b2f"), Some("0101")));
        assert_eq!((&*row.level, row.area_type.as_deref(), &*row.licence), ("Non sensible", None, "CC0-1.0"));
        assert_eq!((row.harvest, row.is_blurred()), (Some("0197"), false));
        let values: Vec<_> = row.values().collect();
        let texts: Vec<_> = values.iter().map(|value| value.as_deref()).collect();
        assert_eq!(texts, [Some("une\ttabulation\nune ligne"), None, Some(""), Some("C:\\temp"), Some("\\N")]);
        assert!(matches!(values[2], Some(Cow::Borrowed(_))), "a cell without a backslash is not copied");
    }

    #[test]
    fn every_escape_of_postgresql_is_read() {
        assert_eq!(unescaped(r"\b\f\n\r\t\v\\\.é\"), "\u{8}\u{c}\n\r\t\u{b}\\.é\\");
    }

    #[test]
    fn a_blurred_row_has_no_id_of_the_synthese() {
        let row = CopyRow::parse("\\N\tname\t0106\tMaille\tM10\tCC0-1.0\t\\N\tx", 1).expect("row");
        assert!(row.is_blurred() && row.id_synthese.is_none() && row.harvest.is_none());
        let both = CopyRow::parse("7\tname\t0106\tMaille\tM10\tCC0-1.0\t\\N\tx", 1);
        assert!(matches!(both, Err(RowError::Control(_))), "{both:?}");
        let nameless = CopyRow::parse("\\N\t\\N\t0106\tMaille\tM10\tCC0-1.0\t\\N\tx", 1);
        assert!(matches!(nameless, Err(RowError::Control(_))), "{nameless:?}");
    }

    #[test]
    fn a_line_of_another_statement_is_refused() {
        assert_eq!(CopyRow::parse(EXACT, 4), Err(RowError::Cells { found: 12, expected: 11 }));
        let level = CopyRow::parse("7\tid\t01\t\\N\t\\N\tCC0-1.0\t\\N\tx", 1);
        assert_eq!(level, Err(RowError::Control("level")));
    }

    #[test]
    fn a_text_is_as_many_rows_as_lines() {
        let text = EXACT.repeat(3);
        assert_eq!(rows(&text, 5).filter(Result::is_ok).count(), 3);
        assert_eq!(rows("", 5).count(), 0);
    }
}
