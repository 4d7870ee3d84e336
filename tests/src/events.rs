//! What other systems hear of a fleet.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use passereau_broker::{Exchange, Settled, queue_name, topology};
use passereau_testing::amqp_url;

use crate::Fleet;

/// Name of the listener's queue, without the prefix.
const EAR: &str = "events.test";
/// How long an event may take that RabbitMQ has.
const SOON: Duration = Duration::from_secs(30);

impl Fleet {
    /// Begins to keep the events that are published, for [`Fleet::heard`]. The queue is a classic one, as a listener may choose: a quorum queue that was declared shortly
    /// before RabbitMQ (3.10.8) is killed may be there afterwards and take nothing. Ra writes the names of its servers into their file only after half a
    /// second without a use of it (<https://github.com/rabbitmq/ra/blob/main/src/ra_directory.erl>; `auto_save` of
    /// <https://www.erlang.org/doc/apps/stdlib/dets.html>).
    ///
    /// # Errors
    /// Those of the broker.
    pub(crate) async fn listen(&self) -> anyhow::Result<()> {
        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let queue = self.ear();
        channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;
        let events = Exchange::Events.name(self.broker.prefix());
        let options = QueueBindOptions::default();
        channel
            .queue_bind(queue.as_str().into(), events.as_str().into(), "#".into(), options, FieldTable::default())
            .await?;
        Ok(connection.close(200, "declared".into()).await?)
    }

    fn ear(&self) -> String {
        queue_name(self.broker.prefix(), EAR)
    }

    /// The events that were published since the start ([`FleetConfig::listens`](crate::FleetConfig::listens)), by their identity: the kind of each. One that was published twice has one
    /// identity.
    ///
    /// # Errors
    /// Those of the broker, or an event that does not come.
    pub async fn heard(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let queue = self.ear();
        let waiting = topology::waiting(&self.broker, &queue).await?;
        let mut consumer = self.broker.consumer(queue.as_str(), 1);
        let mut heard = BTreeMap::new();
        for _ in 0..waiting {
            let next = tokio::time::timeout(SOON, consumer.next()).await;
            let delivery = next.context("an event did not come")?.context("the listener has ended")?;
            let message = &delivery.message;
            heard.insert(message.message_id.clone().unwrap_or_default(), message.routing_key.clone());
            ensure!(delivery.ack().await == Settled::Done, "an event could not be acknowledged");
        }
        consumer.stop_token().cancel();
        drop(consumer);
        topology::delete_queue(&self.broker, &queue).await?;
        Ok(heard)
    }
}
