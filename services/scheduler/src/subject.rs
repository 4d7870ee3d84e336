//! What a schedule is of.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::ScheduleError;

/// What is done again and again, as the name of its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `flow:<name>`: a delivery of a flow.
    Flow(String),
    /// `subscription:<name>`: a harvest of a subscription.
    Subscription(String),
    /// `retention`: taking away what has expired.
    Retention,
}

impl FromStr for Subject {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        match text.split_once(':') {
            Some(("flow", name)) if !name.is_empty() => Ok(Self::Flow(name.to_owned())),
            Some(("subscription", name)) if !name.is_empty() => Ok(Self::Subscription(name.to_owned())),
            None if text == "retention" => Ok(Self::Retention),
            _ => Err(ScheduleError::Name(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flow(name) => write!(formatter, "flow:{name}"),
            Self::Subscription(name) => write!(formatter, "subscription:{name}"),
            Self::Retention => formatter.write_str("retention"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_done_and_anything_else_is_refused_with_right_ones() {
        for name in ["flow:atlas-aura", "subscription:inaturalist", "retention"] {
            assert_eq!(name.parse::<Subject>().map(|subject| subject.to_string()).ok().as_deref(), Some(name));
        }
        for name in ["", "atlas", "flow:", "subscription:", "retention:x", "Flow:x"] {
            let said = name.parse::<Subject>().expect_err(name).to_string();
            assert!(said.contains("subscription:NAME, flow:NAME or retention"), "{said}");
        }
    }
}
