//! Messages that RabbitMQ confirmed and then lost: a queue was deleted with messages in it, a broker came back without its disk.
//!
//! The relay leaves every work message in `passereau.sent`; the transaction that handles it takes it out (`inbox::claim`). What
//! stands there for long although its queue is empty is in nobody's hands: it goes back into the outbox, under the same
//! `message_id`. Should it have been in somebody's hands after all, the inbox knows it.

use std::time::Duration;

use passereau_broker::{Broker, queue_name, topology};
use passereau_contracts::WORKERS;
use passereau_telemetry::Metrics;
use sqlx::PgPool;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Looks until it is told to stop.
pub(crate) async fn run(pool: PgPool, broker: Broker, metrics: Metrics, after: Duration, stop: CancellationToken) {
    let mut timer = tokio::time::interval(LOOK_EVERY.min(after));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        match look(&pool, &broker, after).await {
            Ok(messages) => metrics.messages_resent(messages),
            Err(error) => tracing::debug!(%error, "lost messages could not be looked for, once more at the next look"),
        }
    }
}

async fn look(
    pool: &PgPool,
    broker: &Broker,
    after: Duration,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let mut again = 0;
    for worker in WORKERS {
        forget_handled(pool, worker.worker, worker.kinds).await?;
        if !is_overdue(pool, worker.kinds, after).await? {
            continue;
        }
        let queue = queue_name(broker.prefix(), worker.worker);
        match topology::waiting(broker, &queue).await {
            Ok(0) => again += send_again(pool, worker.kinds, after).await?,
            // Messages wait: the queue is long, nothing is lost.
            Ok(_) => {}
            // One queue that is missing must not hide what the others have lost.
            Err(error) => tracing::warn!(queue, %error, "lost messages of this queue could not be looked for"),
        }
    }
    Ok(again)
}

/// A handler may commit before the relay does; and nobody handles what a harvest that has ended had sent.
async fn forget_handled(pool: &PgPool, consumer: &str, kinds: &[&str]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM passereau.sent s WHERE s.routing_key = ANY ($2)
           AND (EXISTS (SELECT FROM passereau.inbox i WHERE i.consumer = $1 AND i.message_id = s.id)
                OR EXISTS (SELECT FROM passereau.harvest h
                           WHERE h.id = s.harvest_id AND h.state IN ('completed', 'failed', 'cancelled')))",
    )
    .bind(consumer)
    .bind(kinds)
    .execute(pool)
    .await
    .map(|_| ())
}

async fn is_overdue(pool: &PgPool, kinds: &[&str], after: Duration) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM passereau.sent WHERE routing_key = ANY ($1) AND sent_at < now() - make_interval(secs => $2))",
    )
    .bind(kinds)
    .bind(after.as_secs_f64())
    .fetch_one(pool)
    .await
}

async fn send_again(pool: &PgPool, kinds: &[&str], after: Duration) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "WITH lost AS (
             DELETE FROM passereau.sent
             WHERE id IN (SELECT id FROM passereau.sent
                          WHERE routing_key = ANY ($1) AND sent_at < now() - make_interval(secs => $2) FOR UPDATE SKIP LOCKED)
             RETURNING *)
         INSERT INTO passereau.outbox (id, exchange, routing_key, version, body, raw, headers, harvest_id, attempt)
         SELECT id, 'work', routing_key, version, body, raw, headers, harvest_id, attempt FROM lost
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(kinds)
    .bind(after.as_secs_f64())
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
}
