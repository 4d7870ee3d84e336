//! A prefix of one's own on the shared broker, and waiting for conditions instead of sleeping.

use std::collections::BTreeMap;
use std::time::Duration;

use passereau_broker::{
    Broker, BrokerConfig, Consumer, Delivery, Exchange, Outgoing, PublishError, Topology, queue_name, topology,
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// Long enough for a busy two-core machine; nothing waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub const WORKER: &str = "alpha";
pub const KIND: &str = "alpha.do";

pub fn url() -> String {
    std::env::var("PASSEREAU_AMQP_URL")
        .expect("PASSEREAU_AMQP_URL is not set: run `make test`, which starts a private RabbitMQ")
}

/// Settings with a fresh prefix and short delays.
pub fn config(test: &str) -> BrokerConfig {
    let id = Uuid::new_v4().simple().to_string();
    let mut config = BrokerConfig::new(url()).with_prefix(format!("test.{test}.{}.", &id[..8]));
    config.reconnect_min_delay_ms = 20;
    config.reconnect_max_delay_ms = 200;
    config
}

pub fn workers(prefix: &str) -> Topology {
    Topology::new(prefix, &[(WORKER, &[KIND, "alpha.other"]), ("beta", &["beta.do"])])
}

/// Runs a test body with a connected broker whose topology exists, and removes everything afterwards, also when the body fails.
pub async fn with_broker<F>(test: &str, body: impl FnOnce(Broker) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let config = config(test);
    let broker = Broker::connect(&config, "test").await.unwrap();
    topology::apply(&broker, &workers(&config.prefix)).await.unwrap();
    let outcome = tokio::spawn(body(broker.clone())).await;
    broker.close().await;
    clean(&config).await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Deletes queues and exchanges of a prefix over a connection of its own.
pub async fn clean(config: &BrokerConfig) {
    let direct = BrokerConfig::new(url()).with_prefix(config.prefix.clone());
    let janitor = Broker::connect(&direct, "janitor").await.unwrap();
    topology::delete(&janitor, &workers(&config.prefix)).await.unwrap();
    janitor.close().await;
}

pub fn queue(broker: &Broker) -> String {
    queue_name(broker.prefix(), WORKER)
}

pub fn message(routing_key: &str) -> Outgoing {
    Outgoing {
        message_id: Uuid::now_v7(),
        exchange: Exchange::Work,
        routing_key: routing_key.to_owned(),
        kind: routing_key.to_owned(),
        version: 1,
        correlation_id: None,
        headers: BTreeMap::new(),
        body: b"{}".to_vec(),
        mandatory: true,
    }
}

pub async fn publish_one(broker: &Broker, message: Outgoing) -> Result<(), PublishError> {
    broker.publisher().publish(vec![message]).await.pop().unwrap().1
}

/// The next delivery, within the deadline.
pub async fn next(consumer: &mut Consumer) -> Delivery {
    timeout(DEADLINE, consumer.next()).await.expect("no delivery in time").expect("the consumer ended")
}

/// Receives and acknowledges until the message with this id came.
pub async fn receive(consumer: &mut Consumer, id: Uuid) -> Delivery {
    loop {
        let delivery = next(consumer).await;
        if delivery.message.message_id.as_deref() == Some(&id.to_string()) {
            return delivery;
        }
        let _settled_or_again = delivery.ack().await;
    }
}

/// Asks again and again until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    let mut ask = tokio::time::interval(Duration::from_millis(10));
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "not in time: {what}");
        ask.tick().await;
    }
}

/// A raw channel beside the crate under test, for what an operator or a foreign client would do.
pub async fn raw_channel() -> (lapin::Connection, lapin::Channel) {
    let connection = lapin::Connection::connect(&url(), lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}
