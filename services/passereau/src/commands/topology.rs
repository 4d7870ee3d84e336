//! `passereau topology apply`.

use clap::{Args, Subcommand};
use passereau_broker::{Broker, BrokerConfig, topology};
use passereau_runner::fleet_topology;

use super::show;

/// Exchanges and queues.
#[derive(Debug, Subcommand)]
pub enum Topology {
    /// Declare what is missing; safe to repeat.
    Apply(Apply),
}

/// Where to declare.
#[derive(Args, Debug)]
pub struct Apply {
    #[command(flatten)]
    broker: BrokerConfig,
}

impl Topology {
    /// Declares exchanges, queues and bindings.
    ///
    /// # Errors
    /// The broker refuses, or has a queue of that name with other settings.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self::Apply(apply) = self;
        let broker = Broker::connect(&apply.broker, "passereau-command").await?;
        let fleet = fleet_topology(broker.prefix());
        let applied = topology::apply(&broker, &fleet).await;
        broker.close().await;
        applied?;
        show(&fleet.queue_names().iter().map(|queue| format!("queue {queue}\n")).collect::<String>())
    }
}
