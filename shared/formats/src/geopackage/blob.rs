//! The geometry as a cell: `GP`, version, flags, reference system, envelope, then ISO WKB (OGC 12-128r19, section 2.1.3).

use crate::geometry::{Geometry, SRID};
use crate::writer::Problem;

/// Flag: the numbers of the header are little-endian.
const LITTLE_ENDIAN: u8 = 1;
/// Flags: an envelope of two dimensions follows.
const ENVELOPE_XY: u8 = 1 << 1;
/// Flag: the geometry is empty.
const EMPTY: u8 = 1 << 4;

/// Appends the cell. A point is its own envelope, and has none.
pub(super) fn write(geometry: &Geometry<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let envelope = geometry.bounds().filter(|_| !geometry.is_point());
    let mut flags = LITTLE_ENDIAN;
    if envelope.is_some() {
        flags |= ENVELOPE_XY;
    }
    if geometry.bounds().is_none() {
        flags |= EMPTY;
    }
    out.extend_from_slice(&[b'G', b'P', 0, flags]);
    out.extend_from_slice(&SRID.to_le_bytes());
    if let Some(bounds) = envelope {
        for number in [bounds.min_x, bounds.max_x, bounds.min_y, bounds.max_y] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    geometry.write_wkb(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::geometry::tests::wkb;

    fn blob(wkt: &str) -> (Vec<u8>, Vec<u8>) {
        let (wkb, mut out) = (wkb(wkt), Vec::new());
        write(&Geometry::read(&wkb).unwrap(), &mut out).unwrap();
        (out, wkb)
    }

    #[test]
    fn a_point_has_no_envelope() {
        let (blob, wkb) = blob("POINT(2 48)");
        assert_eq!(blob[..8], [b'G', b'P', 0, 0b1, 0xE6, 0x10, 0, 0]);
        assert_eq!(blob[8..], wkb);
    }

    #[test]
    fn a_polygon_has_one_of_two_dimensions() {
        let (blob, wkb) = blob("POLYGON((2 48,3 48,3 50,2 48))");
        assert_eq!(blob[..8], [b'G', b'P', 0, 0b11, 0xE6, 0x10, 0, 0]);
        assert_eq!(blob[8..40], [2.0_f64, 3.0, 48.0, 50.0].map(f64::to_le_bytes).concat());
        assert_eq!(blob[40..], wkb);
    }

    #[test]
    fn an_empty_geometry_is_marked() {
        let (blob, wkb) = blob("POLYGON EMPTY");
        assert_eq!(blob[3], 0b1_0001);
        assert_eq!(blob[8..], wkb);
    }
}
