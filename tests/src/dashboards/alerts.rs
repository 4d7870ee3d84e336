//! The rules of `deploy/prometheus/alerts.yml`.

use std::{collections::BTreeMap, fs};

use anyhow::Context;
use serde::Deserialize;

use super::repository;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[expect(dead_code, reason = "Prometheus wants it, nobody here does")]
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rule {
    Alert(Alert),
    Recorded(Recorded),
}

/// An alert.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its name.
    #[serde(rename = "alert")]
    pub name: String,
    /// When it fires.
    pub expr: String,
    /// For how long that has to hold.
    #[serde(rename = "for")]
    pub lasting: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it says.
    pub annotations: Said,
}

/// What an alert says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// What is wrong.
    pub summary: String,
    /// What it means, and what to do.
    pub description: String,
    /// The command that shows more.
    pub show: String,
    /// The command that mends.
    pub mend: String,
    /// The panel, relative to Grafana's address.
    pub panel: String,
}

/// A series that Prometheus keeps of an expression.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Name of the series.
    pub record: String,
    /// What it is.
    pub expr: String,
}

/// All rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Those that fire.
    pub alerts: Vec<Alert>,
    /// Those that are kept.
    pub recorded: Vec<Recorded>,
}

/// Reads the rules.
///
/// # Errors
/// The file is not there, or an alert lacks something that each alert has.
pub fn rules() -> anyhow::Result<Rules> {
    let path = repository("deploy/prometheus/alerts.yml");
    let text = fs::read_to_string(&path).context("reading deploy/prometheus/alerts.yml")?;
    let file: File = serde_yaml_ng::from_str(&text).context("reading deploy/prometheus/alerts.yml")?;
    let mut rules = Rules::default();
    for rule in file.groups.into_iter().flat_map(|group| group.rules) {
        match rule {
            Rule::Alert(alert) => rules.alerts.push(alert),
            Rule::Recorded(recorded) => rules.recorded.push(recorded),
        }
    }
    Ok(rules)
}
