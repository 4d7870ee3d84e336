//! JSON: one array of objects (RFC 8259), one object a line, with the geometry as WKT in its last member.
//!
//! Every member is there in every object, `null` where nothing is known. No number loses a digit.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::geometry::Geometry;
use crate::value::Value;
use crate::writer::{Encode, Problem, create_buffered};
use crate::{FormatError, Kind, Layer, Row};

/// The members of an object, with their names ready to be copied.
pub(crate) struct Members {
    /// Beginning of each member, `,"name":`, without the comma in the first one, and its kind.
    members: Vec<(Vec<u8>, Kind)>,
}

impl Members {
    pub(crate) fn new(layer: &Layer) -> Self {
        let beginning = |(index, column): (usize, &crate::Column)| {
            let comma = if index == 0 { "" } else { "," };
            (format!("{comma}{}:", serde_json::Value::from(column.name.as_str())).into_bytes(), column.kind)
        };
        Self { members: layer.columns.iter().enumerate().map(beginning).collect() }
    }

    /// Appends the members, without braces.
    pub(crate) fn write(&self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        for (index, ((beginning, kind), text)) in self.members.iter().zip(row.values).enumerate() {
            out.extend_from_slice(beginning);
            match text {
                None => out.extend_from_slice(b"null"),
                Some(text) => write_value(Value::read(*kind, text).ok_or(Problem::Value(index))?, out)?,
            }
        }
        Ok(())
    }
}

fn write_value(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    match value {
        Value::Text(text) => write_text(text, out)?,
        Value::Integer(_, number) | Value::Real(number) => out.extend_from_slice(number.as_bytes()),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        // Digits and punctuation: nothing to escape.
        Value::Date(text) | Value::Time(text) => {
            out.push(b'"');
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        }
        Value::DateTime(moment) => {
            out.push(b'"');
            moment.write_iso(out)?;
            out.push(b'"');
        }
        // A line end can only stand between tokens, where a blank does as well: an object stays on its line.
        Value::Json(text) => {
            out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }))
        }
    }
    Ok(())
}

/// Appends a text with its quotes.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
    serde_json::to_writer(out, text).map_err(|error| Problem::Io(error.into()))
}

/// A JSON file that is being written.
pub(crate) struct Json {
    file: BufWriter<File>,
    members: Members,
    geometry: Vec<u8>,
    line: Vec<u8>,
    is_first: bool,
}

impl Json {
    pub(crate) fn create(path: &Path, layer: &Layer) -> Result<Self, FormatError> {
        let file = create_buffered(path)?;
        let comma = if layer.columns.is_empty() { "" } else { "," };
        let geometry = format!("{comma}{}:", serde_json::Value::from(layer.geometry_column.as_str())).into_bytes();
        Ok(Self { file, members: Members::new(layer), geometry, line: Vec::new(), is_first: true })
    }
}

impl Encode for Json {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        self.line.clear();
        self.line.extend_from_slice(if self.is_first { b"[\n{" } else { b",\n{" });
        self.is_first = false;
        self.members.write(row, &mut self.line)?;
        self.line.extend_from_slice(&self.geometry);
        match row.geometry {
            None => self.line.extend_from_slice(b"null"),
            Some(wkb) => {
                self.line.push(b'"');
                // Letters, digits and punctuation: nothing to escape.
                Geometry::read(wkb)?.write_wkt(&mut self.line)?;
                self.line.push(b'"');
            }
        }
        self.line.push(b'}');
        Ok(self.file.write_all(&self.line)?)
    }

    fn end(&mut self) -> Result<(), Problem> {
        self.file.write_all(if self.is_first { b"[]\n" } else { b"\n]\n" })?;
        Ok(self.file.flush()?)
    }
}
