//! One row of an archive as one typed row of a generation.
//!
//! A row is read, typed, hashed and written in COPY's format in one pass, straight from its line: no value is ever a
//! `String` of its own. The content hash is xxh3-128 over the written bytes of every value but `last_interpreted`, which
//! are unambiguous because each value carries its length.
//!
//! Invariants: a value that cannot be read as its type is NULL and is counted by column; a row without GBIF's number, or
//! not of its table's shape, is malformed and leaves nothing behind.

use std::fmt;

use passereau_dwca::{Field, LineProblem, Row, Splitter, Table, unquote};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::columns::{
    Column, DERIVED_COLUMNS, Kind, LAST_INTERPRETED, MULTIMEDIA_COLUMNS, OCCURRENCE_COLUMNS, resolve,
};
use crate::{copy_binary, event_date, identifiers};

/// Why a row is not landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The line is no row of its table.
    Line(LineProblem),
    /// The id column does not hold GBIF's number of a record.
    GbifId(String),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(problem) => problem.fmt(f),
            Self::GbifId(found) => write!(f, "gbifID {found:?} is no number"),
        }
    }
}

/// A column and where its value comes from.
#[derive(Clone, Debug)]
struct Source {
    kind: Kind,
    index: Option<usize>,
    default: String,
}

impl Source {
    fn new(kind: Kind, field: Option<&Field>) -> Self {
        Self {
            kind,
            index: field.and_then(|field| field.index),
            default: field.and_then(|field| field.default.clone()).unwrap_or_default(),
        }
    }

    #[inline]
    fn raw<'a>(&'a self, row: &Row<'a>) -> &'a str {
        match self.index.map(|index| row.field(index)) {
            Some("") | None => &self.default,
            Some(value) => value,
        }
    }
}

/// Writes the rows of one table.
#[derive(Clone, Debug)]
pub struct RecordWriter {
    table: TableKind,
    id_column: usize,
    splitter: Splitter,
    sources: Vec<Source>,
    last_interpreted: Source,
    /// Values that could not be read, by column in the order of the table's columns, then `last_interpreted`.
    unreadable: Vec<u64>,
    trust: Trust,
}

/// Which of the two tables is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// `occurrence.txt`.
    Occurrence,
    /// `multimedia.txt`.
    Multimedia,
}

impl TableKind {
    /// The columns that stand for themselves.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Occurrence => &OCCURRENCE_COLUMNS,
            Self::Multimedia => &MULTIMEDIA_COLUMNS,
        }
    }

    /// The column list of COPY, in the order in which values are written.
    pub fn copy_columns(self) -> String {
        let mut names = vec!["gbif_id".to_owned()];
        names.extend(self.columns().iter().map(Column::sql_name));
        if self == Self::Occurrence {
            names.extend(DERIVED_COLUMNS.map(str::to_owned));
            names.extend([LAST_INTERPRETED.sql_name(), "content_hash".to_owned()]);
        }
        names.join(", ")
    }
}

/// What the first rows say about the layout: columns that always hold the same kind of value, and do not, are shifted
/// (<https://github.com/gbif/portal-feedback/issues/6433>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Rows with a dataset key, and those among them whose key is a UUID.
    pub dataset_keys: (u64, u64),
    /// Rows with a basis of record, and those among them whose basis is an enum's name.
    pub bases: (u64, u64),
}

impl Trust {
    /// What is wrong with the layout, if anything is.
    pub fn problem(&self) -> Option<&'static str> {
        match (self.dataset_keys, self.bases) {
            ((1.., 0), _) => Some("no datasetKey of the first rows is a UUID"),
            (_, (1.., 0)) => Some("no basisOfRecord of the first rows is an enum's name"),
            _ => None,
        }
    }
}

impl RecordWriter {
    /// A writer for the rows of `table`.
    pub fn new(kind: TableKind, table: &Table, max_line_bytes: usize) -> Self {
        let columns = kind.columns();
        let fields = resolve(columns, table);
        Self {
            table: kind,
            id_column: table.id_column,
            splitter: Splitter::new(table.width(), max_line_bytes),
            sources: columns.iter().zip(fields).map(|(column, field)| Source::new(column.kind, field)).collect(),
            last_interpreted: Source::new(LAST_INTERPRETED.kind, LAST_INTERPRETED.find(table)),
            unreadable: vec![0; columns.len() + 1],
            trust: Trust::default(),
        }
    }

    /// Columns that could not be read at times, with how often, since this was last asked.
    pub fn take_unreadable(&mut self) -> Vec<(&'static str, u64)> {
        let names = self.table.columns().iter().map(|column| column.name).chain([LAST_INTERPRETED.name]);
        let counts = self.unreadable.iter_mut().map(std::mem::take);
        names.zip(counts).filter(|(_, count)| *count > 0).collect()
    }

    /// The longest line that is a row, in bytes.
    pub fn max_line_bytes(&self) -> usize {
        self.splitter.max_line_bytes()
    }

    /// What the rows so far say about the layout.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Appends the row of one line to `out`, which is left as it was when the row is malformed.
    pub fn write(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let row = self.splitter.split(line).map_err(Malformed::Line)?;
        // One of 1362 multimedia rows of a real archive of 2020 has a space after its number.
        let id = row.field(self.id_column).trim_ascii();
        // Nothing but digits: `parse` alone would take a sign.
        let gbif_id = match id.parse::<i64>() {
            Ok(gbif_id) if gbif_id > 0 && !id.starts_with('+') => gbif_id,
            _ => return Err(Malformed::GbifId(id.chars().take(40).collect())),
        };
        match self.table {
            TableKind::Occurrence => {
                let values = 1 + self.sources.len() + DERIVED_COLUMNS.len() + 2;
                copy_binary::row(out, values as u16);
                let start = out.len();
                copy_binary::bigint(out, gbif_id);
                let mut derived = Derived::default();
                for (at, source) in self.sources.iter().enumerate() {
                    if !value(source.kind, source.raw(&row), out, &mut derived, &mut self.trust)
                        && let Some(count) = self.unreadable.get_mut(at)
                    {
                        *count += 1;
                    }
                }
                derived.write(out);
                let hash = xxh3_128(out.get(start..).unwrap_or_default());
                let text = self.last_interpreted.raw(&row);
                if !instant(text, out)
                    && let Some(count) = self.unreadable.last_mut()
                {
                    *count += 1;
                }
                copy_binary::uuid(out, hash.to_be_bytes());
            }
            TableKind::Multimedia => {
                copy_binary::row(out, 1 + self.sources.len() as u16);
                copy_binary::bigint(out, gbif_id);
                for source in &self.sources {
                    copy_binary::text(out, &unquote(source.raw(&row)));
                }
            }
        }
        Ok(())
    }
}

/// What is derived from several values of a row.
#[derive(Default)]
struct Derived {
    dates: Option<(i64, i64)>,
    dataset_key: Option<Uuid>,
    inaturalist_id: Option<i64>,
    producer_uuid: Option<Uuid>,
}

impl Derived {
    fn write(&self, out: &mut Vec<u8>) {
        match self.dates {
            Some((first, last)) => {
                copy_binary::timestamp(out, first);
                copy_binary::timestamp(out, last);
            }
            None => {
                copy_binary::null(out);
                copy_binary::null(out);
            }
        }
        read(self.inaturalist_id, out, copy_binary::bigint);
        read(self.producer_uuid, out, |out, uuid| copy_binary::uuid(out, uuid.into_bytes()));
    }
}

/// Writes one value and says whether it could be read. The dataset's key stands before the catalogue number in
/// [`OCCURRENCE_COLUMNS`], which a test holds.
#[inline]
fn value(kind: Kind, raw: &str, out: &mut Vec<u8>, derived: &mut Derived, trust: &mut Trust) -> bool {
    if raw.is_empty() {
        copy_binary::null(out);
        return true;
    }
    match kind {
        Kind::Text => copy_binary::text(out, &unquote(raw)),
        Kind::EventDate => {
            derived.dates = event_date::range(raw);
            copy_binary::text(out, &unquote(raw));
            return derived.dates.is_some();
        }
        Kind::CatalogNumber => {
            derived.inaturalist_id = derived.dataset_key.and_then(|dataset| identifiers::inaturalist_id(dataset, raw));
            copy_binary::text(out, &unquote(raw));
        }
        Kind::OccurrenceId => {
            derived.producer_uuid = identifiers::producer_uuid(raw);
            copy_binary::text(out, &unquote(raw));
        }
        Kind::BasisOfRecord => {
            trust.bases.0 += 1;
            trust.bases.1 += u64::from(raw.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
            copy_binary::text(out, &unquote(raw));
        }
        Kind::DatasetKey => {
            derived.dataset_key = identifiers::hyphenated(raw);
            trust.dataset_keys.0 += 1;
            trust.dataset_keys.1 += u64::from(derived.dataset_key.is_some());
            return read(derived.dataset_key, out, |out, key| copy_binary::uuid(out, key.into_bytes()));
        }
        Kind::Integer => return read(raw.parse().ok(), out, copy_binary::integer),
        Kind::Double => {
            return read(raw.parse().ok().filter(|number: &f64| number.is_finite()), out, copy_binary::double);
        }
        Kind::Timestamp => return instant(raw, out),
    }
    true
}

#[inline]
fn instant(raw: &str, out: &mut Vec<u8>) -> bool {
    if raw.is_empty() {
        copy_binary::null(out);
        return true;
    }
    read(event_date::instant(raw), out, copy_binary::timestamp)
}

#[inline]
fn read<T>(value: Option<T>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>, T)) -> bool {
    match value {
        Some(value) => {
            write(out, value);
            true
        }
        None => {
            copy_binary::null(out);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(index: usize, column: Column) -> Field {
        let namespace = match column.vocabulary {
            crate::columns::Vocabulary::DarwinCore => "http://rs.tdwg.org/dwc/terms/",
            crate::columns::Vocabulary::DublinCore => "http://purl.org/dc/terms/",
            crate::columns::Vocabulary::Gbif => "http://rs.gbif.org/terms/1.0/",
        };
        let term = format!("{namespace}{}", column.term);
        Field { term, index: Some(index), default: None, delimited_by: None }
    }

    /// A table of gbifID and the named columns.
    fn writer(names: &[&str]) -> RecordWriter {
        let mut fields = vec![field(0, crate::columns::GBIF_ID)];
        for name in names {
            let column = OCCURRENCE_COLUMNS.iter().chain([&LAST_INTERPRETED]).find(|column| column.name == *name);
            fields.extend(column.map(|column| field(fields.len(), *column)));
        }
        let table = Table {
            location: "occurrence.txt".to_owned(),
            row_type: passereau_dwca::OCCURRENCE.to_owned(),
            id_column: 0,
            header_lines: 0,
            fields,
        };
        RecordWriter::new(TableKind::Occurrence, &table, 1 << 20)
    }

    fn hash(writer: &mut RecordWriter, line: &str) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        writer.write(line.as_bytes(), &mut out)?;
        Ok(out.split_off(out.len() - 16))
    }

    #[test]
    fn the_content_hash_forgets_only_when_it_was_interpreted() -> Result<(), Malformed> {
        let mut writer = writer(&["sex", "life_stage", "last_interpreted"]);
        let first = hash(&mut writer, "1\tMale\tAdult\t2020-07-09T05:44:15.414Z")?;
        assert_eq!(first, hash(&mut writer, "1\tMale\tAdult\t2026-01-01T00:00:00Z")?);
        assert_eq!(first, hash(&mut writer, "1\tMale\tAdult\t")?);
        for other in ["1\tMale\tadult\t", "1\tMaleA\tdult\t", "1\tMale\t\t", "1\t\tMale\t", "2\tMale\tAdult\t"] {
            assert_ne!(first, hash(&mut writer, other)?, "{other}");
        }
        Ok(())
    }

    #[test]
    fn the_content_hash_is_the_same_for_ever() -> Result<(), Malformed> {
        let hash = hash(&mut writer(&["sex", "event_date"]), "5006733106\tMale\t2010-05")?;
        // A new value here makes every record of every subscription look changed at the next harvest.
        assert_eq!(Uuid::from_slice(&hash).ok(), Uuid::try_parse("a71cb0c2-9cd2-baca-6062-a2acb39b461b").ok());
        Ok(())
    }

    #[test]
    fn unreadable_values_are_counted_and_the_row_stays() -> Result<(), Malformed> {
        let mut writer = writer(&["individual_count", "decimal_latitude", "event_date", "dataset_key", "modified"]);
        let mut out = Vec::new();
        for line in ["1\t99999999999\tNaN\tsummer\tx\tyesterday", "2\t3\t1.0E-5\t2010\t\t", "3\t2.0\tInfinity\t\t\t"] {
            writer.write(line.as_bytes(), &mut out)?;
        }
        let mut counts = writer.take_unreadable();
        counts.sort_unstable();
        assert_eq!(
            counts,
            [("dataset_key", 1), ("decimal_latitude", 2), ("event_date", 1), ("individual_count", 2), ("modified", 1)]
        );
        assert_eq!(writer.take_unreadable(), []);
        assert_eq!(writer.trust().problem(), Some("no datasetKey of the first rows is a UUID"));
        Ok(())
    }

    #[test]
    fn rows_without_a_number_are_malformed_and_leave_nothing() {
        let mut writer = writer(&["sex"]);
        let mut out = Vec::new();
        for line in
            ["\tMale", "0\tMale", "-1\tMale", "+1\tMale", "1.0\tMale", "99999999999999999999\tMale", "1 1\tMale"]
        {
            assert!(matches!(writer.write(line.as_bytes(), &mut out), Err(Malformed::GbifId(_))), "{line}");
        }
        assert!(matches!(writer.write(b"1", &mut out), Err(Malformed::Line(LineProblem::Width { .. }))));
        assert!(out.is_empty());
    }

    #[test]
    fn the_dataset_is_read_before_the_catalogue_number() {
        let at = |name: &str| OCCURRENCE_COLUMNS.iter().position(|column| column.name == name);
        assert!(at("dataset_key") < at("catalog_number"));
    }
}
