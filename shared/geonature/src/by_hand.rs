//! A platform that ran the published procedure by hand before Passereau came: what an administrator does for it, besides what
//! [`crate::install()`] does everywhere.
//!
//! Terms. The procedure's *tables* are `pinv_gbif.tmp_gbif_data`, `cor_multimedia` and `cor_uuid_inaturalist`; *put aside*, they are
//! called `adopted_…`. Nothing is done where there is none of them. They stay their owner's: the workers' role may read them.
//!
//! Failure. Observations under another source than GBIF, and double ones, are told by an exception that names the query or command
//! to run; nothing is corrected here that a person has to decide.

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

/// What there is of the procedure in schema `pinv_gbif`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByHand {
    /// Tables that stand where ours are to stand, each as `name (owner)`.
    pub in_the_way: Vec<String>,
    /// Names of the tables that are put aside, or will be.
    pub aside: Vec<String>,
}

impl ByHand {
    /// Whether the procedure was run here.
    pub fn found(&self) -> bool {
        !self.aside.is_empty()
    }
}

/// Looks into PostgreSQL's own catalogue, which every role may read.
pub(crate) async fn by_hand(connection: &mut PgConnection) -> Result<ByHand, sqlx::Error> {
    let relations: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, pg_get_userbyid(c.relowner)::text
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = 'pinv_gbif' AND c.relkind IN ('r', 'p', 'f', 'v', 'm')",
    )
    .fetch_all(connection)
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
    Ok(found)
}

/// What comes before the source is declared: the tables are put aside, the workers may read them, the procedure's source becomes ours.
pub(crate) fn first_steps(found: &ByHand, role: Option<&str>, renamed_source: Option<&str>) -> Vec<Step> {
    let mut steps = Vec::new();
    if !found.in_the_way.is_empty() {
        let doing = "the procedure run by hand: putting its tables aside";
        steps.push(same(doing, passereau_database::SET_ASIDE.trim_end().to_owned()));
    }
    if let Some(role) = role.filter(|_| found.found()) {
        let tables: Vec<String> = found.aside.iter().map(|table| format!("pinv_gbif.{table}")).collect();
        let role = quoted(role);
        steps.push(same(
            "the procedure run by hand: its schema and tables stay their owner's, the workers use them",
            format!(
                "GRANT USAGE, CREATE ON SCHEMA pinv_gbif TO {role};\nGRANT SELECT ON {} TO {role};",
                tables.join(", ")
            ),
        ));
    }
    if let Some(name) = renamed_source {
        steps.push(same("giving the procedure's source the name GBIF", rename_source(name)));
    }
    if found.aside.iter().any(|table| table == "adopted_gbif_data") {
        steps.push(same("looking for the source of the procedure's observations", no_other_source()));
    }
    steps
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

/// Raises where most of the procedure's records stand under another source: they would enter a second time.
fn no_other_source() -> String {
    let gbif = literal(SOURCE_NAME);
    format!(
        "DO $source$\n\
         DECLARE\n    \
             stands record;\n\
         BEGIN\n    \
             SELECT t.name_source, count(*) AS rows INTO stands\n    \
             FROM pinv_gbif.adopted_gbif_data a\n    \
             JOIN gn_synthese.synthese s ON s.entity_source_pk_value = a.gbif_id::text\n    \
             JOIN gn_synthese.t_sources t ON t.id_source = s.id_source\n    \
             GROUP BY t.name_source ORDER BY count(*) DESC, t.name_source LIMIT 1;\n    \
             IF stands.name_source <> {gbif} THEN\n        \
                 RAISE EXCEPTION '% observations of the procedure stand under source %: give it the name {SOURCE_NAME} with passereau install --source %',\n            \
                     stands.rows, stands.name_source, quote_literal(stands.name_source);\n    \
             END IF;\n\
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
