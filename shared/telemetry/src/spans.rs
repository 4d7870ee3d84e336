//! The spans of messages and of the database, by OpenTelemetry's conventions, in one place: those of messaging are still in development and change names
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/>, <https://opentelemetry.io/docs/specs/semconv/database/database-spans/>).
//!
//! A *process* span is one handling and begins a trace of its own. A *publish* span is one message on its way to the broker; it belongs to the trace
//! of the handling that wrote the message, and its context is what the message carries. So the next handling's link leads to the publish span,
//! and by its trace to everything that came before.

use std::collections::BTreeMap;

use opentelemetry::{Context, trace::TraceContextExt};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use crate::{subject::Subject, trace_context};

/// A message that is handled.
#[derive(Clone, Copy, Debug)]
pub struct Handled<'a> {
    /// The worker's name.
    pub worker: &'static str,
    /// The queue, with the fleet's prefix.
    pub queue: &'a str,
    /// The exchange, with the fleet's prefix.
    pub exchange: &'a str,
    /// The routing key.
    pub kind: &'a str,
    /// Its id.
    pub message_id: Uuid,
    /// Failed attempts before this one.
    pub attempt: i32,
    /// Size of its body.
    pub body_bytes: usize,
    /// Its headers, among them perhaps who sent it.
    pub headers: &'a BTreeMap<String, String>,
}

/// The handling of a message: a trace of its own, linked to the span that sent the message. Give the end with [`ended`].
#[must_use]
pub fn process(message: &Handled<'_>, subject: &Subject) -> Span {
    let Handled { worker, queue, exchange, kind, message_id, attempt, body_bytes, headers } = *message;
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = format!("{exchange}:{kind}:{queue}"),
        messaging.rabbitmq.destination.routing_key = kind,
        messaging.message.id = %message_id,
        messaging.message.conversation_id = field::Empty,
        messaging.message.body.size = body_bytes,
        worker,
        kind,
        attempt,
        outcome = field::Empty,
        harvest_id = field::Empty,
        flow = field::Empty,
        delivery_id = field::Empty,
    );
    for (name, value) in subject.fields() {
        span.record(name, value);
    }
    if let Some(harvest_id) = subject.harvest_id {
        span.record("messaging.message.conversation_id", field::display(harvest_id));
    }
    // Refused only where nobody listens.
    let _unheard = span.set_parent(subject.in_context(&Context::new()));
    trace_context::link(&span, headers);
    span
}

/// How the handling ended. `error` names a kind of failure, never what was said.
pub fn ended(span: &Span, outcome: &'static str, error: Option<&'static str>) {
    span.record("outcome", outcome);
    failed_with(span, error);
}

/// A message that is published.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// The exchange, with the fleet's prefix.
    pub exchange: &'a str,
    /// The routing key.
    pub kind: &'a str,
    /// Its id.
    pub message_id: Uuid,
    /// Size of its body.
    pub body_bytes: usize,
}

/// The publication of a message, in the trace of whoever wrote it, and written into the message's headers. Give the answer with [`failed_with`].
#[must_use]
pub fn publish(message: &Published<'_>, subject: &Subject, headers: &mut BTreeMap<String, String>) -> Span {
    let Published { exchange, kind, message_id, body_bytes } = *message;
    let span = tracing::info_span!(
        parent: None,
        "publish",
        otel.name = format!("publish {exchange}"),
        otel.kind = "producer",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = format!("{exchange}:{kind}"),
        messaging.rabbitmq.destination.routing_key = kind,
        messaging.message.id = %message_id,
        messaging.message.conversation_id = field::Empty,
        messaging.message.body.size = body_bytes,
    );
    if let Some(harvest_id) = subject.harvest_id {
        span.record("messaging.message.conversation_id", field::display(harvest_id));
    }
    let writer = trace_context::extract(headers);
    let writer = writer.map_or_else(Context::new, |writer| Context::new().with_remote_span_context(writer));
    let _unheard = span.set_parent(subject.in_context(&writer));
    trace_context::inject_span(&span, headers);
    span
}

/// Work of a stage in PostgreSQL, below the handling: one span for a step, not one for each statement.
#[must_use]
pub fn database(step: &'static str) -> Span {
    tracing::info_span!(
        "database",
        otel.name = step,
        otel.kind = "client",
        db.system.name = "postgresql",
        db.operation.name = step
    )
}

/// Marks a span as failed, if there is something to say.
pub fn failed_with(span: &Span, error: Option<&'static str>) {
    if let Some(error) = error {
        span.record("error.type", error);
        span.record("otel.status_code", "ERROR");
    }
}
