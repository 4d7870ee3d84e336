//! `passereau-sandbox`: the stand-in servers, and `generate` for archives of invented records.
//!
//! Prints one line of JSON with the three addresses once it answers, and runs until SIGINT or SIGTERM.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use passereau_sandbox::{
    Pace, Route, Sandbox, SandboxConfig, Scripted,
    generate::{GenerateOptions, generate},
};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Stand-ins for GBIF and iNaturalist, and a generator of Darwin Core Archives",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a Darwin Core Archive of invented records; the same arguments give the same bytes.
    Generate {
        /// Number of records at revision 1.
        #[arg(long)]
        records: u64,
        /// Which invented world.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Which state of that world: from one to the next, of 100 records one moves, one gets other remarks, one vanishes, one is new.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        revision: u32,
        /// Where to write the archive.
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// Where GBIF's API listens. The file server takes the next port, iNaturalist's API the one after (port 0: any three).
    #[arg(long, env = "PASSEREAU_SANDBOX_LISTEN", default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
    /// Name by which clients reach it, for the links it gives, where that is another than the address it listens on: the name of its container.
    #[arg(long, env = "PASSEREAU_SANDBOX_PUBLIC_HOST", value_name = "NAME")]
    public_host: Option<String>,
    /// Archive to hand out; can be given several times, then they take turns.
    #[arg(long, num_args = 1.., value_name = "FILE.zip")]
    archive: Vec<PathBuf>,
    /// Faults to play: a JSON object from route to a list of scripts, for example {"create_download": ["lose_answer"]}.
    #[arg(long, value_name = "FILE.json")]
    script: Option<PathBuf>,
    /// Calls a second that iNaturalist allows before it answers 429.
    #[arg(long, value_name = "N")]
    inat_rate: Option<u32>,
    /// The GBIF account.
    #[arg(long, default_value = "passereau")]
    user: String,
    /// Its password, which protects nothing.
    #[arg(long, default_value = "sandbox")]
    password: String,
    /// Seconds that a download stays in PREPARING.
    #[arg(long, default_value_t = 1)]
    preparing_seconds: u64,
    /// Seconds that a download then stays in RUNNING.
    #[arg(long, default_value_t = 1)]
    running_seconds: u64,
    /// Unfinished downloads per user.
    #[arg(long, default_value_t = 3)]
    simultaneous: usize,
}

fn main() -> anyhow::Result<()> {
    let Arguments { command, serve } = Arguments::parse();
    match command {
        Some(Command::Generate { records, seed, revision, out }) => {
            let generated = generate(&GenerateOptions { records, seed, revision }, &out)?;
            println!(
                "generate: ok records={} multimedia={} size_bytes={}",
                generated.records, generated.multimedia, generated.size_bytes
            );
            Ok(())
        }
        None => tokio::runtime::Runtime::new().context("starting the runtime")?.block_on(run(serve)),
    }
}

/// The address `step` ports further; port 0 stays 0.
fn neighbour(address: SocketAddr, step: u16) -> anyhow::Result<SocketAddr> {
    let port = match address.port() {
        0 => 0,
        port => port.checked_add(step).context("--listen leaves no room for the two ports after it")?,
    };
    Ok(SocketAddr::new(address.ip(), port))
}

async fn run(serve: Serve) -> anyhow::Result<()> {
    let scripts: BTreeMap<Route, Vec<Scripted>> = match &serve.script {
        None => BTreeMap::new(),
        Some(path) => {
            let text = std::fs::read(path).with_context(|| format!("reading script {}", path.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("understanding script {}", path.display()))?
        }
    };
    for archive in &serve.archive {
        anyhow::ensure!(archive.is_file(), "there is no archive {}", archive.display());
    }
    let sandbox = Sandbox::start(SandboxConfig {
        gbif_listen: serve.listen,
        files_listen: neighbour(serve.listen, 1)?,
        inaturalist_listen: neighbour(serve.listen, 2)?,
        public_host: serve.public_host,
        archives: serve.archive,
        user: serve.user,
        password: serve.password,
        pace: Pace::Elapsed {
            preparing: Duration::from_secs(serve.preparing_seconds),
            running: Duration::from_secs(serve.running_seconds),
        },
        simultaneous_limit: serve.simultaneous,
        inaturalist_rate: serve.inat_rate,
    })
    .await?;
    for (route, scripted) in scripts {
        sandbox.script(route, scripted);
    }
    let addresses = serde_json::json!({
        "gbif_url": sandbox.gbif_url,
        "files_url": sandbox.files_url,
        "inaturalist_url": sandbox.inaturalist_url,
    });
    println!("{addresses}");
    let mut terminate = signal(SignalKind::terminate()).context("watching for SIGTERM")?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.context("watching for SIGINT")?,
        _ = terminate.recv() => {}
    }
    sandbox.stop().await;
    Ok(())
}
