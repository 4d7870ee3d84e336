//! GeoJSON: RFC 7946, as one collection or as one feature a line.
//!
//! Without a `crs` member (section 4), positions in longitude and latitude with 7 decimals, a centimetre, at most
//! (section 11.2 asks for no more than is needed), exterior rings anticlockwise and holes clockwise (section 3.1.6), the
//! feature's `id` where it has one (section 3.2), `null` for a geometry that is missing or empty (sections 3.1 and 3.2).
//! Polygons that cross the antimeridian are not cut, which section 3.1.9 would like.

mod positions;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::geometry::Geometry;
use crate::json::{Members, write_text};
use crate::writer::{Encode, Problem, create_buffered};
use crate::{FormatError, Layer, Row};
use positions::Positions;

/// What stands around features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One feature collection.
    Collection,
    /// Nothing: each feature is a line.
    Lines,
}

/// A GeoJSON file that is being written.
pub(crate) struct GeoJson {
    file: BufWriter<File>,
    members: Members,
    framing: Framing,
    positions: Positions,
    line: Vec<u8>,
    is_first: bool,
}

impl GeoJson {
    pub(crate) fn create(path: &Path, layer: &Layer, framing: Framing) -> Result<Self, FormatError> {
        let mut file = create_buffered(path)?;
        if framing == Framing::Collection {
            file.write_all(b"{\"type\":\"FeatureCollection\",\"features\":[").map_err(|source| FormatError::Io {
                doing: "writing",
                path: path.to_owned(),
                source,
            })?;
        }
        let (members, positions) = (Members::new(layer), Positions::default());
        Ok(Self { file, members, framing, positions, line: Vec::new(), is_first: true })
    }
}

impl Encode for GeoJson {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        self.line.clear();
        if self.framing == Framing::Collection {
            self.line.extend_from_slice(if self.is_first { b"\n" } else { b",\n" });
        }
        self.is_first = false;
        self.line.extend_from_slice(b"{\"type\":\"Feature\",");
        if let Some(id) = row.id {
            self.line.extend_from_slice(b"\"id\":");
            write_text(id, &mut self.line)?;
            self.line.push(b',');
        }
        self.line.extend_from_slice(b"\"geometry\":");
        match row.geometry.map(Geometry::read).transpose()? {
            Some(geometry) if geometry.bounds().is_some() => self.positions.write(&geometry, &mut self.line)?,
            _ => self.line.extend_from_slice(b"null"),
        }
        self.line.extend_from_slice(b",\"properties\":{");
        self.members.write(row, &mut self.line)?;
        self.line.extend_from_slice(b"}}");
        if self.framing == Framing::Lines {
            self.line.push(b'\n');
        }
        Ok(self.file.write_all(&self.line)?)
    }

    fn end(&mut self) -> Result<(), Problem> {
        if self.framing == Framing::Collection {
            self.file.write_all(if self.is_first { b"]}\n" } else { b"\n]}\n" })?;
        }
        Ok(self.file.flush()?)
    }
}
