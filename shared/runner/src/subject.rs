//! What a message is about, for traces and log lines: read from the message itself, before anybody has understood it.

use passereau_broker::MAX_BODY_BYTES;
use passereau_contracts::{FlowDeliver, HarvestRequest, Message};
use passereau_telemetry::Subject;
use serde_json::Value;
use uuid::Uuid;

/// `origin` is the identity that the sender gave the message, if he gave one: a request's becomes that of its harvest, and an order's that of its delivery.
pub(crate) fn subject(kind: &str, origin: Option<Uuid>, harvest_id: Option<Uuid>, body: &[u8]) -> Subject {
    // What is larger is no message of ours.
    let body: Value = match body.len() {
        ..=MAX_BODY_BYTES => serde_json::from_slice(body).unwrap_or_default(),
        _ => Value::Null,
    };
    let id = |name| body.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok());
    let by_origin = |of| origin.filter(|_| kind == of);
    Subject {
        harvest_id: id("harvest_id").or(harvest_id).or_else(|| by_origin(HarvestRequest::KIND)),
        flow: body.get("flow").and_then(Value::as_str).map(ToOwned::to_owned),
        delivery_id: id("delivery_id").or_else(|| by_origin(FlowDeliver::KIND)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_its_harvest_or_its_flow() {
        let (origin, other, named) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let body = format!("{{\"harvest_id\":\"{named}\"}}");
        let of = |kind, body: &str| subject(kind, Some(origin), Some(other), body.as_bytes());
        assert_eq!(of("archive.load", &body).harvest_id, Some(named), "what the body says counts");
        assert_eq!(of("archive.load", "no JSON").harvest_id, Some(other));
        let asked = |origin| subject(HarvestRequest::KIND, origin, None, b"{}").harvest_id;
        assert_eq!((asked(Some(origin)), asked(None)), (Some(origin), None));
        let ordered = subject(FlowDeliver::KIND, Some(origin), None, b"{\"flow\":\"atlas\"}");
        assert_eq!((ordered.flow.as_deref(), ordered.delivery_id), (Some("atlas"), Some(origin)));
        assert_eq!(ordered.harvest_id, None);
        let large = format!("{{\"flow\":\"{}\"}}", "x".repeat(MAX_BODY_BYTES));
        assert_eq!(subject("flow.deliver", None, None, large.as_bytes()), Subject::default());
    }
}
