//! `passereau flow …`: what is agreed with a partner. `check`, `plan`, `show`, `fields` and `token` have their own files.

use std::fmt::{Error, Write};
use std::path::PathBuf;

use anyhow::ensure;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use passereau_broker::BrokerConfig;
use passereau_contracts::FlowDeliver;
use passereau_database::DatabaseConfig;
use passereau_flow::{
    Applied, Changed, Document, Flow as Known, FlowError, History, apply, approve, find, history, lacks, list, resume,
    suspend,
};
use passereau_gate::Sensitive;
use serde_json::json;

use super::{
    flow_check::Check, flow_fields::Fields, flow_plan::Plan, flow_show::Show, flow_token::Token, open, show, show_json,
};
use crate::publish::publish;

/// Recurring exports for partners.
#[derive(Debug, Subcommand)]
pub enum Flow {
    /// Say all that is wrong with an agreement: as far as its files can tell and, where a database is at hand, whether all that it names is there.
    Check(Check),
    /// What an agreement, or a flow that is in force, would deliver now: rows by level, columns, bytes.
    Plan(Plan),
    /// Put an agreement in force.
    Apply(Apply),
    /// Allow, as a second person, that sensitive records leave at their precision in the version that is in force.
    Approve(Approve),
    /// All flows.
    List(List),
    /// One flow: what is agreed, how it stands, when it was delivered.
    Show(Show),
    /// Ask for a delivery now, by message.
    Run(Run),
    /// Deliver nothing more until the flow is resumed; what was delivered can still be fetched.
    Suspend(Suspend),
    /// Let a suspended flow go on.
    Resume(Resume),
    /// Every version of a flow, and its newest deliveries.
    History(Past),
    /// The columns that a flow may have.
    Fields(Fields),
    /// Who may fetch a flow.
    #[command(subcommand)]
    Token(Token),
}

/// What to put in force.
#[derive(Args, Debug)]
pub struct Apply {
    /// The agreement, TOML.
    file: PathBuf,
    /// Who applies it.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// What to approve.
#[derive(Args, Debug)]
pub struct Approve {
    /// Name of the flow.
    name: String,
    /// Who approves: not the one who applied it.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Approve only if this version is the one in force: the one that was looked at.
    #[arg(long, value_name = "VERSION")]
    only_version: Option<i32>,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// How to list.
#[derive(Args, Debug)]
pub struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// What to deliver.
#[derive(Args, Debug)]
pub struct Run {
    /// Name of the flow.
    name: String,
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    broker: BrokerConfig,
}

/// What to hold up.
#[derive(Args, Debug)]
pub struct Suspend {
    /// Name of the flow.
    name: String,
    /// Why, for whoever asks.
    #[arg(long, value_name = "REASON")]
    because: String,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// What to let go on.
#[derive(Args, Debug)]
pub struct Resume {
    /// Name of the flow.
    name: String,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Whose past.
#[derive(Args, Debug)]
pub struct Past {
    /// Name of the flow.
    name: String,
    /// Most deliveries.
    #[arg(long, default_value_t = 20)]
    limit: i64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Flow {
    /// Does what was asked.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check(check) => check.run().await,
            Self::Plan(plan) => plan.run().await,
            Self::Apply(apply) => apply.run().await,
            Self::Approve(approve) => approve.run().await,
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Run(run) => run.run().await,
            Self::Suspend(suspend) => suspend.run().await,
            Self::Resume(resume) => resume.run().await,
            Self::History(past) => past.run().await,
            Self::Fields(fields) => fields.run().await,
            Self::Token(token) => token.run().await,
        }
    }
}

impl Apply {
    async fn run(self) -> anyhow::Result<()> {
        let document = Document::read(&self.file, Utc::now())?;
        let name = &document.agreement.name;
        let pool = open(&self.database).await?;
        let applied = apply(&pool, &document, &self.by, Utc::now()).await?;
        if self.json {
            show_json(&json!({ "flow": name, "result": applied }))?;
        } else {
            show(&match applied {
                Applied::Created => format!("flow {name} is made, version 1\n"),
                Applied::Changed { version } => format!("flow {name} is changed, version {version}\n"),
                Applied::Unchanged { version } => {
                    format!("nothing has changed: version {version} of flow {name} says the same\n")
                }
            })?;
        }
        for lack in lacks(&pool, &document.agreement).await? {
            eprintln!("{lack}");
        }
        match applied {
            Applied::Unchanged { .. } => {}
            _ if document.agreement.sensitive == Sensitive::Precise => eprintln!(
                "it waits for a second person: `passereau flow approve {name} --by …`, after `passereau flow plan {name}`"
            ),
            _ => eprintln!("`passereau flow token create {name} --partner …` lets the partner fetch it"),
        }
        Ok(())
    }
}

impl Approve {
    async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let version = approve(&pool, &self.name, &self.by, self.only_version, Utc::now()).await?;
        show(&format!(
            "version {version} of flow {} is approved; a later version needs an approval of its own\n",
            self.name
        ))
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let flows = list(&open(&self.database).await?).await?;
        let now = Utc::now();
        if self.json {
            return show_json(&flows.iter().map(|flow| as_json(flow, now)).collect::<Vec<_>>());
        }
        show(&table(&flows, now)?)
    }
}

/// With what only the moment tells.
pub(super) fn as_json(flow: &Known, now: DateTime<Utc>) -> serde_json::Value {
    json!({ "flow": flow, "standing": flow.standing(now), "is_late": flow.is_late(now) })
}

fn table(flows: &[Known], now: DateTime<Utc>) -> Result<String, Error> {
    let mut text = format!(
        "{:<24}  {:>7}  {:<19}  {:<8}  {:<16}  {:>9}  {:<16}  structure\n",
        "flow", "version", "standing", "period", "delivered (UTC)", "rows", "next (UTC)"
    );
    for flow in flows {
        let standing = flow.standing(now);
        let standing = if flow.is_late(now) { "late" } else { standing.as_str() };
        writeln!(
            text,
            "{:<24}  {:>7}  {standing:<19}  {:<8}  {:<16}  {:>9}  {:<16}  {}",
            flow.name,
            flow.version,
            flow.agreement.period,
            minute(flow.delivered_at),
            flow.delivered_rows.map_or_else(|| "-".to_owned(), |rows| rows.to_string()),
            minute(flow.next_at),
            flow.agreement.structure,
        )?;
    }
    Ok(text)
}

/// A moment to the minute, or a dash.
pub(super) fn minute(moment: Option<DateTime<Utc>>) -> String {
    moment.map_or_else(|| "-".to_owned(), |moment| moment.format("%Y-%m-%d %H:%M").to_string())
}

impl Run {
    async fn run(self) -> anyhow::Result<()> {
        let name = self.name;
        let Some(flow) = find(&open(&self.database).await?, &name).await? else {
            return Err(FlowError::Unknown(name).into());
        };
        let standing = flow.standing(Utc::now());
        ensure!(standing.is_active(), "flow {name} cannot be delivered: {standing}");
        let id = publish(&self.broker, &FlowDeliver { flow: name.clone() }).await?;
        show(&format!("{id}\n"))?;
        eprintln!("asked for; follow it with `passereau flow history {name}`");
        Ok(())
    }
}

impl Suspend {
    async fn run(self) -> anyhow::Result<()> {
        let name = &self.name;
        match suspend(&open(&self.database).await?, name, &self.because, Utc::now()).await? {
            Changed::Done => show(&format!("flow {name} is suspended; `passereau flow resume {name}` lets it go on\n")),
            Changed::Already => show(&format!("flow {name} is suspended already; nothing has changed\n")),
        }
    }
}

impl Resume {
    async fn run(self) -> anyhow::Result<()> {
        let name = &self.name;
        let pool = open(&self.database).await?;
        let changed = resume(&pool, name, Utc::now()).await?;
        let Some(flow) = find(&pool, name).await? else { return Err(FlowError::Unknown(self.name).into()) };
        let standing = flow.standing(Utc::now());
        match changed {
            Changed::Done => show(&format!("flow {name} is resumed; {standing}\n")),
            Changed::Already => show(&format!("flow {name} is not suspended; nothing has changed\n")),
        }
    }
}

impl Past {
    async fn run(self) -> anyhow::Result<()> {
        let past = history(&open(&self.database).await?, &self.name, self.limit).await?;
        if self.json { show_json(&past) } else { show(&past_in_words(&past)?) }
    }
}

fn past_in_words(past: &History) -> Result<String, Error> {
    let mut text = format!("{:>7}  {:<16}  {:<20}  approved\n", "version", "applied (UTC)", "by");
    for version in &past.versions {
        let approved = match &version.approved_by {
            Some(by) => format!("{} by {by}", minute(version.approved_at)),
            None => "-".to_owned(),
        };
        writeln!(
            text,
            "{:>7}  {:<16}  {:<20}  {approved}",
            version.version,
            minute(Some(version.applied_at)),
            version.applied_by
        )?;
    }
    writeln!(
        text,
        "\n{:<36}  {:>7}  {:<16}  {:<16}  {:<9}  {:>9}  folder or reason",
        "delivery", "version", "asked (UTC)", "done (UTC)", "state", "rows"
    )?;
    for one in &past.deliveries {
        let erased = if one.erased_at.is_some() { ", taken away" } else { "" };
        // It had a folder while it was made; nothing was published in it.
        let folder = one.folder.as_deref().filter(|_| one.state != "unchanged");
        let what = one.reason.as_deref().or(folder).unwrap_or("-");
        writeln!(
            text,
            "{:<36}  {:>7}  {:<16}  {:<16}  {:<9}  {:>9}  {what}{erased}",
            one.id,
            one.flow_version,
            minute(Some(one.requested_at)),
            minute(one.finished_at),
            one.state,
            one.rows
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(version, propagate_version = true)]
    struct Cli {
        #[command(subcommand)]
        flow: Flow,
    }

    /// Words of a line of a shell, without its comment.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for letter in line.split("  #").next().unwrap_or_default().trim().chars() {
            match letter {
                '"' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                _ => words.last_mut().expect("a word").push(letter),
            }
        }
        words
    }

    #[test]
    fn the_commands_of_the_documents_are_ones_that_there_are() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for page in ["flows.md", "flux.md", "guide/guide.en.md", "guide/guide.fr.md"] {
            let text = std::fs::read_to_string(docs.join(page)).expect(page);
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("passereau flow ")).collect();
            assert!(lines.len() >= 5, "{page}");
            for line in lines {
                let given = &words(line)[1..];
                // A command that takes no database or no broker is one that goes without.
                let settings = ["--database-url=postgres://x/y", "--amqp-url=amqp://x"];
                let is_right = (0..=settings.len()).any(|with| {
                    Cli::try_parse_from(given.iter().map(String::as_str).chain(settings[..with].iter().copied()))
                        .is_ok()
                });
                assert!(is_right, "{page}: {line}");
            }
        }
    }

    #[test]
    fn every_verb_can_be_asked_for() {
        Cli::command().debug_assert();
        let parse =
            |words: &str| Cli::try_parse_from(format!("flow {words} --database-url postgres://x/y").split(' ')).is_ok();
        for right in [
            "approve a --by B",
            "approve a --by B --only-version 2",
            "plan a.toml",
            "apply a.toml --by A",
            "token list",
        ] {
            assert!(parse(right), "{right}");
        }
        for wrong in ["apply a.toml", "approve a", "suspend a", "token create a", "token revoke psr_1"] {
            assert!(!parse(wrong), "{wrong}");
        }
    }
}
