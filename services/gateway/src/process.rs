//! A process of the gateway alone, from start to drain.
//!
//! It needs PostgreSQL and the store; it knows no RabbitMQ. PostgreSQL being away is waited for, not ready; a schema that is absent or old is an error at
//! once. A store that does not answer makes it not ready: another gateway may have one that does. SIGTERM or SIGINT: not ready any more, nothing new is accepted, downloads may end within the grace. A second signal ends at once.

use std::{net::SocketAddr, time::Duration};

use passereau_database::{DatabaseConfig, DatabaseError};
use passereau_store::{ObjectKey, Store, StoreConfig};
use passereau_telemetry::{Health, HttpListenConfig, Light, LogConfig, Metrics, Server};
use sqlx::PgPool;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, GatewayConfig, GatewayError, catalogue};

/// Time between two looks at the database.
const LOOK: Duration = Duration::from_secs(2);

/// Time between two looks at the store, and how long one may take.
const LOOK_AT_STORE: Duration = Duration::from_secs(5);

/// How long the end waits for statements in work.
const LAST_STATEMENTS: Duration = Duration::from_secs(1);

/// Settings of a process of the gateway.
#[derive(clap::Args, Clone, Debug)]
pub struct GatewayProcessConfig {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// The store that the exporter writes to.
    #[command(flatten)]
    pub store: StoreConfig,
    /// What partners reach.
    #[command(flatten)]
    pub gateway: GatewayConfig,
    /// Metrics and health.
    #[command(flatten)]
    pub http: HttpListenConfig,
    /// Logs.
    #[command(flatten)]
    pub log: LogConfig,
    /// Seconds that downloads have to end when the process is asked to end.
    #[arg(long, env = "PASSEREAU_GRACE_SECONDS", default_value_t = 20)]
    pub grace_seconds: u64,
}

/// A process that has started.
#[derive(Debug)]
pub struct GatewayProcess {
    gateway: Gateway,
    pool: PgPool,
    metrics: Metrics,
    health: Health,
    postgres: Light,
    store: Store,
    stored: Light,
    server: Server,
    grace: Duration,
    shutdown: CancellationToken,
    signals: Signals,
}

/// What asks the process to end: SIGTERM and SIGINT.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, GatewayError> {
        let listen = |kind| signal(kind).map_err(GatewayError::Signal);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl GatewayProcess {
    /// Starts; none when it was asked to end while it waited for PostgreSQL.
    ///
    /// # Errors
    /// [`GatewayError`], each naming the setting or the command that mends it.
    pub async fn start(config: &GatewayProcessConfig) -> Result<Option<Self>, GatewayError> {
        let mut signals = Signals::listen()?;
        let metrics = Metrics::without_messages("gateway");
        let health = Health::new();
        let postgres = health.light("postgres", "not asked yet");
        let stored = health.light("store", "not asked yet");
        let server = passereau_telemetry::http::serve(&config.http, metrics.clone(), health.clone()).await?;
        let pool = passereau_database::connect(&config.database)?;
        let store = Store::open(&config.store)?;
        tokio::select! {
            checked = wait_for_schema(&pool) => checked?,
            () = signals.received() => return Ok(None),
        }
        postgres.green();
        let gateway = Gateway::bind(&config.gateway, pool.clone(), store.clone(), &metrics).await?;
        let grace = Duration::from_secs(config.grace_seconds);
        let shutdown = CancellationToken::new();
        Ok(Some(Self { gateway, pool, metrics, health, postgres, store, stored, server, grace, shutdown, signals }))
    }

    /// The address that partners reach.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// The address of metrics and health.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.server.address()
    }

    /// Cancelling it asks the process to end.
    #[must_use]
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Serves until it is asked to end, then drains.
    pub async fn run(mut self) {
        let watching = tokio::spawn(watch(self.pool.clone(), self.postgres, self.metrics, self.shutdown.clone()));
        let storing = tokio::spawn(watch_store(self.pool.clone(), self.store, self.stored, self.shutdown.clone()));
        let mut serving = tokio::spawn(self.gateway.serve(self.shutdown.clone(), self.grace));
        tokio::select! {
            () = self.signals.received() => {}
            () = self.shutdown.cancelled() => {}
            // It ends by itself only when it panics.
            ended = &mut serving => tracing::error!(?ended, "flows are served no more"),
        }
        tracing::info!(grace_s = self.grace.as_secs(), "asked to end, draining");
        self.health.drain();
        self.shutdown.cancel();
        let drained = async {
            if !serving.is_finished()
                && let Err(error) = serving.await
            {
                tracing::warn!(%error, "serving ended early");
            }
            for (what, watching) in [("postgresql", watching), ("the store", storing)] {
                if let Err(error) = watching.await {
                    tracing::warn!(%error, what, "a look ended early");
                }
            }
            if tokio::time::timeout(LAST_STATEMENTS, self.pool.close()).await.is_err() {
                tracing::debug!("postgresql still answers a request that was cut");
            }
            self.server.stop().await;
        };
        tokio::select! {
            () = drained => tracing::info!("drained"),
            () = self.signals.received() => tracing::warn!("second signal, ending at once"),
        }
    }
}

/// Waits while PostgreSQL is away; an absent or old schema is an error at once.
async fn wait_for_schema(pool: &PgPool) -> Result<(), DatabaseError> {
    let mut timer = tokio::time::interval(LOOK);
    loop {
        timer.tick().await;
        match passereau_database::check_migrated(pool).await {
            Err(DatabaseError::Statement { source, .. }) if catalogue::is_absent(&source) => {
                tracing::warn!(error = %source, "waiting for postgresql");
            }
            result => return result,
        }
    }
}

/// Shows in metrics and readiness whether PostgreSQL answers.
async fn watch(pool: PgPool, postgres: Light, metrics: Metrics, shutdown: CancellationToken) {
    let mut timer = tokio::time::interval(LOOK);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = timer.tick() => {}
        }
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
            asked = sqlx::query("SELECT 1").execute(&pool) => asked,
        };
        metrics.postgres_connected(asked.is_ok());
        match asked {
            Ok(_) => postgres.green(),
            Err(error) => postgres.red(format!("it does not answer: {error}")),
        }
    }
}

/// Shows in readiness whether the store answers.
async fn watch_store(pool: PgPool, store: Store, stored: Light, shutdown: CancellationToken) {
    let mut timer = tokio::time::interval(LOOK_AT_STORE);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = timer.tick() => {}
        }
        let answer = tokio::select! {
            () = shutdown.cancelled() => return,
            answer = tokio::time::timeout(LOOK_AT_STORE, ask(&pool, &store)) => answer,
        };
        match answer {
            Ok(Ok(())) => stored.green(),
            Ok(Err(reason)) => stored.red(reason),
            Err(_) => stored.red(format!("it has not answered for {} s", LOOK_AT_STORE.as_secs())),
        }
    }
}

/// Asks the store for something that is there: a bucket may refuse to say what is not. A file that is gone is one flow's trouble, not the store's.
async fn ask(pool: &PgPool, store: &Store) -> Result<(), String> {
    store.free_store_bytes().map_err(|error| error.to_string())?;
    // A database that is away is told by its own light.
    let Ok(newest) = catalogue::newest_key(pool).await else { return Ok(()) };
    let Some(key) = newest.and_then(|key| ObjectKey::parse(&key).ok()) else { return Ok(()) };
    store.head(&key).await.map(|_| ()).map_err(|error| error.to_string())
}
