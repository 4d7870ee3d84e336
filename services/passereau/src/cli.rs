//! The verbs.

use clap::{Parser, Subcommand};

use crate::commands::{dead, harvest, install, migrate, topology, up};

/// Carries biodiversity observations from GBIF into GeoNature.
#[derive(Debug, Parser)]
#[command(name = "passereau", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all workers in this process.
    ///
    /// The workers' own settings come from the environment: PASSEREAU_STORE_URL, PASSEREAU_USER_AGENT, PASSEREAU_GBIF_USER,
    /// PASSEREAU_GBIF_PASSWORD and those that `passereau-requester --help`, `passereau-downloader --help` and so on list.
    Up(Box<up::Up>),
    /// Prepare GeoNature's database: source, index and grants (run it as the database's administrator).
    Install(install::Install),
    /// Create or update the schemas `passereau` and `pinv_gbif` (run it as the workers' role, which then owns them).
    Migrate(migrate::Migrate),
    /// Exchanges and queues.
    #[command(subcommand)]
    Topology(topology::Topology),
    /// Harvests.
    #[command(subcommand)]
    Harvest(harvest::Harvest),
    /// Messages that gave up.
    #[command(subcommand)]
    Dead(dead::Dead),
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Those of the verb, in words for the operator.
    pub async fn run(self) -> anyhow::Result<()> {
        passereau_broker::install_crypto();
        match self.command {
            Command::Up(up) => up.run().await,
            Command::Install(install) => install.run().await,
            Command::Migrate(migrate) => migrate.run().await,
            Command::Topology(topology) => topology.run().await,
            Command::Harvest(harvest) => harvest.run().await,
            Command::Dead(dead) => dead.run().await,
        }
    }
}
