//! What the values of each kind of search key look like.
//!
//! As lenient as GBIF's own check (gbif/gbif-api, `SearchTypeValidator`): a range `a,b` with `*` for an open end is a
//! number too, and `"True"` of the manual procedure is a boolean.

use crate::search_keys::Kind;
use chrono::NaiveDate;

/// What the value should have been.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem(pub &'static str);

pub(super) fn check_value(kind: Kind, text: &str) -> Result<(), Problem> {
    let text = text.trim();
    let (fits, expected) = match kind {
        Kind::Text | Kind::Enumeration => (true, "a text"),
        Kind::Integer => (is_range(text, ',', |part| part.parse::<i64>().is_ok()), "a whole number"),
        Kind::Decimal => {
            (is_range(text, ',', |part| part.parse::<f64>().is_ok_and(f64::is_finite)), "a number (with a point)")
        }
        Kind::Boolean => {
            (text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"), "\"true\" or \"false\"")
        }
        Kind::Uuid => (uuid::Uuid::try_parse(text).is_ok() && text.len() == 36, "a UUID"),
        Kind::Country => {
            ((2..=3).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphabetic()), "a country code")
        }
        Kind::Date => (is_range(text, ',', |part| is_range(part, '/', is_date)), "an ISO date or interval"),
    };
    if fits { Ok(()) } else { Err(Problem(expected)) }
}

/// One part, or two of which one may be open.
fn is_range(text: &str, separator: char, fits: impl Fn(&str) -> bool) -> bool {
    match text.split_once(separator) {
        None => fits(text),
        Some((low, high)) => {
            let is_open = |end: &str| matches!(end.trim(), "*" | "");
            let fits = |end: &str| is_open(end) || fits(end.trim());
            fits(low) && fits(high) && !(is_open(low) && is_open(high))
        }
    }
}

/// `2024`, `2024-05`, `2024-05-31`, or a date with a time.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_once('T').unwrap_or((text, "00"));
    let is_day = match date.len() {
        4 => date.bytes().all(|byte| byte.is_ascii_digit()),
        7 => NaiveDate::parse_from_str(&format!("{date}-01"), "%Y-%m-%d").is_ok(),
        _ => NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok(),
    };
    let is_time = !time.is_empty() && time.chars().all(|c| c.is_ascii_digit() || ":.+-Z".contains(c));
    is_day && is_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Kind::Boolean, "True")]
    #[case(Kind::Boolean, "false")]
    #[case(Kind::Integer, "1979")]
    #[case(Kind::Integer, "1979,2000")]
    #[case(Kind::Integer, "1979,*")]
    #[case(Kind::Decimal, "-4.5")]
    #[case(Kind::Uuid, "50c9509d-22c7-4a22-a47d-8c48425ef4a7")]
    #[case(Kind::Country, "FR")]
    #[case(Kind::Date, "2024")]
    #[case(Kind::Date, "2024-05-31")]
    #[case(Kind::Date, "2024-05,2024-06")]
    #[case(Kind::Date, "2024-05-01/2024-06-01")]
    #[case(Kind::Date, "2024-05-01T10:00:00Z")]
    fn usual_values_fit(#[case] kind: Kind, #[case] text: &str) {
        assert_eq!(check_value(kind, text), Ok(()));
    }

    #[rstest]
    #[case(Kind::Boolean, "yes")]
    #[case(Kind::Integer, "1979.5")]
    #[case(Kind::Integer, "*,*")]
    #[case(Kind::Decimal, "4,5,6")]
    #[case(Kind::Decimal, "NaN")]
    #[case(Kind::Uuid, "50c9509d22c74a22a47d8c48425ef4a7")]
    #[case(Kind::Country, "France")]
    #[case(Kind::Date, "31/05/2024")]
    #[case(Kind::Date, "2024-13")]
    fn other_values_do_not(#[case] kind: Kind, #[case] text: &str) {
        assert!(check_value(kind, text).is_err());
    }
}
