//! The whole of the contracts as one AsyncAPI 3.0 document (<https://www.asyncapi.com/docs/reference/specification/v3.0.0>), from the
//! point of view of the fleet: what it receives and what it sends.
//!
//! AMQP is described with the AMQP bindings (<https://github.com/asyncapi/bindings/tree/master/amqp>, 0.3.0): a channel for each kind,
//! whose address is the routing key, and one for the dead queue. Schemas are JSON Schema draft 7, AsyncAPI's own default.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::{Contract, Role, VERSION_HEADER, WORKERS, contracts, header};

const BINDING: &str = "0.3.0";
/// Not a version of the program: it grows when a kind comes or a version of one does.
const DOCUMENT_VERSION: &str = "1.0.0";

const WORK_EXCHANGE: &str = "passereau.work";
const EVENTS_EXCHANGE: &str = "passereau.events";
const DEAD_QUEUE: &str = "passereau.dead";

const DESCRIPTION: &str = "Passereau carries biodiversity observations between GBIF and SINP platforms that run GeoNature. \
Other systems ask for harvests by publishing to the exchange passereau.work (operations tagged `public`) and listen to events on \
passereau.events; the other kinds are sent by the workers to each other. Delivery is at least once: message_id recognises a second copy. \
A body has 65,536 bytes at most and is UTF-8 JSON. A message that cannot be handled becomes a dead letter with a reason and never blocks its queue. \
A fleet may put a prefix before the names of its exchanges and queues (PASSEREAU_AMQP_PREFIX).";

/// The document.
pub fn asyncapi() -> Value {
    let mut generator = SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for contract in contracts() {
        let payload = (contract.subschema)(&mut generator).to_value();
        let kind = contract.kind;
        messages.insert(kind.to_owned(), message(&contract, payload));
        channels.insert(kind.to_owned(), channel(&contract));
        for (action, id) in [("receive", format!("receive.{kind}")), ("send", format!("send.{kind}"))] {
            if let Some(operation) = operation(&contract, action) {
                operations.insert(id, operation);
            }
        }
    }
    messages.insert("dead".to_owned(), dead_message());
    channels.insert("dead".to_owned(), dead_channel());
    operations.insert("receive.dead".to_owned(), dead_operation());
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Headers".to_owned(), header::schema());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Passereau",
            "version": DOCUMENT_VERSION,
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0"}
        },
        "defaultContentType": "application/json",
        "servers": {"amqp": server("amqp", "5672", "RabbitMQ 3.10 or later."), "amqps": server("amqps", "5671", "The same behind TLS.")},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {"account": {"type": "userPassword", "description": "An account of RabbitMQ with rights on the virtual host."}}
        }
    })
}

fn server(protocol: &str, port: &str, description: &str) -> Value {
    json!({
        "host": format!("{{host}}:{port}"),
        "pathname": "/{vhost}",
        "protocol": protocol,
        "protocolVersion": "0-9-1",
        "description": description,
        "variables": {
            "host": {"default": "localhost", "description": "Where RabbitMQ is."},
            "vhost": {"default": "%2f", "description": "The virtual host, percent-encoded."}
        },
        "security": [{"$ref": "#/components/securitySchemes/account"}]
    })
}

fn message(contract: &Contract, payload: Value) -> Value {
    let description = payload_description(contract);
    // An event's body says its kind once more.
    let payload = match contract.role {
        Role::Event => json!({"allOf": [payload, {"properties": {"kind": {"const": contract.kind}}}]}),
        Role::Public | Role::Stage => payload,
    };
    let mut message = json!({
        "name": contract.kind,
        "title": contract.kind,
        "contentType": "application/json",
        "description": description,
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": payload,
        "bindings": {"amqp": {"messageType": contract.kind, "bindingVersion": BINDING}},
        "examples": [{"name": contract.kind, "headers": {VERSION_HEADER: contract.version}, "payload": contract.example}],
        "x-amqp-properties": header::properties(),
        "x-version": contract.version
    });
    if contract.example.get("harvest_id").is_some() {
        message["correlationId"] = json!({"location": "$message.payload#/harvest_id", "description": "The harvest; also the AMQP property correlation_id."});
    }
    message
}

/// What the type's own documentation says.
fn payload_description(contract: &Contract) -> Value {
    contract.schema.get("description").cloned().unwrap_or_default()
}

fn channel(contract: &Contract) -> Value {
    let (exchange, of_type) = match contract.role {
        Role::Event => (EVENTS_EXCHANGE, "topic"),
        Role::Public | Role::Stage => (WORK_EXCHANGE, "direct"),
    };
    let kind = contract.kind;
    json!({
        "address": kind,
        "title": kind,
        "messages": {kind: {"$ref": format!("#/components/messages/{kind}")}},
        "bindings": {"amqp": {
            "is": "routingKey",
            "exchange": {"name": exchange, "type": of_type, "durable": true, "autoDelete": false},
            "bindingVersion": BINDING
        }}
    })
}

/// `None` where the fleet never does it: it does not listen to its own events.
fn operation(contract: &Contract, action: &str) -> Option<Value> {
    let kind = contract.kind;
    let (summary, binding) = match (action, contract.role) {
        ("receive", Role::Event) => return None,
        ("receive", _) => {
            let worker = WORKERS.iter().find(|worker| worker.kinds.contains(&kind)).map(|worker| worker.worker)?;
            (format!("The {worker} takes it from its queue passereau.{worker}."), json!({"ack": true}))
        }
        (_, Role::Event) => (
            "For whoever listens; nobody needs to.".to_owned(),
            json!({"deliveryMode": 2, "mandatory": false, "timestamp": true}),
        ),
        (_, Role::Public) => (
            "The command passereau sends it, and the fleet itself when the message comes again (snoozed, retried or replayed).".to_owned(),
            json!({"deliveryMode": 2, "mandatory": true, "timestamp": true}),
        ),
        (_, Role::Stage) => (
            "The worker of the step before sends it; not to be published by others.".to_owned(),
            json!({"deliveryMode": 2, "mandatory": true, "timestamp": true}),
        ),
    };
    let mut binding = binding;
    binding["bindingVersion"] = BINDING.into();
    let tag = match contract.role {
        Role::Public => "public",
        Role::Stage => "stage",
        Role::Event => "event",
    };
    Some(json!({
        "action": action,
        "title": format!("{action} {kind}"),
        "summary": summary,
        "tags": [{"name": tag}],
        "channel": {"$ref": format!("#/channels/{kind}")},
        "messages": [{"$ref": format!("#/channels/{kind}/messages/{kind}")}],
        "bindings": {"amqp": binding}
    }))
}

fn dead_message() -> Value {
    json!({
        "name": "dead",
        "title": "A message that RabbitMQ gave up",
        "description": "Whatever was published: any kind, any bytes. RabbitMQ says why in the headers x-first-death-reason, -queue and -exchange.",
        "headers": {"allOf": [
            {"$ref": "#/components/schemas/Headers"},
            {"type": "object", "properties": {
                "x-first-death-reason": {"enum": ["rejected", "expired", "maxlen", "delivery_limit"]},
                "x-first-death-queue": {"type": "string"},
                "x-first-death-exchange": {"type": "string"}
            }}
        ]},
        "payload": {}
    })
}

fn dead_channel() -> Value {
    json!({
        "address": DEAD_QUEUE,
        "title": "The dead queue",
        "description": "Behind the fanout exchange passereau.dead, to which the work queues send what exceeds their delivery limit. \
            The fleet empties it into its table of dead letters: passereau dead list.",
        "messages": {"dead": {"$ref": "#/components/messages/dead"}},
        "bindings": {"amqp": {
            "is": "queue",
            "queue": {"name": DEAD_QUEUE, "durable": true, "exclusive": false, "autoDelete": false},
            "bindingVersion": BINDING
        }}
    })
}

fn dead_operation() -> Value {
    json!({
        "action": "receive",
        "title": "receive dead",
        "summary": "Every process of the fleet moves what RabbitMQ gave up into the table of dead letters.",
        "tags": [{"name": "stage"}],
        "channel": {"$ref": "#/channels/dead"},
        "messages": [{"$ref": "#/channels/dead/messages/dead"}],
        "bindings": {"amqp": {"ack": true, "bindingVersion": BINDING}}
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    /// `UPDATE_CONTRACTS=1` writes the file; otherwise a difference fails.
    #[test]
    fn the_published_document_is_that_of_the_types() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/contracts/asyncapi.json");
        let text = serde_json::to_string_pretty(&asyncapi()).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_CONTRACTS").is_some() {
            fs::write(&path, &text).expect("file");
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, text, "{} is stale: run with UPDATE_CONTRACTS=1 and review", path.display());
    }

    #[test]
    fn every_kind_of_every_worker_is_received_and_every_event_is_sent_and_not_received() {
        let document = asyncapi();
        for kind in WORKERS.iter().flat_map(|worker| worker.kinds) {
            assert_eq!(document["operations"][format!("receive.{kind}")]["action"], "receive", "{kind}");
        }
        for kind in crate::EventKind::ALL {
            assert_eq!(document["operations"][format!("send.{}", kind.as_str())]["action"], "send", "{kind:?}");
            assert!(document["operations"].get(format!("receive.{}", kind.as_str())).is_none(), "{kind:?}");
        }
    }

    /// A reference into the schema alone would be looked for at the top of the document.
    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, into: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, into));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, into)),
                _ => {}
            }
        }
        let document = asyncapi();
        let mut all = Vec::new();
        references(&document, &mut all);
        assert!(all.len() > 50, "{}", all.len());
        for reference in all {
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(target.is_some(), "{reference}");
        }
    }
}
