//! Declaring and looking.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use passereau_broker::{Broker, BrokerConfig, BrokerError, queue_name, topology};

use crate::harness::{WORKER, clean, config, raw_channel, url, workers};

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
