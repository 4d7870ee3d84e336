//! What a user could see of a harvest, in a form that two runs can be compared by (invariant 1 of `docs/invariants.md`): everything but
//! what names the run itself, its dates, and numbers that PostgreSQL gives out.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use passereau_contracts::{Counts, WORKERS};
use passereau_harvest::Harvest;
use passereau_sandbox::Route;
use passereau_tests::Fleet;
use sqlx::PgPool;

use crate::way::Way;

/// Each is a list of rows as text, in an order of their own.
const PARTS: &[(&str, &str)] = &[
    (
        "synthèse",
        "SELECT (to_jsonb(s) - ARRAY['id_synthese', 'id_dataset', 'id_source', 'meta_create_date', 'meta_update_date', 'additional_data']
                 || jsonb_build_object('dataset', d.unique_dataset_id,
                        'additional_data', s.additional_data - ARRAY['harvestId', 'downloadKey', 'downloadDoi']))::text
         FROM gn_synthese.synthese s
         JOIN gn_synthese.t_sources t USING (id_source) LEFT JOIN gn_meta.t_datasets d USING (id_dataset)
         WHERE t.name_source = 'GBIF' ORDER BY s.entity_source_pk_value::bigint",
    ),
    (
        "areas",
        "SELECT concat_ws(' ', s.entity_source_pk_value, string_agg(c.id_area::text, ',' ORDER BY c.id_area))
         FROM gn_synthese.synthese s JOIN gn_synthese.cor_area_synthese c USING (id_synthese)
         WHERE s.entity_source_pk_value IS NOT NULL GROUP BY s.entity_source_pk_value ORDER BY 1",
    ),
    (
        "media",
        "SELECT (to_jsonb(m) - ARRAY['id_media', 'unique_id_media', 'id_table_location', 'meta_create_date', 'meta_update_date'])::text
         FROM gn_commons.t_medias m ORDER BY 1",
    ),
    ("datasets", "SELECT concat_ws(' ', unique_dataset_id, dataset_name) FROM gn_meta.t_datasets ORDER BY 1"),
    (
        "generation",
        "SELECT (to_jsonb(o) - 'generation_id')::text FROM pinv_gbif.occurrence o ORDER BY o.gbif_id, 1",
    ),
    ("multimedia", "SELECT (to_jsonb(m) - 'generation_id')::text FROM pinv_gbif.multimedia m ORDER BY 1"),
    (
        "rejects",
        "SELECT (to_jsonb(r) - ARRAY['harvest_id', 'first_seen_at', 'last_seen_at'])::text FROM pinv_gbif.reject r ORDER BY r.gbif_id",
    ),
    (
        "memory",
        "SELECT concat_ws(' ', w.gbif_id, w.unique_id_sinp, w.cd_nom, w.written_key, w.media_hash) FROM passereau.written w ORDER BY w.gbif_id",
    ),
    (
        "iNaturalist's answers",
        "SELECT concat_ws(' ', id_inaturalist, uuid, absent_since IS NULL) FROM pinv_gbif.cor_uuid_inaturalist ORDER BY id_inaturalist",
    ),
    (
        "harvests",
        "SELECT h.state || ' ' || count(*) FROM passereau.harvest h GROUP BY h.state ORDER BY 1",
    ),
];

/// What one run has left behind.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    parts: BTreeMap<&'static str, Vec<String>>,
    counts: Counts,
}

impl Outcome {
    /// Reads it, once a harvest has ended and nothing is on its way any more.
    ///
    /// # Errors
    /// The harvest has failed, something was left, or a query failed.
    pub async fn read(fleet: &Fleet, harvest: &Harvest, way: Way) -> Result<Self> {
        ensure!(
            harvest.state == way.end(),
            "the harvest is {}: {}",
            harvest.state,
            harvest.reason.as_deref().unwrap_or("no reason")
        );
        let pool = &fleet.database.pool;
        let mut parts = BTreeMap::new();
        for (name, query) in PARTS {
            let rows: Vec<String> =
                sqlx::query_scalar(*query).fetch_all(pool).await.with_context(|| format!("reading the {name}"))?;
            parts.insert(*name, rows);
        }
        let mut events: Vec<String> = fleet.heard().await?.into_values().collect();
        events.sort();
        parts.insert("events", events);
        let downloads = fleet.sandbox.downloads();
        parts.insert("downloads", downloads.iter().map(|download| format!("{:?}", download.status)).collect());
        let posted = downloads.len();
        ensure!(
            posted == 1,
            "GBIF was asked for {posted} downloads instead of one ({} times)",
            fleet.sandbox.calls(Route::CreateDownload)
        );
        Ok(Self { parts, counts: harvest.counts })
    }

    /// What differs from the run without a fault, in words; `None` when nothing does.
    pub fn difference(&self, undisturbed: &Self) -> Option<String> {
        let mut words = Vec::new();
        if self.counts != undisturbed.counts {
            words.push(format!("counts {:?} instead of {:?}", self.counts, undisturbed.counts));
        }
        for (name, rows) in &self.parts {
            let expected = &undisturbed.parts[name];
            if rows != expected {
                let first = rows.iter().zip(expected).find(|(row, expected)| row != expected);
                words.push(format!(
                    "{name}: {} rows instead of {}, the first that differs: {first:?}",
                    rows.len(),
                    expected.len()
                ));
            }
        }
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// How much was compared.
    pub fn records(&self) -> usize {
        self.parts.values().map(Vec::len).sum()
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(|(name, rows)| format!("{name} {}", rows.len())).collect();
        format!("{} rows to compare ({})", self.records(), parts.join(", "))
    }
}

/// Whether anything is left on its way: in the outbox, published and not handled, in a queue, in somebody's hand; in words. A message that was
/// handled and whose acknowledgement is missing is not seen while its consumer lives.
///
/// # Errors
/// Those of PostgreSQL and of the broker.
pub async fn left_over(fleet: &Fleet, pool: &PgPool) -> Result<Option<String>> {
    let (outbox, sent, claims, letters): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM passereau.outbox),
                (SELECT count(*) FROM passereau.sent s
                 WHERE NOT EXISTS (SELECT FROM passereau.inbox i WHERE i.message_id = s.id)),
                (SELECT count(*) FROM passereau.claim WHERE expires_at > now()),
                (SELECT count(*) FROM passereau.dead_letter)",
    )
    .fetch_one(pool)
    .await?;
    let mut waiting = 0;
    for worker in WORKERS {
        waiting += fleet.waiting(worker.worker).await?;
    }
    let left = [
        (outbox, "rows of the outbox"),
        (sent, "published messages that nobody has handled"),
        (claims, "claims"),
        (letters, "dead letters"),
        (i64::from(waiting), "messages in queues"),
        (i64::from(fleet.waiting_dead().await?), "messages in the dead queue"),
    ];
    let mut words: Vec<String> =
        left.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if outbox > 0 {
        words.push(of_the_outbox(pool).await?);
    }
    Ok((!words.is_empty()).then(|| words.join(", ")))
}

/// Which rows the outbox holds, for people who look for the reason.
async fn of_the_outbox(pool: &PgPool) -> Result<String> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', exchange, routing_key, 'attempt', attempt,
                          CASE WHEN due_at = 'infinity' THEN 'parked' ELSE 'due in ' || round(extract(epoch FROM due_at - now())) || ' s' END,
                          headers)
         FROM passereau.outbox ORDER BY due_at",
    )
    .fetch_all(pool)
    .await?;
    Ok(format!("in the outbox: {}", rows.join("; ")))
}
