//! What PostgreSQL's own catalogue tells of a GeoNature. Every role may read it, whatever it may not read of GeoNature, so
//! nothing here is looked up by `to_regclass` or `::regclass`: they refuse who may not use the schema.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    GeoNatureError,
    by_hand::{ByHand, by_hand},
};

/// GeoNature's schemas that a worker meets.
pub const SCHEMAS: [&str; 8] = [
    "gn_synthese",
    "gn_meta",
    "gn_commons",
    "gn_sensitivity",
    "ref_nomenclatures",
    "ref_geo",
    "taxonomie",
    "utilisateurs",
];

/// Our own schemas.
const OURS: [&str; 2] = ["passereau", "pinv_gbif"];

/// Schemas of GeoNature that only flows read of.
const OF_FLOWS: [&str; 1] = ["ref_habitats"];

/// The tables without which this is no GeoNature.
const TABLES: [&str; 6] = [
    "gn_synthese.synthese",
    "gn_synthese.t_sources",
    "gn_meta.t_datasets",
    "taxonomie.taxref",
    "ref_nomenclatures.t_nomenclatures",
    "ref_geo.l_areas",
];

/// An index that makes one observation per (source, key) certain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpsertIndex {
    /// Its name, whoever made it.
    pub name: String,
    /// Whether it covers only some sources. `ON CONFLICT` must then repeat the predicate with a literal: a parameter makes
    /// PostgreSQL answer 42P10.
    pub partial: bool,
}

/// A trigger of `gn_synthese.synthese`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Whether it fires. Some platforms replace the function of a trigger: present is not active.
    pub enabled: bool,
}

/// What the catalogue holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Catalogue {
    /// Name of the database.
    pub database: String,
    /// Tables and views of GeoNature's schemas and of ours, as `schema.name`.
    pub tables: BTreeSet<String>,
    /// Who owns the schema of our state, where it is there.
    pub state_owner: Option<String>,
    /// Columns of `gn_synthese.synthese`.
    pub synthese_columns: BTreeSet<String>,
    /// Oldest GeoNature that has everything seen here, such as `2.15.0`: a guess from columns and tables, good for a log line.
    pub version: &'static str,
    /// Triggers of `gn_synthese.synthese`, by name.
    pub triggers: Vec<Trigger>,
    /// Valid unique indexes on (`id_source`, `entity_source_pk_value`), the whole ones first: name and predicate.
    pub unique_indexes: Vec<(String, Option<String>)>,
    /// Whether `taxref_liens` can be searched by (`ct_name`, `ct_sp_id`).
    pub has_links_index: bool,
    /// Whether the view of sensitivity rules can be searched by `cd_ref`. Without it each inserted row scans the whole view.
    pub has_sensitivity_index: bool,
    /// Whether media can be searched by the observation they belong to.
    pub has_media_index: bool,
    /// The sequence that numbers the rows of a table, by the table's name. Tables with several do not matter here.
    pub sequences: BTreeMap<String, String>,
    /// What there is of the procedure run by hand.
    pub by_hand: ByHand,
}

impl Catalogue {
    /// Whether the table or view is there.
    pub fn has(&self, table: &str) -> bool {
        self.tables.contains(table)
    }

    /// Whether the schema is there, with anything in it; ours also when it is empty.
    pub fn has_schema(&self, schema: &str) -> bool {
        let holds = |table: &String| table.split_once('.').is_some_and(|(of, _)| of == schema);
        (schema == "passereau" && self.state_owner.is_some()) || self.tables.iter().any(holds)
    }

    /// The index that serves the upsert of this source. A whole one serves every source; a partial one only its own.
    pub fn upsert_index(&self, source_id: Option<i32>) -> Option<UpsertIndex> {
        self.unique_indexes.iter().find_map(|(name, predicate)| {
            let serves = match (predicate, source_id) {
                (None, _) => true,
                // PostgreSQL prints the predicate of `WHERE id_source = 7` exactly so.
                (Some(predicate), Some(source_id)) => *predicate == format!("(id_source = {source_id})"),
                (Some(_), None) => false,
            };
            serves.then(|| UpsertIndex { name: name.clone(), partial: predicate.is_some() })
        })
    }
}

/// Reads the catalogue.
///
/// # Errors
/// [`GeoNatureError::NotGeoNature`] when a table is missing, [`GeoNatureError::TooOld`] before 2.10, [`GeoNatureError::Read`] when
/// PostgreSQL cannot be asked.
pub async fn catalogue(connection: &mut PgConnection) -> Result<Catalogue, GeoNatureError> {
    let relations =
        relations(connection, &[&SCHEMAS[..], &OURS, &OF_FLOWS].concat()).await.map_err(read("its tables"))?;
    if let Some(table) = TABLES.into_iter().find(|table| !relations.contains_key(*table)) {
        return Err(GeoNatureError::NotGeoNature { table });
    }
    let has_column = |table: &str, column: &str| relations.get(table).is_some_and(|columns| columns.contains(column));
    if !has_column("gn_synthese.t_sources", "id_module") {
        return Err(GeoNatureError::TooOld { missing: "gn_synthese.t_sources.id_module", since: "2.10" });
    }
    // https://github.com/PnX-SI/GeoNature/blob/master/docs/CHANGELOG.md
    let has_dataset_data = has_column("gn_meta.t_datasets", "additional_data");
    let version = match () {
        () if has_dataset_data && areas_update_trigger(connection).await? => "2.17.0",
        () if has_dataset_data && relations.contains_key("taxonomie.taxref_liens") => "2.16.0",
        () if has_column("gn_synthese.synthese", "id_import") => "2.15.0",
        () if has_column("ref_geo.l_areas", "geom_4326") => "2.14.0",
        () if relations.contains_key("gn_synthese.t_log_synthese") => "2.12.0",
        () => "2.10.0",
    };
    Ok(Catalogue {
        database: sqlx::query_scalar("SELECT current_database()::text")
            .fetch_one(&mut *connection)
            .await
            .map_err(read("name of the database"))?,
        version,
        synthese_columns: relations.get("gn_synthese.synthese").cloned().unwrap_or_default(),
        tables: relations.into_keys().collect(),
        state_owner: state_owner(connection).await.map_err(read("owner of our schema"))?,
        triggers: triggers(connection).await?,
        unique_indexes: unique_indexes(connection).await?,
        has_links_index: leads_with(connection, "taxonomie.taxref_liens", &["ct_name", "ct_sp_id"]).await?,
        has_sensitivity_index: leads_with(connection, "gn_sensitivity.t_sensitivity_rules_cd_ref", &["cd_ref"]).await?,
        has_media_index: leads_with(connection, "gn_commons.t_medias", &["uuid_attached_row"]).await?,
        sequences: sequences(connection).await?,
        by_hand: by_hand(connection).await.map_err(read("tables of the procedure"))?,
    })
}

fn read(doing: &'static str) -> impl Fn(sqlx::Error) -> GeoNatureError {
    move |source| GeoNatureError::Read { doing, source }
}

/// Tables and views with their columns.
async fn relations(
    connection: &mut PgConnection,
    schemas: &[&str],
) -> Result<BTreeMap<String, BTreeSet<String>>, sqlx::Error> {
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "SELECT n.nspname || '.' || c.relname,
                ARRAY(SELECT a.attname::text FROM pg_attribute a
                       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = ANY ($1) AND c.relkind = ANY ('{r,p,v,m,f}')",
    )
    .bind(schemas)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(table, columns)| (table, columns.into_iter().collect())).collect())
}

/// Tables and views of our schemas, as `schema.name`.
pub(crate) async fn own_tables(connection: &mut PgConnection) -> Result<BTreeSet<String>, sqlx::Error> {
    Ok(relations(connection, &OURS).await?.into_keys().collect())
}

async fn state_owner(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'passereau'")
        .fetch_optional(connection)
        .await
}

/// The statement trigger of 2.17 that follows a changed area.
async fn areas_update_trigger(connection: &mut PgConnection) -> Result<bool, GeoNatureError> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_trigger t
                          JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE n.nspname = 'ref_geo' AND c.relname = 'l_areas' AND NOT t.tgisinternal
                           AND t.tgtype & 16 <> 0 AND t.tgtype & 1 = 0)",
    )
    .fetch_one(connection)
    .await
    .map_err(read("triggers of the areas"))
}

async fn triggers(connection: &mut PgConnection) -> Result<Vec<Trigger>, GeoNatureError> {
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "SELECT t.tgname::text, t.tgenabled IN ('O', 'A')
           FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = 'gn_synthese' AND c.relname = 'synthese' AND NOT t.tgisinternal
          ORDER BY t.tgname::text COLLATE \"C\"",
    )
    .fetch_all(connection)
    .await
    .map_err(read("triggers of the synthèse"))?;
    Ok(rows.into_iter().map(|(name, enabled)| Trigger { name, enabled }).collect())
}

/// Valid unique indexes on exactly the two columns, in either order.
async fn unique_indexes(connection: &mut PgConnection) -> Result<Vec<(String, Option<String>)>, GeoNatureError> {
    sqlx::query_as(
        "SELECT x.relname::text, pg_get_expr(i.indpred, i.indrelid)
           FROM pg_index i
           JOIN pg_class x ON x.oid = i.indexrelid
           JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = 'gn_synthese' AND c.relname = 'synthese'
            AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate AND i.indexprs IS NULL AND i.indnkeyatts = 2
            AND ARRAY(SELECT a.attname::text
                        FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS key (attnum, n)
                        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
                       WHERE key.n <= i.indnkeyatts
                       ORDER BY a.attname::text COLLATE \"C\") = ARRAY['entity_source_pk_value', 'id_source']
          ORDER BY i.indpred IS NOT NULL, i.indexrelid",
    )
    .fetch_all(connection)
    .await
    .map_err(read("indexes of the synthèse"))
}

/// Whether a valid, whole index of `table` begins with `columns`.
async fn leads_with(connection: &mut PgConnection, table: &str, columns: &[&str]) -> Result<bool, GeoNatureError> {
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM pg_index i
               JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname || '.' || c.relname = $1 AND i.indisvalid AND i.indpred IS NULL
                AND (ARRAY(SELECT a.attname::text
                             FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS key (attnum, n)
                             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
                            ORDER BY key.n))[1:cardinality($2::text[])] = $2)",
    )
    .bind(table)
    .bind(columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>())
    .fetch_one(connection)
    .await
    .map_err(read("indexes"))
}

/// From each column default that draws from a sequence.
async fn sequences(connection: &mut PgConnection) -> Result<BTreeMap<String, String>, GeoNatureError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT n.nspname || '.' || c.relname, quote_ident(m.nspname) || '.' || quote_ident(s.relname)
           FROM pg_attrdef d
           JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
           JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S' JOIN pg_namespace m ON m.oid = s.relnamespace
          WHERE n.nspname = ANY ($1)",
    )
    .bind(SCHEMAS.map(str::to_owned).to_vec())
    .fetch_all(connection)
    .await
    .map_err(read("its sequences"))?;
    Ok(rows.into_iter().collect())
}
