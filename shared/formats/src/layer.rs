//! What a file holds: its columns, and its rows as they come.

use std::collections::HashSet;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::FormatError;

/// How the text of a column is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A finite number, whole or decimal, of any number of digits. A GeoPackage keeps it as a double.
    Real,
    /// `true`, `false`, `t` or `f`.
    Boolean,
    /// A day, `2026-11-29`, in the years 0001 to 9999.
    Date,
    /// A time of the day without a zone, `10:00:00` or with a fraction.
    Time,
    /// A day and a time with a blank or a `T` between them, `2026-11-29 10:00:00`, with or without an offset from UTC.
    DateTime,
    /// A JSON document, of at most 128 levels. Its numbers may be of any size, as PostgreSQL's are.
    Json,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::Integer => "whole number of 64 bits",
            Self::Real => "finite number",
            Self::Boolean => "boolean",
            Self::Date => "date between 0001-01-01 and 9999-12-31",
            Self::Time => "time of the day",
            Self::DateTime => "date and time between the years 0001 and 9999",
            Self::Json => "JSON document",
        })
    }
}

/// A column of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, in the header and in every feature.
    pub name: String,
    /// How its text is to be read.
    pub kind: Kind,
    /// What its values mean, for people. Empty where nothing is known.
    pub definition: String,
}

/// What one file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Name of the table and of the layer.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Its columns, in the order of each row's values. The geometry is none of them.
    pub columns: Vec<Column>,
    /// Name of the column of the geometry.
    pub geometry_column: String,
    /// When the rows were read: the only date that goes into a file.
    pub made_at: DateTime<Utc>,
}

/// A row, borrowed for the time it takes to write it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Identifier of the feature, in GeoJSON its `id`. Tables have it in a column of their own where they want it.
    pub id: Option<&'a str>,
    /// WKB as of OGC 06-103r4, or PostGIS's EWKB, in two dimensions, EPSG:4326, longitude first.
    pub geometry: Option<&'a [u8]>,
    /// One text per column, as PostgreSQL's `::text` writes it.
    pub values: &'a [Option<&'a str>],
}

impl Layer {
    /// Whether every format can hold the layer. SQLite compares names without their case (ASCII).
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        let wrong = |reason: String| Err(FormatError::Layer { layer: self.name.clone(), reason });
        let lower = self.name.to_ascii_lowercase();
        if let Some(reserved) = ["gpkg_", "rtree_", "sqlite_"].iter().find(|prefix| lower.starts_with(**prefix)) {
            return wrong(format!("names of layers must not begin with `{reserved}`, which GeoPackages reserve"));
        }
        let columns = self.columns.iter().map(|column| column.name.as_str());
        let mut seen = HashSet::new();
        for name in columns.chain([self.geometry_column.as_str()]) {
            if !seen.insert(name.to_ascii_lowercase()) {
                return wrong(format!("`{name}` names two columns; give each a name of its own, in lower case"));
            }
        }
        for name in self.columns.iter().map(|column| &column.name).chain([&self.geometry_column, &self.name]) {
            if name.is_empty() || name.chars().any(char::is_control) {
                return wrong(format!("`{}` is no name: write one without control characters", name.escape_debug()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn layer(name: &str, columns: &[&str]) -> Layer {
        let column = |name: &&str| Column { name: (*name).to_owned(), kind: Kind::Text, definition: String::new() };
        Layer {
            name: name.to_owned(),
            description: String::new(),
            columns: columns.iter().map(column).collect(),
            geometry_column: "geom".to_owned(),
            made_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_one_format_cannot_hold_is_refused_for_all() {
        assert!(layer("observations", &["cd_nom", "nom cité"]).check().is_ok());
        for (name, columns, problem) in [
            ("GPKG_flow", &["a"][..], "must not begin with `gpkg_`"),
            ("", &["a"], "is no name"),
            ("flow", &["a", "A"], "names two columns"),
            ("flow", &["GEOM"], "`geom` names two columns"),
            ("flow", &["a\nb"], "`a\\nb` is no name"),
            ("flow", &[""], "is no name"),
        ] {
            let error = layer(name, columns).check().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
