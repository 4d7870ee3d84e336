//! What other systems hear of a fleet.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use passereau_broker::{Settled, topology};

use crate::Fleet;

/// Name of the listener.
const EAR: &str = "test";
/// How long an event may take that RabbitMQ has.
const SOON: Duration = Duration::from_secs(30);

impl Fleet {
    /// Begins to keep the events that are published, for [`Fleet::heard`].
    ///
    /// # Errors
    /// Those of the broker.
    pub(crate) async fn listen(&self) -> anyhow::Result<()> {
        topology::listen(&self.broker, EAR, "#").await?;
        Ok(())
    }

    /// The events that were published since the start ([`FleetConfig::listens`](crate::FleetConfig::listens)), by their identity: the kind of each. One that was published twice has one
    /// identity.
    ///
    /// # Errors
    /// Those of the broker, or an event that does not come.
    pub async fn heard(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let queue = topology::listen(&self.broker, EAR, "#").await?;
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
