//! GeoPackage 1.4: OGC 12-128r19, an SQLite database with one feature table and its R-tree.
//!
//! Everything happens in one transaction without a journal: there is nothing to go back to but an empty file. The R-tree is
//! filled by hand, because its triggers call functions that only a GIS has; they are made last, for whoever edits the file
//! later. SQLite's cache is bounded, so memory is too.
//!
//! The primary key is the number of the row, in the column `fid`, or `fid_2` and so on where the layer has such a column.

mod blob;
mod boxes;
mod schema;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::{Null, ToSqlOutput, ValueRef};

use crate::geometry::{Bounds, Geometry};
use crate::value::Value;
use crate::writer::{Encode, Problem, create};
use crate::{FormatError, Kind, Layer, Row};
use boxes::Boxes;
use schema::Schema;

/// What SQLite may keep of the file in memory, in KiB, as a negative number of its pragma.
const CACHE_KIB: i32 = -4096;

/// A GeoPackage that is being written.
pub(crate) struct GeoPackage {
    path: PathBuf,
    /// Closed when the file is finished.
    database: Option<Connection>,
    schema: Schema,
    kinds: Vec<Kind>,
    rows: i64,
    bounds: Option<Bounds>,
    boxes: Boxes,
    blob: Vec<u8>,
    moment: Vec<u8>,
}

impl GeoPackage {
    pub(crate) fn create(path: &Path, layer: &Layer) -> Result<Self, FormatError> {
        let sqlite = |source| FormatError::Sqlite { doing: "the making", path: path.to_owned(), source };
        // SQLite would go on with what is there.
        drop(create(path)?);
        let schema = Schema::new(layer);
        let database = Connection::open(path).map_err(sqlite)?;
        // The insertions of a row and of a box, and no more.
        database.set_prepared_statement_cache_capacity(2);
        // Each of these answers with a row, so they are no batch.
        for (pragma, value) in [("journal_mode", "OFF"), ("locking_mode", "EXCLUSIVE")] {
            database.pragma_update_and_check(None, pragma, value, |_| Ok(())).map_err(sqlite)?;
        }
        database.pragma_update(None, "synchronous", "OFF").map_err(sqlite)?;
        database.pragma_update(None, "cache_size", CACHE_KIB).map_err(sqlite)?;
        database.execute_batch("BEGIN EXCLUSIVE").map_err(sqlite)?;
        schema.create(&database, layer).map_err(sqlite)?;
        Ok(Self {
            path: path.to_owned(),
            database: Some(database),
            schema,
            kinds: layer.columns.iter().map(|column| column.kind).collect(),
            rows: 0,
            bounds: None,
            boxes: Boxes::default(),
            blob: Vec::new(),
            moment: Vec::new(),
        })
    }

    fn closed(&self) -> Problem {
        Problem::Io(std::io::Error::other(format!("{} is finished already", self.path.display())))
    }
}

impl Encode for GeoPackage {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        let Some(database) = &self.database else { return Err(self.closed()) };
        self.rows += 1;
        let mut insert = database.prepare_cached(self.schema.insert_row())?;
        insert.raw_bind_parameter(1, self.rows)?;
        let geometry = row.geometry.map(Geometry::read).transpose()?;
        match &geometry {
            None => insert.raw_bind_parameter(2, Null)?,
            Some(geometry) => {
                self.blob.clear();
                blob::write(geometry, &mut self.blob)?;
                insert.raw_bind_parameter(2, &self.blob)?;
            }
        }
        for (index, text) in row.values.iter().enumerate() {
            let parameter = index + 3;
            let (Some(text), Some(&kind)) = (text, self.kinds.get(index)) else {
                insert.raw_bind_parameter(parameter, Null)?;
                continue;
            };
            match Value::read(kind, text).ok_or(Problem::Value(index))? {
                Value::Integer(number, _) => insert.raw_bind_parameter(parameter, number)?,
                Value::Real(text) => {
                    insert.raw_bind_parameter(parameter, text.parse::<f64>().map_err(|_| Problem::Value(index))?)?;
                }
                Value::Boolean(is_true) => insert.raw_bind_parameter(parameter, is_true)?,
                Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::Json(text) => {
                    insert.raw_bind_parameter(parameter, text)?;
                }
                Value::DateTime(moment) => {
                    self.moment.clear();
                    moment.write_milliseconds(&mut self.moment)?;
                    insert.raw_bind_parameter(parameter, ToSqlOutput::Borrowed(ValueRef::Text(&self.moment)))?;
                }
            }
        }
        insert.raw_execute()?;
        if let Some(bounds) = geometry.and_then(|geometry| geometry.bounds()) {
            self.boxes.add(self.rows, bounds, database, self.schema.insert_box())?;
            self.bounds = Some(Bounds::around(self.bounds, bounds));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(database) = self.database.take() else { return Err(self.closed()) };
        self.boxes.insert(&database, self.schema.insert_box())?;
        self.schema.finish(&database, self.bounds)?;
        database.execute_batch("COMMIT")?;
        database.close().map_err(|(_, error)| Problem::Sqlite(error))
    }
}
