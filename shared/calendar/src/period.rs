//! Periods: ISO 8601 durations of whole units, counted from an anchor.

use chrono::{DateTime, Days, Months, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::{
    error::{RecurrenceError, shortened},
    zone,
};

/// Ten years, in each of the three units: nobody means more.
const MOST_MONTHS: u32 = 120;
const MOST_DAYS: u32 = 10 * 366;
const MOST_MINUTES: u32 = MOST_DAYS * 24 * 60;

/// By how much the clocks of a zone may have been moved between two moments; a zone may even have left a day out.
const MOVED: TimeDelta = TimeDelta::hours(60);

/// A duration of ISO 8601-1:2019, 5.5.2, in whole units (the form `PnYnMnWnDTnHnM`; weeks may stand beside days as in
/// ISO 8601-2, and seconds are none of a schedule's business).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    months: u32,
    days: u32,
    minutes: u32,
}

impl Period {
    pub(crate) fn parse(text: &str) -> Result<Self, RecurrenceError> {
        Self::of(text).map_err(|why| RecurrenceError::Period { text: shortened(text), why })
    }

    fn of(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix('P').ok_or("it does not begin with P")?;
        let (date, time) = match rest.split_once('T') {
            Some((_, "")) => return Err("nothing follows the T"),
            Some((date, time)) => (date, time),
            None => (rest, ""),
        };
        let mut period = Self { months: 0, days: 0, minutes: 0 };
        for (number, unit) in units(date, "YMWD")? {
            match unit {
                'Y' => add(&mut period.months, number, 12)?,
                'M' => add(&mut period.months, number, 1)?,
                'W' => add(&mut period.days, number, 7)?,
                _ => add(&mut period.days, number, 1)?,
            }
        }
        for (number, unit) in units(time, "HM")? {
            add(&mut period.minutes, number, if unit == 'H' { 60 } else { 1 })?;
        }
        if period.months > MOST_MONTHS || period.days > MOST_DAYS || period.minutes > MOST_MINUTES {
            return Err(TOO_LONG);
        }
        if (period.months, period.days, period.minutes) == (0, 0, 0) {
            return Err("it is no time at all");
        }
        Ok(period)
    }

    /// The first occurrence after a moment; the anchor itself for a moment before it.
    pub(crate) fn next_after(self, anchor: DateTime<Utc>, zone: Tz, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if moment < anchor {
            return Some(anchor);
        }
        let is_after = |count| self.occurrence(anchor, zone, count).is_none_or(|occurrence| occurrence > moment);
        // The end of time counts as after everything.
        let (mut not_after, mut after) = (0, self.at_most(moment - anchor));
        while !is_after(after) {
            (not_after, after) = (after, after.checked_mul(2)?);
        }
        while after - not_after > 1 {
            let middle = not_after + (after - not_after) / 2;
            if is_after(middle) { after = middle } else { not_after = middle }
        }
        self.occurrence(anchor, zone, after)
    }

    /// A number of periods that takes at least this long.
    fn at_most(self, elapsed: TimeDelta) -> i64 {
        let shortest = i64::from(self.months) * 28 * 24 * 60 + i64::from(self.days) * 24 * 60 + i64::from(self.minutes);
        (elapsed + MOVED).num_minutes() / shortest + 2
    }

    /// So many periods after the anchor; none at the end of time.
    fn occurrence(self, anchor: DateTime<Utc>, zone: Tz, count: i64) -> Option<DateTime<Utc>> {
        let on_the_calendar = if count == 0 || (self.months, self.days) == (0, 0) {
            anchor
        } else {
            let months = u32::try_from(count.checked_mul(i64::from(self.months))?).ok()?;
            let days = u64::try_from(count.checked_mul(i64::from(self.days))?).ok()?;
            let shown = anchor.with_timezone(&zone).naive_local();
            zone::moment(zone, shown.checked_add_months(Months::new(months))?.checked_add_days(Days::new(days))?)?
        };
        on_the_calendar.checked_add_signed(TimeDelta::try_minutes(count.checked_mul(i64::from(self.minutes))?)?)
    }
}

const TOO_LONG: &str = "it is longer than ten years";

fn add(sum: &mut u32, number: u32, times: u32) -> Result<(), &'static str> {
    *sum = number.checked_mul(times).and_then(|more| sum.checked_add(more)).ok_or(TOO_LONG)?;
    Ok(())
}

/// Numbers with their units, which come in order and once each.
fn units(text: &str, order: &str) -> Result<Vec<(u32, char)>, &'static str> {
    let mut found = Vec::new();
    let (mut digits, mut left) = (String::new(), order);
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        if matches!(character, '.' | ',') {
            return Err("its numbers are not whole");
        }
        let place = left.find(character).ok_or(if order == "HM" {
            "after the T come hours (H) and minutes (M), each once and in this order"
        } else {
            "before a T come years (Y), months (M), weeks (W) and days (D), each once and in this order"
        })?;
        left = &left[place + character.len_utf8()..];
        if digits.is_empty() {
            return Err("a unit has no number before it");
        }
        found.push((digits.parse().map_err(|_| TOO_LONG)?, character));
        digits.clear();
    }
    if digits.is_empty() { Ok(found) } else { Err("a number has no unit after it") }
}
