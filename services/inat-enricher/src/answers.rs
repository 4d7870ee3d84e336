//! iNaturalist's answers, kept for ever in `pinv_gbif.cor_uuid_inaturalist`.

use passereau_inaturalist::Lookup;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// The ids of a batch that still need an answer: never asked, or absent for long enough. `None` when the batch is done or
/// does not exist.
pub(crate) async fn unanswered(
    pool: &PgPool,
    harvest_id: Uuid,
    batch: i32,
    absent_again: Duration,
) -> Result<Option<Vec<i64>>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(array_agg(wanted.id ORDER BY wanted.id) FILTER (WHERE known.uuid IS NULL AND
                    (known.asked_at IS NULL OR known.asked_at < now() - make_interval(secs => $3))), '{}')
         FROM passereau.slice s
         LEFT JOIN LATERAL (SELECT DISTINCT unnest(s.ids) AS id) wanted ON true
         LEFT JOIN pinv_gbif.cor_uuid_inaturalist known ON known.id_inaturalist = wanted.id
         WHERE s.harvest_id = $1 AND s.stage = 'enrich' AND s.ordinal = $2 AND s.done_at IS NULL
         GROUP BY s.ordinal",
    )
    .bind(harvest_id)
    .bind(batch)
    .bind(absent_again.as_secs_f64())
    .fetch_optional(pool)
    .await
    // An empty `ids` gives one row of nothing.
    .map(|ids: Option<Vec<Option<i64>>>| ids.map(|ids| ids.into_iter().flatten().collect()))
}

/// Keeps the answers of one lookup. A UUID is never replaced by an absence: an observation that was deleted keeps its key.
pub(crate) async fn keep(connection: &mut PgConnection, lookup: &Lookup) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, url, uuid, asked_at)
         SELECT id, url, uuid, now() FROM unnest($1::bigint[], $2::text[], $3::uuid[]) AS found(id, url, uuid)
         ORDER BY id
         ON CONFLICT (id_inaturalist) DO UPDATE
         SET url = excluded.url, uuid = excluded.uuid, asked_at = excluded.asked_at, absent_since = NULL",
    )
    .bind(lookup.found.iter().map(|found| found.id).collect::<Vec<_>>())
    .bind(lookup.found.iter().map(|found| found.uri.clone()).collect::<Vec<_>>())
    .bind(lookup.found.iter().map(|found| found.uuid).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO pinv_gbif.cor_uuid_inaturalist AS known (id_inaturalist, asked_at, absent_since)
         SELECT id, now(), now() FROM unnest($1::bigint[]) AS absent(id) ORDER BY id
         ON CONFLICT (id_inaturalist) DO UPDATE
         SET asked_at = excluded.asked_at, absent_since = coalesce(known.absent_since, excluded.absent_since)
         WHERE known.uuid IS NULL",
    )
    .bind(&lookup.absent)
    .execute(connection)
    .await?;
    Ok(())
}
