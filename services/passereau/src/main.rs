//! The command `passereau`.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match passereau_telemetry::healthcheck::asked() {
        Some(answer) => answer.map(|()| ExitCode::SUCCESS).map_err(Into::into),
        None => passereau::Cli::parse().run().await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("Error: {}", passereau::told(&error));
        ExitCode::FAILURE
    })
}
