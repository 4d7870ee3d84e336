//! The headers that the fleet reads and writes. A foreign client needs none of them.

use serde_json::{Value, json};

use crate::VERSION_HEADER;

/// Failed attempts so far, in decimal digits.
pub const ATTEMPT_HEADER: &str = "passereau-attempt";
/// When the message was first published, RFC 3339. Kept across snoozes, retries and replays.
pub const FIRST_PUBLISHED_AT_HEADER: &str = "passereau-first-published-at";
/// Set on what did not come out of the fleet's outbox: when it gives up, no harvest fails. Kept across snoozes, retries and replays.
pub const FOREIGN_HEADER: &str = "passereau-foreign";
/// What went wrong the last time, shortened.
pub const LAST_ERROR_HEADER: &str = "passereau-last-error";
/// The `message_id` that the message had at first. Kept across snoozes, retries and replays.
pub const ORIGIN_HEADER: &str = "passereau-origin";
/// W3C trace context: trace, parent span and flags (<https://www.w3.org/TR/trace-context/>).
pub const TRACEPARENT_HEADER: &str = "traceparent";
/// W3C trace context: what vendors add.
pub const TRACESTATE_HEADER: &str = "tracestate";

/// Longest `passereau-last-error`, in characters: headers travel with every attempt, a long error belongs into the log.
pub const LAST_ERROR_CHARS: usize = 300;

/// JSON Schema of the headers. Further ones are passed on with the message when it is sent again.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "A foreign client needs none of them. Further headers travel on with the message when it is sent again; \
            those that belong to RabbitMQ (x-death and the like, CC, BCC) do not.",
        "properties": {
            VERSION_HEADER: {
                "type": "integer", "minimum": 1, "maximum": 65535, "default": 1,
                "description": "Version of the body's shape; 1 when absent. Of any width, or a text of digits."
            },
            ATTEMPT_HEADER: {
                "type": "string", "pattern": "^[0-9]+$",
                "description": "Failed attempts so far; 0 when absent."
            },
            ORIGIN_HEADER: {
                "type": "string", "format": "uuid",
                "description": "The message_id that the message had at first; the property itself is new each time it is sent again."
            },
            FIRST_PUBLISHED_AT_HEADER: {
                "type": "string", "format": "date-time",
                "description": "When the message was first published."
            },
            FOREIGN_HEADER: {
                "type": "string", "const": "true",
                "description": "Set by the fleet on a message that it did not send itself: when that gives up, no harvest fails."
            },
            LAST_ERROR_HEADER: {
                "type": "string", "maxLength": LAST_ERROR_CHARS,
                "description": "What went wrong the last time."
            },
            TRACEPARENT_HEADER: {
                "type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
                "description": "W3C Trace Context of the step that sent the message; each handling links to it. What is malformed is ignored."
            },
            TRACESTATE_HEADER: {
                "type": "string",
                "description": "W3C Trace Context, what vendors add."
            }
        }
    })
}

/// JSON Schema of the AMQP properties that the fleet sets, by their names in AMQP 0-9-1
/// (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.extended.xml>, class `basic`).
pub(crate) fn properties() -> Value {
    json!({
        "type": "object",
        "properties": {
            "content_type": {"const": "application/json", "description": "Set, and not read: a body is JSON."},
            "delivery_mode": {"const": 2, "description": "Persistent."},
            "message_id": {
                "type": "string", "maxLength": 255,
                "description": "Identity, a UUID of ours. Of a harvest.request it becomes the harvest's id. A foreign client may use any text, or none; \
                    without one a second copy cannot be recognised."
            },
            "correlation_id": {"type": "string", "format": "uuid", "description": "The harvest's id, where there is a harvest."},
            "type": {"type": "string", "description": "The kind. Set, and not read: the routing key counts."},
            "app_id": {"type": "string", "description": "Which program published it."},
            "timestamp": {"type": "integer", "description": "When it was published, seconds since 1970."},
            "headers": {"type": "object", "description": "See headers."}
        }
    })
}
