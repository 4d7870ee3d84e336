//! How log lines look.
//!
//! Each line in JSON ends with the trace and span that it belongs to, and what these are about, at the top of the object, whatever the
//! span is called and however deep it lies. So one search by a harvest's or a trace's id finds its lines. Lines for people leave out what a span
//! says for tools alone.

use std::fmt;

use opentelemetry::{Context, trace::TraceContextExt};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::{MakeVisitor, VisitFmt, VisitOutput},
    fmt::{
        FmtContext,
        format::{DefaultFields, DefaultVisitor, Format, FormatEvent, FormatFields, Json, Writer},
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

/// Fields as a person reads them.
#[derive(Debug)]
pub(crate) struct HumanFields(DefaultFields);

impl HumanFields {
    pub(crate) fn new() -> Self {
        Self(DefaultFields::new())
    }
}

impl<'writer> MakeVisitor<Writer<'writer>> for HumanFields {
    type Visitor = Leaving<DefaultVisitor<'writer>>;

    fn make_visitor(&self, writer: Writer<'writer>) -> Self::Visitor {
        Leaving(self.0.make_visitor(writer))
    }
}

/// Hands on all fields but those for tools.
#[derive(Debug)]
pub(crate) struct Leaving<V>(V);

fn is_for_tools(field: &Field) -> bool {
    let name = field.name();
    name != "messaging.message.id"
        && ["otel.", "messaging.", "db.", "server."].iter().any(|group| name.starts_with(group))
}

impl<V: Visit> Visit for Leaving<V> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if !is_for_tools(field) {
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        if !is_for_tools(field) {
            self.0.record_error(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !is_for_tools(field) {
            self.0.record_debug(field, value);
        }
    }
}

impl<V: VisitOutput<fmt::Result>> VisitOutput<fmt::Result> for Leaving<V> {
    fn finish(self) -> fmt::Result {
        self.0.finish()
    }
}

impl<V: VisitFmt> VisitFmt for Leaving<V> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        self.0.writer()
    }
}
