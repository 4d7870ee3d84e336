//! Time zones: names, and the moment that a time of day means.

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::error::{RecurrenceError, shortened};

/// More than any zone has ever been away from UTC.
const FARTHEST: TimeDelta = TimeDelta::hours(30);

/// The zone of an IANA name (<https://www.iana.org/time-zones>).
pub(crate) fn named(name: &str) -> Result<Tz, RecurrenceError> {
    name.parse().map_err(|_| RecurrenceError::Zone(shortened(name)))
}

/// The moment at which the clocks of a zone show this: the first of two in a fold, the first after a gap. None at the end of time.
pub(crate) fn moment(zone: Tz, shown: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&shown).earliest() {
        Some(moment) => Some(moment.with_timezone(&Utc)),
        None => after_gap(zone, shown),
    }
}

/// The end of the gap that a time lies in. Before it all clocks show less and after it more, so the place is found by halving.
fn after_gap(zone: Tz, shown: NaiveDateTime) -> Option<DateTime<Utc>> {
    let shows = |moment: NaiveDateTime| zone.from_utc_datetime(&moment).naive_local();
    let mut before = shown.checked_sub_signed(FARTHEST)?;
    let mut after = shown.checked_add_signed(FARTHEST)?;
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if shows(middle) < shown { before = middle } else { after = middle }
    }
    // Transitions lie on whole seconds; the time in the gap may not.
    let second = TimeDelta::nanoseconds(i64::from(after.and_utc().timestamp_subsec_nanos()));
    Some((after - second).and_utc())
}
