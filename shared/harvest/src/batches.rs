//! The iNaturalist ids whose UUIDs are not known yet, cut into batches for the inat-enricher. Ids that iNaturalist did not know
//! are among them: the inat-enricher decides when they are asked for again.

use sqlx::PgConnection;
use uuid::Uuid;

/// Ids of one batch: the most that iNaturalist answers on one page (`per_page`, inaturalist/iNaturalistAPI
/// `lib/inaturalist_api.js`).
const BATCH: i32 = 200;

/// Inserts the batches of a harvest as slices of stage `enrich`, and returns how many there are.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn cut_batches(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    generation_id: i64,
) -> Result<u32, sqlx::Error> {
    let batches = sqlx::query(
        "INSERT INTO passereau.slice (harvest_id, stage, ordinal, ids, records)
         SELECT $1, 'enrich', (place - 1) / $3, array_agg(id ORDER BY id), count(*)
         FROM (SELECT id, (row_number() OVER (ORDER BY id))::integer AS place
               FROM (SELECT DISTINCT inaturalist_id AS id FROM pinv_gbif.occurrence
                     WHERE generation_id = $2 AND inaturalist_id IS NOT NULL) wanted
               WHERE NOT EXISTS (SELECT FROM pinv_gbif.cor_uuid_inaturalist known
                                 WHERE known.id_inaturalist = wanted.id AND known.uuid IS NOT NULL)
              ) numbered
         GROUP BY (place - 1) / $3
         ON CONFLICT DO NOTHING",
    )
    .bind(harvest_id)
    .bind(generation_id)
    .bind(BATCH)
    .execute(connection)
    .await?
    .rows_affected();
    Ok(u32::try_from(batches).unwrap_or(u32::MAX))
}
