//! The process of the upserter alone.

use clap::Parser;
use passereau_runner::{Process, ProcessConfig};
use passereau_upserter::{Upserter, UpserterConfig};

/// Writes landed generations into the synthèse.
#[derive(Parser)]
#[command(version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Cli {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    upserter: UpserterConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let cli = Cli::parse();
    let _logs = passereau_telemetry::logs::init(&cli.process.log, "passereau-upserter")?;
    let upserter = Upserter::new(&cli.upserter);
    let mut process = Process::start("upserter", &cli.process).await?;
    process.work(upserter);
    Ok(process.run().await?)
}
