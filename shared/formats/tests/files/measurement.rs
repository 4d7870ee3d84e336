//! Speed and memory, each format in a process of its own:
//! `cargo test --release -p passereau-formats --test files -- --ignored --exact --nocapture measurement::csv`.

use std::time::Instant;

use passereau_formats::{CsvOptions, Format, Kind, Row, open};

use crate::sample::{layer, point, polygon};

const ROWS: u32 = 1_000_000;
/// What GeoNature's export is like: texts for the most part, some numbers, two dates.
const COLUMNS: usize = 40;

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

fn measure(format: Format) {
    let names: Vec<String> = (0..COLUMNS).map(|index| format!("colonne_{index}")).collect();
    let kind = |index: usize| match index {
        0..=3 => Kind::Integer,
        4..=5 => Kind::Real,
        6..=7 => Kind::DateTime,
        _ => Kind::Text,
    };
    let columns: Vec<(&str, Kind)> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), kind(index))).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("flow.{format}"));
    let mut writer = open(format, &path, &layer(&columns), &CsvOptions::default()).unwrap();
    let before_mib = peak_mib();
    let started = Instant::now();
    for number in 0..ROWS {
        let id = format!("5f1d0a3e-0000-4000-8000-{number:012}");
        let count = number.to_string();
        // Over France and not in order, as rows of a synthèse come.
        let (x, y) =
            (f64::from(number * 7919 % 130_003) / 1e4 - 4.0, f64::from(number * 104_729 % 90_001) / 1e4 + 42.0);
        let place = if number % 10 == 0 {
            polygon(&[(x, y), (x + 0.1, y), (x + 0.1, y + 0.1), (x, y + 0.1), (x, y)])
        } else {
            point(x, y)
        };
        let values: [Option<&str>; COLUMNS] = std::array::from_fn(|index| match index {
            0..=3 => Some(count.as_str()),
            4..=5 => Some("12.5"),
            6..=7 => Some("2026-11-29 10:00:00"),
            8 => Some(id.as_str()),
            _ if index % 4 == 0 => None,
            _ if index % 2 == 0 => Some("Non renseigné"),
            _ => Some("Fringilla coelebs Linnaeus, 1758"),
        });
        writer.row(&Row { id: Some(&id), geometry: Some(&place), values: &values }).unwrap();
    }
    let rows = writer.finish().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let mib = path.metadata().unwrap().len() >> 20;
    println!(
        "{format}: {rows} rows × {COLUMNS} columns in {seconds:.1} s, {:.0} rows/s, {mib} MiB, peak memory {} MiB ({before_mib} MiB before the first row)",
        f64::from(ROWS) / seconds,
        peak_mib(),
    );
}

#[test]
#[ignore = "a measurement"]
fn csv() {
    measure(Format::Csv);
}

#[test]
#[ignore = "a measurement"]
fn json() {
    measure(Format::Json);
}

#[test]
#[ignore = "a measurement"]
fn geojson() {
    measure(Format::GeoJson);
}

#[test]
#[ignore = "a measurement"]
fn geojsonl() {
    measure(Format::GeoJsonSeq);
}

#[test]
#[ignore = "a measurement"]
fn gpkg() {
    measure(Format::GeoPackage);
}
