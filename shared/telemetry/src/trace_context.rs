//! W3C trace context (<https://www.w3.org/TR/trace-context/>) in message headers: `traceparent` and `tracestate`.
//!
//! One trace per handling: the steps of a harvest can lie days apart, so a handling does not become the child of the one
//! that sent its message, it is *linked* to it. Headers of foreign systems are taken as they come; what is malformed is ignored.

use std::collections::BTreeMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Names trace, parent span and flags.
pub const TRACEPARENT: &str = "traceparent";
/// What vendors add, passed on untouched.
pub const TRACESTATE: &str = "tracestate";

/// Writes the current span's context into `headers`. Outside any span, nothing is written.
pub fn inject(headers: &mut BTreeMap<String, String>) {
    inject_span(&Span::current(), headers);
}

/// Writes the context of `span` into `headers`, replacing the one that is there.
pub fn inject_span(span: &Span, headers: &mut BTreeMap<String, String>) {
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return;
    }
    let mut carrier = std::collections::HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    headers.remove(TRACESTATE);
    headers.extend(carrier.into_iter().filter(|(_, value)| !value.is_empty()));
}

/// The context that a message brought, if it is there and valid.
#[must_use]
pub fn extract(headers: &BTreeMap<String, String>) -> Option<SpanContext> {
    let carrier: std::collections::HashMap<String, String> = [TRACEPARENT, TRACESTATE]
        .into_iter()
        .filter_map(|name| headers.get(name).map(|value| (name.to_owned(), value.clone())))
        .collect();
    let context = TraceContextPropagator::new().extract(&carrier).span().span_context().clone();
    context.is_valid().then_some(context)
}

/// Links `span`, the handling of a message, to the span that sent the message.
pub fn link(span: &Span, headers: &BTreeMap<String, String>) {
    if let Some(context) = extract(headers) {
        span.add_link(context);
    }
}

/// The trace id of the current span as 32 hexadecimal digits, for people who look for the other end of a log line.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span_context = span.span_context();
    span_context.is_valid().then(|| span_context.trace_id().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::logs::tests::logged;

    #[test]
    fn a_context_survives_the_headers_even_when_the_log_is_quiet() {
        logged("error", true, || {
            let span = tracing::info_span!("process");
            let mut headers = BTreeMap::from([(TRACESTATE.to_owned(), "old=1".to_owned())]);
            let _entered = span.enter();
            inject(&mut headers);
            let parts: Vec<&str> = headers[TRACEPARENT].split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
            assert!(!headers.contains_key(TRACESTATE), "an empty or foreign state is not passed on");
            let context = extract(&headers).unwrap();
            assert!(context.is_remote());
            assert_eq!(Some(context.trace_id().to_string()), current_trace_id());
        });
    }

    #[test]
    fn a_handling_is_linked_and_has_a_trace_of_its_own() {
        logged("info", true, || {
            let headers = BTreeMap::from([(
                TRACEPARENT.to_owned(),
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            )]);
            let span = tracing::info_span!("process");
            link(&span, &headers);
            let _entered = span.enter();
            assert_ne!(current_trace_id().unwrap(), "0af7651916cd43dd8448eb211c80319c");
        });
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        for value in ["", "garbage", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            assert!(extract(&BTreeMap::from([(TRACEPARENT.to_owned(), value.to_owned())])).is_none(), "{value}");
        }
    }

    #[test]
    fn without_a_span_nothing_is_written() {
        let mut headers = BTreeMap::new();
        inject(&mut headers);
        assert!(headers.is_empty());
    }
}
