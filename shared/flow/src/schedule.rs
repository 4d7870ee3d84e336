//! When a flow is delivered: a period, or a cron expression in a time zone.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::Period;

/// Occurrences that are looked at: more than a year of a daily schedule.
const LOOKED_AT: usize = 400;

/// When something is done again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Each time this long after the time before.
    Period(Period),
    /// A cron expression of five fields.
    Cron(String),
}

impl Expression {
    /// As table `passereau.schedule` holds it.
    #[must_use]
    pub fn as_text(&self) -> String {
        match self {
            Self::Period(period) => period.to_string(),
            Self::Cron(cron) => cron.clone(),
        }
    }
}

/// The first moment after another at which an expression asks for it; none when it never does again.
#[must_use]
pub fn next_after(expression: &Expression, zone: Tz, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match expression {
        Expression::Period(period) => Some(period.after(moment)),
        Expression::Cron(cron) => {
            let next = parse(cron).ok()?.find_next_occurrence(&moment.with_timezone(&zone), false).ok()?;
            Some(next.with_timezone(&Utc))
        }
    }
}

/// A cron expression of five fields, or why it is none.
pub(crate) fn parse(cron: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(cron).map_err(|error| error.to_string())
}

/// The first pause between two occurrences that is longer than the period, with an hour for the change of summer time.
pub(crate) fn pause_beyond(cron: &Cron, period: &Period, zone: Tz, from: DateTime<Utc>) -> Option<TimeDelta> {
    let mut times = cron.iter_after(from.with_timezone(&zone)).take(LOOKED_AT);
    let mut last = times.next()?;
    for next in times {
        if period.after(last.with_timezone(&Utc)) + TimeDelta::hours(1) < next {
            return Some(next.signed_duration_since(last));
        }
        last = next;
    }
    None
}
