//! `docs/faults.md`: which faults a harvest survives. Written by the test itself, so that it says nothing that was not seen.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::case::Case;

/// A case that has passed.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// From the fault to the end of the harvest.
    pub recovery: Duration,
    /// Rows that were compared.
    pub compared: usize,
}

const HEAD: &str = "# Faults that a harvest survives\n\n\
    Written by `make test-crash` (`UPDATE_DOCS=1`). In each case a harvest of 200 records is disturbed in the way that the first column\n\
    says, at the worker and message, or at the stage, that the second one names; what died is started again. Afterwards the\n\
    synthèse, its areas, media and datasets, the generation, the rejects, what Passereau remembers, the counts and the events (each once, by its\n\
    identity) are the same as after a run without a fault; GBIF was asked for one download; the outbox, the queues and the dead queue are\n\
    empty, also once the workers have ended and what they held would be back; no claim, no dead letter and no published message that nobody handled is left.\n\
    The harvest has about ten slices and several batches of iNaturalist's ids; where a person's word is disturbed, it is one that waits for\n\
    approval, or one that is cancelled while GBIF prepares its download.\n\
    The exporter and the scheduler, which a harvest does not meet, are killed by tests of their own:\n\
    `services/exporter/tests/exporter/killed.rs` and `services/scheduler/tests/scheduler/worker.rs`.\n\
    The seconds, from the fault to the end of the harvest, are those of one run on two cores, with the short delays of the tests.\n\n";

/// The figures of a run, for people.
pub fn figures(passed: &[(&Case, &Passed)], ok: usize, took: Duration) -> String {
    let mut seconds: Vec<f64> = passed.iter().map(|(_, passed)| passed.recovery.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let compared: usize = passed.iter().map(|(_, passed)| passed.compared).sum();
    format!(
        "crash: {} of {ok} passed, {compared} rows compared, seconds to the end after the fault: median {:.1}, worst {:.1}; {:.0} s in all",
        passed.len(),
        seconds.get(seconds.len() / 2).copied().unwrap_or_default(),
        seconds.last().copied().unwrap_or_default(),
        took.as_secs_f64(),
    )
}

/// Writes the table, or checks that the committed one lists the same cases.
pub fn check(passed: &[(&Case, &Passed)]) -> Result<()> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    let mut lines: BTreeMap<(String, String), f64> = BTreeMap::new();
    for (case, passed) in passed {
        lines.insert((case.fault.words(), case.fault.whom()), passed.recovery.as_secs_f64());
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let rows: String = lines
            .iter()
            .map(|((fault, whom), seconds)| format!("| {fault} | {whom} | passed | {seconds:.1} |\n"))
            .collect();
        let text = format!("{HEAD}| fault | worker | outcome | seconds |\n| --- | --- | --- | --- |\n{rows}");
        return std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()));
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    for (fault, whom) in lines.keys() {
        ensure!(
            committed.contains(&format!("| {fault} | {whom} | passed |")),
            "docs/faults.md does not list `{fault}`, `{whom}`: run with UPDATE_DOCS=1"
        );
    }
    let listed = committed.lines().filter(|line| line.contains(" | passed | ")).count();
    ensure!(
        listed == lines.len(),
        "docs/faults.md lists {listed} cases, there are {}: run with UPDATE_DOCS=1",
        lines.len()
    );
    Ok(())
}
