//! The loops between the broker's consumers and the handling of deliveries.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use passereau_broker::{Consumer, Delivery, Settled};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    Worker, dead,
    deliver::{Settlement, Surroundings, deliver},
};

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
}

/// Moves what the broker itself gave up into the table of dead letters.
pub(crate) async fn adopt_dead(pool: PgPool, mut consumer: Consumer, shutdown: CancellationToken) {
    while let Some(delivery) = consumer.next().await {
        adopt(&pool, delivery, &shutdown).await;
    }
}

/// Holds the delivery until PostgreSQL has taken it: handing it back would only turn it in circles.
async fn adopt(pool: &PgPool, delivery: Delivery, shutdown: &CancellationToken) {
    loop {
        match dead::adopt(pool, &delivery.message).await {
            Ok(()) => {
                if delivery.ack().await == Settled::Lost {
                    tracing::debug!("the dead letter comes again and is known");
                }
                return;
            }
            Err(error) => tracing::warn!(%error, "a message of the dead queue could not be moved into the table"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {
                if delivery.requeue().await == Settled::Lost {
                    tracing::debug!("the broker takes it back by itself");
                }
                return;
            }
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
    }
}
