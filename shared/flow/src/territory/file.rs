//! Geometry files: which kind, how large at most, and what they hold.

use std::{fs::File, io::Read, path::Path};

use super::{geojson, geopackage, shapefile, wkt};
use crate::problem::Found;

/// Most bytes of a file, and of what a zip holds: a region's border at full detail has a tenth of it.
pub(super) const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Kinds of geometry files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Shapefile,
    GeoPackage,
    GeoJson,
    Wkt,
}

impl Kind {
    /// By the extension of a name.
    pub fn of(name: &str) -> Option<Self> {
        let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "zip" => Some(Self::Shapefile),
            "gpkg" => Some(Self::GeoPackage),
            "geojson" => Some(Self::GeoJson),
            "wkt" => Some(Self::Wkt),
            _ => None,
        }
    }
}

/// How PostGIS is to read each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Wkb,
    Wkt,
    GeoJson,
}

/// A system of coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Crs {
    /// Its EPSG code.
    Srid(i32),
    /// Its WKT, which PROJ reads: that of a `.prj`.
    Definition(String),
}

impl Crs {
    pub const WGS_84: Self = Self::Srid(4326);

    /// A definition that is WKT and nothing else: PROJ's own strings can name files of the server, and so can an extension.
    pub fn definition(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}').trim();
        let upper = text.to_ascii_uppercase();
        let is_wkt = ["PROJCS[", "GEOGCS[", "PROJCRS[", "GEOGCRS[", "GEODCRS[", "COMPD_CS[", "COMPOUNDCRS["]
            .iter()
            .any(|start| upper.starts_with(start));
        (is_wkt && text.len() <= 8192 && !upper.contains("EXTENSION") && !upper.contains("GRID"))
            .then(|| Self::Definition(text.to_owned()))
    }
}

/// The geometries of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shapes {
    pub encoding: Encoding,
    pub parts: Vec<Vec<u8>>,
    pub crs: Crs,
}

/// Reads a file. The key of a problem is the caller's to write.
pub(crate) fn read(path: &Path) -> Result<Shapes, Found> {
    let shown = path.display();
    let wrong = |problem: String, instead: &str| Found::new("", problem, instead);
    let kind = path.to_str().and_then(Kind::of).ok_or_else(|| {
        wrong(format!("{shown} has no extension that is known"), "name a .zip, .gpkg, .geojson or .wkt")
    })?;
    let bytes = File::open(path)
        .and_then(bounded)
        .map_err(|error| wrong(format!("{shown} cannot be read: {error}"), "put the file beside the agreement"))?;
    if bytes.len() as u64 > MOST_BYTES {
        let problem = format!("{shown} is larger than {} MiB", MOST_BYTES >> 20);
        return Err(wrong(problem, "give the border alone, simplified"));
    }
    let shapes = match kind {
        Kind::Shapefile => shapefile::read(&bytes),
        // SQLite reads the path, so that nothing of a large file is copied.
        Kind::GeoPackage => geopackage::read(path),
        Kind::GeoJson => geojson::read(&bytes),
        Kind::Wkt => wkt::read(&bytes),
    }
    .map_err(|Refused { problem, instead }| wrong(format!("{shown} {problem}"), instead))?;
    if shapes.parts.is_empty() {
        return Err(wrong(format!("{shown} holds no geometry"), "give polygons: the territory is what they cover"));
    }
    Ok(shapes)
}

/// One byte more than allowed at most.
fn bounded(file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a file is not read.
#[derive(Debug)]
pub(super) struct Refused {
    pub problem: String,
    pub instead: &'static str,
}

impl Refused {
    pub fn new(problem: impl Into<String>, instead: &'static str) -> Self {
        Self { problem: problem.into(), instead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_wkt_and_names_no_file_of_the_server() {
        let geographic = "GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\",SPHEROID[\"WGS_1984\",6378137,298.257223563]]]";
        assert_eq!(Crs::definition(&format!("\u{feff}{geographic}\n")), Some(Crs::Definition(geographic.to_owned())));
        for refused in [
            "",
            "+proj=longlat +nadgrids=/etc/passwd",
            "/etc/passwd",
            "PROJCS[\"x\",EXTENSION[\"PROJ4\",\"+proj=longlat +nadgrids=/etc/passwd\"]]",
            &format!("PROJCS[\"{}\"]", "x".repeat(9000)),
        ] {
            assert_eq!(Crs::definition(refused), None, "{refused}");
        }
    }
}
