//! From a request to its answer.
//!
//! The order decides what a stranger learns: method, token, budget, and only then whether there is what was asked for. Before a token has opened
//! the flow nothing of the flow is read, so that one that there is not answers as one that there is, in words and in time.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, header, request::Parts},
};
use chrono::{DateTime, Utc};
use passereau_flow::{
    FlowError,
    token::{self, Token},
};
use passereau_secret::ExposeSecret;
use passereau_store::{ObjectKey, Store};
use passereau_telemetry::spans;
use sqlx::PgPool;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    catalogue::{self, Delivery, FileEntry, Wanted},
    conditions::Validators,
    credentials, documents,
    limit::Limiter,
    media,
    negotiate::{self, Coding},
    network::{self, Network},
    observed::{Observed, Seen},
    openapi, page,
    places::Places,
    refusal::Refusal,
    representation::{Representation, Source, etag, whole_seconds},
    routes::{self, Captured, Operation, Route},
};

/// When a client that met an absent database is asked to come back.
const ABSENT: Duration = Duration::from_secs(20);

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub pool: PgPool,
    pub store: Store,
    pub observed: Observed,
    pub downloads: Places,
    pub requests: Limiter<Uuid>,
    pub failures: Limiter<u128>,
    /// Held while the token of an address that has failed too often is looked up: such addresses wait for each other.
    pub suspects: tokio::sync::Mutex<()>,
    pub trusted_proxies: Vec<Network>,
    pub openapi: Vec<u8>,
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// Answers a request.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let started = Instant::now();
    // The routes take no body; what a client sends all the same is not read.
    let (request, _body) = request.into_parts();
    let mut seen = Seen::default();
    // A method is one of a closed set, or a stranger's text.
    let method = if matches!(request.method, Method::GET | Method::HEAD) { request.method.as_str() } else { "_OTHER" };
    let span = spans::request(method);
    let mut response = match respond(&shared, &request, &mut seen).instrument(span.clone()).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    protect(response.headers_mut());
    if request.method == Method::HEAD {
        // A refusal's length is told, its text is not (RFC 9110, 9.3.2).
        let length = axum::body::HttpBody::size_hint(response.body()).exact().filter(|length| *length > 0);
        if let Some(length) = length {
            response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
        }
        *response.body_mut() = Body::empty();
    }
    spans::answered(&span, method, seen.route, seen.flow.as_deref(), response.status().as_u16());
    span.in_scope(|| shared.observed.answered(&seen, response.status(), started.elapsed()));
    response
}

/// Headers of every answer. A page loads nothing, runs nothing, is shown in no frame and tells nobody its address, which may hold the token
/// (<https://www.w3.org/TR/CSP3/>, <https://www.w3.org/TR/referrer-policy/>).
fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

async fn respond(shared: &Shared, request: &Parts, seen: &mut Seen) -> Result<Response<Body>, Refusal> {
    let (method, headers, uri) = (&request.method, &request.headers, &request.uri);
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Refusal::Method);
    }
    let found = routes::find(uri.path());
    seen.route = found.map(|(route, _)| route.path);
    if found.is_some_and(|(route, _)| !route.needs_token) {
        let mut document = Representation::document(shared.openapi.clone(), JSON, None);
        document.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        return document.answer(shared, method, headers).await;
    }
    let flow = routes::flow_of(uri.path())
        .ok_or(Refusal::NotFound("There is nothing here; /openapi.json lists what there is."))?;
    let token = admit(shared, request, flow).await?;
    seen.flow = Some(token.flow.clone());
    seen.token = Some(token.id);
    shared.requests.take(token.id, Instant::now()).map_err(|after| Refusal::TooMany { after })?;
    let (route, captured) =
        found.ok_or(Refusal::NotFound("The flow has nothing at this address; /openapi.json lists what there is."))?;
    let wanted = Asked { shared, headers, query: uri.query().unwrap_or_default(), token: &token, route, captured };
    wanted.representation().await?.answer(shared, method, headers).await
}

/// The token of a request, if it opens the flow.
async fn admit(shared: &Shared, request: &Parts, flow: &str) -> Result<Token, Refusal> {
    let presented = credentials::presented(&request.headers, request.uri.query().unwrap_or_default())
        .map_err(|credentials::Several| Refusal::SeveralTokens)?;
    let Some(presented) = presented else { return Err(Refusal::Unauthorised { is_presented: false }) };
    let counted_as = request
        .extensions
        .get::<Peer>()
        .map(|Peer(peer)| network::counted_as(network::client(peer.ip(), &request.headers, &shared.trusted_proxies)));
    // Whoever tries tokens must not have the database at work with many of them at a time.
    let _turn = match counted_as {
        Some(client) if shared.failures.is_empty(&client, Instant::now()) => Some(shared.suspects.lock().await),
        _ => None,
    };
    let found = token::verify(&shared.pool, flow, presented.expose_secret(), Utc::now())
        .await
        .map_err(|error| failed(&error))?;
    if let Some(token) = found {
        return Ok(token);
    }
    // Whoever has a good token is not held up by a neighbour who has none.
    if let Some(client) = counted_as {
        shared.failures.take(client, Instant::now()).map_err(|after| Refusal::TooMany { after })?;
    }
    Err(Refusal::Unauthorised { is_presented: true })
}

/// What the database said, for the log; and for the client whether coming back helps.
fn failed(error: &FlowError) -> Refusal {
    match error {
        FlowError::Database { source, .. } => refused(source),
        error => {
            tracing::error!(%error, "answering a request failed");
            Refusal::Broken
        }
    }
}

fn refused(error: &sqlx::Error) -> Refusal {
    if catalogue::is_absent(error) {
        tracing::warn!(%error, "a request was not answered: postgresql is away");
        return Refusal::Unavailable { after: ABSENT };
    }
    tracing::error!(%error, "answering a request failed: reading a flow or its deliveries");
    Refusal::Broken
}

/// A request that was let in.
struct Asked<'r> {
    shared: &'r Shared,
    headers: &'r HeaderMap,
    query: &'r str,
    token: &'r Token,
    route: &'static Route,
    captured: Captured<'r>,
}

impl Asked<'_> {
    async fn representation(&self) -> Result<Representation, Refusal> {
        match self.route.operation {
            Operation::Page => self.page().await,
            Operation::Versions => self.versions().await,
            Operation::Latest => {
                let delivery = self.delivery(Wanted::Latest).await?;
                self.file(
                    &delivery,
                    self.captured.extension,
                    &format!("{}.{}", self.token.flow, self.captured.extension),
                )
            }
            Operation::File => {
                let begins = format!("{}.", self.token.flow);
                let extension = self.captured.file.strip_prefix(&begins).ok_or(NO_FILE)?;
                let delivery = self.delivery(Wanted::Version(self.captured.version)).await?;
                self.file(&delivery, extension, &format!("{}-{}.{extension}", self.token.flow, delivery.version))
            }
            Operation::LatestManifest => self.manifest(Wanted::Latest).await,
            Operation::Manifest => self.manifest(Wanted::Version(self.captured.version)).await,
            // Answered before any token was looked at.
            Operation::OpenApi => Err(Refusal::Broken),
        }
    }

    async fn delivery(&self, wanted: Wanted<'_>) -> Result<Delivery, Refusal> {
        let found =
            catalogue::delivery(&self.shared.pool, &self.token.flow, wanted).await.map_err(|error| refused(&error))?;
        match found {
            Some(delivery) if delivery.is_erased => Err(Refusal::Gone),
            Some(delivery) => Ok(delivery),
            None if wanted == Wanted::Latest => Err(Refusal::NotFound(
                "There is nothing to fetch: nothing has been delivered yet, or the authorisation of what was has ended; the page /flows/{flow} tells which.",
            )),
            None => Err(Refusal::NotFound(
                "The flow has no such version; /flows/{flow}/versions lists those that there are.",
            )),
        }
    }

    /// A file of a delivery: as it is, or the compressed one beside it.
    fn file(&self, delivery: &Delivery, extension: &str, name: &str) -> Result<Representation, Refusal> {
        let files = &delivery.files.0;
        let plain = files.get(extension).ok_or(NO_FILE)?;
        let compressed = files.get(&format!("{extension}.gz"));
        let (entry, is_gzipped) = match negotiate::coding(self.headers, compressed.is_some()) {
            None => return Err(Refusal::NotAcceptable),
            Some(Coding::Identity) => (plain, false),
            Some(Coding::Gzip) => (compressed.unwrap_or(plain), true),
        };
        let validators = Validators {
            etag: etag(&entry.sha256),
            modified: whole_seconds(delivery.finished_at),
            is_date_strong: compressed.is_none(),
        };
        let mut file = Representation::file(entry, self.source(entry)?, media::type_of(extension), validators);
        file.is_gzipped = is_gzipped;
        file.vary = compressed.map(|_| "Accept-Encoding");
        // The name and the version hold nothing that would have to be quoted (RFC 6266, RFC 9110, 8.7).
        let location = format!("/flows/{flow}/{}/{flow}.{extension}", delivery.version, flow = self.token.flow);
        for (name, value) in [
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
            (header::CONTENT_LOCATION, location),
        ] {
            file.headers.insert(name, HeaderValue::try_from(value).map_err(|_| Refusal::Broken)?);
        }
        Ok(file)
    }

    fn source(&self, entry: &FileEntry) -> Result<Source, Refusal> {
        let key = ObjectKey::parse(&entry.key).map_err(|error| {
            tracing::error!(%error, flow = self.token.flow, "the database names a file that can be none");
            Refusal::Broken
        })?;
        Ok(Source::Object { key, flow: self.token.flow.clone(), token: self.token.id })
    }

    async fn manifest(&self, wanted: Wanted<'_>) -> Result<Representation, Refusal> {
        let delivery = self.delivery(wanted).await?;
        let manifest = catalogue::manifest(&self.shared.pool, &self.token.flow, &delivery.version).await;
        let manifest = manifest.map_err(|error| refused(&error))?.ok_or(NO_MANIFEST)?;
        json(&manifest, Some(delivery.finished_at))
    }

    async fn versions(&self) -> Result<Representation, Refusal> {
        let deliveries =
            catalogue::deliveries(&self.shared.pool, &self.token.flow).await.map_err(|error| refused(&error))?;
        json(&documents::versions(&self.token.flow, &deliveries), deliveries.first().map(|newest| newest.finished_at))
    }

    async fn page(&self) -> Result<Representation, Refusal> {
        let (pool, name) = (&self.shared.pool, &self.token.flow);
        let flow = passereau_flow::find(pool, name).await.map_err(|error| failed(&error))?;
        let flow = flow.ok_or(Refusal::NotFound("The flow has just been removed."))?;
        let deliveries = catalogue::deliveries(pool, name).await.map_err(|error| refused(&error))?;
        let manifest = match deliveries.first() {
            Some(newest) => catalogue::manifest(pool, name, &newest.version).await.map_err(|error| refused(&error))?,
            None => None,
        };
        // A manifest of another version of this program still has what can be read of it.
        let manifest = manifest.map(|manifest| documents::Manifest::read(&manifest));
        let language = negotiate::language(self.headers, self.query);
        let shown = page::Shown { flow: &flow, deliveries: &deliveries, manifest: manifest.as_ref(), now: Utc::now() };
        let mut page = Representation::document(page::render(&shown, language).into_bytes(), HTML, None);
        page.vary = Some("Accept-Language");
        page.headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        Ok(page)
    }
}

const NO_FILE: Refusal = Refusal::NotFound("The version has no such file; its manifest lists those that it has.");
const NO_MANIFEST: Refusal = Refusal::NotFound("The version has no manifest.");

fn json(value: &impl serde::Serialize, modified: Option<DateTime<Utc>>) -> Result<Representation, Refusal> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| {
        tracing::error!(%error, "writing a document failed");
        Refusal::Broken
    })?;
    Ok(Representation::document(bytes, JSON, modified))
}

/// The description of the routes, as it is served and committed.
pub(crate) fn openapi_bytes() -> Vec<u8> {
    openapi::text().into_bytes()
}
