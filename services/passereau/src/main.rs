//! The command `passereau`.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    passereau::Cli::parse().run().await.unwrap_or_else(|error| {
        eprintln!("Error: {}", passereau::told(&error));
        ExitCode::FAILURE
    })
}
