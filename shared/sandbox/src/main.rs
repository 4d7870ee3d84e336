//! `passereau-sandbox`: the stand-in servers, and `generate` for archives of invented records.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use passereau_sandbox::generate::{GenerateOptions, generate};

#[derive(Debug, Parser)]
#[command(version, about = "Stand-ins for GBIF and iNaturalist, and a generator of Darwin Core Archives")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
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

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Some(Command::Generate { records, seed, revision, out }) => {
            let generated = generate(&GenerateOptions { records, seed, revision }, &out)?;
            println!(
                "generate: ok records={} multimedia={} size_bytes={}",
                generated.records, generated.multimedia, generated.size_bytes
            );
            Ok(())
        }
        None => Ok(()),
    }
}
