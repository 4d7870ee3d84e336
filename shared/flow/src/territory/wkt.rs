//! A file of one geometry as text: WKT (OGC 06-103r4), or PostGIS' EWKT with `SRID=…;` before it.

use std::str::FromStr;

use super::file::{Crs, Encoding, Refused, Shapes};

/// A geometry in a collection in a collection …: more is no territory, and parsers recurse.
const MOST_NESTED: usize = 16;

pub(super) fn read(bytes: &[u8]) -> Result<Shapes, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refused::new("is no text in UTF-8", "write WKT"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let (crs, text) = match text.split_once(';') {
        None => (Crs::WGS_84, text),
        Some((srid, rest)) => {
            let srid = srid.trim().strip_prefix("SRID=").and_then(|srid| srid.parse().ok());
            let srid = srid.ok_or_else(|| Refused::new("begins with no SRID", "write SRID=2154;POLYGON((…))"))?;
            (Crs::Srid(srid), rest.trim())
        }
    };
    if nesting(text) > MOST_NESTED {
        return Err(Refused::new("is nested too deeply", "give one POLYGON or MULTIPOLYGON"));
    }
    wkt::Wkt::<f64>::from_str(text)
        .map_err(|error| Refused::new(format!("is no WKT: {error}"), "give one POLYGON((…)) or MULTIPOLYGON(((…)))"))?;
    Ok(Shapes { encoding: Encoding::Wkt, parts: vec![text.as_bytes().to_vec()], crs })
}

fn nesting(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' => now += 1,
            b')' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_srid_may_come_before_and_wgs_84_is_meant_without() {
        assert_eq!(read(b"POLYGON((5 45,6 45,6 46,5 45))\n").unwrap().crs, Crs::WGS_84);
        let local = read(b"SRID=2154; POLYGON((0 0,1 0,1 1,0 0))").unwrap();
        assert_eq!(local.crs, Crs::Srid(2154));
        assert_eq!(local.parts, [b"POLYGON((0 0,1 0,1 1,0 0))".to_vec()]);
    }

    #[test]
    fn what_is_no_wkt_is_refused_and_a_deep_one_before_it_is_parsed() {
        for (text, problem) in [
            ("POLYGON((5 45", "no WKT"),
            ("EPSG:2154;POINT(1 1)", "no SRID"),
            (&"GEOMETRYCOLLECTION(".repeat(100_000), "nested"),
        ] {
            let refused = read(text.as_bytes()).unwrap_err();
            assert!(refused.problem.contains(problem), "{}", refused.problem);
        }
    }
}
