//! The process of the gateway alone.

use clap::Parser;
use passereau_gateway::{GatewayProcess, GatewayProcessConfig};

/// Serves the deliveries of flows to partners, over HTTP.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    process: GatewayProcessConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let _logs = passereau_telemetry::logs::init(&cli.process.log, "passereau-gateway")?;
    if let Some(process) = GatewayProcess::start(&cli.process).await? {
        process.run().await;
    }
    Ok(())
}
