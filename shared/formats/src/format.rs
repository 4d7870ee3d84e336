//! The formats and their names.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A format of files. Its name is the extension of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values, RFC 4180, with the separator of [`CsvOptions`](crate::CsvOptions).
    Csv,
    /// One array of objects, RFC 8259.
    Json,
    /// One feature collection, RFC 7946.
    GeoJson,
    /// Newline-delimited GeoJSON: a feature of RFC 7946 on each line, without the record separator of RFC 8142.
    #[serde(rename = "geojsonl")]
    GeoJsonSeq,
    /// GeoPackage 1.4, OGC 12-128r19.
    #[serde(rename = "gpkg")]
    GeoPackage,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Csv, Self::Json, Self::GeoJson, Self::GeoJsonSeq, Self::GeoPackage];

    /// The extension of its files, which is also its name in requests and manifests.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::GeoJson => "geojson",
            Self::GeoJsonSeq => "geojsonl",
            Self::GeoPackage => "gpkg",
        }
    }

    /// Its media type: RFC 4180, 8259 and 7946, and the IANA registry of media types for the GeoPackage.
    ///
    /// Newline-delimited GeoJSON has no registered one: `application/geo+json-seq` promises record separators (RFC 8142),
    /// so it goes by the name that its readers use.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::GeoJson => "application/geo+json",
            Self::GeoJsonSeq => "application/x-ndjson",
            Self::GeoPackage => "application/geopackage+sqlite3",
        }
    }

    /// Whether its files are text, which a [`gzip`](crate::gzip()) beside them makes much smaller.
    pub const fn is_text(self) -> bool {
        !matches!(self, Self::GeoPackage)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.extension())
    }
}

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no format; write one of csv, json, geojson, geojsonl, gpkg")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let named = |format: &Self| format.extension() == name;
        Self::ALL.into_iter().find(named).ok_or_else(|| UnknownFormat(name.chars().take(40).collect()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_requests_paths_and_messages() {
        for format in Format::ALL {
            assert_eq!(format.extension().parse(), Ok(format));
            assert_eq!(format.to_string(), format.extension());
            assert_eq!(serde_json::to_value(format).unwrap(), format.extension());
            let schema = serde_json::to_string(&schemars::schema_for!(Format)).unwrap();
            assert!(schema.contains(&format!("\"{format}\"")), "{schema}");
        }
        let unknown = "shp".parse::<Format>().unwrap_err();
        assert_eq!(unknown.to_string(), "`shp` is no format; write one of csv, json, geojson, geojsonl, gpkg");
    }

    #[test]
    fn only_the_geopackage_is_binary() {
        let binary: Vec<_> = Format::ALL.into_iter().filter(|format| !format.is_text()).collect();
        assert_eq!(binary, [Format::GeoPackage]);
    }
}
