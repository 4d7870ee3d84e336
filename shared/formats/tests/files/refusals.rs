//! What is refused, in every format alike.

use std::path::PathBuf;

use passereau_formats::{CsvOptions, Format, FormatError, Kind, Row, open};

use proptest::prelude::*;

use crate::sample::{self, KINDS, Owned, layer, point, polygon};

fn file(format: Format) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("flow.{format}"));
    (folder, path)
}

#[test]
fn a_value_that_is_not_of_its_kind_is_told_by_column_and_row_and_kept_to_itself() {
    for format in Format::ALL {
        for (kind, good, bad) in [
            (Kind::Integer, "12", "douze"),
            (Kind::Integer, "-1", "9223372036854775808"),
            (Kind::Real, "1e-7", "NaN"),
            (Kind::Real, "0.5", "-Infinity"),
            (Kind::Boolean, "t", "oui"),
            (Kind::Date, "2026-11-29", "0044-03-15 BC"),
            (Kind::Time, "10:00:00", "10h"),
            (Kind::DateTime, "2026-11-29 10:00:00+01", "infinity"),
            (Kind::Json, "[1]", "[1"),
        ] {
            let (_folder, path) = file(format);
            let row = |text: &str| Owned { values: vec![None, Some(text.to_owned())], ..Owned::default() };
            let layer = layer(&[("a", Kind::Text), ("precision", kind)]);
            let error = sample::write(format, &path, &layer, &[row(good), row(bad)]).unwrap_err();
            assert!(
                matches!(&error, FormatError::Value { row: 2, column, .. } if column == "precision"),
                "{format}: {error}"
            );
            let told = format!("column `precision` of row 2 of {} holds what is no {kind}; ", path.display());
            assert!(error.to_string().starts_with(&told), "{error}");
            assert!(!format!("{error:?}").contains(&format!("{bad:?}")), "{error:?}");
        }
    }
}

#[test]
fn a_malformed_geometry_is_refused_without_its_coordinates() {
    for format in Format::ALL {
        let whole = point(2.123_456, 48.654_321);
        for (wkb, reason) in [
            (&whole[..20], "is malformed WKB: it ends too early"),
            (b"rubbish", "is malformed WKB: it begins with no byte order"),
            (&[1, 4, 0, 0, 0, 255, 255, 255, 255], "is malformed WKB: it ends too early"),
        ] {
            let (_folder, path) = file(format);
            let mut writer = open(format, &path, &layer(&[]), &CsvOptions::default()).unwrap();
            let error = writer.row(&Row { id: None, geometry: Some(wkb), values: &[] }).unwrap_err();
            assert!(error.to_string().contains(reason), "{format}: {error}");
            assert!(!error.to_string().contains("48.6"), "{error}");
        }
    }
}

#[test]
fn a_row_of_another_width_is_refused() {
    for format in Format::ALL {
        let (_folder, path) = file(format);
        let mut writer = open(format, &path, &layer(&[("a", Kind::Text)]), &CsvOptions::default()).unwrap();
        let error = writer.row(&Row { id: None, geometry: None, values: &[None, None] }).unwrap_err();
        assert!(matches!(error, FormatError::Width { row: 1, expected: 1, found: 2, .. }), "{format}: {error}");
    }
}

#[test]
fn after_an_error_a_file_cannot_be_finished() {
    for format in Format::ALL {
        let (_folder, path) = file(format);
        let mut writer = open(format, &path, &layer(&[("a", Kind::Integer)]), &CsvOptions::default()).unwrap();
        let row = |text| writer.row(&Row { id: None, geometry: None, values: &[Some(text)] });
        let results = ["1", "one", "2"].map(row);
        assert!(results[0].is_ok(), "{format}");
        assert!(matches!(results[1], Err(FormatError::Value { .. })), "{format}");
        assert!(matches!(results[2], Err(FormatError::Incomplete { .. })), "{format}");
        assert!(matches!(writer.finish(), Err(FormatError::Incomplete { .. })), "{format}");
        // Nor do its bytes look finished.
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.ends_with(b"]\n") && !bytes.ends_with(b"]}\n"), "{format}");
        if format == Format::GeoPackage {
            let database = rusqlite::Connection::open(&path).unwrap();
            assert!(database.query_row("SELECT count(*) FROM observations", [], |row| row.get::<_, i64>(0)).is_err());
        }
    }
}

#[test]
fn a_path_that_cannot_be_made_is_named() {
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("flow");
        let Err(error) = open(format, &path, &layer(&[]), &CsvOptions::default()) else { panic!("{format} was made") };
        assert!(error.to_string().starts_with(&format!("creating {} failed", path.display())), "{error}");
    }
}

#[test]
fn what_the_path_held_is_gone() {
    for format in Format::ALL {
        let (_folder, path) = file(format);
        let (layer, rows) = (sample::observations(), sample::rows(3));
        sample::write(format, &path, &layer, &rows).unwrap();
        let once = std::fs::read(&path).unwrap();
        std::fs::write(&path, "what was there before".repeat(100_000)).unwrap();
        sample::write(format, &path, &layer, &rows).unwrap();
        assert!(std::fs::read(&path).unwrap() == once, "{format}");
    }
}

/// Texts that are nearly of some kind, and bytes that are nearly a geometry.
fn nearly() -> impl Strategy<Value = (String, Option<Vec<u8>>)> {
    let text = prop_oneof![
        any::<String>(),
        "[-+]?[0-9]{0,21}(\\.[0-9]{0,3})?(e[-+]?[0-9]{0,3})?",
        "[0-9]{4}-[01][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,10})?([-+Z][0-9:]{0,8})?)?( BC)?",
        "[0-2][0-9]:[0-5][0-9]:[0-6][0-9]",
        "[\\[\\]{},:\"a0tn]{0,8}",
        prop::sample::select(vec!["t", "f", "true", "false", "NaN", "infinity", "null", "9999-12-31 23:59:59-01"])
            .prop_map(str::to_owned),
    ];
    let whole =
        prop_oneof![Just(point(2.0, 48.0)), Just(polygon(&[(2.0, 48.0), (3.0, 48.0), (3.0, 49.0), (2.0, 48.0)]))];
    let mutated =
        (whole, any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(|(mut wkb, at, byte, cut)| {
            let at = at.index(wkb.len());
            wkb[at] = byte;
            if cut {
                wkb.truncate(at);
            }
            wkb
        });
    (text, prop::option::of(mutated))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_row_is_accepted_by_every_format_or_by_none((text, geometry) in nearly()) {
        for kind in KINDS {
            let results = Format::ALL.map(|format| {
                let (_folder, path) = file(format);
                let row = Owned { id: None, geometry: geometry.clone(), values: vec![Some(text.clone())] };
                let result = sample::write(format, &path, &layer(&[("a", kind)]), &[row]);
                if result.is_ok() && matches!(format, Format::Json | Format::GeoJson | Format::GeoJsonSeq) {
                    // The grammar alone: numbers within a document may be larger than a double.
                    serde_json::from_slice::<serde::de::IgnoredAny>(&std::fs::read(&path).unwrap()).unwrap();
                }
                result.is_ok()
            });
            prop_assert!(results.iter().all(|result| *result == results[0]), "{:?} {:?}", kind, results);
        }
    }
}
