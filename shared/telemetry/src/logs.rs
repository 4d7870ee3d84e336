//! Logging and tracing of one process.
//!
//! Two layers listen to `tracing`: one writes log lines to standard error, filtered by `PASSEREAU_LOG`; the other gives every
//! span of the fleet a W3C trace and span id, **whatever the filter says**, so that a quiet log does not break the chain of traces.
//! They are sent to a receiver if one is named ([`TraceConfig`]).
//!
//! A line in JSON carries the ids of its trace, span and harvest at the top of its object. Spans of the fleet are known to the lines whatever the filter
//! says, so that an error names its harvest in a quiet log, too.
//!
//! Messages are lower-case and without full stop; details are fields. Fails on an unreadable filter and when called twice.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::line::{HumanFields, JsonLine};
use crate::traces::{self, TraceConfig, TraceError};

/// Spans and events of targets that begin so are the fleet's own.
const OWN_TARGETS: &str = "passereau";

/// lapin logs at error level what the broker crate reports in words of its own.
const DEFAULT_FILTER: &str = "info,lapin=off";

/// How long the end of the process waits for the last spans to leave. A receiver that is away must not hold it up.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// What is logged, and how.
#[derive(clap::Args, Clone, Debug)]
pub struct LogConfig {
    /// Which log lines are written: a level, or `target=level` items separated by commas.
    #[arg(
        id = "log_filter",
        long = "log",
        env = "PASSEREAU_LOG",
        default_value = DEFAULT_FILTER,
        value_name = "FILTER",
        global = true
    )]
    pub filter: String,
    /// Form of the log lines.
    #[arg(id = "log_format", long = "log-format", env = "PASSEREAU_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto, value_name = "FORMAT", global = true)]
    pub format: LogFormat,
    /// Where spans are sent.
    #[command(flatten)]
    pub traces: TraceConfig,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: DEFAULT_FILTER.to_owned(), format: LogFormat::Auto, traces: TraceConfig::default() }
    }
}

/// Form of the log lines.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `human` on a terminal, else `json`.
    Auto,
    /// One JSON object a line, with the fields of the enclosing spans and the ids of trace, span and harvest.
    Json,
    /// Coloured text for people.
    Human,
}

impl LogFormat {
    fn is_json(self, terminal: bool) -> bool {
        match self {
            Self::Auto => !terminal,
            Self::Json => true,
            Self::Human => false,
        }
    }
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "the log filter `{filter}` cannot be read: {source}; write a level such as `info`, or items such as `info,passereau_broker=debug`, in PASSEREAU_LOG"
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// `init` was called before in this process.
    #[error("logging was started twice in one process: call it once, at the beginning of `main`")]
    Twice(#[source] TryInitError),
    /// Spans cannot be sent.
    #[error(transparent)]
    Traces(#[from] TraceError),
}

/// Keeps the tracer alive; sends what spans are left when dropped, for two seconds at most. Hold it until the end of `main`.
#[derive(Debug)]
#[must_use = "tracing ends when the guard is dropped"]
pub struct LogGuard {
    provider: SdkTracerProvider,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_SPANS) {
            tracing::warn!(%error, "the last spans are given up: their receiver does not take them");
        }
    }
}

/// Starts logging and tracing for this process. `process` names it in traces, e.g. `passereau-loader`.
///
/// # Errors
/// The filter cannot be read, a setting of traces is wrong, or logging had been started already.
pub fn init(config: &LogConfig, process: &'static str) -> Result<LogGuard, LogError> {
    let provider = traces::provider(&config.traces, process)?;
    let json = config.format.is_json(std::io::stderr().is_terminal());
    subscriber(config, json, &provider, std::io::stderr)?.try_init().map_err(LogError::Twice)?;
    Ok(LogGuard { provider })
}

fn subscriber<W>(
    config: &LogConfig,
    json: bool,
    provider: &SdkTracerProvider,
    writer: W,
) -> Result<impl SubscriberExt + Send + Sync + use<W>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|source| LogError::Filter { filter: config.filter.clone(), source })?;
    let filter = KnowsSpans(filter);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json {
        let json = tracing_subscriber::fmt::layer().json().event_format(JsonLine::new());
        json.with_writer(writer).with_filter(filter).boxed()
    } else {
        tracing_subscriber::fmt::layer().fmt_fields(HumanFields::new()).with_writer(writer).with_filter(filter).boxed()
    };
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(OWN_TARGETS))
        // Which line of which file, on which thread, and how long nobody was at it: half of a span, and nobody's question.
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(OWN_TARGETS, LevelFilter::INFO));
    Ok(tracing_subscriber::registry().with(lines).with(spans))
}

/// A filter of lines to which the spans of the fleet are always known: a line names the spans around it.
struct KnowsSpans(EnvFilter);

fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(OWN_TARGETS) && *metadata.level() <= Level::INFO
}

impl<S> Filter<S> for KnowsSpans
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        is_own_span(metadata) || Filter::enabled(&self.0, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Asked also where the answer is known: it is told which spans there are.
        let interest = <EnvFilter as Filter<S>>::callsite_enabled(&self.0, metadata);
        if is_own_span(metadata) { Interest::always() } else { interest }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        <EnvFilter as Filter<S>>::max_level_hint(&self.0).map(|hint| hint.max(LevelFilter::INFO))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        Filter::on_new_span(&self.0, attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Filter::on_record(&self.0, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Filter::on_enter(&self.0, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Filter::on_exit(&self.0, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Filter::on_close(&self.0, id, context);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use uuid::Uuid;

    use super::*;
    use crate::{spans, subject::Subject};

    /// Collects log lines.
    #[derive(Clone, Default)]
    pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Runs `work` under a subscriber of its own and returns what it logged.
    pub(crate) fn logged(filter: &str, json: bool, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = LogConfig { filter: filter.to_owned(), ..LogConfig::default() };
        let provider = traces::provider(&config.traces, "passereau-test").unwrap();
        let subscriber = subscriber(&config, json, &provider, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        lines.text()
    }

    #[test]
    fn json_lines_carry_the_fields_of_their_spans() {
        let text = logged("info", true, || {
            let _span = tracing::info_span!("process", harvest_id = "h1").entered();
            tracing::info!(records = 3, "slice written");
            tracing::debug!("too quiet to be seen");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "slice written");
        assert_eq!(line["records"], 3);
        assert_eq!(line["span"]["harvest_id"], "h1");
    }

    fn handled(headers: &BTreeMap<String, String>) -> spans::Handled<'_> {
        spans::Handled {
            worker: "loader",
            queue: "passereau.loader",
            exchange: "passereau.work",
            kind: "archive.load",
            message_id: Uuid::nil(),
            attempt: 0,
            body_bytes: 2,
            headers,
        }
    }

    #[test]
    fn a_json_line_names_its_trace_span_and_subject_at_the_top_even_when_the_log_is_quiet() {
        let subject =
            Subject { harvest_id: Some(Uuid::from_u128(7)), flow: Some("\"atlas\"".to_owned()), delivery_id: None };
        let text = logged("error", true, || {
            let headers = BTreeMap::new();
            let process = spans::process(&handled(&headers), &subject).entered();
            let trace_id = crate::trace_context::current_trace_id().unwrap();
            {
                let _step = spans::database("land archive").entered();
                tracing::error!(trace_id, "deep inside");
            }
            tracing::error!(flow = "its own", "at the top");
            drop(process);
            tracing::error!("outside");
            tracing::info!("too quiet to be seen");
        });
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [deep, top, outside] = &lines[..] else { panic!("{text}") };
        assert_eq!(deep["harvest_id"], Uuid::from_u128(7).to_string());
        assert_eq!(deep["flow"], "\"atlas\"");
        assert_eq!(deep["spans"][0]["harvest_id"], deep["harvest_id"]);
        assert_eq!((&top["trace_id"], &top["harvest_id"]), (&deep["trace_id"], &deep["harvest_id"]));
        assert_ne!(top["span_id"], deep["span_id"]);
        assert_eq!(top["span_id"].as_str().unwrap().len(), 16);
        assert_eq!((&top["flow"], text.matches("its own").count()), (&"its own".into(), 1));
        assert!(outside.get("trace_id").is_none() && outside.get("harvest_id").is_none());
    }

    #[test]
    fn a_line_for_people_says_what_a_span_is_about_and_not_what_it_says_for_tools() {
        let subject = Subject { harvest_id: Some(Uuid::from_u128(7)), ..Subject::default() };
        let text = logged("info", false, || {
            let _process = spans::process(&handled(&BTreeMap::new()), &subject).entered();
            let _step = spans::database("land archive").entered();
            tracing::info!(said = "\u{1b}[31mred", "archive landed");
        });
        for words in ["archive landed", "archive.load", "00000007", "attempt", "messaging.message.id"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains("otel.") && !text.contains("messaging.system"), "{text}");
        assert!(!text.contains("\u{1b}[31m"), "a stranger's text colours no terminal: {text:?}");
    }

    #[test]
    fn auto_means_json_unless_a_person_reads() {
        assert!(LogFormat::Auto.is_json(false));
        assert!(!LogFormat::Auto.is_json(true));
        assert!(LogFormat::Json.is_json(true));
        assert!(!LogFormat::Human.is_json(false));
    }

    #[test]
    fn an_unreadable_filter_names_the_setting() {
        let config = LogConfig { filter: "info,passereau=loud".to_owned(), ..LogConfig::default() };
        let error = init(&config, "passereau-test").unwrap_err();
        assert!(error.to_string().contains("PASSEREAU_LOG"), "{error}");
    }
}
