//! The process of the inat-enricher alone.

use clap::Parser;
use passereau_inat_enricher::{Enricher, EnricherConfig};
use passereau_runner::{Process, ProcessConfig};

/// Looks up the UUIDs of iNaturalist's records.
#[derive(Parser)]
#[command(version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Cli {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    enricher: EnricherConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let cli = Cli::parse();
    let _logs = passereau_telemetry::logs::init(&cli.process.log, "passereau-inat-enricher")?;
    let enricher = Enricher::new(&cli.enricher)?;
    let mut process = Process::start("inat-enricher", &cli.process).await?;
    process.work(enricher);
    Ok(process.run().await?)
}
