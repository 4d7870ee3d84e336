//! `passereau dead list | show | replay | drop`.

use std::fmt::{Error, Write};

use anyhow::bail;
use clap::{Args, Subcommand};
use passereau_database::DatabaseConfig;
use passereau_runner::{DeadLetter, Replayed, drop_dead, find_dead, list_dead, replay_dead};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{open, show, show_json};

/// Messages that gave up.
#[derive(Debug, Subcommand)]
pub enum Dead {
    /// The dead letters that wait, oldest first.
    List(List),
    /// One dead letter with its body and its history.
    Show(One),
    /// Send a dead letter again; a harvest that failed for it goes on where it stopped.
    Replay(One),
    /// Give a dead letter up for good; what its harvest left behind goes with the next retention.
    Drop(One),
}

/// How to list.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which one.
#[derive(Args, Debug)]
pub struct One {
    /// Id of the dead letter, from `passereau dead list`.
    id: Uuid,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Dead {
    /// Does what was asked.
    ///
    /// # Errors
    /// There is no such dead letter, or it cannot be replayed now.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => {
                let letters = list_dead(&open(&list.database).await?).await?;
                if list.json {
                    show_json(&letters.iter().map(as_json).collect::<Vec<_>>())
                } else {
                    show(&table(&letters)?)
                }
            }
            Self::Show(one) => {
                let letter = find_dead(&open(&one.database).await?, one.id).await?;
                let Some(letter) = letter else { bail!("there is no dead letter {}", one.id) };
                show_json(&as_json(&letter))
            }
            Self::Drop(one) => {
                if !drop_dead(&open(&one.database).await?, one.id).await? {
                    bail!("{} is no dead letter that waits; see `passereau dead list`", one.id);
                }
                show(&format!("{} is dropped\n", one.id))
            }
            Self::Replay(one) => match replay_dead(&open(&one.database).await?, one.id).await? {
                Replayed::Sent => show(&format!("{} is on its way again\n", one.id)),
                Replayed::NotWaiting => bail!("{} is no dead letter that waits; see `passereau dead list`", one.id),
                Replayed::NotJson => bail!("the body of {} is no JSON; sending it again would change nothing", one.id),
                Replayed::Superseded(newer) => {
                    bail!(
                        "harvest {newer} of the same subscription is newer and complete; {} would put older data back",
                        one.id
                    )
                }
                Replayed::Busy(other) => {
                    bail!("harvest {other} of the same subscription is alive; replay {} when it has ended", one.id)
                }
            },
        }
    }
}

fn table(letters: &[DeadLetter]) -> Result<String, Error> {
    let mut text =
        format!("{:<36}  {:<36}  {:<16} {:<18} error\n", "dead letter", "harvest or request", "kind", "reason");
    for letter in letters {
        let about = letter.harvest_id.or(letter.message_id);
        writeln!(
            text,
            "{}  {:<36}  {:<16} {:<18} {}",
            letter.id,
            about.map(|id| id.to_string()).unwrap_or_default(),
            letter.kind.as_deref().unwrap_or("?"),
            letter.reason,
            letter.error.lines().next().unwrap_or_default()
        )?;
    }
    writeln!(text, "{} waiting", letters.len())?;
    Ok(text)
}

/// The body as JSON where it is, else as text.
fn as_json(letter: &DeadLetter) -> Value {
    let body = serde_json::from_slice(&letter.body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&letter.body).into_owned()));
    json!({
        "id": letter.id, "message_id": letter.message_id, "queue": letter.queue, "kind": letter.kind,
        "version": letter.version, "harvest_id": letter.harvest_id, "reason": letter.reason, "error": letter.error,
        "attempts": letter.attempts, "died_at": letter.died_at, "state": letter.state, "headers": letter.headers.0,
        "body": body,
    })
}
