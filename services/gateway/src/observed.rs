//! What the gateway lets others see of its work. A request is named by its route, its flow and the id of its token: never by its path or query, which
//! may hold the token, and never by the address it came from.

use std::time::Duration;

use axum::http::StatusCode;
use passereau_telemetry::{Metrics, catalogue as list};
use prometheus::{IntCounter, IntCounterVec, IntGauge};
use uuid::Uuid;

/// The metrics of the gateway; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    requests: IntCounterVec,
    sent: IntCounterVec,
    downloads: IntGauge,
    connections: IntGauge,
    broken_off: IntCounter,
    too_slow: IntCounter,
}

impl Observed {
    /// Registers the metrics of one gateway.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let r = metrics.registry();
        Self {
            requests: list::GATEWAY_REQUESTS.counters(r),
            sent: list::GATEWAY_SENT.counters(r),
            downloads: list::GATEWAY_DOWNLOADS.gauge(r),
            connections: list::GATEWAY_CONNECTIONS.gauge(r),
            broken_off: list::GATEWAY_BROKEN.counter(r),
            too_slow: list::GATEWAY_SLOW.counter(r),
        }
    }

    /// A request was answered; its file may still be on its way.
    pub(crate) fn answered(&self, seen: &Seen, status: StatusCode, elapsed: Duration) {
        let route = seen.route.unwrap_or("none");
        self.requests.with_label_values(&[route, status.as_str()]).inc();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let (flow, token_id) = (seen.flow.as_deref(), seen.token.map(tracing::field::display));
        tracing::info!(route, flow, token_id, status = status.as_u16(), elapsed_ms, "request answered");
    }

    /// A file begins to be sent. Counts down when dropped.
    pub(crate) fn download(&self, flow: &str, token: Uuid, size_bytes: u64) -> Download {
        self.downloads.inc();
        Download { observed: self.clone(), flow: flow.to_owned(), token, size_bytes, sent_bytes: 0 }
    }

    /// A connection is open. Counts down when dropped.
    pub(crate) fn connection(&self) -> Open {
        self.connections.inc();
        Open(self.connections.clone())
    }

    /// A client took nothing for too long.
    pub(crate) fn too_slow(&self) {
        self.too_slow.inc();
        tracing::info!("a client was cut off: it did not take what was offered to it in time");
    }
}

/// What is known of a request while it is answered.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub route: Option<&'static str>,
    /// Only once a token has opened it: else it is a text of whoever called.
    pub flow: Option<String>,
    pub token: Option<Uuid>,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Download {
    observed: Observed,
    flow: String,
    token: Uuid,
    size_bytes: u64,
    sent_bytes: u64,
}

impl Download {
    /// So many more bytes were handed over.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
        self.observed.sent.with_label_values(&[&self.flow]).inc_by(bytes as u64);
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.observed.downloads.dec();
        let (flow, token_id, sent_bytes, size_bytes) = (&self.flow, self.token, self.sent_bytes, self.size_bytes);
        if sent_bytes == size_bytes {
            tracing::info!(flow, %token_id, sent_bytes, "file sent");
        } else {
            self.observed.broken_off.inc();
            tracing::info!(flow, %token_id, sent_bytes, size_bytes, "download broken off");
        }
    }
}
