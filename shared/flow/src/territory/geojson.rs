//! GeoJSON, RFC 7946. A `crs` of the format's draft of 2008, which GIS still write, is taken at its word.

use geojson::GeoJson;

use super::file::{Crs, Encoding, Refused, Shapes};

const WRITE: &str = "write GeoJSON with polygons, in WGS 84 (EPSG:4326)";

pub(super) fn read(bytes: &[u8]) -> Result<Shapes, Refused> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let parsed: GeoJson =
        serde_json::from_slice(bytes).map_err(|error| Refused::new(format!("is no GeoJSON: {error}"), WRITE))?;
    let foreign = match &parsed {
        GeoJson::Geometry(geometry) => &geometry.foreign_members,
        GeoJson::Feature(feature) => &feature.foreign_members,
        GeoJson::FeatureCollection(features) => &features.foreign_members,
    };
    let crs = match foreign.as_ref().and_then(|members| members.get("crs")) {
        None | Some(serde_json::Value::Null) => Crs::WGS_84,
        Some(crs) => {
            named(crs).ok_or_else(|| Refused::new("names a system of coordinates that is no EPSG code", WRITE))?
        }
    };
    let geometries: Vec<_> = match parsed {
        GeoJson::Geometry(geometry) => vec![geometry],
        GeoJson::Feature(feature) => feature.geometry.into_iter().collect(),
        GeoJson::FeatureCollection(features) => features.features.into_iter().filter_map(|one| one.geometry).collect(),
    };
    let mut parts = Vec::with_capacity(geometries.len());
    for mut geometry in geometries {
        // PostGIS would take a `crs` of one geometry at its word.
        geometry.foreign_members = None;
        parts.push(
            serde_json::to_vec(&geometry).map_err(|error| Refused::new(format!("is no GeoJSON: {error}"), WRITE))?,
        );
    }
    Ok(Shapes { encoding: Encoding::GeoJson, parts, crs })
}

/// `urn:ogc:def:crs:OGC:1.3:CRS84`, `urn:ogc:def:crs:EPSG::2154`, `EPSG:2154`.
fn named(crs: &serde_json::Value) -> Option<Crs> {
    let name = crs.pointer("/properties/name")?.as_str()?.to_ascii_uppercase();
    if name.ends_with("CRS84") {
        return Some(Crs::WGS_84);
    }
    if !name.contains("EPSG") {
        return None;
    }
    name.rsplit(':').next()?.parse().ok().map(Crs::Srid)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[5,45],[6,45],[6,46],[5,45]]]}"#;

    #[test]
    fn geometries_features_and_collections_give_their_geometries() {
        let feature = format!(r#"{{"type":"Feature","properties":{{}},"geometry":{SQUARE}}}"#);
        let empty = r#"{"type":"Feature","properties":null,"geometry":null}"#;
        let collection = format!(r#"{{"type":"FeatureCollection","features":[{feature},{empty},{feature}]}}"#);
        for (text, parts) in [(SQUARE, 1), (&feature, 1), (&collection, 2)] {
            let shapes = read(text.as_bytes()).unwrap();
            assert_eq!((shapes.parts.len(), shapes.crs), (parts, Crs::WGS_84), "{text}");
        }
    }

    #[test]
    fn the_crs_of_the_old_draft_is_taken_at_its_word() {
        for (name, crs) in [
            ("urn:ogc:def:crs:OGC:1.3:CRS84", Some(Crs::WGS_84)),
            ("urn:ogc:def:crs:EPSG::2154", Some(Crs::Srid(2154))),
            ("Lambert", None),
        ] {
            let text = format!(
                r#"{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"{name}"}}}},"features":[]}}"#
            );
            assert_eq!(read(text.as_bytes()).ok().map(|shapes| shapes.crs), crs, "{name}");
        }
        assert!(read(b"{\"type\":\"Polygone\"}").unwrap_err().problem.contains("no GeoJSON"));
    }
}
