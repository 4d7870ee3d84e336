//! A GeoPackage (OGC 12-128): its one table of features.
//!
//! The file is somebody else's database: it is opened read-only, nothing of its schema is trusted, and only a plain table is read, never a
//! view, whose query could take for ever.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit, types::ValueRef};

use super::file::{Crs, Encoding, MOST_BYTES, Refused, Shapes};

const WRITE: &str = "give a GeoPackage with one layer of polygons";

/// Rows of a layer.
const MOST_ROWS: usize = 100_000;

pub(super) fn read(path: &Path) -> Result<Shapes, Refused> {
    read_layer(path).map_err(|error| match error {
        Failure::Refused(refused) => refused,
        Failure::Sqlite(error) => Refused::new(format!("is no GeoPackage that can be read: {error}"), WRITE),
    })
}

enum Failure {
    Refused(Refused),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

fn read_layer(path: &Path) -> Result<Shapes, Failure> {
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    file.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    file.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    file.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(MOST_BYTES).unwrap_or(i32::MAX))?;
    let (table, column, srs) = layer(&file)?;
    let crs = crs(&file, srs)?;
    let mut statement = file.prepare(&format!("SELECT {} FROM {}", quoted(&column), quoted(&table)))?;
    let mut rows = statement.query([])?;
    let (mut parts, mut size) = (Vec::new(), 0_u64);
    while let Some(row) = rows.next()? {
        let ValueRef::Blob(blob) = row.get_ref(0)? else { continue };
        let wkb = wkb(blob)
            .ok_or_else(|| Refused::new(format!("has a row of {table} without a geometry of GeoPackage"), WRITE))?;
        size += wkb.len() as u64;
        if parts.len() >= MOST_ROWS || size > MOST_BYTES {
            return Err(Refused::new("holds more than a territory", "give the border alone, simplified").into());
        }
        parts.push(wkb.to_vec());
    }
    Ok(Shapes { encoding: Encoding::Wkb, parts, crs })
}

/// Table, geometry column and system of coordinates of the one layer.
fn layer(file: &Connection) -> Result<(String, String, i32), Failure> {
    let mut statement = file.prepare(
        "SELECT g.table_name, g.column_name, g.srs_id FROM gpkg_geometry_columns g
         WHERE g.table_name IN (SELECT name FROM sqlite_master WHERE type = 'table') LIMIT 2",
    )?;
    let mut layers =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<Vec<_>, _>>()?;
    match (layers.pop(), layers.is_empty()) {
        (Some(layer), true) => Ok(layer),
        (None, _) => Err(Refused::new("holds no table of features", WRITE).into()),
        _ => Err(Refused::new("holds several layers, and nothing tells which one is the territory", WRITE).into()),
    }
}

/// By the EPSG code where it has one, else by its definition.
fn crs(file: &Connection, srs: i32) -> Result<Crs, Failure> {
    let (organization, code, definition): (String, i32, String) = file.query_row(
        "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys WHERE srs_id = ?1",
        [srs],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if organization.eq_ignore_ascii_case("EPSG") {
        return Ok(Crs::Srid(code));
    }
    // 0 and -1: undefined.
    let unknown =
        || Refused::new("does not say its system of coordinates", "write the layer in WGS 84 (EPSG:4326)").into();
    if srs <= 0 { Err(unknown()) } else { Crs::definition(&definition).ok_or_else(unknown) }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The WKB behind the header of a GeoPackage's geometry.
fn wkb(blob: &[u8]) -> Option<&[u8]> {
    let flags = match blob {
        [b'G', b'P', 0, flags, ..] => *flags,
        _ => return None,
    };
    let envelope = match (flags >> 1) & 7 {
        0 => 0,
        1 => 32,
        2 | 3 => 48,
        4 => 64,
        _ => return None,
    };
    blob.get(8 + envelope..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_geometry_is_as_long_as_its_flags_say() {
        for (flags, length) in [(0b0000_0001, 8), (0b0000_0011, 40), (0b0000_0101, 56), (0b0000_1001, 72)] {
            let mut blob = vec![b'G', b'P', 0, flags];
            blob.resize(length, 0);
            blob.extend([1, 3]);
            assert_eq!(wkb(&blob), Some(&[1_u8, 3][..]), "{flags:b}");
        }
        assert_eq!(wkb(b"GP\x00\x0f________"), None);
        assert_eq!(wkb(b"SQ"), None);
    }
}
