//! Where spans go: to an OpenTelemetry receiver, over OTLP, if one is named.
//!
//! Without a receiver spans have ids all the same, which stand in log lines and travel in messages, and nothing is kept of them. With one, they
//! are collected in memory, up to a limit, and sent by a thread of their own, so that no handling ever waits for the receiver.

use std::{path::PathBuf, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use passereau_secret::{ExposeSecret, SecretError, SecretString};
use url::Url;
use uuid::Uuid;

use crate::{receiver::Receiver, sampling::WholeHarvests, subject::NamesSubject};

/// The setting of the receiver's credentials, the standard one.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// How long one batch of spans is sent for, attempts included.
const EXPORT: Duration = Duration::from_secs(5);

/// Where spans are sent, and which.
#[derive(clap::Args, Clone, Debug)]
pub struct TraceConfig {
    /// Base address of an OpenTelemetry receiver that takes OTLP over HTTP, such as `http://collector:4318`. Without it no spans are sent.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", default_value = "", global = true)]
    pub otlp_endpoint: String,
    /// Headers that the receiver asks for, as `name=value` items separated by commas, values percent-encoded.
    #[arg(long, env = HEADERS, hide_env_values = true, value_name = "HEADERS", global = true)]
    pub otlp_headers: Option<SecretString>,
    /// File that holds the headers, instead of the headers themselves.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS_FILE", value_name = "FILE", global = true)]
    pub otlp_headers_file: Option<PathBuf>,
    /// Share of the harvests and deliveries whose spans are sent, from 0 to 1: all spans of each, or none.
    #[arg(long, env = "PASSEREAU_TRACE_SHARE", default_value_t = 1.0, value_parser = share, value_name = "SHARE", global = true)]
    pub trace_share: f64,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), otlp_headers: None, otlp_headers_file: None, trace_share: 1.0 }
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a number from 0 (none) to 1 (all) is needed".to_owned()),
    }
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The address is none.
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT {problem}; give the receiver's base address, such as `http://collector:4318`, or nothing"
    )]
    Endpoint {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The headers cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The headers are none.
    #[error("OTEL_EXPORTER_OTLP_HEADERS must be `name=value` items separated by commas, values percent-encoded")]
    Headers,
    /// The exporter.
    #[error(
        "sending traces cannot be prepared: {0}; this is a defect, unset OTEL_EXPORTER_OTLP_ENDPOINT to start without"
    )]
    Exporter(Box<dyn std::error::Error + Send + Sync>),
}

/// What makes spans in this process.
///
/// # Errors
/// A setting is wrong; the error names it.
pub(crate) fn provider(config: &TraceConfig, process: &'static str) -> Result<SdkTracerProvider, TraceError> {
    let Some(url) = traces_url(&config.otlp_endpoint)? else {
        // Ids without records.
        return Ok(SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build());
    };
    let headers = passereau_secret::read(HEADERS, config.otlp_headers.as_ref(), config.otlp_headers_file.as_deref())?;
    let headers = headers.map(|headers| parse_headers(headers.expose_secret())).transpose()?.unwrap_or_default();
    let receiver = Receiver::new(url.to_string()).map_err(TraceError::Exporter)?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(receiver)
        .with_endpoint(url.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(EXPORT)
        .with_headers(headers)
        .build()
        .map_err(|error| TraceError::Exporter(error.into()))?;
    Ok(SdkTracerProvider::builder()
        .with_resource(resource(process))
        .with_sampler(WholeHarvests(config.trace_share))
        .with_span_processor(NamesSubject)
        .with_span_processor(BatchSpanProcessor::builder(exporter).build())
        .build())
}

/// Who sends. `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(process: &'static str) -> Resource {
    Resource::builder()
        .with_service_name(process)
        .with_attributes([
            KeyValue::new("service.namespace", "passereau"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        ])
        .build()
}

/// Where spans are posted to; `None`: nowhere.
fn traces_url(endpoint: &str) -> Result<Option<Url>, TraceError> {
    if endpoint.is_empty() {
        return Ok(None);
    }
    let refuse = |problem| Err(TraceError::Endpoint { problem });
    let Ok(mut url) = Url::parse(endpoint) else { return refuse("is no address") };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("is no web address");
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return refuse(
            "must hold no user, password or query: OTEL_EXPORTER_OTLP_HEADERS or its file takes credentials",
        );
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(Some(url))
}

fn parse_headers(text: &str) -> Result<std::collections::HashMap<String, String>, TraceError> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once('=').ok_or(TraceError::Headers)?;
            let value =
                percent_encoding::percent_decode_str(value.trim()).decode_utf8().map_err(|_| TraceError::Headers)?;
            // What cannot be sent would be left out without a word, and the receiver's refusal would be hard to explain.
            let name = name.trim();
            let is_name =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            let is_value = value.bytes().all(|byte| byte == b'\t' || (32..127).contains(&byte));
            if is_name && is_value { Ok((name.to_owned(), value.into_owned())) } else { Err(TraceError::Headers) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn spans_go_below_the_address_that_is_given_and_nowhere_without_one() {
        let url = |text| traces_url(text).unwrap().map(String::from);
        assert_eq!(url(""), None);
        assert_eq!(url("http://collector:4318").as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(url("https://example.org/otlp/").as_deref(), Some("https://example.org/otlp/v1/traces"));
    }

    #[test]
    fn an_address_with_a_secret_in_it_is_refused_without_showing_it() {
        for text in
            ["http://user:planted@collector:4318", "http://collector/?token=planted", "collector:4318", "planted"]
        {
            let error = traces_url(text).unwrap_err().to_string();
            assert!(error.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !error.contains("planted"), "{error}");
        }
    }

    #[test]
    fn headers_are_read_as_the_standard_says_or_refused_without_showing_them() {
        let headers = parse_headers("authorization=Basic%20YTpi+/=, x-tenant = one,").unwrap();
        assert_eq!((&*headers["authorization"], &*headers["x-tenant"]), ("Basic YTpi+/=", "one"));
        for text in ["planted", "a b=planted", "a=planted%0Aplanted", "=planted", "a=planted%FF"] {
            let error = parse_headers(text).unwrap_err().to_string();
            assert!(!error.contains("planted"), "{error}");
        }
    }

    #[test]
    fn a_share_is_a_number_from_none_to_all() {
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["-0.1", "1.5", "NaN", "some"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
