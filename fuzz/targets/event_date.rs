//! Dates. Input: the text of an `eventDate`, `modified` or `lastInterpreted`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use passereau_record::event_date::{instant, range};

const DAY: i64 = 86_400_000_000;

/// Moments of the year, in microseconds since 2000, one day of grace at both ends for whoever has an offset.
fn year(text: &str) -> Option<(i64, i64)> {
    let year: i32 = text.get(..4)?.parse().ok()?;
    let day = |year| {
        use chrono::Datelike;
        Some(i64::from(chrono::NaiveDate::from_ymd_opt(year, 1, 1)?.num_days_from_ce() - 730_120) * DAY)
    };
    Some((day(year)?, day(year + 1)? - 1))
}

fn within(moment: i64, text: &str, grace: i64) {
    let (first, last) = year(text).expect("what was read has a year");
    assert!((first - grace..=last + grace).contains(&moment), "{moment} is not in the year of {text}");
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some((first, last)) = range(text) {
        assert!(first <= last, "{text} ends before it begins");
        match text.split_once('/') {
            _ if text.starts_with(|c: char| c.is_ascii_alphabetic()) => within(first, &text[text.len() - 4..], 0),
            None => {
                within(first, text, 0);
                within(last, text, 0);
            }
            Some((from, to)) => {
                within(first, from, 0);
                within(last, to, 0);
                // Each end is what it would be alone; an end without a time of day on the day of the start lies before it.
                let (from, to) = (range(from).expect("a start"), range(to).expect("an end"));
                assert_eq!(first, from.0);
                assert!(last == to.1 || (last == first && first.div_euclid(DAY) == to.1.div_euclid(DAY)), "{text}");
            }
        }
    }
    if let Some(moment) = instant(text) {
        within(moment, text, DAY);
        assert!(range(text).is_some(), "{text} is an instant and no date");
    }
});
