//! A zipped Shapefile (ESRI Shapefile Technical Description, 1998): its `.shp`, and the `.prj` of the same name.

use std::io::{Cursor, Read};

use shapefile::{Shape, ShapeReader};
use zip::ZipArchive;

use super::file::{Crs, Encoding, MOST_BYTES, Refused, Shapes};

const WRITE: &str = "zip one Shapefile with its .shp and .prj";

/// Entries of a zip that are looked at.
const MOST_ENTRIES: usize = 1_000;

pub(super) fn read(bytes: &[u8]) -> Result<Shapes, Refused> {
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| Refused::new(format!("is no zip: {error}"), WRITE))?;
    if archive.len() > MOST_ENTRIES {
        return Err(Refused::new(format!("holds more than {MOST_ENTRIES} files"), WRITE));
    }
    // A name that cannot be read is none that is looked for.
    let names: Vec<String> = archive.file_names().filter_map(|name| name.ok().map(|name| name.into_owned())).collect();
    let ends =
        |name: &str, extension: &str| name.to_ascii_lowercase().ends_with(extension) && !name.starts_with("__MACOSX/");
    let layers: Vec<&String> = names.iter().filter(|name| ends(name, ".shp")).collect();
    let layer = match layers[..] {
        [one] => one,
        [] => return Err(Refused::new("holds no .shp", WRITE)),
        _ => return Err(Refused::new("holds several .shp, and nothing tells which one is the territory", WRITE)),
    };
    let stem = &layer[..layer.len() - ".shp".len()];
    let definition = names.iter().find(|name| ends(name, ".prj") && name.get(..stem.len()) == Some(stem));
    let crs = match definition {
        None => Crs::WGS_84,
        Some(name) => Crs::definition(&String::from_utf8_lossy(&entry(&mut archive, name)?)).ok_or_else(|| {
            Refused::new(
                format!("has a {name} that is no WKT of a system of coordinates"),
                "write the file in WGS 84 or Lambert-93",
            )
        })?,
    };
    let shapes = entry(&mut archive, layer)?;
    let mut reader = ShapeReader::new(Cursor::new(shapes))
        .map_err(|error| Refused::new(format!("has a {layer} that is no Shapefile: {error}"), WRITE))?;
    let mut parts = Vec::new();
    for shape in reader.iter_shapes() {
        let shape = shape.map_err(|error| Refused::new(format!("has a {layer} that is broken: {error}"), WRITE))?;
        let rings = match &shape {
            Shape::Polygon(polygon) => {
                rings(polygon.rings().iter().map(|ring| ring.points().iter().map(|p| (p.x, p.y))))
            }
            Shape::PolygonM(polygon) => {
                rings(polygon.rings().iter().map(|ring| ring.points().iter().map(|p| (p.x, p.y))))
            }
            Shape::PolygonZ(polygon) => {
                rings(polygon.rings().iter().map(|ring| ring.points().iter().map(|p| (p.x, p.y))))
            }
            Shape::NullShape => continue,
            other => return Err(Refused::new(format!("holds {} where surfaces are needed", other.shapetype()), WRITE)),
        };
        parts.push(polygon(&rings));
    }
    Ok(Shapes { encoding: Encoding::Wkb, parts, crs })
}

/// An entry, inflated to the limit at most.
fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Vec<u8>, Refused> {
    let broken =
        |error: &dyn std::fmt::Display| Refused::new(format!("has a {name} that cannot be read: {error}"), WRITE);
    let file = archive.by_name(name).map_err(|error| broken(&error))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Refused::new(
            format!("has a {name} of more than {} MiB", MOST_BYTES >> 20),
            "give the border alone, simplified",
        ));
    }
    Ok(bytes)
}

type Ring = Vec<(f64, f64)>;

/// Closed rings; what has no area is none.
fn rings<P: Iterator<Item = (f64, f64)>>(given: impl Iterator<Item = P>) -> Vec<Ring> {
    given
        .map(|points| {
            let mut ring: Ring = points.collect();
            if ring.first() != ring.last()
                && let Some(first) = ring.first().copied()
            {
                ring.push(first);
            }
            ring
        })
        .filter(|ring| ring.len() >= 4)
        .collect()
}

/// One WKB polygon of all rings. The format does not say which hole is in which ring; PostGIS' `ST_MakeValid` takes what an odd number
/// of rings surrounds, which is what the format means.
fn polygon(rings: &[Ring]) -> Vec<u8> {
    let mut wkb = vec![1];
    wkb.extend(3_u32.to_le_bytes());
    wkb.extend((rings.len() as u32).to_le_bytes());
    for ring in rings {
        wkb.extend((ring.len() as u32).to_le_bytes());
        for (x, y) in ring {
            wkb.extend(x.to_le_bytes());
            wkb.extend(y.to_le_bytes());
        }
    }
    wkb
}
