//! The row of `pinv_gbif.generation` that a landing keeps: where it stands, what it counted.
//!
//! Invariant: the cursors and the counts are written in the transaction of the rows they speak of, and only by whoever
//! read the cursors that still stand there.

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::report::Report;

/// What a landing counted. `read = landed + duplicate + malformed`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LandedCounts {
    /// Rows of `occurrence.txt`.
    pub read: u64,
    /// Records in the generation.
    pub landed: u64,
    /// Rows whose `gbifID` stands on another row that was kept.
    pub duplicate: u64,
    /// Rows that are no record.
    pub malformed: u64,
    /// Rows of `multimedia.txt` in the generation.
    pub multimedia: u64,
}

/// Where a landing resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Rows of `occurrence.txt` that are committed or were malformed.
    pub occurrence: u64,
    /// The same of `multimedia.txt`.
    pub multimedia: u64,
}

/// A generation as it stands in the database.
#[derive(Clone, Debug)]
pub struct Generation {
    /// Its number, and the suffix of its two tables.
    pub id: i64,
    /// `loading`, `landed`, `current` or `dropped`.
    pub state: String,
    /// Where it resumes.
    pub cursor: Cursor,
    /// What was counted so far.
    pub counts: LandedCounts,
    /// What is told beside the counts.
    pub report: Report,
}

/// Finds or makes the generation of a harvest; the caller's transaction decides whether it stays.
pub async fn open_generation(
    connection: &mut PgConnection,
    subscription: &str,
    harvest_id: Uuid,
    archive_key: &str,
    archive_sha256: Option<&str>,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO pinv_gbif.generation AS g (subscription, harvest_id, archive_key, archive_sha256)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (harvest_id) DO UPDATE SET archive_sha256 = coalesce(g.archive_sha256, excluded.archive_sha256)
         RETURNING id",
    )
    .bind(subscription)
    .bind(harvest_id)
    .bind(archive_key)
    .bind(archive_sha256)
    .fetch_one(connection)
    .await
}

impl Generation {
    /// Reads a generation; nothing when there is none.
    pub async fn find(pool: &PgPool, id: i64) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT state, occurrence_cursor, multimedia_cursor, read, landed, duplicate, malformed, multimedia, report
             FROM pinv_gbif.generation WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let count = |column: &str| row.try_get::<i64, _>(column).map(|count| u64::try_from(count).unwrap_or_default());
        Ok(Some(Self {
            id,
            state: row.try_get("state")?,
            cursor: Cursor { occurrence: count("occurrence_cursor")?, multimedia: count("multimedia_cursor")? },
            counts: LandedCounts {
                read: count("read")?,
                landed: count("landed")?,
                duplicate: count("duplicate")?,
                malformed: count("malformed")?,
                multimedia: count("multimedia")?,
            },
            report: row.try_get::<Json<Report>, _>("report")?.0,
        }))
    }

    /// Writes the generation over the row that has the cursor `from`, and says whether it still did.
    pub async fn save(&self, connection: &mut PgConnection, from: Cursor) -> Result<bool, sqlx::Error> {
        let saved = sqlx::query(
            "UPDATE pinv_gbif.generation
             SET state = $2, occurrence_cursor = $3, multimedia_cursor = $4, read = $5, landed = $6, duplicate = $7,
                 malformed = $8, multimedia = $9, report = $10, landed_at = CASE WHEN $2 = 'landed' THEN now() END
             WHERE id = $1 AND state = 'loading' AND occurrence_cursor = $11 AND multimedia_cursor = $12",
        )
        .bind(self.id)
        .bind(&self.state)
        .bind(stored(self.cursor.occurrence))
        .bind(stored(self.cursor.multimedia))
        .bind(stored(self.counts.read))
        .bind(stored(self.counts.landed))
        .bind(stored(self.counts.duplicate))
        .bind(stored(self.counts.malformed))
        .bind(stored(self.counts.multimedia))
        .bind(Json(&self.report))
        .bind(stored(from.occurrence))
        .bind(stored(from.multimedia))
        .execute(connection)
        .await?;
        Ok(saved.rows_affected() == 1)
    }
}

/// PostgreSQL has no unsigned numbers; counts of rows never come near the end of `bigint`.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
