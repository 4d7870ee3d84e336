//! What a version says of itself: its name, its digest and its manifest.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use passereau_flow::Flow;
use passereau_gate::{Field, GEOMETRY, SOME_HARVEST};
use passereau_store::{ObjectKey, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    error::ExportError,
    ledger::{self, Delivery, StoredPart, Summary},
    manifest::{Clause, Explained, FileEntry, Manifest},
    statuses,
};

/// Changes when the same rows become other files: a test of `write.rs` tells when.
pub(crate) const SHAPE_VERSION: u32 = 2;

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
    hex(&hasher.finalize())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a delivery says what the version that is fetched now says, and all of that version is in the store: files that were lost are made again.
pub(crate) async fn is_current(pool: &PgPool, store: &Store, delivery: &Delivery) -> Result<bool, ExportError> {
    let Some(current) = ledger::current(pool, &delivery.flow).await? else { return Ok(false) };
    let statuses = |files: &BTreeMap<String, FileEntry>| files.get(statuses::EXTENSION).map(|file| file.sha256.clone());
    if current.digest.is_none()
        || current.digest != delivery.digest
        || statuses(&current.files) != statuses(&delivery.files)
    {
        return Ok(false);
    }
    let failed = |source| ExportError::Store { flow: delivery.flow.clone(), source: Box::new(source) };
    for file in current.files.values() {
        let Ok(key) = ObjectKey::parse(&file.key) else { return Ok(false) };
        if store.head(&key).await.map_err(failed)?.is_none_or(|found| found.size_bytes != file.size_bytes) {
            return Ok(false);
        }
    }
    let manifest = key(&delivery.flow, current.folder.as_deref().unwrap_or_default(), MANIFEST)?;
    Ok(store.head(&manifest).await.map_err(failed)?.is_some())
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
    let [fr, en] = GEOMETRY.map(str::to_owned);
    let geometry = Explained { name: agreement.fields.dialect.geometry().to_owned(), field: String::new(), fr, en };
    Ok(Manifest {
        flow: flow.name.clone(),
        version: delivery.folder.clone().unwrap_or_default(),
        agreement_version: delivery.flow_version,
        read_at: delivery.read_at.unwrap_or_default(),
        rows: delivery.rows,
        fields: explained.chain([geometry]).collect(),
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
