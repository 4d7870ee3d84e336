//! Dashboards and alerts as data: the readable sources in `deploy/grafana/sources`, the JSON that Grafana loads, and the rules of
//! `deploy/prometheus`. Tests check them ([`crate`]'s `dashboards`) and ask a real Prometheus about each expression (`observability`).

mod alerts;
mod document;
mod expression;
mod grafana;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

pub use alerts::{Alert, Rules, rules};
pub use document::{Measured, alerts_document, dashboards_document, panel_of, without_measurements};
pub use expression::{asked_labels, filled, measures, names};
pub use grafana::json;
pub use source::{Dashboard, Kind, Link, Panel, Query, Row, Variable};

/// A path of the repository.
#[must_use]
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// All dashboards, in the order of the files' names.
///
/// # Errors
/// A source cannot be read; the error names it.
pub fn dashboards() -> anyhow::Result<Vec<Dashboard>> {
    let folder = repository("deploy/grafana/sources");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .with_context(|| format!("reading {}", folder.display()))?;
    paths.sort();
    ensure!(!paths.is_empty(), "{} holds no dashboard", folder.display());
    paths.iter().map(|path| Dashboard::read(path)).collect()
}

/// Name of Grafana's role in PostgreSQL.
const GRAFANA_ROLE: &str = "passereau_grafana";

/// The statements of `deploy/grafana/grants.sql` for a role of another name: roles belong to a server, which tests share.
///
/// # Errors
/// The file cannot be read, or grants nothing to the role that Grafana connects as.
pub fn grants(role: &str) -> anyhow::Result<String> {
    let path = repository("deploy/grafana/grants.sql");
    let text = fs::read_to_string(&path).context("reading deploy/grafana/grants.sql")?;
    ensure!(text.contains(&format!(" TO {GRAFANA_ROLE};")), "deploy/grafana/grants.sql grants {GRAFANA_ROLE} nothing");
    Ok(text.replace(GRAFANA_ROLE, &format!("\"{role}\"")))
}

/// Writes a generated document where `UPDATE_DOCS` is set; elsewhere it must be what is there.
///
/// # Errors
/// It is not what is there; the error says how to write it.
pub fn current(path: &str, wanted: &str) -> anyhow::Result<()> {
    let file = repository(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return fs::write(&file, wanted).with_context(|| format!("writing {path}"));
    }
    let found = fs::read_to_string(&file).with_context(|| format!("reading {path}: UPDATE_DOCS=1 writes it"))?;
    ensure!(found == wanted, "{path} is not made from what it is made from: run this test with UPDATE_DOCS=1");
    Ok(())
}
