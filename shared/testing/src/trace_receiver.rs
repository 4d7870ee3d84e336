//! An OpenTelemetry receiver for tests: takes OTLP over HTTP in protobuf and keeps what it was sent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::IntoResponse,
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode as SpanStatus},
};
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// A span as it was sent.
#[derive(Clone, Debug)]
pub struct SentSpan {
    /// What the process says about itself.
    pub resource: BTreeMap<String, String>,
    /// Its name.
    pub name: String,
    /// Hexadecimal digits.
    pub trace_id: String,
    /// Hexadecimal digits.
    pub span_id: String,
    /// Hexadecimal digits; empty for the first span of a trace.
    pub parent_id: String,
    /// The spans it is linked to.
    pub links: Vec<String>,
    /// Its attributes, as texts.
    pub attributes: BTreeMap<String, String>,
    /// Whether it is marked as failed.
    pub failed: bool,
}

impl SentSpan {
    /// An attribute, or nothing.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// The name of the process that sent it.
    #[must_use]
    pub fn service(&self) -> &str {
        self.resource.get("service.name").map_or("", String::as_str)
    }
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<SentSpan>,
    texts: Vec<String>,
    authorizations: Vec<String>,
}

/// A receiver that runs until it is dropped.
#[derive(Debug)]
pub struct TraceReceiver {
    /// Its base address.
    pub url: String,
    received: Arc<Mutex<Received>>,
    _serving: AbortOnDropHandle<()>,
}

impl TraceReceiver {
    /// Starts one.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start() -> Self {
        let received = Arc::<Mutex<Received>>::default();
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
        Self::serve(received, |listener| async move {
            // Ends with the test.
            let _ended = axum::serve(listener, app).await;
        })
        .await
    }

    /// Starts one that accepts connections and never answers.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn hanging() -> Self {
        Self::serve(Arc::default(), |listener| async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
            }
        })
        .await
    }

    async fn serve<F>(received: Arc<Mutex<Received>>, serve: impl FnOnce(TcpListener) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        Self { url, received, _serving: AbortOnDropHandle::new(tokio::spawn(serve(listener))) }
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<SentSpan> {
        self.received().spans.clone()
    }

    /// Everything that was sent so far, resources and events of spans included, as text: to be searched.
    #[must_use]
    pub fn text(&self) -> String {
        self.received().texts.join("\n")
    }

    /// The credentials of each request, empty without.
    #[must_use]
    pub fn authorizations(&self) -> Vec<String> {
        self.received().authorizations.clone()
    }
}

async fn take(State(received): State<Arc<Mutex<Received>>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return (StatusCode::BAD_REQUEST, Vec::new());
    };
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    received.authorizations.push(authorization.to_owned());
    // Each text in full, where the form for debugging shows it as it is but for quotes and backslashes.
    received.texts.push(format!("{request:?}"));
    for of_process in request.resource_spans {
        let resource = of_process.resource.map(|resource| texts(&resource.attributes)).unwrap_or_default();
        let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
        received.spans.extend(spans.map(|span| sent(&resource, &span)));
    }
    (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
}

fn sent(resource: &BTreeMap<String, String>, span: &Span) -> SentSpan {
    SentSpan {
        resource: resource.clone(),
        name: span.name.clone(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        attributes: texts(&span.attributes),
        failed: span.status.as_ref().is_some_and(|status| status.code == SpanStatus::Error as i32),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// # Panics
/// When an attribute is there twice: a search would find one of them.
fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for attribute in attributes {
        let twice = texts.insert(attribute.key.clone(), text(attribute.value.as_ref()));
        assert!(twice.is_none(), "{} is there twice: {attributes:?}", attribute.key);
    }
    texts
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}
