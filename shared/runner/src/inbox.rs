//! Messages already handled.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Whether a message was handled. A hint that spares outside work; [`claim`] decides.
pub(crate) async fn knows(pool: &PgPool, consumer: &str, message_id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM passereau.inbox WHERE consumer = $1 AND message_id = $2)")
        .bind(consumer)
        .bind(message_id)
        .fetch_one(pool)
        .await
}

/// What is known of a message before its handler is asked.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct Met {
    /// It was handled.
    pub known: bool,
    /// Its harvest is paused.
    pub paused: bool,
}

/// Looks a message up, and the harvest that it is about. A hint, as [`knows`].
pub(crate) async fn meet(
    pool: &PgPool,
    consumer: &str,
    message_id: Uuid,
    harvest_id: Option<Uuid>,
) -> Result<Met, sqlx::Error> {
    sqlx::query_as(
        "SELECT EXISTS (SELECT FROM passereau.inbox WHERE consumer = $1 AND message_id = $2) AS known,
                EXISTS (SELECT FROM passereau.harvest WHERE id = $3 AND paused_at IS NOT NULL) AS paused",
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
