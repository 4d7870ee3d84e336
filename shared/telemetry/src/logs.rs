//! Logging and tracing of one process.
//!
//! Two layers listen to `tracing`: one writes log lines to standard error, filtered by `PASSEREAU_LOG`; the other gives every
//! span of the fleet a W3C trace and span id, **whatever the filter says**, so that a quiet log does not break the chain of traces.
//! No spans are exported yet: ids travel in message headers only, until an OTLP exporter joins the provider.
//!
//! Messages are lower-case and without full stop; details are fields. Fails on an unreadable filter and when called twice.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Spans and events of targets that begin so are the fleet's own.
const OWN_TARGETS: &str = "passereau";

/// lapin logs at error level what the broker crate reports in words of its own.
const DEFAULT_FILTER: &str = "info,lapin=off";

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
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: DEFAULT_FILTER.to_owned(), format: LogFormat::Auto }
    }
}

/// Form of the log lines.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `human` on a terminal, else `json`.
    Auto,
    /// One JSON object a line, with the fields of the enclosing spans.
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
}

/// Keeps the tracer alive; flushes it when dropped. Hold it until the end of `main`.
#[derive(Debug)]
#[must_use = "tracing ends when the guard is dropped"]
pub struct LogGuard {
    provider: SdkTracerProvider,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // Nothing useful can be done with an error here: the process ends.
        if let Err(error) = self.provider.shutdown() {
            eprintln!("the tracer did not shut down cleanly: {error}");
        }
    }
}

/// Starts logging and tracing for this process. `process` names it in traces, e.g. `passereau-loader`.
///
/// # Errors
/// The filter cannot be read, or logging had been started already.
pub fn init(config: &LogConfig, process: &'static str) -> Result<LogGuard, LogError> {
    let provider = tracer_provider(process);
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let json = config.format.is_json(std::io::stderr().is_terminal());
    subscriber(config, json, &provider, std::io::stderr)?.try_init().map_err(LogError::Twice)?;
    Ok(LogGuard { provider })
}

fn tracer_provider(process: &'static str) -> SdkTracerProvider {
    SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name(process).build()).build()
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
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json {
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer).with_filter(filter).boxed()
    } else {
        tracing_subscriber::fmt::layer().with_writer(writer).with_filter(filter).boxed()
    };
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(OWN_TARGETS))
        .with_filter(Targets::new().with_target(OWN_TARGETS, LevelFilter::INFO));
    Ok(tracing_subscriber::registry().with(lines).with(spans))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

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
        let config = LogConfig { filter: filter.to_owned(), format: LogFormat::Json };
        let provider = tracer_provider("passereau-test");
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

    #[test]
    fn auto_means_json_unless_a_person_reads() {
        assert!(LogFormat::Auto.is_json(false));
        assert!(!LogFormat::Auto.is_json(true));
        assert!(LogFormat::Json.is_json(true));
        assert!(!LogFormat::Human.is_json(false));
    }

    #[test]
    fn an_unreadable_filter_names_the_setting() {
        let config = LogConfig { filter: "info,passereau=loud".to_owned(), format: LogFormat::Auto };
        let error = init(&config, "passereau-test").unwrap_err();
        assert!(error.to_string().contains("PASSEREAU_LOG"), "{error}");
    }
}
