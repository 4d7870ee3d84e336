//! What the standard asks of a GeoPackage, read with SQLite.

use passereau_formats::{Format, Kind};
use rusqlite::Connection;

use crate::sample;

fn made(rows: usize) -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.gpkg");
    sample::write(Format::GeoPackage, &path, &sample::observations(), &sample::rows(rows)).unwrap();
    let database = Connection::open(&path).unwrap();
    (folder, database)
}

fn texts(database: &Connection, query: &str) -> Vec<String> {
    let mut statement = database.prepare(query).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_file_says_what_it_is() {
    let (_folder, database) = made(10);
    let pragma = |name: &str| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((pragma("application_id"), pragma("user_version")), (0x4750_4B47, 10400));
    assert_eq!(texts(&database, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(texts(&database, "SELECT \"table\" FROM pragma_foreign_key_check"), [""; 0]);
    let systems = "SELECT srs_id || ' ' || organization FROM gpkg_spatial_ref_sys ORDER BY srs_id";
    assert_eq!(texts(&database, systems), ["-1 NONE", "0 NONE", "4326 EPSG"]);
    let contents = "SELECT table_name || ' ' || data_type || ' ' || last_change || ' ' || srs_id || ' ' || min_x || ' ' || min_y FROM gpkg_contents";
    assert_eq!(texts(&database, contents), ["observations features 2026-11-29T10:00:00.000Z 4326 2.0 48.0"]);
    let columns = "SELECT column_name || ' ' || geometry_type_name || ' ' || z || m FROM gpkg_geometry_columns";
    assert_eq!(texts(&database, columns), ["geom GEOMETRY 00"]);
}

#[test]
fn the_index_has_its_entry_and_the_triggers_of_version_1_4() {
    let (_folder, database) = made(10);
    let extensions = "SELECT extension_name || ' ' || table_name || ' ' || ifnull(column_name, '-') || ' ' || scope FROM gpkg_extensions";
    assert_eq!(
        texts(&database, extensions),
        [
            "gpkg_rtree_index observations geom write-only",
            "gpkg_schema gpkg_data_columns - read-write",
            "gpkg_schema gpkg_data_column_constraints - read-write",
        ]
    );
    let triggers = "SELECT substr(name, 25) FROM sqlite_master WHERE type = 'trigger' ORDER BY name";
    assert_eq!(texts(&database, triggers), ["delete", "insert", "update2", "update4", "update5", "update6", "update7"]);
    let (boxes, places): (i64, i64) = database
        .query_row(
            "SELECT (SELECT count(*) FROM rtree_observations_geom), (SELECT count(geom) FROM observations)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!((boxes, places), (9, 9));
    let off =
        "SELECT r.id FROM rtree_observations_geom r LEFT JOIN observations o ON o.fid = r.id WHERE o.geom IS NULL";
    assert_eq!(texts(&database, off), [""; 0]);
}

#[test]
fn columns_are_described_and_values_have_their_types() {
    let (_folder, database) = made(2);
    let described = "SELECT column_name || ': ' || description FROM gpkg_data_columns WHERE column_name = 'cd_nom'";
    assert_eq!(texts(&database, described), ["cd_nom: Définition de cd_nom"]);
    let types = "SELECT typeof(nom_cite) || typeof(cd_nom) || typeof(\"precision\") || typeof(sensible) || typeof(date_jour)
        || typeof(heure) || typeof(date_debut) || typeof(champs) || ' ' || sensible || date_debut FROM observations WHERE fid = 2";
    assert_eq!(
        texts(&database, types),
        ["textintegerrealintegertexttexttexttext 02026-11-29T10:00:00.000Z".to_owned()]
    );
}

#[test]
fn names_may_be_what_they_like() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.gpkg");
    let mut layer = sample::layer(&[("fid", Kind::Text), ("FID_2", Kind::Text), ("l'\"ordre\" <t>", Kind::Text)]);
    layer.name = "flux d'\"export\" <r>".to_owned();
    let values = vec![Some("x".to_owned()), None, Some("a\"b".to_owned())];
    let row = sample::Owned { id: None, geometry: Some(sample::point(2.0, 48.0)), values };
    sample::write(Format::GeoPackage, &path, &layer, &[row]).unwrap();
    let database = Connection::open(&path).unwrap();
    let names = "SELECT name FROM pragma_table_info('flux d''\"export\" <r>')";
    assert_eq!(texts(&database, names), ["fid_3", "geom", "fid", "FID_2", "l'\"ordre\" <t>"]);
    database.execute("DELETE FROM \"flux d'\"\"export\"\" <r>\"", []).unwrap();
    let boxes = "SELECT count(*) || '' FROM \"rtree_flux d'\"\"export\"\" <r>_geom\"";
    assert_eq!(texts(&database, boxes), ["0"], "the trigger works");
}

#[test]
fn nothing_stands_beside_the_file() {
    let (folder, database) = made(1000);
    drop(database);
    let names: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["flow.gpkg"]);
}
