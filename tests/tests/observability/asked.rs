//! What is asked of Prometheus, and for whom.

use std::fmt;

use passereau_tests::dashboards::{Dashboard, Rules, filled, measures};

/// Holds many scrapes of this run.
const WINDOW: &str = "30s";

/// One expression.
#[derive(Debug)]
pub struct Asked {
    /// Who asks.
    pub owner: Owner,
    /// PromQL without variables.
    pub expr: String,
    /// What its series are called: labels in double braces.
    pub legend: String,
}

/// Who asks.
#[derive(Debug)]
pub enum Owner {
    /// A panel of a dashboard.
    Panel { uid: String, id: u32, title: String },
    /// The choices above a dashboard.
    Choice { uid: String, name: String },
    /// An alert, or a series that is recorded.
    Rule(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panel { uid, id, title } => write!(f, "{uid} {id} `{title}`"),
            Self::Choice { uid, name } => write!(f, "{uid} ${name}"),
            Self::Rule(name) => f.write_str(name),
        }
    }
}

/// Every expression of every panel, choice and rule.
pub fn everything(dashboards: &[Dashboard], rules: &Rules) -> Vec<Asked> {
    let mut all = Vec::new();
    for dashboard in dashboards {
        let uid = &dashboard.uid;
        let variables: Vec<&str> = dashboard.variables.iter().map(|variable| variable.name.as_str()).collect();
        for variable in &dashboard.variables {
            let Some((metric, label)) = &variable.choices else { continue };
            let owner = Owner::Choice { uid: uid.clone(), name: variable.name.clone() };
            all.push(Asked { owner, expr: format!("count by ({label}) ({metric})"), legend: String::new() });
        }
        for panel in dashboard.panels() {
            for query in &panel.queries {
                let owner = Owner::Panel { uid: uid.clone(), id: panel.id, title: panel.title.clone() };
                let expr = filled(&query.expr, &variables, WINDOW);
                all.push(Asked { owner, expr, legend: query.legend.clone() });
            }
        }
    }
    for recorded in &rules.recorded {
        all.extend(measures(&recorded.expr).into_iter().map(|expr| of_rule(&recorded.record, expr)));
    }
    for alert in &rules.alerts {
        all.extend(measures(&alert.expr).into_iter().map(|expr| of_rule(&alert.name, expr)));
    }
    all
}

fn of_rule(name: &str, expr: String) -> Asked {
    Asked { owner: Owner::Rule(name.to_owned()), expr, legend: String::new() }
}
