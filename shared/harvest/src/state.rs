//! The states of a harvest.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// Where a harvest is. The order is that of its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted; waits for a place at GBIF where it needs one.
    Requested,
    /// Holds a place at GBIF; the download is being asked for.
    Requesting,
    /// GBIF prepares the download.
    Preparing,
    /// The archive is being fetched.
    Fetching,
    /// The archive is being loaded into a generation.
    Loading,
    /// UUIDs of iNaturalist are being looked up, and the registry is asked about datasets.
    Enriching,
    /// The generation is being compared with what was written.
    Planning,
    /// A person has to look at the plan.
    AwaitingApproval,
    /// Slices go into the synthèse.
    Upserting,
    /// The sums are being checked.
    Finishing,
    /// Everything is in.
    Completed,
    /// Stopped, with a reason.
    Failed,
    /// Stopped by a person.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 13] = [
        Self::Requested,
        Self::Requesting,
        Self::Preparing,
        Self::Fetching,
        Self::Loading,
        Self::Enriching,
        Self::Planning,
        Self::AwaitingApproval,
        Self::Upserting,
        Self::Finishing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The value of column `passereau.harvest.state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Requesting => "requesting",
            Self::Preparing => "preparing",
            Self::Fetching => "fetching",
            Self::Loading => "loading",
            Self::Enriching => "enriching",
            Self::Planning => "planning",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Upserting => "upserting",
            Self::Finishing => "finishing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the harvest still has work to come.
    pub const fn is_alive(self) -> bool {
        !matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A state that this program does not know: the database is newer.
#[derive(Debug, thiserror::Error)]
#[error("harvest state {0:?} is unknown; the database is newer than this program, upgrade it")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

impl TryFrom<String> for State {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<Self, UnknownState> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>().ok(), Some(state));
            assert_eq!(serde_json::to_value(state).ok(), Some(state.as_str().into()));
        }
    }
}
