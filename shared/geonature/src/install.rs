//! What an administrator does once to a GeoNature database so that harvests can be written into it.
//!
//! Everything is additive: two rows, a few indexes, some rights. Indexes are built `CONCURRENTLY`, so that people go on working, and
//! only where no index of any name serves already. The unique index is partial, on our source: the sources of people's own imports
//! may hold duplicates, and must stay free to. A source GBIF that is declared already stays as it is.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::{
    Detected, Feature, GeoNatureError, SOURCE_NAME, SOURCE_URL, by_hand, detect,
    parts::{Part, grants_to_part, grants_to_planner, note},
    rights::{Statement, grants, grants_to_state, grants_to_writer, quoted, revokes_from_state},
};

/// Name of the unique index that [`install()`] makes.
pub const UPSERT_INDEX: &str = "passereau_uidx_synthese_gbif";
/// Name of its index on the links of TAXREF.
pub const LINKS_INDEX: &str = "passereau_idx_taxref_liens_ct_sp_id";
/// Name of its index on the rules of sensitivity.
pub const SENSITIVITY_INDEX: &str = "passereau_idx_sensitivity_rules_cd_ref";
/// Name of its index on the media.
pub const MEDIA_INDEX: &str = "passereau_idx_medias_uuid_attached_row";

/// What the administrator allows.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Role that the workers connect as; without it no rights are granted.
    pub role: Option<String>,
    /// Role that owns our schemas, writes nothing of GeoNature's and reads next to nothing: every worker but the upserter connects as it. `role` is then the upserter's, and a
    /// member of it. Without it `role` is both.
    pub state_role: Option<String>,
    /// Role that may read our schemas and nothing else.
    pub reader: Option<String>,
    /// Role of the exporter, if it has one of its own.
    pub exporter_role: Option<String>,
    /// Role of the gateway, if it has one of its own.
    pub gateway_role: Option<String>,
    /// Also what subscriptions with `metadata = create` need.
    pub metadata: bool,
    /// Also what subscriptions with `media = true` need.
    pub media: bool,
    /// Also what subscriptions with `vanished = delete` need.
    pub removal: bool,
    /// Also what a platform needs that ran the procedure by hand; granted anyway where its tables are found.
    pub adoption: bool,
    /// Name of the procedure's source, where it is not GBIF: it is renamed.
    pub source: Option<String>,
}

impl Wanted {
    /// Whether any role is granted anything.
    pub fn grants(&self) -> bool {
        self.role.is_some() || self.parts().next().is_some()
    }

    /// The parts with a role of their own.
    fn parts(&self) -> impl Iterator<Item = (Part, &str)> {
        let roles = [(Part::Exporter, &self.exporter_role), (Part::Gateway, &self.gateway_role)];
        roles.into_iter().filter_map(|(part, role)| Some((part, role.as_deref()?)))
    }

    /// Who owns our schemas: whoever does, else who will.
    fn owner<'a>(&'a self, detected: &'a Detected) -> Option<&'a str> {
        let will = self.state_role.as_deref().or(self.role.as_deref());
        detected.catalogue.state_owner.as_deref().or(will)
    }

    fn features(&self, by_hand: bool) -> impl Iterator<Item = Feature> {
        [
            (true, Feature::Harvest),
            (self.metadata, Feature::Metadata),
            (self.media, Feature::Media),
            (self.removal, Feature::Removal),
            (self.adoption || by_hand, Feature::Adoption),
        ]
        .into_iter()
        .filter_map(|(wanted, feature)| wanted.then_some(feature))
    }
}

/// One statement, and what it does.
pub(crate) struct Step {
    doing: &'static str,
    /// For a connection, once it is known what is missing.
    sql: String,
    /// For `psql`, where it can be run again at any time; `None`: the same.
    psql: Option<String>,
}

/// The SQL that [`install()`] would run on the database described, for an administrator to read and run with `psql`.
pub fn script(detected: &Detected, wanted: &Wanted) -> String {
    let mut text = format!(
        "-- What Passereau needs in database {}.\n\
         -- Run it with psql as the owner of GeoNature's tables, outside of a transaction (indexes are built CONCURRENTLY).\n\
         -- It can be run again at any time.\n\\set ON_ERROR_STOP on\n",
        detected.catalogue.database
    );
    if let Some(url) = detected.source.as_ref().map(|source| source.url.as_deref().unwrap_or_default())
        && url != SOURCE_URL
    {
        text.push_str(&format!(
            "\n-- The source {SOURCE_NAME} is declared with url_source = {}, and stays so. GeoNature links each observation to\n\
             -- url_source/gbifID; for links that lead to GBIF:\n-- {}\n",
            literal(url),
            correct_url()
        ));
    }
    let steps = steps(detected, wanted);
    if steps.is_empty() {
        text.push_str("\n-- Nothing is missing.\n");
    }
    for step in steps {
        text.push_str(&format!("\n-- {}\n{}\n", step.doing, step.psql.unwrap_or(step.sql)));
    }
    if !wanted.grants() {
        text.push_str("\n-- No rights are granted: name the workers' role with --role.\n");
    } else if wanted.owner(detected).is_none() {
        text.push_str("\n-- No rights on our schemas are granted: name the role that will own them with --role.\n");
    }
    text
}

/// The statement that gives the source the address that GeoNature's links need. Nobody runs it but the administrator.
pub(crate) fn correct_url() -> String {
    format!(
        "UPDATE gn_synthese.t_sources SET url_source = {} WHERE name_source = {};",
        literal(SOURCE_URL),
        literal(SOURCE_NAME)
    )
}

/// Prepares the database: declares the source and the table that media are attached to, builds the indexes that are missing,
/// grants the rights that are wanted. Returns what is there afterwards. Runs as long as the indexes take, some seconds for each
/// million of observations.
///
/// # Errors
/// [`GeoNatureError::Install`] for the first statement that is refused (what was done before stays, and is found again), and those of
/// [`detect`].
pub async fn install(pool: &PgPool, wanted: &Wanted) -> Result<Detected, GeoNatureError> {
    let mut connection = pool.acquire().await.map_err(|source| GeoNatureError::Read { doing: "connecting", source })?;
    let named = [
        ("--role", &wanted.role),
        ("--state-role", &wanted.state_role),
        ("--reader", &wanted.reader),
        (Part::Exporter.option(), &wanted.exporter_role),
        (Part::Gateway.option(), &wanted.gateway_role),
    ];
    for (option, role) in named.into_iter().filter_map(|(option, role)| Some((option, role.as_ref()?))) {
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
            .bind(role)
            .fetch_one(&mut *connection)
            .await
            .map_err(|source| GeoNatureError::Read { doing: "looking for the role", source })?;
        if !known {
            return Err(GeoNatureError::NoRole { option, role: role.to_owned() });
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
    let done = run_all(pool, &mut connection, wanted).await;
    // A connection that cannot unlock is closed, which unlocks as well.
    let unlocked =
        sqlx::query("SELECT pg_advisory_unlock(hashtext('passereau.install'))").execute(&mut *connection).await;
    if unlocked.is_err() {
        drop(connection.detach());
    }
    done
}

async fn run_all(pool: &PgPool, connection: &mut PgConnection, wanted: &Wanted) -> Result<Detected, GeoNatureError> {
    let found = detect(pool).await?;
    if let (None, Some((part, _))) = (wanted.owner(&found), wanted.parts().next()) {
        return Err(GeoNatureError::NoOwner { option: part.option() });
    }
    for step in first_steps(&found, wanted) {
        run(connection, step).await?;
    }
    // The predicate of the unique index is a literal, which is known only once the source is there.
    if detect(pool).await?.source.is_none() {
        run(connection, source()).await?;
    }
    for step in steps_after(&detect(pool).await?, wanted) {
        run(connection, step).await?;
    }
    detect(pool).await
}

/// Statements of this module only; the foreign texts in them, the names of role and database, are quoted.
async fn run(connection: &mut PgConnection, step: Step) -> Result<(), GeoNatureError> {
    sqlx::raw_sql(AssertSqlSafe(step.sql))
        .execute(connection)
        .await
        .map_err(|source| GeoNatureError::Install { doing: step.doing, source })?;
    Ok(())
}

fn steps(detected: &Detected, wanted: &Wanted) -> Vec<Step> {
    let mut steps = first_steps(detected, wanted);
    steps.extend(steps_after(detected, wanted));
    steps
}

fn first_steps(detected: &Detected, wanted: &Wanted) -> Vec<Step> {
    let owner = wanted.role.as_deref().map(|role| wanted.state_role.as_deref().unwrap_or(role));
    by_hand::first_steps(&detected.catalogue.by_hand, owner, wanted.source.as_deref())
}

fn steps_after(detected: &Detected, wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    if detected.source.is_none() {
        steps.push(source());
    }
    if detected.upsert_index().is_none() {
        steps.push(by_hand::no_double_rows());
        steps.extend(upsert_index(detected.source.as_ref().map(|source| source.id)));
    }
    if detected.catalogue.has("taxonomie.taxref_liens") && !detected.catalogue.has_links_index {
        let doing = "indexing TAXREF's links by GBIF key";
        steps.extend(index(doing, "taxonomie", LINKS_INDEX, "taxonomie.taxref_liens (ct_name, ct_sp_id)"));
    }
    if detected.catalogue.has("gn_sensitivity.t_sensitivity_rules_cd_ref") && !detected.catalogue.has_sensitivity_index
    {
        let doing = "indexing the sensitivity rules by taxon, which makes each insertion several times faster";
        let on = "gn_sensitivity.t_sensitivity_rules_cd_ref (cd_ref)";
        steps.extend(index(doing, "gn_sensitivity", SENSITIVITY_INDEX, on));
        steps.push(same("telling the planner", "ANALYZE gn_sensitivity.t_sensitivity_rules_cd_ref;".to_owned()));
    }
    if detected.has_location != Some(true) {
        steps.push(location());
    }
    if wanted.media && !detected.catalogue.has_media_index {
        let doing = "media: indexing them by the observation that they belong to";
        steps.extend(index(doing, "gn_commons", MEDIA_INDEX, "gn_commons.t_medias (uuid_attached_row)"));
    }
    steps.extend(granted(detected, wanted).into_iter().map(|Statement { doing, sql }| same(doing, sql)));
    steps
}

/// The rights of each role.
fn granted(detected: &Detected, wanted: &Wanted) -> Vec<Statement> {
    let mut statements = granted_to_workers(detected, wanted);
    statements.extend(granted_to_parts(detected, wanted));
    statements
}

/// The rights of the exporter and the gateway: on GeoNature, and on those of our tables that are there.
fn granted_to_parts(detected: &Detected, wanted: &Wanted) -> Vec<Statement> {
    let catalogue = &detected.catalogue;
    let owner = wanted.owner(detected);
    let of_part = |(part, role): (Part, &str)| {
        let mut statements: Vec<_> = owner.map(|owner| note(catalogue, owner, part, role)).into_iter().collect();
        statements.extend(grants_to_part(catalogue, part, role));
        statements
    };
    let mut statements: Vec<_> = wanted.parts().flat_map(of_part).collect();
    if let (Some(role), Some(_)) = (&wanted.role, &wanted.exporter_role) {
        statements.extend(grants_to_planner(catalogue, role));
    }
    statements
}

fn granted_to_workers(detected: &Detected, wanted: &Wanted) -> Vec<Statement> {
    let catalogue = &detected.catalogue;
    let features: Vec<Feature> = wanted.features(catalogue.by_hand.found()).collect();
    let each = |of: &dyn Fn(Feature) -> Vec<Statement>| features.iter().copied().flat_map(of).collect::<Vec<_>>();
    let Some(role) = &wanted.role else { return Vec::new() };
    let state = wanted.state_role.as_ref().filter(|state| *state != role);
    let mut statements = match state {
        None => each(&|feature| grants(catalogue, feature, role)),
        Some(state) => {
            // Whatever was granted before, not only what is wanted now.
            let mut statements: Vec<_> =
                Feature::ALL.into_iter().flat_map(|feature| revokes_from_state(catalogue, feature, state)).collect();
            statements.extend(each(&|feature| grants_to_state(catalogue, feature, state)));
            statements.push(Statement {
                doing: "the writer of the synthèse works on the state as its owner does",
                sql: format!("GRANT {} TO {};", quoted(state), quoted(role)),
            });
            statements.extend(each(&|feature| grants_to_writer(catalogue, feature, role)));
            statements
        }
    };
    if let Some(reader) = &wanted.reader {
        statements.push(reading(state.unwrap_or(role), reader));
    }
    statements
}

/// Lets a role read our schemas: those that are there, and whatever their owner makes in them later, such as the tables of the next generation.
fn reading(owner: &str, reader: &str) -> Statement {
    let defaults = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT", quoted(owner));
    let reader = quoted(reader);
    let named = literal(&reader);
    Statement {
        doing: "reading the state, for people and their reports",
        sql: format!(
            "{defaults} USAGE ON SCHEMAS TO {reader};\n{defaults} SELECT ON TABLES TO {reader};\n\
             DO $reader$\n\
             DECLARE\n    \
                 ours text;\n\
             BEGIN\n    \
                 FOR ours IN SELECT nspname FROM pg_namespace WHERE nspname IN ('passereau', 'pinv_gbif') LOOP\n        \
                     EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', ours, {named});\n        \
                     EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %s', ours, {named});\n    \
                 END LOOP;\n\
             END $reader$;"
        ),
    }
}

pub(crate) fn same(doing: &'static str, sql: String) -> Step {
    Step { doing, sql, psql: None }
}

fn source() -> Step {
    same(
        "declaring the source GBIF",
        format!(
            "INSERT INTO gn_synthese.t_sources (name_source, desc_source, entity_source_pk_field, url_source)\n\
             VALUES ('{SOURCE_NAME}', 'Observations moissonnées au GBIF', 'gbifID', '{SOURCE_URL}')\n\
             ON CONFLICT (name_source) DO NOTHING;"
        ),
    )
}

/// Without this row a media cannot be attached to an observation; GeoNature ships none.
fn location() -> Step {
    same(
        "declaring the synthèse as a table that media are attached to",
        "INSERT INTO gn_commons.bib_tables_location (table_desc, schema_name, table_name, pk_field, uuid_field_name)\n\
         VALUES ('Observations de la synthèse', 'gn_synthese', 'synthese', 'id_synthese', 'unique_id_sinp')\n\
         ON CONFLICT (schema_name, table_name) DO NOTHING;"
            .to_owned(),
    )
}

fn upsert_index(source_id: Option<i32>) -> [Step; 2] {
    let doing = "building the unique index of the observations from GBIF";
    let create = |exists: &str| {
        format!(
            "CREATE UNIQUE INDEX CONCURRENTLY{exists} {UPSERT_INDEX}\n    \
             ON gn_synthese.synthese (id_source, entity_source_pk_value) WHERE id_source = "
        )
    };
    let step = match source_id {
        Some(id) => Step {
            doing,
            sql: format!("{}{id};", create("")),
            psql: Some(format!("{}{id};", create(" IF NOT EXISTS"))),
        },
        // psql makes the statement once the source is there.
        None => same(
            doing,
            format!(
                "SELECT '{}' || id_source\n  FROM gn_synthese.t_sources WHERE name_source = '{SOURCE_NAME}' \\gexec",
                create(" IF NOT EXISTS")
            ),
        ),
    };
    [remove("removing an unfinished unique index", "gn_synthese", UPSERT_INDEX), step]
}

fn index(doing: &'static str, schema: &str, name: &str, on: &str) -> [Step; 2] {
    let create = |exists: &str| format!("CREATE INDEX CONCURRENTLY{exists} {name} ON {on};");
    [
        remove("removing an unfinished index", schema, name),
        Step { doing, sql: create(""), psql: Some(create(" IF NOT EXISTS")) },
    ]
}

/// What an interrupted CREATE INDEX CONCURRENTLY leaves is invalid, and its name is taken.
fn remove(doing: &'static str, schema: &str, name: &str) -> Step {
    Step {
        doing,
        sql: format!("DROP INDEX CONCURRENTLY IF EXISTS {schema}.{name};"),
        psql: Some(format!(
            "SELECT 'DROP INDEX CONCURRENTLY {schema}.{name}'\n  \
             FROM pg_index WHERE indexrelid = to_regclass('{schema}.{name}') AND NOT indisvalid \\gexec"
        )),
    }
}

pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
