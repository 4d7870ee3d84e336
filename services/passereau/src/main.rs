//! The command `passereau`.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    passereau::Cli::parse().run().await
}
