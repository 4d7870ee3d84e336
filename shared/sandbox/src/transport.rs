//! Connections: accepts, records and scripts each call, then lets the router answer.
//!
//! hyper is used directly, below axum, because a script must be able to close a connection without any answer, which an
//! axum handler cannot do.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody as _, to_bytes},
    http::{HeaderName, HeaderValue, Request, Response, StatusCode, header::CONTENT_LENGTH},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    alter,
    script::{Host, Ledger, Route, Scripted},
};

/// The largest body that is read: GBIF's own limit for a request is not public, its largest fixture has 79 kB.
pub(crate) const BODY_LIMIT: usize = 32 << 20;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection closed by script")]
struct HungUp;

/// Serves `router` until `stop`; open connections are then dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    host: Host,
    router: Router,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        // A client that is gone before it was accepted is no reason to stop.
        let Ok((stream, _)) = accepted else { continue };
        let (router, ledger) = (router.clone(), Arc::clone(&ledger));
        connections.spawn(async move {
            let service =
                hyper::service::service_fn(move |request| answer(request, host, router.clone(), Arc::clone(&ledger)));
            // An error here is a client that went away or a script that hung up.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    host: Host,
    router: Router,
    ledger: Arc<Ledger>,
) -> Result<Response<Body>, HungUp> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), BODY_LIMIT).await.map_err(|_| HungUp)?;
    let route = Route::of(host, &parts.method, parts.uri.path());
    let scripted = ledger.arrive(route, &parts, &body);
    match &scripted {
        Scripted::Reset => return Err(HungUp),
        Scripted::Answer { status, headers, body } => return Ok(made(*status, headers, body)),
        Scripted::RetryAt { status, after_s } => return Ok(retry_at(*status, *after_s, Utc::now())),
        _ => {}
    }
    let parts = match &scripted {
        Scripted::Deaf { to } => alter::deafened(parts, to),
        _ => parts,
    };
    let request = Request::from_parts(parts, Body::from(body));
    let response: Result<_, Infallible> = TowerToHyperService::new(router).call(request).await;
    let response = response.unwrap_or_else(|never| match never {});
    match scripted {
        Scripted::LoseAnswer => Err(HungUp),
        Scripted::Truncate { after_bytes } => Ok(reshaped(response, |body| cut(body, after_bytes, End::Close))),
        Scripted::Stall { after_bytes } => Ok(reshaped(response, |body| cut(body, after_bytes, End::Silence))),
        Scripted::Drip { chunk_bytes, pause_ms } => {
            Ok(reshaped(response, |body| drip(body, chunk_bytes.max(1), Duration::from_millis(pause_ms))))
        }
        Scripted::Garble { at_byte } => Ok(alter::garbled(response, at_byte).await),
        Scripted::Header { name, value } => Ok(alter::headed(response, &name, &value)),
        Scripted::Say { pointer, value } => {
            Ok(alter::json(response, |answer| alter::say(answer, &pointer, value)).await)
        }
        Scripted::Reverse { pointer } => Ok(alter::json(response, |answer| alter::reverse(answer, &pointer)).await),
        Scripted::Pass
        | Scripted::Deaf { .. }
        | Scripted::Answer { .. }
        | Scripted::RetryAt { .. }
        | Scripted::Reset => Ok(response),
    }
}

/// The date is a whole second, as it has to be, and no earlier than it was asked for.
fn retry_at(status: u16, after_s: u32, now: DateTime<Utc>) -> Response<Body> {
    let date = now + TimeDelta::seconds(i64::from(after_s)) + TimeDelta::milliseconds(999);
    let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    match Scripted::html(status).with_header("retry-after", &date) {
        Scripted::Answer { status, headers, body } => made(status, &headers, &body),
        _ => Response::new(Body::empty()),
    }
}

fn made(status: u16, headers: &std::collections::BTreeMap<String, String>, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Changes how the body travels, but announces its true length.
fn reshaped(response: Response<Body>, change: impl FnOnce(Body) -> Body) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(parts, change(body))
}

#[derive(Clone, Copy)]
enum End {
    Close,
    Silence,
}

fn cut(body: Body, after_bytes: u64, end: End) -> Body {
    let pieces = stream::unfold((body.into_data_stream(), after_bytes), move |(mut inner, left)| async move {
        if left == 0 {
            // What was already handed over must leave before the connection is closed.
            tokio::task::yield_now().await;
            match end {
                End::Close => return Some((Err(io::Error::other(HungUp)), (inner, 0))),
                End::Silence => std::future::pending::<()>().await,
            }
        }
        let mut chunk: Bytes = inner.next().await?.ok()?;
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.len() as u64;
        Some((Ok(chunk), (inner, left)))
    });
    Body::from_stream(pieces)
}

fn drip(body: Body, chunk_bytes: usize, pause: Duration) -> Body {
    let state = (body.into_data_stream(), Bytes::new());
    let pieces = stream::unfold(state, move |(mut inner, mut rest)| async move {
        while rest.is_empty() {
            rest = inner.next().await?.ok()?;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(chunk_bytes.min(rest.len()));
        Some((Ok::<_, Infallible>(piece), (inner, rest)))
    });
    Body::from_stream(pieces)
}
