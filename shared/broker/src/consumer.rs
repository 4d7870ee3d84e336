//! Consuming without ever falling silent.
//!
//! Each consumer has a supervisor task that owns its channel and subscription and asks one question: *am I really consuming?* The answer is
//! no when the broker cancels (the stream ends: queue deleted, or consumer time-out from RabbitMQ 4.3), when the channel is closed (an
//! error: consumer time-out up to 4.2, double acknowledgement), when the connection is lost, and when the channel is found dead without any of
//! these having been announced. Every no leads to the same cure: wait, take the link's current connection, open a channel, subscribe again.
//!
//! Deliveries reach the caller through a bounded queue, so [`Consumer::next`] can be dropped at any await without losing one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Delivery;
use crate::connection::Link;
use crate::delay::Backoff;
use crate::error::{reply_code, words};

/// How often a silent subscription is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A subscription that lasted this long was a good one: the next failure starts with the shortest delay.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
const NOT_FOUND: u16 = 404;

/// How all consumers of a process are doing; part of [`Health`](crate::Health).
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    wanted: AtomicUsize,
    active: AtomicUsize,
    repeated: AtomicU64,
}

impl Subscriptions {
    pub(crate) fn all_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) >= self.wanted.load(Ordering::Relaxed)
    }

    pub(crate) fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::Relaxed) as u64
    }

    pub(crate) fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed) as u64
    }

    pub(crate) fn resubscriptions(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }
}

/// Counts up until it is dropped, also when its task panics or is aborted.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SubscriptionSettings {
    pub(crate) tag: String,
    pub(crate) queue: String,
    pub(crate) prefetch: u16,
    pub(crate) backoff: Backoff,
    pub(crate) timeout: Duration,
}

/// A stream of deliveries from one queue. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Consumer {
    queue: String,
    deliveries: mpsc::Receiver<Delivery>,
    stop: CancellationToken,
}

impl Consumer {
    pub(crate) fn start(
        settings: SubscriptionSettings,
        link: Link,
        subscriptions: Arc<Subscriptions>,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (sender, deliveries) = mpsc::channel(1);
        let queue = settings.queue.clone();
        let supervisor = Supervisor { settings, link, subscriptions, sender, stop: stop.clone() };
        // Wanted from now on, not from when the task first runs: health must not be green in between.
        supervisor.subscriptions.wanted.fetch_add(1, Ordering::Relaxed);
        tasks.spawn(supervisor.run());
        Self { queue, deliveries, stop }
    }

    /// The next delivery. `None` after [`stop_token`](Self::stop_token) or the broker's shutdown token was cancelled; without that, only
    /// when the task behind it has panicked, and [`Health`](crate::Health) then misses this consumer. Cancel-safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        if !self.stop.is_cancelled() {
            let stop = self.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                delivery = self.deliveries.recv() => if delivery.is_some() { return delivery; },
            }
        }
        // Until the supervisor has ended: it may be putting one more into the queue.
        while let Some(delivery) = self.deliveries.recv().await {
            if let crate::Settled::Lost = delivery.requeue().await {
                tracing::debug!(queue = self.queue, "the broker takes it back by itself");
            }
        }
        None
    }

    /// Ends this consumer when cancelled: no further messages are taken, those not started return to the queue.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The queue's full name.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }
}

struct Supervisor {
    settings: SubscriptionSettings,
    link: Link,
    subscriptions: Arc<Subscriptions>,
    sender: mpsc::Sender<Delivery>,
    stop: CancellationToken,
}

struct Subscription {
    channel: Channel,
    stream: lapin::Consumer,
}

enum End {
    /// Shutdown, or nobody listens any more.
    Stopped,
    /// The subscription is gone; the reason for the log.
    Lost(String),
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // One that panicked stays wanted: nothing consumes in its place, and health must say so.
        if self.stop.is_cancelled() || self.sender.is_closed() {
            self.subscriptions.wanted.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Supervisor {
    async fn run(self) {
        let queue = self.settings.queue.as_str();
        let mut attempt = 0;
        loop {
            let started = Instant::now();
            let reason = match self.subscribe().await {
                None => return,
                Some(Err(reason)) => reason,
                Some(Ok(mut subscription)) => {
                    tracing::info!(queue, "consuming");
                    let active = Counted::new(&self.subscriptions.active);
                    let end = self.forward(&mut subscription).await;
                    drop(active);
                    match end {
                        End::Stopped => return self.hand_back(subscription).await,
                        End::Lost(reason) => reason,
                    }
                }
            };
            self.subscriptions.repeated.fetch_add(1, Ordering::Relaxed);
            attempt = if started.elapsed() > SETTLED_AFTER { 0 } else { attempt };
            tracing::warn!(queue, reason, attempt, "not consuming, subscribing again");
            tokio::select! {
                () = tokio::time::sleep(self.settings.backoff.random_delay(attempt)) => {}
                () = self.stopped() => return,
            }
            attempt = attempt.saturating_add(1);
        }
    }

    async fn stopped(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.sender.closed() => {}
        }
    }

    /// `None` when stopped meanwhile or when the link is closed for good.
    async fn subscribe(&self) -> Option<Result<Subscription, String>> {
        let connection = tokio::select! {
            connection = self.link.wait() => connection?,
            () = self.stopped() => return None,
        };
        let subscribing = tokio::time::timeout(self.settings.timeout, self.subscribe_on(&connection));
        tokio::select! {
            subscribed = subscribing => Some(subscribed.unwrap_or_else(|_| Err("no answer to the subscription".to_owned()))),
            () = self.stopped() => None,
        }
    }

    async fn subscribe_on(&self, connection: &Connection) -> Result<Subscription, String> {
        let SubscriptionSettings { tag, queue, prefetch, .. } = &self.settings;
        let short = |name: &str| ShortString::try_new(name).map_err(|_| format!("{name:?} has more than 255 bytes"));
        let subscribed = async {
            let channel = connection.create_channel().await?;
            // Per consumer: quorum queues know no limit per channel.
            channel.basic_qos(*prefetch, BasicQosOptions { global: false }).await?;
            Ok(channel)
        };
        let channel: Channel = subscribed.await.map_err(|error: lapin::Error| words(&error))?;
        let consumed =
            channel.basic_consume(short(queue)?, short(tag)?, BasicConsumeOptions::default(), FieldTable::default());
        match consumed.await {
            Ok(stream) => Ok(Subscription { channel, stream }),
            Err(error) if reply_code(&error) == Some(NOT_FOUND) => {
                Err(format!("{}; run `passereau topology apply`", words(&error)))
            }
            Err(error) => Err(words(&error)),
        }
    }

    async fn forward(&self, subscription: &mut Subscription) -> End {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::Stopped,
                _ = look.tick() => {
                    // A channel can end without a word in the stream.
                    if !subscription.channel.status().connected() {
                        return End::Lost("the channel has ended".to_owned());
                    }
                }
                // A place first, then a message: what is taken out of the stream can always be passed on.
                permit = self.sender.reserve() => {
                    let Ok(permit) = permit else { return End::Stopped };
                    match self.take(subscription, &mut look).await {
                        Ok(delivery) => permit.send(delivery),
                        Err(end) => return end,
                    }
                }
            }
        }
    }

    async fn take(&self, subscription: &mut Subscription, look: &mut tokio::time::Interval) -> Result<Delivery, End> {
        loop {
            tokio::select! {
                biased;
                () = self.stopped() => return Err(End::Stopped),
                next = subscription.stream.next() => return match next {
                    Some(Ok(delivery)) => Ok(Delivery::new(delivery, subscription.channel.clone())),
                    Some(Err(error)) => Err(End::Lost(words(&error))),
                    None => Err(End::Lost("the broker cancelled the subscription (is the queue deleted?)".to_owned())),
                },
                _ = look.tick() => {
                    if !subscription.channel.status().connected() {
                        return Err(End::Lost("the channel has ended".to_owned()));
                    }
                }
            }
        }
    }

    /// After `basic.cancel` the buffered deliveries still come out of the stream, then it ends. They were not started: back they go.
    /// The channel stays open for the deliveries in work, which hold a handle on it.
    async fn hand_back(&self, mut subscription: Subscription) {
        let work = async {
            let tag = subscription.stream.tag();
            if let Err(error) = subscription.channel.basic_cancel(tag, BasicCancelOptions::default()).await {
                tracing::debug!(reason = words(&error), "the subscription had already ended");
                return;
            }
            let mut count = 0_u32;
            while let Some(Ok(delivery)) = subscription.stream.next().await {
                match delivery.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await {
                    Ok(true) => count += 1,
                    Ok(false) | Err(_) => return,
                }
            }
            tracing::info!(queue = self.settings.queue, handed_back = count, "stopped consuming");
        };
        if tokio::time::timeout(self.settings.timeout, work).await.is_err() {
            tracing::warn!(
                queue = self.settings.queue,
                "the broker does not answer, unstarted messages return with the connection's end"
            );
        }
    }
}
