//! `passereau flow check`.

use std::path::PathBuf;

use anyhow::bail;
use chrono::Utc;
use clap::Args;
use passereau_flow::{Draft, FlowError, lacks};
use serde_json::json;

use super::{at_hand::AtHand, show, show_json};

/// Which file.
#[derive(Args, Debug)]
pub struct Check {
    /// The agreement, TOML (docs/flows.md, docs/flux.md).
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: AtHand,
}

/// What the platform says of an agreement, where it was asked.
#[derive(Debug, Default)]
struct LookedUp {
    was_asked: bool,
    lacks: Vec<String>,
}

impl Check {
    /// Prints all that is wrong, of the file and of what it names.
    ///
    /// # Errors
    /// Something is wrong, or the database that is at hand does not answer.
    pub async fn run(self) -> anyhow::Result<()> {
        let file = self.file.display();
        let mut draft = Draft::read(&self.file, Utc::now())?;
        draft.read_territory();
        let looked_up = match self.look_up(&mut draft).await {
            Ok(looked_up) => looked_up,
            Err(error) if draft.problems().is_empty() => bail!(
                "{file} is right as far as it alone can tell, and nothing could be looked up: {error}; `--offline` leaves the database alone"
            ),
            // What the file says against itself is told in any case.
            Err(error) => {
                eprintln!("nothing could be looked up: {error}");
                LookedUp::default()
            }
        };
        for lack in looked_up.lacks.iter().filter(|_| !self.json) {
            eprintln!("{lack}");
        }
        let (was_asked, lacks) = (looked_up.was_asked, looked_up.lacks);
        match draft.finish() {
            Ok(document) if self.json => show_json(
                &json!({ "problems": [], "looked_up": was_asked, "lacks": lacks, "agreement": document.agreement }),
            ),
            Ok(document) => {
                let told =
                    if was_asked { "and the platform knows all that it names" } else { "as far as it alone can tell" };
                show(&format!("{file} is right {told}\n"))?;
                eprintln!(
                    "`passereau flow plan {file}` asks the database what flow {} would deliver",
                    document.agreement.name
                );
                Ok(())
            }
            Err(FlowError::Problems(problems)) if self.json => {
                show_json(&json!({ "problems": problems, "looked_up": was_asked, "lacks": lacks }))?;
                bail!("{file} has {} problems", problems.len())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn look_up(&self, draft: &mut Draft) -> anyhow::Result<LookedUp> {
        let Some(pool) = self.database.open().await? else { return Ok(LookedUp::default()) };
        draft.look_up(&pool).await?;
        Ok(LookedUp { was_asked: true, lacks: lacks(&pool, &draft.document().agreement).await? })
    }
}
