//! `passereau harvest approve`.

use anyhow::bail;
use clap::Args;
use passereau_broker::BrokerConfig;
use passereau_contracts::HarvestApprove;
use passereau_database::DatabaseConfig;
use passereau_harvest::{State, find};
use uuid::Uuid;

use super::open;
use crate::publish::publish;

/// Which plan to apply.
#[derive(Args, Debug)]
pub struct Approve {
    /// Id of the harvest that waits for approval.
    id: Uuid,
    /// Who approves, for the record.
    #[arg(long, env = "USER")]
    by: Option<String>,
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    broker: BrokerConfig,
}

impl Approve {
    /// Publishes the approval.
    ///
    /// # Errors
    /// The harvest does not wait for approval, or the broker.
    pub async fn run(self) -> anyhow::Result<()> {
        let Some(harvest) = find(&open(&self.database).await?, self.id).await? else {
            bail!("there is no harvest {}; `passereau harvest list` shows those that there are", self.id);
        };
        if harvest.state != State::AwaitingApproval {
            bail!("harvest {} does not wait for approval: it is {}", self.id, harvest.state);
        }
        let approval = HarvestApprove { harvest_id: self.id, by: self.by, planned_at: harvest.planned_at };
        publish(&self.broker, &approval).await?;
        eprintln!(
            "approved; a plan that is out of date is made anew instead: follow it with `passereau harvest show {}`",
            self.id
        );
        Ok(())
    }
}
