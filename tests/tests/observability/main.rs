//! Every expression of every panel and alert, asked of a real Prometheus that has watched a fleet at work.
//!
//! Servers, exporters and Prometheus are private to the run. Prometheus has the committed configuration and rules, with the addresses of this run and
//! shorter intervals. The fleet does what a fleet does ([`scenario`]); then each expression, with the dashboard's variables filled in and the
//! comparisons of alerts answered by 0 and 1, must have had a value at some moment of the run.
//!
//! With `UPDATE_DOCS` it writes the values into `docs/dashboards.md`. With `PASSEREAU_KEEP_PROMETHEUS` it says where Prometheus is and stays until
//! return is pressed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to a terminal")]

mod asked;
mod prometheus;
mod scenario;

use std::{collections::BTreeMap, fs, process::ExitCode, time::Instant};

use anyhow::{Context, Result, ensure};
use passereau_testing::servers::{Platform, Wanted};
use passereau_tests::{
    dashboards::{Measured, dashboards, dashboards_document, repository, rules},
    program,
};

use asked::{Asked, Owner, everything};
use prometheus::{Prometheus, promtool};

/// Expressions that cannot have a value here, and why.
const WITHOUT_VALUE: &[(&str, &str)] = &[];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("observability: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let started = Instant::now();
    let rules_folder = repository("deploy/prometheus");
    promtool(&rules_folder, &["check", "rules", "alerts.yml"]).await?;
    promtool(&rules_folder, &["check", "config", "prometheus.yml"]).await?;
    promtool(&rules_folder, &["test", "rules", "alerts.test.yml"]).await?;
    println!("promtool: rules, configuration and the rules' tests are good");

    passereau_broker::install_crypto();
    let wanted = Wanted { database: true, broker: true, broker_metrics: true };
    let platform = Platform::start(&program("passereau-platform")?, wanted).await?;
    passereau_testing::use_servers(&platform.addresses);
    let judged = watch(&platform).await;
    platform.stop().await?;
    let (panels, expressions, alerts) = judged?;
    println!(
        "observability: ok panels={panels} expressions={expressions} alerts={alerts} seconds={:.0}",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Watches a fleet at work, then asks; gives how many panels, expressions and alerts there were.
async fn watch(platform: &Platform) -> Result<(usize, usize, usize)> {
    let folder = tempfile::tempdir()?;
    let metrics = platform.addresses.broker_metrics.as_deref().context("the broker shows no metrics")?;
    let stage = scenario::Stage::new(folder.path()).await?;
    let prometheus = Prometheus::start(folder.path(), &stage.targets(), metrics).await?;
    println!("a fleet, Prometheus and its exporters run");
    stage.play(&prometheus).await?;

    let dashboards = dashboards()?;
    let rules = rules()?;
    let all = everything(&dashboards, &rules);
    let answers = prometheus.ask_all(&all).await?;
    stage.table_of_harvests(&dashboards).await?;
    prometheus.rules_are_healthy().await?;
    prometheus.targets_are_up().await?;
    if std::env::var_os("PASSEREAU_KEEP_PROMETHEUS").is_some() {
        println!("Prometheus: {} (return ends it)", prometheus.url);
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    }
    stage.end().await?;
    drop(prometheus);

    report(&all, &answers)?;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let measured = of_panels(&all, answers);
        fs::write(repository("docs/dashboards.md"), dashboards_document(&dashboards, &measured))
            .context("writing docs/dashboards.md")?;
    }
    let panels = dashboards.iter().map(|dashboard| dashboard.panels().count()).sum();
    Ok((panels, all.len(), rules.alerts.len()))
}

/// An error that names each expression without a value.
fn report(all: &[Asked], answers: &[Vec<Measured>]) -> Result<()> {
    let silent = all.iter().zip(answers).filter(|(_, values)| values.is_empty()).map(|(asked, _)| asked);
    let mut missing = String::new();
    for asked in silent {
        match WITHOUT_VALUE.iter().find(|(expr, _)| *expr == asked.expr) {
            Some((expr, why)) => println!("no value: {expr}: {why}"),
            None => missing.push_str(&format!("\n  {}: {}", asked.owner, asked.expr)),
        }
    }
    ensure!(missing.is_empty(), "these expressions had no value during the whole run:{missing}");
    Ok(())
}

fn of_panels(all: &[Asked], answers: Vec<Vec<Measured>>) -> BTreeMap<(String, u32), Vec<Measured>> {
    let mut measured: BTreeMap<(String, u32), Vec<Measured>> = BTreeMap::new();
    for (asked, values) in all.iter().zip(answers) {
        if let Owner::Panel { uid, id, .. } = &asked.owner {
            measured.entry((uid.clone(), *id)).or_default().extend(values);
        }
    }
    measured
}
