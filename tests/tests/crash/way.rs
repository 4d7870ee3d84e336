//! The ways that a harvest of the matrix goes: straight through, past a person who approves its plan, or to the end that somebody puts to it.

use anyhow::{Result, ensure};
use passereau_contracts::{HarvestApprove, HarvestCancel, HarvestRequest, Message, Metadata, SubscriptionSettings};
use passereau_harvest::State;
use passereau_sandbox::{Pace, SandboxConfig};
use passereau_tests::{Fleet, SUBSCRIPTION, query};
use uuid::Uuid;

use crate::{case::reached, faults::Fault};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the request to the synthèse.
    Straight,
    /// Its plan waits until somebody approves it.
    Approved,
    /// Somebody cancels it while GBIF prepares its download.
    Cancelled,
}

impl Way {
    /// The one that meets a fault.
    pub fn to(fault: &Fault) -> Self {
        match fault {
            Fault::Killed { kind, .. } if *kind == HarvestApprove::KIND => Self::Approved,
            Fault::Killed { kind, .. } if *kind == HarvestCancel::KIND => Self::Cancelled,
            _ => Self::Straight,
        }
    }

    /// How it ends.
    pub fn end(self) -> State {
        if self == Self::Cancelled { State::Cancelled } else { State::Completed }
    }

    /// What the sandbox needs for it.
    pub fn prepare(self, sandbox: &mut SandboxConfig) {
        if self == Self::Cancelled {
            sandbox.pace = Pace::Polls { preparing: 1_000_000, running: 0 };
        }
    }

    /// Asks for the harvest, and for what somebody does to it on its way. `copies` of the request are published, all of one identity.
    ///
    /// # Errors
    /// A message cannot be published, or the harvest does not come so far.
    pub async fn begin(self, fleet: &mut Fleet, copies: usize) -> Result<Uuid> {
        let request = HarvestRequest { plan: self == Self::Approved, ..request() };
        let id = Uuid::now_v7();
        for _ in 0..copies {
            fleet.publish_as(id, HarvestRequest::KIND, serde_json::to_vec(&request)?).await?;
        }
        match self {
            Self::Straight => {}
            Self::Approved => {
                reached(fleet, id, State::AwaitingApproval).await?;
                approve(fleet, id).await?;
            }
            Self::Cancelled => {
                reached(fleet, id, State::Preparing).await?;
                ensure!(fleet.sandbox.downloads().len() == 1, "GBIF prepares no download that could be cancelled");
                let order = HarvestCancel { harvest_id: id, by: Some(SOMEBODY.to_owned()), reason: None };
                fleet.publish(HarvestCancel::KIND, serde_json::to_vec(&order)?).await?;
            }
        }
        Ok(id)
    }
}

/// Who approves and cancels.
const SOMEBODY: &str = "Mme Cigogne";

/// Approves the plan of a harvest.
///
/// # Errors
/// The message cannot be published.
pub async fn approve(fleet: &Fleet, id: Uuid) -> Result<()> {
    let order = HarvestApprove { harvest_id: id, by: Some(SOMEBODY.to_owned()), planned_at: None };
    fleet.publish(HarvestApprove::KIND, serde_json::to_vec(&order)?).await?;
    Ok(())
}

/// The request of every case.
pub fn request() -> HarvestRequest {
    let settings =
        SubscriptionSettings { metadata: Some(Metadata::Create), media: true, ..SubscriptionSettings::default() };
    HarvestRequest {
        subscription: Some(SUBSCRIPTION.into()),
        query: Some(query("passereau")),
        settings: Some(settings),
        ..HarvestRequest::default()
    }
}
