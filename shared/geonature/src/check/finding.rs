//! One thing that was found.

use serde::Serialize;

use super::Refusal;

/// How bad it is. The exit code of `passereau check` follows the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Good to know; nothing has to be done.
    Note,
    /// Harvests go on, but slower or with less than they could bring.
    Warning,
    /// Harvests fail, or something enters that should not.
    Error,
}

/// What was found, why it matters and what to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// Why it matters; nothing where all is well.
    pub why: Option<String>,
    /// SQL or a command, ready to run; nothing where there is nothing to do.
    pub run: Option<String>,
    /// What it is about, one word for programs.
    pub about: &'static str,
}

impl Finding {
    pub(super) fn ok(about: &'static str, found: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, found: found.into(), why: None, run: None, about }
    }

    pub(super) fn note(about: &'static str, found: impl Into<String>, why: impl Into<String>) -> Self {
        Self { severity: Severity::Note, found: found.into(), why: Some(why.into()), run: None, about }
    }

    pub(super) fn warning(
        about: &'static str,
        found: impl Into<String>,
        why: impl Into<String>,
        run: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, found: found.into(), why: Some(why.into()), run: Some(run.into()), about }
    }

    pub(super) fn error(
        about: &'static str,
        found: impl Into<String>,
        why: impl Into<String>,
        run: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Error, found: found.into(), why: Some(why.into()), run: Some(run.into()), about }
    }

    /// A note with something to run for whoever wants it.
    pub(super) fn or_run(mut self, run: impl Into<String>) -> Self {
        self.run = Some(run.into());
        self
    }
}

/// The worst of all; ok when there is none.
pub fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}

/// What could not be asked. The missing right is a finding of its own where it is known.
pub(super) fn refused(about: &'static str, what: &str, refusal: &Refusal) -> Finding {
    let found = format!("{what} could not be examined: {refusal}");
    if refusal.is_a_right() {
        return Finding::note(about, found, "a right lacks: see the findings about rights, then check again");
    }
    Finding::error(about, found, "PostgreSQL refuses what a harvest needs", "-- PostgreSQL's words say what to mend")
}
