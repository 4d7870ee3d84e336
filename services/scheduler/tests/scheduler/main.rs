//! The scheduler over real servers: what fires, when, and how often.
#![allow(clippy::unwrap_used, reason = "tests")]

mod firing;
mod operator;
mod state;
mod traps;
mod worker;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// The moment of the tests, far from that of the clock.
fn noon() -> DateTime<Utc> {
    "2031-03-10T12:00:00Z".parse().unwrap()
}

/// A daily schedule that has been due for so long at [`noon`]; with a request where it needs one.
async fn due(pool: &PgPool, name: &str, since: TimeDelta) {
    let request = name.starts_with("subscription:").then(|| json!({"archive": "archives/april.zip"}));
    sqlx::query(
        "INSERT INTO passereau.schedule (name, expression, request, anchor_at, next_at) VALUES ($1, 'P1D', $2, $3 - interval '30 days', $3)",
    )
    .bind(name)
    .bind(request)
    .bind(noon() - since)
    .execute(pool)
    .await
    .unwrap();
}

/// The schedule that the migration makes would fire as well.
async fn without_retention(pool: &PgPool) {
    sqlx::query("DELETE FROM passereau.schedule WHERE name = 'retention'").execute(pool).await.unwrap();
}

/// What waits to be sent: id, kind, body.
async fn outbox(pool: &PgPool) -> Vec<(Uuid, String, Value)> {
    sqlx::query_as("SELECT id, routing_key, body FROM passereau.outbox ORDER BY routing_key, body::text")
        .fetch_all(pool)
        .await
        .unwrap()
}

async fn next_at(pool: &PgPool, name: &str) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT next_at FROM passereau.schedule WHERE name = $1")
        .bind(name)
        .fetch_one(pool)
        .await
        .unwrap()
}
