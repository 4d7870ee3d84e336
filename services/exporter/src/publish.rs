//! The manifest, and what is taken away when a version has taken its place.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use passereau_flow::Flow;
use passereau_gate::{Field, SOME_HARVEST};
use passereau_store::{ObjectKey, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    error::ExportError,
    ledger::{self, Delivery, StoredPart, Summary},
    manifest::{Clause, Explained, FileEntry, Manifest},
};

/// Changes when the same rows become other files.
const SHAPE_VERSION: u32 = 1;

/// Name of the manifest in the folder of a version.
pub(crate) const MANIFEST: &str = "manifest.json";

/// The folder of a version, which is its name: when its rows were read, and what tells two of the same second apart.
pub(crate) fn folder(read_at: DateTime<Utc>, delivery: Uuid) -> String {
    let id = delivery.simple().to_string();
    format!("{}-{}", read_at.format("%Y%m%dT%H%M%SZ"), id.get(24..).unwrap_or_default())
}

/// The key of an object of a flow.
pub(crate) fn key(flow: &str, folder: &str, file: &str) -> Result<ObjectKey, ExportError> {
    ObjectKey::parse(&format!("flows/{flow}/{folder}/{file}"))
        .map_err(|error| passereau_runner::Stop::reject(format!("a file of flow {flow}: {error}")).into())
}

/// The key of a part.
pub(crate) fn part_key(delivery: &Delivery, part: i32) -> Result<ObjectKey, ExportError> {
    ObjectKey::parse(&format!("flow-parts/{}/{}/{part:06}", delivery.flow, delivery.id))
        .map_err(|error| passereau_runner::Stop::reject(format!("a part of flow {}: {error}", delivery.flow)).into())
}

/// A digest of the rows and of everything that shapes the files: deliveries with the same digest say the same.
pub(crate) fn digest(flow: &Flow, parts: &[StoredPart], references: &Value) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{SHAPE_VERSION} {} {references}", flow.version));
    for part in parts.iter().filter(|part| part.rows > 0) {
        hasher.update(&part.sha256);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The versions of what the rows refer to: TAXREF and, where the role may read them, the sensitivity rules.
pub(crate) async fn references(pool: &PgPool) -> Result<Value, sqlx::Error> {
    let has_versions: bool =
        sqlx::query_scalar("SELECT to_regclass('taxonomie.t_meta_taxref') IS NOT NULL").fetch_one(pool).await?;
    let taxref: Option<String> = if has_versions {
        sqlx::query_scalar(
            "SELECT max(version)::text FROM taxonomie.t_meta_taxref WHERE referencial_name ILIKE 'taxref'",
        )
        .fetch_one(pool)
        .await?
    } else {
        None
    };
    let may_read: bool = sqlx::query_scalar(
        "SELECT has_schema_privilege('gn_sensitivity', 'USAGE') AND has_table_privilege('gn_sensitivity.t_sensitivity_rules', 'SELECT')",
    )
    .fetch_one(pool)
    .await?;
    let sensitivity = if may_read {
        let (rules, newest): (i64, Option<chrono::NaiveDateTime>) = sqlx::query_as(
            "SELECT count(*), max(greatest(meta_create_date, meta_update_date)) FROM gn_sensitivity.t_sensitivity_rules WHERE active",
        )
        .fetch_one(pool)
        .await?;
        json!({"active_rules": rules, "newest_rule": newest})
    } else {
        Value::Null
    };
    Ok(json!({"taxref_version": taxref, "sensitivity": sensitivity}))
}

/// What GBIF asks to be cited (<https://www.gbif.org/citation-guidelines>), for the harvests behind the rows.
///
/// The harvest of a blurred row would tell: its page at GBIF shows what was asked for, which may be one site, and another harvest brings a record
/// whose place has changed. A delivery with blurred rows of GBIF cites all harvests behind records that leave exactly, anywhere on the platform:
/// theirs are among them, but for harvests of nothing else, and the list is the same wherever those rows are.
async fn citations(pool: &PgPool, summary: &Summary) -> Result<Vec<String>, sqlx::Error> {
    let has_blurred = summary.harvests.contains(&SOME_HARVEST);
    let harvests: Vec<Uuid> = summary.harvests.iter().copied().collect();
    sqlx::query_scalar(
        "SELECT DISTINCT 'GBIF.org (' || to_char(h.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') || ') GBIF Occurrence Download https://doi.org/' || d.doi
         FROM passereau.harvest h JOIN passereau.download d ON d.harvest_id = h.id
         WHERE d.doi IS NOT NULL
           AND (h.id = ANY ($1)
                OR $2 AND h.id IN (SELECT wr.harvest_id FROM passereau.written wr
                                   JOIN gn_synthese.synthese s ON s.id_synthese = wr.id_synthese
                                   JOIN passereau.gate_level() lv ON lv.id_nomenclature = s.id_nomenclature_sensitivity
                                   LEFT JOIN passereau.gate_wish() w ON w.id_nomenclature = s.id_nomenclature_diffusion_level
                                   WHERE passereau.gate_precision('blurred', lv.precision, s.id_nomenclature_diffusion_level, w.precision) = 'exact'))
         ORDER BY 1",
    )
    .bind(harvests)
    .bind(has_blurred)
    .fetch_all(pool)
    .await
}

/// The manifest of a delivery whose files are all there.
pub(crate) async fn manifest(
    pool: &PgPool,
    flow: &Flow,
    delivery: &Delivery,
    fields: &[&'static Field],
) -> Result<Manifest, ExportError> {
    let summary = delivery.tally.clone().unwrap_or_default();
    let references = references(pool).await?;
    let mut licences: BTreeMap<String, i64> = BTreeMap::new();
    for tally in &summary.delivered {
        *licences.entry(tally.licence.clone().unwrap_or_default()).or_default() += tally.records;
    }
    let agreement = &flow.agreement;
    let explained = fields.iter().map(|field| Explained {
        name: field.name_in(agreement.fields.dialect).to_owned(),
        field: field.name.to_owned(),
        fr: field.fr.to_owned(),
        en: field.en.to_owned(),
    });
    Ok(Manifest {
        flow: flow.name.clone(),
        version: delivery.folder.clone().unwrap_or_default(),
        agreement_version: delivery.flow_version,
        read_at: delivery.read_at.unwrap_or_default(),
        rows: delivery.rows,
        fields: explained.collect(),
        filters: json!({
            "territory": agreement.territory,
            "taxa": agreement.taxa,
            "sources": agreement.sources,
            "datasets": agreement.datasets,
            "licences": agreement.licences,
            "sensitive": agreement.sensitive,
        }),
        licences,
        citations: citations(pool, &summary).await?,
        delivered: summary.delivered,
        withheld: summary.withheld,
        clause: Clause::default(),
        taxref_version: references["taxref_version"].as_str().map(str::to_owned),
        sensitivity: references["sensitivity"].clone(),
        files: delivery.files.clone(),
    })
}

/// Stores the manifest beside the files.
pub(crate) async fn store_manifest(store: &Store, manifest: &Manifest) -> Result<FileEntry, ExportError> {
    let text = serde_json::to_vec_pretty(manifest).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let key = key(&manifest.flow, &manifest.version, MANIFEST)?;
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(text))]);
    let stored = store
        .put_stream(&key, stream)
        .await
        .map_err(|source| ExportError::Store { flow: manifest.flow.clone(), source: Box::new(source) })?;
    Ok(FileEntry { key: key.to_string(), size_bytes: stored.size_bytes, sha256: stored.sha256 })
}

/// Takes away the parts of deliveries that have ended, and the files of versions beyond those that are kept. What fails is left for the next delivery.
pub(crate) async fn tidy(pool: &PgPool, store: &Store, flow: &Flow) -> Result<(), ExportError> {
    let failed = |source| ExportError::Store { flow: flow.name.clone(), source: Box::new(source) };
    for delivery in ledger::with_parts(pool, &flow.name).await? {
        for part in ledger::parts(pool, delivery).await? {
            if let Ok(key) = ObjectKey::parse(&part.object_key) {
                store.delete(&key).await.map_err(failed)?;
            }
        }
        ledger::forget_parts(pool, delivery).await?;
    }
    for (delivery, folder) in ledger::superseded(pool, &flow.name, flow.agreement.keep).await? {
        // First in the database: what is named there can be fetched.
        ledger::erased(pool, delivery).await?;
        for (key, _size) in store.list(&format!("flows/{}/{folder}", flow.name)).await.map_err(failed)? {
            store.delete(&key).await.map_err(failed)?;
        }
    }
    Ok(())
}
