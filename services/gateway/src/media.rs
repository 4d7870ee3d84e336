//! Media types of the files, by their extensions.

use passereau_formats::Format;

/// The media type of a file: that of its format; a companion file has that of its last extension. What nobody knows is bytes.
pub(crate) fn type_of(extension: &str) -> &'static str {
    let last = extension.rsplit('.').next().unwrap_or(extension);
    // RFC 6713.
    if last == "gz" {
        return "application/gzip";
    }
    last.parse::<Format>().map_or("application/octet-stream", Format::media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_an_extension_decides() {
        assert!(type_of("csv").starts_with("text/csv; charset=utf-8"));
        assert_eq!(type_of("statuts.csv"), type_of("csv"));
        assert_eq!(type_of("json"), "application/json");
        assert_eq!(type_of("geojson"), "application/geo+json");
        assert_eq!(type_of("gpkg"), "application/geopackage+sqlite3");
        assert_eq!(type_of("csv.gz"), "application/gzip");
        assert_eq!(type_of("exe"), "application/octet-stream");
    }
}
