//! The batches of the enrichment: what is to be asked of others before a generation can be planned.
//!
//! The iNaturalist ids whose UUIDs, or accounts where a subscription wants them, are not known yet go to the inat-enricher. Ids that iNaturalist did not know are among
//! them: the inat-enricher decides when they are asked for again. The datasets that GBIF's registry was not asked about
//! lately go to the requester.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::dataset;

/// Ids of one batch: the most that iNaturalist answers on one page (`per_page`, inaturalist/iNaturalistAPI
/// `lib/inaturalist_api.js`). Tests lower it (`ALTER DATABASE … SET passereau.batch_ids`), so that a small harvest has several batches.
const BATCH: i32 = 200;

/// The batches of a harvest, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    /// How many of iNaturalist's ids there are, from 0.
    pub inaturalist: u32,
    /// That of the datasets.
    pub datasets: Option<u32>,
}

impl Batches {
    /// Whether nothing is to be asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inaturalist == 0 && self.datasets.is_none()
    }
}

/// Inserts the batches of a harvest as slices of stage `enrich`.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn cut_batches(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    generation_id: i64,
) -> Result<Batches, sqlx::Error> {
    let inaturalist = cut_ids(connection, harvest_id, generation_id).await?;
    let datasets = dataset::add_batch(connection, harvest_id, generation_id).await?;
    Ok(Batches { inaturalist, datasets })
}

async fn cut_ids(connection: &mut PgConnection, harvest_id: Uuid, generation_id: i64) -> Result<u32, sqlx::Error> {
    let batches = sqlx::query(
        "INSERT INTO passereau.slice (harvest_id, stage, ordinal, ids, records)
         SELECT $1, 'enrich', (place - 1) / most, array_agg(id ORDER BY id), count(*)
         FROM (SELECT LEAST($3, NULLIF(current_setting('passereau.batch_ids', true), '')::integer) AS most, id, (row_number() OVER (ORDER BY id))::integer AS place
               FROM (SELECT DISTINCT inaturalist_id AS id FROM pinv_gbif.occurrence
                     WHERE generation_id = $2 AND inaturalist_id IS NOT NULL) wanted
               WHERE NOT EXISTS (SELECT FROM pinv_gbif.cor_uuid_inaturalist known
                                 WHERE known.id_inaturalist = wanted.id AND known.uuid IS NOT NULL)
                  OR (NOT EXISTS (SELECT FROM pinv_gbif.cor_login_inaturalist account
                                  WHERE account.id_inaturalist = wanted.id)
                      AND EXISTS (SELECT FROM passereau.harvest h
                                  WHERE h.id = $1 AND h.settings ->> 'observers' = 'login'))
              ) numbered
         GROUP BY (place - 1) / most
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
