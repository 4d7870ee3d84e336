//! Rows of occurrence.txt as COPY's bytes. Input: lines of values in the order of the columns; a line that has too few is filled
//! up, unless it begins with `!`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use passereau_dwca::{Field, OCCURRENCE, Table};
use passereau_record::columns::{Column, DERIVED_COLUMNS, GBIF_ID, LAST_INTERPRETED, OCCURRENCE_COLUMNS, Vocabulary};
use passereau_record::{RecordWriter, TableKind};

const LONGEST_LINE: usize = 11 << 20;

fn table() -> Table {
    let namespace = |vocabulary| match vocabulary {
        Vocabulary::DarwinCore => "http://rs.tdwg.org/dwc/terms/",
        Vocabulary::DublinCore => "http://purl.org/dc/terms/",
        Vocabulary::Gbif => "http://rs.gbif.org/terms/1.0/",
    };
    let field = |(index, column): (usize, &Column)| Field {
        term: format!("{}{}", namespace(column.vocabulary), column.term),
        index: Some(index),
        default: None,
        delimited_by: None,
    };
    let columns = [&GBIF_ID].into_iter().chain(&OCCURRENCE_COLUMNS).chain([&LAST_INTERPRETED]);
    Table {
        location: "occurrence.txt".to_owned(),
        row_type: OCCURRENCE.to_owned(),
        id_column: 0,
        header_lines: 0,
        fields: columns.enumerate().map(field).collect(),
    }
}

/// The values of one row of COPY's binary format, which it must fill to the last byte.
fn values(row: &[u8]) -> Vec<Option<&[u8]>> {
    let (count, mut rest) = row.split_at(2);
    let count = u16::from_be_bytes([count[0], count[1]]);
    let mut all = Vec::new();
    for _ in 0..count {
        let (length, after) = rest.split_at(4);
        match i32::from_be_bytes([length[0], length[1], length[2], length[3]]) {
            -1 => {
                all.push(None);
                rest = after;
            }
            length => {
                let (value, after) = after.split_at(usize::try_from(length).expect("a length"));
                all.push(Some(value));
                rest = after;
            }
        }
    }
    assert!(rest.is_empty(), "bytes are left behind a row");
    all
}

fn check(row: &[u8], line: &[u8]) {
    let values = values(row);
    assert_eq!(values.len(), 1 + OCCURRENCE_COLUMNS.len() + DERIVED_COLUMNS.len() + 2);
    assert!(values[0].is_some_and(|id| i64::from_be_bytes(id.try_into().expect("a bigint")) > 0));
    for (column, value) in OCCURRENCE_COLUMNS.iter().zip(&values[1..]) {
        use passereau_record::columns::Kind;
        let Some(value) = value else { continue };
        match column.kind {
            Kind::Double => {
                let number = f64::from_be_bytes((*value).try_into().expect("a double"));
                assert!(number.is_finite(), "{} is {number}", column.name);
            }
            Kind::Integer => assert_eq!(value.len(), 4),
            Kind::Timestamp => assert_eq!(value.len(), 8),
            Kind::DatasetKey => assert_eq!(value.len(), 16),
            _ => {
                let text = std::str::from_utf8(value).expect("UTF-8");
                assert!(!text.is_empty() && !text.contains(['\0', '\t', '\n']));
            }
        }
    }
    let [start, end, ..] = values[1 + OCCURRENCE_COLUMNS.len()..] else { panic!("two dates are missing") };
    let moment = |value: Option<&[u8]>| value.map(|value| i64::from_be_bytes(value.try_into().expect("a timestamp")));
    assert!(moment(start) <= moment(end));
    // Fixed values may be longer than their text, by some bytes each.
    assert!(row.len() <= line.len() + 20 * values.len(), "{} bytes of {}", row.len(), line.len());
}

fuzz_target!(|data: &[u8]| {
    let table = table();
    let mut writer = RecordWriter::new(TableKind::Occurrence, &table, LONGEST_LINE);
    let mut out = Vec::new();
    let (mut read, mut rows, mut malformed) = (0, 0, 0);
    for line in data.split(|byte| *byte == b'\n').take(100) {
        let tabs = line.iter().filter(|byte| **byte == b'\t').count();
        let mut line = line.to_vec();
        match line.first() {
            Some(b'!') => drop(line.remove(0)),
            _ => line.extend(std::iter::repeat_n(b'\t', (table.width() - 1).saturating_sub(tabs))),
        }
        read += 1;
        let before = out.len();
        match writer.write(&line, &mut out) {
            Ok(()) => {
                rows += 1;
                check(&out[before..], &line);
                let first = out.split_off(before);
                // Another interpretation of the same content has the same hash, which is the last value.
                let cut = line.iter().rposition(|byte| *byte == b'\t').expect("a tab");
                let mut other = line[..=cut].to_vec();
                other.extend_from_slice(b"2026-01-01T00:00:00Z");
                if other.len() <= LONGEST_LINE {
                    writer.write(&other, &mut out).expect("as good a row");
                    assert_eq!(first[first.len() - 16..], out[out.len() - 16..]);
                }
                out.clear();
            }
            Err(problem) => {
                malformed += 1;
                assert_eq!(out.len(), before, "a malformed row left bytes behind");
                assert!(problem.to_string().len() < 400, "the reason quotes too much");
            }
        }
    }
    assert_eq!(read, rows + malformed);
    for (column, unreadable) in writer.take_unreadable() {
        assert!(unreadable <= 2 * rows, "{column}");
    }
});
