//! The published AsyncAPI document against what is really on the wire.

use std::collections::{BTreeMap, BTreeSet};

use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use passereau_broker::{Exchange, Outgoing, dead_queue_name};
use passereau_contracts::{ATTEMPT_HEADER, ORIGIN_HEADER, Role, VERSION_HEADER, asyncapi, contracts};
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{KIND, message, publish_one, queue, raw_channel, with_broker};

#[tokio::test]
async fn a_message_carries_exactly_the_documented_properties() {
    with_broker("properties", |broker| async move {
        let headers = [ATTEMPT_HEADER, ORIGIN_HEADER].map(|name| (name.to_owned(), "0".to_owned()));
        let sent = Outgoing { correlation_id: Some(Uuid::now_v7()), headers: BTreeMap::from(headers), ..message(KIND) };
        assert_eq!(publish_one(&broker, sent.clone()).await, Ok(()));

        let (connection, channel) = raw_channel().await;
        let got = channel.basic_get(queue(&broker).as_str().into(), BasicGetOptions { no_ack: true }).await.unwrap();
        let got = got.expect("the message").delivery.properties;
        connection.close(200, "done".into()).await.unwrap();
        let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(|text| Value::from(text.as_str()));
        let on_the_wire: BTreeMap<&str, Value> = [
            ("content_type", text(got.content_type())),
            ("content_encoding", text(got.content_encoding())),
            ("headers", got.headers().as_ref().map(|_| Value::Null)),
            ("delivery_mode", got.delivery_mode().map(Value::from)),
            ("priority", got.priority().map(Value::from)),
            ("correlation_id", text(got.correlation_id())),
            ("reply_to", text(got.reply_to())),
            ("expiration", text(got.expiration())),
            ("message_id", text(got.message_id())),
            ("timestamp", got.timestamp().map(Value::from)),
            ("type", text(got.kind())),
            // RabbitMQ refuses a user_id that is not the connection's, and shovels and federation lose it: never set.
            ("user_id", text(got.user_id())),
            ("app_id", text(got.app_id())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();

        let document = asyncapi();
        let message = &document["components"]["messages"]["harvest.plan"];
        let documented = message["x-amqp-properties"]["properties"].as_object().expect("properties");
        let names: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
        assert_eq!(on_the_wire.keys().copied().collect::<BTreeSet<_>>(), names);
        for (name, schema) in documented {
            if let Some(constant) = schema.get("const") {
                assert_eq!(&on_the_wire[name.as_str()], constant, "{name}");
            }
        }
        let known = document["components"]["schemas"]["Headers"]["properties"].as_object().expect("headers");
        let table = got.headers().as_ref().expect("headers");
        // RabbitMQ adds its own count to what a quorum queue delivers.
        let mut ours = table.inner().keys().filter(|name| name.as_str() != "x-delivery-count");
        assert!(ours.all(|name| known.contains_key(name.as_str())), "{table:?}");
        assert_eq!(table.inner().get(VERSION_HEADER), Some(&AMQPValue::LongInt(1)));
    })
    .await;
}

#[test]
fn the_document_names_the_exchanges_and_the_dead_queue_of_the_topology() {
    let document = asyncapi();
    for contract in contracts() {
        let (exchange, of_type) = match contract.role {
            Role::Public | Role::Stage => (Exchange::Work, "direct"),
            Role::Event => (Exchange::Events, "topic"),
        };
        let binding = &document["channels"][contract.kind]["bindings"]["amqp"]["exchange"];
        assert_eq!((&binding["name"], &binding["type"]), (&exchange.name("").into(), &of_type.into()));
        assert_eq!((&binding["durable"], &binding["autoDelete"]), (&true.into(), &false.into()));
    }
    assert_eq!(document["channels"]["dead"]["bindings"]["amqp"]["queue"]["name"], dead_queue_name(""));
}
