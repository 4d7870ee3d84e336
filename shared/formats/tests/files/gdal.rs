//! GDAL opens what was written, and counts the same.

use std::path::Path;
use std::process::Command;

use passereau_formats::{Format, gzip};

use crate::sample;

/// What `ogrinfo` says.
pub fn ogrinfo(arguments: &[&str]) -> String {
    let output = Command::new("ogrinfo").args(arguments).output();
    let output =
        output.unwrap_or_else(|error| panic!("ogrinfo cannot be run: {error}; `make setup` installs GDAL's programs"));
    let (said, warned) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "ogrinfo {arguments:?}: {warned}");
    // GDAL before 3.7 is older than version 1.4 of the standard, and says so.
    let warnings: Vec<_> =
        warned.lines().filter(|line| !line.is_empty() && !line.contains("(10400, v1.4.0)")).collect();
    assert!(warnings.is_empty(), "ogrinfo {arguments:?} warns: {warnings:?}");
    said
}

/// What GDAL says of 100 rows, 14 of them without a place.
fn summary(format: Format, options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("flow.{format}"));
    assert_eq!(sample::write(format, &path, &sample::observations(), &sample::rows(100)).unwrap(), 100);
    ogrinfo(&[&["-ro", "-al", "-so"], options, &[path.to_str().unwrap()]].concat())
}

fn assert_says(said: &str, lines: &[&str]) {
    for line in lines {
        assert!(said.lines().any(|one| one.trim() == *line), "`{line}` is missing from:\n{said}");
    }
}

const COUNT: &str = "Feature Count: 100";
const EXTENT: &str = "Extent: (2.000000, 48.000000) - (2.109800, 48.104900)";

#[test]
fn a_geopackage_has_its_types_its_bounds_and_no_warning() {
    let said = summary(Format::GeoPackage, &[]);
    assert_says(&said, &[COUNT, EXTENT, "Geometry: Unknown (any)", "Layer name: observations", "FID Column = fid"]);
    assert_says(&said, &["Geometry Column = geom", "DESCRIPTION=Observations de l'atlas"]);
    for (column, kind) in [
        ("nom_cite", "String (0.0)"),
        ("cd_nom", "Integer64 (0.0)"),
        ("precision", "Real (0.0)"),
        ("sensible", "Integer(Boolean) (0.0)"),
        ("date_jour", "Date"),
        ("heure", "String (0.0)"),
        ("date_debut", "DateTime"),
        ("champs", "String (0.0)"),
    ] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{column}: {kind}"))), "{column}:\n{said}");
    }
}

#[test]
fn geojson_is_a_collection_of_points_and_polygons() {
    let said = summary(Format::GeoJson, &[]);
    assert_says(&said, &[COUNT, EXTENT, "Geometry: Unknown (any)", "ID[\"EPSG\",4326]]"]);
    assert_says(&said, &["cd_nom: Integer (0.0)", "precision: Real (0.0)", "sensible: Integer(Boolean) (1.0)"]);
    assert_says(&said, &["date_jour: Date (0.0)", "heure: Time (0.0)", "date_debut: DateTime (0.0)"]);
}

#[test]
fn geojson_in_lines_is_known_to_gdal_as_such() {
    let said = summary(Format::GeoJsonSeq, &[]);
    assert_says(&said, &[COUNT, EXTENT, "cd_nom: Integer (0.0)", "date_debut: DateTime (0.0)"]);
    assert!(said.contains("using driver `GeoJSONSeq'"), "{said}");
}

#[test]
fn a_csv_has_its_geometry_as_text() {
    let said = summary(Format::Csv, &["-oo", "GEOM_POSSIBLE_NAMES=geom", "-oo", "AUTODETECT_TYPE=YES"]);
    assert_says(
        &said,
        &[COUNT, EXTENT, "cd_nom: Integer (0.0)", "date_debut: DateTime (0.0)", "date_jour: Date (0.0)"],
    );
}

#[test]
fn a_compressed_file_is_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, small) = (folder.path().join("flow.geojsonl"), folder.path().join("flow.geojsonl.gz"));
    sample::write(Format::GeoJsonSeq, &path, &sample::observations(), &sample::rows(100)).unwrap();
    gzip(&path, &small, || true).unwrap();
    assert!(small.metadata().unwrap().len() * 4 < path.metadata().unwrap().len());
    let said = ogrinfo(&["-ro", "-al", "-so", &format!("/vsigzip/{}", small.display())]);
    assert_says(&said, &[COUNT, EXTENT]);
}

#[test]
fn an_empty_layer_opens() {
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::GeoPackage, Format::GeoJson] {
        let path = folder.path().join(format!("flow.{format}"));
        assert_eq!(sample::write(format, &path, &sample::observations(), &[]).unwrap(), 0);
        let said = ogrinfo(&["-ro", "-al", "-so", path.to_str().unwrap()]);
        assert_says(&said, &["Feature Count: 0"]);
    }
}

fn sql(path: &Path, statement: &str) -> String {
    ogrinfo(&[path.to_str().unwrap(), "-q", "-sql", statement])
}

/// GDAL asks the index first: a box that is missing or off would hide a feature.
#[test]
fn a_place_is_found_through_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let rows = sample::rows(3000);
    let counts = [Format::GeoPackage, Format::GeoJsonSeq].map(|format| {
        let path = folder.path().join(format!("flow.{format}"));
        sample::write(format, &path, &sample::observations(), &rows).unwrap();
        let said = ogrinfo(&["-ro", "-al", "-so", "-spat", "2.05", "48", "2.1", "48.04", path.to_str().unwrap()]);
        said.lines().find_map(|line| line.strip_prefix("Feature Count: ")).unwrap().to_owned()
    });
    let [indexed, scanned] = counts;
    assert_eq!(indexed, scanned);
    let found: usize = indexed.parse().unwrap();
    assert!(found > 100 && found < 1000, "{found}");
}

/// The triggers are for a GIS: GDAL has the functions that they call.
#[test]
fn the_index_of_a_geopackage_is_found_and_follows_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.gpkg");
    sample::write(Format::GeoPackage, &path, &sample::observations(), &sample::rows(100)).unwrap();
    let said = sql(&path, "SELECT HasSpatialIndex('observations', 'geom')");
    assert!(said.contains("HasSpatialIndex (Integer) = 1"), "{said}");
    let boxes = || {
        let database = rusqlite::Connection::open(&path).unwrap();
        let query = "SELECT count(*), max(id), round(max(maxx), 4) FROM rtree_observations_geom";
        database.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
    };
    assert_eq!(boxes(), (86, 100, 2.1098));
    for (statement, then) in [
        ("DELETE FROM observations WHERE fid = 1", (85, 100, 2.1098)),
        ("UPDATE observations SET geom = NULL WHERE fid = 2", (84, 100, 2.1098)),
        (
            "UPDATE observations SET geom = (SELECT geom FROM observations WHERE fid = 4) WHERE fid = 2",
            (85, 100, 2.1098),
        ),
        (
            "UPDATE observations SET geom = (SELECT geom FROM observations WHERE fid = 4) WHERE fid = 99",
            (85, 100, 2.1095),
        ),
        ("UPDATE observations SET fid = 1000 WHERE fid = 4", (85, 1000, 2.1095)),
        ("INSERT INTO observations (geom) SELECT geom FROM observations WHERE fid = 5", (86, 1001, 2.1095)),
    ] {
        sql(&path, statement);
        assert_eq!(boxes(), then, "{statement}");
    }
}
