//! The process of the gateway alone.

use clap::Parser;
use passereau_gateway::{GatewayProcess, GatewayProcessConfig};

/// Serves the deliveries of flows to partners, over HTTP.
#[derive(Parser)]
#[command(version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Cli {
    #[command(flatten)]
    process: GatewayProcessConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let cli = Cli::parse();
    let _logs = passereau_telemetry::logs::init(&cli.process.log, "passereau-gateway")?;
    if let Some(process) = GatewayProcess::start(&cli.process).await? {
        process.run().await;
    }
    Ok(())
}
