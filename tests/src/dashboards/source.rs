//! A dashboard as a person writes it: TOML, one table for each panel.

use std::{fs, path::Path};

use anyhow::Context;
use serde::Deserialize;

/// A dashboard.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Its address in Grafana, for good: alerts and bookmarks lead there.
    pub uid: String,
    /// Its heading.
    pub title: String,
    /// Which question it answers.
    pub says: String,
    /// What can be chosen above it.
    #[serde(default, rename = "variable")]
    pub variables: Vec<Variable>,
    /// Its rows.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// Something to choose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name in expressions.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// The series that have the choices, and the label that holds them; a text to type in where there is none.
    pub choices: Option<(String, String)>,
}

/// Panels that belong together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its heading.
    pub title: String,
    /// Its panels, from left to right.
    #[serde(rename = "panel")]
    pub panels: Vec<Panel>,
}

/// A panel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// Its number within the dashboard, for good: alerts lead there.
    pub id: u32,
    /// Its heading.
    pub title: String,
    /// What it says, and what is good or bad about it.
    pub says: String,
    /// Grafana's name of the unit.
    pub unit: String,
    /// How it is drawn.
    pub kind: Kind,
    /// Columns of 24.
    #[serde(default = "eight")]
    pub width: u32,
    /// The largest value of the axis.
    pub max: Option<f64>,
    /// Above the first number it is yellow, above the second red; below it is green.
    pub limits: Option<(f64, f64)>,
    /// What is asked of Prometheus.
    #[serde(default)]
    pub queries: Vec<Query>,
    /// What is asked of PostgreSQL instead.
    pub sql: Option<String>,
    /// Where its values lead.
    pub link: Option<Link>,
}

const fn eight() -> u32 {
    8
}

/// One expression.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// PromQL, with Grafana's variables.
    pub expr: String,
    /// What its series are called: labels in double braces.
    pub legend: String,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Lines over time.
    Lines,
    /// The last values, as numbers.
    Numbers,
    /// The last values, as bars.
    Bars,
    /// Rows of a table.
    Table,
}

/// Where the values of a panel lead.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// To the harvests of a subscription.
    Subscription,
    /// To a flow.
    Flow,
    /// To the processes of a worker.
    Worker,
    /// To the traces of a harvest.
    Harvest,
}

impl Dashboard {
    /// Reads a source.
    ///
    /// # Errors
    /// It is not there, or not of this form.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// All panels.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }
}
