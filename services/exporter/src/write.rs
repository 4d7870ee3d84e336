//! Writes one file from the parts.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use passereau_flow::Flow;
use passereau_formats::{Column, CsvOptions, Format, Kind, Layer, Row, Writer};
use passereau_gate::{CopyRow, Field};
use passereau_runner::Stop;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{error::ExportError, ledger::Delivery, publish::hex};

/// Bytes that are read of a part at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// Everything that shapes a file.
pub(crate) struct Shape {
    pub format: Format,
    pub layer: Layer,
    pub csv: CsvOptions,
    pub fields: usize,
    pub flow: String,
}

/// The layer of a delivery in one format.
pub(crate) fn layer(flow: &Flow, delivery: &Delivery, fields: &[&'static Field], format: Format) -> Layer {
    let dialect = flow.agreement.fields.dialect;
    let columns = fields.iter().map(|field| Column {
        name: field.name_in(dialect).to_owned(),
        kind: kind(field.kind),
        definition: field.fr.to_owned(),
    });
    Layer {
        name: flow.name.replace('-', "_"),
        description: flow.agreement.territory.description.clone(),
        columns: columns.collect(),
        // In a GeoPackage it is a geometry, and no text: the name is the one that GIS give it.
        geometry_column: if format == Format::GeoPackage { "geom" } else { dialect.geometry() }.to_owned(),
        made_at: delivery.read_at.unwrap_or_default(),
    }
}

fn kind(kind: passereau_gate::Kind) -> Kind {
    match kind {
        passereau_gate::Kind::Text => Kind::Text,
        passereau_gate::Kind::Integer => Kind::Integer,
        passereau_gate::Kind::Real => Kind::Real,
        passereau_gate::Kind::Date => Kind::Date,
        passereau_gate::Kind::Time => Kind::Time,
        passereau_gate::Kind::DateTime => Kind::DateTime,
        passereau_gate::Kind::Json => Kind::Json,
    }
}

/// Writes a file at a path. It blocks, until it is stopped at the latest.
pub(crate) fn write(
    shape: &Shape,
    parts: Vec<OpenPart>,
    path: &Path,
    stop: &CancellationToken,
) -> Result<u64, ExportError> {
    let failed =
        |record| move |source| ExportError::Format { flow: shape.flow.clone(), record, source: Box::new(source) };
    let mut writer = passereau_formats::open(shape.format, path, &shape.layer, &shape.csv).map_err(failed(None))?;
    for_each_row(&shape.flow, shape.fields, parts, stop, |row| {
        row_into(writer.as_mut(), row).map_err(failed(row.id_synthese))
    })?;
    writer.finish().map_err(failed(None))
}

/// A part, open.
#[derive(Debug)]
pub(crate) struct OpenPart {
    pub part: i32,
    pub file: File,
    pub sha256: String,
}

/// Bytes on their way, and their digest.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hasher.update(&into[..read]);
        Ok(read)
    }
}

/// Calls for each row of the parts, in their order, until it is stopped. A part that is not what was stored is an error, at its end at the latest.
pub(crate) fn for_each_row(
    flow: &str,
    fields: usize,
    parts: Vec<OpenPart>,
    stop: &CancellationToken,
    mut with: impl FnMut(&CopyRow<'_>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut line = String::new();
    for OpenPart { part, file, sha256 } in parts {
        let broken = |problem: String| ExportError::Part { flow: flow.to_owned(), part, problem };
        let mut reader = BufReader::with_capacity(BLOCK_BYTES, Hashed { inner: file, hasher: Sha256::new() });
        loop {
            if stop.is_cancelled() {
                return Err(Stop::retry(format!("making a file of flow {flow} was stopped")).into());
            }
            line.clear();
            if reader.read_line(&mut line).map_err(|error| broken(error.to_string()))? == 0 {
                break;
            }
            with(&CopyRow::parse(&line, fields).map_err(|error| broken(error.to_string()))?)?;
        }
        if hex(&reader.into_inner().hasher.finalize()) != sha256 {
            return Err(broken("its SHA-256 is another one".to_owned()));
        }
    }
    Ok(())
}

fn row_into(writer: &mut dyn Writer, row: &CopyRow<'_>) -> Result<(), passereau_formats::FormatError> {
    let values: Vec<_> = row.values().collect();
    let texts: Vec<Option<&str>> = values.iter().map(|value| value.as_deref()).collect();
    let geometry = row.geometry.map(bytes_of);
    writer.row(&Row { id: row.id, geometry: geometry.as_deref(), values: &texts })
}

/// The bytes that hexadecimal digits stand for. PostgreSQL wrote them; what is no digit becomes a geometry that the writer refuses.
fn bytes_of(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0xff);
    digits.as_bytes().chunks_exact(2).map(|pair| (digit(pair[0]) << 4) | (digit(pair[1]) & 0x0f)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{fmt::Write as _, fs, io::Write as _};

    use passereau_gate::Dialect;
    use rusqlite::{Connection, types::Value};

    use super::*;
    use crate::publish::SHAPE_VERSION;

    /// What [`SHAPE_VERSION`] stands for.
    const SHAPE: &str = "4e563d31d009366a8b7a03011893168f4e0d04381e35f4d9b57ed0d5856eb377";

    /// An exact row and one that leaves as an area, with a value of each kind, one that a spreadsheet would take for a formula, and without any.
    const ROWS: &str = concat!(
        "7\t0b2f\t0101000020E61000000000000000001740CDCCCCCCCC8C4640\tNon sensible\t\\N\tCC0-1.0\t\\N",
        "\t=un\\ndeux\t-12\t0.50\t2026-11-29\t10:00:00\t2026-11-29 10:00:00\t{\"a\": [1, null]}\n",
        "\\N\t0c3f\t0103000020E61000000100000004000000000000000000144000000000008046400000000000001840000000000080464000000000000018400000000000004740",
        "00000000000014400000000000804640\tMaille\tM10\tCC-BY-4.0\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n",
    );

    #[test]
    fn hexadecimal_digits_become_bytes() {
        assert_eq!(bytes_of("0101ff7A"), [1, 1, 255, 122]);
        assert!(bytes_of("").is_empty());
    }

    #[test]
    fn files_of_another_shape_bear_another_version() {
        let mut hasher = Sha256::new();
        for field in passereau_gate::Field::all() {
            let names = [Dialect::GeoNature, Dialect::OccTax].map(|dialect| field.name_in(dialect));
            hasher.update(format!("{names:?} {:?}\n", kind(field.kind)));
        }
        let folder = tempfile::tempdir().unwrap();
        for format in Format::ALL {
            let path = folder.path().join(format.extension());
            assert_eq!(write(&shape(format), vec![part()], &path, &CancellationToken::new()).unwrap(), 2);
            hasher.update(match format {
                Format::GeoPackage => tables(&path).into_bytes(),
                _ => fs::read(&path).unwrap(),
            });
        }
        let found = hex(&hasher.finalize());
        assert_eq!(
            (SHAPE_VERSION, &*found),
            (2, SHAPE),
            "the same rows become other files: raise SHAPE_VERSION, or flows whose rows do not change keep the old ones; then note both here"
        );
    }

    fn shape(format: Format) -> Shape {
        let kinds = [Kind::Text, Kind::Integer, Kind::Real, Kind::Date, Kind::Time, Kind::DateTime, Kind::Json];
        let columns = kinds.map(|kind| Column { name: format!("{kind:?}"), kind, definition: kind.to_string() });
        Shape {
            format,
            fields: columns.len(),
            layer: Layer {
                name: "flow".to_owned(),
                description: "a flow".to_owned(),
                columns: columns.into(),
                geometry_column: "geom".to_owned(),
                made_at: "2026-11-29T10:00:00Z".parse().unwrap(),
            },
            csv: CsvOptions::default(),
            flow: "a-flow".to_owned(),
        }
    }

    fn part() -> OpenPart {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(ROWS.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        OpenPart { part: 0, file, sha256: hex(&Sha256::digest(ROWS)) }
    }

    /// What a GeoPackage says, whatever version of SQLite has written it.
    fn tables(path: &Path) -> String {
        let file = Connection::open(path).unwrap();
        let texts = |sql: &str| -> Vec<(String, String)> {
            let mut statement = file.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        let mut text = format!("{:?}\n", texts("SELECT name, coalesce(sql, '') FROM sqlite_master ORDER BY name"));
        for (table, _) in texts(
            "SELECT name, '' FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'rtree_%\\_%' ESCAPE '\\' ORDER BY name",
        ) {
            let mut statement = file.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
            let width = statement.column_count();
            let rows = statement.query_map([], |row| (0..width).map(|index| row.get(index)).collect()).unwrap();
            let rows: Vec<Vec<Value>> = rows.collect::<Result<_, _>>().unwrap();
            writeln!(text, "{table}: {rows:?}").unwrap();
        }
        text
    }
}
