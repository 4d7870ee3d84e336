//! Declaring and looking.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use passereau_broker::{Broker, BrokerConfig, BrokerError, queue_name, topology};

use serde_json::Value;

use crate::harness::{KIND, WORKER, clean, config, message, publish_one, raw_channel, url, workers};

#[tokio::test]
async fn check_names_what_is_missing_and_the_command_that_makes_it() {
    let config = config("check");
    let broker = Broker::connect(&config, "test").await.unwrap();
    let wanted = workers(&config.prefix);
    let error = topology::check(&broker, &wanted).await.unwrap_err();
    let BrokerError::TopologyMissing { missing, .. } = &error else { panic!("{error:?}") };
    assert_eq!(missing.len(), 6, "{missing:?}");
    assert!(error.to_string().contains(&format!("queue {}", queue_name(&config.prefix, WORKER))), "{error}");
    assert!(error.to_string().contains("passereau topology apply"), "{error}");

    topology::apply(&broker, &wanted).await.unwrap();
    topology::apply(&broker, &wanted).await.unwrap();
    topology::check(&broker, &wanted).await.unwrap();
    broker.close().await;
    clean(&config).await;
}

#[tokio::test]
async fn a_queue_with_other_settings_is_explained() {
    let config = config("mismatch");
    let name = queue_name(&config.prefix, WORKER);
    let (connection, channel) = raw_channel().await;
    channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();
    let broker = Broker::connect(&config, "test").await.unwrap();
    let outcome = topology::apply(&broker, &workers(&config.prefix)).await;
    broker.close().await;
    clean(&config).await;
    let error = outcome.unwrap_err();
    assert!(matches!(&error, BrokerError::TopologyMismatch { what, .. } if what.contains(&name)), "{error:?}");
    assert!(error.to_string().contains("inequivalent arg"), "{error}");
    assert!(!error.is_transient());
    connection.close(200, "done".into()).await.unwrap();
}

/// An operator may import `deploy/rabbitmq/definitions.json` before anything of ours runs: RabbitMQ compares type, durability and every
/// argument when we declare the same.
#[tokio::test]
async fn what_was_imported_from_the_definitions_is_what_is_declared() {
    let config = config("definitions");
    let wanted = workers(&config.prefix);
    let definitions = wanted.definitions("/");
    let all = |what: &str| definitions[what].as_array().cloned().unwrap();
    let text = |value: &Value| ShortString::from(value.as_str().unwrap());
    let (connection, channel) = raw_channel().await;
    for exchange in all("exchanges") {
        let kind = lapin::ExchangeKind::Custom(exchange["type"].as_str().unwrap().to_owned());
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(text(&exchange["name"]), kind, options, FieldTable::default()).await.unwrap();
    }
    for queue in all("queues") {
        let mut arguments = FieldTable::default();
        for (name, value) in queue["arguments"].as_object().unwrap() {
            let value = match value.as_i64() {
                Some(number) => AMQPValue::LongLongInt(number),
                None => AMQPValue::LongString(value.as_str().unwrap().into()),
            };
            arguments.insert(name.as_str().into(), value);
        }
        channel.queue_declare(text(&queue["name"]), QueueDeclareOptions::durable(), arguments).await.unwrap();
    }
    for binding in all("bindings") {
        let [source, queue, key] = ["source", "destination", "routing_key"].map(|field| text(&binding[field]));
        channel.queue_bind(queue, source, key, QueueBindOptions::default(), FieldTable::default()).await.unwrap();
    }
    let broker = Broker::connect(&config, "test").await.unwrap();
    topology::check(&broker, &wanted).await.unwrap();
    assert_eq!(publish_one(&broker, message(KIND)).await, Ok(()), "the bindings are there");
    let applied = topology::apply(&broker, &wanted).await;
    broker.close().await;
    clean(&config).await;
    applied.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test]
async fn a_refused_login_ends_at_once_and_shows_no_password() {
    let (_, rest) = url().rsplit_once('@').map(|(before, rest)| (before.to_owned(), rest.to_owned())).unwrap();
    let config = BrokerConfig::new(format!("amqp://hermine:opensesame@{rest}"));
    let error = Broker::connect(&config, "test").await.unwrap_err();
    assert!(matches!(error, BrokerError::Refused { .. }), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("PASSEREAU_AMQP_URL") && !text.contains("opensesame"), "{text}");
}

/// The TLS path is taken, and answers with an error instead of a panic about missing cryptography.
#[tokio::test]
async fn tls_towards_a_plain_port_is_an_error() {
    let mut config = BrokerConfig::new(url().replacen("amqp://", "amqps://", 1));
    config.connect_timeout_ms = 2_000;
    config.startup_timeout_ms = 0;
    let error = Broker::connect(&config, "test").await.unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error:?}");
    assert!(error.is_transient());
}
