//! The downloader as a process of its own.

use clap::Parser;
use passereau_downloader::{Downloader, DownloaderConfig};
use passereau_runner::{Process, ProcessConfig};

/// Fetches the archives of finished GBIF downloads into the store and verifies them.
#[derive(Debug, Parser)]
#[command(name = "passereau-downloader", version, after_help = passereau_telemetry::healthcheck::HELP)]
struct Arguments {
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    downloader: DownloaderConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(answer) = passereau_telemetry::healthcheck::asked() {
        return Ok(answer?);
    }
    let arguments = Arguments::parse();
    let _log = passereau_telemetry::logs::init(&arguments.process.log, "passereau-downloader")?;
    let downloader = Downloader::new(&arguments.downloader)?;
    let mut process = Process::start("downloader", &arguments.process).await?;
    process.work(downloader);
    Ok(process.run().await?)
}
