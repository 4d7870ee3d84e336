//! A real Prometheus and PostgreSQL's exporter, as children of this process.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use passereau_testing::{database_url, wait_until};
use passereau_tests::{
    dashboards::{Measured, repository},
    own_address,
};
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::asked::Asked;

/// The intervals of a run of minutes: what takes a second is seen.
const INTERVAL: &str = "1s";
const STEP_SECONDS: f64 = 0.5;
/// Starts, and scrapes that have to come.
const SOON: Duration = Duration::from_secs(60);
/// Time between two looks at the targets.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs `promtool` in a folder; its own words when it is not content.
pub async fn promtool(folder: &Path, args: &[&str]) -> Result<()> {
    let mut command = Command::new("promtool");
    let output = command.args(args).current_dir(folder).stdin(Stdio::null()).output().await;
    let output = output.context("starting promtool (make setup installs Debian's prometheus)")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "promtool {}: {said}", args.join(" "));
    Ok(())
}

/// A Prometheus that watches.
pub struct Prometheus {
    /// Its address.
    pub url: String,
    client: reqwest::Client,
    began: f64,
    _children: [Child; 2],
}

impl Prometheus {
    /// Starts it, and the exporter of PostgreSQL, with files in `folder`.
    pub async fn start(folder: &Path, fleet: &[String], broker: &str) -> Result<Self> {
        let exporter = own_address()?.to_string();
        let mut command = child("prometheus-postgres-exporter", folder)?;
        command.arg(format!("--web.listen-address={exporter}"));
        command.env("DATA_SOURCE_NAME", format!("{}?sslmode=disable", database_url()));
        let exporting = command.spawn().context("starting prometheus-postgres-exporter (make setup installs it)")?;

        let config = folder.join("prometheus.yml");
        fs::write(&config, configured(fleet, broker, &exporter)?).context("writing Prometheus' configuration")?;
        let address = own_address()?.to_string();
        let mut command = child("prometheus", folder)?;
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let watching = command.spawn().context("starting prometheus (make setup installs it)")?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        let prometheus =
            Self { url: format!("http://{address}"), client, began: now(), _children: [exporting, watching] };
        wait_until("Prometheus to be ready", SOON, async || {
            let answer = prometheus.client.get(format!("{}/-/ready", prometheus.url)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        Ok(prometheus)
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let request = self.client.get(format!("{}/api/v1/{path}", self.url)).query(parameters);
        let answer: Value =
            request.send().await.context("asking Prometheus")?.json().await.context("asking Prometheus")?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].clone()),
            _ => bail!("Prometheus answers {parameters:?} with {}", answer["error"]),
        }
    }

    /// Waits until an expression has a value now.
    pub async fn sees(&self, expr: &str) {
        wait_until(&format!("`{expr}` in Prometheus"), SOON, async || {
            let data = self.get("query", &[("query", expr)]).await.ok()?;
            data["result"].as_array().is_some_and(|found| !found.is_empty()).then_some(())
        })
        .await;
    }

    /// The last number of each series of an expression, from the whole run.
    async fn ask(&self, asked: &Asked) -> Result<Vec<Measured>> {
        let (start, end, step) = (self.began.to_string(), now().to_string(), STEP_SECONDS.to_string());
        let parameters = [("query", asked.expr.as_str()), ("start", &start), ("end", &end), ("step", &step)];
        let data = self.get("query_range", &parameters).await.with_context(|| asked.owner.to_string())?;
        let mut found = Vec::new();
        for series in data["result"].as_array().into_iter().flatten() {
            let numbers = series["values"].as_array().into_iter().flatten().filter_map(|value| value[1].as_str());
            let last = numbers.filter_map(|number| number.parse::<f64>().ok()).rfind(|number| number.is_finite());
            found.extend(last.map(|last| (named(&asked.legend, &series["metric"]), last)));
        }
        Ok(found)
    }

    /// The answers to everything, in order.
    pub async fn ask_all(&self, all: &[Asked]) -> Result<Vec<Vec<Measured>>> {
        let mut answers = Vec::new();
        for asked in all {
            answers.push(self.ask(asked).await?);
        }
        Ok(answers)
    }

    /// Every rule was evaluated without an error.
    pub async fn rules_are_healthy(&self) -> Result<()> {
        let rules = self.get("rules", &[]).await?;
        let groups = rules["groups"].as_array().into_iter().flatten();
        for rule in groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
            ensure!(rule["health"] == "ok", "the rule {} is not healthy: {}", rule["name"], rule["lastError"]);
        }
        Ok(())
    }

    /// Every target answers. Each is asked every second and may be late once on a busy machine: they need not answer at the first look.
    pub async fn targets_are_up(&self) -> Result<()> {
        let started = Instant::now();
        loop {
            let targets = self.get("targets", &[]).await?;
            let active = targets["activeTargets"].as_array().context("Prometheus names no targets")?;
            let Some(down) = active.iter().find(|target| target["health"] != "up") else { return Ok(()) };
            ensure!(started.elapsed() < SOON, "{} cannot be scraped: {}", down["scrapeUrl"], down["lastError"]);
            sleep(LOOK_EVERY).await;
        }
    }
}

/// A child that ends with this process, however that ends, with its output in `folder`.
fn child(program: &str, folder: &Path) -> Result<Command> {
    let log = File::create(folder.join(format!("{program}.log"))).context("making a log")?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig=KILL", "--", program]).stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log).current_dir(folder).kill_on_drop(true);
    Ok(command)
}

/// The committed configuration with the addresses and the pace of this run.
fn configured(fleet: &[String], broker: &str, exporter: &str) -> Result<String> {
    let path = repository("deploy/prometheus/prometheus.yml");
    let mut config: Yaml = serde_yaml_ng::from_str(&fs::read_to_string(&path)?).context("reading prometheus.yml")?;
    for interval in ["scrape_interval", "scrape_timeout", "evaluation_interval"] {
        config["global"][interval] = INTERVAL.into();
    }
    let rules = repository("deploy/prometheus/alerts.yml").canonicalize().context("finding alerts.yml")?;
    config["rule_files"] = Yaml::Sequence(vec![rules.display().to_string().into()]);
    let jobs = config["scrape_configs"].as_sequence_mut().context("prometheus.yml scrapes nothing")?;
    for job in jobs {
        let targets = match job["job_name"].as_str() {
            Some("passereau") => fleet.to_vec(),
            Some("rabbitmq" | "rabbitmq-queues") => vec![broker.to_owned()],
            Some("postgresql") => vec![exporter.to_owned()],
            other => bail!("prometheus.yml has the job {other:?}, which this run knows no target of"),
        };
        job["static_configs"][0]["targets"] = Yaml::Sequence(targets.into_iter().map(Yaml::from).collect());
    }
    Ok(serde_yaml_ng::to_string(&config)?)
}

/// The legend of a series.
fn named(legend: &str, labels: &Value) -> String {
    let labels: BTreeMap<&str, &str> = labels
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect();
    let mut named = legend.to_owned();
    for (name, value) in labels {
        named = named.replace(&format!("{{{{{name}}}}}"), value);
    }
    named
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
