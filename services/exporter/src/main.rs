//! The process of the exporter alone.

use clap::Parser;
use passereau_exporter::{Exporter, ExporterConfig};
use passereau_runner::{Process, ProcessConfig};

/// Makes the deliveries of flows: files of what may leave the synthèse.
#[derive(Parser)]
#[command(version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Cli {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    exporter: ExporterConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let cli = Cli::parse();
    let _logs = passereau_telemetry::logs::init(&cli.process.log, "passereau-exporter")?;
    let exporter = Exporter::new(&cli.exporter)?;
    let mut process = Process::start("exporter", &cli.process).await?;
    process.work(exporter);
    Ok(process.run().await?)
}
