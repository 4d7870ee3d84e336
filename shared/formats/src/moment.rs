//! Dates and times: PostgreSQL's text of them (documentation, "Date/Time Output", style ISO), and ISO 8601.
//!
//! A moment without an offset is local time of nobody knows where, and stays so. A GeoPackage's DATETIME knows no such
//! thing (OGC 12-128r19, table 1: "…Z"), so there, and only there, the letter is added to it, as GDAL does.

use std::io::{self, Write};

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// A day and a time, with the offset from UTC where one is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment<'a> {
    date: &'a str,
    time: &'a str,
    offset_seconds: Option<i32>,
}

impl<'a> Moment<'a> {
    /// Reads `2026-11-29 10:00:00`, with or without a fraction and an offset such as `+01`, `-03:30`, `+00:09:21` or `Z`.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let clock = rest.strip_prefix([' ', 'T'])?;
        let (time, offset_seconds) = match clock.find(['+', '-', 'Z']) {
            None => (clock, None),
            Some(end) => {
                let (time, offset) = clock.split_at_checked(end)?;
                (time, Some(read_offset(offset)?))
            }
        };
        let moment = Self { date, time, offset_seconds };
        // In UTC too, so that every format can hold it.
        moment.utc().filter(|utc| (1..=9999).contains(&utc.year())).map(|_| moment)
    }

    /// Writes it as ISO 8601, which knows no seconds in an offset: such a moment, of before about 1911, is written in UTC.
    pub(crate) fn write_iso(&self, out: &mut impl Write) -> io::Result<()> {
        match self.offset_seconds {
            None => write!(out, "{}T{}", self.date, self.time),
            Some(seconds) if seconds % 60 == 0 => {
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.abs() / 60;
                write!(out, "{}T{}{sign}{:02}:{:02}", self.date, self.time, minutes / 60, minutes % 60)
            }
            Some(_) => self.write_milliseconds(out),
        }
    }

    /// Writes it as GeoPackages do: `2026-11-29T10:00:00.000Z`.
    pub(crate) fn write_milliseconds(&self, out: &mut impl Write) -> io::Result<()> {
        let Some(utc) = self.utc() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a date is outside the years 0001 to 9999 in UTC"));
        };
        write!(
            out,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            utc.year(),
            utc.month(),
            utc.day(),
            utc.hour(),
            utc.minute(),
            utc.second(),
            utc.nanosecond() / 1_000_000 % 1000,
        )
    }

    fn utc(&self) -> Option<NaiveDateTime> {
        let (time, is_next_day) = read_time(self.time)?;
        let local = read_date(self.date)?.and_time(time);
        let day = Duration::days(i64::from(is_next_day));
        local.checked_add_signed(day - Duration::seconds(i64::from(self.offset_seconds.unwrap_or(0))))
    }
}

/// Whether the text is a day of the years 0001 to 9999.
pub(crate) fn is_date(text: &str) -> bool {
    read_date(text).is_some()
}

/// Whether the text is `10:00:00`, with or without a fraction. PostgreSQL's last time of a day is 24:00:00.
pub(crate) fn is_time(text: &str) -> bool {
    read_time(text).is_some()
}

fn read_date(text: &str) -> Option<NaiveDate> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else { return None };
    let year = number(&[y1, y2])? * 100 + number(&[y3, y4])?;
    if year == 0 {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number(&[m1, m2])?, number(&[d1, d2])?)
}

/// The time, and whether it is the first of the next day.
fn read_time(text: &str) -> Option<(NaiveTime, bool)> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock.as_bytes() else { return None };
    let mut nanoseconds = 0;
    if let Some(digits) = fraction {
        if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        nanoseconds = digits
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(9)
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    }
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    if (hour, minute, second, nanoseconds) == (24, 0, 0, 0) {
        return Some((NaiveTime::MIN, true));
    }
    Some((NaiveTime::from_hms_nano_opt(hour, minute, second, nanoseconds)?, false))
}

/// Seconds east of UTC.
fn read_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, digits) = match text.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes, seconds) = match *digits {
        [h1, h2] => (number(&[h1, h2])?, 0, 0),
        [h1, h2, b':', m1, m2] => (number(&[h1, h2])?, number(&[m1, m2])?, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?),
        _ => return None,
    };
    let is_offset = hours < 24 && minutes < 60 && seconds < 60;
    is_offset.then(|| i32::try_from(hours * 3600 + minutes * 60 + seconds).ok()).flatten().map(|seconds| sign * seconds)
}

fn number(digits: &[u8; 2]) -> Option<u32> {
    let [tens, ones] = digits.map(|digit| char::from(digit).to_digit(10));
    Some(tens? * 10 + ones?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn both(text: &str) -> Option<(String, String)> {
        let moment = Moment::read(text)?;
        let (mut iso, mut milliseconds) = (Vec::new(), Vec::new());
        moment.write_iso(&mut iso).ok()?;
        moment.write_milliseconds(&mut milliseconds).ok()?;
        Some((String::from_utf8(iso).unwrap(), String::from_utf8(milliseconds).unwrap()))
    }

    #[test]
    fn moments_become_iso_8601() {
        for (text, iso, milliseconds) in [
            ("2026-11-29 10:00:00", "2026-11-29T10:00:00", "2026-11-29T10:00:00.000Z"),
            ("2026-11-29T10:00:00", "2026-11-29T10:00:00", "2026-11-29T10:00:00.000Z"),
            ("2026-11-29 10:00:00.123456", "2026-11-29T10:00:00.123456", "2026-11-29T10:00:00.123Z"),
            ("2026-11-29 00:30:00+01", "2026-11-29T00:30:00+01:00", "2026-11-28T23:30:00.000Z"),
            ("2026-11-29 10:00:00-03:30", "2026-11-29T10:00:00-03:30", "2026-11-29T13:30:00.000Z"),
            ("2026-11-29 10:00:00Z", "2026-11-29T10:00:00+00:00", "2026-11-29T10:00:00.000Z"),
            ("1890-05-01 12:00:00+00:09:21", "1890-05-01T11:50:39.000Z", "1890-05-01T11:50:39.000Z"),
            ("2026-12-31 24:00:00", "2026-12-31T24:00:00", "2027-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(both(text), Some((iso.to_owned(), milliseconds.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "infinity",
            "2026-11-29",
            "2026-11-29 10:00",
            "2026-02-30 10:00:00",
            "0044-03-15 10:00:00 BC",
            "12026-11-29 10:00:00",
            "2026-11-29 25:00:00",
            "2026-11-29 10:00:00+1",
            "2026-11-29 10:00:00.",
            "é026-11-2é 10:00:00",
            "2026-11-29 10:00:00+99",
            "0000-01-01 00:00:00",
            "2026-11-29 24:00:01",
            "0001-01-01 00:00:00+01",
            "9999-12-31 24:00:00",
        ] {
            assert_eq!(Moment::read(text), None, "{text}");
        }
        assert!(is_date("0001-01-01") && !is_date("2026-13-01") && !is_date("2026-1-1"));
        assert!(is_time("23:59:59.5") && !is_time("10:00:00+01") && !is_time("24:00:00.1"));
    }
}
