//! What a handling is about: its harvest, or its flow and delivery.
//!
//! A subject travels in the OpenTelemetry context of a span to all spans below it, so that every span, and every line that is logged inside one,
//! names it without anybody passing it on: one search finds all of a harvest, in traces and in logs, by the same name.

use opentelemetry::{Context, KeyValue, trace::Span as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use uuid::Uuid;

/// Names of flows that others send are texts of any length.
const LONGEST_FLOW: usize = 128;

/// What a span is about. Empty: nothing that is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The harvest.
    pub harvest_id: Option<Uuid>,
    /// The flow's name.
    pub flow: Option<String>,
    /// The delivery of the flow.
    pub delivery_id: Option<Uuid>,
}

impl Subject {
    /// The subject of what runs here and now.
    #[must_use]
    pub fn current() -> Self {
        Context::map_current(|context| context.get::<Self>().cloned()).unwrap_or_default()
    }

    /// The same context, about this.
    #[must_use]
    pub fn in_context(&self, context: &Context) -> Context {
        context.with_value(self.clone())
    }

    /// Names and values, those that are known. The names are the same in spans and in log lines.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        let flow = self.flow.as_ref().map(|flow| flow.chars().take(LONGEST_FLOW).collect());
        [
            ("harvest_id", self.harvest_id.map(|id| id.to_string())),
            ("flow", flow),
            ("delivery_id", self.delivery_id.map(|id| id.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// A number that is the same in every process for one harvest or delivery; `None` for what belongs to neither.
    pub(crate) fn number(&self) -> Option<u64> {
        let id = self.harvest_id.or(self.delivery_id)?;
        // Not the id's own bits: those of version 7 begin with the time.
        let mixed = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).as_u128();
        u64::try_from(mixed >> 64).ok()
    }
}

/// Writes the subject into each span that starts.
#[derive(Debug)]
pub(crate) struct NamesSubject;

impl SpanProcessor for NamesSubject {
    fn on_start(&self, span: &mut Span, parent: &Context) {
        let Some(subject) = parent.get::<Subject>() else { return };
        let known = span.exported_data().map(|data| data.attributes).unwrap_or_default();
        for (name, value) in subject.fields() {
            if !known.iter().any(|attribute| attribute.key.as_str() == name) {
                span.set_attribute(KeyValue::new(name, value));
            }
        }
    }

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}
