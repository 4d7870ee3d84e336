//! What other systems hear of a fleet, and what anybody who may bind a queue does.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use passereau_broker::{Exchange, Incoming, Settled, queue_name, topology};
use passereau_contracts::WORKERS;
use passereau_testing::amqp_url;

use crate::Fleet;

/// Names of the queues of those who listen, without the prefix: to the events, and to everything.
const EAR: &str = "events.test";
const EVERYTHING: &str = "everything.test";
/// How long a message may take that RabbitMQ has.
const SOON: Duration = Duration::from_secs(30);

impl Fleet {
    /// Begins to keep the events that are published, for [`Fleet::heard`].
    ///
    /// # Errors
    /// Those of the broker.
    pub(crate) async fn listen(&self) -> anyhow::Result<()> {
        self.keep(EAR, &[(Exchange::Events, "#")]).await
    }

    /// Begins to keep a copy of every message of the fleet that is published, for [`Fleet::overheard`].
    ///
    /// # Errors
    /// Those of the broker.
    pub async fn overhear(&self) -> anyhow::Result<()> {
        let kinds = WORKERS.iter().flat_map(|worker| worker.kinds).map(|kind| (Exchange::Work, *kind));
        let bindings: Vec<_> = kinds.chain([(Exchange::Events, "#"), (Exchange::Dead, "")]).collect();
        self.keep(EVERYTHING, &bindings).await
    }

    /// Declares a queue with these bindings. It is a classic one, as a listener may choose: a quorum queue that was declared shortly
    /// before RabbitMQ (3.10.8) is killed may be there afterwards and take nothing. Ra writes the names of its servers into their file only after half a
    /// second without a use of it (<https://github.com/rabbitmq/ra/blob/main/src/ra_directory.erl>; `auto_save` of
    /// <https://www.erlang.org/doc/apps/stdlib/dets.html>).
    async fn keep(&self, queue: &str, bindings: &[(Exchange, &str)]) -> anyhow::Result<()> {
        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let queue = queue_name(self.broker.prefix(), queue);
        channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;
        for (exchange, key) in bindings {
            let exchange = exchange.name(self.broker.prefix());
            let options = QueueBindOptions::default();
            channel
                .queue_bind(
                    queue.as_str().into(),
                    exchange.as_str().into(),
                    (*key).into(),
                    options,
                    FieldTable::default(),
                )
                .await?;
        }
        Ok(connection.close(200, "declared".into()).await?)
    }

    /// The events that were published since the start ([`FleetConfig::listens`](crate::FleetConfig::listens)), by their identity: the kind of each. One that was published twice has one
    /// identity.
    ///
    /// # Errors
    /// Those of the broker, or an event that does not come.
    pub async fn heard(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let kept = self.kept(EAR).await?;
        Ok(kept.into_iter().map(|message| (message.message_id.unwrap_or_default(), message.routing_key)).collect())
    }

    /// Every message that was published since [`Fleet::overhear`].
    ///
    /// # Errors
    /// Those of the broker, or a message that does not come.
    pub async fn overheard(&self) -> anyhow::Result<Vec<Incoming>> {
        self.kept(EVERYTHING).await
    }

    /// What a queue has kept; the queue is deleted.
    async fn kept(&self, queue: &str) -> anyhow::Result<Vec<Incoming>> {
        let queue = queue_name(self.broker.prefix(), queue);
        let waiting = topology::waiting(&self.broker, &queue).await?;
        let mut consumer = self.broker.consumer(queue.as_str(), 1);
        let mut kept = Vec::new();
        for _ in 0..waiting {
            let next = tokio::time::timeout(SOON, consumer.next()).await;
            let delivery = next.context("a message did not come")?.context("the listener has ended")?;
            kept.push(delivery.message.clone());
            ensure!(delivery.ack().await == Settled::Done, "a message could not be acknowledged");
        }
        consumer.stop_token().cancel();
        drop(consumer);
        topology::delete_queue(&self.broker, &queue).await?;
        Ok(kept)
    }
}
