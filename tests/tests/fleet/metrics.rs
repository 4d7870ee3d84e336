//! What Prometheus sees of a fleet through two harvests and a delivery: exactly the metrics of the list, from those who are said to show
//! them, and in a form that Prometheus' own tool has nothing to say against.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    process::{Command, Stdio},
};

use passereau_contracts::{HarvestRequest, WORKERS};
use passereau_harvest::{Harvest, State};
use passereau_sandbox::{Pace, SandboxConfig};
use passereau_telemetry::catalogue::{self, By, Family};
use passereau_testing::wait_until;
use passereau_tests::{Fleet, FleetConfig, SUBSCRIPTION};
use serde_json::Value;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::prepared::{RECORDS, SOON, generated, request};

/// In the list, and too short-lived here to be sure to be met: a message that lies for longer than a blink, a delivery of a second.
const BRIEF: [&str; 2] = [catalogue::OLDEST_MESSAGE.name, catalogue::FLOW_DELIVERING_SINCE.name];

/// One metric as it was met.
#[derive(Debug, Default)]
struct Met {
    kind: String,
    labels: BTreeSet<String>,
    shown_by: BTreeSet<&'static str>,
}

/// Everything that was met, and the last page of each process.
#[derive(Default)]
struct Seen {
    metrics: BTreeMap<String, Met>,
    pages: BTreeMap<&'static str, String>,
}

/// The address that a process logs beside some words.
fn address(fleet: &Fleet, worker: &str, words: &str) -> Option<String> {
    fleet.log(worker).lines().filter(|line| line.contains(words)).find_map(|line| {
        let after = line.split("\"address\":\"").nth(1)?;
        Some(after.split('"').next()?.to_owned())
    })
}

impl Seen {
    async fn scrape(&mut self, fleet: &Fleet) {
        for worker in WORKERS.iter().map(|worker| worker.worker).chain(["gateway"]) {
            let Some(address) = address(fleet, worker, "serving metrics and health") else { continue };
            let Ok(answer) = reqwest::get(format!("http://{address}/metrics")).await else { continue };
            let page = answer.text().await.unwrap();
            self.read(worker, &page);
            self.pages.insert(worker, page);
        }
    }

    fn read(&mut self, worker: &'static str, page: &str) {
        let mut of = String::new();
        for line in page.lines() {
            if let Some(said) = line.strip_prefix("# TYPE ") {
                let (name, kind) = said.split_once(' ').unwrap();
                name.clone_into(&mut of);
                let met = self.metrics.entry(of.clone()).or_default();
                kind.clone_into(&mut met.kind);
                met.shown_by.insert(worker);
            } else if let Some((_, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
                let (labels, _) = rest.rsplit_once('}').unwrap();
                let names = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
                self.metrics.get_mut(&of).unwrap().labels.extend(names.filter(|name| name != "le"));
            }
        }
    }

    /// The sum of all series of a worker that begin so.
    fn value(&self, worker: &str, series: &str) -> Option<f64> {
        let lines = self.pages.get(worker)?.lines().filter(|line| line.starts_with(series));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).reduce(|sum, value| sum + value)
    }

    /// Scrapes until a condition holds.
    async fn until(&mut self, fleet: &Fleet, what: &str, holds: impl Fn(&Self) -> bool) {
        let seen = Mutex::new(self);
        wait_until(what, SOON, async || {
            let mut seen = seen.lock().await;
            seen.scrape(fleet).await;
            holds(&seen).then_some(())
        })
        .await;
    }

    /// Scrapes until a harvest is in a state.
    async fn until_harvest(&mut self, fleet: &Fleet, id: Uuid, wanted: State) -> Harvest {
        let seen = Mutex::new(self);
        wait_until("the harvest", SOON, async || {
            seen.lock().await.scrape(fleet).await;
            fleet.harvest(id).await.ok().flatten().filter(|harvest| harvest.state == wanted)
        })
        .await
    }

    /// What is shown is in the list, in its form, by whom it says; and all of the list is shown.
    fn assert_is_the_list(&self) {
        let known: BTreeMap<&str, &Family> = catalogue::all().map(|family| (family.name, family)).collect();
        for (name, met) in self.metrics.iter().filter(|(name, _)| !name.starts_with("process_")) {
            let family = known.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the list: {met:?}"));
            assert_eq!(family.kind.as_str(), met.kind, "{name}");
            let labels: BTreeSet<&str> = met.labels.iter().map(String::as_str).collect();
            assert_eq!(family.labels.iter().copied().collect::<BTreeSet<_>>(), labels, "{name}");
            for worker in &met.shown_by {
                assert!(may_show(family, worker), "{name} is shown by the {worker}, which the list does not say");
            }
        }
        let missing: Vec<&str> =
            known.keys().copied().filter(|name| !self.metrics.contains_key(*name) && !BRIEF.contains(name)).collect();
        assert!(missing.is_empty(), "in the list, and shown by nobody: {missing:?}");
    }
}

fn may_show(family: &Family, worker: &str) -> bool {
    match family.by {
        By::Every => true,
        By::EveryWorker => worker != "gateway",
        By::State => worker == "scheduler",
        By::Workers(workers) => workers.contains(&worker),
    }
}

/// What Prometheus' own tool says against a page; nothing when all is well.
fn promtool(page: &str) -> String {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("promtool is missing: `make setup` installs it (Debian's package prometheus)");
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let status = if output.status.success() { String::new() } else { format!("{}: ", output.status) };
    format!("{status}{}", String::from_utf8_lossy(&said))
}

/// Fetches the flow's file as its partner; gives its bytes.
async fn fetch(fleet: &Fleet, token: &str) -> usize {
    let gateway = address(fleet, "gateway", "serving flows").expect("the gateway logs its address");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // As it is: what is counted is what went out, and a client of the tests would unpack what it asked for packed.
    let asked = client.get(format!("http://{gateway}/flows/sinp/latest.csv")).header("Accept-Encoding", "identity");
    let file = asked.bearer_auth(token).send().await.unwrap();
    assert_eq!(file.status().as_u16(), 200);
    file.bytes().await.unwrap().len()
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred records")]
fn number(count: i64) -> Option<f64> {
    Some(count as f64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_shows_exactly_the_metrics_of_the_list() {
    let (folder, archive) = generated(RECORDS);
    let pace = Pace::Polls { preparing: 6, running: 1 };
    let config = FleetConfig {
        sandbox: SandboxConfig { archives: vec![archive], pace, ..SandboxConfig::default() },
        environment: vec![
            ("PASSEREAU_STATE_READ_S", "1".into()),
            ("PASSEREAU_SCHEDULE_LOOK_S", "1".into()),
            ("PASSEREAU_GATEWAY_LISTEN", "127.0.0.1:0".into()),
        ],
        with_flows: true,
        ..FleetConfig::default()
    };
    let mut fleet = Fleet::start(config).await.unwrap();
    fleet.start_worker("gateway").unwrap();
    let mut seen = Seen::default();

    // A harvest that goes through, and is to come again each month.
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = seen.until_harvest(&fleet, id, State::Completed).await;
    let body = folder.path().join("request.json");
    let again = HarvestRequest { subscription: None, ..request() };
    std::fs::write(&body, serde_json::to_vec(&again).unwrap()).unwrap();
    let name = format!("subscription:{SUBSCRIPTION}");
    let set = ["schedule", "set", &name, "--every", "P1M", "--request", body.to_str().unwrap()];
    fleet.run_command(&set).await.unwrap();

    // A plan of a one-off harvest that waits for a person, and a message that is none.
    let file = fleet.put_archive(&folder.path().join("generated.zip")).unwrap();
    let one_off = HarvestRequest { archive: Some(file), plan: true, ..Default::default() };
    let one_off = fleet.submit(&one_off).await.unwrap();
    seen.until_harvest(&fleet, one_off, State::AwaitingApproval).await;
    let broken = fleet.publish("archive.load", b"{}".to_vec()).await.unwrap();
    fleet.dead_letter(broken, SOON).await;

    // A flow, delivered and fetched.
    let agreement = folder.path().join("flow.toml");
    std::fs::write(&agreement, passereau_tests::agreement("sinp", &["csv"])).unwrap();
    fleet.run_command(&["flow", "apply", agreement.to_str().unwrap(), "--by", "me"]).await.unwrap();
    let token =
        fleet.run_command(&["flow", "token", "create", "sinp", "--partner", "Camille", "--json"]).await.unwrap();
    let token: Value = serde_json::from_str(&token).unwrap();
    let delivered = r#"passereau_flow_delivery_timestamp_seconds{flow="sinp",outcome="delivered"}"#;
    seen.until(&fleet, "the delivery", |seen| seen.value("scheduler", delivered).is_some()).await;
    let file_bytes = fetch(&fleet, token["token"].as_str().unwrap()).await;

    // The state is read each second here, rejects at every fourth reading.
    let (counts, sent) = (&harvest.counts, r#"passereau_gateway_sent_bytes_total{flow="sinp"}"#);
    let dead = r#"passereau_dead_letters_waiting{reason="malformed",worker="loader"}"#;
    seen.until(&fleet, "the rejects, the retention and the files that were sent", |seen| {
        seen.value("scheduler", "passereau_rejects{") == number(counts.rejected)
            && seen.value("scheduler", "passereau_retention_timestamp_seconds").is_some()
            && seen.value("scheduler", "passereau_subscription_period_seconds").is_some()
            && seen.value("scheduler", dead) == Some(1.0)
            && seen.value("gateway", sent).is_some()
    })
    .await;
    seen.assert_is_the_list();

    // What is counted is what happened.
    let records = |worker: &str, stage: &str, outcome: &str| {
        seen.value(worker, &format!(r#"passereau_records_total{{outcome="{outcome}",stage="{stage}"}}"#))
    };
    assert_eq!(records("upserter", "upserted", "inserted"), number(counts.inserted));
    assert_eq!(records("upserter", "upserted", "rejected"), number(counts.rejected));
    assert_eq!(seen.value("upserter", "passereau_rejected_records_total{"), number(counts.rejected), "by reason");
    assert_eq!(records("loader", "landed", "read"), number(2 * counts.read), "both harvests");
    let last = format!(r#"passereau_subscription_harvest_records{{outcome="inserted",subscription="{SUBSCRIPTION}"}}"#);
    assert_eq!(seen.value("scheduler", &last), number(counts.inserted));
    let waits =
        r#"passereau_harvest_state_since_timestamp_seconds{state="awaiting_approval",subscription="(one-off)"}"#;
    assert!(seen.value("scheduler", waits).is_some(), "a plan waits for a person");
    assert_eq!(seen.value("gateway", sent), number(i64::try_from(file_bytes).unwrap()));
    let gone = seen.value("exporter", r#"passereau_delivered_records_total{flow="sinp""#);
    assert_eq!(gone, seen.value("scheduler", r#"passereau_flow_records{flow="sinp""#));
    for id in [id, one_off] {
        let is_named = seen.pages.values().any(|page| page.contains(&id.to_string()));
        assert!(!is_named, "no label carries an identifier");
    }

    for (worker, page) in &seen.pages {
        assert_eq!(promtool(page), "", "promtool check metrics, of the {worker}");
    }
    assert_eq!(seen.pages.len(), WORKERS.len() + 1);
    fleet.stop().await.unwrap();
}
