//! The broker is gone for longer than any delay, and comes back.

use std::time::Duration;

use passereau_broker::{Broker, BrokerError, PublishError, Settled, topology};
use tokio::time::Instant;

use crate::harness::{DEADLINE, KIND, clean, config, message, publish_one, queue, receive, until, url, workers};
use crate::proxy::Proxy;

/// Many times the longest delay of the test's configuration (200 ms).
const OUTAGE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn publisher_and_consumer_resume_after_an_outage_longer_than_any_delay() {
    let mut config = config("outage");
    let (mut proxy, through) = Proxy::start(&url()).await;
    config.url = Some(through.into());
    let broker = Broker::connect(&config, "test").await.unwrap();
    topology::apply(&broker, &workers(&config.prefix)).await.unwrap();
    let mut consumer = broker.consumer(queue(&broker), 1);
    let first = message(KIND);
    assert_eq!(publish_one(&broker, first.clone()).await, Ok(()));
    let in_work = receive(&mut consumer, first.message_id).await;
    assert!(broker.health().is_ready());

    proxy.cut().await;
    until("health is red", || !broker.health().publishing && !broker.health().consuming).await;
    let error = publish_one(&broker, message(KIND)).await.unwrap_err();
    assert!(matches!(error, PublishError::NotConnected { .. }), "{error:?}");
    until("the outage is long", || broker.health().disconnected_for.is_some_and(|gone| gone > OUTAGE)).await;
    assert!(!broker.health().is_ready());
    assert_eq!(in_work.ack().await, Settled::Lost);

    let restored = Instant::now();
    proxy.restore().await;
    until("health is green", || broker.health().is_ready()).await;
    println!("ready {} ms after the broker came back", restored.elapsed().as_millis());
    assert_eq!(broker.health().disconnected_for, None);
    assert_eq!(broker.health().reconnections, 2, "one for each connection");
    let second = message(KIND);
    assert_eq!(publish_one(&broker, second.clone()).await, Ok(()));
    let again = receive(&mut consumer, first.message_id).await;
    assert!(again.message.redelivered);
    assert_eq!(again.ack().await, Settled::Done);
    assert_eq!(receive(&mut consumer, second.message_id).await.ack().await, Settled::Done);
    broker.close().await;
    clean(&config).await;
}

/// A queue that vanished during the outage must not keep the other consumers of the process from resuming.
#[tokio::test]
async fn one_missing_queue_does_not_silence_the_other_consumers() {
    let mut config = config("vanished");
    let (mut proxy, through) = Proxy::start(&url()).await;
    config.url = Some(through.into());
    let broker = Broker::connect(&config, "test").await.unwrap();
    topology::apply(&broker, &workers(&config.prefix)).await.unwrap();
    let mut alpha = broker.consumer(queue(&broker), 1);
    let mut beta = broker.consumer(passereau_broker::queue_name(&config.prefix, "beta"), 1);
    until("both consume", || broker.health().is_ready()).await;

    proxy.cut().await;
    until("health is red", || !broker.health().publishing && !broker.health().consuming).await;
    let (connection, channel) = crate::harness::raw_channel().await;
    channel.queue_delete(queue(&broker).as_str().into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
    proxy.restore().await;

    until("publishing again", || broker.health().publishing).await;
    let sent = message("beta.do");
    assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));
    assert_eq!(receive(&mut beta, sent.message_id).await.ack().await, Settled::Done);
    assert!(!broker.health().consuming, "alpha's queue is still missing");

    topology::apply(&broker, &workers(&config.prefix)).await.unwrap();
    let sent = message(KIND);
    assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));
    assert_eq!(receive(&mut alpha, sent.message_id).await.ack().await, Settled::Done);
    broker.close().await;
    clean(&config).await;
}

/// A memory or disk alarm: publishing is refused at once instead of hanging, health is red with the broker's reason, and acknowledgements
/// go on over the other connection.
#[tokio::test]
async fn a_blocked_broker_is_seen_and_does_not_hold_up_acknowledgements() {
    let mut config = config("blocked");
    let (proxy, through) = Proxy::start(&url()).await;
    config.url = Some(through.into());
    let broker = Broker::connect(&config, "test").await.unwrap();
    topology::apply(&broker, &workers(&config.prefix)).await.unwrap();
    let mut consumer = broker.consumer(queue(&broker), 1);
    let sent = message(KIND);
    assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));
    let in_work = receive(&mut consumer, sent.message_id).await;

    proxy.block("low on memory").await;
    until("health is red", || !broker.health().publishing).await;
    let health = broker.health();
    assert_eq!((health.blocked.as_deref(), health.consuming), (Some("low on memory"), true));
    let error = publish_one(&broker, message(KIND)).await.unwrap_err();
    assert_eq!(error, PublishError::Blocked { reason: "low on memory".to_owned() });
    assert_eq!(in_work.ack().await, Settled::Done);

    proxy.unblock().await;
    until("health is green", || broker.health().is_ready()).await;
    assert_eq!(publish_one(&broker, message(KIND)).await, Ok(()));
    broker.close().await;
    clean(&config).await;
}

/// Containers start in any order.
#[tokio::test]
async fn a_process_that_starts_before_its_broker_waits_for_it() {
    let mut config = config("early");
    let (mut proxy, through) = Proxy::start(&url()).await;
    config.url = Some(through.into());
    proxy.cut().await;
    let starting = tokio::spawn({
        let config = config.clone();
        async move { Broker::connect(&config, "test").await }
    });
    config.startup_timeout_ms = 300;
    let error = Broker::connect(&config, "impatient").await.unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error:?}");
    assert!(!starting.is_finished());
    proxy.restore().await;
    let broker = tokio::time::timeout(DEADLINE, starting).await.unwrap().unwrap().unwrap();
    assert!(broker.health().is_ready());
    broker.close().await;
}

/// SIGTERM during an outage: nothing waits for the broker to come back.
#[tokio::test]
async fn a_process_ends_while_its_broker_is_away() {
    let mut config = config("away");
    let (mut proxy, through) = Proxy::start(&url()).await;
    config.url = Some(through.into());
    let broker = Broker::connect(&config, "test").await.unwrap();
    topology::apply(&broker, &workers(&config.prefix)).await.unwrap();
    let mut consumer = broker.consumer(queue(&broker), 1);
    until("consuming", || broker.health().is_ready()).await;
    proxy.cut().await;
    until("health is red", || !broker.health().publishing && !broker.health().consuming).await;
    let ending = async {
        broker.close().await;
        assert!(consumer.next().await.is_none());
    };
    tokio::time::timeout(DEADLINE, ending).await.unwrap();
    clean(&config).await;
}
