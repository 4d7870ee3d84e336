//! A process of the fleet: what all its workers share, from start to drain.
//!
//! Start: logs, pool, broker, health; then the state's schema and the broker's topology are checked, because a worker that
//! finds neither is of no use and says so at once. A server that is away is different. PostgreSQL is waited for, not ready, for as long as it
//! takes; then RabbitMQ, not ready, for as long as `PASSEREAU_AMQP_STARTUP_TIMEOUT_MS` says (a minute), after which the process ends with an
//! error and its keeper starts it again. Once started it gives neither of them up.
//!
//! End (SIGTERM or SIGINT): not ready any more; consumers stop and hand back what was not started; handlers in work see
//! the shutdown and come back at a boundary; the relay sends what they wrote; connections close. A second signal ends at
//! once; redelivery heals it. A consumer or the relay that ends by itself ends the process too, with an error.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use passereau_broker::{Broker, BrokerConfig, BrokerError, queue_name, topology};
use passereau_contracts::WORKERS;
use passereau_database::{DatabaseConfig, DatabaseError};
use passereau_telemetry::{Connection, Health, HttpListenConfig, Light, LogConfig, Metrics, ServeError, Server};
use sqlx::PgPool;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    RetryConfig, Worker, consume, deliver::Surroundings, fleet::fleet_topology, lost, outcome::is_database_absent,
    relay, rounds,
};

/// How long the end waits for statements of handlers that did not come back in time.
const LAST_STATEMENTS: Duration = Duration::from_secs(1);

/// How long the end waits for the relay: what it does not send, another process does.
const LAST_RELAY: Duration = Duration::from_secs(5);

/// Connections that a process needs beside those of its handlers: the relay, its listener, the search for lost messages, and one for
/// dead letters and the renewal of claims.
const OTHER_CONNECTIONS: usize = 4;

/// A subscription that has held for so long is taken for one that works.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// How long a start that was asked to end may go on: one that is nearly through ends in good order.
const SHORT_START: Duration = Duration::from_secs(5);

/// Settings that every process has.
#[derive(clap::Args, Clone, Debug)]
pub struct ProcessConfig {
    #[command(flatten)]
    /// The database.
    pub database: DatabaseConfig,
    #[command(flatten)]
    /// The broker.
    pub broker: BrokerConfig,
    #[command(flatten)]
    /// Metrics and health.
    pub http: HttpListenConfig,
    #[command(flatten)]
    /// Logs.
    pub log: LogConfig,
    #[command(flatten)]
    /// Delays between attempts.
    pub retry: RetryConfig,
    /// Deliveries that each worker handles at the same time. Each needs a connection to PostgreSQL: a process opens at least as many as its
    /// workers handle together, and four.
    #[arg(long, env = "PASSEREAU_CONCURRENCY", default_value_t = 2)]
    pub concurrency: usize,
    /// Seconds that handlers have to come back when the process is asked to end.
    #[arg(long, env = "PASSEREAU_GRACE_SECONDS", default_value_t = 20)]
    pub grace_seconds: u64,
    /// Seconds after which a message that was sent and not handled counts as lost if its queue is empty; it is published
    /// again then.
    #[arg(long, env = "PASSEREAU_RESEND_SECONDS", default_value_t = 600)]
    pub resend_seconds: u64,
    /// Seconds without a connection to RabbitMQ, or without a subscription of one of its consumers, after which the process
    /// says at `/healthz` that it should be restarted.
    #[arg(long, env = "PASSEREAU_SILENT_SECONDS", default_value_t = 300)]
    pub silent_seconds: u64,
    /// Seconds between two readings of what metrics show of the database: ages, states, what is left. Schedulers, requesters and
    /// enrichers read.
    #[arg(long, env = "PASSEREAU_STATE_READ_S", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub state_read_seconds: u64,
}

/// Why a process cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Metrics and health.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// SIGTERM or SIGINT came while the process waited for PostgreSQL or RabbitMQ.
    #[error("asked to end before PostgreSQL and RabbitMQ answered")]
    AskedToEnd,
    /// The system's signals.
    #[error("listening for SIGTERM: {0}")]
    Signal(std::io::Error),
    /// A consumer or the relay ended although nobody had asked the process to.
    #[error("a part of the process ended by itself, see the log; this is a defect, start the process again")]
    Defect,
}

/// A process that has started. Register its workers, then [`Process::run`] it.
#[derive(Debug)]
pub struct Process {
    pool: PgPool,
    broker: Broker,
    metrics: Metrics,
    health: Health,
    postgres: Light,
    server: Server,
    config: ProcessConfig,
    shutdown: CancellationToken,
    defect: CancellationToken,
    workers: TaskTracker,
    signals: Option<Signals>,
}

/// Held by a part of the process: when it is dropped, be it by a panic, without anybody having asked the process to end, the process does.
#[derive(Debug)]
struct EndsTheProcess {
    shutdown: CancellationToken,
    defect: CancellationToken,
}

impl Drop for EndsTheProcess {
    fn drop(&mut self) {
        if !self.shutdown.is_cancelled() {
            tracing::error!("a part of the process has ended by itself, so the process ends; this is a defect");
            self.defect.cancel();
        }
    }
}

/// What asks the process to end: SIGTERM and SIGINT.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, ProcessError> {
        let listen = |kind| signal(kind).map_err(ProcessError::Signal);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Process {
    /// Starts what all workers share. `name` is the worker's, or `passereau` for all in one process.
    ///
    /// # Errors
    /// [`ProcessError`], each naming the setting or the command that mends it.
    pub async fn start(name: &'static str, config: &ProcessConfig) -> Result<Self, ProcessError> {
        // Before anything else: a process that is asked to end while it starts ends in good order, too.
        let mut signals = Signals::listen()?;
        let mut process = {
            let starting = Self::start_all(name, config);
            tokio::pin!(starting);
            tokio::select! {
                started = &mut starting => started?,
                () = signals.received() => {
                    let started = tokio::time::timeout(SHORT_START, &mut starting).await;
                    let process = started.unwrap_or(Err(ProcessError::AskedToEnd))?;
                    process.shutdown.cancel();
                    process
                }
            }
        };
        process.signals = Some(signals);
        Ok(process)
    }

    async fn start_all(name: &'static str, config: &ProcessConfig) -> Result<Self, ProcessError> {
        passereau_broker::install_crypto();
        let metrics = Metrics::new(name);
        let health = Health::new();
        let postgres = health.light("postgres", "not asked yet");
        let rabbitmq = health.light("rabbitmq", "not connected yet");
        let server = passereau_telemetry::http::serve(&config.http, metrics.clone(), health.clone()).await?;
        let pool = passereau_database::connect(&enough_connections(name, config))?;
        wait_for_schema(&pool).await?;
        postgres.green();
        let broker = Broker::connect(&config.broker, name).await?;
        topology::check(&broker, &fleet_topology(broker.prefix())).await?;
        rabbitmq.green();
        let process = Self {
            pool,
            broker,
            metrics,
            health,
            postgres,
            server,
            config: config.clone(),
            shutdown: CancellationToken::new(),
            defect: CancellationToken::new(),
            workers: TaskTracker::new(),
            signals: None,
        };
        process.watch(rabbitmq);
        Ok(process)
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Its metrics, for what runs beside the workers.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Cancelled when the process is asked to end; cancelling it asks.
    #[must_use]
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// The address of metrics and health.
    #[must_use]
    pub fn http_address(&self) -> Option<std::net::SocketAddr> {
        self.server.address()
    }

    /// Registers a worker: it consumes its queue from now on.
    pub fn work<W: Worker>(&mut self, worker: W) -> &mut Self {
        let worker = Arc::new(worker);
        let queue = queue_name(self.broker.prefix(), W::NAME);
        let metrics = self.metrics.for_worker(W::NAME);
        metrics.handles(WORKERS.iter().filter(|of| of.worker == W::NAME).flat_map(|of| of.kinds.iter().copied()));
        let surroundings = Surroundings {
            queue: queue.clone(),
            pool: self.pool.clone(),
            metrics,
            retry: self.config.retry.clone(),
            shutdown: self.shutdown.clone(),
            defect: self.defect.clone(),
        };
        for _ in 0..self.config.concurrency.max(1) {
            // One message in hand: prefetched ones would age towards the consumer timeout behind long work.
            let consumer = self.broker.consumer(queue.clone(), 1);
            self.workers.spawn(consume::work(Arc::clone(&worker), surroundings.clone(), consumer));
        }
        if let Some(period) = worker.looks_out_every() {
            self.workers.spawn(rounds::look_out(Arc::clone(&worker), period, self.pool.clone(), self.shutdown.clone()));
        }
        if worker.observes() {
            let period = Duration::from_secs(self.config.state_read_seconds.max(1));
            let metrics = self.metrics.for_worker(W::NAME);
            self.workers.spawn(rounds::observe(worker, period, self.pool.clone(), metrics, self.shutdown.clone()));
        }
        self
    }

    /// Runs something else beside the workers, which ends within the grace once [`Process::shutdown`] is cancelled. If it ends before, the process ends, too.
    pub fn beside(&mut self, task: impl Future<Output = ()> + Send + 'static) -> &mut Self {
        let ends = EndsTheProcess { shutdown: self.shutdown.clone(), defect: self.defect.clone() };
        self.workers.spawn(async move {
            let _ends = ends;
            task.await;
        });
        self
    }

    /// Works until SIGTERM, SIGINT or [`Process::shutdown`], then drains.
    ///
    /// # Errors
    /// When signals cannot be listened for, or a part of the process ended by itself.
    pub async fn run(mut self) -> Result<(), ProcessError> {
        let mut signals = match self.signals.take() {
            Some(signals) => signals,
            None => Signals::listen()?,
        };
        let stop_relay = CancellationToken::new();
        let mut relay = tokio::spawn(relay::run(
            self.pool.clone(),
            self.broker.publisher(),
            self.metrics.clone(),
            self.postgres.clone(),
            stop_relay.clone(),
            Duration::from_millis(self.config.broker.confirm_timeout_ms),
        ));
        let after = Duration::from_secs(self.config.resend_seconds.max(1));
        self.workers.spawn(lost::run(
            self.pool.clone(),
            self.broker.clone(),
            self.metrics.clone(),
            after,
            self.shutdown.clone(),
        ));
        self.workers.spawn(consume::adopt_dead(
            self.pool.clone(),
            self.broker.clone(),
            self.shutdown.clone(),
            self.defect.clone(),
        ));
        tracing::info!(rabbitmq = self.broker.endpoint(), "working");

        tokio::select! {
            () = signals.received() => {}
            () = self.shutdown.cancelled() => {}
            () = self.defect.cancelled() => {}
            ended = &mut relay => {
                tracing::error!(?ended, "the relay has ended by itself, so the process ends; this is a defect");
                self.defect.cancel();
            }
        }
        tracing::info!(grace_s = self.config.grace_seconds, "asked to end, draining");
        self.health.drain();
        self.shutdown.cancel();
        self.broker.shutdown_token().cancel();
        self.workers.close();
        let drained = async {
            let grace = Duration::from_secs(self.config.grace_seconds);
            if tokio::time::timeout(grace, self.workers.wait()).await.is_err() {
                tracing::warn!("handlers did not come back in time; their messages will be delivered again");
            }
            stop_relay.cancel();
            // One that has ended already is not asked again.
            if !relay.is_finished() {
                match tokio::time::timeout(LAST_RELAY, &mut relay).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "the relay ended early"),
                    Err(_) => {
                        relay.abort();
                        tracing::warn!("the relay did not come back in time; what it leaves, another process sends");
                    }
                }
            }
            self.broker.close().await;
            // Waits for statements in work, and those of a handler that did not come back may take a minute more. PostgreSQL takes
            // them back when it finds nobody there.
            if tokio::time::timeout(LAST_STATEMENTS, self.pool.close()).await.is_err() {
                tracing::warn!(
                    "postgresql still works for a handler that did not come back; nothing of it will be committed"
                );
            }
            self.server.stop().await;
        };
        tokio::select! {
            () = drained => tracing::info!("drained"),
            () = signals.received() => tracing::warn!("second signal, ending at once"),
        }
        if self.defect.is_cancelled() { Err(ProcessError::Defect) } else { Ok(()) }
    }

    /// Shows the broker's state in metrics and readiness; a broker that stays away makes the process unhealthy.
    fn watch(&self, rabbitmq: Light) {
        let broker = self.broker.clone();
        let silent_too_long = Duration::from_secs(self.config.silent_seconds.max(1));
        self.health.alive_when("rabbitmq", move || match broker.health().disconnected_for {
            Some(gone) if gone > silent_too_long => Err(format!("no connection for {} s", gone.as_secs())),
            _ => Ok(()),
        });
        // A process that is connected and yet consumes nothing looks well from the broker.
        let settled_after = SETTLED_AFTER.min(silent_too_long);
        let silence = Arc::new(Mutex::new(Silence::default()));
        let silent = Arc::clone(&silence);
        self.health.alive_when("consumers", move || match silent.lock().unwrap_or_else(PoisonError::into_inner).since {
            Some(since) if since.elapsed() > silent_too_long => Err(format!(
                "a consumer has kept no subscription for {} s: is its queue there? `passereau topology apply` makes it",
                since.elapsed().as_secs()
            )),
            _ => Ok(()),
        });
        let (broker, metrics, shutdown) = (self.broker.clone(), self.metrics.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            let mut timer = tokio::time::interval(Duration::from_millis(500));
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    _ = timer.tick() => {}
                }
                let health = broker.health();
                let is_silent = !health.consuming && health.disconnected_for.is_none();
                silence.lock().unwrap_or_else(PoisonError::into_inner).look(
                    Instant::now(),
                    is_silent,
                    if health.consuming { settled_after } else { Duration::ZERO },
                );
                metrics.amqp_connected(Connection::Publishing, health.publishing || health.blocked.is_some());
                metrics.amqp_connected(Connection::Consuming, health.consuming);
                // Not in readiness: what ends this connection for a while stops no work, and restarting the process would not help.
                metrics.amqp_connected(Connection::Dead, health.apart);
                metrics.amqp_blocked(health.blocked.is_some());
                metrics.consumers(health.wanted_consumers, health.active_consumers, health.resubscriptions);
                match &health.blocked {
                    Some(reason) => rabbitmq.red(format!("RabbitMQ takes no messages: {reason}")),
                    None if health.is_ready() => rabbitmq.green(),
                    None if is_silent => rabbitmq.red("a consumer has no subscription, it is being renewed"),
                    None => rabbitmq.red("connection lost, being opened again"),
                }
            }
        });
    }
}

/// Since when a consumer has had no subscription that held. One that is accepted and cancelled again and again ends no silence.
#[derive(Debug, Default)]
struct Silence {
    since: Option<Instant>,
    heard: Option<Instant>,
}

impl Silence {
    fn look(&mut self, now: Instant, is_silent: bool, settled_after: Duration) {
        if is_silent {
            self.heard = None;
            self.since.get_or_insert(now);
        } else if now.duration_since(*self.heard.get_or_insert(now)) >= settled_after {
            self.since = None;
        }
    }
}

/// The settings of the pool, with a connection for each delivery in work. A handler holds one in its transaction, up to a minute; with
/// fewer, the relay and the claims would go without, and PostgreSQL would seem to be away.
fn enough_connections(name: &str, config: &ProcessConfig) -> DatabaseConfig {
    let workers = if WORKERS.iter().any(|worker| worker.worker == name) { 1 } else { WORKERS.len() };
    let needed = workers.saturating_mul(config.concurrency.max(1)).saturating_add(OTHER_CONNECTIONS);
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    let mut database = config.database.clone();
    if database.connections < needed {
        let said = database.connections;
        let concurrency = config.concurrency;
        database.connections = needed;
        if said == DatabaseConfig::new("").connections {
            tracing::info!(needed, workers, concurrency, "opens more connections than database-connections by default");
        } else {
            tracing::warn!(
                needed,
                workers,
                concurrency,
                "database-connections is {said}, too few: up to {needed} are opened"
            );
        }
    }
    database
}

/// Waits while PostgreSQL is away; an absent or old schema is an error at once.
async fn wait_for_schema(pool: &PgPool) -> Result<(), DatabaseError> {
    let mut timer = tokio::time::interval(Duration::from_secs(2));
    loop {
        timer.tick().await;
        match passereau_database::check_migrated(pool).await {
            Err(DatabaseError::Statement { source, .. }) if is_database_absent(&source) => {
                tracing::warn!(error = %source, "waiting for postgresql");
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_ends_before_it_is_asked_to_ends_the_process() {
        let (shutdown, defect) = (CancellationToken::new(), CancellationToken::new());
        drop(EndsTheProcess { shutdown: CancellationToken::new(), defect: defect.clone() });
        assert!(defect.is_cancelled());
        let defect = CancellationToken::new();
        shutdown.cancel();
        drop(EndsTheProcess { shutdown, defect: defect.clone() });
        assert!(!defect.is_cancelled(), "it was asked to");
    }

    #[test]
    fn only_a_subscription_that_holds_ends_a_silence() {
        let (start, settled) = (Instant::now(), Duration::from_secs(10));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::default();
        silence.look(at(0), true, settled);
        // Accepted for a moment, again and again.
        for seconds in [60, 120, 180] {
            silence.look(at(seconds), false, settled);
            silence.look(at(seconds + 1), true, settled);
        }
        assert_eq!(silence.since, Some(at(0)));
        silence.look(at(200), false, settled);
        assert_eq!(silence.since, Some(at(0)), "not yet");
        silence.look(at(210), false, settled);
        assert_eq!(silence.since, None);
    }
}
