//! Finding out, by reading only, what this GeoNature is and what it lacks.

use serde::Serialize;
use sqlx::PgPool;

use crate::{GeoNatureError, SOURCE_NAME};

/// An index that makes one observation per (source, key) certain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpsertIndex {
    /// Its name, whoever made it.
    pub name: String,
    /// Whether it covers only some sources. `ON CONFLICT` must then repeat the predicate with a literal: a parameter makes
    /// PostgreSQL answer 42P10.
    pub partial: bool,
}

/// What [`detect`] has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// Oldest GeoNature that has everything seen here, such as `2.15.0`: a guess from columns and tables, good for a log line.
    pub version: &'static str,
    /// System of coordinates of `the_geom_local` (EPSG code).
    pub srid: i32,
    /// Columns of `gn_synthese.synthese`, sorted.
    pub synthese_columns: Vec<String>,
    /// Whether `taxonomie.taxref_liens` exists (TaxHub 2.2, GeoNature 2.16).
    pub has_taxref_liens: bool,
    /// Rows of `taxref_liens` that lead to GBIF.
    pub gbif_links: i64,
    /// `id_source` of GBIF.
    pub source: Option<i32>,
    /// A usable unique index; never one that is invalid, such as a failed `CREATE INDEX CONCURRENTLY` leaves behind.
    pub upsert_index: Option<UpsertIndex>,
    /// Whether `taxref_liens` can be searched by (`ct_name`, `ct_sp_id`).
    pub has_links_index: bool,
    /// Whether the view of sensitivity rules exists.
    pub has_sensitivity_rules: bool,
    /// Whether the view of sensitivity rules can be searched by `cd_ref`. Without it each inserted row scans the whole view.
    pub has_sensitivity_index: bool,
    /// Loaded version of TAXREF, from `taxonomie.t_meta_taxref`. The column default of `meta_v_taxref` is often older.
    pub taxref_version: Option<i32>,
    /// Triggers of `gn_synthese.synthese` that are enabled, sorted. Some platforms replace their functions: present is not
    /// active.
    pub triggers: Vec<String>,
}

impl Detected {
    /// `id_source` of GBIF.
    ///
    /// # Errors
    /// [`GeoNatureError::NoSource`], which names the command that declares it.
    pub fn source(&self) -> Result<i32, GeoNatureError> {
        self.source.ok_or(GeoNatureError::NoSource)
    }

    /// The first thing that keeps a harvest from being written, if any.
    ///
    /// # Errors
    /// One variant for each thing that can be missing, with its cure.
    pub fn ready(&self) -> Result<(), GeoNatureError> {
        let source_id = self.source()?;
        if self.upsert_index.is_none() {
            return Err(GeoNatureError::NoUpsertIndex { source_id });
        }
        if !self.has_taxref_liens {
            return Err(GeoNatureError::TooOld {
                missing: "taxonomie.taxref_liens",
                since: "GeoNature 2.16 (TaxHub 2.2)",
            });
        }
        if self.gbif_links == 0 {
            return Err(GeoNatureError::NoGbifLinks);
        }
        Ok(())
    }
}

/// The tables we cannot do without, and what each is known by.
const TABLES: [&str; 6] = [
    "gn_synthese.synthese",
    "gn_synthese.t_sources",
    "gn_meta.t_datasets",
    "taxonomie.taxref",
    "ref_nomenclatures.t_nomenclatures",
    "ref_geo.l_areas",
];

/// Reads what this GeoNature is. Changes nothing.
///
/// # Errors
/// [`GeoNatureError::NotGeoNature`] when a table is missing, [`GeoNatureError::TooOld`] before 2.11, [`GeoNatureError::Read`] when
/// PostgreSQL cannot be asked.
pub async fn detect(pool: &PgPool) -> Result<Detected, GeoNatureError> {
    let read = |doing| move |source| GeoNatureError::Read { doing, source };
    let present: Vec<bool> = sqlx::query_scalar(
        "SELECT to_regclass(name) IS NOT NULL FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n) ORDER BY n",
    )
    .bind(TABLES.map(str::to_owned).to_vec())
    .fetch_all(pool)
    .await
    .map_err(read("looking for its tables"))?;
    if let Some((table, _)) = TABLES.iter().zip(present).find(|(_, there)| !there) {
        return Err(GeoNatureError::NotGeoNature { table });
    }

    let synthese_columns: Vec<String> = sqlx::query_scalar(
        "SELECT attname::text FROM pg_attribute
          WHERE attrelid = 'gn_synthese.synthese'::regclass AND attnum > 0 AND NOT attisdropped
          ORDER BY attname::text COLLATE \"C\"",
    )
    .fetch_all(pool)
    .await
    .map_err(read("columns of the synthèse"))?;

    let (sources_have_module, log_table, has_taxref_liens, geom_4326, dataset_data, taxref_meta): (bool, bool, bool, bool, bool, bool) =
        sqlx::query_as(
            "WITH col AS (SELECT attrelid, attname::text FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped)
             SELECT EXISTS (SELECT FROM col WHERE attrelid = to_regclass('gn_synthese.t_sources') AND attname = 'id_module'),
                    to_regclass('gn_synthese.t_log_synthese') IS NOT NULL,
                    to_regclass('taxonomie.taxref_liens') IS NOT NULL,
                    EXISTS (SELECT FROM col WHERE attrelid = to_regclass('ref_geo.l_areas') AND attname = 'geom_4326'),
                    EXISTS (SELECT FROM col WHERE attrelid = to_regclass('gn_meta.t_datasets') AND attname = 'additional_data'),
                    to_regclass('taxonomie.t_meta_taxref') IS NOT NULL",
        )
        .fetch_one(pool)
        .await
        .map_err(read("marks of its version"))?;
    let has_sensitivity_rules: bool =
        sqlx::query_scalar("SELECT to_regclass('gn_sensitivity.t_sensitivity_rules_cd_ref') IS NOT NULL")
            .fetch_one(pool)
            .await
            .map_err(read("its sensitivity rules"))?;
    let areas_update_trigger: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'ref_geo.l_areas'::regclass AND NOT tgisinternal
                           AND tgtype & 16 <> 0 AND tgtype & 1 = 0)",
    )
    .fetch_one(pool)
    .await
    .map_err(read("triggers of the areas"))?;
    if !sources_have_module {
        return Err(GeoNatureError::TooOld { missing: "gn_synthese.t_sources.id_module", since: "2.10" });
    }
    let has_import = synthese_columns.iter().any(|column| column == "id_import");
    let version = match () {
        () if areas_update_trigger && dataset_data => "2.17.0",
        () if has_taxref_liens && dataset_data => "2.16.0",
        () if has_import => "2.15.0",
        () if geom_4326 => "2.14.0",
        () if log_table => "2.12.0",
        () => "2.10.0",
    };

    let srid: i32 = sqlx::query_scalar("SELECT Find_SRID('gn_synthese', 'synthese', 'the_geom_local')")
        .fetch_one(pool)
        .await
        .map_err(read("its local system of coordinates"))?;
    let gbif_links: i64 = if has_taxref_liens {
        sqlx::query_scalar("SELECT count(*) FROM taxonomie.taxref_liens WHERE ct_name = 'GBIF'")
            .fetch_one(pool)
            .await
            .map_err(read("links from TAXREF to GBIF"))?
    } else {
        0
    };
    let taxref_version: Option<i32> = if taxref_meta {
        sqlx::query_scalar("SELECT max(version) FROM taxonomie.t_meta_taxref WHERE lower(referencial_name) = 'taxref'")
            .fetch_one(pool)
            .await
            .map_err(read("version of TAXREF"))?
    } else {
        None
    };
    let source: Option<i32> = sqlx::query_scalar("SELECT id_source FROM gn_synthese.t_sources WHERE name_source = $1")
        .bind(SOURCE_NAME)
        .fetch_optional(pool)
        .await
        .map_err(read("the source GBIF"))?;
    let triggers: Vec<String> = sqlx::query_scalar(
        "SELECT tgname::text FROM pg_trigger
          WHERE tgrelid = 'gn_synthese.synthese'::regclass AND NOT tgisinternal AND tgenabled <> 'D'
          ORDER BY tgname::text COLLATE \"C\"",
    )
    .fetch_all(pool)
    .await
    .map_err(read("triggers of the synthèse"))?;

    Ok(Detected {
        version,
        srid,
        synthese_columns,
        has_taxref_liens,
        gbif_links,
        source,
        upsert_index: upsert_index(pool, source).await?,
        has_links_index: leads_with(pool, "taxonomie.taxref_liens", &["ct_name", "ct_sp_id"]).await?,
        has_sensitivity_rules,
        has_sensitivity_index: leads_with(pool, "gn_sensitivity.t_sensitivity_rules_cd_ref", &["cd_ref"]).await?,
        taxref_version,
        triggers,
    })
}

/// A valid unique index on exactly the two columns, in either order, whole or for our source; the whole one is preferred.
async fn upsert_index(pool: &PgPool, source: Option<i32>) -> Result<Option<UpsertIndex>, GeoNatureError> {
    let candidates: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT i.indexrelid::regclass::text, pg_get_expr(i.indpred, i.indrelid)
           FROM pg_index i
          WHERE i.indrelid = 'gn_synthese.synthese'::regclass
            AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate AND i.indexprs IS NULL AND i.indnkeyatts = 2
            AND ARRAY(SELECT a.attname::text
                        FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS key (attnum, n)
                        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
                       WHERE key.n <= i.indnkeyatts
                       ORDER BY a.attname::text COLLATE \"C\") = ARRAY['entity_source_pk_value', 'id_source']
          ORDER BY i.indpred IS NOT NULL, i.indexrelid",
    )
    .fetch_all(pool)
    .await
    .map_err(|source| GeoNatureError::Read { doing: "indexes of the synthèse", source })?;
    Ok(candidates.into_iter().find_map(|(name, predicate)| match predicate {
        None => Some(UpsertIndex { name, partial: false }),
        // PostgreSQL prints the predicate of `WHERE id_source = 7` exactly so.
        Some(predicate) if source.is_some_and(|source| predicate == format!("(id_source = {source})")) => {
            Some(UpsertIndex { name, partial: true })
        }
        Some(_) => None,
    }))
}

/// Whether a valid, whole index of `table` begins with `columns`.
async fn leads_with(pool: &PgPool, table: &str, columns: &[&str]) -> Result<bool, GeoNatureError> {
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM pg_index i
              WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL
                AND (ARRAY(SELECT a.attname::text
                             FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS key (attnum, n)
                             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
                            ORDER BY key.n))[1:cardinality($2::text[])] = $2)",
    )
    .bind(table)
    .bind(columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>())
    .fetch_one(pool)
    .await
    .map_err(|source| GeoNatureError::Read { doing: "indexes", source })
}
