//! The command `passereau`: every operator's verb, and all workers in one process.
//!
//! Each verb is one file of [`commands`]. A verb prints what it did on standard output (JSON with `--json`), its errors on
//! standard error, and exits with 0 only when it was done.

mod cli;
pub mod commands;
mod publish;
#[cfg(test)]
mod settings;
mod told;

pub use cli::Cli;
pub use told::told;
