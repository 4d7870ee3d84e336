//! Exchanges, queues and bindings, as data, and the two things done with them: [`apply`] and [`check`].
//!
//! Arguments of a queue are fixed for its life and compared at each declaration, so they hold only what makes the queue what it is. Tunables
//! (lengths, time-outs) belong into broker policies. The arguments below are accepted alike by RabbitMQ 3.10, 3.13 and 4.x:
//!
//! | argument | why |
//! | --- | --- |
//! | `x-queue-type: quorum` | replicated, and the only type with a delivery limit ([Quorum queues](https://www.rabbitmq.com/docs/quorum-queues)) |
//! | `x-dead-letter-exchange` | what the broker gives up is kept in the dead queue |
//! | `x-dead-letter-strategy: at-least-once` + `x-overflow: reject-publish` | the source keeps a dead letter until the dead queue has confirmed it; with the default `drop-head` the broker silently falls back to at-most-once. The declaration succeeds everywhere, but 3.10 and 3.11 also fall back when the feature flag `stream_queue` is off, as it can be on an upgraded broker: `rabbitmqctl enable_feature_flag stream_queue` ([At-least-once dead lettering](https://www.rabbitmq.com/docs/quorum-queues#dead-lettering)) |
//! | `x-delivery-limit: 20` | a breaker for messages that crash their worker: none by default up to 3.13, 20 from 4.0. Not a count of attempts, which are ours |
//!
//! The dead queue's own delivery limit is 100: nothing stands behind it, so the broker **drops** what comes back more often. That is the one
//! end of a message that no client can read: a property with a byte that is not UTF-8 ends the connection that receives it, before any
//! code sees a message. One that can be read comes back at the end of a process only. A listener's limit is out of reach: `-1` (no
//! limit) is refused before 4.0.
//!
//! There is deliberately **no alternate exchange** on the work exchange: a message caught by one counts as routed, so the publisher
//! would get a plain confirmation for a kind that no worker takes.

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use crate::error::{reply_code, words};
use crate::{Broker, BrokerError, Exchange, dead_queue_name, queue_name};

const DELIVERY_LIMIT: i32 = 20;
pub(crate) const DEAD_DELIVERY_LIMIT: i32 = 100;
const UNREACHABLE_DELIVERY_LIMIT: i32 = 1_000_000_000;
const LISTENER_EXPIRES_MS: i32 = 600_000;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// What must exist on the broker. Which worker takes which kinds is told by the caller: this crate knows no domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    prefix: String,
    queues: Vec<WorkQueue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct WorkQueue {
    name: String,
    kinds: Vec<String>,
}

/// A queue to be declared: durable, neither exclusive nor deleted by itself. A queue that is neither durable nor exclusive is refused
/// from RabbitMQ 4.3 (<https://www.rabbitmq.com/docs/queues>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) arguments: Vec<(&'static str, Argument)>,
}

/// The value of a queue's argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    Text(String),
    Number(i32),
}

impl Topology {
    /// One quorum queue per worker, bound to the work exchange by each of its kinds.
    #[must_use]
    pub fn new(prefix: &str, workers: &[(&str, &[&str])]) -> Self {
        let queues = workers
            .iter()
            .map(|(worker, kinds)| WorkQueue {
                name: queue_name(prefix, worker),
                kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            })
            .collect();
        Self { prefix: prefix.to_owned(), queues }
    }

    /// The names of all queues, the dead queue last.
    #[must_use]
    pub fn queue_names(&self) -> Vec<String> {
        let work = self.queues.iter().map(|queue| queue.name.clone());
        work.chain([dead_queue_name(&self.prefix)]).collect()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The dead queue first: the work queues send to it.
    pub(crate) fn declarations(&self) -> Vec<Queue> {
        let dead = Queue { name: dead_queue_name(&self.prefix), arguments: quorum(DEAD_DELIVERY_LIMIT) };
        let work = self
            .queues
            .iter()
            .map(|queue| Queue { name: queue.name.clone(), arguments: work_queue_arguments(&self.prefix) });
        [dead].into_iter().chain(work).collect()
    }

    /// Queue, exchange, routing key.
    pub(crate) fn bindings(&self) -> Vec<(String, Exchange, &str)> {
        let work = self
            .queues
            .iter()
            .flat_map(|queue| queue.kinds.iter().map(|kind| (queue.name.clone(), Exchange::Work, kind.as_str())));
        [(dead_queue_name(&self.prefix), Exchange::Dead, "")].into_iter().chain(work).collect()
    }
}

/// Creates what is missing. Doing it again changes nothing; what exists with other settings is an error.
///
/// A binding that a newer version no longer wants is left alone: an older worker may still need it during an upgrade.
///
/// # Errors
/// [`BrokerError::TopologyMismatch`] names what differs; otherwise the connection's failure.
pub async fn apply(broker: &Broker, topology: &Topology) -> Result<(), BrokerError> {
    let prefix = &topology.prefix;
    let channel = broker.control_channel().await?;
    for exchange in Exchange::ALL {
        let name = exchange.name(prefix);
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared =
            channel.exchange_declare(short(&name)?, exchange_kind(exchange), options, FieldTable::default()).await;
        declared.map_err(|error| explain(broker, format!("exchange {name}"), error))?;
    }
    for queue in topology.declarations() {
        declare_queue(broker, &channel, &queue).await?;
    }
    for (queue, exchange, routing_key) in topology.bindings() {
        bind(broker, &channel, &queue, exchange, prefix, routing_key).await?;
    }
    broker.close_control_channel(channel).await;
    Ok(())
}

/// Looks without changing anything whether every exchange and queue is there. Bindings cannot be asked for over AMQP; a missing one
/// shows when a message of its kind is published, as [`PublishError::Unroutable`](crate::PublishError::Unroutable).
///
/// # Errors
/// [`BrokerError::TopologyMissing`] names everything that is missing and the command that creates it.
pub async fn check(broker: &Broker, topology: &Topology) -> Result<(), BrokerError> {
    let mut missing = Vec::new();
    let mut channel = broker.control_channel().await?;
    let exchanges = Exchange::ALL.map(Part::Exchange);
    let queues = topology.queue_names().into_iter().map(Part::Queue);
    for part in exchanges.into_iter().chain(queues) {
        let what = part.describe(&topology.prefix);
        match part.look(&channel, &topology.prefix).await? {
            Ok(()) => {}
            // The broker closes the channel with its answer, so the next question needs another one.
            Err(error) if reply_code(&error) == Some(NOT_FOUND) => {
                missing.push(what);
                channel = broker.control_channel().await?;
            }
            Err(error) => return Err(explain(broker, what, error)),
        }
    }
    broker.close_control_channel(channel).await;
    if missing.is_empty() { Ok(()) } else { Err(BrokerError::TopologyMissing { endpoint: broker.endpoint(), missing }) }
}

/// One thing to look for.
enum Part {
    Exchange(Exchange),
    Queue(String),
}

impl Part {
    fn describe(&self, prefix: &str) -> String {
        match self {
            Self::Exchange(exchange) => format!("exchange {}", exchange.name(prefix)),
            Self::Queue(name) => format!("queue {name}"),
        }
    }

    async fn look(&self, channel: &Channel, prefix: &str) -> Result<lapin::Result<()>, BrokerError> {
        Ok(match self {
            Self::Exchange(exchange) => {
                let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
                let name = short(&exchange.name(prefix))?;
                channel.exchange_declare(name, exchange_kind(*exchange), options, FieldTable::default()).await
            }
            Self::Queue(name) => {
                let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                channel.queue_declare(short(name)?, options, FieldTable::default()).await.map(|_| ())
            }
        })
    }
}

/// Makes a queue that hears the events whose kind matches `pattern` (`harvest.*`, `#`), and returns its full name for
/// [`Broker::consumer`]. It vanishes ten minutes after the last consumer left, so a listener that is forgotten fills no disk. `name` is
/// the listener's own; two consumers on the same name share the events.
///
/// # Errors
/// The connection's failure, or a missing events exchange.
pub async fn listen(broker: &Broker, name: &str, pattern: &str) -> Result<String, BrokerError> {
    let queue = listener(broker.prefix(), name);
    let channel = broker.control_channel().await?;
    declare_queue(broker, &channel, &queue).await?;
    bind(broker, &channel, &queue.name, Exchange::Events, broker.prefix(), pattern).await?;
    broker.close_control_channel(channel).await;
    Ok(queue.name)
}

/// How many messages of a queue wait for a consumer, by its full name; those in a consumer's hands are not counted.
///
/// # Errors
/// The connection's failure, or a queue that does not exist.
pub async fn waiting(broker: &Broker, queue: &str) -> Result<u32, BrokerError> {
    let channel = broker.control_channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let looked = channel.queue_declare(short(queue)?, options, FieldTable::default()).await;
    let looked = looked.map_err(|error| explain(broker, format!("queue {queue}"), error))?;
    broker.close_control_channel(channel).await;
    Ok(looked.message_count())
}

/// Deletes one queue by its full name, with the messages in it. For tests.
///
/// # Errors
/// The connection's failure. A queue that is gone already is no error.
pub async fn delete_queue(broker: &Broker, queue: &str) -> Result<(), BrokerError> {
    let channel = broker.control_channel().await?;
    let deleted = channel.queue_delete(short(queue)?, QueueDeleteOptions::default()).await;
    deleted.map_err(|error| explain(broker, format!("queue {queue}"), error))?;
    broker.close_control_channel(channel).await;
    Ok(())
}

/// Deletes every queue, with the messages in it, and the exchanges. For tests and for moving to another prefix.
///
/// # Errors
/// The connection's failure. What is already gone is no error.
pub async fn delete(broker: &Broker, topology: &Topology) -> Result<(), BrokerError> {
    let channel = broker.control_channel().await?;
    for name in topology.queue_names() {
        let deleted = channel.queue_delete(short(&name)?, QueueDeleteOptions::default()).await;
        deleted.map_err(|error| explain(broker, format!("queue {name}"), error))?;
    }
    for exchange in Exchange::ALL {
        let name = exchange.name(&topology.prefix);
        let deleted = channel.exchange_delete(short(&name)?, ExchangeDeleteOptions::default()).await;
        deleted.map_err(|error| explain(broker, format!("exchange {name}"), error))?;
    }
    broker.close_control_channel(channel).await;
    Ok(())
}

async fn declare_queue(broker: &Broker, channel: &Channel, queue: &Queue) -> Result<(), BrokerError> {
    let Queue { name, arguments } = queue;
    let mut table = FieldTable::default();
    for (name, argument) in arguments {
        let value = match argument {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Number(number) => AMQPValue::LongInt(*number),
        };
        table.insert((*name).into(), value);
    }
    let declared = channel.queue_declare(short(name)?, QueueDeclareOptions::durable(), table).await;
    declared.map(|_| ()).map_err(|error| explain(broker, format!("queue {name}"), error))
}

async fn bind(
    broker: &Broker,
    channel: &Channel,
    queue: &str,
    exchange: Exchange,
    prefix: &str,
    routing_key: &str,
) -> Result<(), BrokerError> {
    let source = short(&exchange.name(prefix))?;
    let bound = channel
        .queue_bind(short(queue)?, source, short(routing_key)?, QueueBindOptions::default(), FieldTable::default())
        .await;
    bound.map_err(|error| explain(broker, format!("binding {queue} ← {exchange} {routing_key}"), error))
}

fn work_queue_arguments(prefix: &str) -> Vec<(&'static str, Argument)> {
    let text = |value: &str| Argument::Text(value.to_owned());
    let mut arguments = quorum(DELIVERY_LIMIT);
    arguments.push(("x-dead-letter-exchange", text(&Exchange::Dead.name(prefix))));
    arguments.push(("x-dead-letter-strategy", text("at-least-once")));
    arguments.push(("x-overflow", text("reject-publish")));
    arguments
}

/// The queue of a listener to events.
fn listener(prefix: &str, name: &str) -> Queue {
    let mut arguments = quorum(UNREACHABLE_DELIVERY_LIMIT);
    arguments.push(("x-expires", Argument::Number(LISTENER_EXPIRES_MS)));
    Queue { name: queue_name(prefix, &format!("events.{name}")), arguments }
}

fn quorum(delivery_limit: i32) -> Vec<(&'static str, Argument)> {
    vec![("x-queue-type", Argument::Text("quorum".to_owned())), ("x-delivery-limit", Argument::Number(delivery_limit))]
}

impl Exchange {
    /// The type's name in AMQP.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Work => "direct",
            Self::Events => "topic",
            Self::Dead => "fanout",
        }
    }
}

fn exchange_kind(exchange: Exchange) -> ExchangeKind {
    match exchange {
        Exchange::Work => ExchangeKind::Direct,
        Exchange::Events => ExchangeKind::Topic,
        Exchange::Dead => ExchangeKind::Fanout,
    }
}

fn short(name: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(name).map_err(|_| BrokerError::Name { name: name.to_owned() })
}

fn explain(broker: &Broker, what: String, error: lapin::Error) -> BrokerError {
    let endpoint = broker.endpoint();
    if reply_code(&error) == Some(PRECONDITION_FAILED) {
        return BrokerError::TopologyMismatch { endpoint, what, reason: words(&error) };
    }
    BrokerError::Operation { doing: format!("declaring or deleting {what}"), endpoint, source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arguments of a quorum queue that mean the same from RabbitMQ 3.10 to 4.3, as far as we use them:
    /// <https://www.rabbitmq.com/docs/3.13/quorum-queues#feature-matrix>, <https://www.rabbitmq.com/docs/quorum-queues>. Not among them, and
    /// therefore not to be used: `x-consumer-timeout` (ignored before 3.12), `x-max-priority` (refused on a quorum queue by 3.10, ignored later),
    /// `x-delayed-retry-*` (ignored before 4.3), `x-queue-mode` and `x-queue-version` (refused from 4.3), `x-max-in-memory-length` (without effect
    /// from 3.10 on), `x-message-ttl` (on a work queue it would lose work).
    const PORTABLE: [&str; 6] = [
        "x-queue-type",
        "x-delivery-limit",
        "x-dead-letter-exchange",
        "x-dead-letter-strategy",
        "x-overflow",
        "x-expires",
    ];

    #[test]
    fn queues_are_declared_with_portable_arguments_only_and_never_without_a_limit() {
        let topology = Topology::new("t.", &[("alpha", &["alpha.do"])]);
        let queues: Vec<Queue> = topology.declarations().into_iter().chain([listener("t.", "dashboard")]).collect();
        assert_eq!(queues.len(), 3);
        for queue in queues {
            for (argument, _) in &queue.arguments {
                assert!(PORTABLE.contains(argument), "{argument} of {}", queue.name);
            }
            assert!(queue.arguments.contains(&("x-queue-type", Argument::Text("quorum".to_owned()))), "{}", queue.name);
            // -1, no limit, is refused before 4.0; no argument at all means no limit before 4.0 and 20 from then on.
            let limit = queue.arguments.iter().find(|(name, _)| *name == "x-delivery-limit");
            assert!(matches!(limit, Some((_, Argument::Number(1..)))), "{}: {limit:?}", queue.name);
        }
    }
}
