//! Events leave through the outbox, in the transaction of the state that they report.

use chrono::Utc;
use passereau_contracts::{Event, EventKind};
use passereau_database::outbox::{Exchange, OutboxRow, enqueue};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::find;

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
        reason: harvest.reason,
        download_key: harvest.download_key,
        doi: harvest.doi,
        planned_at: harvest.planned_at.filter(|_| kind == EventKind::AwaitingApproval),
        at: Utc::now(),
    };
    let body = serde_json::to_value(&event).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    enqueue(connection, &[OutboxRow::new(Exchange::Events, kind.as_str(), Event::VERSION, body, Some(harvest_id))])
        .await
}
