//! Events leave through the outbox, in the transaction of the state that they report.

use chrono::Utc;
use passereau_contracts::{Event, EventKind};
use passereau_database::outbox::{Exchange, OutboxRow, enqueue};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::find;

/// What an event carries of a reason: whatever JSON makes of it (six bytes of one at worst), the event stays a message.
const REASON_BYTES: usize = 8 * 1024;

/// Announces a harvest as it stands in this transaction. A harvest that does not exist announces nothing.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn announce(connection: &mut PgConnection, harvest_id: Uuid, kind: EventKind) -> Result<(), sqlx::Error> {
    let Some(harvest) = find(&mut *connection, harvest_id).await? else { return Ok(()) };
    let event = Event {
        kind,
        harvest_id,
        subscription: harvest.subscription,
        counts: harvest.counts,
        reason: harvest.reason.map(shortened),
        download_key: harvest.download_key,
        doi: harvest.doi,
        planned_at: harvest.planned_at.filter(|_| kind == EventKind::AwaitingApproval),
        at: Utc::now(),
    };
    let body = serde_json::to_value(&event).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    enqueue(connection, &[OutboxRow::new(Exchange::Events, kind.as_str(), Event::VERSION, body, Some(harvest_id))])
        .await
}

/// The beginning of a reason that is too long for an event; the harvest's row has the whole.
fn shortened(mut reason: String) -> String {
    if reason.len() > REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES));
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_shortened_between_two_characters_and_only_where_it_must_be() {
        let fits = "é".repeat(REASON_BYTES / 2);
        assert_eq!(shortened(fits.clone()), fits);
        let long = shortened(format!("a{fits}"));
        assert!(long.ends_with("é…") && long.len() == REASON_BYTES - 1 + '…'.len_utf8(), "{}", long.len());
    }
}
