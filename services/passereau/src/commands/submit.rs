//! `passereau harvest submit`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use clap::Args;
use passereau_broker::BrokerConfig;
use passereau_contracts::HarvestRequest;
use passereau_gbif::predicate::{Rules, validate};
use serde::de::DeserializeOwned;

use super::show;
use crate::publish::publish;

/// What to harvest.
#[derive(Args, Debug)]
#[group(id = "origin", required = true, multiple = false, args = ["query", "download_key", "archive"])]
pub struct Submit {
    /// Body for GBIF's download API: the procedure's query.json.
    query: Option<PathBuf>,
    /// Key of a GBIF download that exists, such as 0015000-260108000000665.
    #[arg(long)]
    download_key: Option<String>,
    /// Object key of a Darwin Core Archive in the store, such as archives/april.zip (not a path of this machine).
    #[arg(long)]
    archive: Option<String>,
    /// Name of the subscription, to harvest the same thing again and again.
    #[arg(long)]
    subscription: Option<String>,
    /// Say that a query without DATASET_KEY is meant.
    #[arg(long)]
    all_datasets: bool,
    /// File with the subscription's settings, a JSON object (docs/settings.md); they replace those that it has.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Stop once the plan is made, before the first row moves: `passereau harvest plan` shows it, `harvest approve` applies it.
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    broker: BrokerConfig,
}

impl Submit {
    /// Publishes the request and prints its id.
    ///
    /// # Errors
    /// A file that is not right, every problem of the request, or the broker.
    pub async fn run(self) -> anyhow::Result<()> {
        let request = HarvestRequest {
            subscription: self.subscription,
            query: self.query.as_deref().map(|path| read(path, "the query")).transpose()?,
            download_key: self.download_key,
            archive: self.archive,
            all_datasets: self.all_datasets,
            settings: self.settings.as_deref().map(|path| read(path, "the settings")).transpose()?,
            plan: self.plan,
        };
        let problems = problems(&request);
        ensure!(problems.is_empty(), "the request is not right:\n  {}", problems.join("\n  "));
        let id = publish(&self.broker, &request).await?;
        show(&format!("{id}\n"))?;
        eprintln!("submitted; follow it with `passereau harvest show {id}`");
        Ok(())
    }
}

/// Every problem of a request that can be seen from here. The account is the requester's to check.
pub(super) fn problems(request: &HarvestRequest) -> Vec<String> {
    let mut problems: Vec<String> =
        request.origin().err().unwrap_or_default().iter().map(ToString::to_string).collect();
    if let Some(query) = &request.query {
        let rules = Rules { creator: String::new(), all_datasets: request.all_datasets };
        problems.extend(validate(query, &rules).err().unwrap_or_default().iter().map(ToString::to_string));
    }
    problems
}

pub(super) fn read<T: DeserializeOwned>(path: &Path, what: &str) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("reading {what} {}", path.display()))?;
    // Windows' editors begin a UTF-8 file with a mark that is no JSON.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    serde_json::from_slice(text).with_context(|| format!("{what} {}", path.display()))
}
