//! `passereau privacy erase | sweep | list`: what docs/privacy.en.md and docs/privacy.fr.md tell a data manager to do.

use std::fmt::{Error, Write};
use std::io::{self, BufRead};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use passereau_database::DatabaseConfig;
use passereau_dwca::Limits;
use passereau_erasure::{Archive, Erased, Plan, Value, Verdict};
use passereau_store::{Store, StoreConfig};
use serde_json::{Value as Json, json};

use super::{open, show, show_json};

/// Values that are shown of one column.
const SHOWN: usize = 20;

/// People who asked to be forgotten.
#[derive(Debug, Subcommand)]
pub enum Privacy {
    /// Show where a person is named; with --yes, take the name out and never land it again.
    Erase(Erase),
    /// Delete the kept archives that brought a suppressed name again, once their harvests no longer need them.
    Sweep(Sweep),
    /// The erasures that were done, by the reference of their request; the names themselves are kept nowhere.
    List(List),
}

/// Whom to forget.
#[derive(Args, Debug)]
pub struct Erase {
    /// Name of the person, or of the person's account, as GBIF publishes it; once for each way of writing that differs by
    /// more than order, case, accents and dots.
    #[arg(long = "observer", value_name = "NAME", required_unless_present = "observers_from")]
    observers: Vec<String>,
    /// A file with one name a line, or `-` for standard input: keeps the name out of the shell's history.
    #[arg(long, value_name = "FILE")]
    observers_from: Option<PathBuf>,
    /// Your own number of the request, kept with the erasure. Not the name.
    #[arg(long)]
    reference: Option<String>,
    /// Do it. Without, nothing is changed.
    #[arg(long)]
    yes: bool,
    /// Show only, which is the default.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Where the archives are.
#[derive(Args, Debug)]
pub struct Sweep {
    #[command(flatten)]
    store: StoreConfig,
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

impl Privacy {
    /// Does what was asked.
    ///
    /// # Errors
    /// In words for the operator; none repeats a name.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Erase(erase) => erase.run().await,
            Self::Sweep(sweep) => sweep.run().await,
            Self::List(list) => list.run().await,
        }
    }
}

impl Erase {
    async fn run(self) -> anyhow::Result<()> {
        let names = self.names()?;
        let pool = open(&self.database).await?;
        let store = Store::open(&self.store)?;
        if !self.yes {
            let plan = passereau_erasure::plan(&pool, &store, &self.limits, &names).await?;
            return if self.json { show_json(&plan) } else { show(&plan_text(&plan)?) };
        }
        let reference = self.reference.as_deref();
        let erased = passereau_erasure::erase(&pool, &store, &self.limits, &names, reference).await?;
        if self.json {
            show_json(&erased)?;
        } else {
            show(&erased_text(&erased)?)?;
        }
        if !erased.is_complete() {
            bail!("not everything could be gone through: run the same command again once the reasons above are gone");
        }
        Ok(())
    }

    fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names = self.observers.clone();
        if let Some(path) = &self.observers_from {
            let lines: io::Result<Vec<String>> = if path.as_os_str() == "-" {
                io::stdin().lock().lines().collect()
            } else {
                std::fs::read_to_string(path).map(|text| text.lines().map(str::to_owned).collect())
            };
            names.extend(lines.with_context(|| format!("reading the names from {}", path.display()))?);
        }
        let names: Vec<String> =
            names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            bail!("there is no name to look for");
        }
        Ok(names)
    }
}

fn plan_text(plan: &Plan) -> Result<String, Error> {
    let mut text = String::new();
    let (ours, others): (Vec<&Value>, Vec<&Value>) = plan.values.iter().partition(|value| value.ours);
    if plan.recorded {
        writeln!(text, "The name is suppressed already: what is landed from now on does not hold it.\n")?;
    }
    if plan.is_empty() {
        writeln!(text, "Nothing of ours holds the name.")?;
    } else {
        writeln!(text, "To be erased:")?;
        list_values(&mut text, &ours)?;
        list_archives(&mut text, &plan.archives)?;
    }
    if !others.is_empty() {
        writeln!(text, "\nOf other sources, for whoever brought them (they are not touched):")?;
        list_values(&mut text, &others)?;
    }
    if !plan.texts.is_empty() {
        writeln!(
            text,
            "\nTo be looked at by a person (texts that hold the name, and names that come near it; they are not touched):"
        )?;
        for found in &plan.texts {
            let (table, column, records) = (&found.of_table, &found.of_column, found.records);
            writeln!(text, "  {table}.{column}: {records} rows, for example {}", found.example)?;
        }
    }
    writeln!(
        text,
        "\nNot within reach: GBIF and iNaturalist, GeoNature's own history (gn_commons.t_history_actions), backups, files that \
         left the platform. See docs/privacy.en.md.\nNothing was changed; add --yes to erase."
    )?;
    Ok(text)
}

fn list_values(text: &mut String, values: &[&Value]) -> Result<(), Error> {
    let same = |a: &&Value, b: &&Value| (&a.of_table, &a.of_column) == (&b.of_table, &b.of_column);
    for column in values.chunk_by(same) {
        let Some(first) = column.first() else { continue };
        let rows: i64 = column.iter().map(|value| value.records).sum();
        writeln!(text, "  {}: {}.{}, {rows} rows", first.place, first.of_table, first.of_column)?;
        for value in column.iter().take(SHOWN) {
            let becomes =
                value.without.as_deref().map_or_else(|| "nothing".to_owned(), |without| format!("\"{without}\""));
            writeln!(text, "    {:>8}  \"{}\" becomes {becomes}", value.records, value.value)?;
        }
        if column.len() > SHOWN {
            writeln!(text, "              and {} other values (--json shows all)", column.len() - SHOWN)?;
        }
    }
    Ok(())
}

fn list_archives(text: &mut String, archives: &[Archive]) -> Result<(), Error> {
    for Archive { key, verdict } in archives {
        match verdict {
            Verdict::Holds => writeln!(text, "  archive {key}: deleted whole; GBIF hands it out again")?,
            Verdict::InUse => writeln!(text, "  archive {key}: a harvest needs it, run this again once it has ended")?,
            Verdict::Unreadable(why) => writeln!(text, "  archive {key}: cannot be read ({why}); look at it")?,
        }
    }
    Ok(())
}

fn erased_text(erased: &Erased) -> Result<String, Error> {
    let mut text = String::new();
    if erased.changed.is_empty() {
        writeln!(text, "Nothing of ours held the name.")?;
    }
    for (place, rows) in &erased.changed {
        writeln!(text, "  {place}: {rows}")?;
    }
    list_archives(&mut text, &erased.archives_left)?;
    for id in &erased.at_work {
        writeln!(
            text,
            "  harvest {id} was at work meanwhile and may have written the name: `passereau harvest show {id}`"
        )?;
    }
    let what = if erased.recorded > 0 { "is recorded" } else { "was recorded before" };
    writeln!(text, "The name {what}: no harvest brings it back.")?;
    Ok(text)
}

impl Sweep {
    async fn run(self) -> anyhow::Result<()> {
        let swept = passereau_erasure::sweep(&open(&self.database).await?, &Store::open(&self.store)?).await?;
        let mut text: String = swept.iter().map(|key| format!("{key}\n")).collect();
        writeln!(text, "{} archives deleted", swept.len())?;
        show(&text)
    }
}

type Row = (Option<String>, String, Option<String>, Json);

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT reference, to_char(requested_at, 'YYYY-MM-DD'), to_char(erased_at, 'YYYY-MM-DD'), counts
             FROM passereau.erasure ORDER BY requested_at, digest",
        )
        .fetch_all(&open(&self.database).await?)
        .await
        .context("reading the erasures")?;
        if self.json {
            let rows = rows.iter().map(|(reference, requested, erased, counts)| {
                json!({"reference": reference, "requested_at": requested, "erased_at": erased, "counts": counts})
            });
            return show_json(&rows.collect::<Vec<_>>());
        }
        let mut text = String::new();
        for (reference, requested, erased, counts) in &rows {
            let erased = erased.as_deref().unwrap_or("interrupted");
            writeln!(text, "{requested}  {erased:<11}  {:<20}  {counts}", reference.as_deref().unwrap_or("-"))?;
        }
        writeln!(text, "{} names are suppressed", rows.len())?;
        show(&text)
    }
}
