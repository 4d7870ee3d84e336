//! Time that passes without being waited for.
//!
//! Whatever waits in the fleet is a row with a date (decision record 0002 and design §4). Time passes by moving those dates back: the
//! production's waits of minutes, hours and days are so gone through in moments, and their sum can be told.

use std::time::Duration;

use passereau_testing::wait_until;
use sqlx::{PgConnection, PgPool};

use super::STUCK;

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

/// `lock_not_available` and `deadlock_detected` (<https://www.postgresql.org/docs/15/errcodes-appendix.html>).
const LOCKED_OUT: [&str; 2] = ["55P03", "40P01"];

/// Runs a transaction among those of the workers, which go on counting and relaying and take these tables in orders of their own. This one gives up
/// long before `deadlock_timeout` (a second), is so the one that is undone, never one of theirs, and tries again.
pub async fn between_queries(
    pool: &PgPool,
    what: &str,
    transaction: impl AsyncFn(&mut PgConnection) -> sqlx::Result<()>,
) {
    wait_until(what, STUCK, async || {
        let attempt = async {
            let mut tx = pool.begin().await?;
            sqlx::query("SET LOCAL lock_timeout = '200ms'").execute(&mut *tx).await?;
            transaction(&mut tx).await?;
            tx.commit().await
        };
        let Err(error) = attempt.await else { return Some(()) };
        let code = error.as_database_error().and_then(|error| error.code());
        assert!(code.as_deref().is_some_and(|code| LOCKED_OUT.contains(&code)), "{what}: {error}");
        None
    })
    .await;
}

/// Lets so much time pass.
pub async fn pass(pool: &PgPool, by: Duration) {
    between_queries(pool, "time passed between two queries of the workers", async |tx| {
        for date in DATES {
            sqlx::query(date).bind(by.as_secs_f64()).execute(&mut *tx).await?;
        }
        // The relay sleeps until the next date that it knows of.
        sqlx::query("SELECT pg_notify('passereau_outbox', '')").execute(&mut *tx).await?;
        Ok(())
    })
    .await;
}

/// The next message that has a date.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Its identity.
    pub message: uuid::Uuid,
    /// How far off its date is.
    pub left: Duration,
    /// How long it has been there, in real time: its date was so much farther off, at most, when it was given.
    pub age: Duration,
}

/// What the fleet waits for; nothing while anything is to be done now.
pub async fn next_wait(pool: &PgPool) -> Option<Wait> {
    let next: Option<(uuid::Uuid, f64, f64)> = sqlx::query_as(
        "SELECT id, extract(epoch FROM due_at - now())::float8, extract(epoch FROM now() - created_at)::float8
         FROM passereau.outbox WHERE due_at < 'infinity' ORDER BY due_at LIMIT 1",
    )
    .fetch_optional(pool)
    .await
    .unwrap();
    let (message, left_s, age_s) = next?;
    let left = Duration::try_from_secs_f64(left_s).ok().filter(|left| !left.is_zero())?;
    Some(Wait { message, left, age: Duration::try_from_secs_f64(age_s).unwrap_or_default() })
}
