//! How often: an ISO 8601 duration.

use std::{borrow::Cow, fmt, str::FromStr};

use chrono::{DateTime, Months, TimeDelta, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration of ISO 8601 in whole units, from an hour to ten years.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    text: String,
    months: u32,
    hours: u32,
}

/// It is no such duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no period; write an ISO 8601 duration of an hour at least, such as P1D, P1W, P1M, P3M or PT12H")]
pub struct NoPeriod(String);

impl Period {
    /// The moment that follows another by it. A month after 31 January is the last day of February.
    #[must_use]
    pub fn after(&self, moment: DateTime<Utc>) -> DateTime<Utc> {
        let later = moment.checked_add_months(Months::new(self.months)).unwrap_or(moment);
        later + TimeDelta::hours(i64::from(self.hours))
    }
}

impl Default for Period {
    fn default() -> Self {
        Self { text: "P1M".to_owned(), months: 1, hours: 0 }
    }
}

impl FromStr for Period {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        let none = || NoPeriod(text.chars().take(40).collect());
        let (months, hours) = text.strip_prefix('P').and_then(parse).ok_or_else(none)?;
        if months + hours == 0 || months > 120 || hours > 10 * 366 * 24 {
            return Err(none());
        }
        Ok(Self { text: text.to_owned(), months, hours })
    }
}

/// Months and hours of what follows the P.
fn parse(text: &str) -> Option<(u32, u32)> {
    let (date, time) = match text.split_once('T') {
        // A T must be followed by something.
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (text, ""),
    };
    let (mut months, mut hours) = (0_u32, 0_u32);
    for (number, unit) in units(date, "YMWD")? {
        match unit {
            'Y' => months = months.checked_add(number.checked_mul(12)?)?,
            'M' => months = months.checked_add(number)?,
            'W' => hours = hours.checked_add(number.checked_mul(7 * 24)?)?,
            _ => hours = hours.checked_add(number.checked_mul(24)?)?,
        }
    }
    for (number, _) in units(time, "H")? {
        hours = hours.checked_add(number)?;
    }
    (months <= 1200).then_some((months, hours))
}

/// Numbers with their units, which come in order and once each.
fn units(text: &str, order: &str) -> Option<Vec<(u32, char)>> {
    let mut found = Vec::new();
    let (mut digits, mut left) = (String::new(), order);
    for character in text.chars() {
        if character.is_ascii_digit() && digits.len() < 6 {
            digits.push(character);
        } else {
            left = &left[left.find(character)? + character.len_utf8()..];
            found.push((digits.parse().ok()?, character));
            digits.clear();
        }
    }
    digits.is_empty().then_some(found)
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration", "examples": ["P1D", "P1W", "P1M", "P3M"] })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_an_iso_8601_duration_of_whole_units() {
        let from: DateTime<Utc> = "2026-01-31T12:00:00Z".parse().unwrap();
        for (text, until) in [
            ("P1D", "2026-02-01T12:00:00Z"),
            ("P1W", "2026-02-07T12:00:00Z"),
            ("P1M", "2026-02-28T12:00:00Z"),
            ("P3M", "2026-04-30T12:00:00Z"),
            ("P1Y", "2027-01-31T12:00:00Z"),
            ("PT12H", "2026-02-01T00:00:00Z"),
            ("P1DT6H", "2026-02-01T18:00:00Z"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.after(from), until.parse::<DateTime<Utc>>().unwrap(), "{text}");
            assert_eq!(serde_json::to_value(&period).unwrap(), text);
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "P",
            "PT",
            "P1",
            "1D",
            "P0D",
            "P-1D",
            "P1H",
            "PT1M",
            "P1D1W",
            "P1D1D",
            "P1DT",
            "p1d",
            "P99Y",
            "P9999999D",
            "daily",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        let said = "every day".parse::<Period>().unwrap_err().to_string();
        assert!(said.contains("`every day` is no period; write an ISO 8601 duration"), "{said}");
    }
}
