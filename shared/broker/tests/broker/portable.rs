//! What is said to the broker, method by method: only what RabbitMQ 3.10 to 4.3 understand alike.

use std::collections::BTreeSet;

use passereau_broker::{Broker, Exchange, Outgoing, Settled, topology};

use crate::harness::{KIND, config, message, next, publish_one, queue, receive, url, workers};
use crate::proxy::Proxy;

const START_OK: (u8, u8) = (10, 11);
const QUEUE_DECLARE: (u8, u8) = (50, 10);
const QOS: (u8, u8) = (60, 10);
const PUBLISH: (u8, u8) = (60, 40);

/// Classes and methods of AMQP 0-9-1 (<https://www.rabbitmq.com/amqp-0-9-1-reference>). Not among them: `basic.get` and `basic.recover`,
/// transactions, `queue.purge`, bindings between exchanges.
const SPOKEN: &[((u8, u8), &str)] = &[
    (START_OK, "connection.start-ok"),
    ((10, 31), "connection.tune-ok"),
    ((10, 40), "connection.open"),
    ((10, 50), "connection.close"),
    ((10, 51), "connection.close-ok"),
    ((20, 10), "channel.open"),
    ((20, 40), "channel.close"),
    ((20, 41), "channel.close-ok"),
    ((40, 10), "exchange.declare"),
    ((40, 20), "exchange.delete"),
    (QUEUE_DECLARE, "queue.declare"),
    ((50, 20), "queue.bind"),
    ((50, 40), "queue.delete"),
    (QOS, "basic.qos"),
    ((60, 20), "basic.consume"),
    ((60, 30), "basic.cancel"),
    (PUBLISH, "basic.publish"),
    ((60, 80), "basic.ack"),
    ((60, 90), "basic.reject"),
    ((60, 120), "basic.nack"),
    ((85, 10), "confirm.select"),
];

/// What every AMQP implementation accepts before the size of frames is negotiated; RabbitMQ accepts 8,192 from 4.1.
const SMALLEST_FRAME_MAX: usize = 4096;

fn name(method: &[u8]) -> (u8, u8) {
    assert_eq!((method[0], method[2]), (0, 0), "classes and methods are below 256");
    (method[1], method[3])
}

fn arguments_of(methods: &[Vec<u8>], wanted: (u8, u8)) -> Vec<&[u8]> {
    let found: Vec<&[u8]> = methods.iter().filter(|method| name(method) == wanted).map(|method| &method[4..]).collect();
    assert!(!found.is_empty(), "{wanted:?} was not said");
    found
}

/// What follows a reserved number and so many short strings.
fn behind_strings(mut arguments: &[u8], strings: usize) -> &[u8] {
    arguments = &arguments[2..];
    for _ in 0..strings {
        arguments = &arguments[1 + usize::from(arguments[0])..];
    }
    arguments
}

#[tokio::test]
async fn a_whole_life_speaks_only_what_every_release_understands() {
    let mut config = config("portable");
    let (proxy, through) = Proxy::start(&url()).await;
    config.url = Some(through.into());
    let broker = Broker::connect(&config, "test").await.unwrap();
    let wanted = workers(&config.prefix);
    topology::apply(&broker, &wanted).await.unwrap();
    topology::check(&broker, &wanted).await.unwrap();
    let listener = topology::listen(&broker, "dashboard", "#").await.unwrap();
    let event = Outgoing { exchange: Exchange::Events, mandatory: false, ..message("harvest.started") };
    assert_eq!(publish_one(&broker, event).await, Ok(()));
    let mut consumer = broker.consumer(queue(&broker), 1);
    for settle in 0..3 {
        let sent = message(KIND);
        assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));
        let delivery = receive(&mut consumer, sent.message_id).await;
        let settled = match settle {
            0 => delivery.ack().await,
            1 => delivery.dead_letter().await,
            _ => delivery.requeue().await,
        };
        assert_eq!(settled, Settled::Done);
    }
    assert_eq!(next(&mut consumer).await.ack().await, Settled::Done);
    topology::delete_queue(&broker, &listener).await.unwrap();
    topology::delete(&broker, &wanted).await.unwrap();
    broker.close().await;

    let methods = proxy.methods();
    let said: BTreeSet<(u8, u8)> = methods.iter().map(|method| name(method)).collect();
    for method in &said {
        assert!(SPOKEN.iter().any(|(spoken, _)| spoken == method), "class and method {method:?}");
    }
    for qos in arguments_of(&methods, QOS) {
        assert_eq!(qos[6] & 1, 0, "a limit for the whole channel is refused by quorum queues, and by any from 4.3");
    }
    for declare in arguments_of(&methods, QUEUE_DECLARE) {
        let bits = behind_strings(declare, 1)[0];
        let (passive, durable, exclusive, auto_delete) = (bits & 1, bits & 2, bits & 4, bits & 8);
        assert!(passive > 0 || (durable > 0 && exclusive == 0 && auto_delete == 0), "{bits:#b}");
    }
    for publish in arguments_of(&methods, PUBLISH) {
        assert_eq!(behind_strings(publish, 2)[0] & 2, 0, "`immediate` closes the connection since 3.0");
    }
    for start in arguments_of(&methods, START_OK) {
        assert!(start.len() < SMALLEST_FRAME_MAX, "{} bytes", start.len());
        let text = String::from_utf8_lossy(start);
        for capability in ["consumer_cancel_notify", "publisher_confirms", "basic.nack", "connection.blocked"] {
            assert!(text.contains(capability), "{capability} is not announced");
        }
    }
}
