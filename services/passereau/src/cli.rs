//! The verbs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    check, dead, flow, harvest, install, migrate, privacy, retention, schedule, taxon, taxon_keys, topology, up,
    vocabulary,
};

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
    /// Examine GeoNature's database as the workers' role: what stands in the way of a harvest, and what to run.
    Check(check::Check),
    /// Create or update the schemas `passereau` and `pinv_gbif` (run it as the workers' role, which then owns them).
    Migrate(migrate::Migrate),
    /// Exchanges and queues.
    #[command(subcommand)]
    Topology(topology::Topology),
    /// Harvests.
    #[command(subcommand)]
    Harvest(harvest::Harvest),
    /// Names of GBIF that TAXREF's links do not know: ask a taxonomist, take over the answers.
    #[command(subcommand)]
    Taxon(taxon::Taxon),
    /// GBIF's keys of a group of taxa, for the predicate of a request.
    TaxonKeys(taxon_keys::TaxonKeys),
    /// Words of GBIF that the mapping to nomenclatures does not know.
    #[command(subcommand)]
    Vocabulary(vocabulary::Vocabulary),
    /// People who asked to be forgotten: where they are named, and taking the name out.
    #[command(subcommand)]
    Privacy(privacy::Privacy),
    /// Flows: recurring exports for partners.
    #[command(subcommand)]
    Flow(flow::Flow),
    /// Messages that gave up.
    #[command(subcommand)]
    Dead(dead::Dead),
    /// What is kept for a time: what has expired, and taking it away.
    #[command(subcommand)]
    Retention(retention::Retention),
    /// What is done again and again: harvests of subscriptions, deliveries of flows, the retention.
    #[command(subcommand)]
    Schedule(schedule::Schedule),
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Those of the verb, in words for the operator.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        passereau_broker::install_crypto();
        let done = match self.command {
            // The only verb with exit codes of its own.
            Command::Check(check) => return Ok(check.run().await),
            Command::Up(up) => up.run().await,
            Command::Install(install) => install.run().await,
            Command::Migrate(migrate) => migrate.run().await,
            Command::Topology(topology) => topology.run().await,
            Command::Harvest(harvest) => harvest.run().await,
            Command::Taxon(taxon) => taxon.run().await,
            Command::TaxonKeys(keys) => keys.run().await,
            Command::Vocabulary(vocabulary) => vocabulary.run().await,
            Command::Privacy(privacy) => privacy.run().await,
            Command::Flow(flow) => flow.run().await,
            Command::Dead(dead) => dead.run().await,
            Command::Retention(retention) => retention.run().await,
            Command::Schedule(schedule) => schedule.run().await,
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}
