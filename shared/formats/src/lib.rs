//! Files of features, written as a stream: CSV, JSON, GeoJSON, newline-delimited GeoJSON, GeoPackage.
//!
//! Terms: a *layer* is what one file holds, a table of *rows* with named and typed *columns* and one geometry, in
//! EPSG:4326, longitude first; a *value* is text as PostgreSQL's `::text` writes it, read by the [`Kind`] of its column.
//!
//! Invariants:
//! - memory does not grow with the rows: nothing is kept of a row but the bounds of its geometry;
//! - a row is accepted by every format or by none: values and geometries are read by one code before any format sees
//!   them. What has no place in one of them is refused (NaN and infinity, a date before Christ, altitudes in a geometry);
//! - the same layer and the same rows make the same bytes. No clock is read: [`Layer::made_at`] is the only date;
//! - a file that met an error cannot be finished: it stays visibly incomplete, and the caller throws it away;
//! - a finished file is with the system, not forced onto the disk: that is for whoever publishes it.
//!
//! | | CSV | JSON | GeoJSON, one or many lines | GeoPackage |
//! | --- | --- | --- | --- | --- |
//! | missing value | empty | `null` | `null` | NULL |
//! | [`Kind::Boolean`] | `true`, `false` | `true`, `false` | `true`, `false` | 1, 0 |
//! | [`Kind::DateTime`] | ISO 8601 | ISO 8601 | ISO 8601 | ISO 8601, in milliseconds, with `Z` |
//! | [`Kind::Json`] | its text | embedded | embedded | its text |
//! | geometry | WKT, last column | WKT | 7 decimals, exterior rings anticlockwise | with its R-tree |
//! | empty geometry | WKT `… EMPTY` | WKT `… EMPTY` | `null` | marked as empty |
//!
//! Fails with [`FormatError`], which names the file and, for a bad row, its number and column.

mod csv;
mod error;
mod format;
mod geojson;
mod geometry;
mod geopackage;
mod gzip;
mod json;
mod layer;
mod moment;
mod value;
mod writer;

use std::path::Path;

pub use csv::{CsvOptions, Formulas};
pub use error::FormatError;
pub use format::{Format, UnknownFormat};
pub use gzip::gzip;
pub use layer::{Column, Kind, Layer, Row};
pub use writer::Writer;

use geojson::Framing;
use writer::Checked;

/// Creates the file and writes what comes before its first row. What the path held is overwritten.
///
/// Each format asks for the same of a layer, so that a flow that can be written in one can be written in all.
///
/// # Errors
/// [`FormatError::Layer`] and [`FormatError::Separator`] for what cannot be written, [`FormatError::Io`] and
/// [`FormatError::Sqlite`] where the file cannot be made.
pub fn open(format: Format, path: &Path, layer: &Layer, csv: &CsvOptions) -> Result<Box<dyn Writer>, FormatError> {
    layer.check()?;
    csv.check()?;
    Ok(match format {
        Format::Csv => {
            let csv = csv::Csv::create(path, &layer.columns, Some(&layer.geometry_column), csv)?;
            Box::new(Checked::new(path, &layer.columns, csv))
        }
        Format::Json => Box::new(Checked::new(path, &layer.columns, json::Json::create(path, layer)?)),
        Format::GeoJson => {
            let features = geojson::GeoJson::create(path, layer, Framing::Collection)?;
            Box::new(Checked::new(path, &layer.columns, features))
        }
        Format::GeoJsonSeq => {
            Box::new(Checked::new(path, &layer.columns, geojson::GeoJson::create(path, layer, Framing::Lines)?))
        }
        Format::GeoPackage => {
            Box::new(Checked::new(path, &layer.columns, geopackage::GeoPackage::create(path, layer)?))
        }
    })
}

/// Creates a CSV of rows without a geometry, which go beside a layer.
///
/// # Errors
/// [`FormatError::Separator`], and [`FormatError::Io`] where the file cannot be made.
pub fn open_table(path: &Path, columns: &[Column], csv: &CsvOptions) -> Result<Box<dyn Writer>, FormatError> {
    csv.check()?;
    Ok(Box::new(Checked::new(path, columns, csv::Csv::create(path, columns, None, csv)?)))
}
