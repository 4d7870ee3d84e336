//! Territories by codes and by each kind of file.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, io::Write, path::Path};

use passereau_flow::{FlowError, apply};
use passereau_testing::TestDatabase;
use sqlx::PgPool;

use crate::support::{database, in_folder, now, with};

/// A square of 10 km in Isère, in Lambert-93.
const SQUARE: [(f64, f64); 5] = [
    (900_000.0, 6_500_000.0),
    (910_000.0, 6_500_000.0),
    (910_000.0, 6_510_000.0),
    (900_000.0, 6_510_000.0),
    (900_000.0, 6_500_000.0),
];

/// ESRI's text, without an EPSG code in it.
const LAMBERT_93: &str = r#"PROJCS["RGF93_Lambert_93",GEOGCS["GCS_RGF93",DATUM["D_RGF_1993",SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic"],PARAMETER["False_Easting",700000.0],PARAMETER["False_Northing",6600000.0],PARAMETER["Central_Meridian",3.0],PARAMETER["Standard_Parallel_1",49.0],PARAMETER["Standard_Parallel_2",44.0],PARAMETER["Latitude_Of_Origin",46.5],UNIT["Meter",1.0]]"#;

async fn apply_in(database: &TestDatabase, territory: &str, folder: &Path) -> Result<(), FlowError> {
    let text = with(&[("description = \"Isère\"", &format!("description = \"Isère\", {territory}"))]);
    apply(&database.pool, &in_folder(&text, folder), "Anne", now()).await.map(|_| ())
}

/// Area in square kilometres and SRID of what is stored.
async fn stored(pool: &PgPool) -> (f64, i32) {
    sqlx::query_as(
        "SELECT round((ST_Area(territory) / 1e6)::numeric, 2)::float8, ST_SRID(territory) FROM passereau.flow",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

fn refusal(result: Result<(), FlowError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn areas_of_several_types_are_one_territory_and_each_unknown_code_is_named() {
    let database = database().await;
    let folder = tempfile::tempdir().unwrap();
    let codes = r#"areas = [{ type = "DEP", codes = ["38", "99"] }, { type = "COM", codes = ["73001", "x"] }, { type = "XYZ", codes = ["1"] }]"#;
    let said = refusal(apply_in(&database, codes, folder.path()).await);
    for problem in [
        "territory.areas[0].codes[1] there is no DEP 99 in ref_geo; write codes as ref_geo.l_areas has them; those of DEP look like 01, 03, 07",
        "territory.areas[1].codes[1] there is no COM x in ref_geo",
        "territory.areas[2].codes[0] there is no XYZ 1 in ref_geo; write a type that has areas",
    ] {
        assert!(said.contains(problem), "{said}");
    }
    assert!(said.contains("line 10, column"), "{said}");
    let codes = r#"areas = [{ type = "DEP", codes = ["38"] }, { type = "COM", codes = ["73001"] }]"#;
    apply_in(&database, codes, folder.path()).await.unwrap();
    let (area, srid) = stored(&database.pool).await;
    assert!(area > 8_100.0 && area < 8_100.0 + 145.0, "{area}: 90 by 90 km, and what a commune of 12 by 12 km adds");
    assert_eq!(srid, 2154);
}

#[tokio::test]
async fn each_kind_of_file_gives_the_same_territory() {
    let database = database().await;
    let folder = tempfile::tempdir().unwrap();
    let local = SQUARE.map(|(x, y)| format!("{x} {y}")).join(",");
    fs::write(folder.path().join("a.wkt"), format!("SRID=2154;POLYGON(({local}))")).unwrap();
    let degrees: String = sqlx::query_scalar("SELECT ST_AsGeoJSON(ST_Transform(ST_GeomFromText($1, 2154), 4326), 12)")
        .bind(format!("POLYGON(({local}))"))
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let feature = format!(r#"{{"type":"Feature","properties":{{}},"geometry":{degrees}}}"#);
    fs::write(folder.path().join("a.geojson"), format!(r#"{{"type":"FeatureCollection","features":[{feature}]}}"#))
        .unwrap();
    shapefile(&folder.path().join("a.zip"), &[SQUARE.to_vec()], Some(LAMBERT_93));
    geopackage(&folder.path().join("a.gpkg"), 2154);
    for file in ["a.wkt", "a.geojson", "a.zip", "a.gpkg"] {
        apply_in(&database, &format!("file = \"{file}\""), folder.path())
            .await
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(stored(&database.pool).await, (100.0, 2154), "{file}");
    }
}

#[tokio::test]
async fn a_hole_of_a_shapefile_is_a_hole_and_an_island_in_it_is_not() {
    let database = database().await;
    let folder = tempfile::tempdir().unwrap();
    let ring = |from: f64, to: f64| -> Vec<(f64, f64)> {
        // Outer rings go clockwise in the format.
        [(from, from), (from, to), (to, to), (to, from), (from, from)]
            .map(|(x, y)| (900_000.0 + x, 6_500_000.0 + y))
            .to_vec()
    };
    let hole = ring(2_000.0, 8_000.0).into_iter().rev().collect();
    shapefile(&folder.path().join("a.zip"), &[ring(0.0, 10_000.0), hole, ring(4_000.0, 6_000.0)], Some(LAMBERT_93));
    apply_in(&database, "file = \"a.zip\"", folder.path()).await.unwrap();
    assert_eq!(stored(&database.pool).await.0, 100.0 - 36.0 + 4.0);
}

#[tokio::test]
async fn a_shapefile_without_a_prj_is_in_wgs_84_and_metres_are_then_refused() {
    let database = database().await;
    let folder = tempfile::tempdir().unwrap();
    shapefile(&folder.path().join("a.zip"), &[SQUARE.to_vec()], None);
    let said = refusal(apply_in(&database, "file = \"a.zip\"", folder.path()).await);
    assert!(
        said.contains("territory.file has coordinates that are no degrees")
            && said.contains("write the file in WGS 84"),
        "{said}"
    );
}

#[tokio::test]
async fn files_that_are_no_territory_are_refused_in_words() {
    let database = database().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let many = (0..1_000_001).map(|at| format!("{} 45", 5.0 + f64::from(at) / 1e6)).collect::<Vec<_>>().join(",");
    fs::write(path("points.wkt"), format!("POLYGON(({many},5 45))")).unwrap();
    fs::write(path("line.wkt"), "LINESTRING(5 45, 6 46)").unwrap();
    fs::write(path("sea.wkt"), "POLYGON((45 5,46 5,46 6,45 5))").unwrap();
    fs::write(path("open.wkt"), "POLYGON((5 45,6 45,6 46))").unwrap();
    fs::write(path("srid.wkt"), "SRID=987654;POLYGON((5 45,6 45,6 46,5 45))").unwrap();
    fs::write(path("text.zip"), "no zip").unwrap();
    fs::write(path("text.gpkg"), "no geopackage, but long enough to be looked at as a database of SQLite").unwrap();
    fs::write(path("empty.geojson"), r#"{"type":"FeatureCollection","features":[]}"#).unwrap();
    let huge = fs::File::create(path("huge.geojson")).unwrap();
    huge.set_len(65 * 1024 * 1024).unwrap();
    broken_shapefile(&path("broken.zip"));
    view(&path("view.gpkg"));
    for (file, problem) in [
        ("absent.wkt", "cannot be read"),
        ("points.wkt", "more than 1000000"),
        ("line.wkt", "holds no surface"),
        ("sea.wkt", "lies outside every area"),
        ("open.wkt", "is not understood by PostGIS"),
        ("srid.wkt", "is not understood by PostGIS"),
        ("text.zip", "is no zip"),
        ("text.gpkg", "is no GeoPackage"),
        ("empty.geojson", "holds no geometry"),
        ("huge.geojson", "is larger than 64 MiB"),
        ("broken.zip", "is broken"),
        ("view.gpkg", "holds no table of features"),
    ] {
        let said = refusal(apply_in(&database, &format!("file = \"{file}\""), folder.path()).await);
        assert!(said.contains("territory.file ") && said.contains(problem), "{file}: {said}");
    }
    let flows: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.flow").fetch_one(&database.pool).await.unwrap();
    assert_eq!(flows, 0);
}

/// The main file of a Shapefile with one record of these rings.
fn shp(rings: &[Vec<(f64, f64)>]) -> Vec<u8> {
    let points: Vec<(f64, f64)> = rings.iter().flatten().copied().collect();
    let mut content = 5_i32.to_le_bytes().to_vec();
    for bound in [0.0_f64; 4] {
        content.extend(bound.to_le_bytes());
    }
    content.extend((rings.len() as i32).to_le_bytes());
    content.extend((points.len() as i32).to_le_bytes());
    let mut start = 0_i32;
    for ring in rings {
        content.extend(start.to_le_bytes());
        start += ring.len() as i32;
    }
    for (x, y) in points {
        content.extend(x.to_le_bytes());
        content.extend(y.to_le_bytes());
    }
    let mut file = 9994_i32.to_be_bytes().to_vec();
    file.extend([0; 20]);
    file.extend((((100 + 8 + content.len()) / 2) as i32).to_be_bytes());
    file.extend(1000_i32.to_le_bytes());
    file.extend(5_i32.to_le_bytes());
    file.extend([0; 64]);
    file.extend(1_i32.to_be_bytes());
    file.extend(((content.len() / 2) as i32).to_be_bytes());
    file.extend(content);
    file
}

fn zipped(path: &Path, files: &[(&str, &[u8])]) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

fn shapefile(path: &Path, rings: &[Vec<(f64, f64)>], prj: Option<&str>) {
    let main = shp(rings);
    let mut files: Vec<(&str, &[u8])> = vec![("site/Limite.shp", &main)];
    if let Some(prj) = prj {
        files.push(("site/Limite.prj", prj.as_bytes()));
    }
    zipped(path, &files);
}

/// Says that it has two thousand million points.
fn broken_shapefile(path: &Path) {
    let mut main = shp(&[SQUARE.to_vec()]);
    main[100 + 8 + 4 + 32 + 4..][..4].copy_from_slice(&i32::MAX.to_le_bytes());
    zipped(path, &[("a.shp", &main)]);
}

const TABLES: &str = "
    CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER PRIMARY KEY, organization TEXT, organization_coordsys_id INTEGER, definition TEXT);
    INSERT INTO gpkg_spatial_ref_sys VALUES ('Lambert-93', 2154, 'EPSG', 2154, 'undefined');
    CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, geometry_type_name TEXT, srs_id INTEGER, z TINYINT, m TINYINT);
    INSERT INTO gpkg_geometry_columns VALUES ('li\"mite', 'geom', 'POLYGON', 2154, 0, 0);";

fn geopackage(path: &Path, srid: i32) {
    let file = rusqlite::Connection::open(path).unwrap();
    file.execute_batch(&format!("{TABLES} CREATE TABLE \"li\"\"mite\" (fid INTEGER PRIMARY KEY, geom BLOB);")).unwrap();
    let mut blob = vec![b'G', b'P', 0, 1];
    blob.extend(srid.to_le_bytes());
    blob.push(1);
    blob.extend(3_u32.to_le_bytes());
    blob.extend(1_u32.to_le_bytes());
    blob.extend((SQUARE.len() as u32).to_le_bytes());
    for (x, y) in SQUARE {
        blob.extend(x.to_le_bytes());
        blob.extend(y.to_le_bytes());
    }
    file.execute("INSERT INTO \"li\"\"mite\" (geom) VALUES (?1), (NULL)", [blob]).unwrap();
}

/// Its layer is a query that never ends.
fn view(path: &Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    let view = "CREATE VIEW \"li\"\"mite\" AS WITH RECURSIVE endless AS (SELECT 1 AS geom UNION ALL SELECT 1 FROM endless) SELECT geom FROM endless;";
    file.execute_batch(&format!("{TABLES} {view}")).unwrap();
}
