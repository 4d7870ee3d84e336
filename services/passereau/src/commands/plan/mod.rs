//! `passereau harvest plan`: what a harvest would do, or did.
//!
//! The plan is summed up in the database once it is made and stays readable when its rows are consumed; this shows it as lines,
//! as JSON, or as one HTML page to hand to somebody else.

mod html;
mod summary;
mod text;
mod words;

use std::{fs, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_harvest::{State, find};
use uuid::Uuid;

use super::{language::Language, open, show, show_json};
use summary::Summary;

/// Whose plan, and how to show it.
#[derive(Args, Debug)]
pub struct Plan {
    /// Id of the harvest.
    id: Uuid,
    /// Print JSON.
    #[arg(long, conflicts_with = "html")]
    json: bool,
    /// Write one self-contained HTML page into this file.
    #[arg(long)]
    html: Option<PathBuf>,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Plan {
    /// Shows the plan.
    ///
    /// # Errors
    /// There is no such harvest, it has no plan (yet), or the file cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        let Some(harvest) = find(&open(&self.database).await?, self.id).await? else {
            bail!("there is no harvest {}; `passereau harvest list` shows those that there are", self.id);
        };
        let Some(plan) = &harvest.plan_summary else {
            bail!(
                "harvest {} has no plan: it is {}; `passereau harvest show {}` tells more",
                self.id,
                harvest.state,
                self.id
            );
        };
        if self.json {
            return show_json(plan);
        }
        let lang = self.language.or_session();
        let summary = Summary::read(plan).with_context(|| format!("reading the plan of harvest {}", self.id))?;
        if let Some(file) = &self.html {
            let page = html::render(&harvest, &summary, lang).context("writing the page")?;
            fs::write(file, page).with_context(|| format!("writing {}", file.display()))?;
            return show(&format!("{}\n", file.display()));
        }
        show(&text::render(&summary, lang)?)?;
        if harvest.state == State::AwaitingApproval {
            eprintln!(
                "waits for approval ({}): passereau harvest approve {}",
                harvest.reason.as_deref().unwrap_or_default(),
                self.id
            );
        }
        Ok(())
    }
}
