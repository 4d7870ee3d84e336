//! Publishing with certainty: a message is published when the broker has confirmed it **and** has not returned it.
//!
//! With `mandatory`, an unroutable message is first returned and then *acknowledged*. lapin (4.12.3) hands a returned message to whichever
//! confirmation completes first, so the pairing of one confirmation with one return is wrong as soon as two messages are in flight. Therefore
//! a batch has a channel to itself, all its confirmations are awaited, and returned messages are told apart by their `message_id`.
//! A channel goes back to the pool only after a batch whose every confirmation came: nothing late can meet the next batch, also
//! when the caller stopped waiting.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::time::Instant;
use uuid::Uuid;

use crate::connection::Link;
use crate::error::{reply_code, words};
use crate::{BrokerConfig, Exchange, Outgoing, PublishError};

/// Messages in flight on one channel. More gains nothing measurable and makes every unknown outcome larger.
const IN_FLIGHT: usize = 256;
/// Idle channels kept for the next batch; a process has few publishers at a time.
const IDLE_CHANNELS: usize = 8;
const NO_CONFIRMATION: &str = "no confirmation in time";

/// Publishes batches. Clones share the connection; batches of several callers do not disturb each other.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

struct Shared {
    link: Link,
    prefix: String,
    app_id: String,
    timeout: Duration,
    idle: Mutex<Vec<Channel>>,
}

/// A message that is fit to be sent, and its place in the caller's batch.
struct Ready {
    index: usize,
    properties: BasicProperties,
}

type Answer = Result<(), PublishError>;

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("endpoint", &self.shared.link.endpoint()).finish_non_exhaustive()
    }
}

impl Publisher {
    pub(crate) fn new(link: Link, config: &BrokerConfig, app_id: &str) -> Self {
        let shared = Shared {
            link,
            prefix: config.prefix.clone(),
            app_id: app_id.to_owned(),
            timeout: config.confirm_timeout(),
            idle: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The name of an exchange of this fleet, with its prefix.
    #[must_use]
    pub fn exchange_name(&self, exchange: Exchange) -> String {
        exchange.name(&self.shared.prefix)
    }

    /// Publishes all messages and waits for every confirmation; the answers come in the order of the messages.
    ///
    /// Messages of one exchange do not fail because another exchange is missing. Dropping the future leaves the outcome of what was
    /// under way unknown, as a time-out does.
    pub async fn publish(&self, batch: Vec<Outgoing>) -> Vec<(Uuid, Answer)> {
        let mut answers: Vec<Option<Answer>> = vec![None; batch.len()];
        let mut by_exchange: HashMap<Exchange, Vec<Ready>> = HashMap::new();
        let mut ids = HashSet::new();
        let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap_or_default();
        for (index, message) in batch.iter().enumerate() {
            match message.properties(&self.shared.app_id, now) {
                Err(error) => answers[index] = Some(Err(error)),
                Ok(_) if !ids.insert(message.message_id) => answers[index] = Some(Err(PublishError::DuplicateId)),
                Ok(properties) => by_exchange.entry(message.exchange).or_default().push(Ready { index, properties }),
            }
        }
        'all: for (exchange, ready) in by_exchange {
            for part in ready.chunks(IN_FLIGHT) {
                let part_answers = self.publish_part(exchange, &batch, part).await;
                let hopeless = part_answers.iter().any(|answer| answer.as_ref().is_err_and(is_hopeless));
                for (ready, answer) in part.iter().zip(part_answers) {
                    answers[ready.index] = Some(answer);
                }
                if hopeless {
                    break 'all;
                }
            }
        }
        let unanswered = || Err(PublishError::NotAttempted);
        batch
            .iter()
            .zip(answers)
            .map(|(message, answer)| (message.message_id, answer.unwrap_or_else(unanswered)))
            .collect()
    }

    async fn publish_part(&self, exchange: Exchange, batch: &[Outgoing], part: &[Ready]) -> Vec<Answer> {
        if let Some(reason) = self.shared.link.state().blocked {
            return vec![Err(PublishError::Blocked { reason }); part.len()];
        }
        let deadline = Instant::now() + self.shared.timeout;
        let channel = match self.channel(deadline).await {
            Ok(channel) => channel,
            Err(error) => return vec![Err(error); part.len()],
        };
        let mut flight = Flight { exchange, answers: vec![Ok(()); part.len()], returned: HashMap::new(), clean: true };
        self.send(&channel, batch, part, &mut flight, deadline).await;
        let Flight { answers, returned, clean, .. } = flight;
        let ids: HashSet<String> = part.iter().map(|ready| batch[ready.index].message_id.to_string()).collect();
        if returned.keys().any(|id| !ids.contains(id)) {
            // Cannot happen on a channel that is ours alone; if it does, no answer of this part can be trusted.
            tracing::error!("RabbitMQ returned a message that is not of this batch");
            return vec![Err(unknown("a foreign message was returned")); part.len()];
        }
        if clean {
            self.give_back(channel);
        }
        let judge = |(ready, answer): (&Ready, Answer)| {
            let message = &batch[ready.index];
            match returned.get(&message.message_id.to_string()) {
                Some(reason) => Err(PublishError::Unroutable {
                    exchange,
                    routing_key: message.routing_key.clone(),
                    reason: reason.clone(),
                }),
                None => answer,
            }
        };
        part.iter().zip(answers).map(judge).collect()
    }

    /// Sends everything, then waits for every confirmation.
    async fn send(
        &self,
        channel: &Channel,
        batch: &[Outgoing],
        part: &[Ready],
        flight: &mut Flight,
        deadline: Instant,
    ) {
        let exchange = self.exchange_name(flight.exchange);
        let mut confirms = Vec::with_capacity(part.len());
        for (place, ready) in part.iter().enumerate() {
            let message = &batch[ready.index];
            let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
            let sent = async {
                let exchange = message.short("exchange", &exchange)?;
                let routing_key = message.short("routing key", &message.routing_key)?;
                let publish =
                    channel.basic_publish(exchange, routing_key, options, &message.body, ready.properties.clone());
                Ok(tokio::time::timeout_at(deadline, publish).await)
            };
            match sent.await {
                Ok(Ok(Ok(confirm))) => confirms.push((place, confirm)),
                Ok(Ok(Err(error))) => flight.fail(place, Some(&error)),
                Ok(Err(_)) => flight.fail(place, None),
                Err(error) => flight.answers[place] = Err(error),
            }
        }
        for (place, confirm) in confirms {
            match tokio::time::timeout_at(deadline, confirm).await {
                Ok(Ok(Confirmation::Ack(returned))) => flight.note(returned),
                Ok(Ok(Confirmation::Nack(returned))) => {
                    flight.note(returned);
                    flight.answers[place] =
                        Err(unknown("the broker did not accept it (queue full, or no majority of its replicas)"));
                }
                Ok(Ok(Confirmation::NotRequested)) => {
                    flight.clean = false;
                    flight.answers[place] = Err(unknown("the channel does not confirm"));
                }
                Ok(Err(error)) => flight.fail(place, Some(&error)),
                Err(_) => flight.fail(place, None),
            }
        }
    }

    /// A channel that nobody else uses, in confirm mode.
    async fn channel(&self, deadline: Instant) -> Result<Channel, PublishError> {
        while let Some(channel) = self.idle().pop() {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        let not_connected = || PublishError::NotConnected { endpoint: self.shared.link.endpoint().to_owned() };
        let connection = self.shared.link.connection().ok_or_else(not_connected)?;
        let open = async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>(channel)
        };
        match tokio::time::timeout_at(deadline, open).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => {
                tracing::debug!(reason = words(&error), "cannot open a channel to publish");
                Err(not_connected())
            }
            Err(_) => Err(not_connected()),
        }
    }

    fn give_back(&self, channel: Channel) {
        let mut idle = self.idle();
        if idle.len() < IDLE_CHANNELS && channel.status().connected() {
            idle.push(channel);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up the idle channels.
    pub(crate) async fn close(&self) {
        self.idle().clear();
    }
}

/// What became of one part so far.
struct Flight {
    exchange: Exchange,
    answers: Vec<Answer>,
    /// The broker's reason by `message_id`.
    returned: HashMap<String, String>,
    /// Whether every confirmation came, so that the channel can be used again.
    clean: bool,
}

impl Flight {
    fn note(&mut self, returned: Option<lapin::message::BasicReturnMessage>) {
        if let Some(message) = returned {
            let id = message.properties.message_id().as_ref().map_or("", |id| id.as_str()).to_owned();
            self.returned.insert(id, format!("{} {}", message.reply_code, message.reply_text));
        }
    }

    /// No confirmation: lapin's error, or `None` for a time-out.
    fn fail(&mut self, place: usize, error: Option<&lapin::Error>) {
        self.clean = false;
        self.answers[place] = Err(match error {
            // The broker closed the channel. Whether it had taken this one before is unknown, but the caller's next step is the same:
            // publish it again under its id.
            Some(error) if reply_code(error).is_some() => {
                PublishError::Refused { exchange: self.exchange, reason: words(error) }
            }
            Some(error) => unknown(words(error)),
            None => unknown(NO_CONFIRMATION),
        });
    }
}

/// Whether the next part would only wait for the same time-out or find the same broker gone.
fn is_hopeless(error: &PublishError) -> bool {
    matches!(error, PublishError::NotConnected { .. } | PublishError::Blocked { .. })
        || matches!(error, PublishError::Unknown { reason } if reason == NO_CONFIRMATION)
}

fn unknown(reason: impl Into<String>) -> PublishError {
    PublishError::Unknown { reason: reason.into() }
}
