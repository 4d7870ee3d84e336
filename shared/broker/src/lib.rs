//! RabbitMQ for Passereau: the only crate that speaks AMQP, and the only one that imports `lapin`.
//!
//! # Words
//! - **work exchange** (`passereau.work`, direct): commands, routed by their kind to one quorum queue per worker.
//! - **events exchange** (`passereau.events`, topic): what happened; nobody needs to listen.
//! - **dead exchange** (`passereau.dead`, fanout) and the **dead queue**: what the broker itself gave up.
//! - **link**: one connection that is opened again for as long as it takes. A process has two: one publishes, one consumes, because a
//!   broker that raises a memory or disk alarm stops reading from connections that publish, and acknowledgements must still go through
//!   ([Alarms](https://www.rabbitmq.com/docs/alarms)).
//!
//! # Promises
//! - Delivery is **at least once**. [`Settled::Lost`] and [`PublishError::Unknown`] are normal answers, not faults: the message comes again
//!   or is published again under the *same* `message_id`, and the consumer recognises it.
//! - A publish succeeded only when the broker confirmed it and did not return it.
//! - [`Consumer::next`] ends only after a shutdown. Deleted queue, closed channel, absent broker: it subscribes again, for ever, and
//!   [`Health::consuming`] is false meanwhile.
//! - Credentials are never printed: errors and logs name `host:port/vhost`, never the URL.
//!
//! # Never block the runtime's threads
//! Heartbeats are a task on the Tokio runtime that called [`Broker::connect`]. Inflating, parsing or hashing on its worker threads for
//! longer than the heartbeat (60 s by default) makes the broker drop the connection, and every unacknowledged message is delivered again.
//! Such work belongs to `tokio::task::spawn_blocking`.
//!
//! # Why lapin's own recovery is off
//! lapin 4 can recover a connection by itself (`ConnectionProperties::enable_auto_recover`). We keep it off and reopen links ourselves, because
//! its recovery (as of 4.12.3) has ends nobody is told about: a channel closed by the broker leaves a consumer silent, used-up attempts
//! leave a dead connection that reports no error, and when one consumer's queue is gone the replay fails as a whole, so that it throws
//! away the new connection with everybody else's consumers and starts over. A fresh connection, a fresh channel and a fresh
//! subscription have one path, which is tested for all of these.

mod broker;
mod config;
mod connection;
mod consumer;
mod delay;
mod delivery;
mod error;
mod headers;
mod message;
mod names;
mod publisher;
mod tls;
pub mod topology;

pub use broker::{Broker, Health};
pub use config::BrokerConfig;
pub use consumer::Consumer;
pub use delivery::{Delivery, Settled};
pub use error::{BrokerError, PublishError};
pub use headers::{HeaderExtractor, HeaderInjector};
pub use message::{BrokerDeath, Incoming, MAX_BODY_BYTES, Outgoing};
pub use names::{Exchange, dead_queue_name, queue_name};
pub use publisher::Publisher;
pub use tls::install_crypto;
pub use topology::Topology;
