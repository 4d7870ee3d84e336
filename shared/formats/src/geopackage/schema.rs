//! The tables of a GeoPackage: OGC 12-128r19, annexes C (definitions), F.3 (R-tree) and F.9 (descriptions of columns).

use rusqlite::{Connection, params};

use crate::geometry::{Bounds, SRID};
use crate::{Kind, Layer};

/// `GPKG`, section 1.1.1.1.1.
const APPLICATION_ID: i32 = 0x4750_4B47;
/// Version 1.4.0, same section.
const USER_VERSION: i32 = 10400;

const TABLES: &str = "
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL,
  srs_id INTEGER PRIMARY KEY,
  organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL,
  definition  TEXT NOT NULL,
  description TEXT
);
CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY,
  data_type TEXT NOT NULL,
  identifier TEXT UNIQUE,
  description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE,
  min_y DOUBLE,
  max_x DOUBLE,
  max_y DOUBLE,
  srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
);
CREATE TABLE gpkg_geometry_columns (
  table_name TEXT NOT NULL,
  column_name TEXT NOT NULL,
  geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL,
  z TINYINT NOT NULL,
  m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id)
);
CREATE TABLE gpkg_extensions (
  table_name TEXT,
  column_name TEXT,
  extension_name TEXT NOT NULL,
  definition TEXT NOT NULL,
  scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name)
);
CREATE TABLE gpkg_data_columns (
  table_name TEXT NOT NULL,
  column_name TEXT NOT NULL,
  name TEXT,
  title TEXT,
  description TEXT,
  mime_type TEXT,
  constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name)
);
CREATE TABLE gpkg_data_column_constraints (
  constraint_name TEXT NOT NULL,
  constraint_type TEXT NOT NULL,
  value TEXT,
  min NUMERIC,
  min_is_inclusive BOOLEAN,
  max NUMERIC,
  max_is_inclusive BOOLEAN,
  description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value)
);
";

/// Section 1.1.2.1.2: the three that every GeoPackage has.
const REFERENCE_SYSTEMS: &str = r#"
INSERT INTO gpkg_spatial_ref_sys VALUES
  ('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined', 'undefined Cartesian coordinate reference system'),
  ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', 'undefined geographic coordinate reference system'),
  ('WGS 84 geodetic', 4326, 'EPSG', 4326, 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]]', 'longitude/latitude coordinates in decimal degrees on the WGS 84 spheroid');
"#;

/// Annex F.3, table by table: `<r>` is the R-tree, `<t>` the table, `<c>` the column, `<i>` the key. Version 1.4 replaced
/// triggers 1 and 3 by 5, 6 and 7. Trigger 6 updates the R-tree: that the annex writes `<t>` there is an erratum.
const TRIGGERS: &str = r#"
CREATE TRIGGER "<r>_insert" AFTER INSERT ON "<t>"
  WHEN (new."<c>" NOT NULL AND NOT ST_IsEmpty(NEW."<c>"))
BEGIN
  INSERT OR REPLACE INTO "<r>" VALUES (
    NEW."<i>",
    ST_MinX(NEW."<c>"), ST_MaxX(NEW."<c>"),
    ST_MinY(NEW."<c>"), ST_MaxY(NEW."<c>")
  );
END;
CREATE TRIGGER "<r>_update2" AFTER UPDATE OF "<c>" ON "<t>"
  WHEN OLD."<i>" = NEW."<i>" AND
       (NEW."<c>" ISNULL OR ST_IsEmpty(NEW."<c>"))
BEGIN
  DELETE FROM "<r>" WHERE id = OLD."<i>";
END;
CREATE TRIGGER "<r>_update4" AFTER UPDATE ON "<t>"
  WHEN OLD."<i>" != NEW."<i>" AND
       (NEW."<c>" ISNULL OR ST_IsEmpty(NEW."<c>"))
BEGIN
  DELETE FROM "<r>" WHERE id IN (OLD."<i>", NEW."<i>");
END;
CREATE TRIGGER "<r>_update5" AFTER UPDATE ON "<t>"
  WHEN OLD."<i>" != NEW."<i>" AND
       (NEW."<c>" NOTNULL AND NOT ST_IsEmpty(NEW."<c>"))
BEGIN
  DELETE FROM "<r>" WHERE id = OLD."<i>";
  INSERT OR REPLACE INTO "<r>" VALUES (
    NEW."<i>",
    ST_MinX(NEW."<c>"), ST_MaxX(NEW."<c>"),
    ST_MinY(NEW."<c>"), ST_MaxY(NEW."<c>")
  );
END;
CREATE TRIGGER "<r>_update6" AFTER UPDATE OF "<c>" ON "<t>"
  WHEN OLD."<i>" = NEW."<i>" AND
       (NEW."<c>" NOTNULL AND NOT ST_IsEmpty(NEW."<c>")) AND
       (OLD."<c>" NOTNULL AND NOT ST_IsEmpty(OLD."<c>"))
BEGIN
  UPDATE "<r>" SET
    minx = ST_MinX(NEW."<c>"),
    maxx = ST_MaxX(NEW."<c>"),
    miny = ST_MinY(NEW."<c>"),
    maxy = ST_MaxY(NEW."<c>")
  WHERE id = NEW."<i>";
END;
CREATE TRIGGER "<r>_update7" AFTER UPDATE OF "<c>" ON "<t>"
  WHEN OLD."<i>" = NEW."<i>" AND
       (NEW."<c>" NOTNULL AND NOT ST_IsEmpty(NEW."<c>")) AND
       (OLD."<c>" ISNULL OR ST_IsEmpty(OLD."<c>"))
BEGIN
  INSERT INTO "<r>" VALUES (
    NEW."<i>",
    ST_MinX(NEW."<c>"), ST_MaxX(NEW."<c>"),
    ST_MinY(NEW."<c>"), ST_MaxY(NEW."<c>")
  );
END;
CREATE TRIGGER "<r>_delete" AFTER DELETE ON "<t>"
  WHEN old."<c>" NOT NULL
BEGIN
  DELETE FROM "<r>" WHERE id = OLD."<i>";
END;
"#;

/// The names of one GeoPackage, and the statements that every row needs.
pub(super) struct Schema {
    table: String,
    geometry: String,
    key: String,
    insert_row: String,
    insert_box: String,
}

impl Schema {
    pub(super) fn new(layer: &Layer) -> Self {
        let mut key = "fid".to_owned();
        let taken = |key: &str| {
            let names = layer.columns.iter().map(|column| &column.name).chain([&layer.geometry_column]);
            names.into_iter().any(|name| name.eq_ignore_ascii_case(key))
        };
        for number in 2.. {
            if !taken(&key) {
                break;
            }
            key = format!("fid_{number}");
        }
        let (table, geometry) = (layer.name.clone(), layer.geometry_column.clone());
        let parameters = vec!["?"; layer.columns.len() + 2].join(",");
        let insert_row = format!("INSERT INTO \"{}\" VALUES ({parameters})", quoted(&table));
        let insert_box = format!("INSERT INTO \"{}\" VALUES (?,?,?,?,?)", quoted(&rtree(&table, &geometry)));
        Self { table, geometry, key, insert_row, insert_box }
    }

    /// Inserts the key, the geometry and the values.
    pub(super) fn insert_row(&self) -> &str {
        &self.insert_row
    }

    /// Inserts the key and its bounds into the R-tree: x, x, y, y.
    pub(super) fn insert_box(&self) -> &str {
        &self.insert_box
    }

    /// Makes the tables, and describes the layer.
    pub(super) fn create(&self, database: &Connection, layer: &Layer) -> rusqlite::Result<()> {
        database.pragma_update(None, "application_id", APPLICATION_ID)?;
        database.pragma_update(None, "user_version", USER_VERSION)?;
        database.execute_batch(TABLES)?;
        database.execute_batch(REFERENCE_SYSTEMS)?;
        let made_at = layer.made_at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) VALUES (?, 'features', ?, ?, ?, ?)",
            params![self.table, self.table, layer.description, made_at, SRID],
        )?;
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES (?, ?, 'GEOMETRY', ?, 0, 0)",
            params![self.table, self.geometry, SRID],
        )?;
        let columns =
            layer.columns.iter().map(|column| format!(",\n  \"{}\" {}", quoted(&column.name), sql_type(column.kind)));
        database.execute_batch(&format!(
            "CREATE TABLE \"{}\" (\n  \"{}\" INTEGER PRIMARY KEY NOT NULL,\n  \"{}\" GEOMETRY{}\n);\nCREATE VIRTUAL TABLE \"{}\" USING rtree(id, minx, maxx, miny, maxy);",
            quoted(&self.table),
            quoted(&self.key),
            quoted(&self.geometry),
            columns.collect::<String>(),
            quoted(&rtree(&self.table, &self.geometry)),
        ))?;
        let mut extension = database.prepare("INSERT INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)")?;
        extension.execute((
            &self.table,
            &self.geometry,
            "gpkg_rtree_index",
            "http://www.geopackage.org/spec120/#extension_rtree",
            "write-only",
        ))?;
        for table in ["gpkg_data_columns", "gpkg_data_column_constraints"] {
            let definition = "http://www.geopackage.org/spec121/#extension_schema";
            extension.execute((table, None::<&str>, "gpkg_schema", definition, "read-write"))?;
        }
        let mut describe = database
            .prepare("INSERT INTO gpkg_data_columns (table_name, column_name, description) VALUES (?, ?, ?)")?;
        for column in layer.columns.iter().filter(|column| !column.definition.is_empty()) {
            describe.execute((&self.table, &column.name, &column.definition))?;
        }
        Ok(())
    }

    /// Makes what the rows must not meet: the triggers; and writes the bounds of all.
    pub(super) fn finish(&self, database: &Connection, bounds: Option<Bounds>) -> rusqlite::Result<()> {
        if let Some(bounds) = bounds {
            database.execute(
                "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ?",
                (bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y),
            )?;
        }
        // One pass: a name may hold what looks like another place.
        let mut triggers = String::with_capacity(TRIGGERS.len() * 2);
        let mut rest = TRIGGERS;
        while let Some((before, after)) = rest.split_once('<') {
            triggers.push_str(before);
            let (place, after) = after.split_once('>').unwrap_or((after, ""));
            triggers.push_str(&match place {
                "r" => quoted(&rtree(&self.table, &self.geometry)),
                "t" => quoted(&self.table),
                "c" => quoted(&self.geometry),
                _ => quoted(&self.key),
            });
            rest = after;
        }
        triggers.push_str(rest);
        database.execute_batch(&triggers)
    }
}

fn rtree(table: &str, geometry: &str) -> String {
    format!("rtree_{table}_{geometry}")
}

/// A name as it stands between double quotes.
fn quoted(name: &str) -> String {
    name.replace('"', "\"\"")
}

/// Section 1.1.1.1.3, table 1. It has no times of the day and no documents.
fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Time | Kind::Json => "TEXT",
        Kind::Integer => "INTEGER",
        Kind::Real => "DOUBLE",
        Kind::Boolean => "BOOLEAN",
        Kind::Date => "DATE",
        Kind::DateTime => "DATETIME",
    }
}
