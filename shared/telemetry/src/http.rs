//! The three addresses that each process serves: `/metrics` (Prometheus text), `/healthz` (alive?) and `/readyz` (would take work?).
//!
//! The two health addresses answer 200 or 503, with the checks and their reasons as JSON. They carry no secret and no record, and
//! nothing can be changed through them; all the same, put them on a network that only the monitoring reaches.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::health::{Health, Report};
use crate::metrics::Metrics;

/// How long open connections may hold up the end of the process.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Where metrics and health are served.
#[derive(clap::Args, Clone, Debug)]
pub struct HttpListenConfig {
    /// Address of /metrics, /healthz and /readyz: `address:port` (port 0: any free one), or `off`.
    #[arg(
        id = "http_listen",
        long = "http-listen",
        env = "PASSEREAU_HTTP_LISTEN",
        default_value = "0.0.0.0:9464",
        value_name = "ADDRESS"
    )]
    pub listen: ListenAddress,
}

/// An address to listen on, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Nothing is served.
    Off,
    /// Serve here.
    On(SocketAddr),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::On)
            .map_err(|_| format!("`{text}` is not an address: write for instance 0.0.0.0:9464, [::]:9464, or off"))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::On(address) => address.fmt(f),
        }
    }
}

/// Why the addresses are not served.
#[derive(Debug, thiserror::Error)]
#[error(
    "metrics and health cannot be served on {address}: {source}; another process may hold the port: set PASSEREAU_HTTP_LISTEN to a free one, or to off"
)]
pub struct ServeError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

/// The running server. Dropped without [`Server::stop`], it stops as well, but nobody waits for it.
#[derive(Debug)]
pub struct Server {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Serves `metrics` and `health` on the configured address. With `off`, the server is there and serves nothing.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(config: &HttpListenConfig, metrics: Metrics, health: Health) -> Result<Server, ServeError> {
    let ListenAddress::On(address) = config.listen else {
        return Ok(Server { running: None });
    };
    let failed = |source| ServeError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .with_state(metrics)
        .route("/healthz", get(async |State(health): State<Health>| answer(health.alive())))
        .route("/readyz", get(async |State(health): State<Health>| answer(health.ready())))
        .with_state(health);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "metrics and health are served no more");
        }
    });
    tracing::info!(%address, "serving metrics and health");
    Ok(Server { running: Some(Running { address, stop, task }) })
}

impl Server {
    /// The address really bound, with its port; none when switched off.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.as_ref().map(|running| running.address)
    }

    /// Stops listening, lets open requests end for two seconds at most.
    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop.cancel();
            if tokio::time::timeout(STOP_TIMEOUT, running.task).await.is_err() {
                tracing::debug!("a client of metrics or health kept its connection open");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.stop.cancel();
        }
    }
}

async fn show_metrics(State(metrics): State<Metrics>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn answer(report: Report) -> Response {
    let status = if report.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn health_and_metrics_are_served_over_a_socket_until_stopped() {
        let config = HttpListenConfig { listen: "127.0.0.1:0".parse().unwrap() };
        let health = Health::new();
        let light = health.light("amqp", "not consuming");
        let server = serve(&config, Metrics::new("loader"), health).await.unwrap();
        let address = server.address().unwrap();

        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let answer = ask(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.ends_with(r#"{"ok":false,"checks":{"amqp":"not consuming"}}"#), "{answer}");
        light.green();
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        let answer = ask(address, "/metrics").await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
        assert!(answer.contains("passereau_build_info{"), "{answer}");

        server.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn off_serves_nothing() {
        let config = HttpListenConfig { listen: "off".parse().unwrap() };
        let server = serve(&config, Metrics::new("loader"), Health::new()).await.unwrap();
        assert_eq!(server.address(), None);
        server.stop().await;
    }

    #[tokio::test]
    async fn a_taken_port_names_the_setting() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = HttpListenConfig { listen: ListenAddress::On(taken.local_addr().unwrap()) };
        let error = serve(&config, Metrics::new("loader"), Health::new()).await.unwrap_err();
        assert!(error.to_string().contains("PASSEREAU_HTTP_LISTEN"), "{error}");
    }

    #[test]
    fn an_address_is_not_guessed() {
        assert!("9464".parse::<ListenAddress>().unwrap_err().contains("0.0.0.0:9464"));
    }
}
