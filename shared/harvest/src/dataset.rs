//! What is known of GBIF's datasets (`pinv_gbif.dataset`), and the batch of a harvest that asks GBIF's registry about them.
//!
//! An archive describes its datasets in EML documents, not all of them; the registry alone tells who publishes a dataset. So
//! the loader keeps the documents and adds one batch to the enrichment, of the datasets that the registry was not asked
//! about in the last month. Whatever is not told (any more) keeps its last value; of what both tell, the words of the
//! archive's document count.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use passereau_eml::Eml;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// The registry's answer of the last month is taken as it is. An interval of PostgreSQL.
const ASKED_AGAIN: &str = "30 days";

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentSource {
    /// `dataset/<key>.xml` of an archive.
    Archive,
    /// The registry, because the archive has none.
    Registry,
}

/// Keeps what documents tell.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn keep_documents(
    connection: &mut PgConnection,
    documents: &[(Uuid, Eml)],
    source: DocumentSource,
) -> Result<(), sqlx::Error> {
    let column = |of: fn(&Eml) -> Option<String>| documents.iter().map(|(_, eml)| of(eml)).collect::<Vec<_>>();
    // In the order of the key, so that two loaders wait for each other instead of deadlocking.
    sqlx::query(
        "INSERT INTO pinv_gbif.dataset AS known (dataset_key, title, description, license, doi, citation,
                contact_organization, provider_organization, persons, eml_read_at)
         SELECT DISTINCT ON (key) key, title, description, license, doi, citation, contact, provider, persons,
                CASE WHEN $10 THEN now() END
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
              AS document (key, title, description, license, doi, citation, contact, provider, persons)
         ORDER BY key
         ON CONFLICT (dataset_key) DO UPDATE
         SET title = excluded.title,
             description = coalesce(excluded.description, known.description),
             license = coalesce(excluded.license, known.license),
             doi = coalesce(excluded.doi, known.doi),
             citation = coalesce(excluded.citation, known.citation),
             contact_organization = coalesce(excluded.contact_organization, known.contact_organization),
             provider_organization = coalesce(excluded.provider_organization, known.provider_organization),
             persons = coalesce(excluded.persons, known.persons),
             eml_read_at = coalesce(excluded.eml_read_at, known.eml_read_at)",
    )
    .bind(documents.iter().map(|(key, _)| *key).collect::<Vec<_>>())
    .bind(column(|eml| Some(eml.title.clone())))
    .bind(column(|eml| eml.description.clone()))
    .bind(column(|eml| eml.license.clone()))
    .bind(column(|eml| eml.doi.clone()))
    .bind(column(|eml| eml.citation.clone()))
    .bind(column(|eml| eml.contact_organization().map(str::to_owned)))
    .bind(column(|eml| eml.provider_organization().map(str::to_owned)))
    .bind(column(Eml::persons))
    .bind(source == DocumentSource::Archive)
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds the batch of the datasets of a generation that the registry is to be asked about, after those of iNaturalist. Gives
/// its number; `None` when there is nothing to ask.
///
/// # Errors
/// Those of PostgreSQL.
pub(crate) async fn add_batch(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    generation_id: i64,
) -> Result<Option<u32>, sqlx::Error> {
    // `records` counts observations, of which this batch asks for none.
    let ordinal: Option<i32> = sqlx::query_scalar(
        "INSERT INTO passereau.slice (harvest_id, stage, ordinal, dataset_keys, records)
         SELECT $1, 'enrich',
                (SELECT coalesce(max(ordinal) + 1, 0) FROM passereau.slice WHERE harvest_id = $1 AND stage = 'enrich'),
                array_agg(wanted.key ORDER BY wanted.key), 0
         FROM (SELECT DISTINCT dataset_key AS key FROM pinv_gbif.occurrence
               WHERE generation_id = $2 AND dataset_key IS NOT NULL) wanted
         WHERE NOT EXISTS (SELECT FROM pinv_gbif.dataset known
                           WHERE known.dataset_key = wanted.key AND known.registry_asked_at > now() - $3::interval)
         HAVING count(*) > 0
         RETURNING ordinal",
    )
    .bind(harvest_id)
    .bind(generation_id)
    .bind(ASKED_AGAIN)
    .fetch_optional(connection)
    .await?;
    Ok(ordinal.and_then(|ordinal| u32::try_from(ordinal).ok()))
}

/// A dataset that the registry is to be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// Its key.
    pub key: Uuid,
    /// Whether an archive has described it.
    pub has_document: bool,
}

/// The datasets of a batch that the registry has not answered for yet.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn unasked(
    executor: impl PgExecutor<'_>,
    harvest_id: Uuid,
    ordinal: i32,
) -> Result<Vec<Unasked>, sqlx::Error> {
    let rows: Vec<(Uuid, bool)> = sqlx::query_as(
        "SELECT wanted.key, known.eml_read_at IS NOT NULL
         FROM passereau.slice s
         CROSS JOIN LATERAL unnest(s.dataset_keys) AS wanted (key)
         LEFT JOIN pinv_gbif.dataset known ON known.dataset_key = wanted.key
         WHERE s.harvest_id = $1 AND s.stage = 'enrich' AND s.ordinal = $2 AND s.done_at IS NULL
           AND (known.registry_asked_at > now() - $3::interval) IS NOT TRUE
         ORDER BY wanted.key",
    )
    .bind(harvest_id)
    .bind(ordinal)
    .bind(ASKED_AGAIN)
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|(key, has_document)| Unasked { key, has_document }).collect())
}

/// Names of the publishers that the registry has told lately.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn publishers(executor: impl PgExecutor<'_>) -> Result<HashMap<Uuid, String>, sqlx::Error> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT DISTINCT ON (publishing_organization_key) publishing_organization_key, publishing_organization
         FROM pinv_gbif.dataset
         WHERE publishing_organization_key IS NOT NULL AND publishing_organization IS NOT NULL
           AND registry_asked_at > now() - $1::interval
         ORDER BY publishing_organization_key, registry_asked_at DESC",
    )
    .bind(ASKED_AGAIN)
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().collect())
}

/// What the registry tells of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryAnswer {
    /// Title.
    pub title: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Address of the licence.
    pub license: Option<String>,
    /// Bare DOI.
    pub doi: Option<String>,
    /// How it asks to be cited.
    pub citation: Option<String>,
    /// What it is: `OCCURRENCE`, `CHECKLIST` …
    pub kind: Option<String>,
    /// When its description last changed.
    pub modified: Option<DateTime<Utc>>,
    /// Whether its publisher has withdrawn it.
    pub withdrawn: bool,
    /// Key of its publisher.
    pub publisher_key: Option<Uuid>,
    /// Name of its publisher.
    pub publisher: Option<String>,
}

/// Keeps the registry's answer; `None` means that it knows no such dataset.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn keep_answer(
    connection: &mut PgConnection,
    key: Uuid,
    answer: Option<&RegistryAnswer>,
) -> Result<(), sqlx::Error> {
    let Some(answer) = answer else {
        sqlx::query(
            "INSERT INTO pinv_gbif.dataset (dataset_key, registry_asked_at, registry_absent) VALUES ($1, now(), true)
             ON CONFLICT (dataset_key) DO UPDATE SET registry_asked_at = now(), registry_absent = true",
        )
        .bind(key)
        .execute(connection)
        .await?;
        return Ok(());
    };
    // Where no archive has told a text, the newest answer counts. The name of a publisher goes with its key.
    sqlx::query(
        "INSERT INTO pinv_gbif.dataset AS known (dataset_key, title, description, license, doi, citation, type, modified,
                withdrawn, publishing_organization_key, publishing_organization, registry_asked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())
         ON CONFLICT (dataset_key) DO UPDATE
         SET title = coalesce(CASE WHEN known.eml_read_at IS NULL THEN excluded.title END, known.title, excluded.title),
             description = coalesce(CASE WHEN known.eml_read_at IS NULL THEN excluded.description END,
                                    known.description, excluded.description),
             license = coalesce(CASE WHEN known.eml_read_at IS NULL THEN excluded.license END, known.license, excluded.license),
             doi = coalesce(CASE WHEN known.eml_read_at IS NULL THEN excluded.doi END, known.doi, excluded.doi),
             citation = coalesce(CASE WHEN known.eml_read_at IS NULL THEN excluded.citation END,
                                 known.citation, excluded.citation),
             type = coalesce(excluded.type, known.type), modified = coalesce(excluded.modified, known.modified),
             withdrawn = excluded.withdrawn,
             publishing_organization_key = coalesce(excluded.publishing_organization_key, known.publishing_organization_key),
             publishing_organization = CASE WHEN excluded.publishing_organization_key <> known.publishing_organization_key
                                            THEN excluded.publishing_organization
                                            ELSE coalesce(excluded.publishing_organization, known.publishing_organization) END,
             registry_asked_at = excluded.registry_asked_at, registry_absent = false",
    )
    .bind(key)
    .bind(&answer.title)
    .bind(&answer.description)
    .bind(&answer.license)
    .bind(&answer.doi)
    .bind(&answer.citation)
    .bind(&answer.kind)
    .bind(answer.modified)
    .bind(answer.withdrawn)
    .bind(answer.publisher_key)
    .bind(&answer.publisher)
    .execute(connection)
    .await?;
    Ok(())
}
