//! Geometries: WKB as it comes, checked once, then rendered by each format.
//!
//! Terms: ISO WKB is that of OGC 06-103r4, section 8; EWKB is PostGIS's, with flags for dimensions and a reference system
//! (PostGIS manual, "WKB"). The *bounds* are those of its positions; a geometry without any is *empty*.
//!
//! What passes [`Geometry::read`] has known types (points, lines, polygons, their multiples, collections), finite
//! coordinates in two dimensions, no reference system but 4326, and no byte too many or too few. It fails with a sentence
//! that never shows a coordinate: errors are logged, and the place may be sensitive.

use geozero::error::{GeozeroError, Result as GeozeroResult};
use geozero::wkb::{WkbDialect, WkbWriter, process_ewkb_geom, process_wkb_geom};
use geozero::wkt::WktWriter;
use geozero::{CoordDimensions, GeomProcessor};

use crate::writer::Problem;

/// The one reference system.
pub(crate) const SRID: i32 = 4326;

/// Collections within collections that are read. Each costs a frame of the stack.
const MAX_DEPTH: usize = 16;

/// Type code of a point, ISO and EWKB.
const POINT: u32 = 1;

/// Flags of EWKB: altitude, measure, reference system.
const EWKB_FLAGS: u32 = 0xE000_0000;

/// The box around positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) min_x: f64,
    pub(crate) max_x: f64,
    pub(crate) min_y: f64,
    pub(crate) max_y: f64,
}

impl Bounds {
    fn of(x: f64, y: f64) -> Self {
        Self { min_x: x, max_x: x, min_y: y, max_y: y }
    }

    /// The box around two boxes, of which there may be none.
    pub(crate) fn around(one: Option<Self>, other: Self) -> Self {
        let Some(one) = one else { return other };
        Self {
            min_x: one.min_x.min(other.min_x),
            max_x: one.max_x.max(other.max_x),
            min_y: one.min_y.min(other.min_y),
            max_y: one.max_y.max(other.max_y),
        }
    }
}

/// A geometry that was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry<'a> {
    wkb: &'a [u8],
    is_ewkb: bool,
    is_point: bool,
    bounds: Option<Bounds>,
}

impl<'a> Geometry<'a> {
    pub(crate) fn read(wkb: &'a [u8]) -> Result<Self, Problem> {
        let &[order, a, b, c, d, ..] = wkb else { return Err(malformed("is shorter than a type")) };
        let code = match order {
            0 => u32::from_be_bytes([a, b, c, d]),
            1 => u32::from_le_bytes([a, b, c, d]),
            _ => return Err(malformed("begins with no byte order")),
        };
        let is_ewkb = code & EWKB_FLAGS != 0;
        let mut check = Check::default();
        let mut rest = wkb;
        match process(&mut rest, is_ewkb, &mut check) {
            Ok(()) if rest.is_empty() => {}
            Ok(()) => return Err(malformed("goes on after its end")),
            Err(error) => {
                return Err(match check.problem {
                    Some(reason) => Problem::Geometry(reason),
                    None if matches!(error, GeozeroError::IoError(_)) => malformed("ends too early"),
                    None => malformed("holds an unknown type"),
                });
            }
        }
        Ok(Self { wkb, is_ewkb, is_point: code & !EWKB_FLAGS == POINT, bounds: check.bounds })
    }

    /// Nothing for an empty geometry.
    pub(crate) fn bounds(&self) -> Option<Bounds> {
        self.bounds
    }

    pub(crate) fn is_point(&self) -> bool {
        self.is_point
    }

    /// Shows it to a processor, its parts in order.
    pub(crate) fn show(&self, processor: &mut impl GeomProcessor) -> Result<(), Problem> {
        let mut rest = self.wkb;
        // It was read before: only the processor can fail.
        process(&mut rest, self.is_ewkb, processor)
            .map_err(|error| Problem::Geometry(format!("cannot be written: {error}")))
    }

    /// Appends well-known text (OGC 06-103r4, section 7), with as many digits as each coordinate needs to be read back.
    pub(crate) fn write_wkt(&self, out: &mut Vec<u8>) -> Result<(), Problem> {
        self.show(&mut WktWriter::new(out))
    }

    /// Appends ISO WKB, little-endian.
    pub(crate) fn write_wkb(&self, out: &mut Vec<u8>) -> Result<(), Problem> {
        if self.is_point && self.bounds.is_none() {
            // The convention for an empty point, also OGC 12-128r19, section 2.1.3.
            out.push(1);
            out.extend_from_slice(&POINT.to_le_bytes());
            out.extend_from_slice(&f64::NAN.to_le_bytes());
            out.extend_from_slice(&f64::NAN.to_le_bytes());
            return Ok(());
        }
        self.show(&mut WkbWriter::new(out, WkbDialect::Wkb))
    }
}

fn process(rest: &mut &[u8], is_ewkb: bool, processor: &mut impl GeomProcessor) -> GeozeroResult<()> {
    if is_ewkb { process_ewkb_geom(rest, processor) } else { process_wkb_geom(rest, processor) }
}

fn malformed(what: &str) -> Problem {
    Problem::Geometry(format!("is malformed WKB: it {what}; check it with ST_IsValid"))
}

/// Finds the bounds, and what formats cannot hold.
#[derive(Default)]
struct Check {
    bounds: Option<Bounds>,
    depth: usize,
    problem: Option<String>,
}

impl Check {
    fn refuse(&mut self, reason: impl Into<String>) -> GeozeroResult<()> {
        self.problem = Some(reason.into());
        Err(GeozeroError::GeometryFormat)
    }

    fn refuse_curve(&mut self) -> GeozeroResult<()> {
        self.refuse("is curved or a surface, which GeoJSON does not know; use ST_CurveToLine or ST_Dump")
    }
}

impl GeomProcessor for Check {
    // All dimensions, so that altitudes and measures are seen.
    fn dimensions(&self) -> CoordDimensions {
        CoordDimensions::xyzm()
    }

    fn srid(&mut self, srid: Option<i32>) -> GeozeroResult<()> {
        match srid {
            None | Some(SRID) => Ok(()),
            Some(srid) => self.refuse(format!("is in the reference system {srid}; use ST_Transform(…, {SRID})")),
        }
    }

    fn coordinate(
        &mut self,
        x: f64,
        y: f64,
        z: Option<f64>,
        m: Option<f64>,
        _: Option<f64>,
        _: Option<u64>,
        _: usize,
    ) -> GeozeroResult<()> {
        if z.is_some() || m.is_some() {
            return self.refuse("has altitudes or measures; use ST_Force2D");
        }
        if !(x.is_finite() && y.is_finite()) {
            return self.refuse("has a coordinate that is no finite number; mend or remove the geometry");
        }
        self.bounds = Some(Bounds::around(self.bounds, Bounds::of(x, y)));
        Ok(())
    }

    fn empty_point(&mut self, _: usize) -> GeozeroResult<()> {
        if self.depth > 0 {
            return self.refuse("is a collection with an empty point; use ST_CollectionHomogenize or remove the point");
        }
        Ok(())
    }

    fn geometrycollection_begin(&mut self, _: usize, _: usize) -> GeozeroResult<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.refuse("has too many collections within collections; use ST_CollectionHomogenize");
        }
        Ok(())
    }

    fn geometrycollection_end(&mut self, _: usize) -> GeozeroResult<()> {
        self.depth -= 1;
        Ok(())
    }

    fn circularstring_begin(&mut self, _: usize, _: usize) -> GeozeroResult<()> {
        self.refuse_curve()
    }

    fn compoundcurve_begin(&mut self, _: usize, _: usize) -> GeozeroResult<()> {
        self.refuse_curve()
    }

    fn curvepolygon_begin(&mut self, _: usize, _: usize) -> GeozeroResult<()> {
        self.refuse_curve()
    }

    fn multicurve_begin(&mut self, _: usize, _: usize) -> GeozeroResult<()> {
        self.refuse_curve()
    }

    fn multisurface_begin(&mut self, _: usize, _: usize) -> GeozeroResult<()> {
        self.refuse_curve()
    }

    fn triangle_begin(&mut self, _: bool, _: usize, _: usize) -> GeozeroResult<()> {
        self.refuse_curve()
    }

    fn polyhedralsurface_begin(&mut self, _: usize, _: usize) -> GeozeroResult<()> {
        self.refuse_curve()
    }

    fn tin_begin(&mut self, _: usize, _: usize) -> GeozeroResult<()> {
        self.refuse_curve()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
pub(crate) mod tests {
    use geozero::ToWkb;
    use geozero::wkt::Wkt;
    use proptest::prelude::*;

    use super::*;

    /// ISO WKB of a text.
    pub(crate) fn wkb(wkt: &str) -> Vec<u8> {
        Wkt(wkt).to_wkb(CoordDimensions::xy()).unwrap()
    }

    fn reason(wkb: &[u8]) -> String {
        match Geometry::read(wkb) {
            Err(Problem::Geometry(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn wkt(wkb: &[u8]) -> String {
        let mut text = Vec::new();
        Geometry::read(wkb).unwrap().write_wkt(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_type_is_read_and_written_as_text_and_as_wkb() {
        for text in [
            "POINT(2.35 48.85)",
            "LINESTRING(2 48,3 49)",
            "POLYGON((2 48,3 48,3 49,2 48),(2.1 48.1,2.2 48.1,2.2 48.2,2.1 48.1))",
            "MULTIPOINT(2 48,3 49)",
            "MULTILINESTRING((2 48,3 49),(4 50,5 51))",
            "MULTIPOLYGON(((2 48,3 48,3 49,2 48)),((4 48,5 48,5 49,4 48)))",
            "GEOMETRYCOLLECTION(POINT(2 48),GEOMETRYCOLLECTION(LINESTRING(2 48,3 49)),POLYGON((2 48,3 48,3 49,2 48)))",
            "POLYGON EMPTY",
            "GEOMETRYCOLLECTION EMPTY",
        ] {
            let iso = wkb(text);
            assert_eq!(wkt(&iso), text);
            let mut again = Vec::new();
            Geometry::read(&iso).unwrap().write_wkb(&mut again).unwrap();
            assert_eq!(again, iso, "{text}");
            let ewkb = Wkt(text).to_ewkb(CoordDimensions::xy(), Some(SRID)).unwrap();
            assert_ne!(ewkb, iso);
            again.clear();
            Geometry::read(&ewkb).unwrap().write_wkb(&mut again).unwrap();
            assert_eq!(again, iso, "{text}: the reference system is left out");
        }
    }

    #[test]
    fn bounds_are_those_of_all_positions() {
        let geometry = wkb("MULTIPOINT(2 50,-3 49,0 51)");
        let bounds = Geometry::read(&geometry).unwrap().bounds();
        assert_eq!(bounds, Some(Bounds { min_x: -3.0, max_x: 2.0, min_y: 49.0, max_y: 51.0 }));
        assert_eq!(Geometry::read(&wkb("LINESTRING EMPTY")).unwrap().bounds(), None);
    }

    #[test]
    fn an_empty_point_is_kept() {
        let mut empty = vec![1, 1, 0, 0, 0];
        empty.extend_from_slice(&[f64::NAN.to_le_bytes(), f64::NAN.to_le_bytes()].concat());
        let geometry = Geometry::read(&empty).unwrap();
        assert!(geometry.is_point() && geometry.bounds().is_none());
        assert_eq!(wkt(&empty), "POINT EMPTY");
        let mut again = Vec::new();
        geometry.write_wkb(&mut again).unwrap();
        assert_eq!(again, empty);
    }

    #[test]
    fn big_endian_is_read() {
        let mut point = vec![0, 0, 0, 0, 1];
        point.extend_from_slice(&[2.0_f64.to_be_bytes(), 48.0_f64.to_be_bytes()].concat());
        assert_eq!(wkt(&point), "POINT(2 48)");
    }

    #[test]
    fn what_no_format_can_hold_is_refused_with_a_cure() {
        let lambert = Wkt("POINT(652000 6862000)").to_ewkb(CoordDimensions::xy(), Some(2154)).unwrap();
        assert_eq!(reason(&lambert), "is in the reference system 2154; use ST_Transform(…, 4326)");
        let high = Wkt("POINT Z(2 48 35)").to_ewkb(CoordDimensions::xyz(), None).unwrap();
        assert!(reason(&high).contains("ST_Force2D"));
        let iso_high = Wkt("POINT Z(2 48 35)").to_wkb(CoordDimensions::xyz()).unwrap();
        assert!(reason(&iso_high).contains("ST_Force2D"));
        let mut endless = wkb("POINT(2 48)");
        endless.splice(5..13, f64::INFINITY.to_le_bytes());
        assert!(reason(&endless).contains("no finite number"));
        let mut half_empty = wkb("MULTIPOINT(2 48,3 49)");
        half_empty.splice(14..22, f64::NAN.to_le_bytes());
        assert!(reason(&half_empty).contains("no finite number"));
        for code in [8_u8, 9, 10, 11, 12, 15, 16, 17] {
            let curve = [&[1, code, 0, 0, 0][..], &[0; 16]].concat();
            assert!(reason(&curve).contains("ST_CurveToLine"), "{code}");
        }
    }

    #[test]
    fn malformed_wkb_is_said_to_be_so() {
        let point = wkb("POINT(2 48)");
        assert!(reason(&[]).contains("shorter than a type"));
        assert!(reason(&[7, 1, 0, 0, 0]).contains("no byte order"));
        assert!(reason(&point[..20]).contains("ends too early"));
        assert!(reason(&[&point[..], &[0]].concat()).contains("goes on after its end"));
        assert!(reason(&[1, 99, 0, 0, 0]).contains("unknown type"));
        // Four thousand million points are announced, none comes.
        assert!(reason(&[1, 4, 0, 0, 0, 255, 255, 255, 255]).contains("ends too early"));
        let nested = [1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(200_000);
        assert!(reason(&nested).contains("too many collections"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 1_u8..8, order in 0_u8..2) {
            let _ = Geometry::read(&bytes);
            let typed = if order == 1 { [&[1, kind, 0, 0, 0][..], &bytes].concat() } else { [&[0, 0, 0, 0, kind][..], &bytes].concat() };
            if let Ok(geometry) = Geometry::read(&typed) {
                let mut out = Vec::new();
                geometry.write_wkt(&mut out).map_err(|problem| TestCaseError::fail(format!("{problem:?}")))?;
                out.clear();
                geometry.write_wkb(&mut out).map_err(|problem| TestCaseError::fail(format!("{problem:?}")))?;
                prop_assert!(Geometry::read(&out).is_ok());
            }
        }
    }
}
