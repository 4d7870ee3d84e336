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
        messaging.message.body.size = integer(body_bytes),
        worker,
        kind,
        attempt = i64::from(attempt),
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

/// Numbers without a sign would be sent as texts.
fn integer(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
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
        messaging.message.body.size = integer(body_bytes),
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

/// A request that somebody makes of us. Its address is no part of it: it may hold a token.
#[must_use]
pub fn request(method: &str) -> Span {
    tracing::info_span!(
        parent: None,
        "request",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        http.request.method = method,
        http.route = field::Empty,
        http.response.status_code = field::Empty,
        flow = field::Empty,
    )
}

/// How a request was answered. `route` is a pattern of ours, `flow` one that the request may see.
pub fn answered(span: &Span, method: &str, route: Option<&'static str>, flow: Option<&str>, status: u16) {
    if let Some(route) = route {
        span.record("http.route", route);
        span.context().span().update_name(format!("{method} {route}"));
    }
    if let Some(flow) = flow {
        span.record("flow", flow);
    }
    span.record("http.response.status_code", i64::from(status));
    // What the client did wrong is no failure of the server.
    if status >= 500 {
        span.record("error.type", status.to_string());
        span.record("otel.status_code", "ERROR");
    }
}

/// Marks a span as failed, if there is something to say.
pub fn failed_with(span: &Span, error: Option<&'static str>) {
    if let Some(error) = error {
        span.record("error.type", error);
        span.record("otel.status_code", "ERROR");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{Status, TracerProvider as _};
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SdkTracerProvider, SpanData, SpanExporter},
    };
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::{sampling::WholeHarvests, subject::NamesSubject};

    /// Keeps the spans that would be sent.
    #[derive(Clone, Debug, Default)]
    struct Sent(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Sent {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    fn sent(share: f64, work: impl FnOnce()) -> Vec<SpanData> {
        let sent = Sent::default();
        let provider = SdkTracerProvider::builder()
            .with_sampler(WholeHarvests(share))
            .with_span_processor(NamesSubject)
            .with_simple_exporter(sent.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let spans = sent.0.lock().unwrap();
        spans.clone()
    }

    fn attribute(span: &SpanData, name: &str) -> Vec<String> {
        let named = span.attributes.iter().filter(|attribute| attribute.key.as_str() == name);
        named.map(|attribute| attribute.value.to_string()).collect()
    }

    fn handled(headers: &BTreeMap<String, String>) -> Handled<'_> {
        Handled {
            worker: "exporter",
            queue: "passereau.exporter",
            exchange: "passereau.work",
            kind: "flow.deliver",
            message_id: Uuid::from_u128(1),
            attempt: 2,
            body_bytes: 2,
            headers,
        }
    }

    fn deliver(subject: &Subject, outcome: (&'static str, Option<&'static str>)) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::new();
        let process = process(&handled(&headers), subject);
        process.in_scope(|| {
            drop(database("read part"));
            trace_context::inject(&mut headers);
        });
        ended(&process, outcome.0, outcome.1);
        drop(process);
        let published = Published {
            exchange: "passereau.events",
            kind: "delivery.failed",
            message_id: Uuid::from_u128(2),
            body_bytes: 2,
        };
        failed_with(&publish(&published, subject, &mut headers), Some("unroutable"));
        headers
    }

    #[test]
    fn every_span_of_a_delivery_names_it_once_and_tells_failures() {
        let subject =
            Subject { flow: Some("atlas".to_owned()), delivery_id: Some(Uuid::from_u128(3)), harvest_id: None };
        let mut last = BTreeMap::new();
        let spans = sent(1.0, || last = deliver(&subject, ("retried", Some("retried"))));
        let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["read part", "process passereau.exporter", "publish passereau.events"]);
        for span in &spans {
            assert_eq!(attribute(span, "flow"), ["atlas"], "{span:?}");
            assert_eq!(attribute(span, "delivery_id"), [Uuid::from_u128(3).to_string()], "{span:?}");
            assert!(attribute(span, "harvest_id").is_empty(), "{span:?}");
        }
        let [step, process, publish] = &spans[..] else { panic!("{names:?}") };
        assert_eq!(step.parent_span_id, process.span_context.span_id());
        assert_eq!((publish.parent_span_id, publish.parent_span_is_remote), (process.span_context.span_id(), true));
        assert!(
            last[trace_context::TRACEPARENT].contains(&publish.span_context.span_id().to_string()),
            "the message carries it"
        );
        for (span, error) in [(process, "retried"), (publish, "unroutable")] {
            assert_eq!(attribute(span, "error.type"), [error]);
            assert!(matches!(span.status, Status::Error { .. }), "{span:?}");
        }
    }

    #[test]
    fn a_handling_is_linked_to_the_publication_and_has_no_parent() {
        let subject = Subject { harvest_id: Some(Uuid::from_u128(3)), ..Subject::default() };
        let spans = sent(1.0, || {
            let headers = deliver(&subject, ("done", None));
            process(&handled(&headers), &subject).in_scope(|| {});
        });
        let (publish, next) = (&spans[2], &spans[3]);
        assert_eq!(next.links.links.len(), 1);
        assert_eq!(next.links.links[0].span_context.span_id(), publish.span_context.span_id());
        assert_ne!(next.span_context.trace_id(), publish.span_context.trace_id());
        assert_eq!(attribute(next, "messaging.message.conversation_id"), attribute(next, "harvest_id"));
        assert!(attribute(&spans[1], "error.type").is_empty() && spans[1].status == Status::Unset);
    }

    #[test]
    fn spans_that_are_not_sent_carry_their_ids_all_the_same() {
        let subject = Subject { harvest_id: Some(Uuid::from_u128(3)), ..Subject::default() };
        let mut headers = BTreeMap::new();
        assert!(sent(0.0, || headers = deliver(&subject, ("done", None))).is_empty());
        assert!(trace_context::extract(&headers).is_some_and(|context| !context.is_sampled()), "{headers:?}");
    }

    #[test]
    fn a_request_is_named_by_its_route_and_failed_if_the_server_has() {
        let spans = sent(1.0, || {
            for (flow, status) in [(Some("atlas"), 200), (None, 404), (None, 503)] {
                let span = request("GET");
                span.in_scope(|| {});
                answered(&span, "GET", Some("/flows/{flow}"), flow, status);
            }
        });
        assert!(spans.iter().all(|span| span.name == "GET /flows/{flow}"), "{spans:?}");
        let failed: Vec<bool> = spans.iter().map(|span| matches!(span.status, Status::Error { .. })).collect();
        assert_eq!(failed, [false, false, true]);
        assert_eq!(attribute(&spans[0], "flow"), ["atlas"]);
        let status = spans[0].attributes.iter().find(|attribute| attribute.key.as_str() == "http.response.status_code");
        assert_eq!(status.map(|status| &status.value), Some(&opentelemetry::Value::I64(200)));
    }
}
