//! A platform that ran the published procedure by hand before Passereau came: what an administrator does for it, besides what
//! [`crate::install()`] does everywhere.
//!
//! Terms. The procedure's *tables* are `pinv_gbif.tmp_gbif_data`, `cor_multimedia` and `cor_uuid_inaturalist`; *put aside*, they are
//! called `adopted_…`. They stay their owner's: the workers' role may read them. Of the tables, the schema and the function
//! `upsert_gbif_data`, each may be there without the others.
//!
//! Failure. Observations under another source than GBIF, and double ones, are told by an exception that names the query or command
//! to run, before anything is renamed; nothing is corrected here that a person has to decide.

use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    SOURCE_NAME, SOURCE_URL,
    install::{Step, literal, same},
    rights::quoted,
};

/// The procedure's tables and their names once they are put aside.
const TABLES: [(&str, &str); 3] = [
    ("tmp_gbif_data", "adopted_gbif_data"),
    ("cor_multimedia", "adopted_multimedia"),
    ("cor_uuid_inaturalist", "adopted_uuid_inaturalist"),
];

/// Of the procedure's records, those under other sources stop the installation where they are more than one in so many; fewer are
/// warned of.
const ONE_IN: u32 = 100;

/// What there is of the procedure in schema `pinv_gbif`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByHand {
    /// Tables, and the function, that stand where ours are to stand, each as `name (owner)`.
    pub in_the_way: Vec<String>,
    /// Names of the tables that are put aside, or will be.
    pub aside: Vec<String>,
    /// Who owns the schema, where it is there and nothing of ours is in it yet.
    pub schema_owner: Option<String>,
}

impl ByHand {
    /// Whether the procedure was run here.
    pub fn found(&self) -> bool {
        !self.aside.is_empty() || !self.in_the_way.is_empty()
    }
}

/// Looks into PostgreSQL's own catalogue, which every role may read.
pub(crate) async fn by_hand(connection: &mut PgConnection) -> Result<ByHand, sqlx::Error> {
    let relations: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, pg_get_userbyid(c.relowner)::text
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = 'pinv_gbif' AND c.relkind IN ('r', 'p', 'f', 'v', 'm')",
    )
    .fetch_all(&mut *connection)
    .await?;
    // 0002_generations.sql makes it, and our own tables of these names.
    let ours = relations.iter().any(|(name, _)| name == "generation");
    let mut found = ByHand::default();
    for (name, aside) in TABLES {
        if let Some((_, owner)) = relations.iter().find(|(relation, _)| !ours && relation == name) {
            found.in_the_way.push(format!("{name} ({owner})"));
            found.aside.push(aside.to_owned());
        } else if relations.iter().any(|(relation, _)| relation == aside) {
            found.aside.push(aside.to_owned());
        }
    }
    if !ours {
        let routines: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT format('upsert_gbif_data (%s)', pg_get_userbyid(p.proowner))
               FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'pinv_gbif' AND p.proname = 'upsert_gbif_data' ORDER BY 1",
        )
        .fetch_all(&mut *connection)
        .await?;
        found.in_the_way.extend(routines);
        found.schema_owner =
            sqlx::query_scalar("SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'pinv_gbif'")
                .fetch_optional(&mut *connection)
                .await?;
    }
    Ok(found)
}

/// What comes before the source is declared: the procedure's source is looked for and becomes ours, the tables are put aside, the
/// workers may read them.
pub(crate) fn first_steps(found: &ByHand, role: Option<&str>, renamed_source: Option<&str>) -> Vec<Step> {
    let mut steps = Vec::new();
    if found.aside.iter().any(|table| table == "adopted_gbif_data") {
        let doing = "looking for the source of the procedure's observations";
        steps.push(same(doing, no_other_source(renamed_source.unwrap_or(SOURCE_NAME))));
    }
    if let Some(name) = renamed_source {
        steps.push(same("giving the procedure's source the name GBIF", rename_source(name)));
    }
    if !found.in_the_way.is_empty() {
        let doing = "the procedure run by hand: putting its tables aside";
        steps.push(same(doing, passereau_database::SET_ASIDE.trim_end().to_owned()));
    }
    steps.extend(role.and_then(|role| hand_over(found, role)));
    steps
}

/// The workers use a schema that is somebody else's, and read the tables in it.
fn hand_over(found: &ByHand, role: &str) -> Option<Step> {
    let foreign = found.schema_owner.as_deref().is_some_and(|owner| owner != role);
    let role = quoted(role);
    let mut grants = Vec::new();
    if foreign || found.found() {
        grants.push(format!("GRANT USAGE, CREATE ON SCHEMA pinv_gbif TO {role};"));
    }
    if !found.aside.is_empty() {
        let tables: Vec<String> = found.aside.iter().map(|table| format!("pinv_gbif.{table}")).collect();
        grants.push(format!("GRANT SELECT ON {} TO {role};", tables.join(", ")));
    }
    let doing = "the procedure run by hand: its schema and tables stay their owner's, the workers use them";
    (!grants.is_empty()).then(|| same(doing, grants.join("\n")))
}

/// Renames a source in place: its observations keep their number. Does nothing once it is done.
fn rename_source(name: &str) -> String {
    let (name, gbif, url) = (literal(name), literal(SOURCE_NAME), literal(SOURCE_URL));
    format!(
        "DO $source$\n\
         BEGIN\n    \
             IF EXISTS (SELECT FROM gn_synthese.t_sources WHERE name_source = {gbif}) THEN\n        \
                 IF {name} <> {gbif} AND EXISTS (SELECT FROM gn_synthese.t_sources WHERE name_source = {name}) THEN\n            \
                     RAISE EXCEPTION 'there is a source {SOURCE_NAME} already beside %: where it has no observations, delete it and run this again; \
                     otherwise UPDATE gn_synthese.synthese SET id_source = <id of {SOURCE_NAME}> WHERE id_source = <id of the other one>', {name};\n        \
                 END IF;\n        \
                 RETURN;\n    \
             END IF;\n    \
             UPDATE gn_synthese.t_sources SET name_source = {gbif}, url_source = {url} WHERE name_source = {name};\n    \
             IF NOT FOUND THEN\n        \
                 RAISE EXCEPTION 'gn_synthese.t_sources has no source named %: SELECT name_source FROM gn_synthese.t_sources', {name};\n    \
             END IF;\n\
         END $source$;"
    )
}

/// Raises where records of the procedure stand under another source than the one that is, or becomes, GBIF: they would enter a
/// second time. A key is only a number: of the sources that share some, one counts that holds most of them, or a record in its
/// own dataset. Few of these are only warned of.
fn no_other_source(source: &str) -> String {
    let (gbif, source) = (literal(SOURCE_NAME), literal(source));
    format!(
        "DO $source$\n\
         DECLARE\n    \
             aside  regclass := COALESCE(to_regclass('pinv_gbif.adopted_gbif_data'), to_regclass('pinv_gbif.tmp_gbif_data'));\n    \
             stands record;\n    \
             said   text;\n\
         BEGIN\n    \
             FOR stands IN EXECUTE format($sql$\n        \
                 SELECT t.name_source, count(*) AS rows, count(*) FILTER (WHERE d.id_dataset IS NOT NULL) AS surely,\n               \
                        row_number() OVER (ORDER BY count(*) DESC, t.name_source) AS rank, sum(count(*)) OVER () AS of_all\n        \
                 FROM %s a\n        \
                 JOIN gn_synthese.synthese s ON s.entity_source_pk_value = a.gbif_id::text\n        \
                 JOIN gn_synthese.t_sources t ON t.id_source = s.id_source\n        \
                 LEFT JOIN gn_meta.t_datasets d ON d.id_dataset = s.id_dataset AND d.unique_dataset_id::text = lower(a.dataset_key::text)\n        \
                 GROUP BY t.name_source ORDER BY count(*) DESC, t.name_source\n    \
             $sql$, aside) LOOP\n        \
                 CONTINUE WHEN stands.name_source IN ({gbif}, {source}) OR (stands.rank > 1 AND stands.surely = 0);\n        \
                 said := format('%s observations of the procedure stand under source %s', stands.rows, stands.name_source);\n        \
                 IF stands.rank = 1 THEN\n            \
                     RAISE EXCEPTION '%: give it the name {SOURCE_NAME} with passereau install --source %', said, quote_literal(stands.name_source);\n        \
                 END IF;\n        \
                 said := format('%s, beside those of another one: they would enter a second time. Give them the id_source of the procedure''s other rows, or delete them. They are: '\n            \
                                'SELECT s.* FROM gn_synthese.synthese s JOIN gn_synthese.t_sources t USING (id_source) JOIN %s a ON a.gbif_id::text = s.entity_source_pk_value WHERE t.name_source = %L',\n            \
                                said, aside, stands.name_source);\n        \
                 IF stands.surely * {ONE_IN} > stands.of_all THEN\n            \
                     RAISE EXCEPTION '%', said;\n        \
                 END IF;\n        \
                 RAISE WARNING '%', said;\n    \
             END LOOP;\n\
         END $source$;"
    )
}

/// Raises where a key stands twice, before the index that forbids it is built: by hand a record could enter at each run.
pub(crate) fn no_double_rows() -> Step {
    let gbif = literal(SOURCE_NAME);
    same(
        "looking for observations that stand twice under the source GBIF",
        format!(
            "DO $twice$\n\
             DECLARE\n    \
                 keys bigint;\n    \
                 example text;\n\
             BEGIN\n    \
                 SELECT count(*), min(d.key) INTO keys, example\n    \
                 FROM (SELECT s.entity_source_pk_value AS key FROM gn_synthese.synthese s\n          \
                       JOIN gn_synthese.t_sources t ON t.id_source = s.id_source AND t.name_source = {gbif}\n          \
                       GROUP BY 1 HAVING count(s.entity_source_pk_value) > 1) d;\n    \
                 IF keys > 0 THEN\n        \
                     RAISE EXCEPTION '% keys stand more than once under source {SOURCE_NAME}, such as %: leave one row of each and run this again. They are: \
                     SELECT entity_source_pk_value, array_agg(id_synthese ORDER BY id_synthese) FROM gn_synthese.synthese JOIN gn_synthese.t_sources USING (id_source) \
                     WHERE name_source = ''{SOURCE_NAME}'' GROUP BY 1 HAVING count(*) > 1', keys, example;\n    \
                 END IF;\n\
             END $twice$;"
        ),
    )
}
