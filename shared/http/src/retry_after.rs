//! The `Retry-After` header in both of its forms: seconds, or a date (RFC 9110, section 10.2.3).
//!
//! GBIF sends seconds with some of its 429 answers; iNaturalist sends a date during planned maintenance. The present time
//! is a parameter, so that the second form can be tested.

use chrono::{DateTime, NaiveDateTime, Utc};
use std::time::Duration;

/// The longest wait that is believed: a week. A longer one is a mistake of the server's clock or of ours.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads the header's value. A date in the past is no wait at all; what is neither form is `None`.
pub fn parse(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let until = http_date(value)?;
    Some((until - now).to_std().unwrap_or(Duration::ZERO).min(LONGEST))
}

/// The three date formats a recipient must accept (RFC 9110, section 5.6.7).
fn http_date(value: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = DateTime::parse_from_rfc2822(value) {
        return Some(date.with_timezone(&Utc));
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(value, format).ok())
        .map(|date| date.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn now() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("1994-11-06T08:48:00Z").expect("a date").to_utc()
    }

    #[rstest]
    #[case("77", 77)]
    #[case(" 0 ", 0)]
    #[case("99999999999999999999999", LONGEST.as_secs())]
    #[case("Sun, 06 Nov 1994 08:49:37 GMT", 97)]
    #[case("Sunday, 06-Nov-94 08:49:37 GMT", 97)]
    #[case("Sun Nov  6 08:49:37 1994", 97)]
    #[case("Sun, 06 Nov 1994 08:00:00 GMT", 0)]
    #[case("Fri, 01 Jan 2100 00:00:00 GMT", LONGEST.as_secs())]
    fn both_forms_are_read(#[case] value: &str, #[case] seconds: u64) {
        assert_eq!(parse(value, now()), Some(Duration::from_secs(seconds)));
    }

    #[rstest]
    #[case("")]
    #[case("-1")]
    #[case("soon")]
    #[case("1.5")]
    fn anything_else_is_no_answer(#[case] value: &str) {
        assert_eq!(parse(value, now()), None);
    }
}
