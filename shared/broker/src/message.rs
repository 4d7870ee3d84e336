//! Messages as the rest of Passereau sees them: plain values, no AMQP types.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::ShortString;
use uuid::Uuid;

use crate::headers;
use crate::{Exchange, PublishError};

/// The largest body of a message, in bytes. RabbitMQ would take 16 MiB (from 4.0) or 128 MiB (up to 3.13), but a message names
/// things: whatever needs more belongs into the object store.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

const PERSISTENT: u8 = 2;
const CONTENT_TYPE: &str = "application/json";

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Identity: stays the same however often the message is published.
    pub message_id: Uuid,
    /// Where to.
    pub exchange: Exchange,
    /// Chooses the queue (work) or the listeners (events).
    pub routing_key: String,
    /// The message kind, AMQP property `type`.
    pub kind: String,
    /// Version of the kind, header `passereau-version`.
    pub version: u16,
    /// The harvest's id.
    pub correlation_id: Option<Uuid>,
    /// Further headers, among them `traceparent` and `tracestate`. Keys that belong to the broker are left out.
    pub headers: BTreeMap<String, String>,
    /// JSON, at most [`MAX_BODY_BYTES`].
    pub body: Vec<u8>,
    /// Whether it is an error when no queue takes the message. True for work; events need no listener.
    pub mandatory: bool,
}

impl Outgoing {
    /// What AMQP cannot carry is refused here, before anything is sent: lapin panics on a short string above 255 bytes.
    pub(crate) fn properties(&self, app_id: &str, now: u64) -> Result<BasicProperties, PublishError> {
        if self.body.len() > MAX_BODY_BYTES {
            return Err(PublishError::TooLarge {
                kind: self.kind.clone(),
                size_bytes: self.body.len(),
                limit_bytes: MAX_BODY_BYTES,
            });
        }
        self.short("routing key", &self.routing_key)?;
        let headers = headers::to_table(&self.headers, self.version).map_err(|key| PublishError::Property {
            field: format!("header {}…", key.chars().take(40).collect::<String>()),
            kind: self.kind.chars().take(80).collect(),
        })?;
        let mut properties = BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(self.message_id.to_string().into())
            .with_type(self.short("kind", &self.kind)?)
            .with_app_id(self.short("app_id", app_id)?)
            .with_timestamp(now)
            .with_headers(headers);
        if let Some(id) = self.correlation_id {
            properties = properties.with_correlation_id(id.to_string().into());
        }
        Ok(properties)
    }

    pub(crate) fn short(&self, field: &str, value: &str) -> Result<ShortString, PublishError> {
        ShortString::try_new(value)
            .map_err(|_| PublishError::Property { field: field.to_owned(), kind: self.kind.chars().take(80).collect() })
    }
}

/// A message that arrived. Anyone may publish to the work exchange, so nothing here is taken for granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// As the sender wrote it; ours are UUIDs, foreign ones may be anything or absent.
    pub message_id: Option<String>,
    /// The exchange it was published to, with prefix.
    pub exchange: String,
    /// The routing key it was published with.
    pub routing_key: String,
    /// AMQP property `type`.
    pub kind: Option<String>,
    /// Header `passereau-version`: 1 when absent, 0 (which no kind has) when it is not a number from 1 to 65535.
    pub version: u16,
    /// AMQP property `correlation_id`; ours is the harvest's id.
    pub correlation_id: Option<String>,
    /// All other headers whose value is a text, a number, a boolean or a time. The broker's own are left out.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub body: Vec<u8>,
    /// True when some consumer may have had it before. Says nothing about what was done.
    pub redelivered: bool,
    /// Set when the broker itself gave the message up.
    pub death: Option<BrokerDeath>,
}

/// Why and where the broker dead-lettered a message first
/// ([Dead letter exchanges](https://www.rabbitmq.com/docs/dlx#effects)). Information for people: counts and later deaths mean different
/// things in different broker versions, so no decision may rest on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerDeath {
    /// `rejected`, `expired`, `maxlen` or `delivery_limit`.
    pub reason: String,
    /// Queue it died in, with prefix.
    pub queue: String,
    /// Exchange it had come through, with prefix.
    pub exchange: String,
}

impl Incoming {
    pub(crate) fn from_delivery(delivery: &mut lapin::message::Delivery) -> Self {
        let text = |value: &Option<ShortString>| value.as_ref().map(|value| value.as_str().to_owned());
        let properties = &delivery.properties;
        let table = properties.headers().as_ref();
        Self {
            message_id: text(properties.message_id()),
            exchange: delivery.exchange.as_str().to_owned(),
            routing_key: delivery.routing_key.as_str().to_owned(),
            kind: text(properties.kind()),
            version: table.map_or(1, headers::version),
            correlation_id: text(properties.correlation_id()),
            headers: table.map(headers::from_table).unwrap_or_default(),
            death: table.and_then(headers::death),
            body: std::mem::take(&mut delivery.data),
            redelivered: delivery.redelivered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Outgoing {
        Outgoing {
            message_id: Uuid::nil(),
            exchange: Exchange::Work,
            routing_key: "archive.load".to_owned(),
            kind: "archive.load".to_owned(),
            version: 1,
            correlation_id: None,
            headers: BTreeMap::new(),
            body: b"{}".to_vec(),
            mandatory: true,
        }
    }

    #[test]
    fn the_limit_is_64_kib_inclusive() {
        let mut message = message();
        message.body = vec![b' '; MAX_BODY_BYTES];
        assert!(message.properties("test", 0).is_ok());
        message.body.push(b' ');
        assert!(matches!(message.properties("test", 0), Err(PublishError::TooLarge { size_bytes: 65_537, .. })));
    }

    #[test]
    fn what_does_not_fit_a_short_string_is_refused_and_does_not_panic() {
        let long = "x".repeat(256);
        let cases = [
            Outgoing { routing_key: long.clone(), ..message() },
            Outgoing { kind: long.clone(), ..message() },
            Outgoing { headers: BTreeMap::from([(long, String::new())]), ..message() },
        ];
        for case in cases {
            assert!(matches!(case.properties("test", 0), Err(PublishError::Property { .. })));
        }
    }
}
