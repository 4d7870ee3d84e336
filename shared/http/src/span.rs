//! The span of one call, by OpenTelemetry's conventions (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>).
//!
//! It shows what an error may show: the address without user, password and query, never a header or a body. No trace is passed on: those who are called
//! are strangers.

use crate::call::Call;
use crate::error::{HttpError, SafeUrl};
use tracing::{Span, field};

pub(crate) fn of(call: &Call) -> Span {
    let host = call.url.host_str().unwrap_or_default();
    tracing::info_span!(
        "http",
        otel.name = format!("{} {host}", call.method),
        otel.kind = "client",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        http.request.method = call.method.as_str(),
        http.response.status_code = field::Empty,
        http.response.body.size = field::Empty,
        server.address = host,
        server.port = call.url.port_or_known_default().map(i64::from),
        url.full = %SafeUrl::from(&call.url),
    )
}

pub(crate) fn answered(span: &Span, status: u16) {
    // Numbers without a sign would be sent as texts.
    span.record("http.response.status_code", i64::from(status));
    if status >= 400 {
        span.record("error.type", status.to_string());
        span.record("otel.status_code", "ERROR");
    }
}

pub(crate) fn received(span: &Span, bytes: u64) {
    span.record("http.response.body.size", i64::try_from(bytes).unwrap_or(i64::MAX));
}

pub(crate) fn failed(span: &Span, error: &HttpError) {
    span.record("error.type", error.kind());
    span.record("otel.status_code", "ERROR");
}
