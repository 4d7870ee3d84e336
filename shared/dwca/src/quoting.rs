//! Undoing the quoting of small downloads.
//!
//! GBIF has two writers. For small downloads (SuperCSV, `gbif/occurrence` `DwcaDownloadWorker.java`) a value that holds
//! `"` is enclosed in `"` and each inner `"` is doubled. For large ones (Spark text tables) a `"` is an ordinary character. The
//! descriptor says "no quoting" in both, and nothing in the archive tells which writer made it.
//!
//! Rule, exact: a value that starts and ends with `"`, is at least 2 bytes long, and whose inside holds at least one `""`
//! and only paired quotes, is undone; every other value is raw. So `"foo"`, which a small download never quotes, stays.

use std::borrow::Cow;

use memchr::memchr;

/// The value without the quoting of small downloads. Allocates only for a value that was quoted.
#[inline]
pub fn unquote(value: &str) -> Cow<'_, str> {
    if !value.starts_with('"') {
        return Cow::Borrowed(value);
    }
    undouble(value).map_or(Cow::Borrowed(value), Cow::Owned)
}

/// The inside with `""` turned into `"`, or nothing when the value is raw.
#[cold]
fn undouble(value: &str) -> Option<String> {
    let mut rest = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut plain = String::with_capacity(rest.len());
    let mut pairs = 0_usize;
    while let Some(at) = memchr(b'"', rest.as_bytes()) {
        let (before, quotes) = rest.split_at(at);
        rest = quotes.strip_prefix("\"\"")?;
        plain.push_str(before);
        plain.push('"');
        pairs += 1;
    }
    plain.push_str(rest);
    (pairs > 0).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_are_undone() {
        for (quoted, plain) in [
            (r#""3mm (1/8"")""#, r#"3mm (1/8")"#),
            (r#""""Tick bomb"" of larval""#, r#""Tick bomb" of larval"#),
            (r#""{""a"": ""b""}""#, r#"{"a": "b"}"#),
            (r#""""""#, r#"""#),
            (r#""""foo""""#, r#""foo""#),
        ] {
            assert_eq!(unquote(quoted), plain);
            assert!(matches!(unquote(quoted), Cow::Owned(_)));
        }
    }

    #[test]
    fn raw_values_stay() {
        for raw in [
            "",
            "plain",
            r#"""#,
            r#""""#,
            r#"""""#,
            r#""foo""#,
            r#""NSG X" Mitte "Y""#,
            r#""open"#,
            r#"close""#,
            r#"6" pot"#,
            r#""a "" b"#,
            r#""a """ b""#,
        ] {
            assert_eq!(unquote(raw), raw);
            assert!(matches!(unquote(raw), Cow::Borrowed(_)));
        }
    }
}
