//! Never deaf, never losing.

use lapin::options::QueueDeleteOptions;
use passereau_broker::{Broker, BrokerConfig, Settled, dead_queue_name, topology};
use uuid::Uuid;

use crate::harness::{
    KIND, clean, config, message, next, publish_one, queue, raw_channel, receive, until, url, with_broker, workers,
};
use crate::proxy::Proxy;

/// The server cancels: the stream ends while the channel stays open.
#[tokio::test]
async fn a_consumer_whose_queue_was_deleted_consumes_the_new_one() {
    with_broker("deleted", |broker| async move {
        let mut consumer = broker.consumer(queue(&broker), 1);
        until("consuming", || broker.health().consuming).await;
        let (connection, channel) = raw_channel().await;
        channel.queue_delete(queue(&broker).as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        until("health is red", || !broker.health().consuming).await;
        let subscribed_again = broker.health().resubscriptions;
        until("it keeps trying", || broker.health().resubscriptions > subscribed_again + 1).await;

        topology::apply(&broker, &workers(broker.prefix())).await.unwrap();
        let sent = message(KIND);
        assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));
        assert_eq!(receive(&mut consumer, sent.message_id).await.ack().await, Settled::Done);
        until("health is green", || broker.health().is_ready()).await;
        connection.close(200, "done".into()).await.unwrap();
    })
    .await;
}

/// The broker closes the channel (406), as it does after its consumer time-out. With the client library's own recovery a consumer is silent
/// for ever afterwards. The delivery in work is lost for us, and comes again.
#[tokio::test]
async fn a_consumer_goes_on_after_its_channel_was_closed() {
    let mut config = config("channel");
    let (proxy, through) = Proxy::start(&url()).await;
    config.url = Some(through.into());
    let broker = Broker::connect(&config, "test").await.unwrap();
    topology::apply(&broker, &workers(&config.prefix)).await.unwrap();
    let mut consumer = broker.consumer(queue(&broker), 1);
    for round in 1..=3 {
        let (first, second) = (message(KIND), message(KIND));
        assert_eq!(publish_one(&broker, first.clone()).await, Ok(()));
        let in_work = receive(&mut consumer, first.message_id).await;
        proxy.provoke_channel_error().await;
        until("the channel is closed", || !in_work.is_live()).await;
        assert_eq!(in_work.ack().await, Settled::Lost);

        assert_eq!(publish_one(&broker, second.clone()).await, Ok(()));
        let again = receive(&mut consumer, first.message_id).await;
        assert!(again.message.redelivered);
        assert_eq!(again.ack().await, Settled::Done);
        assert_eq!(receive(&mut consumer, second.message_id).await.ack().await, Settled::Done);
        assert_eq!(broker.health().resubscriptions, round);
        assert_eq!(broker.health().reconnections, 0, "the connection was not touched");
    }
    broker.close().await;
    clean(&config).await;
}

/// What was prefetched and not started goes back; what is in work can still be acknowledged.
#[tokio::test]
async fn a_shutdown_hands_back_what_was_not_started() {
    with_broker("shutdown", |broker| async move {
        let sent: Vec<_> = (0..5).map(|_| message(KIND)).collect();
        let ids: Vec<Uuid> = sent.iter().map(|message| message.message_id).collect();
        assert!(broker.publisher().publish(sent).await.iter().all(|(_, answer)| answer.is_ok()));
        let mut consumer = broker.consumer(queue(&broker), 5);
        let in_work = next(&mut consumer).await;
        consumer.stop_token().cancel();
        assert!(consumer.next().await.is_none());
        assert!(consumer.next().await.is_none(), "the end is final");
        assert!(broker.health().consuming, "a consumer that was stopped is not missed");

        let mut heir = broker.consumer(queue(&broker), 5);
        let mut inherited = Vec::new();
        for _ in 1..ids.len() {
            let delivery = next(&mut heir).await;
            inherited.push(delivery.message.message_id.clone().unwrap());
            assert_eq!(delivery.ack().await, Settled::Done);
        }
        let started = in_work.message.message_id.clone().unwrap();
        assert_eq!(in_work.ack().await, Settled::Done);
        let mut expected: Vec<String> = ids.iter().map(Uuid::to_string).filter(|id| *id != started).collect();
        expected.sort();
        inherited.sort();
        assert_eq!(inherited, expected);

        let (connection, channel) = raw_channel().await;
        let options = lapin::options::QueueDeclareOptions::default().passive();
        let declared =
            channel.queue_declare(queue(&broker).as_str().into(), options, Default::default()).await.unwrap();
        assert_eq!(declared.message_count(), 0);
        connection.close(200, "done".into()).await.unwrap();
    })
    .await;
}

/// A caller that drops the future of `next` in a `select!` loses nothing.
#[tokio::test]
async fn next_can_be_dropped_at_any_time() {
    with_broker("cancelsafe", |broker| async move {
        let mut consumer = broker.consumer(queue(&broker), 3);
        let sent: Vec<_> = (0..50).map(|_| message(KIND)).collect();
        let publishing = broker.publisher();
        let task = tokio::spawn(async move { publishing.publish(sent).await });
        let mut received = std::collections::BTreeSet::new();
        while received.len() < 50 {
            tokio::select! {
                biased;
                delivery = consumer.next() => {
                    let delivery = delivery.unwrap();
                    assert!(!delivery.message.redelivered);
                    received.insert(delivery.message.message_id.clone().unwrap());
                    assert_eq!(delivery.ack().await, Settled::Done);
                }
                () = tokio::task::yield_now() => {}
            }
        }
        assert!(task.await.unwrap().iter().all(|(_, answer)| answer.is_ok()));
    })
    .await;
}

/// A delivery settled with `requeue` comes again, marked.
#[tokio::test]
async fn a_requeued_delivery_comes_again() {
    with_broker("requeue", |broker| async move {
        assert_eq!(publish_one(&broker, message(KIND)).await, Ok(()));
        let mut consumer = broker.consumer(queue(&broker), 1);
        assert_eq!(next(&mut consumer).await.requeue().await, Settled::Done);
        let again = next(&mut consumer).await;
        assert!(again.message.redelivered);
        assert_eq!(again.ack().await, Settled::Done);
    })
    .await;
}

/// The breaker: a message whose handling always ends the channel is taken out by the broker, and kept.
#[tokio::test]
async fn a_message_that_crashes_its_worker_again_and_again_ends_in_the_dead_queue() {
    let mut config = config("crashloop");
    let (proxy, through) = Proxy::start(&url()).await;
    config.url = Some(through.into());
    let direct = Broker::connect(&BrokerConfig::new(url()).with_prefix(config.prefix.clone()), "dead").await.unwrap();
    topology::apply(&direct, &workers(&config.prefix)).await.unwrap();
    let broker = Broker::connect(&config, "test").await.unwrap();
    let sent = message(KIND);
    assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));
    let mut dead = direct.consumer(dead_queue_name(&config.prefix), 1);
    let mut consumer = broker.consumer(queue(&broker), 1);
    let mut crashes = 0;
    let letter = loop {
        tokio::select! {
            letter = next(&mut dead) => break letter,
            in_work = next(&mut consumer) => {
                proxy.provoke_channel_error().await;
                until("the channel is closed", || !in_work.is_live()).await;
                crashes += 1;
            }
        }
    };
    assert_eq!(crashes, 21, "the first delivery and the twenty that the limit allows");
    assert_eq!(letter.message.message_id, Some(sent.message_id.to_string()));
    assert_eq!(letter.message.death.as_ref().map(|death| death.reason.as_str()), Some("delivery_limit"));
    assert_eq!(letter.ack().await, Settled::Done);
    broker.close().await;
    direct.close().await;
    clean(&config).await;
}
