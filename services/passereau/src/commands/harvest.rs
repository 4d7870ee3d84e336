//! `passereau harvest list | show`; the other verbs have their own files.

use std::fmt::{Error, Write};

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use passereau_database::DatabaseConfig;
use passereau_harvest::{State, Wanted, find, is_waiting, list, malformed_lines, progress, rejects_by_reason};
use passereau_runner::{DeadFilter, list_dead};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::told::plain;

use super::dead::as_json;
use super::life::{Cancel, Pause, Resume};
use super::{
    approve::Approve, cite::Cite, edits::Edits, open, plan::Plan, reconvert::Reconvert, rejects::Rejects, show,
    show_json, submit::Submit, vanished::Vanished, waiting,
};

/// Malformed lines that are shown: one cause makes them alike.
const MALFORMED_SHOWN: i64 = 10;

/// Harvests.
#[derive(Debug, Subcommand)]
pub enum Harvest {
    /// Ask for a harvest, by message.
    Submit(Submit),
    /// Convert what a subscription holds again, without another download.
    Reconvert(Reconvert),
    /// The newest harvests.
    List(List),
    /// One harvest: state, counts, progress, rejects by reason.
    Show(Show),
    /// Hold a harvest up.
    Pause(Pause),
    /// Let a paused harvest go on.
    Resume(Resume),
    /// End a harvest for good, and its download at GBIF.
    Cancel(Cancel),
    /// What a harvest would do, or did: field by field, as lines, JSON or an HTML page.
    Plan(Plan),
    /// Apply exactly the plan that waits for approval.
    Approve(Approve),
    /// What a harvest's subscription could not bring in, and what to do about it.
    Rejects(Rejects),
    /// What people changed in GeoNature and GBIF says otherwise about, and GBIF's changes on validated rows.
    Edits(Edits),
    /// Records that no current generation holds any more, and what became of their rows.
    Vanished(Vanished),
    /// What to cite for a harvest: GBIF's DOI, and the datasets behind it.
    Cite(Cite),
}

/// How to list.
#[derive(Args, Debug)]
pub struct List {
    /// How many.
    #[arg(long, default_value_t = 20)]
    limit: i64,
    /// Only those in this state.
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)).try_map(|state| state.parse::<State>()))]
    state: Option<State>,
    /// Only those of this subscription.
    #[arg(long)]
    subscription: Option<String>,
    /// Only those that are paused.
    #[arg(long)]
    paused: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Which harvest.
#[derive(Args, Debug)]
pub struct Show {
    /// Id of the harvest.
    id: Uuid,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Harvest {
    /// Does what was asked.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Submit(submit) => submit.run().await,
            Self::Reconvert(reconvert) => reconvert.run().await,
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Pause(pause) => pause.run().await,
            Self::Resume(resume) => resume.run().await,
            Self::Cancel(cancel) => cancel.run().await,
            Self::Plan(plan) => plan.run().await,
            Self::Approve(approve) => approve.run().await,
            Self::Rejects(rejects) => rejects.run().await,
            Self::Edits(edits) => edits.run().await,
            Self::Vanished(vanished) => vanished.run().await,
            Self::Cite(cite) => cite.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let subscription = self.subscription.as_deref();
        let wanted = Wanted { state: self.state, subscription, paused: self.paused, limit: self.limit };
        let harvests = list(&open(&self.database).await?, &wanted).await?;
        if self.json { show_json(&harvests) } else { show(&table(&harvests)?) }
    }
}

fn table(harvests: &[passereau_harvest::Harvest]) -> Result<String, Error> {
    let mut text = format!(
        "{:<36}  {:<16}  {:<9}  {:<17}  {:>9}  {:>9}  {:>9}  subscription\n",
        "harvest", "created (UTC)", "origin", "state", "landed", "written", "rejected"
    );
    for harvest in harvests {
        writeln!(
            text,
            "{:<36}  {:<16}  {:<9}  {:<17}  {:>9}  {:>9}  {:>9}  {}",
            harvest.id,
            harvest.created_at.format("%Y-%m-%d %H:%M"),
            harvest.origin,
            if waiting::is_paused(harvest) { format!("{}, paused", harvest.state) } else { harvest.state.to_string() },
            harvest.counts.landed,
            harvest.counts.inserted + harvest.counts.updated,
            harvest.counts.rejected,
            plain(&harvest.subscription)
        )?;
    }
    Ok(text)
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let Some(harvest) = find(&pool, self.id).await? else { return self.refused(&pool).await };
        let stages = progress(&pool, harvest.id).await?;
        let rejects = rejects_by_reason(&pool, &harvest.subscription).await?;
        let waits = waiting::find(&pool, &harvest).await?;
        let of_harvest = DeadFilter { harvest: Some(harvest.id), ..DeadFilter::default() };
        let letters = list_dead(&pool, &of_harvest, i64::MAX).await?;
        let malformed = malformed_lines(&pool, harvest.id, MALFORMED_SHOWN).await?;
        if self.json {
            let letters: Vec<_> = letters.iter().map(as_json).collect();
            return show_json(&json!({
                "harvest": harvest, "waits": waits, "progress": stages, "rejects": rejects, "dead_letters": letters,
                "malformed": malformed,
            }));
        }
        let mut text = head(&harvest)?;
        text += &waits.text(&harvest)?;
        for stage in stages {
            writeln!(text, "{:<13} {} of {} slices", stage.stage, stage.done, stage.total)?;
        }
        if !malformed.is_empty() {
            writeln!(text, "lines of the archive that are no record, the first of them:")?;
        }
        for bad in malformed {
            writeln!(text, "  {} line {}: {}", plain(&bad.file), bad.line, plain(&bad.reason))?;
        }
        if !rejects.is_empty() {
            writeln!(text, "rejects that the subscription has now:")?;
        }
        for reject in rejects {
            let standing = match reject.standing {
                0 => String::new(),
                standing => format!("   ({standing} of them have a row in the synthèse, left as it was)"),
            };
            writeln!(text, "              {:<24} {}{standing}", reject.reason, reject.records)?;
        }
        for letter in letters {
            let (id, kind) = (letter.id, plain(letter.kind.as_deref().unwrap_or("?")));
            writeln!(text, "dead letter   {id}   {kind}, {} (once mended: passereau dead replay {id})", letter.reason)?;
        }
        show(&text)
    }

    /// A request that was refused has no harvest, but a dead letter under its `message_id`.
    async fn refused(&self, pool: &PgPool) -> anyhow::Result<()> {
        let refused: Option<(Uuid, String)> = sqlx::query_as(
            "SELECT id, error FROM passereau.dead_letter WHERE message_id = $1 AND state <> 'replayed' ORDER BY died_at DESC LIMIT 1",
        )
        .bind(self.id)
        .fetch_optional(pool)
        .await?;
        let Some((letter, error)) = refused else {
            if is_waiting(pool, self.id).await? {
                bail!(
                    "request {id} is no harvest yet: it waits for the end of another harvest of its subscription; \
                     `passereau harvest cancel {id}` takes it back",
                    id = self.id
                );
            }
            bail!(
                "there is no harvest {} (yet): a request becomes one once a requester has taken it (is `passereau up` running?); \
                 `passereau harvest list` shows those that there are",
                self.id
            );
        };
        if self.json {
            return show_json(&json!({"refused": {"request": self.id, "reason": error, "dead_letter": letter}}));
        }
        show(&format!(
            "request       {}\nstate         refused\nreason        {}\ndead letter   {letter}\n",
            self.id,
            plain(&error)
        ))
    }
}

/// What a harvest is and what became of its records.
fn head(harvest: &passereau_harvest::Harvest) -> Result<String, Error> {
    let mut text = String::new();
    writeln!(text, "harvest       {}", harvest.id)?;
    writeln!(text, "subscription  {}", plain(&harvest.subscription))?;
    writeln!(text, "state         {}", harvest.state)?;
    match harvest.origin.as_str() {
        "reconvert" => {
            writeln!(text, "converted     again: {}", plain(harvest.cause.as_deref().unwrap_or("no reason was kept")))?;
        }
        "manual" => writeln!(text, "by hand       pinv_gbif.upsert_gbif_data()")?,
        _ => {}
    }
    if harvest.settings.as_object().is_some_and(|settings| !settings.is_empty()) {
        writeln!(text, "settings      {}", plain(&harvest.settings.to_string()))?;
    }
    let told = [
        ("reason", &harvest.reason),
        ("download", &harvest.download_key),
        ("DOI", &harvest.doi),
        ("archive", &harvest.archive_key),
    ];
    for (label, value) in told.into_iter().filter_map(|(label, value)| value.as_ref().map(|value| (label, value))) {
        writeln!(text, "{label:<13} {}", plain(value))?;
    }
    let counts = &harvest.counts;
    writeln!(
        text,
        "read          {} = {} landed + {} duplicate + {} malformed",
        counts.read, counts.landed, counts.duplicate, counts.malformed
    )?;
    writeln!(
        text,
        "landed        {} = {} inserted + {} updated + {} unchanged + {} rejected + {} kept{}",
        counts.landed,
        counts.inserted,
        counts.updated,
        counts.unchanged,
        counts.rejected,
        counts.kept,
        if harvest.state.is_alive() { " so far" } else { "" }
    )?;
    write!(text, "vanished      {}", counts.vanished)?;
    if harvest.marked + harvest.deleted > 0 {
        write!(text, " ({} rows marked, {} rows archived and deleted)", harvest.marked, harvest.deleted)?;
    }
    writeln!(text)?;
    if let Some(by) = &harvest.approved_by {
        writeln!(text, "approved by   {}", plain(by))?;
    }
    if harvest.state == State::AwaitingApproval {
        writeln!(text, "plan          passereau harvest plan {0}; then passereau harvest approve {0}", harvest.id)?;
    }
    Ok(text)
}
