//! Lines of an archive that are no record: the first of them are kept with their reason, all are counted.

use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

/// A line that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct MalformedLine {
    /// Its file in the archive.
    pub file: String,
    /// Its number there, counted from 1 and header included.
    pub line: i64,
    /// What is wrong with it.
    pub reason: String,
}

/// The first lines of a harvest's archive that are no record, in their order: those of the records before those of the media. None
/// when its generation is gone.
pub async fn malformed_lines(pool: &PgPool, harvest: Uuid, most: i64) -> Result<Vec<MalformedLine>, sqlx::Error> {
    sqlx::query_as(
        "SELECT told.file, (bad.row ->> 'line')::bigint AS line, bad.row ->> 'reason' AS reason
         FROM pinv_gbif.generation g
         CROSS JOIN LATERAL (VALUES (1, 'occurrence.txt', g.report -> 'malformed'),
                                    (2, 'multimedia.txt', g.report -> 'multimedia_malformed_rows')) told (place, file, rows)
         CROSS JOIN LATERAL jsonb_array_elements(coalesce(told.rows, '[]')) AS bad (row)
         WHERE g.harvest_id = $1
         ORDER BY told.place, line
         LIMIT $2",
    )
    .bind(harvest)
    .bind(most)
    .fetch_all(pool)
    .await
}
