//! Publishing what anyone may publish, as any other system would: by message.

use anyhow::{Context, bail};
use passereau_broker::{Broker, BrokerConfig, Exchange, Outgoing};
use passereau_contracts::Message;
use uuid::Uuid;

/// Publishes a message and waits until the broker has it. Returns its `message_id`; that of a `harvest.request` becomes the id
/// of the harvest.
pub(crate) async fn publish<M: Message>(config: &BrokerConfig, body: &M) -> anyhow::Result<Uuid> {
    let broker = Broker::connect(config, "passereau-command").await?;
    let message_id = Uuid::now_v7();
    let message = Outgoing {
        message_id,
        exchange: Exchange::Work,
        routing_key: M::KIND.to_owned(),
        kind: M::KIND.to_owned(),
        version: M::VERSION,
        correlation_id: None,
        headers: Default::default(),
        body: serde_json::to_vec(body).with_context(|| format!("writing a {} as JSON", M::KIND))?,
        mandatory: true,
    };
    let answers = broker.publisher().publish(vec![message]).await;
    broker.close().await;
    match answers.into_iter().next() {
        Some((_, Ok(()))) => Ok(message_id),
        Some((_, Err(error))) => Err(error).with_context(|| format!("publishing a {}", M::KIND)),
        None => bail!("publishing a {}: the broker gave no answer; do it again", M::KIND),
    }
}
