//! A link: one AMQP connection that is opened again for as long as it takes.
//!
//! A keeper task owns the connection. When it ends, the keeper publishes "none" and connects anew with growing, jittered delays and no last
//! attempt. Whoever needs a channel takes the connection of the moment, or waits for the next one. The old connection object is dropped
//! as a whole and replays nothing, so it cannot come back with consumers that nobody reads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, Event};
use passereau_secret::ExposeSecret;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::delay::Backoff;
use crate::error::{reply_code, words};
use crate::{BrokerConfig, BrokerError, install_crypto, tls};

/// lapin announces most ends as an event; those it does not are found by looking.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const ACCESS_REFUSED: u16 = 403;
const NOT_ALLOWED: u16 = 530;

/// A handle on a connection that comes back. Clones share it.
#[derive(Clone)]
pub(crate) struct Link {
    current: watch::Receiver<Option<Arc<Connection>>>,
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    state: Mutex<State>,
}

/// What health is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) disconnected_since: Option<Instant>,
    pub(crate) blocked: Option<String>,
    pub(crate) reconnections: u64,
}

impl Link {
    /// Connects for the first time, within the start-up time-out. `role` says in the broker's list of connections what this one is for.
    pub(crate) async fn open(
        config: &BrokerConfig,
        process: &str,
        role: &'static str,
        stop: CancellationToken,
    ) -> Result<Self, BrokerError> {
        let target = Target::parse(config, process, role)?;
        let first = target.connect_within(config.startup_timeout()).await?;
        let (sender, current) = watch::channel(Some(Arc::new(first)));
        let shared = Arc::new(Shared { target, state: Mutex::default() });
        tokio::spawn(keep(shared.clone(), sender, stop));
        Ok(Self { current, shared })
    }

    /// Another connection to the same broker. It opens in its own time, and nobody waits for it.
    pub(crate) fn beside(&self, process: &str, role: &'static str, stop: CancellationToken) -> Self {
        let target = Target { name: format!("{process} {role}"), role, ..self.shared.target.clone() };
        let (sender, current) = watch::channel(None);
        let shared = Arc::new(Shared { target, state: Mutex::default() });
        tokio::spawn(keep(shared.clone(), sender, stop));
        Self { current, shared }
    }

    /// The connection of the moment, if there is one.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.current.borrow().clone().filter(|connection| connection.status().connected())
    }

    /// Waits for a connection. `None` when the link was closed for good.
    pub(crate) async fn wait(&self) -> Option<Arc<Connection>> {
        let mut current = self.current.clone();
        loop {
            let connection = current.borrow_and_update().clone();
            if let Some(connection) = connection.filter(|connection| connection.status().connected()) {
                return Some(connection);
            }
            current.changed().await.ok()?;
        }
    }

    /// Returns when the keeper has ended and the connection is closed.
    pub(crate) async fn closed(&self) {
        let mut current = self.current.clone();
        while current.changed().await.is_ok() {}
    }

    pub(crate) fn state(&self) -> State {
        self.shared.read()
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.shared.target.endpoint
    }
}

impl Shared {
    fn read(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Watches the connection and replaces it when it ends, until `stop`.
async fn keep(shared: Arc<Shared>, sender: watch::Sender<Option<Arc<Connection>>>, stop: CancellationToken) {
    loop {
        let connection = sender.borrow().clone();
        if let Some(connection) = connection {
            tokio::select! {
                () = ended(&shared, &connection) => {}
                () = stop.cancelled() => return close(&shared, &connection).await,
            }
            tracing::warn!(
                endpoint = shared.target.endpoint,
                role = shared.target.role,
                "lost the connection to RabbitMQ"
            );
        }
        shared.write(|state| {
            state.disconnected_since.get_or_insert_with(Instant::now);
            state.blocked = None;
        });
        sender.send_replace(None);
        let connection = tokio::select! {
            connection = reconnect(&shared.target) => connection,
            () = stop.cancelled() => return,
        };
        shared.write(|state| {
            state.disconnected_since = None;
            state.reconnections += 1;
        });
        tracing::info!(endpoint = shared.target.endpoint, role = shared.target.role, "connected to RabbitMQ");
        sender.send_replace(Some(Arc::new(connection)));
    }
}

/// Returns when the connection has ended; meanwhile notes whether the broker blocks it.
async fn ended(shared: &Shared, connection: &Connection) {
    let mut events = std::pin::pin!(connection.events_listener());
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while connection.status().connected() {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(endpoint = shared.target.endpoint, reason, "RabbitMQ blocks publishers: free its memory or disk");
                    shared.write(|state| state.blocked = Some(reason));
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!(endpoint = shared.target.endpoint, "RabbitMQ takes messages again");
                    shared.write(|state| state.blocked = None);
                }
                Some(_) => {}
                None => return,
            },
            _ = look.tick() => {}
        }
    }
}

async fn reconnect(target: &Target) -> Connection {
    let mut attempt = 0;
    loop {
        tokio::time::sleep(target.backoff.random_delay(attempt)).await;
        match target.connect().await {
            Ok(connection) => return connection,
            // Even a refusal is tried again: the password may be changed back, the virtual host restored.
            Err(error) => {
                tracing::warn!(role = target.role, attempt, %error, "cannot connect to RabbitMQ, trying again")
            }
        }
        attempt = attempt.saturating_add(1);
    }
}

async fn close(shared: &Shared, connection: &Connection) {
    let closing = connection.close(200, "the process ends".into());
    if let Ok(Err(error)) = tokio::time::timeout(shared.target.connect_timeout, closing).await {
        tracing::debug!(reason = words(&error), "the connection to RabbitMQ had already ended");
    }
}

/// Where to connect, and how. Holds the password, hence no `Debug`.
#[derive(Clone)]
struct Target {
    uri: AMQPUri,
    /// Certificates of an authority of one's own, in PEM.
    authority: Option<String>,
    endpoint: String,
    name: String,
    role: &'static str,
    connect_timeout: Duration,
    backoff: Backoff,
}

impl Target {
    fn parse(config: &BrokerConfig, process: &str, role: &'static str) -> Result<Self, BrokerError> {
        let url = passereau_secret::require("PASSEREAU_AMQP_URL", config.url.as_ref(), config.url_file.as_deref())?;
        let url = url.expose_secret();
        // lapin takes an IPv6 literal for no host at all, and would go to localhost.
        if url.contains('[') {
            return Err(BrokerError::Url);
        }
        let uri: AMQPUri = url.parse().map_err(|_| BrokerError::Url)?;
        let authority = tls::authority(config.ca_file.as_deref(), uri.scheme == AMQPScheme::AMQPS)?;
        if uri.scheme == AMQPScheme::AMQPS {
            install_crypto();
        }
        let endpoint = format!("{}:{}/{}", uri.authority.host, uri.authority.port, uri.vhost.trim_start_matches('/'));
        Ok(Self {
            uri,
            authority,
            endpoint,
            name: format!("{process} {role}"),
            role,
            connect_timeout: config.connect_timeout(),
            backoff: config.backoff(),
        })
    }

    /// One attempt. lapin's thread of an attempt that timed out lives until its socket does, then closes what it may have opened.
    async fn connect(&self) -> Result<Connection, BrokerError> {
        // No `enable_auto_recover`: see the crate's documentation.
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let started = Instant::now();
        let unreachable = |reason| BrokerError::Unreachable {
            endpoint: self.endpoint.clone(),
            waited_ms: started.elapsed().as_millis(),
            reason,
        };
        let tls = OwnedTLSConfig { cert_chain: self.authority.clone(), ..OwnedTLSConfig::default() };
        let connecting = async {
            let runtime = lapin::runtime::default_runtime()?;
            Connection::connect_uri_with_config(self.uri.clone(), properties, tls, runtime).await
        };
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) if matches!(reply_code(&error), Some(ACCESS_REFUSED | NOT_ALLOWED)) => {
                Err(BrokerError::Refused { endpoint: self.endpoint.clone(), reason: words(&error) })
            }
            Ok(Err(error)) => Err(unreachable(words(&error))),
            Err(_) => Err(unreachable("no answer".to_owned())),
        }
    }

    /// Attempts until the time is over. A refusal ends it at once: at start somebody is there to read it.
    async fn connect_within(&self, limit: Duration) -> Result<Connection, BrokerError> {
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            let reason = match self.connect().await {
                Ok(connection) => return Ok(connection),
                Err(BrokerError::Unreachable { reason, .. }) => reason,
                Err(refused) => return Err(refused),
            };
            let delay = self.backoff.random_delay(attempt);
            let waited = started.elapsed();
            if waited + delay > limit {
                return Err(BrokerError::Unreachable {
                    endpoint: self.endpoint.clone(),
                    waited_ms: waited.as_millis(),
                    reason,
                });
            }
            tracing::info!(endpoint = self.endpoint, reason, "waiting for RabbitMQ");
            tokio::time::sleep(delay).await;
            attempt = attempt.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, BrokerError> {
        Target::parse(&BrokerConfig::new(url), "test", "publishing")
    }

    #[test]
    fn the_endpoint_names_the_broker_without_credentials() {
        let target = parse("amqp://hermine:opensesame@broker.example:5673/%2f").map(|target| target.endpoint);
        assert_eq!(target.ok().as_deref(), Some("broker.example:5673/"));
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_repeating_it() {
        for url in [
            "hermine:opensesame",
            "http://hermine:opensesame@host",
            "amqp://hermine:opensesame@[::1]:5672/%2f",
            "opensesame",
        ] {
            let error = parse(url).err().map(|error| format!("{error} {error:?}"));
            assert!(error.as_ref().is_some_and(|text| !text.contains("opensesame")), "{error:?}");
        }
    }
}
