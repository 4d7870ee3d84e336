//! Events of harvests and flows.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::catalogue as list;
use crate::labels::{
    Api, CallOutcome, DeliveryOutcome, GbifStatus, Leaving, Moved, REJECT_REASONS, RecordOutcome, Stage,
};
use crate::metrics::Metrics;

impl Metrics {
    /// The counters of this worker begin at 0. One that began with its first count would hide it: Prometheus' `increase` and `rate` see what came after
    /// the first scrape of a series (<https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics>).
    pub(crate) fn begin_at_zero(&self) {
        use RecordOutcome as Of;
        let records: &[(Stage, &[Of])] = match self.worker {
            "loader" => &[(Stage::Landed, &[Of::Read, Of::Landed, Of::Duplicate, Of::Malformed])],
            "inat-enricher" => &[(Stage::Enriched, &[Of::Found, Of::Absent])],
            "upserter" => &[
                (Stage::Planned, &[Of::Planned, Of::Unchanged]),
                (Stage::Upserted, &[Of::Inserted, Of::Updated, Of::Rejected, Of::Kept, Of::Vanished]),
            ],
            _ => &[],
        };
        for (stage, outcomes) in records {
            for outcome in *outcomes {
                self.all.records.with_label_values(&[stage.as_str(), outcome.as_str()]);
            }
        }
        let apis: &[Api] = match self.worker {
            "inat-enricher" => &[Api::Inaturalist],
            "requester" => &[Api::GbifRegistry],
            _ => &[],
        };
        for api in apis {
            for outcome in CallOutcome::ALL {
                self.all.api_calls.with_label_values(&[api.as_str(), outcome.as_str()]);
            }
        }
        match self.worker {
            "upserter" => {
                for reason in REJECT_REASONS {
                    self.all.rejected_records.with_label_values(&[reason]);
                }
            }
            "downloader" => drop(self.all.bytes.with_label_values(&[Moved::Fetched.as_str()])),
            "exporter" => drop(self.all.bytes.with_label_values(&[Moved::Exported.as_str()])),
            "poller" => drop(self.all.gbif_wait.with_label_values(&[GbifStatus::Succeeded.as_str()])),
            _ => {}
        }
    }

    /// `count` records met `outcome` at `stage`. Count after the commit that makes it true.
    pub fn records(&self, stage: Stage, outcome: RecordOutcome, count: u64) {
        self.all.records.with_label_values(&[stage.as_str(), outcome.as_str()]).inc_by(count);
        if count > 0 {
            tracing::debug!(worker = self.worker, %stage, %outcome, count, "records counted");
        }
    }

    /// So many records could not enter the synthèse, for a reason of the closed list in `docs/rejects.md`. They are records of the stage upserted, too.
    pub fn rejected(&self, reason: &str, count: u64) {
        self.all.rejected_records.with_label_values(&[reason]).inc_by(count);
        tracing::debug!(worker = self.worker, reason, count, "records rejected");
    }

    /// So many bytes were moved.
    pub fn bytes(&self, moved: Moved, count: u64) {
        self.all.bytes.with_label_values(&[moved.as_str()]).inc_by(count);
    }

    /// The wait for a download at GBIF has ended, with GBIF's word for it.
    pub fn gbif_waited(&self, status: GbifStatus, waited: Duration) {
        self.all.gbif_wait.with_label_values(&[status.as_str()]).observe(waited.as_secs_f64());
        tracing::info!(%status, waited_s = waited.as_secs(), "the wait for GBIF is over");
    }

    /// A call under a budget of the fleet was answered, or not, or not made.
    pub fn api_called(&self, api: Api, outcome: CallOutcome) {
        self.all.api_calls.with_label_values(&[api.as_str(), outcome.as_str()]).inc();
        tracing::debug!(worker = self.worker, %api, %outcome, "called");
    }

    /// A delivery of a flow is worked on. The counters of the flow begin at 0 here, since no process knows its name before: a first delivery is counted
    /// when Prometheus looks between its beginning and its end.
    pub fn delivering(&self, flow: &str) {
        for outcome in DeliveryOutcome::ALL {
            self.all.deliveries.with_label_values(&[flow, outcome.as_str()]);
        }
        for leaving in Leaving::ALL {
            self.all.delivered_records.with_label_values(&[flow, leaving.as_str()]);
        }
    }

    /// A delivery of a flow has ended.
    pub fn delivered(&self, flow: &str, outcome: DeliveryOutcome) {
        self.all.deliveries.with_label_values(&[flow, outcome.as_str()]).inc();
        tracing::info!(worker = self.worker, flow, %outcome, "delivery ended");
    }

    /// So many records of a version that was delivered leave in this way.
    pub fn delivered_records(&self, flow: &str, leaving: Leaving, count: u64) {
        self.all.delivered_records.with_label_values(&[flow, leaving.as_str()]).inc_by(count);
    }

    /// A fetch found no room in the store, or found it. Logs only changes.
    pub fn store_full(&self, full: bool) {
        self.show_one(&list::STORE_FULL, f64::from(u8::from(full)));
        match (self.all.store_is_full.swap(full, Ordering::Relaxed), full) {
            (false, true) => tracing::warn!("an archive waits for room in the store (see `passereau retention plan`)"),
            (true, false) => tracing::info!("there is room in the store again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::logs::tests::logged;

    #[test]
    fn counters_are_there_before_the_first_count_and_only_at_the_worker_that_counts_them() {
        let text = Metrics::new("upserter").for_worker("upserter").render().unwrap();
        assert!(text.contains(r#"passereau_records_total{outcome="inserted",stage="upserted"} 0"#), "{text}");
        assert!(text.contains(r#"passereau_rejected_records_total{reason="taxon_unmatched"} 0"#), "{text}");
        assert!(!text.contains("stage=\"landed\"") && !text.contains("passereau_bytes_total{"), "{text}");
        let text = Metrics::new("poller").for_worker("poller").render().unwrap();
        assert!(text.contains(r#"passereau_gbif_wait_seconds_count{status="succeeded"} 0"#), "{text}");
        let text = Metrics::new("inat-enricher").for_worker("inat-enricher").render().unwrap();
        assert!(text.contains(r#"passereau_api_calls_total{api="inaturalist",outcome="resting"} 0"#), "{text}");
        let metrics = Metrics::new("exporter");
        metrics.delivering("atlas");
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"passereau_deliveries_total{flow="atlas",outcome="delivered"} 0"#), "{text}");
        assert!(text.contains(r#"passereau_delivered_records_total{flow="atlas",outcome="withheld"} 0"#), "{text}");
    }

    #[test]
    fn a_full_store_is_told_once_and_shown_for_as_long() {
        let metrics = Metrics::new("downloader");
        let seen = metrics.clone();
        let text = logged("info", true, move || {
            seen.store_full(true);
            seen.store_full(true);
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(metrics.render().unwrap().contains("passereau_store_full 1"));
        metrics.store_full(false);
        assert!(metrics.render().unwrap().contains("passereau_store_full 0"));
    }

    #[test]
    fn a_wait_for_gbif_is_counted_by_its_word() {
        let metrics = Metrics::new("poller");
        metrics.gbif_waited(GbifStatus::of("SUCCEEDED"), Duration::from_secs(7000));
        metrics.gbif_waited(GbifStatus::of("SOMETHING_NEW"), Duration::from_secs(1));
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"passereau_gbif_wait_seconds_bucket{status="succeeded",le="7200"} 1"#), "{text}");
        assert!(text.contains(r#"passereau_gbif_wait_seconds_count{status="other"} 1"#), "{text}");
    }
}
