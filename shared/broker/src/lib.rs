//! RabbitMQ for Passereau: of all that the programs are made of, the only crate that speaks AMQP and imports `lapin`. Tests elsewhere import it where they
//! play another system.
//!
//! # Words
//! - **work exchange** (`passereau.work`, direct): commands, routed by their kind to one quorum queue per worker.
//! - **events exchange** (`passereau.events`, topic): what happened; nobody needs to listen.
//! - **dead exchange** (`passereau.dead`, fanout) and the **dead queue**: what the broker itself gave up.
//! - **link**: one connection that is opened again for as long as it takes. A process has two: one publishes, one consumes, because a
//!   broker that raises a memory or disk alarm stops reading from connections that publish, and acknowledgements must still go through
//!   ([Alarms](https://www.rabbitmq.com/docs/alarms)). Who empties the dead queue has a third: what lies there may be what ends the
//!   connection that receives it ([`Broker::consumer_apart`]).
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
//! lapin 4 can recover a connection by itself (`ConnectionProperties::enable_auto_recover`). We keep it off and reopen links ourselves. A
//! supervisor that asks "am I really consuming?" must be able to start over at any moment, and that cannot be combined with a library that
//! replays what was there. Measured with lapin 4.12.3 against RabbitMQ 3.10.8:
//! - a channel that the broker closes leaves its consumer silent for ever, and `wait_for_recovery` returns the error at once;
//! - a consumer and its channel that are **dropped while the connection is away are replayed all the same**: the broker shows a consumer
//!   that nobody reads, and the messages it is given are held until the consumer time-out;
//! - during an outage no event is sent and neither `reconnecting()` nor `errored()` is true, and attempts that are used up end in silence.
//!
//! A fresh connection, a fresh channel and a fresh subscription are one path, taken and tested for all of these: blips, outages, closed channels,
//! deleted queues.

mod broker;
mod config;
mod connection;
mod consumer;
mod definitions;
mod delay;
mod delivery;
mod error;
mod headers;
mod message;
mod names;
mod permissions;
mod publisher;
mod tls;
pub mod topology;

pub use broker::{Broker, Health};
pub use config::BrokerConfig;
pub use consumer::Consumer;
pub use definitions::Release;
pub use delivery::{Delivery, Settled};
pub use error::{BrokerError, PublishError};
pub use message::{BrokerDeath, Incoming, MAX_BODY_BYTES, Outgoing};
pub use names::{Exchange, dead_queue_name, queue_name};
pub use permissions::{Permissions, permissions, permissions_for};
pub use publisher::Publisher;
pub use tls::install_crypto;
pub use topology::Topology;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    /// A second crate that spoke AMQP would have its own idea of what was published and what was lost.
    #[test]
    fn no_other_crate_of_the_programs_is_built_with_lapin() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut builders = Vec::new();
        for group in ["shared", "services"] {
            for entry in root.join(group).read_dir().unwrap() {
                let folder = entry.unwrap().path();
                let Ok(manifest) = std::fs::read_to_string(folder.join("Cargo.toml")) else { continue };
                let of_programs = manifest.split("[dev-dependencies]").next().unwrap();
                if of_programs.lines().any(|line| line.starts_with("lapin")) {
                    builders.push(folder.file_name().unwrap().to_owned());
                }
            }
        }
        assert_eq!(builders, ["broker"]);
    }
}
