//! What a process of the fleet lets others see: log lines, metrics, traces, and the three addresses `/metrics`,
//! `/healthz` and `/readyz`.
//!
//! - [`logs`] starts logging and tracing, once per process.
//! - [`metrics`] holds the process's [`Metrics`]: *events* as methods. One call writes the log line **and** moves the counter, so
//!   names, labels and levels live in one place and cannot drift apart (the idea of Vector's internal events).
//! - [`catalogue`] lists every metric of the fleet: what is registered and `docs/metrics.md` are made from it.
//! - [`labels`] holds the closed sets of label values. No metric carries an identifier: no harvest, message or data set.
//! - [`traces`] sends spans to a receiver, if one is named; [`spans`] makes those of messages and of the database; [`subject`] is what they are about.
//! - [`trace_context`] carries the W3C trace context in message headers.
//! - [`health`] names what this process needs in order to work, [`http`] serves it, [`healthcheck`] asks for it from within a container.
//!
//! Nothing here is global but the subscriber of `tracing`: two fleets in one test process have two registries.
//! Nothing here fails a message: what cannot be observed is dropped, the work goes on.

pub mod catalogue;
mod domain;
pub mod health;
pub mod healthcheck;
pub mod http;
pub mod labels;
mod line;
pub mod logs;
pub mod metrics;
mod receiver;
mod sampling;
mod shown;
pub mod spans;
pub mod subject;
pub mod trace_context;
pub mod traces;

pub use health::{Health, Light};
pub use http::{HttpListenConfig, ListenAddress, ServeError, Server};
pub use labels::{
    Api, CallOutcome, Connection, DeadLetterReason, DeliveryOutcome, GbifStatus, Leaving, MessageOutcome, Moved,
    REJECT_REASONS, RecordOutcome, Stage,
};
pub use logs::{LogConfig, LogError, LogFormat, LogGuard};
pub use metrics::Metrics;
pub use shown::Sample;
pub use subject::Subject;
pub use traces::{TraceConfig, TraceError};
