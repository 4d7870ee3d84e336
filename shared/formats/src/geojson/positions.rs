//! The geometry object of a feature: positions, and the direction of rings.

use geozero::GeomProcessor;
use geozero::error::Result as GeozeroResult;

use crate::geometry::Geometry;
use crate::writer::Problem;

/// What 7 decimals make of a degree.
const SCALE: f64 = 1e7;

/// Writes geometry objects. Between them it keeps only its buffers.
#[derive(Default)]
pub(super) struct Positions {
    out: Vec<u8>,
    ring: Vec<(f64, f64)>,
    in_polygon: bool,
}

impl Positions {
    /// Appends the geometry object.
    pub(super) fn write(&mut self, geometry: &Geometry<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        // The buffer is lent, not copied.
        std::mem::swap(&mut self.out, out);
        let shown = geometry.show(self);
        std::mem::swap(&mut self.out, out);
        shown
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(b',');
        }
    }

    fn begin(&mut self, kind: &str, index: usize) {
        self.comma(index);
        self.out.extend_from_slice(b"{\"type\":\"");
        self.out.extend_from_slice(kind.as_bytes());
        self.out.extend_from_slice(b"\",\"coordinates\":");
    }

    fn begin_list(&mut self, kind: &str, index: usize) -> GeozeroResult<()> {
        self.begin(kind, index);
        self.out.push(b'[');
        Ok(())
    }

    fn end_list(&mut self) -> GeozeroResult<()> {
        self.out.extend_from_slice(b"]}");
        Ok(())
    }

    /// Section 3.1.6: seen from above, the area is on the left of an exterior ring and of a hole.
    fn write_ring(&mut self, is_exterior: bool) {
        if doubled_area(&self.ring) != 0.0 && (doubled_area(&self.ring) > 0.0) != is_exterior {
            self.ring.reverse();
        }
        for (index, &(x, y)) in self.ring.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write_position(x, y, &mut self.out);
        }
    }
}

impl GeomProcessor for Positions {
    fn xy(&mut self, x: f64, y: f64, index: usize) -> GeozeroResult<()> {
        if self.in_polygon {
            self.ring.push((x, y));
        } else {
            self.comma(index);
            write_position(x, y, &mut self.out);
        }
        Ok(())
    }

    fn point_begin(&mut self, index: usize) -> GeozeroResult<()> {
        self.begin("Point", index);
        Ok(())
    }

    fn point_end(&mut self, _: usize) -> GeozeroResult<()> {
        self.out.push(b'}');
        Ok(())
    }

    fn multipoint_begin(&mut self, _: usize, index: usize) -> GeozeroResult<()> {
        self.begin_list("MultiPoint", index)
    }

    fn multipoint_end(&mut self, _: usize) -> GeozeroResult<()> {
        self.end_list()
    }

    fn linestring_begin(&mut self, tagged: bool, _: usize, index: usize) -> GeozeroResult<()> {
        if tagged {
            return self.begin_list("LineString", index);
        }
        self.comma(index);
        self.out.push(b'[');
        self.ring.clear();
        Ok(())
    }

    fn linestring_end(&mut self, tagged: bool, index: usize) -> GeozeroResult<()> {
        if tagged {
            return self.end_list();
        }
        if self.in_polygon {
            self.write_ring(index == 0);
        }
        self.out.push(b']');
        Ok(())
    }

    fn multilinestring_begin(&mut self, _: usize, index: usize) -> GeozeroResult<()> {
        self.begin_list("MultiLineString", index)
    }

    fn multilinestring_end(&mut self, _: usize) -> GeozeroResult<()> {
        self.end_list()
    }

    fn polygon_begin(&mut self, tagged: bool, _: usize, index: usize) -> GeozeroResult<()> {
        self.in_polygon = true;
        if tagged {
            return self.begin_list("Polygon", index);
        }
        self.comma(index);
        self.out.push(b'[');
        Ok(())
    }

    fn polygon_end(&mut self, tagged: bool, _: usize) -> GeozeroResult<()> {
        self.in_polygon = false;
        if tagged {
            return self.end_list();
        }
        self.out.push(b']');
        Ok(())
    }

    fn multipolygon_begin(&mut self, _: usize, index: usize) -> GeozeroResult<()> {
        self.begin_list("MultiPolygon", index)
    }

    fn multipolygon_end(&mut self, _: usize) -> GeozeroResult<()> {
        self.end_list()
    }

    fn geometrycollection_begin(&mut self, _: usize, index: usize) -> GeozeroResult<()> {
        self.comma(index);
        self.out.extend_from_slice(b"{\"type\":\"GeometryCollection\",\"geometries\":[");
        Ok(())
    }

    fn geometrycollection_end(&mut self, _: usize) -> GeozeroResult<()> {
        self.end_list()
    }
}

/// Twice the area within a ring, positive if it runs anticlockwise. Relative to its first position, so that the products
/// of far coordinates do not drown a small ring.
fn doubled_area(ring: &[(f64, f64)]) -> f64 {
    let Some(&(x0, y0)) = ring.first() else { return 0.0 };
    let relative = |&(x, y): &(f64, f64)| (x - x0, y - y0);
    ring.windows(2)
        .map(|pair| match pair {
            [one, two] => {
                let ((x1, y1), (x2, y2)) = (relative(one), relative(two));
                x1 * y2 - x2 * y1
            }
            _ => 0.0,
        })
        .sum()
}

fn write_position(x: f64, y: f64, out: &mut Vec<u8>) {
    out.push(b'[');
    write_degrees(x, out);
    out.push(b',');
    write_degrees(y, out);
    out.push(b']');
}

/// Appends a number with 7 decimals, without the zeros at its end.
fn write_degrees(degrees: f64, out: &mut Vec<u8>) {
    let scaled = (degrees * SCALE).round();
    if scaled.abs() >= 9e15 {
        // No longitude or latitude, but finite: whole digits are all it has.
        out.extend_from_slice(format!("{degrees}").as_bytes());
        return;
    }
    // Within ±9e15, so it is exact.
    #[allow(clippy::cast_possible_truncation, reason = "a whole number that was just compared")]
    let scaled = scaled as i64;
    if scaled < 0 {
        out.push(b'-');
    }
    let mut digits = [b'0'; 20];
    let mut rest = scaled.unsigned_abs();
    let mut start = digits.len();
    // At least the 7 decimals and a digit before the point.
    while rest > 0 || start > digits.len() - 8 {
        start -= 1;
        if let Some(digit) = digits.get_mut(start) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        }
        rest /= 10;
    }
    let (whole, decimals) = digits.split_at(digits.len() - 7);
    out.extend_from_slice(whole.get(start..).unwrap_or_default());
    let kept = decimals.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    if kept > 0 {
        out.push(b'.');
        out.extend_from_slice(decimals.get(..kept).unwrap_or_default());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::tests::wkb;

    fn json(wkt: &str) -> String {
        let (wkb, mut out) = (wkb(wkt), b"> ".to_vec());
        Positions::default().write(&Geometry::read(&wkb).unwrap(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap().strip_prefix("> ").unwrap().to_owned();
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        text
    }

    fn degrees(number: f64) -> String {
        let mut out = Vec::new();
        write_degrees(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_have_7_decimals_at_most() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (2.0, "2"),
            (-2.5, "-2.5"),
            (48.856_614_123, "48.8566141"),
            (-0.000_000_04, "0"),
            (0.000_000_06, "0.0000001"),
            (-0.05, "-0.05"),
            (179.999_999_999, "180"),
            (6_862_000.123, "6862000.123"),
            (1e300, &format!("{}", 1e300)),
        ] {
            assert_eq!(degrees(number), text);
        }
    }

    #[test]
    fn every_type_has_its_object() {
        for (wkt, expected) in [
            ("POINT(2.35 48.85)", r#"{"type":"Point","coordinates":[2.35,48.85]}"#),
            ("LINESTRING(2 48,3 49)", r#"{"type":"LineString","coordinates":[[2,48],[3,49]]}"#),
            ("MULTIPOINT(2 48,3 49)", r#"{"type":"MultiPoint","coordinates":[[2,48],[3,49]]}"#),
            (
                "MULTILINESTRING((2 48,3 49),(4 50,5 51))",
                r#"{"type":"MultiLineString","coordinates":[[[2,48],[3,49]],[[4,50],[5,51]]]}"#,
            ),
            (
                "MULTIPOLYGON(((2 48,3 48,3 49,2 48)),((4 48,5 48,5 49,4 48)))",
                r#"{"type":"MultiPolygon","coordinates":[[[[2,48],[3,48],[3,49],[2,48]]],[[[4,48],[5,48],[5,49],[4,48]]]]}"#,
            ),
            (
                "GEOMETRYCOLLECTION(POLYGON((2 48,3 48,3 49,2 48)),GEOMETRYCOLLECTION(POINT(2 48)),POINT(3 49))",
                r#"{"type":"GeometryCollection","geometries":[{"type":"Polygon","coordinates":[[[2,48],[3,48],[3,49],[2,48]]]},{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[2,48]}]},{"type":"Point","coordinates":[3,49]}]}"#,
            ),
        ] {
            assert_eq!(json(wkt), expected);
        }
    }

    #[test]
    fn exterior_rings_run_anticlockwise_and_holes_clockwise() {
        let right = r#"{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,0]],[[2,1],[3,2],[3,1],[2,1]]]}"#;
        let shell = ["(0 0,9 0,9 9,0 0)", "(0 0,9 9,9 0,0 0)"];
        let hole = ["(2 1,3 2,3 1,2 1)", "(2 1,3 1,3 2,2 1)"];
        for shell in shell {
            for hole in hole {
                assert_eq!(json(&format!("POLYGON({shell},{hole})")), right);
            }
        }
        // In each polygon of several, and far from the origin.
        assert_eq!(
            json(
                "MULTIPOLYGON(((0 0,9 9,9 0,0 0)),((179.0000001 80,179.0000001 80.0000001,179.0000002 80,179.0000001 80)))"
            ),
            r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[9,0],[9,9],[0,0]]],[[[179.0000001,80],[179.0000002,80],[179.0000001,80.0000001],[179.0000001,80]]]]}"#
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_number_is_off_by_half_a_centimetre_at_most(number in -180.0..180.0_f64) {
            let text = degrees(number);
            prop_assert!((text.parse::<f64>().unwrap() - number).abs() <= 0.500_001 / SCALE);
            prop_assert!(text.split('.').nth(1).is_none_or(|decimals| decimals.len() <= 7 && !decimals.ends_with('0')));
        }
    }
}
