//! Takes away what deliveries leave in the store.
//!
//! What may stay is known: versions that can be fetched, and the delivery that is being made. Everything else below the two folders of a flow goes,
//! whether it was ever noted or not: a part that was stored before a crash, files of a delivery that failed, versions beyond those that are kept.
//!
//! A version is first no longer offered (`erased_at`), so that nobody is given a half of it, then taken away, and only then forgotten (`tidied_at`): what
//! fails in between is done at the next look.

use std::collections::HashSet;

use passereau_store::Store;
use sqlx::PgPool;

use crate::error::ExportError;

/// Versions of `f` that may not be offered any longer: beyond those that are kept; and those with sensitive records at their precision whose
/// authorisation is over, or whose flow is no longer delivered so.
const GONE: &str = "
SELECT d.id FROM (
    SELECT x.id, row_number() OVER (ORDER BY x.finished_at DESC) AS number,
           v.agreement ->> 'sensitive' = 'precise'
             AND (f.agreement ->> 'sensitive' IS DISTINCT FROM 'precise'
                  OR (v.agreement #>> '{authorisation,ends_on}')::date
                     < (now() AT TIME ZONE COALESCE(v.agreement ->> 'time_zone', 'UTC'))::date) AS is_over
    FROM passereau.delivery x LEFT JOIN passereau.flow_version v ON v.flow = x.flow AND v.version = x.flow_version
    WHERE x.flow = f.name AND x.state = 'delivered' AND x.erased_at IS NULL) d
WHERE d.is_over OR d.number > COALESCE((f.agreement ->> 'keep')::integer, 3)";

/// Flows whose deliveries have left something, or whose versions have to go.
pub(crate) async fn untidy(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT f.name FROM passereau.flow f
         WHERE EXISTS (SELECT FROM passereau.delivery d
                       WHERE d.flow = f.name AND d.state NOT IN ('reading', 'writing') AND d.tidied_at IS NULL)
            OR EXISTS ({GONE})
         ORDER BY f.name"
    )))
    .fetch_all(pool)
    .await
}

/// Tidies a flow; by whoever has its claim, so that no delivery begins meanwhile. What fails is left for the next look.
pub(crate) async fn tidy(pool: &PgPool, store: &Store, flow: &str) -> Result<(), ExportError> {
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "UPDATE passereau.delivery SET erased_at = now(), tidied_at = NULL
         WHERE id IN (SELECT g.id FROM passereau.flow f CROSS JOIN LATERAL ({GONE}) g WHERE f.name = $1)"
    )))
    .bind(flow)
    .execute(pool)
    .await?;
    // Those that have ended by now, and no others, are tidy afterwards.
    let ended: Vec<uuid::Uuid> = sqlx::query_scalar(
        "SELECT id FROM passereau.delivery WHERE flow = $1 AND state NOT IN ('reading', 'writing') AND tidied_at IS NULL",
    )
    .bind(flow)
    .fetch_all(pool)
    .await?;
    let failed = |source| ExportError::Store { flow: flow.to_owned(), source: Box::new(source) };
    let mut found = store.list(&format!("flows/{flow}")).await.map_err(failed)?;
    found.extend(store.list(&format!("flow-parts/{flow}")).await.map_err(failed)?);
    // Asked after the list was made: whatever it holds of a delivery was stored after its row, or its folder, was written down.
    let stay: HashSet<String> = sqlx::query_scalar(
        "SELECT 'flows/' || flow || '/' || folder || '/' FROM passereau.delivery
         WHERE flow = $1 AND folder IS NOT NULL AND (state = 'writing' OR state = 'delivered' AND erased_at IS NULL)
         UNION ALL
         SELECT 'flow-parts/' || flow || '/' || id || '/' FROM passereau.delivery WHERE flow = $1 AND state IN ('reading', 'writing')",
    )
    .bind(flow)
    .fetch_all(pool)
    .await?
    .into_iter()
    .collect();
    for (key, _size) in found {
        let text = key.to_string();
        let folder = text.rfind('/').map_or("", |end| &text[..=end]);
        if !stay.contains(folder) {
            store.delete(&key).await.map_err(failed)?;
        }
    }
    let mut tx = pool.begin().await?;
    sqlx::query("DELETE FROM passereau.delivery_part WHERE delivery_id = ANY ($1)")
        .bind(&ended)
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE passereau.delivery SET tidied_at = now() WHERE id = ANY ($1)")
        .bind(&ended)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}
