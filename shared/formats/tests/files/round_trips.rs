//! What was written is read back by other programs, and is the same each time.

use passereau_formats::{Column, CsvOptions, Format, Formulas, Kind, Row, open_table};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::sample::{self, KINDS, Owned, layer, point, polygon};

/// A value of a kind as PostgreSQL writes it, and as JSON has it.
fn value(kind: Kind) -> BoxedStrategy<(String, Value)> {
    match kind {
        Kind::Text => any::<String>().prop_map(|text| (text.clone(), json!(text))).boxed(),
        Kind::Integer => any::<i64>().prop_map(|number| (number.to_string(), json!(number))).boxed(),
        Kind::Real => (-1e9..1e9_f64)
            .prop_map(|number| (number.to_string(), serde_json::from_str(&number.to_string()).unwrap()))
            .boxed(),
        Kind::Boolean => any::<bool>().prop_map(|is| (is.to_string(), json!(is))).boxed(),
        Kind::Date => date().prop_map(|date| (date.clone(), json!(date))).boxed(),
        Kind::Time => time().prop_map(|time| (time.clone(), json!(time))).boxed(),
        Kind::DateTime => (date(), time())
            .prop_map(|(date, time)| (format!("{date} {time}"), json!(format!("{date}T{time}"))))
            .boxed(),
        Kind::Json => (any::<String>(), any::<i32>(), any::<bool>())
            .prop_map(|(text, number, pretty)| {
                let document = json!({"texte": text, "liste": [number, null, {"é": true}]});
                let text =
                    if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
                (text.unwrap(), document)
            })
            .boxed(),
    }
}

fn date() -> impl Strategy<Value = String> {
    (1..=9999_u32, 1..=12_u32, 1..=28_u32).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
}

fn time() -> impl Strategy<Value = String> {
    (0..24_u32, 0..60_u32, 0..60_u32).prop_map(|(hour, minute, second)| format!("{hour:02}:{minute:02}:{second:02}"))
}

/// Columns of all kinds, and rows for them with what JSON makes of each value.
fn table() -> impl Strategy<Value = Vec<Vec<Option<(String, Value)>>>> {
    prop::collection::vec(KINDS.map(|kind| prop::option::of(value(kind))).to_vec(), 0..8)
}

fn rows(table: &[Vec<Option<(String, Value)>>]) -> Vec<Owned> {
    let row = |(index, values): (usize, &Vec<Option<(String, Value)>>)| Owned {
        id: (index % 2 == 0).then(|| format!("\"{index}\"")),
        geometry: (index % 3 != 0).then(|| point(2.0, 48.0)),
        values: values.iter().map(|value| value.as_ref().map(|(text, _)| text.clone())).collect(),
    };
    table.iter().enumerate().map(row).collect()
}

fn written(format: Format, options: &CsvOptions, rows: &[Owned]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow");
    let count = sample::write_csv(format, &path, &sample::observations(), options, rows).unwrap();
    assert_eq!(count, rows.len() as u64);
    std::fs::read(path).unwrap()
}

fn json(format: Format, rows: &[Owned]) -> Value {
    serde_json::from_slice(&written(format, &CsvOptions::default(), rows)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn csv_is_read_back(table in table(), separator in prop::sample::select(b";,|\t".to_vec())) {
        let rows = rows(&table);
        let options = CsvOptions { separator, byte_order_mark: false, formulas: Formulas::AsIs };
        let bytes = written(Format::Csv, &options, &rows);
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).terminator(csv::Terminator::CRLF).from_reader(&bytes[..]);
        let names = ["nom_cite", "cd_nom", "precision", "sensible", "date_jour", "heure", "date_debut", "champs", "geom"];
        prop_assert_eq!(reader.headers().unwrap(), &names[..]);
        let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), rows.len());
        for (record, (index, row)) in read.iter().zip(rows.iter().enumerate()) {
            for (column, cell) in row.values.iter().enumerate() {
                let cell = cell.clone().unwrap_or_default();
                let expected = if KINDS[column] == Kind::DateTime { cell.replace(' ', "T") } else { cell };
                prop_assert_eq!(&record[column], expected);
            }
            prop_assert_eq!(&record[8], if index % 3 == 0 { "" } else { "POINT(2 48)" });
        }
    }

    #[test]
    fn a_guarded_csv_begins_no_cell_with_a_formula(text in "[-=+@\t\r]{0,2}[-0-9a.=]{0,4}") {
        let row = Owned { values: [Some(text.clone()), None, None, None, None, None, None, None].to_vec(), ..Owned::default() };
        let bytes = written(Format::Csv, &CsvOptions::default(), &[row]);
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').terminator(csv::Terminator::CRLF).from_reader(&bytes[..]);
        let record = reader.records().next().unwrap().unwrap();
        let cell = &record[0];
        prop_assert!(cell == text || cell.strip_prefix('\'') == Some(text.as_str()));
        prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']) || cell.parse::<f64>().is_ok(), "{}", cell);
    }

    #[test]
    fn json_is_read_back(table in table()) {
        let rows = rows(&table);
        let (array, collection) = (json(Format::Json, &rows), json(Format::GeoJson, &rows));
        let lines = String::from_utf8(written(Format::GeoJsonSeq, &CsvOptions::default(), &rows)).unwrap();
        let lines: Vec<Value> = lines.split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(&collection["features"], &json!(lines));
        prop_assert_eq!(collection.as_object().unwrap().keys().collect::<Vec<_>>(), ["features", "type"]);
        prop_assert_eq!(array.as_array().unwrap().len(), table.len());
        for (index, values) in table.iter().enumerate() {
            let (object, feature) = (&array[index], &lines[index]);
            for (column, value) in sample::observations().columns.iter().zip(values) {
                let expected = value.as_ref().map_or(Value::Null, |(_, json)| json.clone());
                prop_assert_eq!(object.get(&column.name), Some(&expected));
                prop_assert_eq!(feature["properties"].get(&column.name), Some(&expected));
            }
            let id = if index % 2 == 0 { json!(format!("\"{index}\"")) } else { Value::Null };
            prop_assert_eq!(&feature["id"], &id);
            let place = index % 3 != 0;
            prop_assert_eq!(&object["geom"], &if place { json!("POINT(2 48)") } else { Value::Null });
            prop_assert_eq!(feature.get("geometry"), Some(&if place { json!({"type": "Point", "coordinates": [2, 48]}) } else { Value::Null }));
        }
    }
}

#[test]
fn the_same_rows_make_the_same_bytes() {
    let rows = sample::rows(20_000);
    for format in Format::ALL {
        let once = written(format, &CsvOptions::default(), &rows);
        assert!(once == written(format, &CsvOptions::default(), &rows), "{format}");
    }
}

#[test]
fn a_csv_is_as_rfc_4180_has_it() {
    let row =
        |text: &str| Owned { values: vec![Some(text.to_owned()), None], geometry: Some(point(2.5, 48.0)), id: None };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.csv");
    let layer = layer(&[("nom;cité", Kind::Text), ("n", Kind::Integer)]);
    let rows = [row("Pinson"), row("a;b"), row("dit \"le\" Pinson"), row("=1+1"), row("-12"), row("a\nb")];
    let text = |options: &CsvOptions| {
        sample::write_csv(Format::Csv, &path, &layer, options, &rows).unwrap();
        std::fs::read_to_string(&path).unwrap()
    };
    let plain = "\"nom;cité\";n;geom\r\nPinson;;POINT(2.5 48)\r\n\"a;b\";;POINT(2.5 48)\r\n\"dit \"\"le\"\" Pinson\";;POINT(2.5 48)\r\n'=1+1;;POINT(2.5 48)\r\n-12;;POINT(2.5 48)\r\n\"a\nb\";;POINT(2.5 48)\r\n";
    assert_eq!(text(&CsvOptions::default()), plain);
    let as_is = CsvOptions { byte_order_mark: true, formulas: Formulas::AsIs, ..CsvOptions::default() };
    assert_eq!(text(&as_is), format!("\u{feff}{}", plain.replace("'=", "=")));
}

#[test]
fn a_guard_stands_before_texts_only() {
    let layer = layer(&[("a", Kind::Integer), ("b", Kind::Json)]);
    let row = Owned { values: vec![Some("-1".to_owned()), Some("-1".to_owned())], ..Owned::default() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.csv");
    sample::write(Format::Csv, &path, &layer, &[row]).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a;b;geom\r\n-1;-1;\r\n");
}

#[test]
fn rings_follow_the_right_hand_rule_and_empty_geometries_are_null() {
    let clockwise = polygon(&[(2.0, 48.0), (2.0, 49.0), (3.0, 48.0), (2.0, 48.0)]);
    let none = vec![None; KINDS.len()];
    let row = |wkb| Owned { id: None, geometry: Some(wkb), values: none.clone() };
    let features =
        json(Format::GeoJson, &[row(clockwise.clone()), row(polygon(&[])), row(vec![1, 3, 0, 0, 0, 0, 0, 0, 0])]);
    let ring = &features["features"][0]["geometry"]["coordinates"][0];
    assert_eq!(ring, &json!([[2, 48], [3, 48], [2, 49], [2, 48]]));
    assert_eq!(features["features"][1].get("geometry"), Some(&Value::Null));
    assert_eq!(features["features"][2].get("geometry"), Some(&Value::Null));
    // Well-known text keeps the order of the database.
    assert_eq!(json(Format::Json, &[row(clockwise)])[0]["geom"], "POLYGON((2 48,2 49,3 48,2 48))");
}

#[test]
fn no_digit_of_a_number_is_lost() {
    let layer = layer(&[("a", Kind::Real), ("b", Kind::Integer)]);
    let exact = ["12345678901234567890.123456789012345", "9223372036854775807"];
    let row = Owned { values: exact.map(|text| Some(text.to_owned())).to_vec(), ..Owned::default() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.json");
    sample::write(Format::Json, &path, &layer, &[row]).unwrap();
    let expected = format!("[\n{{\"a\":{},\"b\":{},\"geom\":null}}\n]\n", exact[0], exact[1]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn an_empty_file_is_still_one() {
    assert_eq!(json(Format::Json, &[]), json!([]));
    assert_eq!(json(Format::GeoJson, &[]), json!({"type": "FeatureCollection", "features": []}));
    assert!(written(Format::GeoJsonSeq, &CsvOptions::default(), &[]).is_empty());
}

#[test]
fn a_table_beside_a_layer_has_the_options_of_its_csv_and_no_geometry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statuses");
    let column = |name: &str| Column { name: name.to_owned(), kind: Kind::Text, definition: String::new() };
    let options = CsvOptions { separator: b'|', byte_order_mark: true, formulas: Formulas::Guard };
    let mut table = open_table(&path, &[column("a"), column("b")], &options).unwrap();
    table.row(&Row { id: None, geometry: None, values: &[Some("=1+1"), None] }).unwrap();
    assert_eq!(table.finish().unwrap(), 1);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "\u{feff}a|b\r\n'=1+1|\r\n");
}
