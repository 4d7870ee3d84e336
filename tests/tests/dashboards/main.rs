//! Dashboards and alerts, as far as their text alone tells: that Grafana's JSON is the one of the sources, that every metric they name exists and every
//! metric that exists is shown, and that what an alert tells to do can be done. `make test-observability` asks a real Prometheus for the rest.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;
use passereau_contracts::WORKERS;
use passereau_harvest::State;
use passereau_telemetry::catalogue::{self, Kind};
use passereau_tests::dashboards::{
    Dashboard, alerts_document, asked_labels, current, dashboards, dashboards_document, filled, json, measures, names,
    panel_of, repository, rules, without_measurements,
};

#[test]
fn what_grafana_loads_is_made_from_the_sources() {
    for dashboard in dashboards().unwrap() {
        let file = dashboard.uid.strip_prefix("passereau-").expect("uids of ours begin with passereau-");
        current(&format!("deploy/grafana/dashboards/{file}.json"), &json(&dashboard).unwrap()).unwrap();
    }
}

#[test]
fn the_documents_say_what_the_sources_say() {
    let dashboards = dashboards().unwrap();
    current("docs/alerts.md", &alerts_document(&rules().unwrap().alerts, &dashboards)).unwrap();
    let wanted = dashboards_document(&dashboards, &BTreeMap::new());
    let found = std::fs::read_to_string(repository("docs/dashboards.md")).unwrap();
    assert_eq!(
        without_measurements(&found),
        without_measurements(&wanted),
        "docs/dashboards.md is old: UPDATE_DOCS=1 make test-observability"
    );
}

/// Markdown takes `<worker>` outside of code for HTML, and shows nothing of it.
#[test]
fn what_stands_in_angle_brackets_is_shown_when_the_documents_are_rendered() {
    let dashboards = dashboards().unwrap();
    let panels = std::fs::read_to_string(repository("docs/dashboards.md")).unwrap();
    let alerts = alerts_document(&rules().unwrap().alerts, &dashboards);
    for (document, text) in [("docs/alerts.md", alerts), ("docs/dashboards.md", panels)] {
        let lines = text.lines().filter(|line| !line.starts_with("<!--"));
        let (mut in_block, mut shown) = (false, 0);
        for line in lines {
            if line.starts_with("```") {
                in_block = !in_block;
            } else if !in_block {
                let outside: Vec<&str> = line.split('`').step_by(2).collect();
                assert!(!outside.iter().any(|part| part.contains('<')), "{document}: {line}");
                assert!(line.matches('`').count() % 2 == 0, "{document}: code without an end: {line}");
                assert!(!line.contains("{{") && !line.contains("humanize"), "{document}: {line}");
                shown += 1;
            }
        }
        assert!(shown > 100 && !in_block, "{document}: only {shown} lines were read");
    }
}

#[test]
fn panels_have_a_number_of_their_own_a_description_and_one_thing_to_ask() {
    let mut uids = BTreeSet::new();
    for dashboard in dashboards().unwrap() {
        assert!(uids.insert(dashboard.uid.clone()), "{} is there twice", dashboard.uid);
        let mut ids = BTreeSet::new();
        for panel in dashboard.panels() {
            let at = format!("{} {}", dashboard.uid, panel.title);
            assert!(ids.insert(panel.id) && panel.id < 1_000, "{at}: the number {} is taken", panel.id);
            assert!(panel.says.len() > 20 && panel.says.ends_with(['.', ')']), "{at}: it says too little");
            assert!(!panel.unit.is_empty() && panel.queries.is_empty() == panel.sql.is_some(), "{at}");
            for query in &panel.queries {
                let variables: Vec<&str> = dashboard.variables.iter().map(|variable| variable.name.as_str()).collect();
                let filled = filled(&query.expr, &variables, "30s");
                assert!(!filled.contains('$'), "{at}: `{filled}` has a variable that the dashboard has not");
            }
        }
    }
}

/// Every expression of a dashboard, what its variables choose from included.
fn asked(dashboard: &Dashboard) -> Vec<String> {
    let expressions = dashboard.panels().flat_map(|panel| &panel.queries).map(|query| query.expr.clone());
    expressions
        .chain(
            dashboard
                .variables
                .iter()
                .filter_map(|variable| variable.choices.as_ref().map(|(metric, _)| metric.clone())),
        )
        .collect()
}

#[test]
fn every_metric_that_is_asked_for_exists_and_every_metric_that_exists_is_asked_for() {
    let rules = rules().unwrap();
    let mut expressions: Vec<String> = dashboards().unwrap().iter().flat_map(asked).collect();
    expressions.extend(rules.alerts.iter().map(|alert| alert.expr.clone()));
    expressions.extend(rules.recorded.iter().map(|recorded| recorded.expr.clone()));
    let asked: BTreeSet<&str> = expressions.iter().flat_map(|expr| names(expr, "passereau")).collect();
    let mut known: BTreeSet<String> = rules.recorded.iter().map(|recorded| recorded.record.clone()).collect();
    for family in catalogue::all() {
        let own = match family.kind {
            Kind::Histogram(_) => ["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", family.name)).to_vec(),
            _ => vec![family.name.to_owned()],
        };
        assert!(
            own.iter().any(|name| asked.contains(name.as_str())) || NOT_SHOWN.contains(&family.name),
            "nobody shows {}",
            family.name
        );
        known.extend(own);
    }
    // `passereau` alone is a job, and `passereau_(…)` the beginning of a pattern.
    let is_name = |name: &str| !matches!(name, "passereau" | "passereau_");
    let unknown: Vec<&str> = asked.into_iter().filter(|name| is_name(name) && !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "docs/metrics.md does not know {unknown:?}");
}

/// A value that a metric never has makes an alert that never fires, and a test of it that proves nothing: Prometheus finds no fault in either.
#[test]
fn labels_that_are_asked_for_exist_with_the_values_that_are_asked_for() {
    let rules = rules().unwrap();
    let mut texts: Vec<String> = dashboards().unwrap().iter().flat_map(asked).collect();
    texts.extend(rules.alerts.iter().map(|alert| alert.expr.clone()));
    texts.extend(rules.recorded.iter().map(|recorded| recorded.expr.clone()));
    let tests = std::fs::read_to_string(repository("deploy/prometheus/alerts.test.yml")).unwrap();
    let tests: serde_yaml_ng::Value = serde_yaml_ng::from_str(&tests).unwrap();
    for test in tests["tests"].as_sequence().unwrap() {
        let series = test["input_series"].as_sequence().unwrap();
        texts.extend(series.iter().map(|series| series["series"].as_str().unwrap().to_owned()));
    }
    let (mut asked, mut wrong) = (0, Vec::new());
    for text in &texts {
        for (metric, label, values) in asked_labels(text, "passereau_") {
            let family = catalogue::all().find(|family| family.name == metric || is_part_of(family, metric));
            let family = family.unwrap_or_else(|| panic!("docs/metrics.md does not know {metric}"));
            // Who is scraped; Prometheus adds them.
            if !family.labels.contains(&label) && !matches!(label, "instance" | "job") {
                wrong.push(format!("{metric} has no label {label}"));
            }
            asked += values.len();
            wrong.extend(
                values
                    .into_iter()
                    .filter(|value| !can_be(family, label, value))
                    .map(|value| format!("{metric}: {label} {value}")),
            );
        }
    }
    assert!(asked > 50, "only {asked} values were found");
    assert!(wrong.is_empty(), "docs/metrics.md does not know {wrong:?}");
}

/// Whether it is one of the series that a histogram makes.
fn is_part_of(family: &catalogue::Family, metric: &str) -> bool {
    matches!(family.kind, Kind::Histogram(_))
        && metric.strip_prefix(family.name).is_some_and(|end| matches!(end, "_bucket" | "_sum" | "_count"))
}

/// Whether the list of metrics has a word for this value; names that operators give may be anything.
fn can_be(family: &catalogue::Family, label: &str, value: &str) -> bool {
    let of_label = catalogue::LABELS.iter().find(|(name, _)| *name == label).map_or("", |(_, values)| values);
    let rejects = std::fs::read_to_string(repository("docs/rejects.md")).unwrap();
    let has = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == value);
    match label {
        "instance" | "job" | "subscription" | "flow" => true,
        "worker" => WORKERS.iter().any(|worker| worker.worker == value),
        "reason" if family.name == catalogue::REJECTS.name => rejects.contains(&format!("| `{value}` |")),
        "reason" if family.name == catalogue::DEAD_LETTERS_WAITING.name => has(catalogue::DEAD_LETTERS.help),
        "state" if family.name.starts_with("passereau_harvest_") => value.parse::<State>().is_ok(),
        _ => has(family.help) || has(of_label),
    }
}

/// Metrics that no panel shows.
const NOT_SHOWN: [&str; 1] = [
    // The age of the last reading says the same, and stays right when the scheduler itself is gone.
    "passereau_state_read_failures_total",
];

#[test]
fn what_an_alert_tells_to_run_can_be_run() {
    for alert in rules().unwrap().alerts {
        let said = &alert.annotations;
        let quoted = said.description.split('`').skip(1).step_by(2).filter(|text| text.starts_with("passereau "));
        for command in [said.show.as_str(), said.mend.as_str()].into_iter().chain(quoted) {
            understood(command).unwrap_or_else(|error| panic!("{}: `{command}`: {error}", alert.name));
        }
    }
    assert!(understood("passereau harvest mend ID").is_err(), "the check finds a command that is not there");
    assert!(understood("passereau harvest approve").is_err(), "the check finds an argument that is missing");
}

/// Whether `passereau` takes a command as far as its arguments go, with something for each blank; where the servers are is not part of it.
fn understood(command: &str) -> Result<(), clap::Error> {
    let filled = command
        .replace("{{ $labels.reason }}", "rejected")
        .replace("{{ $labels.state }}", "loading")
        .replace("{{ $labels.subscription }}", "aura")
        .replace("{{ $labels.flow }}", "atlas")
        .replace("ID", "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")
        .replace("NAME", "somebody");
    let servers = ["--database-url postgres://u@h/d", "--amqp-url amqp://h/", "--store-url file:///store"];
    // Each command takes some of them, and none that it does not need.
    let chosen = |which: usize| {
        let some = servers.iter().enumerate().filter(move |(place, _)| which >> place & 1 == 1);
        some.map(|(_, server)| *server).collect::<Vec<_>>().join(" ")
    };
    let tries: Vec<String> = (0..1 << servers.len()).map(chosen).collect();
    let mut last = Ok(());
    for more in tries {
        let words = filled.split_whitespace().chain(more.split_whitespace());
        match passereau::Cli::try_parse_from(words) {
            Ok(_) => return Ok(()),
            Err(error) => last = Err(error),
        }
    }
    last
}

#[test]
fn an_alert_leads_to_a_panel_that_shows_what_it_measures_and_has_a_test() {
    let dashboards = dashboards().unwrap();
    let tests = std::fs::read_to_string(repository("deploy/prometheus/alerts.test.yml")).unwrap();
    for alert in rules().unwrap().alerts {
        let name = &alert.name;
        let (_, panel) =
            panel_of(&alert.annotations.panel, &dashboards).unwrap_or_else(|| panic!("{name}: no such panel"));
        let in_alert: BTreeSet<&str> =
            names(&alert.expr, "passereau_").into_iter().chain(names(&alert.expr, "passereau:")).collect();
        let in_panel = panel.queries.iter().any(|query| in_alert.iter().any(|metric| query.expr.contains(metric)));
        assert!(in_panel || ELSEWHERE.contains(&name.as_str()), "{name}: `{}` shows nothing of it", panel.title);
        assert!(matches!(alert.labels["severity"].as_str(), "critical" | "warning"), "{name}: severity");
        let fires =
            format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\", severity=\"{}\"", alert.labels["severity"]);
        let fires_in_words = format!("- alertname: {name}\n");
        assert!(tests.contains(&fires) || tests.contains(&fires_in_words), "{name}: no test makes it fire");
    }
}

/// Alerts whose panel shows their cause instead.
const ELSEWHERE: [&str; 2] = [
    // A process that does not answer is missing among those that do.
    "PassereauProcessDown",
    // What RabbitMQ itself says of its memory and disk.
    "PassereauBrokerBlocked",
];

#[test]
fn an_alert_is_taken_apart_into_what_it_measures() {
    let expr = "max by (worker) (a{x=~\"b or c > d\"}) > 0\nunless on (worker) sum by (worker) (b) >= 2 or absent(c)";
    assert_eq!(
        measures(expr),
        ["max by (worker) (a{x=~\"b or c > d\"}) > bool 0", "sum by (worker) (b) >= bool 2", "c"]
    );
    assert_eq!(
        asked_labels("sum(p_a{x=~\"one|t.*\", y=\"two\"}) / p_b - other{x=\"one\"} + p_c{z!=\"$z\"}", "p_"),
        [("p_a", "x", vec!["one"]), ("p_a", "y", vec!["two"]), ("p_c", "z", vec![])]
    );
    assert_eq!(
        measures("time() - max(a{b!=\"c\"}) != 1.5 * max(b)"),
        ["time() - max(a{b!=\"c\"}) != bool 1.5 * max(b)"]
    );
}
