//! Publishing a request as any other system would: by message.

use anyhow::{Context, bail};
use passereau_broker::{Broker, BrokerConfig, Exchange, Outgoing};
use passereau_contracts::{HarvestRequest, Message};
use uuid::Uuid;

/// Publishes a `harvest.request` and waits until the broker has it. Returns its `message_id`, which becomes the id of the
/// harvest.
pub(crate) async fn publish_request(config: &BrokerConfig, request: &HarvestRequest) -> anyhow::Result<Uuid> {
    let broker = Broker::connect(config, "passereau-command").await?;
    let message_id = Uuid::now_v7();
    let message = Outgoing {
        message_id,
        exchange: Exchange::Work,
        routing_key: HarvestRequest::KIND.to_owned(),
        kind: HarvestRequest::KIND.to_owned(),
        version: HarvestRequest::VERSION,
        correlation_id: None,
        headers: Default::default(),
        body: serde_json::to_vec(request).context("writing the request as JSON")?,
        mandatory: true,
    };
    let answers = broker.publisher().publish(vec![message]).await;
    broker.close().await;
    match answers.into_iter().next() {
        Some((_, Ok(()))) => Ok(message_id),
        Some((_, Err(error))) => Err(error).context("publishing the request"),
        None => bail!("publishing the request: the broker gave no answer; submit it again"),
    }
}
