//! The forms of `eventDate` that GBIF's downloads have held since 2024 (gbif/tech-docs, temporal interpretation).

use std::fmt;

use crate::{cases::Case, dice::Dice};

mod purpose {
    pub const YEAR: u64 = 201;
    pub const DAY: u64 = 202;
    pub const TIME: u64 = 203;
    pub const FORM: u64 = 204;
    pub const LENGTH: u64 = 205;
}

/// How much of the moment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `2023-05-14T14:23:08`
    Seconds,
    /// `2023-05-14T14:23`
    Minutes,
    /// `2023-05-14T14:23:08Z`
    Utc,
    /// `2023-05-14T14:23:08.5`
    Fraction,
    /// `2023-05-14`
    Day,
    /// `2023-05`
    Month,
    /// `2023`
    Year,
    /// `2023-05-14/2023-05-17`
    DayInterval,
    /// `2023-05/2023-06`
    MonthInterval,
    /// `2023-05-14T10:00/2023-05-14T12:30`
    TimeInterval,
    /// Nothing.
    Empty,
}

/// A moment and the form in which it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventDate {
    /// Form of `eventDate`.
    pub form: Form,
    /// Year.
    pub year: u64,
    /// Month, 1 to 12.
    pub month: u64,
    /// Day, 1 to 28.
    pub day: u64,
    /// Second of the day, local time.
    pub second_of_day: u64,
    /// Days until the end of an interval.
    pub length_days: u64,
}

impl EventDate {
    /// The date of the record that `dice` belongs to; recent for an observation, older for a specimen.
    pub fn new(dice: Dice, observation: bool, case: Case) -> Self {
        let draw = dice.below(purpose::FORM, 100);
        let form = match (case, observation, draw) {
            (Case::NoDate, ..) => Form::Empty,
            (Case::Future | Case::Ancient, ..) => Form::Day,
            (_, true, 0..53) => Form::Seconds,
            (_, true, 53..55) => Form::Fraction,
            (_, true, 55..75) => Form::Minutes,
            (_, true, 75..78) => Form::Utc,
            (_, true, _) => Form::Day,
            (_, false, 0..60) => Form::Day,
            (_, false, 60..70) => Form::Month,
            (_, false, 70..80) => Form::Year,
            (_, false, 80..93) => Form::DayInterval,
            (_, false, 93..95) => Form::MonthInterval,
            (_, false, _) => Form::TimeInterval,
        };
        // Observations are recent, and mostly of the fine season: the sum of two throws leans to the middle.
        let month = if observation {
            1 + dice.below(purpose::DAY, 7) + dice.below(purpose::TIME, 6)
        } else {
            1 + dice.below(purpose::DAY, 12)
        };
        let year = match case {
            Case::Future => 2099,
            Case::Ancient => 1750 + dice.below(purpose::YEAR, 150),
            _ if observation => 2008 + dice.below(purpose::YEAR, 18),
            _ => 1900 + dice.below(purpose::YEAR, 120),
        };
        Self {
            form,
            year,
            month: month.min(12),
            day: 1 + dice.bits(purpose::DAY) / 12 % 24,
            second_of_day: 21_600 + dice.bits(purpose::TIME) / 12 % 57_600,
            length_days: 1 + dice.below(purpose::LENGTH, 4),
        }
    }

    /// Whether a time of day is part of the record.
    pub const fn has_time(&self) -> bool {
        matches!(self.form, Form::Seconds | Form::Minutes | Form::Utc | Form::Fraction)
    }

    /// What the publisher wrote after a time: iNaturalist gives the offset of the place, seldom UTC.
    pub const fn offset(&self) -> &'static str {
        match self.form {
            Form::Seconds | Form::Minutes | Form::Fraction => "+02:00",
            Form::Utc => "Z",
            _ => "",
        }
    }

    /// Whether the day is known (for `day` and `startDayOfYear`).
    pub const fn has_day(&self) -> bool {
        !matches!(self.form, Form::Month | Form::MonthInterval | Form::Year | Form::Empty)
    }

    /// Day of the year from 1, of the start.
    pub fn day_of_year(&self) -> u64 {
        const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let before = BEFORE.get(usize::try_from(self.month.saturating_sub(1)).unwrap_or(0)).copied().unwrap_or(0);
        before + self.day + u64::from(leap && self.month > 2)
    }

    /// `14:23:08`, local time.
    pub fn clock(&self) -> impl fmt::Display {
        let second = self.second_of_day;
        fmt::from_fn(move |f| write!(f, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60))
    }
}

impl fmt::Display for EventDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, second_of_day, .. } = *self;
        let (hour, minute) = (second_of_day / 3600, second_of_day / 60 % 60);
        match self.form {
            Form::Empty => Ok(()),
            Form::Year => write!(f, "{year}"),
            Form::Month => write!(f, "{year}-{month:02}"),
            Form::Day => write!(f, "{year}-{month:02}-{day:02}"),
            Form::Minutes => write!(f, "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}"),
            Form::Seconds => write!(f, "{year}-{month:02}-{day:02}T{}", self.clock()),
            Form::Utc => write!(f, "{year}-{month:02}-{day:02}T{}Z", self.clock()),
            Form::Fraction => write!(f, "{year}-{month:02}-{day:02}T{}.5", self.clock()),
            Form::DayInterval => {
                // Days stop at 24, so the end stays in the month.
                write!(f, "{year}-{month:02}-{day:02}/{year}-{month:02}-{:02}", day + self.length_days)
            }
            Form::MonthInterval => {
                let (until_year, until_month) = if month < 12 { (year, month + 1) } else { (year + 1, 1) };
                write!(f, "{year}-{month:02}/{until_year}-{until_month:02}")
            }
            Form::TimeInterval => {
                let date = fmt::from_fn(|f| write!(f, "{year}-{month:02}-{day:02}"));
                write!(f, "{date}T{hour:02}:{minute:02}/{date}T{:02}:59", hour.min(22) + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let date = |form| EventDate { form, year: 2023, month: 5, day: 14, second_of_day: 51_788, length_days: 3 };
        for (form, text) in [
            (Form::Seconds, "2023-05-14T14:23:08"),
            (Form::Minutes, "2023-05-14T14:23"),
            (Form::Utc, "2023-05-14T14:23:08Z"),
            (Form::Fraction, "2023-05-14T14:23:08.5"),
            (Form::Day, "2023-05-14"),
            (Form::Month, "2023-05"),
            (Form::Year, "2023"),
            (Form::DayInterval, "2023-05-14/2023-05-17"),
            (Form::MonthInterval, "2023-05/2023-06"),
            (Form::TimeInterval, "2023-05-14T14:23/2023-05-14T15:59"),
            (Form::Empty, ""),
        ] {
            assert_eq!(date(form).to_string(), text);
        }
        assert_eq!(EventDate { month: 12, ..date(Form::MonthInterval) }.to_string(), "2023-12/2024-01");
        assert_eq!(date(Form::Day).day_of_year(), 134);
        assert_eq!(EventDate { year: 2024, ..date(Form::Day) }.day_of_year(), 135);
    }
}
