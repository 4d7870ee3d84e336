//! `passereau schedule list | set | suspend | resume | drop | run`.

use std::{
    fmt::{Error, Write},
    path::PathBuf,
};

use anyhow::ensure;
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use passereau_contracts::HarvestRequest;
use passereau_database::DatabaseConfig;
use passereau_scheduler::{
    Subject,
    fire::now,
    table::{self, Setting},
};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{
    open, show, show_json,
    submit::{problems, read},
};

/// What is done again and again (docs/schedules.md).
#[derive(Debug, Subcommand)]
pub enum Schedule {
    /// All schedules: when each is due next and when it fired last.
    List(List),
    /// Make a schedule of a subscription's harvest, or change when one (or the retention) is due.
    Set(Set),
    /// Let a schedule stand still.
    Suspend(Suspend),
    /// Let a suspended schedule go on, at its next moment; what was due meanwhile is not made up for.
    Resume(One),
    /// Take a schedule away. Harvests, records and files stay.
    Drop(One),
    /// Fire a schedule now, beside its own moments; prints the id of the message, which is that of the harvest.
    Run(One),
}

/// How to show the schedules.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is to be done when.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("when").required(true).args(["every", "cron"]))]
pub struct Set {
    /// subscription:NAME, or retention.
    name: String,
    /// An ISO 8601 period, counted from now: P1D, P1W, P1M, P3M, PT6H.
    #[arg(long)]
    every: Option<String>,
    /// Five cron fields: minute, hour, day of the month, month, day of the week, such as "0 3 1 * *".
    #[arg(long)]
    cron: Option<String>,
    /// IANA name of the time zone that the time is meant in.
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// File with the body of a harvest.request, without `subscription`: {"query": …, "settings": …}. Needed for a new schedule; one that is
    /// there keeps its own.
    #[arg(long)]
    request: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseConfig,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What stands still.
#[derive(Args, Debug)]
pub struct Suspend {
    /// Name of the schedule.
    name: String,
    /// Why, for whoever looks at the list meanwhile.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    database: DatabaseConfig,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One schedule.
#[derive(Args, Debug)]
pub struct One {
    /// Name of the schedule: subscription:NAME, flow:NAME or retention.
    name: String,
    #[command(flatten)]
    database: DatabaseConfig,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Schedule {
    /// Does what was asked.
    ///
    /// # Errors
    /// What is wrong with the name, the time or the request, in words; the database.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(List { database, json }) => {
                let pool = open(&database).await?;
                print(&table::list(&pool).await?, json)
            }
            Self::Set(set) => set.run().await,
            Self::Suspend(Suspend { name, reason, database, json }) => {
                let (subject, pool, now) = begin(&name, &database).await?;
                print(&[table::suspend(&pool, &subject, reason.as_deref(), now).await?], json)
            }
            Self::Resume(One { name, database, json }) => {
                let (subject, pool, now) = begin(&name, &database).await?;
                print(&[table::resume(&pool, &subject, now).await?], json)
            }
            Self::Drop(One { name, database, json }) => {
                let (subject, pool, _) = begin(&name, &database).await?;
                table::forget(&pool, &subject).await?;
                if json { show_json(&json!({ "dropped": subject })) } else { show(&format!("{subject} is dropped\n")) }
            }
            Self::Run(One { name, database, json }) => {
                let (subject, pool, now) = begin(&name, &database).await?;
                let id = table::run_now(&pool, &subject, now).await?;
                if json {
                    return show_json(&json!({ "name": subject, "message_id": id }));
                }
                show(&format!("{id}\n"))?;
                let follow = match &subject {
                    Subject::Subscription(_) => format!("passereau harvest show {id}"),
                    Subject::Flow(flow) => format!("passereau flow history {flow}"),
                    Subject::Retention => "passereau retention plan".to_owned(),
                };
                eprintln!("asked for; follow it with `{follow}`");
                Ok(())
            }
        }
    }
}

impl Set {
    async fn run(self) -> anyhow::Result<()> {
        let subject: Subject = self.name.parse()?;
        let request: Option<Value> = self.request.as_deref().map(|path| read(path, "the request")).transpose()?;
        if let Some(Ok(body)) = request.clone().map(serde_json::from_value::<HarvestRequest>) {
            let problems = problems(&body);
            ensure!(problems.is_empty(), "the request is not right:\n  {}", problems.join("\n  "));
        }
        let pool = open(&self.database).await?;
        let setting = Setting {
            subject,
            // clap sees to it that one of them is given.
            expression: self.every.or(self.cron).unwrap_or_default(),
            time_zone: self.time_zone,
            request,
        };
        let set = table::set(&pool, &setting, now(&pool).await?).await?;
        print(&[set], self.json)
    }
}

async fn begin(name: &str, database: &DatabaseConfig) -> anyhow::Result<(Subject, PgPool, DateTime<Utc>)> {
    let subject = name.parse()?;
    let pool = open(database).await?;
    let now = now(&pool).await?;
    Ok((subject, pool, now))
}

fn print(schedules: &[table::Schedule], json: bool) -> anyhow::Result<()> {
    if json { show_json(&schedules) } else { show(&lines(schedules)?) }
}

/// Moments in UTC: the table's columns keep one width, and the zone stands beside the time.
fn lines(schedules: &[table::Schedule]) -> Result<String, Error> {
    let when = |moment: Option<DateTime<Utc>>| {
        moment.map_or_else(|| "never".to_owned(), |moment| moment.format("%Y-%m-%d %H:%M:%SZ").to_string())
    };
    let width = schedules.iter().map(|schedule| schedule.name.chars().count()).max().unwrap_or(0).max(12);
    let mut text = format!("{:<width$} {:<16} {:<20} {:<20} {:<20}\n", "name", "when", "zone", "next", "last");
    for schedule in schedules {
        let next = match schedule.suspended_at {
            Some(_) => "suspended".to_owned(),
            None => when(Some(schedule.next_at)),
        };
        let last = when(schedule.last_fired_at);
        writeln!(
            text,
            "{:<width$} {:<16} {:<20} {next:<20} {last:<20}",
            schedule.name, schedule.expression, schedule.time_zone
        )?;
        if let Some(since) = schedule.suspended_at {
            let because = schedule.suspended_because.as_deref().unwrap_or("no reason was given");
            writeln!(text, "  suspended since {}: {because}", when(Some(since)))?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_next_and_when_last_and_a_suspended_one_why() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap_or_default();
        let retention = table::Schedule {
            name: "retention".into(),
            expression: "P1D".into(),
            time_zone: "UTC".into(),
            request: None,
            anchor_at: at("2026-11-01T02:00:00Z"),
            next_at: at("2026-11-03T02:00:00Z"),
            last_fired_at: Some(at("2026-11-02T02:00:04Z")),
            suspended_at: None,
            suspended_because: None,
        };
        let suspended = table::Schedule {
            name: "subscription:inaturalist-aura".into(),
            last_fired_at: None,
            suspended_at: Some(at("2026-11-02T09:00:00Z")),
            suspended_because: Some("GBIF is down".into()),
            ..retention.clone()
        };
        let text = lines(&[retention, suspended]).unwrap_or_default();
        assert!(text.contains("2026-11-03 02:00:00Z 2026-11-02 02:00:04Z"), "{text}");
        assert!(text.contains("suspended            never"), "{text}");
        assert!(text.contains("  suspended since 2026-11-02 09:00:00Z: GBIF is down"), "{text}");
    }
}
