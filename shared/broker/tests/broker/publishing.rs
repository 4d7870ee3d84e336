//! What counts as published.

use std::collections::BTreeMap;

use lapin::options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use passereau_broker::{Exchange, MAX_BODY_BYTES, Outgoing, PublishError, Settled, queue_name, topology};
use tokio::time::Instant;
use uuid::Uuid;

use crate::harness::{DEADLINE, KIND, message, next, publish_one, queue, raw_channel, with_broker};

const ROUNDS: usize = 20;
const BATCH: usize = 100;

/// lapin hands a returned message to whichever confirmation comes first: deciding by the confirmation alone would here take some good
/// messages for unroutable ones and, worse, the other way round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_unroutable_messages_of_a_mixed_batch_fail() {
    with_broker("mixed", |broker| async move {
        let started = Instant::now();
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                let publisher = broker.publisher();
                tokio::spawn(async move {
                    for round in 0..ROUNDS {
                        let bad = |index: usize| index % 7 == round % 7 || index % 11 == 3;
                        let batch: Vec<Outgoing> =
                            (0..BATCH).map(|index| message(if bad(index) { "nobody.takes" } else { KIND })).collect();
                        let ids: Vec<Uuid> = batch.iter().map(|message| message.message_id).collect();
                        let answers = publisher.publish(batch).await;
                        assert_eq!(answers.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
                        for (index, (_, answer)) in answers.iter().enumerate() {
                            let unroutable = matches!(answer, Err(PublishError::Unroutable { routing_key, .. }) if routing_key == "nobody.takes");
                            assert_eq!(unroutable, bad(index), "round {round}, message {index}: {answer:?}");
                            assert_eq!(answer.is_ok(), !bad(index), "round {round}, message {index}: {answer:?}");
                        }
                    }
                })
            })
            .collect();
        for publisher in publishers {
            publisher.await.unwrap();
        }
        let seconds = started.elapsed().as_secs_f64();
        println!("published {} messages in batches of {BATCH} in {seconds:.2} s", 2 * ROUNDS * BATCH);
    })
    .await;
}

#[tokio::test]
async fn events_need_no_listener_but_work_does() {
    with_broker("listener", |broker| async move {
        let event = Outgoing { exchange: Exchange::Events, mandatory: false, ..message("harvest.completed") };
        assert_eq!(publish_one(&broker, event).await, Ok(()));
        let error = publish_one(&broker, message("nobody.takes")).await.unwrap_err();
        assert!(error.to_string().contains("passereau topology apply"), "{error}");
        assert!(error.is_transient());
    })
    .await;
}

/// The broker closes the channel (404). The messages of the other exchange must not suffer, and the next publish must work.
#[tokio::test]
async fn a_missing_exchange_fails_its_messages_only_and_not_the_next_publish() {
    with_broker("missing", |broker| async move {
        let (connection, channel) = raw_channel().await;
        let events = Exchange::Events.name(broker.prefix());
        channel.exchange_delete(events.as_str().into(), lapin::options::ExchangeDeleteOptions::default()).await.unwrap();
        for _ in 0..3 {
            let event = Outgoing { exchange: Exchange::Events, mandatory: false, ..message("harvest.completed") };
            let batch = vec![message(KIND), event, message(KIND)];
            let answers: Vec<_> = broker.publisher().publish(batch).await.into_iter().map(|(_, answer)| answer).collect();
            assert_eq!((&answers[0], &answers[2]), (&Ok(()), &Ok(())));
            let error = answers[1].clone().unwrap_err();
            assert!(matches!(&error, PublishError::Refused { exchange: Exchange::Events, reason } if reason.contains("404")), "{error:?}");
            assert_eq!(publish_one(&broker, message(KIND)).await, Ok(()));
        }
        connection.close(200, "done".into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_too_large_or_ambiguous_is_refused_before_it_is_sent() {
    with_broker("refused", |broker| async move {
        let twice = message(KIND);
        let batch = vec![
            Outgoing { body: vec![b' '; MAX_BODY_BYTES + 1], ..message(KIND) },
            Outgoing { body: vec![b' '; MAX_BODY_BYTES], ..message(KIND) },
            Outgoing { routing_key: "x".repeat(256), ..message(KIND) },
            twice.clone(),
            twice,
        ];
        let answers: Vec<_> = broker.publisher().publish(batch).await.into_iter().map(|(_, answer)| answer).collect();
        assert!(matches!(answers[0], Err(PublishError::TooLarge { size_bytes: 65_537, limit_bytes: 65_536, .. })));
        assert_eq!(answers[1], Ok(()));
        assert!(matches!(&answers[2], Err(PublishError::Property { field, .. }) if field == "routing key"));
        assert_eq!(answers[3], Ok(()));
        assert_eq!(answers[4], Err(PublishError::DuplicateId));
        assert!(!answers[0].as_ref().unwrap_err().is_transient());
    })
    .await;
}

#[tokio::test]
async fn headers_properties_and_trace_context_survive_a_round_trip() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    with_broker("roundtrip", |broker| async move {
        let harvest = Uuid::now_v7();
        let mut headers: BTreeMap<String, String> = [("passereau-attempt", "3"), ("x-death", "forged")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        headers.insert("traceparent".to_owned(), PARENT.to_owned());
        let body = "{\"nom\":\"Mésange à tête noire\"}".as_bytes().to_vec();
        let sent = Outgoing { version: 7, correlation_id: Some(harvest), headers, body: body.clone(), ..message(KIND) };
        let mut consumer = broker.consumer(queue(&broker), 1);
        assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));

        let delivery = next(&mut consumer).await;
        let got = delivery.message.clone();
        assert_eq!(got.message_id, Some(sent.message_id.to_string()));
        assert_eq!(got.correlation_id, Some(harvest.to_string()));
        assert_eq!((got.kind.as_deref(), got.routing_key.as_str(), got.version), (Some(KIND), KIND, 7));
        assert_eq!(got.body, body);
        assert!(!got.redelivered);
        assert_eq!(got.headers.get("traceparent").map(String::as_str), Some(PARENT));
        assert_eq!(got.headers.keys().map(String::as_str).collect::<Vec<_>>(), ["passereau-attempt", "traceparent"]);
        assert_eq!(delivery.ack().await, Settled::Done);
    })
    .await;
}

/// Anyone may publish with a plain body and no header at all.
#[tokio::test]
async fn a_foreign_message_without_any_property_arrives() {
    with_broker("foreign", |broker| async move {
        let (connection, channel) = raw_channel().await;
        let exchange = Exchange::Work.name(broker.prefix());
        let options = lapin::options::BasicPublishOptions::default();
        let properties = lapin::BasicProperties::default();
        channel.basic_publish(exchange.as_str().into(), KIND.into(), options, b"not json", properties).await.unwrap();
        let mut consumer = broker.consumer(queue(&broker), 1);
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message.message_id, None);
        assert_eq!(delivery.message.kind, None);
        assert_eq!(delivery.message.version, 1);
        assert_eq!(delivery.message.body, b"not json");
        assert_eq!(delivery.ack().await, Settled::Done);
        connection.close(200, "done".into()).await.unwrap();
    })
    .await;
}

/// A dead letter keeps its identity and says where it came from.
#[tokio::test]
async fn what_is_given_up_reaches_the_dead_queue_with_its_reason() {
    with_broker("dead", |broker| async move {
        let sent = message(KIND);
        assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));
        let mut consumer = broker.consumer(queue(&broker), 1);
        assert_eq!(next(&mut consumer).await.dead_letter().await, Settled::Done);

        let mut dead = broker.consumer(queue_name(broker.prefix(), "dead"), 1);
        let delivery = tokio::time::timeout(DEADLINE, dead.next()).await.unwrap().unwrap();
        let death = delivery.message.death.clone().unwrap();
        assert_eq!((death.reason.as_str(), death.queue), ("rejected", queue(&broker)));
        assert_eq!(delivery.message.message_id, Some(sent.message_id.to_string()));
        assert_eq!(delivery.message.routing_key, KIND);
        assert!(delivery.message.headers.is_empty(), "{:?}", delivery.message.headers);
        assert_eq!(delivery.ack().await, Settled::Done);
    })
    .await;
}

/// A queue that is full and rejects gives a nack; whether another queue took the message is not said.
#[tokio::test]
async fn a_nack_is_an_unknown_outcome() {
    with_broker("full", |broker| async move {
        let (connection, channel) = raw_channel().await;
        let queue = format!("{}full", broker.prefix());
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::exclusive(), arguments).await.unwrap();
        let exchange = Exchange::Work.name(broker.prefix());
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(
            queue.as_str().into(),
            exchange.as_str().into(),
            "full".into(),
            options,
            FieldTable::default(),
        );
        bound.await.unwrap();

        let batch = vec![message("full"), message("full"), message(KIND)];
        let answers: Vec<_> = broker.publisher().publish(batch).await.into_iter().map(|(_, answer)| answer).collect();
        assert_eq!((&answers[0], &answers[2]), (&Ok(()), &Ok(())));
        let error = answers[1].clone().unwrap_err();
        assert!(matches!(error, PublishError::Unknown { .. }) && error.is_transient(), "{error:?}");
        connection.close(200, "done".into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_listener_hears_the_events_it_asked_for() {
    with_broker("events", |broker| async move {
        let queue = topology::listen(&broker, "dashboard", "harvest.*").await.unwrap();
        assert_eq!(topology::listen(&broker, "dashboard", "harvest.*").await.unwrap(), queue);
        let event = |kind: &str| Outgoing { exchange: Exchange::Events, mandatory: false, ..message(kind) };
        let batch = vec![event("delivery.completed"), event("harvest.completed")];
        assert!(broker.publisher().publish(batch).await.iter().all(|(_, answer)| answer.is_ok()));
        let mut listener = broker.consumer(queue.as_str(), 10);
        let delivery = next(&mut listener).await;
        assert_eq!(delivery.message.routing_key, "harvest.completed");
        assert_eq!(delivery.ack().await, Settled::Done);

        let (connection, channel) = raw_channel().await;
        channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        connection.close(200, "done".into()).await.unwrap();
    })
    .await;
}
