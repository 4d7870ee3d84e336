//! What stands in `docs/` about dashboards and alerts: made from the same sources.

use std::{collections::BTreeMap, fmt::Write};

use super::{Alert, Dashboard, Panel};

/// Where a generated document comes from, as its first line says.
const MADE_BY: &str = "UPDATE_DOCS=1";

/// A series that was measured: its name, and its last value.
pub type Measured = (String, f64);

/// `docs/dashboards.md`: every panel, what it says, and values that were measured for it, by dashboard and number.
#[must_use]
pub fn dashboards_document(dashboards: &[Dashboard], measured: &BTreeMap<(String, u32), Vec<Measured>>) -> String {
    let mut text = format!(
        "<!-- Generated from deploy/grafana/sources by a measurement: {MADE_BY} make test-observability -->\n\
         # Dashboards\n\n\
         What each panel of the dashboards in [deploy/grafana](../deploy/grafana/README.md) says. The last column shows what a real Prometheus had measured \
         at the end of a run of the tests: a small fleet, two harvests of a few thousand records, one of which failed, and a flow, within about two minutes. \
         The values are those of that minute; they show what a panel looks like, not what is normal.\n"
    );
    for dashboard in dashboards {
        let _ = write!(text, "\n## {}\n\n{} Address: `/d/{}`.\n", dashboard.title, dashboard.says, dashboard.uid);
        for row in &dashboard.rows {
            let _ = write!(text, "\n### {}\n\n| panel | what it says | measured |\n| --- | --- | --- |\n", row.title);
            for panel in &row.panels {
                let values = measured.get(&(dashboard.uid.clone(), panel.id)).map(Vec::as_slice).unwrap_or_default();
                let _ = writeln!(text, "| {} | {} | {} |", cell(&panel.title), cell(&panel.says), shown(panel, values));
            }
        }
    }
    text
}

/// The document without what was measured: the part that does not change from run to run.
#[must_use]
pub fn without_measurements(document: &str) -> String {
    let kept = |line: &str| match line.trim_end_matches(" |").rsplit_once(" | ") {
        Some((row, _)) if line.starts_with("| ") => row.to_owned(),
        _ => line.to_owned(),
    };
    document.lines().map(kept).collect::<Vec<_>>().join("\n")
}

/// A few of the series, the largest first.
fn shown(panel: &Panel, values: &[Measured]) -> String {
    let mut values = values.to_vec();
    values.sort_by(|(one, a), (other, b)| b.total_cmp(a).then_with(|| one.cmp(other)));
    let mut parts: Vec<String> = values
        .iter()
        .take(3)
        .map(|(name, value)| format!("{} {}", cell(name), with_unit(*value, &panel.unit)))
        .collect();
    if values.len() > parts.len() {
        parts.push(format!("and {} more", values.len() - parts.len()));
    }
    parts.join("; ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A number for people.
fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "s" if value.abs() >= 48.0 * 3600.0 => format!("{:.0} d", value / 86_400.0),
        "s" if value.abs() >= 2.0 * 3600.0 => format!("{:.0} h", value / 3600.0),
        "s" if value.abs() >= 120.0 => format!("{:.0} min", value / 60.0),
        "s" if value.abs() >= 1.0 => format!("{value:.0} s"),
        "s" => format!("{:.0} ms", value * 1000.0),
        "bytes" | "Bps" => {
            let per = if unit == "Bps" { "/s" } else { "" };
            match value {
                v if v >= 1e9 => format!("{:.1} GB{per}", v / 1e9),
                v if v >= 1e6 => format!("{:.1} MB{per}", v / 1e6),
                v if v >= 1e3 => format!("{:.1} kB{per}", v / 1e3),
                v => format!("{v:.0} B{per}"),
            }
        }
        "percentunit" => format!("{:.1} %", value * 100.0),
        "cps" | "reqps" | "ops" => format!("{}/s", rounded(value)),
        _ => rounded(value),
    }
}

fn rounded(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// `docs/alerts.md`.
#[must_use]
pub fn alerts_document(alerts: &[Alert], dashboards: &[Dashboard]) -> String {
    let mut text = "<!-- Generated from deploy/prometheus/alerts.yml: UPDATE_DOCS=1 cargo test -p passereau-tests --test dashboards -->\n\
         # Alerts\n\n\
         What each alert in `deploy/prometheus/alerts.yml` means and what to do. *critical*: somebody has to look now; *warning*: in the day. What stands in \
         capitals in a command is to be filled in; the first command shows it.\n"
        .to_owned();
    for alert in alerts {
        let said = &alert.annotations;
        let severity = alert.labels.get("severity").map_or("", String::as_str);
        let panel = panel_of(&said.panel, dashboards)
            .map(|(dashboard, panel)| format!("{}, *{}*", dashboard.title, panel.title));
        let _ = write!(
            text,
            "\n## {}\n\n*{severity}*, after {}. {}.\n\n{}\n\n- shows more: `{}`\n- mends: `{}`\n- panel: {}\n\n```promql\n{}\n```\n",
            alert.name,
            alert.lasting,
            in_markdown(&said.summary),
            in_markdown(&said.description),
            in_code(&said.show),
            in_code(&said.mend),
            panel.unwrap_or_default(),
            alert.expr,
        );
    }
    text
}

/// A text of an alert: what Prometheus fills in is `code`, within code it stands in angle brackets. Outside of code Markdown would take brackets for HTML
/// and show nothing of them.
fn in_markdown(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(place, part)| if place % 2 == 0 { with_names(part, "`", "`") } else { in_code(part) });
    parts.collect::<Vec<_>>().join("`")
}

fn in_code(text: &str) -> String {
    with_names(text, "<", ">")
}

/// The text with the name of each label or value that Prometheus fills in; how a value is written is left out.
fn with_names(text: &str, before: &str, after: &str) -> String {
    let mut parts = text.split("{{");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (filled_in, rest) = part.split_once("}}").unwrap_or((part, ""));
        let name = filled_in.split('|').next().unwrap_or_default().trim();
        let name = name.trim_start_matches("$labels.").trim_start_matches('$');
        let _ = write!(named, "{before}{name}{after}{rest}");
    }
    named
}

/// The dashboard and the panel that a link leads to, if both are there.
#[must_use]
pub fn panel_of<'a>(link: &str, dashboards: &'a [Dashboard]) -> Option<(&'a Dashboard, &'a Panel)> {
    let (uid, rest) = link.strip_prefix("/d/")?.split_once("?viewPanel=")?;
    let id: u32 = rest.split('&').next()?.parse().ok()?;
    let dashboard = dashboards.iter().find(|dashboard| dashboard.uid == uid)?;
    dashboard.panels().find(|panel| panel.id == id).map(|panel| (dashboard, panel))
}
