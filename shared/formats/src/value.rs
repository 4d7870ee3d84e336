//! Values: the text of a cell, read by the kind of its column.
//!
//! PostgreSQL's text of a number is JSON's already (documentation, "Numeric Types"; RFC 8259, section 6), apart from `NaN`
//! and the infinities. So numbers are checked and copied, and none of their digits is lost.

use serde::de::IgnoredAny;

use crate::Kind;
use crate::moment::{self, Moment};

/// A value of its column's kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Integer(i64, &'a str),
    Real(&'a str),
    Boolean(bool),
    Date(&'a str),
    Time(&'a str),
    DateTime(Moment<'a>),
    Json(&'a str),
}

impl<'a> Value<'a> {
    /// Reads a text; nothing if it is not of the kind.
    pub(crate) fn read(kind: Kind, text: &'a str) -> Option<Self> {
        match kind {
            Kind::Text => Some(Self::Text(text)),
            Kind::Integer => {
                is_number(text.as_bytes()).then(|| text.parse().ok()).flatten().map(|n| Self::Integer(n, text))
            }
            Kind::Real => is_number(text.as_bytes())
                .then(|| text.parse::<f64>().ok())
                .flatten()
                .filter(|n| n.is_finite())
                .map(|_| Self::Real(text)),
            Kind::Boolean => match text {
                "true" | "t" => Some(Self::Boolean(true)),
                "false" | "f" => Some(Self::Boolean(false)),
                _ => None,
            },
            Kind::Date => moment::is_date(text).then_some(Self::Date(text)),
            Kind::Time => moment::is_time(text).then_some(Self::Time(text)),
            Kind::DateTime => Moment::read(text).map(Self::DateTime),
            Kind::Json => serde_json::from_str::<IgnoredAny>(text).ok().map(|_| Self::Json(text)),
        }
    }
}

/// Whether the text is a number of JSON.
fn is_number(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    match rest {
        [b'0', b'0'..=b'9', ..] => false,
        _ => is_unsigned_number(rest),
    }
}

/// Whether a person or a program may mean a number by the text: with either sign, and with zeros in front.
pub(crate) fn looks_like_number(text: &[u8]) -> bool {
    is_unsigned_number(text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text))
}

/// Digits, then perhaps a point and digits, then perhaps an exponent.
fn is_unsigned_number(text: &[u8]) -> bool {
    let Some(mut rest) = after_digits(text) else { return false };
    if let Some(decimals) = rest.strip_prefix(b".") {
        let Some(after) = after_digits(decimals) else { return false };
        rest = after;
    }
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            after_digits(exponent).is_some_and(<[u8]>::is_empty)
        }
        _ => false,
    }
}

/// What follows at least one digit.
fn after_digits(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { None } else { text.get(digits..) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-0", "12", "-12.50", "1e+20", "2.5E-3", "123456789012345678901234567890.1"] {
            assert!(is_number(text.as_bytes()), "{text}");
            assert_eq!(Value::read(Kind::Real, text), Some(Value::Real(text)));
            assert!(serde_json::from_str::<serde_json::Number>(text).is_ok(), "{text}");
        }
        for text in
            ["", "-", "+1", "01", ".5", "1.", "1e", "NaN", "Infinity", "-Infinity", "inf", "0x1", "1 ", " 1", "1e999"]
        {
            assert_eq!(Value::read(Kind::Real, text), None, "{text}");
        }
    }

    #[test]
    fn an_integer_has_64_bits() {
        for text in ["9223372036854775807", "-9223372036854775808", "0"] {
            assert!(matches!(Value::read(Kind::Integer, text), Some(Value::Integer(..))), "{text}");
        }
        for text in ["9223372036854775808", "1.0", "1e3", "007", "+7", "douze"] {
            assert_eq!(Value::read(Kind::Integer, text), None, "{text}");
        }
    }

    #[test]
    fn booleans_come_in_both_spellings_of_postgresql() {
        assert_eq!(Value::read(Kind::Boolean, "t"), Some(Value::Boolean(true)));
        assert_eq!(Value::read(Kind::Boolean, "false"), Some(Value::Boolean(false)));
        assert_eq!(Value::read(Kind::Boolean, "oui"), None);
    }

    #[test]
    fn json_is_checked_to_its_end() {
        assert_eq!(Value::read(Kind::Json, "{\"a\": [1, null]}"), Some(Value::Json("{\"a\": [1, null]}")));
        for text in ["", "{", "{} {}", "[1,]", "{'a': 1}"] {
            assert_eq!(Value::read(Kind::Json, text), None, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Value::read(Kind::Json, &deep), None);
    }
}
