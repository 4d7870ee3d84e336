//! What the runner knows of a message besides its body.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Utc};
use passereau_broker::Incoming;
use passereau_contracts::{
    ATTEMPT_HEADER as ATTEMPT, FIRST_PUBLISHED_AT_HEADER as FIRST_PUBLISHED_AT, FOREIGN_HEADER as FOREIGN,
    HarvestCancel, HarvestRequest, LAST_ERROR_CHARS, LAST_ERROR_HEADER as LAST_ERROR, Message, ORIGIN_HEADER as ORIGIN,
};
use passereau_database::outbox::{Exchange, OutboxRow};
use passereau_telemetry::{Subject, trace_context};
use serde_json::Value;
use uuid::Uuid;

use crate::subject::subject;

/// More attempts than any budget.
const MOST_ATTEMPTS: i32 = 1_000;

/// PostgreSQL stores no NUL in a text (<https://www.postgresql.org/docs/current/datatype-character.html>); a stranger may
/// send one.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A message, identified.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub message_id: Uuid,
    /// Whether the sender gave the message an identity; without one a second copy cannot be recognised.
    pub has_own_id: bool,
    pub kind: String,
    pub version: u16,
    pub attempt: i32,
    pub origin: Uuid,
    pub first_published_at: DateTime<Utc>,
    pub harvest_id: Option<Uuid>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Envelope {
    /// Reads what came from the broker. A foreign client may leave out everything but the routing key and the body, or
    /// use any text as `message_id`.
    pub fn new(incoming: &Incoming, now: DateTime<Utc>) -> Self {
        let message_id = match &incoming.message_id {
            Some(text) => Uuid::parse_str(text).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())),
            None => Uuid::now_v7(),
        };
        let header = |name: &str| incoming.headers.get(name).map(String::as_str);
        Self {
            message_id,
            has_own_id: incoming.message_id.is_some(),
            kind: storable(&incoming.routing_key),
            version: incoming.version,
            // Anyone may write headers: a number out of all reason counts as the last attempt.
            attempt: header(ATTEMPT).and_then(|text| text.parse::<i32>().ok()).unwrap_or(0).clamp(0, MOST_ATTEMPTS),
            origin: header(ORIGIN).and_then(|text| text.parse().ok()).unwrap_or(message_id),
            // A moment that PostgreSQL cannot store would keep the message from becoming a dead letter, and so in its queue for
            // ever.
            first_published_at: header(FIRST_PUBLISHED_AT)
                .and_then(|text| text.parse::<DateTime<Utc>>().ok())
                .filter(|at| (1..=9999).contains(&at.year()))
                .unwrap_or(now),
            // A request names no harvest yet, and a cancellation that cannot be read is no failure of the harvest; a foreign
            // client may use the correlation id for purposes of its own.
            harvest_id: incoming
                .correlation_id
                .as_deref()
                .filter(|_| ![HarvestRequest::KIND, HarvestCancel::KIND].contains(&incoming.routing_key.as_str()))
                .and_then(|text| text.parse().ok()),
            headers: incoming.headers.iter().map(|(name, value)| (storable(name), storable(value))).collect(),
            body: incoming.body.clone(),
        }
    }

    /// What the message is about.
    pub fn subject(&self) -> Subject {
        subject(&self.kind, self.has_own_id.then_some(self.origin), self.harvest_id, &self.body)
    }

    /// Notes that the message did not come out of our outbox. A header, so that it is known after a retry and a replay, too.
    pub fn mark_foreign(&mut self) {
        self.headers.insert(FOREIGN.to_owned(), "true".to_owned());
    }

    /// The harvest that fails when the message gives up: the one it is about, unless a stranger says so.
    pub fn fails(&self) -> Option<Uuid> {
        self.harvest_id.filter(|_| !self.headers.contains_key(FOREIGN))
    }

    /// The same message again, under a new `message_id`, because the inbox knows the old one. Its sender is the handling that wants it again: so each attempt
    /// is linked to the one before, and the first to whoever sent the message.
    pub fn again(
        &self,
        attempt: i32,
        due_at: DateTime<Utc>,
        last_error: Option<&str>,
    ) -> Result<OutboxRow, serde_json::Error> {
        let body: Value = serde_json::from_slice(&self.body)?;
        let mut headers = self.headers.clone();
        headers.remove(trace_context::TRACEPARENT);
        headers.remove(trace_context::TRACESTATE);
        headers.insert(ATTEMPT.to_owned(), attempt.to_string());
        headers.insert(ORIGIN.to_owned(), self.origin.to_string());
        headers.insert(FIRST_PUBLISHED_AT.to_owned(), self.first_published_at.to_rfc3339());
        if let Some(error) = last_error {
            headers.insert(LAST_ERROR.to_owned(), storable(error).chars().take(LAST_ERROR_CHARS).collect());
        }
        let row = OutboxRow::new(Exchange::Work, self.kind.clone(), self.version, body, self.harvest_id);
        Ok(OutboxRow { headers, attempt, due_at: Some(due_at), ..row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_stranger_become_what_can_be_stored() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let headers = [
            (ATTEMPT, "-7"),
            (ORIGIN, "not a uuid"),
            (FIRST_PUBLISHED_AT, "-200000-01-01T00:00:00Z"),
            ("a\0b", "c\0d"),
        ];
        let incoming = Incoming {
            message_id: Some("\0 any text".to_owned()),
            exchange: "passereau.work".to_owned(),
            routing_key: "archive.load\0".to_owned(),
            kind: None,
            version: 1,
            correlation_id: Some("\0".to_owned()),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: b"{}".to_vec(),
            redelivered: false,
            death: None,
        };
        let envelope = Envelope::new(&incoming, now);
        assert_eq!((envelope.attempt, envelope.first_published_at), (0, now));
        assert_eq!((envelope.origin, envelope.harvest_id), (envelope.message_id, None));
        assert!(!envelope.kind.contains('\0'));
        assert!(envelope.headers.iter().all(|(name, value)| !name.contains('\0') && !value.contains('\0')));
    }
}
