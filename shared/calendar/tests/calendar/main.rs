//! Recurrences by example and by property.
#![allow(clippy::unwrap_used, reason = "tests")]

mod examples;
mod properties;

use chrono::{DateTime, Utc};
use passereau_calendar::Recurrence;

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn recurrence(expression: &str, zone: &str, anchor: &str) -> Recurrence {
    Recurrence::parse(expression, zone, moment(anchor)).unwrap()
}
