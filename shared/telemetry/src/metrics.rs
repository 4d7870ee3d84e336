//! The metrics of one process, as events that log and count together. What they are called and mean stands in the [`crate::catalogue`].
//!
//! Labels come from closed sets ([`crate::labels`]), are text of the program itself, or the names that operators gave to subscriptions
//! and flows. The registry belongs to this value: it is passed in, never global, so tests and fleets do not see each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{
    Gauge, GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    process_collector::ProcessCollector,
};

use crate::catalogue as list;
use crate::labels::{Connection, DeadLetterReason, MessageOutcome};
use crate::shown::Shown;

/// The metrics of one process, seen by one worker of it. Clones share their counters.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) worker: &'static str,
    pub(crate) all: Arc<Families>,
}

pub(crate) struct Families {
    pub(crate) registry: Registry,
    messages_handled: IntCounterVec,
    handling_seconds: HistogramVec,
    messages_in_work: IntGaugeVec,
    last_message: GaugeVec,
    messages_resent: IntCounter,
    dead_letters: IntCounterVec,
    acks_lost: IntCounterVec,
    consumers: IntGaugeVec,
    consumer_rebuilds: IntCounter,
    /// What `consumer_rebuilds` was told last.
    rebuilds_told: AtomicU64,
    outbox_published: IntCounter,
    outbox_failed: IntCounter,
    outbox_due: IntGauge,
    outbox_oldest_due_seconds: Gauge,
    amqp_connected: IntGaugeVec,
    amqp_blocked: IntGauge,
    postgres_connected: IntGauge,
    pub(crate) records: IntCounterVec,
    pub(crate) rejected_records: IntCounterVec,
    pub(crate) bytes: IntCounterVec,
    pub(crate) gbif_wait: HistogramVec,
    pub(crate) api_calls: IntCounterVec,
    pub(crate) deliveries: IntCounterVec,
    pub(crate) delivered_records: IntCounterVec,
    pub(crate) state_read_failures: IntCounterVec,
    pub(crate) store_is_full: AtomicBool,
    /// What is shown as it stands elsewhere, by name of the metric.
    pub(crate) shown: Mutex<BTreeMap<&'static str, Shown>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl Metrics {
    /// A fresh registry for one process, seen by `worker`, which is `passereau` where all workers run in one process.
    #[must_use]
    pub fn new(worker: &'static str) -> Self {
        let registry = Registry::new();
        let messages = registry.clone();
        Self::in_registries(worker, registry, &messages)
    }

    /// The same for a process that handles no messages and has no connection to RabbitMQ: it does not show any as lost.
    #[must_use]
    pub fn without_messages(worker: &'static str) -> Self {
        Self::in_registries(worker, Registry::new(), &Registry::new())
    }

    /// `m` is where the metrics of messages go.
    fn in_registries(worker: &'static str, registry: Registry, m: &Registry) -> Self {
        let r = &registry;
        let oldest = Gauge::with_opts(Opts::new(list::OUTBOX_OLDEST.name, list::OUTBOX_OLDEST.help))
            .and_then(|gauge| m.register(Box::new(gauge.clone())).map(|()| gauge))
            .expect("metrics of the catalogue are valid, and registered once");
        let all = Families {
            messages_handled: list::HANDLED.counters(m),
            handling_seconds: list::HANDLING.histograms(m),
            messages_in_work: list::IN_WORK.gauges(m),
            last_message: list::LAST_MESSAGE.real_gauges(m),
            messages_resent: list::RESENT.counter(m),
            dead_letters: list::DEAD_LETTERS.counters(m),
            acks_lost: list::ACKS_LOST.counters(m),
            consumers: list::CONSUMERS.gauges(m),
            consumer_rebuilds: list::CONSUMER_REBUILDS.counter(m),
            rebuilds_told: AtomicU64::new(0),
            outbox_published: list::OUTBOX_PUBLISHED.counter(m),
            outbox_failed: list::OUTBOX_FAILED.counter(m),
            outbox_due: list::OUTBOX_DUE.gauge(m),
            outbox_oldest_due_seconds: oldest,
            amqp_connected: list::AMQP_CONNECTED.gauges(m),
            amqp_blocked: list::AMQP_BLOCKED.gauge(m),
            postgres_connected: list::POSTGRES_CONNECTED.gauge(r),
            records: list::RECORDS.counters(r),
            rejected_records: list::REJECTED_RECORDS.counters(r),
            bytes: list::BYTES.counters(r),
            gbif_wait: list::GBIF_WAIT.histograms(r),
            api_calls: list::API_CALLS.counters(r),
            deliveries: list::DELIVERIES.counters(r),
            delivered_records: list::DELIVERED_RECORDS.counters(r),
            state_read_failures: list::STATE_READ_FAILURES.counters(r),
            store_is_full: AtomicBool::new(false),
            shown: Mutex::default(),
            registry: registry.clone(),
        };
        let build = list::BUILD_INFO.gauges(r);
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), worker]).set(1);
        // Fails only when registered twice in one registry.
        if let Err(error) = registry.register(Box::new(ProcessCollector::for_self())) {
            tracing::warn!(%error, "the process metrics are missing");
        }
        // A counter that does not exist until its first event hides that event from `rate()`: begin at 0 where it is cheap.
        for connection in Connection::ALL {
            all.amqp_connected.with_label_values(&[connection.as_str()]);
        }
        Self { worker, all: Arc::new(all) }
    }

    /// The same registry, seen by another worker of this process.
    #[must_use]
    pub fn for_worker(&self, worker: &'static str) -> Self {
        Self { worker, all: Arc::clone(&self.all) }.started()
    }

    /// Its messages are of these kinds: how their handlings end is counted from 0, so that the first one that fails is seen by `rate()`.
    pub fn handles(&self, kinds: impl IntoIterator<Item = &'static str>) {
        for kind in kinds {
            for outcome in MessageOutcome::ALL {
                self.all.messages_handled.with_label_values(&[self.worker, kind, outcome.as_str()]);
            }
        }
    }

    fn started(self) -> Self {
        for reason in DeadLetterReason::ALL {
            self.all.dead_letters.with_label_values(&[self.worker, reason.as_str()]);
        }
        self.all.acks_lost.with_label_values(&[self.worker]);
        self.all.messages_in_work.with_label_values(&[self.worker]);
        self.begin_at_zero();
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
        self.all.last_message.with_label_values(&[self.worker]).set(unix_now());
        InWork { gauge }
    }

    /// A delivery was handled. `kind` is a constant of the program; what a stranger wrote is counted as `unknown`.
    pub fn message_handled(&self, kind: &'static str, outcome: MessageOutcome, elapsed: Duration) {
        self.all.messages_handled.with_label_values(&[self.worker, kind, outcome.as_str()]).inc();
        self.all.handling_seconds.with_label_values(&[self.worker, kind]).observe(elapsed.as_secs_f64());
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(worker = self.worker, kind, %outcome, elapsed_ms, "message handled");
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

    /// So many consumers this process wants and has at the broker now, and so many were made anew since its start. The broker's client logs why.
    pub fn consumers(&self, wanted: u64, active: u64, rebuilt: u64) {
        for (state, count) in [("wanted", wanted), ("active", active)] {
            self.all.consumers.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let told = self.all.rebuilds_told.swap(rebuilt, std::sync::atomic::Ordering::Relaxed);
        self.all.consumer_rebuilds.inc_by(rebuilt.saturating_sub(told));
    }

    /// RabbitMQ has lost messages that it had confirmed; they are published again.
    pub fn messages_resent(&self, messages: u64) {
        self.all.messages_resent.inc_by(messages);
        if messages > 0 {
            tracing::warn!(messages, "rabbitmq has lost messages that it had confirmed, they are published again");
        }
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

    /// PostgreSQL answers, or does not. Logs only changes.
    pub fn postgres_connected(&self, connected: bool) {
        match (switch(&self.all.postgres_connected, connected), connected) {
            (true, true) => tracing::info!("postgresql answers"),
            (true, false) => tracing::warn!("postgresql does not answer"),
            (false, _) => {}
        }
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
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

    #[test]
    fn a_process_shows_nothing_that_is_not_in_the_list_and_the_gateway_nothing_of_messages() {
        let worker = Metrics::new("loader").for_worker("loader");
        worker.message_handled("archive.load", MessageOutcome::Done, Duration::from_millis(30));
        let gateway = Metrics::without_messages("gateway");
        gateway.postgres_connected(true);
        let known: BTreeSet<&str> = list::all().map(|family| family.name).collect();
        let names = |metrics: &Metrics| -> BTreeSet<String> {
            let text = metrics.render().unwrap();
            assert!(text.contains("process_resident_memory_bytes"), "the process collector is there");
            let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
            types
                .filter(|name| name.starts_with("passereau_"))
                .map(|line| line.split(' ').next().unwrap().to_owned())
                .collect()
        };
        for name in names(&worker) {
            assert!(known.contains(name.as_str()), "{name} is in no chapter of the catalogue");
        }
        assert_eq!(
            names(&gateway).into_iter().collect::<Vec<_>>(),
            ["passereau_build_info", "passereau_postgres_connected"]
        );
    }

    #[test]
    fn consumers_made_anew_are_counted_once_however_often_they_are_told() {
        let metrics = Metrics::new("loader");
        metrics.consumers(2, 1, 3);
        metrics.consumers(2, 2, 3);
        assert_eq!(sample(&metrics, "passereau_consumer_rebuilds_total").unwrap(), "3");
        assert_eq!(sample(&metrics, r#"passereau_consumers{state="active"}"#).unwrap(), "2");
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
        assert_eq!(sample(&Metrics::new("loader").for_worker("loader"), line).unwrap(), "0");
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
