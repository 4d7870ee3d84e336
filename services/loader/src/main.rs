//! The process of the loader alone.

use clap::Parser;
use passereau_loader::{Loader, LoaderConfig};
use passereau_runner::{Process, ProcessConfig};

/// Loads archives into generations.
#[derive(Parser)]
#[command(version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Cli {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    loader: LoaderConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let cli = Cli::parse();
    let _logs = passereau_telemetry::logs::init(&cli.process.log, "passereau-loader")?;
    let loader = Loader::new(&cli.loader)?;
    let mut process = Process::start("loader", &cli.process).await?;
    process.work(loader);
    Ok(process.run().await?)
}
