//! When a flow is delivered: by its period, or by a cron expression in its time zone.

use chrono::{DateTime, TimeDelta, Utc};
use passereau_calendar::{Recurrence, RecurrenceError};

use crate::{Agreement, Period};

/// Occurrences that are looked at: more than a year of a daily schedule.
const LOOKED_AT: usize = 400;

impl Agreement {
    /// When it is delivered, as table `passereau.schedule` holds it: its schedule, else its period.
    #[must_use]
    pub fn expression(&self) -> String {
        self.schedule.clone().unwrap_or_else(|| self.period.to_string())
    }

    /// When it is delivered; a period is counted from `anchor`.
    ///
    /// # Errors
    /// What is wrong with the expression or the time zone; nothing, in an agreement that was checked.
    pub fn recurrence(&self, anchor: DateTime<Utc>) -> Result<Recurrence, RecurrenceError> {
        Recurrence::parse(&self.expression(), &self.time_zone, anchor)
    }

    /// When what has changed is delivered first: with a schedule at its next time, else at once.
    pub(crate) fn first_after(&self, moment: DateTime<Utc>) -> DateTime<Utc> {
        match (&self.schedule, self.recurrence(moment)) {
            (Some(_), Ok(recurrence)) => recurrence.next_after(moment).unwrap_or(moment),
            _ => moment,
        }
    }
}

/// What a delivery may be late without being late: the hour that the end of summer time adds.
pub(crate) fn tolerance() -> TimeDelta {
    TimeDelta::hours(1)
}

/// The first pause between two occurrences that is longer than the period.
pub(crate) fn pause_beyond(recurrence: &Recurrence, period: &Period, from: DateTime<Utc>) -> Option<TimeDelta> {
    let mut last = recurrence.next_after(from)?;
    for _ in 0..LOOKED_AT {
        let next = recurrence.next_after(last)?;
        if period.after(last) + tolerance() < next {
            return Some(next - last);
        }
        last = next;
    }
    None
}
