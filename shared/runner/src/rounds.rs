//! What a worker does beside its messages, again and again: it looks out, and it observes.

use std::{sync::Arc, time::Duration};

use passereau_telemetry::Metrics;
use sqlx::PgPool;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Worker;

/// Looks out until it is told to stop.
pub(crate) async fn look_out<W: Worker>(worker: Arc<W>, period: Duration, pool: PgPool, shutdown: CancellationToken) {
    again_and_again(period, &shutdown, || {
        let (worker, pool) = (Arc::clone(&worker), pool.clone());
        async move {
            // In a task of its own: a panic must not end the loop behind a worker that looks alive.
            let looked =
                tokio::spawn(async move { worker.look_out(&pool).await.map_err(|error| error.to_string()) }).await;
            if let Err(error) = looked.unwrap_or_else(|panic| Err(panic.to_string())) {
                let again_s = period.as_secs();
                tracing::warn!(worker = W::NAME, error, again_s, "looking out has not succeeded, it is tried again");
            }
        }
    })
    .await;
}

/// Observes until it is told to stop. Apart from looking out: a reading that takes long holds up nothing that is due.
pub(crate) async fn observe<W: Worker>(
    worker: Arc<W>,
    period: Duration,
    pool: PgPool,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    again_and_again(period, &shutdown, || {
        let (worker, pool, metrics) = (Arc::clone(&worker), pool.clone(), metrics.clone());
        let told = metrics.clone();
        async move {
            let read =
                tokio::spawn(async move { worker.observe(&pool, &metrics).await.map_err(|error| error.to_string()) })
                    .await;
            if let Err(error) = read.unwrap_or_else(|panic| Err(panic.to_string())) {
                told.state_not_read(&error);
            }
        }
    })
    .await;
}

async fn again_and_again<F: Future<Output = ()>>(
    period: Duration,
    shutdown: &CancellationToken,
    mut round: impl FnMut() -> F,
) {
    let mut timer = tokio::time::interval(period);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = timer.tick() => {}
        }
        round().await;
    }
}
