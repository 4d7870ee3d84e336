//! `eventDate` as a range, in every form GBIF's downloads have had.
//!
//! | when | form |
//! | --- | --- |
//! | 2013 | `Tue Apr 01 00:00:00 CET 1930` (Java's `Date.toString`) |
//! | 2014 to 2017 | `1999-07-12T02:00Z` |
//! | 2020 to January 2024 | `2001-09-14T00:00:00` |
//! | since 2024 | ISO at its own precision, or `from/to` (`gbif/gbif-api`, `IsoDateInterval.java`) |
//!
//! Terms: a *moment* is in microseconds since 2000-01-01 00:00, as PostgreSQL counts, on the clock of the place that was
//! visited. Invariants: `Z` and offsets never shift a date of observation; a year or a month is its whole range, from
//! its first day to its last, both at 00:00; what cannot be read is `None`, never a guess.

use chrono::{Datelike, NaiveDate};

const DAY: i64 = 86_400_000_000;
const EPOCH_DAYS_FROM_CE: i32 = 730_120;
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The first and the last moment of an `eventDate`.
pub fn range(text: &str) -> Option<(i64, i64)> {
    let bytes = text.as_bytes();
    if bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        return java_date(text).map(|moment| (moment, moment));
    }
    match memchr::memchr(b'/', bytes) {
        None => part(bytes).map(|part| (part.first, part.last)),
        Some(slash) => {
            let from = part(bytes.get(..slash)?)?;
            let to = part(bytes.get(slash + 1..)?)?;
            // An end without a time of day means its whole day: it cannot come before a start on that day.
            let same_day = to.whole_days && from.first.div_euclid(DAY) <= to.last.div_euclid(DAY);
            match from.first <= to.last {
                true => Some((from.first, to.last)),
                false if same_day => Some((from.first, from.first)),
                false => None,
            }
        }
    }
}

/// A UTC instant such as `modified` or `lastInterpreted`; unlike an observation's date, an offset shifts it.
pub fn instant(text: &str) -> Option<i64> {
    part(text.as_bytes()).map(|part| part.first - part.offset)
}

/// One side of an interval.
struct Part {
    first: i64,
    last: i64,
    whole_days: bool,
    /// Offset from UTC in microseconds; 0 for `Z` and for none.
    offset: i64,
}

fn part(text: &[u8]) -> Option<Part> {
    let (date, time) = match memchr::memchr(b'T', text) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)),
        None => (text, None),
    };
    let year = i32::try_from(digits(date.get(..4)?)?).ok().filter(|year| *year > 0)?;
    if let Some(time) = time {
        let first = day(date)?;
        let (of_day, offset) = time_of_day(time)?;
        return Some(Part { first: first + of_day, last: first + of_day, whole_days: false, offset });
    }
    let (first, last) = match date.len() {
        4 => (days(year, 1, 1)?, days(year, 12, 31)?),
        7 if date.get(4) == Some(&b'-') => {
            let month = digits(date.get(5..7)?)?;
            let next = if month == 12 { days(year + 1, 1, 1)? } else { days(year, month + 1, 1)? };
            (days(year, month, 1)?, next - DAY)
        }
        _ => {
            let first = day(date)?;
            (first, first)
        }
    };
    Some(Part { first, last, whole_days: true, offset: 0 })
}

/// `2010-05-31` at 00:00.
fn day(date: &[u8]) -> Option<i64> {
    if date.len() != 10 || date.get(4) != Some(&b'-') || date.get(7) != Some(&b'-') {
        return None;
    }
    let year = i32::try_from(digits(date.get(..4)?)?).ok().filter(|year| *year > 0)?;
    days(year, digits(date.get(5..7)?)?, digits(date.get(8..)?)?)
}

fn days(year: i32, month: u32, day: u32) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    Some(i64::from(date.num_days_from_ce() - EPOCH_DAYS_FROM_CE) * DAY)
}

/// `14:23`, `14:23:08` or `14:23:08.5`, with or without a zone: the time of day and the zone's offset.
fn time_of_day(text: &[u8]) -> Option<(i64, i64)> {
    let zone = text.iter().position(|byte| matches!(byte, b'Z' | b'+' | b'-')).unwrap_or(text.len());
    let (clock, zone) = text.split_at(zone);
    let (hour, minute) = hour_minute(clock.get(..5)?)?;
    let mut micros = (i64::from(hour) * 60 + i64::from(minute)) * 60_000_000;
    if clock.len() > 5 {
        if clock.get(5) != Some(&b':') {
            return None;
        }
        let second = digits(clock.get(6..8)?).filter(|second| *second < 60)?;
        micros += i64::from(second) * 1_000_000;
        match clock.get(8..)? {
            [] => {}
            [b'.' | b',', fraction @ ..] if (1..=9).contains(&fraction.len()) => {
                digits(fraction)?;
                let mut scale = 100_000;
                for digit in fraction {
                    micros += i64::from(digit - b'0') * scale;
                    scale /= 10;
                }
            }
            _ => return None,
        }
    }
    let offset = match zone {
        [] | [b'Z'] => 0,
        [sign, offset @ ..] => {
            let (hours, minutes) = match offset.len() {
                2 => (hours(offset)?, 0),
                4 => (hours(offset.get(..2)?)?, minutes(offset.get(2..)?)?),
                _ => hour_minute(offset)?,
            };
            let micros = (i64::from(hours) * 60 + i64::from(minutes)) * 60_000_000;
            match sign {
                b'+' => micros,
                b'-' => -micros,
                _ => return None,
            }
        }
    };
    Some((micros, offset))
}

/// `14:23`.
fn hour_minute(text: &[u8]) -> Option<(u32, u32)> {
    if text.len() != 5 || text.get(2) != Some(&b':') {
        return None;
    }
    Some((hours(text.get(..2)?)?, minutes(text.get(3..)?)?))
}

fn hours(text: &[u8]) -> Option<u32> {
    digits(text).filter(|hour| *hour < 24)
}

fn minutes(text: &[u8]) -> Option<u32> {
    digits(text).filter(|minute| *minute < 60)
}

/// `Tue Apr 01 00:00:00 CET 1930`; a date that lacks its year is not known.
fn java_date(text: &str) -> Option<i64> {
    let mut words = text.split(' ');
    let (weekday, month, day_of_month) = (words.next()?, words.next()?, words.next()?);
    let (clock, zone, year) = (words.next()?, words.next()?, words.next()?);
    let alphabetic = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if words.next().is_some() || weekday.len() != 3 || !alphabetic(weekday) || zone.is_empty() || !alphabetic(zone) {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month.as_bytes())?;
    if (year.len(), day_of_month.len(), clock.len()) != (4, 2, 8) {
        return None;
    }
    let year = i32::try_from(digits(year.as_bytes())?).ok().filter(|year| *year > 0)?;
    let day = days(year, u32::try_from(month + 1).ok()?, digits(day_of_month.as_bytes())?)?;
    Some(day + time_of_day(clock.as_bytes())?.0)
}

/// Digits and nothing else, nine at most.
#[inline]
fn digits(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0_u32, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let moment = |micros: i64| {
            chrono::DateTime::from_timestamp_micros(micros + 946_684_800_000_000)
                .map(|moment| moment.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
                .unwrap_or_default()
        };
        range(text)
            .map_or_else(|| "unreadable".to_owned(), |(first, last)| format!("{} {}", moment(first), moment(last)))
    }

    #[test]
    fn every_form_of_every_year_is_read() {
        for (text, expected) in [
            ("Tue Apr 01 00:00:00 CET 1930", "1930-04-01T00:00:00 1930-04-01T00:00:00"),
            ("Fri Jan 18 12:47:59 CEST 2013", "2013-01-18T12:47:59 2013-01-18T12:47:59"),
            ("1999-07-12T02:00Z", "1999-07-12T02:00:00 1999-07-12T02:00:00"),
            ("2001-09-14T00:00:00", "2001-09-14T00:00:00 2001-09-14T00:00:00"),
            ("2010", "2010-01-01T00:00:00 2010-12-31T00:00:00"),
            ("2010-05", "2010-05-01T00:00:00 2010-05-31T00:00:00"),
            ("2024-02", "2024-02-01T00:00:00 2024-02-29T00:00:00"),
            ("2010-12", "2010-12-01T00:00:00 2010-12-31T00:00:00"),
            ("2010-05-31", "2010-05-31T00:00:00 2010-05-31T00:00:00"),
            ("2010-05-31T14:23", "2010-05-31T14:23:00 2010-05-31T14:23:00"),
            ("2010-05-31T14:23:08", "2010-05-31T14:23:08 2010-05-31T14:23:08"),
            ("2010-05-31T23:23:08.25Z", "2010-05-31T23:23:08.250 2010-05-31T23:23:08.250"),
            ("2010-05-31T23:23:08.123456789", "2010-05-31T23:23:08.123456 2010-05-31T23:23:08.123456"),
            ("2010-05-31T01:23+02:00", "2010-05-31T01:23:00 2010-05-31T01:23:00"),
            ("2010-05-31T01:23:00-0930", "2010-05-31T01:23:00 2010-05-31T01:23:00"),
            ("2023-08-29/2023-08-30", "2023-08-29T00:00:00 2023-08-30T00:00:00"),
            ("2010/2012-05", "2010-01-01T00:00:00 2012-05-31T00:00:00"),
            ("2023-08-29T10:00/2023-08-29T12:30", "2023-08-29T10:00:00 2023-08-29T12:30:00"),
            ("2023-08-29T10:00/2023-08-29", "2023-08-29T10:00:00 2023-08-29T10:00:00"),
            ("2023-08-29T10:00/2023-08-30", "2023-08-29T10:00:00 2023-08-30T00:00:00"),
            ("1600-02-29", "1600-02-29T00:00:00 1600-02-29T00:00:00"),
        ] {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_unreadable() {
        for text in [
            "",
            "Tue Apr 01 00:00:00 CET",
            "Tue Abc 01 00:00:00 CET 1930",
            "summer 1999",
            "0000",
            "199",
            "19999",
            "2010-13",
            "2010-00",
            "2010-5",
            "2010-02-30",
            "2010-05-31T",
            "2010-05-31T24:00",
            "2010-05-31T10",
            "2010-05-31T10:61",
            "2010-05-31T10:00:60",
            "2010-05-31T10:00-39",
            "2010-05-31T10:00+0175",
            "2010-05-31T10:00:00.",
            "2010-05-31T10:00 ",
            "2010-05T10:00",
            "2010-05-31 10:00",
            "2010/",
            "/2010",
            "2010/2009",
            "2023-08-30/2023-08-29",
            "2010-05-31T12:00/2010-05-31T10:00",
            "2010/2011/2012",
            "２０１０",
        ] {
            assert_eq!(show(text), "unreadable", "{text}");
        }
    }

    #[test]
    fn instants_are_utc() {
        assert_eq!(instant("2000-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant("2000-01-01T02:00:00.5+02:00"), Some(500_000));
        assert_eq!(instant("1999-12-31T22:00-02:00"), Some(0));
        assert_eq!(instant("2020-07-09T05:44:15.414Z"), Some(647_588_655_414_000));
        assert_eq!(instant("Fri Jan 18 12:47:59 CET 2013"), None);
    }
}
