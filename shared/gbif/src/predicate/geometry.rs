//! Places: `within` a geometry, `geoDistance` from a point.
//!
//! A ring must run anticlockwise. A clockwise one is legal WKT and means the rest of the world, which GBIF lists among
//! the requests that must fail (gbif/occurrence, `example-jobs/failtest-clockwise-within-predicate.json`). Only the outer
//! ring counts: holes run the other way in that project's own examples. MULTIPOLYGON is officially unsupported.

use super::problem::{Problems, shown};
use super::tree::only;
use serde_json::{Map, Value};
use std::str::FromStr;
use wkt::Wkt;
use wkt::types::{Coord, LineString, Polygon};

/// Checks a `within` and gives the number of its points.
pub(super) fn check_within(node: &Map<String, Value>, place: &str, problems: &mut Problems) -> usize {
    only(node, &["type", "geometry"], place, problems);
    let place = format!("{place}.geometry");
    let Some(text) = node.get("geometry").and_then(Value::as_str) else {
        problems.add(place, "`within` needs a geometry as WKT, in a text");
        return 0;
    };
    match parse(text) {
        Err(message) => {
            problems.add(place, message);
            0
        }
        Ok(Wkt::Polygon(polygon)) => {
            check_polygon(&polygon, &place, problems);
            polygon.rings().iter().map(|ring| ring.coords().len()).sum()
        }
        Ok(Wkt::LineString(line)) => {
            check_bounds(line.coords(), &place, problems);
            line.coords().len()
        }
        Ok(Wkt::Point(point)) => {
            check_bounds(point.coord(), &place, problems);
            1
        }
        Ok(_) => {
            problems.add(place, "write a POLYGON");
            0
        }
    }
}

/// Looks at the first word before parsing: collections nest, and nesting without bound is not worth its risk.
fn parse(text: &str) -> Result<Wkt<f64>, String> {
    let word: String = text.trim_start().chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    match word.to_ascii_uppercase().as_str() {
        "POLYGON" | "LINESTRING" | "POINT" => {}
        "MULTIPOLYGON" => {
            return Err("GBIF does not support MULTIPOLYGON; write an `or` of one `within` for each POLYGON".to_owned());
        }
        "MULTILINESTRING" | "MULTIPOINT" | "GEOMETRYCOLLECTION" => {
            return Err(format!("GBIF takes one simple geometry, no {}; write a POLYGON", word.to_ascii_uppercase()));
        }
        _ => return Err(format!("{} is no WKT geometry; write a POLYGON", shown(text))),
    }
    Wkt::from_str(text).map_err(|error| format!("the WKT cannot be read: {error}"))
}

fn check_polygon(polygon: &Polygon<f64>, place: &str, problems: &mut Problems) {
    let Some(outer) = polygon.rings().first() else {
        return problems.add(place, "the polygon is empty");
    };
    for (index, ring) in polygon.rings().iter().enumerate() {
        check_bounds(ring.coords(), place, problems);
        let which = if index == 0 { "the outer ring".to_owned() } else { format!("hole {index}") };
        let (first, last) = (ring.coords().first(), ring.coords().last());
        if ring.coords().len() < 4 {
            problems.add(place, format!("{which} has fewer than four points"));
        } else if first.map(|c| (c.x, c.y)) != last.map(|c| (c.x, c.y)) {
            problems.add(place, format!("{which} is not closed: its last point must repeat its first"));
        }
    }
    let area = doubled_area(outer);
    if area < 0.0 {
        problems.add(
            place,
            "the outer ring runs clockwise, which means everything outside it; write its points in the other order",
        );
    } else if area == 0.0 {
        problems.add(place, "the outer ring has no area");
    }
}

/// Positive when the ring runs anticlockwise. Taken from the first point, so that rings far from the origin lose no digits.
fn doubled_area(ring: &LineString<f64>) -> f64 {
    let Some(origin) = ring.coords().first() else {
        return 0.0;
    };
    let cross = |pair: &[Coord<f64>]| {
        (pair[0].x - origin.x) * (pair[1].y - origin.y) - (pair[1].x - origin.x) * (pair[0].y - origin.y)
    };
    ring.coords().windows(2).map(cross).sum()
}

fn check_bounds<'a>(points: impl IntoIterator<Item = &'a Coord<f64>>, place: &str, problems: &mut Problems) {
    let is_outside = |point: &&Coord<f64>| !(-180.0..=180.0).contains(&point.x) || !(-90.0..=90.0).contains(&point.y);
    if let Some(point) = points.into_iter().find(is_outside) {
        problems.add(
            place,
            format!(
                "the point {} {} is not on Earth; points are longitude, then latitude, in degrees",
                point.x, point.y
            ),
        );
    }
}

/// Checks a `geoDistance`.
pub(super) fn check_distance(node: &Map<String, Value>, place: &str, problems: &mut Problems) {
    only(node, &["type", "latitude", "longitude", "distance"], place, problems);
    for (name, most) in [("latitude", 90.0), ("longitude", 180.0)] {
        let degrees = node.get(name).and_then(Value::as_str).and_then(|text| text.trim().parse::<f64>().ok());
        if !degrees.is_some_and(|degrees| degrees.abs() <= most) {
            problems.add(format!("{place}.{name}"), format!("must be a text with degrees from -{most} to {most}"));
        }
    }
    if !node.get("distance").and_then(Value::as_str).is_some_and(is_distance) {
        problems.add(format!("{place}.distance"), "must be a text such as \"5km\" or \"500m\"");
    }
}

/// A number with a unit of length, as Elasticsearch reads it.
fn is_distance(text: &str) -> bool {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let is_unit =
        matches!(unit.trim().to_ascii_lowercase().as_str(), "" | "m" | "km" | "cm" | "mm" | "mi" | "yd" | "ft" | "nmi");
    is_unit && number.parse::<f64>().is_ok_and(|number| number > 0.0)
}
