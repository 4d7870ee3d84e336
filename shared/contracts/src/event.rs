//! What the fleet tells the world: events on the topic exchange `passereau.events`.
//!
//! The routing key is the kind; nobody needs to listen. An event is written in the transaction of the state it reports.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kinds of events. Each is a routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventKind {
    /// A request was accepted.
    #[serde(rename = "harvest.started")]
    Started,
    /// The plan is made: `unchanged` and `vanished` are known, the other landed records go into the slices.
    #[serde(rename = "harvest.planned")]
    Planned,
    /// The plan waits for a person's approval (`harvest.approve`); the reason says why.
    #[serde(rename = "harvest.awaiting_approval")]
    AwaitingApproval,
    /// Everything is in the synthèse and the sums are right.
    #[serde(rename = "harvest.completed")]
    Completed,
    /// The harvest stopped; the reason says why.
    #[serde(rename = "harvest.failed")]
    Failed,
    /// Somebody ended the harvest; the reason says who and why, as far as they said so.
    #[serde(rename = "harvest.cancelled")]
    Cancelled,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Started, Self::Planned, Self::AwaitingApproval, Self::Completed, Self::Failed, Self::Cancelled];

    /// The routing key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "harvest.started",
            Self::Planned => "harvest.planned",
            Self::AwaitingApproval => "harvest.awaiting_approval",
            Self::Completed => "harvest.completed",
            Self::Failed => "harvest.failed",
            Self::Cancelled => "harvest.cancelled",
        }
    }
}

impl Event {
    /// Version of the shape of every event.
    pub const VERSION: u16 = 1;
}

/// The counts of a harvest, in records. Once it is completed,
/// `read = landed + duplicate + malformed` and `landed = inserted + updated + unchanged + rejected + kept`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Records of the archive's core table.
    pub read: i64,
    /// Records of the generation.
    pub landed: i64,
    /// Records whose gbifID stood twice.
    pub duplicate: i64,
    /// Lines that are no record.
    pub malformed: i64,
    /// New rows of the synthèse.
    pub inserted: i64,
    /// Rows of the synthèse that changed.
    pub updated: i64,
    /// Records that needed no write.
    pub unchanged: i64,
    /// Records that cannot enter yet, each with a reason.
    pub rejected: i64,
    /// Records left as they are on purpose: another subscription holds newer data, a person has edited or deleted the row, or
    /// it changed since the plan.
    pub kept: i64,
    /// Records of the generation before that no current generation holds any more.
    pub vanished: i64,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The harvest.
    pub harvest_id: Uuid,
    /// Its subscription.
    pub subscription: String,
    /// The counts so far.
    pub counts: Counts,
    /// Why, when it failed, was cancelled or waits for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Key of the GBIF download, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_key: Option<String>,
    /// DOI of the GBIF download, once it is known. GBIF asks users to cite it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doi: Option<String>,
    /// When the plan was made that waits for approval: `harvest.approve` may name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<DateTime<Utc>>,
    /// When, UTC.
    pub at: DateTime<Utc>,
}
