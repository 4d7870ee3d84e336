//! One file for each verb.

use std::io::{self, Write};

use anyhow::Context;
use passereau_database::{DatabaseConfig, check_migrated, connect};
use serde::Serialize;
use sqlx::PgPool;

pub mod approve;
mod at_hand;
pub mod check;
pub mod cite;
pub mod dead;
pub mod edits;
pub mod flow;
pub mod flow_check;
mod flow_fields;
pub mod flow_plan;
pub mod flow_show;
mod flow_token;
pub mod harvest;
pub mod install;
pub mod language;
pub mod life;
pub mod migrate;
pub mod plan;
pub mod privacy;
pub mod reconvert;
pub mod rejects;
mod report;
pub mod retention;
pub mod schedule;
mod spreadsheet;
pub mod submit;
pub mod taxon;
pub mod taxon_keys;
mod taxon_sheet;
pub mod topology;
pub mod up;
pub mod vanished;
pub mod vocabulary;
mod waiting;

/// Connects to a database that is as new as this program.
async fn open(config: &DatabaseConfig) -> anyhow::Result<PgPool> {
    let pool = connect(config)?;
    check_migrated(&pool).await?;
    Ok(pool)
}

/// Prints lines.
fn show(text: &str) -> anyhow::Result<()> {
    unless_closed(write_all(io::stdout().lock(), text)).context("printing")
}

/// Prints JSON.
fn show_json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).context("writing as JSON")?;
    show(&(text + "\n"))
}

fn write_all(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// `… | head` has read enough: no error.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses everything.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_has_read_enough_is_no_error_and_a_full_disk_is() {
        let written = |kind| unless_closed(write_all(Refusing(kind), "text\n"));
        assert!(written(io::ErrorKind::BrokenPipe).is_ok());
        assert!(written(io::ErrorKind::StorageFull).is_err());
    }
}
