//! The process of the requester alone.

use clap::Parser;
use passereau_requester::{Requester, RequesterConfig};
use passereau_runner::{Process, ProcessConfig};

/// Takes requests in, and gets each its download at GBIF.
#[derive(Parser)]
#[command(version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Cli {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    requester: RequesterConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let cli = Cli::parse();
    let _logs = passereau_telemetry::logs::init(&cli.process.log, "passereau-requester")?;
    let requester = Requester::new(&cli.requester)?;
    let mut process = Process::start("requester", &cli.process).await?;
    process.work(requester);
    Ok(process.run().await?)
}
