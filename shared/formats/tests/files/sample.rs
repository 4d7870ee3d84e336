//! A layer with a column of each kind, rows for it, and the geometries in them.

use std::path::Path;

use chrono::{TimeZone, Utc};
use passereau_formats::{Column, CsvOptions, Format, FormatError, Kind, Layer, Row, open};

pub const KINDS: [Kind; 8] =
    [Kind::Text, Kind::Integer, Kind::Real, Kind::Boolean, Kind::Date, Kind::Time, Kind::DateTime, Kind::Json];

/// A row that owns what it holds.
#[derive(Clone, Debug, Default)]
pub struct Owned {
    pub id: Option<String>,
    pub geometry: Option<Vec<u8>>,
    pub values: Vec<Option<String>>,
}

pub fn layer(columns: &[(&str, Kind)]) -> Layer {
    let column = |(name, kind): &(&str, Kind)| Column {
        name: (*name).to_owned(),
        kind: *kind,
        definition: format!("Définition de {name}"),
    };
    Layer {
        name: "observations".to_owned(),
        description: "Observations de l'atlas".to_owned(),
        columns: columns.iter().map(column).collect(),
        geometry_column: "geom".to_owned(),
        made_at: Utc.with_ymd_and_hms(2026, 11, 29, 10, 0, 0).unwrap(),
    }
}

/// A column of each kind.
pub fn observations() -> Layer {
    layer(&[
        ("nom_cite", Kind::Text),
        ("cd_nom", Kind::Integer),
        ("precision", Kind::Real),
        ("sensible", Kind::Boolean),
        ("date_jour", Kind::Date),
        ("heure", Kind::Time),
        ("date_debut", Kind::DateTime),
        ("champs", Kind::Json),
    ])
}

/// Points for the most part, every third row a polygon, every seventh without a place.
pub fn rows(count: usize) -> Vec<Owned> {
    (0..count)
        .map(|number| {
            let step = f64::from(u32::try_from(number).unwrap());
            let (x, y) = (2.0 + step / 1e4, 48.0 + step / 2e4);
            let geometry = match number {
                number if number % 7 == 6 => None,
                number if number % 3 == 2 => Some(polygon(&[(x, y), (x, y + 0.1), (x + 0.1, y), (x, y)])),
                _ => Some(point(x, y)),
            };
            let values = [
                Some(format!("Pinson \"des; arbres\"\n{number}")),
                Some(format!("{}", 4_000 + number)),
                Some(format!("{}.50", number % 90)),
                Some(if number % 2 == 0 { "true" } else { "f" }.to_owned()),
                Some("2026-11-29".to_owned()),
                Some("10:00:00".to_owned()),
                (number % 5 != 0).then(|| "2026-11-29 10:00:00".to_owned()),
                Some(format!("{{\"n\": [{number}, null]}}")),
            ];
            Owned { id: Some(format!("urn:uuid:{number}")), geometry, values: values.to_vec() }
        })
        .collect()
}

pub fn write(format: Format, path: &Path, layer: &Layer, rows: &[Owned]) -> Result<u64, FormatError> {
    write_csv(format, path, layer, &CsvOptions::default(), rows)
}

pub fn write_csv(
    format: Format,
    path: &Path,
    layer: &Layer,
    options: &CsvOptions,
    rows: &[Owned],
) -> Result<u64, FormatError> {
    let mut writer = open(format, path, layer, options)?;
    for row in rows {
        let values: Vec<Option<&str>> = row.values.iter().map(Option::as_deref).collect();
        writer.row(&Row { id: row.id.as_deref(), geometry: row.geometry.as_deref(), values: &values })?;
    }
    writer.finish()
}

/// EWKB, as PostGIS gives it.
pub fn point(x: f64, y: f64) -> Vec<u8> {
    let mut wkb = vec![1];
    wkb.extend_from_slice(&0x2000_0001_u32.to_le_bytes());
    wkb.extend_from_slice(&4326_u32.to_le_bytes());
    wkb.extend_from_slice(&[x.to_le_bytes(), y.to_le_bytes()].concat());
    wkb
}

/// ISO WKB.
pub fn polygon(ring: &[(f64, f64)]) -> Vec<u8> {
    let mut wkb = vec![1, 3, 0, 0, 0, 1, 0, 0, 0];
    wkb.extend_from_slice(&u32::try_from(ring.len()).unwrap().to_le_bytes());
    for (x, y) in ring {
        wkb.extend_from_slice(&[x.to_le_bytes(), y.to_le_bytes()].concat());
    }
    wkb
}
