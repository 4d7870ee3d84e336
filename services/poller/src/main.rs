//! The process of the poller alone.

use clap::Parser;
use passereau_poller::{Poller, PollerConfig};
use passereau_runner::{Process, ProcessConfig};

/// Asks GBIF how downloads go, until they have ended.
#[derive(Parser)]
#[command(version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Cli {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    poller: PollerConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let cli = Cli::parse();
    let _logs = passereau_telemetry::logs::init(&cli.process.log, "passereau-poller")?;
    let poller = Poller::new(&cli.poller)?;
    let mut process = Process::start("poller", &cli.process).await?;
    process.work(poller);
    Ok(process.run().await?)
}
