//! `passereau flow plan`.

use std::fmt::{Error, Write};
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_flow::{Document, FlowError, Limits, Plan as Planned, Withheld, find, lacks, plan, plan_applied};

use super::{open, show, show_json};

/// What would be delivered. Nothing is written.
#[derive(Args, Debug)]
pub struct Plan {
    /// The agreement's file, or the name of a flow that is in force.
    #[arg(value_name = "FILE|NAME")]
    subject: String,
    /// Count all records that stay within the territory, by reason. For you alone: of a small territory the counts tell where a record is.
    #[arg(long)]
    withheld: bool,
    /// Longest time of each statement, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Plan {
    /// Plans and prints.
    ///
    /// # Errors
    /// All that is wrong with the agreement, no such flow, or the database.
    pub async fn run(self) -> anyhow::Result<()> {
        let limits = Limits { statement_timeout: Duration::from_secs(self.timeout.into()) };
        let withheld = if self.withheld { Withheld::All } else { Withheld::Told };
        let path = Path::new(&self.subject);
        let (planned, lacks) = if path.is_file() || self.subject.ends_with(".toml") {
            // The file is judged before anybody waits for a database.
            let document = Document::read(path, Utc::now())?;
            let pool = open(&self.database).await?;
            (plan(&pool, &document, limits, withheld).await?, lacks(&pool, &document.agreement).await?)
        } else {
            let pool = open(&self.database).await?;
            let Some(flow) = find(&pool, &self.subject).await? else {
                return Err(FlowError::Unknown(self.subject).into());
            };
            (plan_applied(&pool, &flow, limits, withheld).await?, lacks(&pool, &flow.agreement).await?)
        };
        for lack in lacks {
            eprintln!("{lack}");
        }
        if self.json { show_json(&planned) } else { show(&in_words(&planned)?) }
    }
}

fn in_words(plan: &Planned) -> Result<String, Error> {
    let mut text = format!(
        "flow {}: {} rows would leave, {} exactly and {} as an area; {} records {}would stay\n",
        plan.flow,
        plan.rows,
        plan.exact,
        plan.blurred,
        plan.withheld,
        if plan.counts_all_withheld { "" } else { "that may be counted " }
    );
    if !plan.counts_all_withheld {
        text += "records of the territory whose place may not be told are not counted: their number would place them; --withheld counts them, for you alone\n";
    }
    writeln!(text, "{:>9}  {:<28}  {:<14}  level", "records", "what becomes of them", "licence")?;
    for row in &plan.tally {
        let becomes = match (row.outcome.as_str(), &row.area_type, &row.reason) {
            ("area", Some(area), _) => format!("leave as their {area}"),
            ("withheld", _, Some(reason)) => format!("stay: {reason}"),
            _ => "leave exactly".to_owned(),
        };
        let licence = row.licence.as_deref().unwrap_or("unknown");
        writeln!(text, "{:>9}  {becomes:<28}  {licence:<14}  {}", row.records, row.level.as_deref().unwrap_or("none"))?;
    }
    writeln!(text, "{} columns: {}", plan.columns.len(), plan.columns.join(", "))?;
    for file in &plan.files {
        writeln!(text, "{:<8} about {} bytes", file.format.extension(), file.size_bytes)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use passereau_flow::{Estimate, Format};
    use passereau_gate::Tally;

    use super::*;

    /// A reason is a word of the plan: what it means and what can be done stands where the data manager reads.
    #[test]
    fn the_reasons_of_a_plan_are_explained_in_both_languages() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/functions/98_gate.sql");
        let functions = std::fs::read_to_string(functions).unwrap_or_default();
        for page in ["flows.md", "flux.md"] {
            let text = std::fs::read_to_string(docs.join(page)).unwrap_or_default();
            let reasons = "level_unknown no_diffusion sensitive_excluded no_area area_outside wish_none wish_unknown licence_unknown licence_not_allowed";
            for reason in reasons.split(' ') {
                assert!(text.contains(&format!("`{reason}`")), "{page} does not explain {reason}");
            }
            for reason in ["level_unknown", "no_diffusion", "sensitive_excluded", "wish_none", "wish_unknown"] {
                assert!(functions.contains(&format!("'{reason}'")), "{reason} is none any more");
            }
        }
    }

    #[test]
    fn a_plan_says_of_each_level_what_becomes_of_its_records() {
        let row = |level: &str, outcome: &str, area: Option<&str>, reason: Option<&str>| Tally {
            level: Some(level.to_owned()),
            outcome: outcome.to_owned(),
            area_type: area.map(str::to_owned),
            reason: reason.map(str::to_owned),
            licence: Some("CC-BY-4.0".to_owned()),
            records: 3,
        };
        let plan = Planned {
            flow: "atlas".to_owned(),
            rows: 6,
            exact: 3,
            blurred: 3,
            withheld: 3,
            counts_all_withheld: true,
            tally: vec![
                row("Non sensible", "exact", None, None),
                row("Sensible", "area", Some("M10"), None),
                row("Secret", "withheld", None, Some("no_diffusion")),
            ],
            columns: vec!["cd_nom", "niveau_sensibilite"],
            files: vec![Estimate { format: Format::GeoJson, size_bytes: 600 }],
        };
        let text = in_words(&plan).unwrap_or_default();
        for line in [
            "flow atlas: 6 rows would leave, 3 exactly and 3 as an area; 3 records would stay",
            "        3  leave exactly                 CC-BY-4.0       Non sensible",
            "        3  leave as their M10            CC-BY-4.0       Sensible",
            "        3  stay: no_diffusion            CC-BY-4.0       Secret",
            "2 columns: cd_nom, niveau_sensibilite",
            "geojson  about 600 bytes",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let text = in_words(&Planned { withheld: 0, counts_all_withheld: false, ..plan }).unwrap_or_default();
        assert!(text.contains("0 records that may be counted would stay") && text.contains("--withheld"), "{text}");
    }
}
