//! `passereau retention plan | run`.

use std::fmt::{Error, Write};

use clap::{Args, Subcommand};
use passereau_database::DatabaseConfig;
use passereau_retention::{Expired, Run, last_run, plan, run};
use passereau_store::{Store, StoreConfig};
use serde_json::json;

use super::{open, show, show_json};

/// What is kept for a time (docs/retention.md).
#[derive(Debug, Subcommand)]
pub enum Retention {
    /// What has expired and would go, by kind; and what the last run took away.
    Plan(Where),
    /// Take away now what has expired; the schedule `retention` does it once a day.
    Run(Where),
}

/// Where things are kept.
#[derive(Args, Debug)]
pub struct Where {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    store: StoreConfig,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Retention {
    /// Does what was asked.
    ///
    /// # Errors
    /// The database or the store cannot be asked, another process is taking things away, or a part could not be taken away.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Plan(place) => {
                let (pool, store) = (open(&place.database).await?, Store::open(&place.store)?);
                let (expired, last) = (plan(&pool, &store).await?, last_run(&pool).await?);
                if place.json {
                    show_json(&json!({ "expired": expired, "last_run": last }))
                } else {
                    show(&table(&expired, last.as_ref())?)
                }
            }
            Self::Run(place) => {
                let (pool, store) = (open(&place.database).await?, Store::open(&place.store)?);
                let done = run(&pool, &store).await?;
                if place.json {
                    show_json(&done)?;
                } else {
                    show(&removed(&done)?)?;
                }
                match done.error {
                    Some(error) => anyhow::bail!("not everything could be taken away: {error}"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn table(expired: &[Expired], last: Option<&Run>) -> Result<String, Error> {
    let mut text = format!("{:<12} {:>8} {:>12} {:>16}\n", "kind", "days", "expired", "bytes");
    for Expired { kind, days, amount } in expired {
        let days = days.map_or_else(|| "for ever".to_owned(), |days| days.to_string());
        writeln!(text, "{:<12} {days:>8} {:>12} {:>16}", kind.as_str(), amount.count, amount.bytes)?;
    }
    match last {
        None => text.push_str("no run yet\n"),
        Some(last) => {
            writeln!(text, "last run {}", last.started_at.format("%Y-%m-%d %H:%M UTC"))?;
            text.push_str(&removed(last)?);
        }
    }
    Ok(text)
}

fn removed(run: &Run) -> Result<String, Error> {
    let mut text = String::new();
    for (kind, amount) in run.removed.as_object().into_iter().flatten() {
        writeln!(text, "  {kind}: {} gone, {} bytes", amount["count"], amount["bytes"])?;
    }
    if text.is_empty() {
        text.push_str("  nothing had to go\n");
    }
    match (&run.error, run.finished_at) {
        (Some(error), _) => writeln!(text, "  not done: {error}")?,
        (None, None) if run.is_paused => text.push_str("  it has paused and goes on by itself\n"),
        (None, None) => text.push_str("  it has not ended: on its way, or broken off; the next run goes on\n"),
        (None, Some(_)) => {}
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use passereau_retention::{Amount, Kind};

    use super::*;

    #[test]
    fn a_plan_says_what_would_go_and_a_run_that_was_broken_off_is_not_called_done() {
        let expired = [Expired { kind: Kind::Written, days: None, amount: Amount { count: 3, bytes: 400 } }];
        let last = Run {
            started_at: "2026-11-01T02:03:04Z".parse().unwrap_or_default(),
            finished_at: None,
            removed: json!({}),
            error: None,
            is_paused: false,
        };
        let text = table(&expired, Some(&last)).unwrap_or_default();
        assert!(text.contains("written      for ever            3              400"), "{text}");
        assert!(text.contains("last run 2026-11-01 02:03 UTC") && text.contains("has not ended"), "{text}");
    }
}
