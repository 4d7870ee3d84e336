//! Connections: accepted, bounded, and ended in good order.
//!
//! hyper is used directly, below axum: `axum::serve` has neither a time limit for the head of a request nor one for a client that reads slowly, and
//! waits for open connections as long as they like.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::any};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use passereau_store::Store;
use passereau_telemetry::Metrics;
use sqlx::PgPool;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    GatewayConfig, GatewayError,
    body::CHUNK_BYTES,
    handler::{Peer, Shared, answer, openapi_bytes},
    limit::Limiter,
    observed::{Observed, Open},
    patient::{Patient, TooSlow},
    places::Places,
};

/// Pause after a connection could not be accepted, mostly because the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(200);

/// The largest head of a request. The longest that is needed holds a token and some conditions.
const HEAD_BYTES: usize = 16 * 1024;

/// A gateway that listens. [`Gateway::serve`] answers.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    connections: Arc<Semaphore>,
    chunk: Duration,
    head: Duration,
}

impl Gateway {
    /// Listens on the configured address. The database is asked at requests only.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(
        config: &GatewayConfig,
        pool: PgPool,
        store: Store,
        metrics: &Metrics,
    ) -> Result<Self, GatewayError> {
        let failed = |source| GatewayError::Listen { address: config.gateway_listen, source };
        let listener = TcpListener::bind(config.gateway_listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Shared {
            pool,
            store,
            observed: Observed::new(metrics),
            downloads: Places::new(config.gateway_downloads),
            requests: Limiter::per_minute(config.gateway_requests_per_minute),
            failures: Limiter::per_minute(config.gateway_failures_per_minute),
            suspects: tokio::sync::Mutex::default(),
            trusted_proxies: config.gateway_trusted_proxies.clone(),
            openapi: openapi_bytes(),
        };
        Ok(Self {
            listener,
            address,
            shared: Arc::new(shared),
            connections: Arc::new(Semaphore::new(config.gateway_connections.get().min(Semaphore::MAX_PERMITS))),
            chunk: Duration::from_secs(config.gateway_chunk_seconds.get()),
            head: Duration::from_secs(config.gateway_head_seconds.get()),
        })
    }

    /// The address really bound, with its port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown`; then accepts nothing more, lets requests and downloads in work end within `grace`, and cuts what is left.
    pub async fn serve(self, shutdown: CancellationToken, grace: Duration) {
        let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&self.shared));
        let (open, cut) = (TaskTracker::new(), CancellationToken::new());
        tracing::info!(address = %self.address, "serving flows");
        loop {
            let accepting = async {
                let place = Arc::clone(&self.connections).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = accepting => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = Connection {
                        router: router.clone(),
                        peer: Peer(peer),
                        chunk: self.chunk,
                        head: self.head,
                        shutdown: shutdown.clone(),
                        cut: cut.clone(),
                        observed: self.shared.observed.clone(),
                        _open: self.shared.observed.connection(),
                    };
                    open.spawn(async move {
                        let _place = place;
                        connection.serve(stream).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::select! {
                        () = shutdown.cancelled() => break,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
        drop(self.listener);
        open.close();
        if tokio::time::timeout(grace, open.wait()).await.is_err() {
            tracing::warn!(
                connections = open.len(),
                "downloads did not end in time and are cut; clients go on with a range"
            );
            cut.cancel();
            open.wait().await;
        }
    }
}

/// One connection.
struct Connection {
    router: Router,
    peer: Peer,
    chunk: Duration,
    head: Duration,
    shutdown: CancellationToken,
    cut: CancellationToken,
    observed: Observed,
    _open: Open,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let (router, peer) = (self.router, self.peer);
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            TowerToHyperService::new(router.clone()).call(request)
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head)
            .max_header_size(HEAD_BYTES)
            // What is offered to a client at once, see `patient.rs`.
            .max_buf_size(2 * CHUNK_BYTES)
            .serve_connection(TokioIo::new(Patient::new(stream, self.chunk)), service);
        let mut served = pin!(served);
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                served.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = served.as_mut() => ended,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        // Clients go away as they like; only what they are cut off for is worth a word.
        if let Err(error) = ended {
            if is_too_slow(&error) {
                self.observed.too_slow();
            } else {
                tracing::debug!(%error, "a connection ended early");
            }
        }
    }
}

fn is_too_slow(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    cause.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<TooSlow>())
}
