//! The JSON that Grafana loads.

use serde_json::{Value, json};

use super::source::{Dashboard, Kind, Link, Panel, Variable};

/// Names of the data sources in `deploy/grafana/provisioning`.
const PROMETHEUS: &str = "passereau-prometheus";
const POSTGRESQL: &str = "passereau-postgresql";
const TRACES: &str = "passereau-traces";
/// Attribute of every span that belongs to a harvest.
const HARVEST_ATTRIBUTE: &str = "harvest_id";
/// Rows of the grid that a panel and a heading take.
const HEIGHT: u32 = 8;
const COLUMNS: u32 = 24;

/// The dashboard as Grafana's own export writes it, line ends included.
///
/// # Errors
/// Never in practice: it is made of texts and numbers.
pub fn json(dashboard: &Dashboard) -> anyhow::Result<String> {
    let mut panels = Vec::new();
    let (mut x, mut y, mut heading) = (0, 0, 1_000);
    for row in &dashboard.rows {
        if x > 0 {
            (x, y) = (0, y + HEIGHT);
        }
        heading += 1;
        panels.push(json!({
            "id": heading, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
        }));
        y += 1;
        for panel in &row.panels {
            if x + panel.width > COLUMNS {
                (x, y) = (0, y + HEIGHT);
            }
            panels.push(drawn(panel, x, y));
            x += panel.width;
        }
    }
    let whole = json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.says,
        "tags": ["passereau"],
        "editable": false,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": 38,
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "title": "Passereau", "tags": ["passereau"], "asDropdown": true, "includeVars": false, "keepTime": true}],
        "templating": {"list": dashboard.variables.iter().map(choice).collect::<Vec<_>>()},
        "panels": panels,
    });
    Ok(serde_json::to_string_pretty(&whole)? + "\n")
}

fn choice(variable: &Variable) -> Value {
    let Variable { name, label, choices } = variable;
    match choices {
        Some((metric, of)) => json!({
            "name": name, "label": label, "type": "query", "datasource": prometheus(), "definition": format!("label_values({metric}, {of})"),
            "query": {"query": format!("label_values({metric}, {of})"), "refId": name}, "refresh": 2, "sort": 1,
            "multi": true, "includeAll": true, "allValue": ".+", "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        }),
        None => {
            json!({"name": name, "label": label, "type": "textbox", "query": "", "current": {"text": "", "value": ""}})
        }
    }
}

fn prometheus() -> Value {
    json!({"type": "prometheus", "uid": PROMETHEUS})
}

fn postgresql() -> Value {
    json!({"type": "postgres", "uid": POSTGRESQL})
}

fn drawn(panel: &Panel, x: u32, y: u32) -> Value {
    let source = if panel.sql.is_some() { postgresql() } else { prometheus() };
    let (kind, options) = match panel.kind {
        Kind::Lines => (
            "timeseries",
            json!({"legend": {"displayMode": "list", "placement": "bottom", "showLegend": true}, "tooltip": {"mode": "multi", "sort": "desc"}}),
        ),
        Kind::Numbers => (
            "stat",
            json!({"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false}, "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "auto", "orientation": "auto"}),
        ),
        Kind::Bars => (
            "bargauge",
            json!({"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false}, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": true}),
        ),
        Kind::Table => ("table", json!({"showHeader": true, "cellHeight": "sm"})),
    };
    let mut defaults = json!({"unit": panel.unit, "color": {"mode": "palette-classic"}, "min": 0});
    if panel.kind == Kind::Lines {
        defaults["custom"] =
            json!({"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false});
    }
    if let Some(max) = panel.max {
        defaults["max"] = json!(max);
    }
    if let Some((yellow, red)) = panel.limits {
        defaults["color"] = json!({"mode": "thresholds"});
        defaults["thresholds"] = json!({"mode": "absolute", "steps": [
            {"color": "green", "value": null}, {"color": "yellow", "value": yellow}, {"color": "red", "value": red},
        ]});
    }
    if let Some(link) = panel.link {
        defaults["links"] = json!([leads(link)]);
    }
    json!({
        "id": panel.id, "type": kind, "title": panel.title, "description": panel.says, "datasource": source,
        "gridPos": {"h": HEIGHT, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options, "targets": targets(panel),
    })
}

fn targets(panel: &Panel) -> Vec<Value> {
    let sql = panel.sql.iter().map(|sql| {
        json!({"refId": "A", "datasource": postgresql(), "rawQuery": true, "editorMode": "code", "format": "table", "rawSql": sql})
    });
    let last_only = panel.kind != Kind::Lines;
    let queries = panel.queries.iter().zip('A'..='Z').map(|(query, letter)| {
        json!({
            "refId": letter.to_string(), "datasource": prometheus(), "expr": query.expr, "legendFormat": query.legend, "editorMode": "code",
            "instant": last_only, "range": !last_only,
        })
    });
    sql.chain(queries).collect()
}

/// A link of a value: Grafana fills in what is in `${…}`.
fn leads(link: Link) -> Value {
    let label = |of: &str| format!("${{__field.labels.{of}}}");
    let (title, url) = match link {
        Link::Subscription => (
            format!("The harvests of {}", label("subscription")),
            format!("/d/passereau-harvests?var-subscription={}", label("subscription")),
        ),
        Link::Flow => (format!("The flow {}", label("flow")), format!("/d/passereau-flows?var-flow={}", label("flow"))),
        Link::Worker => (
            format!("The processes of {}", label("worker")),
            format!("/d/passereau-workers?var-worker={}", label("worker")),
        ),
        Link::Harvest => ("Every trace of the harvest ${__data.fields.harvest}".to_owned(), traces()),
    };
    json!({"title": title, "url": url, "targetBlank": false})
}

/// Grafana's search for the spans of the harvest of a row of a table.
fn traces() -> String {
    let before = format!(
        r#"{{"traces":{{"datasource":"{TRACES}","queries":[{{"refId":"A","datasource":{{"type":"tempo","uid":"{TRACES}"}},"queryType":"traceql","query":"{{span.{HARVEST_ATTRIBUTE}=\""#
    );
    let after = r#"\"}"}],"range":{"from":"now-30d","to":"now"}}}"#;
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("/explore?schemaVersion=1&orgId=1&panes={}${{__data.fields.harvest}}{}", encoded(&before), encoded(after))
}
