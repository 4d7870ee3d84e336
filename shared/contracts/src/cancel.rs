//! `harvest.cancel`, which anyone who may publish may send.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Message;

/// Ends a harvest that is alive. A download that GBIF makes for it is cancelled there; what its slices have written into
/// the synthèse stays. For a harvest that has ended, nothing happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HarvestCancel {
    /// The harvest.
    pub harvest_id: Uuid,
    /// Who asks, in words of their own (optional).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why (optional).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Message for HarvestCancel {
    const KIND: &'static str = "harvest.cancel";
}

impl HarvestCancel {
    /// What the harvest keeps as its reason.
    #[must_use]
    pub fn words(&self) -> String {
        let by = self.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        let reason = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("cancelled{by}{reason}")
    }
}
