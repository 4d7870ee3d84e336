//! Conditional requests: RFC 9110, 13.
//!
//! A date is a weak validator here wherever a file has a compressed one beside it: both were made at one moment, and a range of one must never
//! continue the other (RFC 9110, 8.8.2.2 and 13.1.5). An entity tag, which is the SHA-256 of the very bytes, is strong everywhere.

use std::{ops::Range, time::SystemTime};

use axum::http::{HeaderMap, HeaderName, Method, header};

use crate::range::{self, Asked};

/// What tells a representation from others.
#[derive(Clone, Debug)]
pub(crate) struct Validators {
    /// With its quotation marks.
    pub etag: String,
    /// In whole seconds.
    pub modified: Option<SystemTime>,
    /// Whether no other representation has the same date.
    pub is_date_strong: bool,
}

/// What a request is to be answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it.
    Whole,
    /// These bytes of it.
    Part(Range<u64>),
    /// The client has it.
    NotModified,
    /// It is not what the client takes it for.
    PreconditionFailed,
    /// It has no such bytes.
    Unsatisfiable,
}

/// Judges a request for a representation of `size` bytes, in the order of RFC 9110, 13.2.2.
pub(crate) fn judge(method: &Method, headers: &HeaderMap, validators: &Validators, size: u64) -> Verdict {
    if headers.contains_key(header::IF_MATCH) {
        if !lists(headers, &header::IF_MATCH, &validators.etag, Comparison::Strong) {
            return Verdict::PreconditionFailed;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, &header::IF_UNMODIFIED_SINCE), validators.modified)
        && modified > since
    {
        return Verdict::PreconditionFailed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        if lists(headers, &header::IF_NONE_MATCH, &validators.etag, Comparison::Weak) {
            return Verdict::NotModified;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, &header::IF_MODIFIED_SINCE), validators.modified)
        && modified <= since
    {
        return Verdict::NotModified;
    }
    // GET is the only method with ranges (RFC 9110, 14.2).
    if method != Method::GET || !is_range_wanted(headers, validators) {
        return Verdict::Whole;
    }
    match sole(headers, &header::RANGE).map(|value| range::read(value, size)) {
        None | Some(Asked::Whole) => Verdict::Whole,
        Some(Asked::Part(part)) => Verdict::Part(part),
        Some(Asked::Nothing) => Verdict::Unsatisfiable,
    }
}

/// RFC 9110, 13.1.5: a range only of what the client has the beginning of.
fn is_range_wanted(headers: &HeaderMap, validators: &Validators) -> bool {
    if !headers.contains_key(header::IF_RANGE) {
        return true;
    }
    let Some(value) = sole(headers, &header::IF_RANGE).map(str::trim) else { return false };
    if value.starts_with('"') || value.starts_with("W/") {
        return value == validators.etag;
    }
    validators.is_date_strong && httpdate::parse_http_date(value).is_ok_and(|date| Some(date) == validators.modified)
}

/// The value of a header that stands there once.
fn sole<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(sole(headers, name)?).ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags, or `*`, names the representation (RFC 9110, 8.8.3.2).
fn lists(headers: &HeaderMap, name: &HeaderName, etag: &str, comparison: Comparison) -> bool {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).any(|line| {
        if line.trim() == "*" {
            return true;
        }
        let mut rest = line;
        while let Some((tag, is_weak, after)) = next_tag(rest) {
            if tag == etag && (comparison == Comparison::Weak || !is_weak) {
                return true;
            }
            rest = after;
        }
        false
    })
}

/// The first entity tag of a list with its quotation marks, whether it is weak, and what follows it. A comma may stand inside of one.
fn next_tag(list: &str) -> Option<(&str, bool, &str)> {
    let list = list.trim_start_matches([' ', '\t', ',']);
    let (is_weak, tag) = list.strip_prefix("W/").map_or((false, list), |tag| (true, tag));
    let inside = tag.strip_prefix('"')?;
    let end = inside.find('"')? + 2;
    Some((&tag[..end], is_weak, &tag[end..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    const MODIFIED: &str = "Sun, 29 Nov 2026 02:00:00 GMT";
    const BEFORE: &str = "Sun, 29 Nov 2026 01:59:59 GMT";

    fn verdict_of(method: &Method, lines: &[(HeaderName, &str)], is_date_strong: bool) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        let modified = Some(httpdate::parse_http_date(MODIFIED).unwrap());
        judge(method, &headers, &Validators { etag: "\"abc\"".to_owned(), modified, is_date_strong }, 10)
    }

    fn verdict(lines: &[(HeaderName, &str)]) -> Verdict {
        verdict_of(&Method::GET, lines, true)
    }

    #[test]
    fn if_none_match_takes_lists_stars_and_weak_tags() {
        for (value, expected) in [
            ("\"abc\"", Verdict::NotModified),
            ("W/\"abc\"", Verdict::NotModified),
            ("\"x,y\", \"abc\"", Verdict::NotModified),
            ("\"x\" , W/\"abc\"", Verdict::NotModified),
            ("*", Verdict::NotModified),
            ("\"abcd\"", Verdict::Whole),
            ("\"x,\"abc\"", Verdict::Whole),
            ("abc", Verdict::Whole),
            ("\"abc", Verdict::Whole),
        ] {
            assert_eq!(verdict(&[(header::IF_NONE_MATCH, value)]), expected, "{value}");
        }
        let lines = [(header::IF_NONE_MATCH, "\"x\""), (header::IF_NONE_MATCH, "\"abc\"")];
        assert_eq!(verdict(&lines), Verdict::NotModified, "lines of a list are one list");
    }

    #[test]
    fn a_tag_counts_more_than_a_date() {
        assert_eq!(verdict(&[(header::IF_MODIFIED_SINCE, MODIFIED)]), Verdict::NotModified);
        assert_eq!(verdict(&[(header::IF_MODIFIED_SINCE, BEFORE)]), Verdict::Whole);
        assert_eq!(verdict(&[(header::IF_MODIFIED_SINCE, "yesterday")]), Verdict::Whole);
        let lines = [(header::IF_NONE_MATCH, "\"x\""), (header::IF_MODIFIED_SINCE, MODIFIED)];
        assert_eq!(verdict(&lines), Verdict::Whole);
    }

    #[test]
    fn if_match_compares_strongly() {
        assert_eq!(verdict(&[(header::IF_MATCH, "\"x\", \"abc\"")]), Verdict::Whole);
        assert_eq!(verdict(&[(header::IF_MATCH, "*")]), Verdict::Whole);
        assert_eq!(verdict(&[(header::IF_MATCH, "W/\"abc\"")]), Verdict::PreconditionFailed);
        assert_eq!(verdict(&[(header::IF_MATCH, "\"x\"")]), Verdict::PreconditionFailed);
        assert_eq!(verdict(&[(header::IF_UNMODIFIED_SINCE, BEFORE)]), Verdict::PreconditionFailed);
        assert_eq!(verdict(&[(header::IF_UNMODIFIED_SINCE, MODIFIED)]), Verdict::Whole);
    }

    #[test]
    fn a_range_continues_only_what_the_client_has() {
        let range = (header::RANGE, "bytes=5-");
        let part = Verdict::Part(5..10);
        assert_eq!(verdict(std::slice::from_ref(&range)), part);
        for (value, expected) in [
            ("\"abc\"", part.clone()),
            ("\"old\"", Verdict::Whole),
            ("W/\"abc\"", Verdict::Whole),
            (MODIFIED, part),
            (BEFORE, Verdict::Whole),
            ("Sun, 29 Nov 2026 02:00:01 GMT", Verdict::Whole),
            ("nonsense", Verdict::Whole),
        ] {
            assert_eq!(verdict(&[range.clone(), (header::IF_RANGE, value)]), expected, "{value}");
        }
        let by_date = [range.clone(), (header::IF_RANGE, MODIFIED)];
        assert_eq!(verdict_of(&Method::GET, &by_date, false), Verdict::Whole, "the date is that of two files");
        assert_eq!(verdict_of(&Method::HEAD, std::slice::from_ref(&range), true), Verdict::Whole);
        assert_eq!(verdict(&[range.clone(), (header::RANGE, "bytes=0-1")]), Verdict::Whole);
        assert_eq!(verdict(&[(header::RANGE, "bytes=10-")]), Verdict::Unsatisfiable);
        assert_eq!(verdict(&[range, (header::IF_NONE_MATCH, "*")]), Verdict::NotModified);
    }

    #[test]
    fn dates_are_compared_in_seconds() {
        let modified = httpdate::parse_http_date(MODIFIED).unwrap();
        assert_eq!(httpdate::fmt_http_date(modified + Duration::from_millis(999)), MODIFIED);
    }
}
