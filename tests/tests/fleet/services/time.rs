//! Time that passes without being waited for.
//!
//! Whatever waits in the fleet is a row with a date (decision record 0002 and design §4). Time passes by moving those dates back: the
//! production's waits of minutes, hours and days are so gone through in moments, and their sum can be told.

use std::time::Duration;

use sqlx::PgPool;

/// Every date that something waits for, or that a wait is counted from.
const DATES: [&str; 7] = [
    "UPDATE passereau.outbox SET due_at = due_at - make_interval(secs => $1) WHERE due_at < 'infinity'",
    "UPDATE passereau.pace SET next_at = next_at - make_interval(secs => $1)",
    "UPDATE passereau.gbif_places SET until = until - make_interval(secs => $1)",
    "UPDATE passereau.download SET deadline_at = deadline_at - make_interval(secs => $1),
         intended_at = intended_at - make_interval(secs => $1)",
    "UPDATE passereau.fetch SET started_at = started_at - make_interval(secs => $1)",
    "UPDATE pinv_gbif.cor_uuid_inaturalist SET asked_at = asked_at - make_interval(secs => $1)",
    "UPDATE pinv_gbif.dataset SET registry_asked_at = registry_asked_at - make_interval(secs => $1)",
];

/// Lets so much time pass.
pub async fn pass(pool: &PgPool, by: Duration) {
    let mut tx = pool.begin().await.unwrap();
    for date in DATES {
        sqlx::query(date).bind(by.as_secs_f64()).execute(&mut *tx).await.unwrap();
    }
    // The relay sleeps until the next date that it knows of.
    sqlx::query("SELECT pg_notify('passereau_outbox', '')").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// What the fleet waits for: the next message that has a date, and how far off it is; none while anything is to be done now.
pub async fn next_wait(pool: &PgPool) -> Option<(uuid::Uuid, Duration)> {
    let next: Option<(uuid::Uuid, f64)> = sqlx::query_as(
        "SELECT id, extract(epoch FROM due_at - now())::float8 FROM passereau.outbox
         WHERE due_at < 'infinity' ORDER BY due_at LIMIT 1",
    )
    .fetch_optional(pool)
    .await
    .unwrap();
    let (id, left_s) = next?;
    Some((id, Duration::try_from_secs_f64(left_s).ok().filter(|left| !left.is_zero())?))
}
