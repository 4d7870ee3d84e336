//! What each log line in JSON ends with: the trace and span that it belongs to, and what these are about, at the top of the object, whatever the
//! span is called and however deep it lies. So one search by a harvest's or a trace's id finds its lines.

use std::fmt;

use opentelemetry::{Context, trace::TraceContextExt};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext,
        format::{Format, FormatEvent, FormatFields, Json, Writer},
    },
    registry::LookupSpan,
};

use crate::subject::Subject;

/// Writes a line as the JSON format does, then adds to it.
pub(crate) struct JsonLine(Format<Json>);

impl JsonLine {
    pub(crate) fn new() -> Self {
        Self(Format::default().json().flatten_event(true))
    }
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // The object's end, to be written again.
        let Some(object) = line.trim_end().strip_suffix('}') else { return writer.write_str(&line) };
        writer.write_str(object)?;
        for (name, value) in belongs_to() {
            // What the event says itself is not said twice.
            if event.metadata().fields().field(name).is_none() {
                write!(writer, ",\"{name}\":{}", serde_json::Value::from(value))?;
            }
        }
        writer.write_str("}\n")
    }
}

fn belongs_to() -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        if ids.is_valid() {
            fields.push(("trace_id", ids.trace_id().to_string()));
            fields.push(("span_id", ids.span_id().to_string()));
        }
    });
    fields.extend(Subject::current().fields());
    fields
}
