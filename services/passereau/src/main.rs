//! The command `passereau`.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    passereau::Cli::parse().run().await
}
