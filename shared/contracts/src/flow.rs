//! Messages about flows, and what is done on a schedule.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Message;

/// Make a new delivery of a flow. While one is being made, the request waits for its end and then makes another; a flow that is suspended, ended or not approved answers with
/// `delivery.failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowDeliver {
    /// Name of the flow.
    pub flow: String,
}

impl Message for FlowDeliver {
    const KIND: &'static str = "flow.deliver";
}

/// Take away what has expired. Sent once a day, by the schedule `retention`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionRun {}

impl Message for RetentionRun {
    const KIND: &'static str = "retention.run";
}

/// The kinds of events about deliveries. Each is a routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeliveryEventKind {
    /// A new version of the flow can be fetched.
    #[serde(rename = "delivery.completed")]
    Completed,
    /// Nothing has changed since the version before, which stays.
    #[serde(rename = "delivery.unchanged")]
    Unchanged,
    /// There is no new version; the reason says why.
    #[serde(rename = "delivery.failed")]
    Failed,
}

impl DeliveryEventKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Completed, Self::Unchanged, Self::Failed];

    /// The routing key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "delivery.completed",
            Self::Unchanged => "delivery.unchanged",
            Self::Failed => "delivery.failed",
        }
    }
}

impl DeliveryEvent {
    /// Version of the shape of these events.
    pub const VERSION: u16 = 1;
}

/// One event about a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryEvent {
    /// What happened.
    pub kind: DeliveryEventKind,
    /// Name of the flow.
    pub flow: String,
    /// The delivery.
    pub delivery_id: Uuid,
    /// Records that the partner can fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Records that were asked for and withheld, as far as the partner may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<i64>,
    /// Folder of the version, which is also its name in the gateway's addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, UTC.
    pub at: DateTime<Utc>,
}
