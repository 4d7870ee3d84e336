//! Messages that give up become dead letters: rows, until somebody replays or drops them.

use chrono::Utc;
use passereau_broker::{Incoming, MAX_BODY_BYTES, Outgoing};
use passereau_contracts::{ATTEMPT_HEADER, FIRST_PUBLISHED_AT_HEADER, ORIGIN_HEADER, WORKERS};
use passereau_telemetry::DeadLetterReason;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::{
    envelope::{Envelope, storable},
    inbox,
};

/// Where a message died that came to the dead queue and does not say from where.
const DEAD_QUEUE: &str = "passereau.dead";

/// Why a message gave up.
pub(crate) struct Death<'a> {
    pub reason: DeadLetterReason,
    pub error: &'a str,
}

/// Writes the dead letter of a message, in the caller's transaction. What is larger than any message of ours is kept in part: RabbitMQ
/// takes up to 128 MiB of anyone.
pub(crate) async fn bury(
    connection: &mut PgConnection,
    queue: &str,
    envelope: &Envelope,
    death: &Death<'_>,
) -> Result<(), sqlx::Error> {
    let mut error = storable(death.error);
    let body = match envelope.body.get(..MAX_BODY_BYTES) {
        Some(first) if first.len() < envelope.body.len() => {
            let (size, digest) = (envelope.body.len(), Sha256::digest(&envelope.body));
            error += &format!("; of its {size} bytes (SHA-256 {digest:x}) the first {MAX_BODY_BYTES} are kept");
            first
        }
        _ => &envelope.body,
    };
    sqlx::query(
        "INSERT INTO passereau.dead_letter
             (id, message_id, queue, kind, version, body, headers, harvest_id, reason, error, attempts, first_published_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(Uuid::now_v7())
    .bind(envelope.origin)
    .bind(queue)
    .bind(&envelope.kind)
    .bind(i32::from(envelope.version))
    .bind(body)
    .bind(Json(&envelope.headers))
    .bind(envelope.harvest_id)
    .bind(death.reason.as_str())
    .bind(error)
    .bind(envelope.attempt)
    .bind(envelope.first_published_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes a dead letter of a message of the outbox that no broker would take, and its harvest has failed.
pub(crate) async fn bury_unsendable(
    connection: &mut PgConnection,
    message: Outgoing,
    error: &str,
) -> Result<(), sqlx::Error> {
    // One that was sent before keeps who it is and since when it has been on its way.
    let header = |name: &str| message.headers.get(name).map(String::as_str);
    let origin = header(ORIGIN_HEADER).and_then(|text| text.parse().ok());
    let first_published_at = header(FIRST_PUBLISHED_AT_HEADER).and_then(|text| text.parse().ok());
    let envelope = Envelope {
        message_id: message.message_id,
        has_own_id: true,
        attempt: header(ATTEMPT_HEADER).and_then(|text| text.parse().ok()).unwrap_or(0),
        origin: origin.unwrap_or(message.message_id),
        first_published_at: first_published_at.unwrap_or_else(Utc::now),
        kind: message.kind,
        version: message.version,
        harvest_id: message.correlation_id,
        headers: message.headers,
        body: message.body,
    };
    let error = format!("the message cannot be sent: {error}");
    bury(&mut *connection, "outbox", &envelope, &Death { reason: DeadLetterReason::Rejected, error: &error }).await?;
    if let Some(harvest_id) = envelope.fails() {
        passereau_harvest::fail(connection, harvest_id, &format!("{}: {error}", envelope.kind)).await?;
    }
    Ok(())
}

/// Moves a message that the broker gave up into the table; once, however often it comes.
pub(crate) async fn adopt(pool: &PgPool, incoming: &Incoming) -> Result<(), sqlx::Error> {
    let Some(envelope) = unhandled(pool, incoming).await? else { return Ok(()) };
    match &incoming.death {
        Some(death) => {
            let error =
                format!("RabbitMQ gave the message up ({}); look into the worker's log, then replay", death.reason);
            take_over(pool, &death.queue, &envelope, &error).await
        }
        None => take_over(pool, DEAD_QUEUE, &envelope, "the message came to the dead queue without a reason").await,
    }
}

/// The same where PostgreSQL has refused the message as it is: without the texts that somebody else chose. It would stay in the dead queue's
/// way for ever otherwise.
pub(crate) async fn adopt_in_part(pool: &PgPool, incoming: &Incoming, refusal: &str) -> Result<(), sqlx::Error> {
    let Some(mut envelope) = unhandled(pool, incoming).await? else { return Ok(()) };
    envelope.harvest_id = envelope.fails();
    envelope.headers.clear();
    let error = format!(
        "RabbitMQ gave the message up, and PostgreSQL refused it as it was: {refusal}; its headers are left out. Look into the \
         worker's log, then replay"
    );
    take_over(pool, DEAD_QUEUE, &envelope, &error).await
}

/// `None`: the work was done, only its acknowledgement was lost too often.
async fn unhandled(pool: &PgPool, incoming: &Incoming) -> Result<Option<Envelope>, sqlx::Error> {
    let mut envelope = Envelope::new(incoming, Utc::now());
    let worker = WORKERS.iter().find(|worker| worker.kinds.contains(&envelope.kind.as_str()));
    let consumer = worker.map_or("", |worker| worker.worker);
    let met = inbox::meet(pool, consumer, envelope.message_id, envelope.harvest_id).await?;
    if !met.ours {
        envelope.mark_foreign();
    }
    Ok((!met.known).then_some(envelope))
}

async fn take_over(pool: &PgPool, queue: &str, envelope: &Envelope, error: &str) -> Result<(), sqlx::Error> {
    let error = storable(error);
    let mut tx = pool.begin().await?;
    if inbox::claim(&mut tx, "dead", envelope.message_id).await? {
        let death = Death { reason: DeadLetterReason::ReturnedByBroker, error: &error };
        bury(&mut tx, &storable(queue), envelope, &death).await?;
        if let Some(harvest_id) = envelope.fails() {
            passereau_harvest::fail(&mut tx, harvest_id, &format!("{}: {error}", envelope.kind)).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}
