//! The message that a schedule sends.

use chrono::{DateTime, Utc};
use passereau_contracts::{FlowDeliver, HarvestRequest, Message, RetentionRun};
use passereau_database::outbox::{Exchange, OutboxRow};
use serde_json::Value;
use uuid::Uuid;

use crate::{ScheduleError, Subject};

/// Ids of scheduled messages are version 5 UUIDs (RFC 9562, 5.5) in this namespace, of a name and microseconds since 1970.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_3c52_8f5e_4b6b_9a57_2f1c_0e7d_4a91);

/// The same for the same schedule and due moment, for ever.
pub(crate) fn id(subject: &Subject, due_at: DateTime<Utc>) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{subject} {}", due_at.timestamp_micros()).as_bytes())
}

/// The message of a subject under an id.
///
/// # Errors
/// [`ScheduleError::Request`]: the request of a subscription is missing or not right.
pub(crate) fn message(subject: &Subject, request: Option<&Value>, id: Uuid) -> Result<OutboxRow, ScheduleError> {
    let row = match subject {
        Subject::Flow(flow) => row(&FlowDeliver { flow: flow.clone() }),
        Subject::Retention => row(&RetentionRun {}),
        Subject::Subscription(_) => row(&harvest_request(subject, request)?),
    };
    let mut row = row.map_err(|error| ScheduleError::Request {
        subject: subject.clone(),
        why: format!("writing its message as JSON: {error}; this is a defect"),
    })?;
    row.id = id;
    Ok(row)
}

fn row<M: Message>(message: &M) -> Result<OutboxRow, serde_json::Error> {
    Ok(OutboxRow::new(Exchange::Work, M::KIND, M::VERSION, serde_json::to_value(message)?, None))
}

/// The request of a subscription under its name, with every problem that can be seen without GBIF.
pub(crate) fn harvest_request(subject: &Subject, request: Option<&Value>) -> Result<HarvestRequest, ScheduleError> {
    let wrong = |why: String| ScheduleError::Request { subject: subject.clone(), why };
    let Subject::Subscription(name) = subject else { return Err(wrong("only a subscription has a request".into())) };
    let request = request.ok_or_else(|| {
        wrong(
            "it has no request; give the body of a harvest.request with `passereau schedule set … --request FILE`"
                .into(),
        )
    })?;
    let mut request: HarvestRequest = serde_json::from_value(request.clone()).map_err(|error| {
        wrong(format!(
            "its request is no body of a harvest.request ({error}); such a body is {{\"query\": …}}, {{\"download_key\": …}} or {{\"archive\": …}}, \
             see docs/messages.md; mend it with `passereau schedule set … --request FILE`"
        ))
    })?;
    if let Some(other) = request.subscription.as_ref().filter(|other| *other != name) {
        return Err(wrong(format!(
            "its request names another subscription, {other}; leave `subscription` out of the file"
        )));
    }
    request.subscription = Some(name.clone());
    match request.origin() {
        Ok(_) => Ok(request),
        Err(problems) => Err(ScheduleError::problems(subject, &problems)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subscription() -> Subject {
        Subject::Subscription("inaturalist".into())
    }

    #[test]
    fn the_id_is_that_of_the_name_and_the_moment() {
        let due = DateTime::<Utc>::UNIX_EPOCH;
        assert_eq!(id(&Subject::Retention, due).to_string(), "7708eafe-8f3f-5c90-ab27-0c849431b0ed");
        assert_ne!(id(&Subject::Retention, due), id(&subscription(), due));
        assert_ne!(id(&Subject::Retention, due), id(&Subject::Retention, due + chrono::TimeDelta::microseconds(1)));
    }

    #[test]
    fn a_request_goes_out_under_the_subscriptions_name() {
        let request = json!({"archive": "archives/april.zip"});
        let row = message(&subscription(), Some(&request), Uuid::nil()).expect("a message");
        assert_eq!((row.routing_key.as_str(), row.id), ("harvest.request", Uuid::nil()));
        assert_eq!(row.body, json!({"archive": "archives/april.zip", "subscription": "inaturalist"}));
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said_with_a_way_out() {
        for (request, words) in [
            (None, "--request FILE"),
            (Some(json!({"predicate": {}})), "unknown field `predicate`"),
            (Some(json!({"archive": "a.zip", "subscription": "other"})), "another subscription, other"),
            (Some(json!({})), "give exactly one of query, download_key and archive"),
        ] {
            let said = harvest_request(&subscription(), request.as_ref()).expect_err(words).to_string();
            assert!(said.starts_with("subscription:inaturalist: ") && said.contains(words), "{said}");
        }
    }
}
