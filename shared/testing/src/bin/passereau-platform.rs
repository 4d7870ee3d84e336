//! Private servers for a command: `passereau-platform run -- make something`.
//!
//! `run` and `serve` start what `PASSEREAU_DATABASE_URL` and `PASSEREAU_AMQP_URL` do not already point at. `geonature`
//! makes a GeoNature-shaped database on the PostgreSQL that the first of them names.

use std::{
    io::IsTerminal,
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use passereau_testing::{
    Variant,
    servers::{Platform, Wanted, input_closed, keeper},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

/// Private PostgreSQL and RabbitMQ for tests and the demonstration.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start the servers, run a command with their URLs in its environment, stop them, exit as the command did.
    Run {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Start the servers, print their URLs as shell exports, and stay until standard input closes or a signal comes.
    Serve,
    /// Make a seeded GeoNature-shaped database of this name and print its URL.
    Geonature {
        /// Name of the new database.
        name: String,
        /// Which GeoNature.
        #[arg(long, default_value = "2.17")]
        variant: Variant,
        /// Leave a database of that name as it is, whatever is in it.
        #[arg(long)]
        if_absent: bool,
    },
    /// Keep servers for another process.
    #[command(hide = true)]
    Keep {
        #[command(flatten)]
        wanted: Wanted,
    },
}

/// Exit code when it is the platform, not the command, that failed (as `env` and `timeout` use it).
const PLATFORM_FAILED: u8 = 125;

// Single-threaded: the keeper's servers are tied to the life of the thread that starts them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Run { command } => run(&command).await,
        Verb::Serve => serve().await,
        Verb::Geonature { name, variant, if_absent } => geonature(&name, variant, if_absent).await,
        Verb::Keep { wanted } => keeper::keep(wanted).await.map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("passereau-platform: {error:#}");
        ExitCode::from(PLATFORM_FAILED)
    })
}

async fn start() -> Result<Platform> {
    let program = std::env::current_exe().context("finding this program")?;
    Platform::start(&program, Wanted::from_environment()).await
}

async fn run(command: &[String]) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut platform = tokio::select! {
        platform = start() => platform?,
        // Dropping the start closes the lifeline: the keeper ends what it has begun.
        _ = terminate.recv() => return Ok(ExitCode::from(128 + 15)),
        _ = interrupt.recv() => return Ok(ExitCode::from(128 + 2)),
    };
    let (program, arguments) = command.split_first().context("no command was given")?;
    let spawned = Command::new(program).args(arguments).envs(platform.addresses.variables()).spawn();
    let status = match spawned {
        Ok(mut child) => loop {
            tokio::select! {
                status = child.wait() => break status.context("waiting for the command"),
                _ = terminate.recv() => forward(&child, Signal::TERM),
                // A terminal sends Ctrl-C to the command itself; twice would be once too often.
                _ = interrupt.recv() => if !std::io::stdin().is_terminal() { forward(&child, Signal::INT) },
                () = platform.failed() => {
                    eprintln!("passereau-platform: a private server failed, the command is stopped");
                    forward(&child, Signal::TERM);
                    break child.wait().await.context("waiting for the command");
                }
            }
        },
        Err(error) => Err(error).with_context(|| format!("starting {program}")),
    };
    platform.stop().await?;
    Ok(exit_code(status?))
}

fn forward(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        // The command may just have ended: then there is nobody to tell.
        let _gone = kill_process(pid, signal);
    }
}

/// The command's own code, or 128 and the signal that ended it, as shells have it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(PLATFORM_FAILED))
}

async fn serve() -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut platform = tokio::select! {
        platform = start() => platform?,
        _ = terminate.recv() => return Ok(ExitCode::from(128 + 15)),
        _ = interrupt.recv() => return Ok(ExitCode::from(128 + 2)),
    };
    for (name, url) in platform.addresses.variables() {
        println!("export {name}='{url}'");
    }
    if let Some(url) = &platform.addresses.database_url {
        println!("# psql '{url}'");
    }
    println!("# ready");
    let code = tokio::select! {
        () = input_closed() => ExitCode::SUCCESS,
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        () = platform.failed() => ExitCode::from(PLATFORM_FAILED),
    };
    platform.stop().await?;
    Ok(code)
}

async fn geonature(name: &str, variant: Variant, if_absent: bool) -> Result<ExitCode> {
    let admin_url = std::env::var(passereau_testing::DATABASE_URL)
        .with_context(|| format!("{} is not set: it names the server", passereau_testing::DATABASE_URL))?;
    if if_absent && passereau_testing::database_exists(&admin_url, name).await? {
        eprintln!("passereau-platform: database {name} is there, nothing was done");
        return Ok(ExitCode::SUCCESS);
    }
    let url = passereau_testing::create_geonature(&admin_url, name, variant).await?;
    println!("{url}");
    Ok(ExitCode::SUCCESS)
}
