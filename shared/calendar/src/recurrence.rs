//! A recurrence: an expression, a zone, an anchor.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::{
    error::{RecurrenceError, shortened},
    period::Period,
    zone,
};

/// When something is done again and again.
#[derive(Clone, Debug)]
pub struct Recurrence {
    expression: Expression,
    zone: Tz,
    anchor: DateTime<Utc>,
}

#[derive(Clone, Debug)]
enum Expression {
    Period(Period),
    Cron(Box<Cron>),
}

impl Recurrence {
    /// Reads an expression: a period (ISO 8601-1:2019, 5.5.2) or five cron fields (POSIX `crontab`,
    /// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/crontab.html>, with the names, steps, `L`, `W` and `#` of
    /// <https://docs.rs/croner>; a day of the month beside a day of the week means either, as there). `time_zone` is a name of the
    /// IANA database. Periods are counted from `anchor`; cron takes no notice of it.
    ///
    /// # Errors
    /// [`RecurrenceError`] says what is wrong with which of the two, and shows what would be right.
    pub fn parse(expression: &str, time_zone: &str, anchor: DateTime<Utc>) -> Result<Self, RecurrenceError> {
        let zone = zone::named(time_zone)?;
        let expression = expression.trim();
        let recurrence = Self { expression: parse(expression)?, zone, anchor };
        match recurrence.next_after(anchor) {
            Some(_) => Ok(recurrence),
            None => Err(RecurrenceError::Never(shortened(expression))),
        }
    }

    /// The first occurrence that is later than a moment. None at the end of time.
    #[must_use]
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.expression {
            Expression::Period(period) => period.next_after(self.anchor, self.zone, moment),
            Expression::Cron(cron) => {
                let next = cron.find_next_occurrence(&moment.with_timezone(&self.zone), false).ok()?;
                Some(next.with_timezone(&Utc))
            }
        }
    }
}

fn parse(text: &str) -> Result<Expression, RecurrenceError> {
    let fields = text.split_whitespace().count();
    if fields == 1 && text.starts_with(['P', 'p']) {
        return Period::parse(text).map(Expression::Period);
    }
    // Words are not meant as cron; a figure or an asterisk is.
    if fields < 2 || (fields != 5 && !text.starts_with(|first: char| first.is_ascii_digit() || first == '*')) {
        return Err(RecurrenceError::Neither(shortened(text)));
    }
    let wrong = |why| RecurrenceError::Cron { text: shortened(text), why };
    if fields != 5 {
        return Err(wrong(format!("it has {fields} fields")));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser.parse(text).map_err(|error| wrong(error.to_string().trim_end_matches('.').to_owned()))?;
    Ok(Expression::Cron(Box::new(cron)))
}
