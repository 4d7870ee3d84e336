//! `docs/metrics.md`.

use std::fmt::Write as _;

use super::{By, CHAPTERS, Family, Kind, LABELS};

const HEAD: &str = "<!-- Generated from shared/telemetry/src/catalogue: UPDATE_DOCS=1 cargo test -p passereau-telemetry --lib -->
# Metrics

Every process serves its metrics at `/metrics` (`PASSEREAU_HTTP_LISTEN`, port 9464), in Prometheus text format. Names begin with `passereau_`, units are
seconds and bytes, ages are timestamps: the age of `x_timestamp_seconds` is `time() - x_timestamp_seconds`.

**What a process did** (counters, histograms, its own connections) is shown by the process that did it. Add it up over processes:
`sum by (outcome) (rate(passereau_records_total{stage=\"upserted\"}[5m]))`.

**What is in the database** (states, ages, what waits) is marked *state*. The schedulers alone read it, every 15 seconds (`PASSEREAU_STATE_READ_S`), all of it in one
snapshot of the database, and each scheduler shows the same. Never add it up over processes; take the largest:
`max by (subscription, state) (passereau_harvest_state_since_timestamp_seconds)`. Why the schedulers: one is always there, it connects as the
owner of the state and may read it all, and a fleet of fifty workers asks the database once and not fifty times. When it cannot read, the values stay and
`passereau_state_read_timestamp_seconds` grows old; without any scheduler they are absent. So watch
`time() - max(passereau_state_read_timestamp_seconds) > 120 or absent(passereau_state_read_timestamp_seconds)`.
What needs a setting of one worker (places at GBIF, calls of the day) is shown by that worker, from the database too: `max` as well.

A series exists from the first time that there is something to show, but for those that say \"0 where there is none\".

`process_*` are those of every Prometheus client on Linux: `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`,
`process_open_fds`, `process_max_fds`, `process_threads`, `process_start_time_seconds`.
";

const LABELS_HEAD: &str = "
## Labels

Values come from closed sets, and from names that operators gave to subscriptions and flows. No label carries an identifier of a harvest, a message, a
dataset or a record, nor a text that somebody else wrote.

| label | values |
| --- | --- |
";

/// The document, as it should stand in `docs/metrics.md`.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for chapter in CHAPTERS {
        let _ = write!(
            text,
            "\n## {}\n\n| metric | type | labels | shown by | what it says |\n| --- | --- | --- | --- | --- |\n",
            chapter.title
        );
        for family in chapter.families {
            let _ = writeln!(text, "{}", row(family));
        }
    }
    text.push_str(LABELS_HEAD);
    for (name, values) in LABELS {
        let _ = writeln!(text, "| `{name}` | {values} |");
    }
    text
}

fn row(family: &Family) -> String {
    let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    let kind = match family.kind {
        Kind::Histogram(buckets) => {
            let last = buckets.last().copied().unwrap_or_default();
            format!("histogram to {last} s")
        }
        other => other.as_str().to_owned(),
    };
    let by = match family.by {
        By::Every => "every process".to_owned(),
        By::EveryWorker => "every worker".to_owned(),
        By::State => "*state*".to_owned(),
        By::Workers(workers) => workers.join(", "),
    };
    format!("| `{}` | {kind} | {} | {by} | {} |", family.name, labels.join(", "), family.help)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::catalogue::all;

    #[test]
    fn the_document_is_the_list() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, document()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap();
        assert!(
            found == document(),
            "docs/metrics.md is not what the catalogue says: UPDATE_DOCS=1 cargo test -p passereau-telemetry --lib"
        );
    }

    /// <https://prometheus.io/docs/practices/naming/>
    #[test]
    fn names_labels_and_meanings_keep_the_conventions() {
        let mut names = BTreeSet::new();
        let mut used = BTreeSet::new();
        for family in all() {
            let name = family.name;
            assert!(names.insert(name), "{name} stands twice");
            assert!(name.starts_with("passereau_"), "{name}");
            assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
            assert!(
                family.help.ends_with('.') && !family.help.contains("  ") && !family.help.contains('|'),
                "{name}: {}",
                family.help
            );
            if let Kind::Histogram(buckets) = family.kind {
                assert!(name.ends_with("_seconds") && buckets.is_sorted(), "{name}");
            }
            used.extend(family.labels.iter().copied());
        }
        let known: BTreeSet<&str> = LABELS.iter().map(|(name, _)| *name).collect();
        assert_eq!(used, known);
        for reserved in ["instance", "job", "service", "pod", "namespace", "endpoint", "container", "le", "quantile"] {
            assert!(!known.contains(reserved), "{reserved} belongs to who scrapes");
        }
    }
}
