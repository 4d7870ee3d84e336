//! Gauges that show what stands elsewhere, mostly in the database: read now and then, and replaced as a whole.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use prometheus::GaugeVec;

use crate::catalogue::{self as list, Family};
use crate::metrics::{Metrics, unix_now};

/// Gauges of one metric and the label values that they have now.
#[derive(Debug)]
pub(crate) struct Shown {
    gauges: GaugeVec,
    labels: BTreeSet<Vec<String>>,
}

/// A value, with the values of its labels in their order.
pub type Sample = (Vec<String>, f64);

impl Metrics {
    /// Shows these values of a metric and no others. What was shown before and is not among them is gone; what is, never is in between.
    /// A metric that is never shown does not exist in this process.
    pub fn show(&self, family: &'static Family, samples: impl IntoIterator<Item = Sample>) {
        let mut all = self.all.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = all
            .entry(family.name)
            .or_insert_with(|| Shown { gauges: family.real_gauges(&self.all.registry), labels: BTreeSet::new() });
        let mut now = BTreeSet::new();
        for (labels, value) in samples {
            let texts: Vec<&str> = labels.iter().map(String::as_str).collect();
            match shown.gauges.get_metric_with_label_values(&texts) {
                Ok(gauge) => gauge.set(value),
                Err(error) => {
                    tracing::error!(metric = family.name, ?labels, %error, "a value cannot be shown; this is a defect");
                    continue;
                }
            }
            now.insert(labels);
        }
        for gone in shown.labels.difference(&now) {
            let texts: Vec<&str> = gone.iter().map(String::as_str).collect();
            // Fails only when it is gone already.
            let _ = shown.gauges.remove_label_values(&texts);
        }
        shown.labels = now;
    }

    /// Shows one value of a metric without labels.
    pub fn show_one(&self, family: &'static Family, value: f64) {
        self.show(family, [(Vec::new(), value)]);
    }

    /// The state was read from the database.
    pub fn state_read(&self, elapsed: Duration) {
        self.all.state_read_failures.with_label_values::<&str>(&[]);
        self.show_one(&list::STATE_READ, unix_now());
        self.show_one(&list::STATE_READ_DURATION, elapsed.as_secs_f64());
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(elapsed_ms, "the state was read for metrics");
    }

    /// The state could not be read; what is shown stays as it was.
    pub fn state_not_read(&self, error: &str) {
        self.all.state_read_failures.with_label_values::<&str>(&[]).inc();
        tracing::warn!(error, "the state could not be read for metrics, which stay as they were");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
        metrics.render().unwrap().lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    #[test]
    fn what_is_shown_replaces_what_was() {
        let metrics = Metrics::new("scheduler");
        let of = |subscription: &str, reason: &str| vec![subscription.to_owned(), reason.to_owned()];
        metrics.show(&list::REJECTS, [(of("birds", "obscured"), 3.0), (of("plants", "obscured"), 4.0)]);
        assert_eq!(lines(&metrics, "passereau_rejects").len(), 2);
        metrics.show(&list::REJECTS, [(of("birds", "obscured"), 5.0)]);
        assert_eq!(
            lines(&metrics, "passereau_rejects"),
            [r#"passereau_rejects{reason="obscured",subscription="birds"} 5"#]
        );
        metrics.show(&list::REJECTS, []);
        assert_eq!(lines(&metrics, "passereau_rejects"), Vec::<String>::new());
    }

    #[test]
    fn a_failed_reading_leaves_the_values_and_is_counted() {
        let metrics = Metrics::new("scheduler");
        metrics.show_one(&list::UPSERT_OPEN, 1.0);
        metrics.state_not_read("connection refused");
        assert_eq!(lines(&metrics, "passereau_upsert_open"), ["passereau_upsert_open 1"]);
        assert_eq!(lines(&metrics, "passereau_state_read_failures_total"), ["passereau_state_read_failures_total 1"]);
        assert_eq!(lines(&metrics, "passereau_state_read_timestamp_seconds"), Vec::<String>::new());
    }
}
