//! Messages already handled.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// What is known of a message before its handler is asked.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct Met {
    /// It was handled. A hint that spares outside work; [`claim`] decides.
    pub known: bool,
    /// Its harvest is paused.
    pub paused: bool,
    /// It came out of our outbox.
    pub ours: bool,
}

/// Looks a message up, and the harvest that it is about.
pub(crate) async fn meet(
    pool: &PgPool,
    consumer: &str,
    message_id: Uuid,
    harvest_id: Option<Uuid>,
) -> Result<Met, sqlx::Error> {
    sqlx::query_as(
        "SELECT EXISTS (SELECT FROM passereau.inbox WHERE consumer = $1 AND message_id = $2) AS known,
                EXISTS (SELECT FROM passereau.harvest WHERE id = $3 AND paused_at IS NOT NULL) AS paused,
                EXISTS (SELECT FROM passereau.sent WHERE id = $2)
                    -- It may come before the relay, which published it, has committed.
                    OR EXISTS (SELECT FROM passereau.outbox WHERE id = $2 AND exchange = 'work') AS ours",
    )
    .bind(consumer)
    .bind(message_id)
    .bind(harvest_id)
    .fetch_one(pool)
    .await
}

/// Remembers a message in the transaction of its effects; `false` when it was handled before. A second copy that is being
/// handled at the same time waits here for the first one's commit.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    consumer: &str,
    message_id: Uuid,
) -> Result<bool, sqlx::Error> {
    sqlx::query("DELETE FROM passereau.sent WHERE id = $1").bind(message_id).execute(&mut *connection).await?;
    let inserted =
        sqlx::query("INSERT INTO passereau.inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(consumer)
            .bind(message_id)
            .execute(connection)
            .await?
            .rows_affected();
    Ok(inserted == 1)
}
