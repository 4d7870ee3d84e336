//! The metrics of one process, as events that log and count together.
//!
//! Names begin with `passereau_`, use base units and end in `_total` when they only grow, as Prometheus asks
//! (<https://prometheus.io/docs/practices/naming/>). Labels come from closed sets ([`crate::labels`]) or are text of the program
//! itself. The registry belongs to this value: it is passed in, never global, so tests and fleets do not see each other.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    process_collector::ProcessCollector,
};

use crate::labels::{Connection, DeadLetterReason, MessageOutcome, RecordOutcome, Stage};

/// Upper bounds in seconds. A delivery is held five minutes at most; two hours would show that the rule is broken.
const HANDLING_BUCKETS_S: &[f64] =
    &[0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];

/// The metrics of one process, seen by one worker of it. Clones share their counters.
#[derive(Clone)]
pub struct Metrics {
    worker: &'static str,
    all: Arc<Families>,
}

struct Families {
    registry: Registry,
    messages_handled: IntCounterVec,
    handling_seconds: HistogramVec,
    messages_in_work: IntGaugeVec,
    records: IntCounterVec,
    dead_letters: IntCounterVec,
    acks_lost: IntCounterVec,
    consumer_rebuilds: IntCounterVec,
    outbox_published: IntCounter,
    outbox_failed: IntCounter,
    outbox_due: IntGauge,
    outbox_oldest_due_seconds: Gauge,
    amqp_connected: IntGaugeVec,
    amqp_blocked: IntGauge,
    postgres_connected: IntGauge,
    store_full: IntGauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// Registers a metric. Names and labels are constants of this file, so a failure is a mistake in it that every test meets.
fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> C {
    metric
        .and_then(|metric| registry.register(Box::new(metric.clone())).map(|()| metric))
        .expect("metric names are constants, valid and unique")
}

impl Metrics {
    /// A fresh registry for one process, seen by `worker`, which is `passereau` where all workers run in one process.
    #[must_use]
    pub fn new(worker: &'static str) -> Self {
        let registry = Registry::new();
        let r = &registry;
        let counters = |name, help, labels: &[&str]| add(r, IntCounterVec::new(Opts::new(name, help), labels));
        let gauges = |name, help, labels: &[&str]| add(r, IntGaugeVec::new(Opts::new(name, help), labels));
        let all = Families {
            messages_handled: counters(
                "passereau_messages_handled_total",
                "Deliveries handled, by how the handling ended.",
                &["worker", "kind", "outcome"],
            ),
            handling_seconds: add(
                r,
                HistogramVec::new(
                    HistogramOpts::new("passereau_message_handling_seconds", "Time from delivery to outcome.")
                        .buckets(HANDLING_BUCKETS_S.to_vec()),
                    &["worker", "kind"],
                ),
            ),
            messages_in_work: gauges("passereau_messages_in_work", "Deliveries being handled now.", &["worker"]),
            records: counters(
                "passereau_records_total",
                "Records of harvests, by stage and by what became of them.",
                &["stage", "outcome"],
            ),
            dead_letters: counters(
                "passereau_dead_letters_total",
                "Messages that gave up (see `passereau dead list`).",
                &["worker", "reason"],
            ),
            acks_lost: counters(
                "passereau_acks_lost_total",
                "Acknowledgements that the broker never got; the messages come again and the inbox knows them.",
                &["worker"],
            ),
            consumer_rebuilds: counters(
                "passereau_consumer_rebuilds_total",
                "Consumers made anew after the broker cancelled them or closed their channel.",
                &["worker"],
            ),
            outbox_published: add(
                r,
                IntCounter::new("passereau_outbox_published_total", "Outbox rows sent and confirmed by the broker."),
            ),
            outbox_failed: add(
                r,
                IntCounter::new(
                    "passereau_outbox_failed_total",
                    "Outbox rows that could not be sent or were not confirmed; they are sent again.",
                ),
            ),
            outbox_due: add(r, IntGauge::new("passereau_outbox_due", "Outbox rows that are due and not yet sent.")),
            outbox_oldest_due_seconds: add(
                r,
                Gauge::new(
                    "passereau_outbox_oldest_due_seconds",
                    "For how long the oldest unsent outbox row has been due.",
                ),
            ),
            amqp_connected: gauges(
                "passereau_amqp_connected",
                "1 while connected to RabbitMQ, by what the connection is for.",
                &["connection"],
            ),
            amqp_blocked: add(
                r,
                IntGauge::new("passereau_amqp_blocked", "1 while RabbitMQ refuses to receive (memory or disk alarm)."),
            ),
            postgres_connected: add(
                r,
                IntGauge::new("passereau_postgres_connected", "1 while PostgreSQL answers this process."),
            ),
            store_full: add(
                r,
                IntGauge::new("passereau_store_full", "1 while an archive waits because the store has no room for it."),
            ),
            registry: registry.clone(),
        };
        let build = gauges("passereau_build_info", "Always 1; the labels say what runs.", &["version", "process"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), worker]).set(1);
        // Fails only when registered twice in one registry.
        if let Err(error) = registry.register(Box::new(ProcessCollector::for_self())) {
            tracing::warn!(%error, "the process metrics are missing");
        }
        // A counter that does not exist until its first event hides that event from `rate()`: begin at 0 where it is cheap.
        for connection in Connection::ALL {
            all.amqp_connected.with_label_values(&[connection.as_str()]);
        }
        Self { worker, all: Arc::new(all) }.started()
    }

    /// The same registry, seen by another worker of this process.
    #[must_use]
    pub fn for_worker(&self, worker: &'static str) -> Self {
        Self { worker, all: Arc::clone(&self.all) }.started()
    }

    fn started(self) -> Self {
        for reason in DeadLetterReason::ALL {
            self.all.dead_letters.with_label_values(&[self.worker, reason.as_str()]);
        }
        self.all.acks_lost.with_label_values(&[self.worker]);
        self.all.consumer_rebuilds.with_label_values(&[self.worker]);
        self.all.messages_in_work.with_label_values(&[self.worker]);
        self
    }

    /// The worker whose label these events carry.
    #[must_use]
    pub fn worker(&self) -> &'static str {
        self.worker
    }

    /// The registry, for a metric of one crate alone.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.all.registry
    }

    /// All metrics in Prometheus text format 0.0.4.
    ///
    /// # Errors
    /// A metric of a crate breaks the format.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.all.registry.gather())
    }

    /// A delivery was taken into work. Counts down when dropped.
    #[must_use = "counts down when dropped"]
    pub fn message_started(&self) -> InWork {
        let gauge = self.all.messages_in_work.with_label_values(&[self.worker]);
        gauge.inc();
        InWork { gauge }
    }

    /// A delivery was handled. `kind` is a constant of the program; what a stranger wrote is counted as `unknown`.
    pub fn message_handled(&self, kind: &'static str, outcome: MessageOutcome, elapsed: Duration) {
        self.all.messages_handled.with_label_values(&[self.worker, kind, outcome.as_str()]).inc();
        self.all.handling_seconds.with_label_values(&[self.worker, kind]).observe(elapsed.as_secs_f64());
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(worker = self.worker, kind, %outcome, elapsed_ms, "message handled");
    }

    /// `count` records met `outcome` at `stage`. Count after the commit that makes it true.
    pub fn records(&self, stage: Stage, outcome: RecordOutcome, count: u64) {
        self.all.records.with_label_values(&[stage.as_str(), outcome.as_str()]).inc_by(count);
        if count > 0 {
            tracing::debug!(worker = self.worker, %stage, %outcome, count, "records counted");
        }
    }

    /// A message gave up. `error` says why, for people.
    pub fn dead_letter(&self, kind: &str, reason: DeadLetterReason, error: &str) {
        self.all.dead_letters.with_label_values(&[self.worker, reason.as_str()]).inc();
        tracing::error!(worker = self.worker, kind, %reason, error, "message became a dead letter, see `passereau dead list`");
    }

    /// The broker never got an acknowledgement: the channel was gone.
    pub fn ack_lost(&self, kind: &str) {
        self.all.acks_lost.with_label_values(&[self.worker]).inc();
        tracing::warn!(worker = self.worker, kind, "acknowledgement lost, the message will come again");
    }

    /// A consumer was made anew, because of `reason`.
    pub fn consumer_rebuilt(&self, queue: &str, reason: &str) {
        self.all.consumer_rebuilds.with_label_values(&[self.worker]).inc();
        tracing::warn!(worker = self.worker, queue, reason, "consumer rebuilt");
    }

    /// The relay sent `published` rows of the outbox and failed to send `failed`.
    pub fn outbox_relayed(&self, published: u64, failed: u64) {
        self.all.outbox_published.inc_by(published);
        self.all.outbox_failed.inc_by(failed);
        if failed > 0 {
            tracing::warn!(published, failed, "outbox rows could not be sent, they are sent again");
        } else if published > 0 {
            tracing::debug!(published, "outbox rows sent");
        }
    }

    /// State of the outbox: rows that are due, and for how long the oldest of them has been.
    pub fn outbox_waiting(&self, due: u64, oldest: Duration) {
        self.all.outbox_due.set(i64::try_from(due).unwrap_or(i64::MAX));
        self.all.outbox_oldest_due_seconds.set(oldest.as_secs_f64());
    }

    /// A connection to RabbitMQ is there, or is not. Logs only changes.
    pub fn amqp_connected(&self, connection: Connection, connected: bool) {
        let gauge = self.all.amqp_connected.with_label_values(&[connection.as_str()]);
        match (switch(&gauge, connected), connected) {
            (true, true) => tracing::info!(%connection, "connected to rabbitmq"),
            (true, false) => tracing::warn!(%connection, "connection to rabbitmq lost"),
            (false, _) => {}
        }
    }

    /// RabbitMQ refuses to receive, or receives again. Logs only changes.
    pub fn amqp_blocked(&self, blocked: bool) {
        match (switch(&self.all.amqp_blocked, blocked), blocked) {
            (true, true) => tracing::warn!("rabbitmq has raised an alarm and takes no messages"),
            (true, false) => tracing::info!("rabbitmq takes messages again"),
            (false, _) => {}
        }
    }

    /// A fetch found no room in the store, or found it. Logs only changes.
    pub fn store_full(&self, full: bool) {
        match (switch(&self.all.store_full, full), full) {
            (true, true) => tracing::warn!("an archive waits for room in the store (see `passereau retention plan`)"),
            (true, false) => tracing::info!("there is room in the store again"),
            (false, _) => {}
        }
    }

    /// PostgreSQL answers, or does not. Logs only changes.
    pub fn postgres_connected(&self, connected: bool) {
        match (switch(&self.all.postgres_connected, connected), connected) {
            (true, true) => tracing::info!("postgresql answers"),
            (true, false) => tracing::warn!("postgresql does not answer"),
            (false, _) => {}
        }
    }
}

/// Sets a gauge of 0 and 1; true when that changed it.
fn switch(gauge: &IntGauge, on: bool) -> bool {
    let before = gauge.get();
    gauge.set(i64::from(on));
    before != i64::from(on)
}

/// A delivery in work.
#[derive(Debug)]
pub struct InWork {
    gauge: IntGauge,
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use super::*;
    use crate::logs::tests::logged;

    fn sample(metrics: &Metrics, line: &str) -> Option<String> {
        let text = metrics.render().unwrap();
        text.lines().find_map(|found| found.strip_prefix(line).map(|value| value.trim().to_owned()))
    }

    /// The names are an interface: dashboards, alerts and documents rely on them.
    #[test]
    fn names_are_frozen() {
        let metrics = Metrics::new("loader");
        metrics.message_handled("archive.load", MessageOutcome::Done, Duration::from_millis(30));
        metrics.records(Stage::Landed, RecordOutcome::Read, 2);
        let text = metrics.render().unwrap();
        let names: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter(|line| line.starts_with("passereau_"))
            .collect();
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            [
                "passereau_acks_lost_total counter",
                "passereau_amqp_blocked gauge",
                "passereau_amqp_connected gauge",
                "passereau_build_info gauge",
                "passereau_consumer_rebuilds_total counter",
                "passereau_dead_letters_total counter",
                "passereau_message_handling_seconds histogram",
                "passereau_messages_handled_total counter",
                "passereau_messages_in_work gauge",
                "passereau_outbox_due gauge",
                "passereau_outbox_failed_total counter",
                "passereau_outbox_oldest_due_seconds gauge",
                "passereau_outbox_published_total counter",
                "passereau_postgres_connected gauge",
                "passereau_records_total counter",
                "passereau_store_full gauge",
            ]
        );
        assert!(text.contains("process_resident_memory_bytes"), "the process collector is there");
    }

    #[test]
    fn one_event_counts_and_logs() {
        let metrics = Metrics::new("loader");
        let seen = metrics.clone();
        let text = logged("info", true, move || {
            seen.message_handled("archive.load", MessageOutcome::Retried, Duration::from_millis(1500));
            seen.dead_letter("archive.load", DeadLetterReason::Rejected, "the archive is broken");
        });
        assert!(text.contains(r#""outcome":"retried""#) && text.contains(r#""elapsed_ms":1500"#), "{text}");
        assert!(text.contains("the archive is broken"), "{text}");
        let labels = r#"{kind="archive.load",outcome="retried",worker="loader"}"#;
        assert_eq!(sample(&metrics, &format!("passereau_messages_handled_total{labels}")).unwrap(), "1");
        let sum = r#"passereau_message_handling_seconds_sum{kind="archive.load",worker="loader"}"#;
        assert_eq!(sample(&metrics, sum).unwrap(), "1.5");
        let dead = r#"passereau_dead_letters_total{reason="rejected",worker="loader"}"#;
        assert_eq!(sample(&metrics, dead).unwrap(), "1");
    }

    #[test]
    fn workers_of_one_process_share_a_registry_and_processes_do_not() {
        let process = Metrics::new("passereau");
        let loader = process.for_worker("loader");
        loader.ack_lost("archive.load");
        let line = r#"passereau_acks_lost_total{worker="loader"}"#;
        assert_eq!(sample(&process, line).unwrap(), "1");
        assert_eq!(sample(&Metrics::new("loader"), line).unwrap(), "0");
    }

    #[test]
    fn gauges_follow_and_only_changes_are_logged() {
        let metrics = Metrics::new("loader");
        let seen = metrics.clone();
        let text = logged("info", true, move || {
            seen.amqp_connected(Connection::Consuming, true);
            seen.amqp_connected(Connection::Consuming, true);
            seen.amqp_connected(Connection::Consuming, false);
            let _work = seen.message_started();
            assert_eq!(sample(&seen, r#"passereau_messages_in_work{worker="loader"}"#).unwrap(), "1");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(sample(&metrics, r#"passereau_amqp_connected{connection="consuming"}"#).unwrap(), "0");
        assert_eq!(sample(&metrics, r#"passereau_messages_in_work{worker="loader"}"#).unwrap(), "0");
    }
}
