//! The loops between the broker's consumers and the handling of deliveries.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::Utc;
use futures_util::FutureExt;
use passereau_broker::{Broker, Consumer, Delivery, Settled, dead_queue_name};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    Worker, dead,
    deliver::{Settlement, Surroundings, WAIT_FOR_DATABASE, deliver, process_span},
    envelope::Envelope,
    outcome::is_database_absent,
};

/// How long a dead letter waits for PostgreSQL before it is tried again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Handles one delivery after the other until the consumer ends.
pub(crate) async fn work<W: Worker>(worker: Arc<W>, surroundings: Surroundings, mut consumer: Consumer) {
    while let Some(delivery) = consumer.next().await {
        let kind = delivery.message.routing_key.clone();
        // A panic of the runner itself must not end the consumer in silence.
        let settlement = AssertUnwindSafe(deliver(&*worker, &surroundings, &delivery.message)).catch_unwind().await;
        let settlement = settlement.unwrap_or_else(|_| {
            tracing::error!(worker = W::NAME, kind, "the runner panicked, the message goes back; this is a defect");
            Settlement::HandBack
        });
        let settled = match settlement {
            Settlement::Acknowledge => delivery.ack().await,
            Settlement::HandBack => delivery.requeue().await,
        };
        if settled == Settled::Lost {
            surroundings.metrics.ack_lost(&kind);
        }
    }
    ended(W::NAME, &surroundings.shutdown, &surroundings.defect);
}

/// A consumer ends when it is told to. Otherwise its task has: a process that looks alive and consumes nothing must not be left.
fn ended(consumer: &str, shutdown: &CancellationToken, defect: &CancellationToken) {
    if !shutdown.is_cancelled() {
        tracing::error!(consumer, "the consumer has ended by itself, so the process ends; this is a defect");
        defect.cancel();
    }
}

/// Moves what the broker itself gave up into the table of dead letters. On a connection of its own: the dead queue is where a message
/// ends that no client can read, and each attempt at it costs the connection.
pub(crate) async fn adopt_dead(pool: PgPool, broker: Broker, shutdown: CancellationToken, defect: CancellationToken) {
    let queue = dead_queue_name(broker.prefix());
    loop {
        let mut consumer = broker.consumer_apart(queue.clone());
        loop {
            let Some(delivery) = consumer.next().await else { return ended("dead", &shutdown, &defect) };
            let envelope = Envelope::new(&delivery.message, Utc::now());
            let span = process_span("dead", &queue, &delivery.message, &envelope);
            if !adopt(&pool, delivery, &shutdown).instrument(span).await {
                break;
            }
        }
        // Whoever takes messages while PostgreSQL is away holds them until the broker takes them back, and its limit counts that.
        consumer.stop_token().cancel();
        while consumer.next().await.is_some() {}
        while sqlx::query("SELECT 1").execute(&pool).await.is_err() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }
}

/// Holds the delivery until PostgreSQL has taken it: handing it back would only turn it in circles. `false` when that takes too long, or
/// the process ends.
async fn adopt(pool: &PgPool, delivery: Delivery, shutdown: &CancellationToken) -> bool {
    let until = tokio::time::Instant::now() + WAIT_FOR_DATABASE;
    let mut refusal: Option<String> = None;
    loop {
        let adopted = match &refusal {
            None => dead::adopt(pool, &delivery.message).await,
            Some(refusal) => dead::adopt_in_part(pool, &delivery.message, refusal).await,
        };
        match adopted {
            Ok(()) => {
                if delivery.ack().await == Settled::Lost {
                    tracing::debug!("the dead letter comes again and is known");
                }
                return true;
            }
            Err(error) => {
                tracing::warn!(%error, "a message of the dead queue could not be moved into the table");
                if refusal.is_none() && !is_database_absent(&error) {
                    refusal = Some(error.to_string());
                    continue;
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
            () = tokio::time::sleep(LOOK_AGAIN) => continue,
        }
        if delivery.requeue().await == Settled::Lost {
            tracing::debug!("the broker takes it back by itself");
        }
        return false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_ends_unasked_ends_the_process() {
        let (shutdown, defect) = (CancellationToken::new(), CancellationToken::new());
        shutdown.cancel();
        ended("loader", &shutdown, &defect);
        assert!(!defect.is_cancelled(), "it was asked to");
        ended("loader", &CancellationToken::new(), &defect);
        assert!(defect.is_cancelled());
    }
}
