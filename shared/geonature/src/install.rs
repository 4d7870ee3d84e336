//! What an administrator does once to a GeoNature database so that harvests can be written into it.
//!
//! Everything is additive: one row, three indexes, some rights. Indexes are built `CONCURRENTLY`, so that people go on working, and only
//! where no index of any name serves already. The unique index is partial, on our source: the sources of people's own imports may
//! hold duplicates, and must stay free to.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::{Detected, GeoNatureError, SOURCE_NAME, SOURCE_URL, detect};

/// Name of the unique index that [`install()`] makes.
pub const UPSERT_INDEX: &str = "passereau_uidx_synthese_gbif";
/// Name of its index on the links of TAXREF.
pub const LINKS_INDEX: &str = "passereau_idx_taxref_liens_ct_sp_id";
/// Name of its index on the rules of sensitivity.
pub const SENSITIVITY_INDEX: &str = "passereau_idx_sensitivity_rules_cd_ref";

/// One statement, and what it does.
struct Step {
    doing: &'static str,
    sql: String,
}

/// The SQL that [`install()`] would run on the database described, for an administrator to read and run with `psql`. `role` is the
/// role that the workers connect as; without it no rights are granted.
pub fn script(detected: &Detected, role: Option<&str>) -> String {
    let mut text = String::from(
        "-- Run it with psql as the owner of GeoNature's tables, outside of a transaction (indexes are built CONCURRENTLY).\n\
         -- It can be run again at any time.\n\\set ON_ERROR_STOP on\n",
    );
    let mut steps = Vec::new();
    if detected.source.is_none() {
        steps.push(source());
    }
    steps.extend(indexes(detected));
    steps.extend(role.into_iter().flat_map(|role| grants(detected, role)));
    if steps.is_empty() {
        text.push_str("\n-- Nothing is missing.\n");
    }
    for step in steps {
        text.push_str(&format!("\n-- {}\n{}\n", step.doing, step.sql));
    }
    text
}

/// Prepares the database: declares the source, builds the indexes that are missing, grants the rights that a worker needs to `role`.
/// Returns what is there afterwards. Runs as long as the indexes take, some seconds for each million of observations.
///
/// # Errors
/// [`GeoNatureError::Install`] for the first statement that is refused (what was done before stays, and is found again), and those of
/// [`detect`].
pub async fn install(pool: &PgPool, role: Option<&str>) -> Result<Detected, GeoNatureError> {
    let mut connection = pool.acquire().await.map_err(|source| GeoNatureError::Read { doing: "connecting", source })?;
    if let Some(role) = role {
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
            .bind(role)
            .fetch_one(&mut *connection)
            .await
            .map_err(|source| GeoNatureError::Read { doing: "looking for the role", source })?;
        if !known {
            return Err(GeoNatureError::NoRole { role: role.to_owned() });
        }
    }
    // Not a lock that waits: a session that waits holds a snapshot, and CREATE INDEX CONCURRENTLY waits for snapshots.
    let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('passereau.install'))")
        .fetch_one(&mut *connection)
        .await
        .map_err(|source| GeoNatureError::Read { doing: "taking the lock of the installation", source })?;
    if !alone {
        return Err(GeoNatureError::Busy);
    }
    let done = run_all(pool, &mut connection, role).await;
    // A connection that cannot unlock is closed, which unlocks as well.
    let unlocked =
        sqlx::query("SELECT pg_advisory_unlock(hashtext('passereau.install'))").execute(&mut *connection).await;
    if unlocked.is_err() {
        drop(connection.detach());
    }
    done
}

async fn run_all(pool: &PgPool, connection: &mut PgConnection, role: Option<&str>) -> Result<Detected, GeoNatureError> {
    if detect(pool).await?.source.is_none() {
        run(connection, source()).await?;
    }
    let detected = detect(pool).await?;
    for step in indexes(&detected) {
        run(connection, step).await?;
    }
    for step in role.into_iter().flat_map(|role| grants(&detected, role)) {
        run(connection, step).await?;
    }
    detect(pool).await
}

/// Statements of this module only; the one foreign text in them, the role, is quoted.
async fn run(connection: &mut PgConnection, step: Step) -> Result<(), GeoNatureError> {
    sqlx::raw_sql(AssertSqlSafe(step.sql))
        .execute(connection)
        .await
        .map_err(|source| GeoNatureError::Install { doing: step.doing, source })?;
    Ok(())
}

fn source() -> Step {
    Step {
        doing: "declaring the source GBIF",
        sql: format!(
            "INSERT INTO gn_synthese.t_sources (name_source, desc_source, entity_source_pk_field, url_source)\n\
             VALUES ('{SOURCE_NAME}', 'Observations moissonnées au GBIF', 'gbifID', '{SOURCE_URL}')\n\
             ON CONFLICT (name_source) DO NOTHING;"
        ),
    }
}

fn indexes(detected: &Detected) -> Vec<Step> {
    let mut steps = Vec::new();
    if detected.upsert_index.is_none() {
        // What an interrupted CREATE INDEX CONCURRENTLY leaves is invalid, and its name is taken.
        steps.push(Step {
            doing: "removing an unfinished unique index",
            sql: format!("DROP INDEX CONCURRENTLY IF EXISTS gn_synthese.{UPSERT_INDEX};"),
        });
        let create = format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {UPSERT_INDEX}\n    \
             ON gn_synthese.synthese (id_source, entity_source_pk_value) WHERE id_source = "
        );
        let sql = match detected.source {
            Some(source) => format!("{create}{source};"),
            // The predicate wants a literal, which is known only once the source is there: psql makes the statement then.
            None => format!(
                "SELECT '{create}' || id_source\n  FROM gn_synthese.t_sources WHERE name_source = '{SOURCE_NAME}' \\gexec"
            ),
        };
        steps.push(Step { doing: "building the unique index of the observations from GBIF", sql });
    }
    if detected.has_taxref_liens && !detected.has_links_index {
        steps.extend(rebuild(
            "taxonomie",
            LINKS_INDEX,
            "taxonomie.taxref_liens (ct_name, ct_sp_id)",
            ["removing an unfinished index of TAXREF's links", "indexing TAXREF's links by GBIF key"],
        ));
    }
    if detected.has_sensitivity_rules && !detected.has_sensitivity_index {
        steps.extend(rebuild(
            "gn_sensitivity",
            SENSITIVITY_INDEX,
            "gn_sensitivity.t_sensitivity_rules_cd_ref (cd_ref)",
            [
                "removing an unfinished index of the sensitivity rules",
                "indexing the sensitivity rules by taxon, which makes each insertion several times faster",
            ],
        ));
        steps.push(Step {
            doing: "telling the planner",
            sql: "ANALYZE gn_sensitivity.t_sensitivity_rules_cd_ref;".to_owned(),
        });
    }
    steps
}

fn rebuild(schema: &str, name: &str, on: &str, doing: [&'static str; 2]) -> [Step; 2] {
    [
        Step { doing: doing[0], sql: format!("DROP INDEX CONCURRENTLY IF EXISTS {schema}.{name};") },
        Step { doing: doing[1], sql: format!("CREATE INDEX CONCURRENTLY {name} ON {on};") },
    ]
}

/// What a worker reads: its own conversions, and what GeoNature's triggers, checks and defaults read in its name.
const READ: [&str; 14] = [
    "gn_synthese.t_sources",
    "gn_synthese.defaults_nomenclatures_value",
    "gn_synthese.v_synthese_for_web_app",
    "gn_meta.t_datasets",
    "gn_commons.t_parameters",
    "gn_sensitivity.t_sensitivity_rules_cd_ref",
    "gn_sensitivity.cor_sensitivity_area",
    "gn_sensitivity.cor_sensitivity_criteria",
    "ref_nomenclatures.t_nomenclatures",
    "ref_nomenclatures.bib_nomenclatures_types",
    "ref_geo.l_areas",
    "ref_geo.bib_areas_types",
    "taxonomie.taxref",
    "utilisateurs.bib_organismes",
];

fn grants(detected: &Detected, role: &str) -> Vec<Step> {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let mut read = READ.to_vec();
    if detected.has_taxref_liens {
        read.push("taxonomie.taxref_liens");
    }
    if detected.taxref_version.is_some() {
        read.push("taxonomie.t_meta_taxref");
    }
    let step = |doing, sql: String| Step { doing, sql };
    vec![
        step(
            "letting the workers' role see GeoNature's schemas",
            format!(
                "GRANT USAGE ON SCHEMA gn_synthese, gn_meta, gn_commons, gn_sensitivity, ref_nomenclatures, ref_geo, taxonomie, utilisateurs\n    \
                 TO {role};"
            ),
        ),
        step(
            "letting it read what conversions and triggers read",
            format!("GRANT SELECT ON {}\n    TO {role};", read.join(",\n    ")),
        ),
        step(
            "letting it write observations, and the areas and log that triggers write",
            format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON gn_synthese.synthese, gn_synthese.cor_area_synthese, gn_synthese.t_log_synthese\n    \
                 TO {role};"
            ),
        ),
        step(
            "letting it number observations",
            format!("GRANT USAGE ON SEQUENCE gn_synthese.synthese_id_synthese_seq TO {role};"),
        ),
        step(
            "letting it make the schemas passereau and pinv_gbif, which it owns",
            format!(
                "DO $grant$ BEGIN EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO %s', current_database(), {}); END $grant$;",
                literal(&role)
            ),
        ),
    ]
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
