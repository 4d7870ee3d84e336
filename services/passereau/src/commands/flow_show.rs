//! `passereau flow show`: what a second person reads before approving.

use std::fmt::{Error, Write};

use chrono::{DateTime, Utc};
use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_flow::{Agreement, Flow, FlowError, find};

use super::{
    flow::{as_json, minute},
    open, show, show_json,
};

/// Which flow.
#[derive(Args, Debug)]
pub struct Show {
    /// Name of the flow.
    name: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Show {
    /// Prints it.
    ///
    /// # Errors
    /// There is no such flow, or the database.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let Some(flow) = find(&pool, &self.name).await? else { return Err(FlowError::Unknown(self.name).into()) };
        let now = Utc::now();
        if self.json { show_json(&as_json(&flow, now)) } else { show(&in_words(&flow, now)?) }
    }
}

fn in_words(flow: &Flow, now: DateTime<Utc>) -> Result<String, Error> {
    let agreement = &flow.agreement;
    let mut text = String::new();
    let mut line = |key: &str, value: String| writeln!(text, "{key:<12} {value}");
    let by = |who: &Option<String>| who.clone().unwrap_or_else(|| "-".to_owned());
    line("flow", flow.name.clone())?;
    line(
        "version",
        format!("{}, applied {} UTC by {}", flow.version, minute(Some(flow.applied_at)), by(&flow.applied_by)),
    )?;
    line("standing", flow.standing(now).to_string())?;
    if flow.is_late(now) {
        line("late", format!("more than {} has passed; see `passereau flow history {}`", agreement.period, flow.name))?;
    }
    if flow.approved_version == Some(flow.version) {
        line("approved", format!("{} UTC by {}", minute(flow.approved_at), by(&flow.approved_by)))?;
    }
    line("structure", agreement.structure.clone())?;
    let manager = &agreement.technical_manager;
    line("contact", format!("{} <{}>", manager.name, manager.email))?;
    for study in &agreement.studies {
        line("study", format!("{} ({})", study.name, study.nature))?;
    }
    line("territory", agreement.territory.description.clone())?;
    for (key, value) in asked(agreement) {
        line(key, value)?;
    }
    let formats: Vec<&str> = agreement.formats.iter().map(|format| format.extension()).collect();
    line("formats", formats.join(", "))?;
    line(
        "columns",
        agreement.fields().iter().map(|field| field.name_in(agreement.fields.dialect)).collect::<Vec<_>>().join(", "),
    )?;
    line("statuses", if agreement.statuses { "beside each delivery" } else { "none" }.to_owned())?;
    let own =
        agreement.licences.own.as_ref().map(|own| format!("; of the platform's own records {own}")).unwrap_or_default();
    line("licences", format!("{}{own}", agreement.licences.allowed.join(", ")))?;
    line("sensitive", agreement.sensitive.as_str().to_owned())?;
    if let Some(authorisation) = &agreement.authorisation {
        let (reference, signatory, ends_on) =
            (&authorisation.reference, &authorisation.signatory, authorisation.ends_on);
        line("authorised", format!("{reference}, signed by {signatory}, until {ends_on}"))?;
    }
    line("in return", agreement.in_return.clone())?;
    let times =
        agreement.schedule.as_ref().map(|cron| format!(", at {cron} {}", agreement.time_zone)).unwrap_or_default();
    line("period", format!("{}{times}", agreement.period))?;
    line("ends", agreement.ends_on.to_string())?;
    line("kept", format!("{} versions", agreement.keep))?;
    let rows = flow.delivered_rows.map(|rows| format!(" ({rows} rows)")).unwrap_or_default();
    line("delivered", format!("{}{rows}", minute(flow.delivered_at)))?;
    line("next", minute(flow.next_at))?;
    Ok(text)
}

/// What an agreement asks for: of what it says nothing, everything.
fn asked(agreement: &Agreement) -> Vec<(&'static str, String)> {
    let territory = &agreement.territory;
    let mut lines: Vec<(&'static str, String)> = territory
        .areas
        .iter()
        .map(|areas| ("areas", format!("{} {}", areas.area_type, areas.codes.join(", "))))
        .collect();
    lines.extend(territory.file.iter().map(|file| ("areas", format!("file {file}"))));
    if lines.is_empty() {
        lines.push(("areas", "everywhere".to_owned()));
    }
    let mut taxa: Vec<String> = agreement
        .taxa
        .texts()
        .filter(|(_, names)| !names.is_empty())
        .map(|(list, names)| format!("{list} {}", names.join(", ")))
        .collect();
    let codes: Vec<String> = agreement.taxa.cd_ref.iter().map(ToString::to_string).collect();
    if !codes.is_empty() {
        taxa.push(format!("cd_ref {} and all below", codes.join(", ")));
    }
    lines.push(("taxa", if taxa.is_empty() { "all".to_owned() } else { taxa.join("; ") }));
    let texts = |list: &[uuid::Uuid]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (sources, datasets) = (&agreement.sources, &agreement.datasets);
    lines.push(("sources", chosen(&sources.include.join(", "), &sources.exclude.join(", "))));
    lines.push(("datasets", chosen(&texts(&datasets.include), &texts(&datasets.exclude))));
    lines
}

fn chosen(include: &str, exclude: &str) -> String {
    match (include, exclude) {
        ("", "") => "all".to_owned(),
        ("", exclude) => format!("all but {exclude}"),
        (include, "") => include.to_owned(),
        (include, exclude) => format!("{include}, but not {exclude}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use passereau_flow::Document;

    use super::*;

    #[test]
    fn what_a_flow_asks_for_is_shown_whole() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/flow.toml"));
        let document = Document::parse(&text.unwrap_or_default(), PathBuf::new(), Utc::now());
        let mut agreement = document.map(|document| document.agreement).unwrap_or_default();
        agreement.taxa.cd_ref = vec![185_961];
        let lines = asked(&agreement);
        for line in [
            ("areas", "DEP 38"),
            ("areas", "COM 73001, 73002"),
            ("taxa", "group2_inpn Oiseaux; cd_ref 185961 and all below"),
            ("sources", "all but GBIF"),
            ("datasets", "all"),
        ] {
            assert!(lines.iter().any(|(key, value)| (*key, value.as_str()) == line), "{line:?}: {lines:?}");
        }
        let everything: Vec<String> = asked(&Agreement::default()).into_iter().map(|(_, value)| value).collect();
        assert_eq!(everything, ["everywhere", "all", "all", "all"]);
    }
}
