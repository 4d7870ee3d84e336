//! What a process holds: two links, a third for what may end its connection, and from them publishers, consumers and its health.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lapin::Channel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::connection::Link;
use crate::consumer::{SubscriptionSettings, Subscriptions};
use crate::error::words;
use crate::{BrokerConfig, BrokerError, Consumer, Publisher};

/// A process's access to RabbitMQ. Clones share it.
#[derive(Clone)]
pub struct Broker {
    publishing: Link,
    consuming: Link,
    publisher: Publisher,
    subscriptions: Arc<Subscriptions>,
    apart: Arc<OnceLock<Link>>,
    apart_subscriptions: Arc<Subscriptions>,
    config: BrokerConfig,
    process: String,
    shutdown: CancellationToken,
    disconnect: CancellationToken,
    consumers: TaskTracker,
}

/// How the broker looks from here, at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Connected for publishing, and not blocked.
    pub publishing: bool,
    /// Connected for consuming, and every consumer of this process is subscribed.
    pub consuming: bool,
    /// The broker's reason for not reading from publishers (memory or disk alarm).
    pub blocked: Option<String>,
    /// How long the connection that is worst off has been gone. A process in which this exceeds minutes should report itself dead, so
    /// that it is started anew.
    pub disconnected_for: Option<Duration>,
    /// How often a connection was opened again since the start.
    pub reconnections: u64,
    /// Whether every consumer with a connection of its own ([`Broker::consumer_apart`]) is subscribed. Its being away is no part of
    /// anything else here.
    pub apart: bool,
    /// How often a consumer had to subscribe again since the start (its queue deleted, its channel closed, its connection lost).
    pub resubscriptions: u64,
    /// Consumers that this process wants, and those of them that are subscribed now; without those that have a connection of their own.
    pub wanted_consumers: u64,
    /// See `wanted_consumers`.
    pub active_consumers: u64,
}

impl Health {
    /// Whether a worker can do everything it is there for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.publishing && self.consuming
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("endpoint", &self.endpoint())
            .field("prefix", &self.config.prefix)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// Opens both connections; `process` names them in the broker's list and is the `app_id` of what is published.
    ///
    /// # Errors
    /// At once for an unusable URL and when the broker refuses us; after the start-up time-out when it does not answer.
    pub async fn connect(config: &BrokerConfig, process: &str) -> Result<Self, BrokerError> {
        let disconnect = CancellationToken::new();
        // The first link would otherwise live on when the second one fails.
        let guard = disconnect.clone().drop_guard();
        let publishing = Link::open(config, process, "publishing", disconnect.clone()).await?;
        let consuming = Link::open(config, process, "consuming", disconnect).await?;
        let disconnect = guard.disarm();
        Ok(Self {
            publisher: Publisher::new(publishing.clone(), config, process),
            publishing,
            consuming,
            subscriptions: Arc::default(),
            apart: Arc::default(),
            apart_subscriptions: Arc::default(),
            config: config.clone(),
            process: process.to_owned(),
            shutdown: CancellationToken::new(),
            disconnect,
            consumers: TaskTracker::new(),
        })
    }

    /// A publisher. All publishers of a broker share one connection.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// Starts to consume `queue` (its full name, see [`queue_name`](crate::queue_name)) with at most `prefetch` unsettled messages.
    ///
    /// One for work of seconds or more: prefetched messages age towards the consumer time-out. Parallelism is more consumers.
    #[must_use]
    pub fn consumer(&self, queue: impl Into<String>, prefetch: u16) -> Consumer {
        self.start_consumer(queue.into(), prefetch, self.consuming.clone(), self.subscriptions.clone())
    }

    /// Starts to consume `queue`, one message at a time, on a connection that only such consumers share. For a queue that may hold what
    /// ends the connection that receives it: neither the work's connection nor readiness is touched then.
    #[must_use]
    pub fn consumer_apart(&self, queue: impl Into<String>) -> Consumer {
        let open = || self.consuming.beside(&self.process, "consuming apart", self.disconnect.clone());
        let link = self.apart.get_or_init(open).clone();
        self.start_consumer(queue.into(), 1, link, self.apart_subscriptions.clone())
    }

    fn start_consumer(&self, queue: String, prefetch: u16, link: Link, subscriptions: Arc<Subscriptions>) -> Consumer {
        let settings = SubscriptionSettings {
            tag: format!("{}.{}", self.process, Uuid::new_v4().simple()),
            queue,
            prefetch: prefetch.max(1),
            backoff: self.config.backoff(),
            timeout: self.config.connect_timeout(),
        };
        Consumer::start(settings, link, subscriptions, self.shutdown.child_token(), &self.consumers)
    }

    /// Ends every consumer when cancelled: they stop taking messages and hand back what was not started. Deliveries in work can still be
    /// settled until [`close`](Self::close).
    #[must_use]
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// How it looks now. Reads flags, asks nobody.
    #[must_use]
    pub fn health(&self) -> Health {
        let (publishing, consuming) = (self.publishing.state(), self.consuming.state());
        let longest = [&publishing, &consuming].into_iter().filter_map(|state| state.disconnected_since).min();
        Health {
            publishing: self.publishing.connection().is_some() && publishing.blocked.is_none(),
            consuming: self.consuming.connection().is_some() && self.subscriptions.all_active(),
            blocked: publishing.blocked,
            disconnected_for: longest.map(|since| since.elapsed()),
            reconnections: publishing.reconnections + consuming.reconnections,
            apart: self.apart_subscriptions.all_active(),
            resubscriptions: self.subscriptions.resubscriptions(),
            wanted_consumers: self.subscriptions.wanted(),
            active_consumers: self.subscriptions.active(),
        }
    }

    /// `host:port/vhost`, without credentials.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.publishing.endpoint().to_owned()
    }

    /// What stands before every exchange and queue name.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.config.prefix
    }

    /// Ends the consumers, waits until they have handed back what they held, and closes the connections. Settle the deliveries in work
    /// first: those left return to their queues.
    pub async fn close(&self) {
        self.shutdown.cancel();
        self.consumers.close();
        self.consumers.wait().await;
        self.publisher.close().await;
        self.disconnect.cancel();
        self.publishing.closed().await;
        self.consuming.closed().await;
        if let Some(link) = self.apart.get() {
            link.closed().await;
        }
    }

    pub(crate) async fn control_channel(&self) -> Result<Channel, BrokerError> {
        let operation = |error: lapin::Error| BrokerError::Operation {
            doing: "opening a channel".to_owned(),
            endpoint: self.endpoint(),
            source: Box::new(error),
        };
        let connection = self.publishing.connection().ok_or_else(|| BrokerError::Unreachable {
            endpoint: self.endpoint(),
            waited_ms: 0,
            reason: "the connection is lost and being opened again".to_owned(),
        })?;
        connection.create_channel().await.map_err(operation)
    }

    pub(crate) async fn close_control_channel(&self, channel: Channel) {
        if let Err(error) = channel.close(200, "done".into()).await {
            tracing::debug!(reason = words(&error), "a channel had already ended");
        }
    }
}
