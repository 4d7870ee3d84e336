//! What the roles of the database may do, and what they are refused. The harvests of the other tests show that it suffices.

use passereau_harvest::State;
use passereau_testing::{TestDatabase, WorkerRole, wait_until};
use passereau_tests::{
    Fleet, FleetConfig,
    dashboards::{Dashboard, dashboards, grants},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::prepared::{RECORDS, SOON, fleet, generated, request};

/// The code of PostgreSQL for a missing right.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Runs a statement as a role and takes it back; gives the code of its refusal.
async fn attempt(role: &WorkerRole, sql: &str) -> Option<String> {
    let mut connection = PgConnection::connect(&role.url).await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    let outcome = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await;
    tx.rollback().await.unwrap();
    connection.close().await.unwrap();
    let code = |error: sqlx::Error| Some(error.as_database_error()?.code()?.into_owned());
    outcome.err().map(|error| code(error).expect("an answer of PostgreSQL"))
}

async fn allows(role: &WorkerRole, statements: &[&str]) {
    for sql in statements {
        assert_eq!(attempt(role, sql).await, None, "{} needs: {sql}", role.name);
    }
}

async fn refuses(role: &WorkerRole, statements: &[&str]) {
    for sql in statements {
        let code = attempt(role, sql).await;
        assert_eq!(
            code.as_deref(),
            Some(INSUFFICIENT_PRIVILEGE),
            "{} is allowed, or cannot be asked: {sql}",
            role.name
        );
    }
}

/// What no role of ours may do, whatever else it may.
const FORBIDDEN_TO_ALL: &[&str] = &[
    "DROP TABLE gn_synthese.synthese CASCADE",
    "ALTER TABLE gn_synthese.synthese ADD COLUMN passereau text",
    "ALTER TABLE gn_synthese.synthese DISABLE TRIGGER ALL",
    "TRUNCATE gn_synthese.synthese CASCADE",
    "CREATE INDEX ON gn_synthese.synthese (observers)",
    "CREATE TABLE gn_synthese.passereau (id integer)",
    "CREATE FUNCTION gn_synthese.passereau() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE TRIGGER passereau BEFORE INSERT ON gn_synthese.synthese EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "DROP SCHEMA gn_meta CASCADE",
    "SELECT pass FROM utilisateurs.t_roles",
    "SELECT email FROM utilisateurs.t_roles",
    "INSERT INTO utilisateurs.t_roles (nom_role) VALUES ('intruder')",
    "DELETE FROM taxonomie.taxref",
    "UPDATE taxonomie.taxref SET lb_nom = ''",
    "UPDATE ref_geo.l_areas SET area_name = ''",
    "UPDATE gn_sensitivity.t_sensitivity_rules_cd_ref SET active = false",
    "UPDATE ref_nomenclatures.t_nomenclatures SET active = false",
    "UPDATE gn_meta.t_acquisition_frameworks SET acquisition_framework_name = ''",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/passereau'",
    "SELECT rolpassword FROM pg_authid",
    "CREATE ROLE intruder",
    "CREATE EXTENSION dblink",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_does_its_part_and_is_refused_more() {
    let (_folder, archive) = generated(50);
    let fleet = fleet(archive).await;
    let id = fleet.submit(&request()).await.unwrap();
    let harvest = fleet.ended(id, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    let (state, writer, reader) = (&fleet.roles.state, &fleet.roles.writer, &fleet.roles.reader);
    for role in [state, writer, reader, &fleet.roles.exporter, &fleet.roles.gateway] {
        refuses(role, FORBIDDEN_TO_ALL).await;
        let become_administrator = format!("ALTER ROLE \"{}\" SUPERUSER", role.name);
        refuses(role, &[&become_administrator]).await;
    }

    // The owner of the state, as which all workers but one connect: sees which observations there are, and writes nothing of GeoNature's.
    allows(
        state,
        &[
            "SELECT id_synthese FROM gn_synthese.synthese LIMIT 1",
            "SELECT acquisition_framework_name FROM gn_meta.t_acquisition_frameworks LIMIT 1",
            "DELETE FROM pinv_gbif.reject",
            "CREATE TABLE pinv_gbif.another (id integer)",
            // As the downloader does, on a platform that forgets what has gone.
            "UPDATE pinv_gbif.setting SET value = '1' WHERE name = 'retention_written_days';
             SELECT passereau.note_gone(0, 10), passereau.expired('written'), passereau.retain('written', 10)",
        ],
    )
    .await;
    refuses(
        state,
        &[
            "INSERT INTO gn_synthese.synthese (observers) VALUES ('')",
            "UPDATE gn_synthese.synthese SET observers = ''",
            "DELETE FROM gn_synthese.synthese",
            "DELETE FROM gn_synthese.cor_area_synthese",
            "SELECT nextval(pg_get_serial_sequence('gn_synthese.synthese', 'id_synthese'))",
            "INSERT INTO gn_meta.t_datasets (dataset_name) VALUES ('')",
            "INSERT INTO utilisateurs.bib_organismes (nom_organisme) VALUES ('')",
            "DELETE FROM gn_commons.t_medias",
            "SELECT groupe FROM utilisateurs.t_roles",
            "SELECT the_geom_point FROM gn_synthese.synthese",
            "SELECT observers FROM gn_synthese.synthese",
            "SELECT FROM gn_synthese.cor_area_synthese",
            "SELECT FROM gn_synthese.t_log_synthese",
            "SELECT FROM gn_synthese.t_reports",
            "SELECT FROM gn_commons.t_medias",
            "SELECT FROM gn_commons.t_validations",
            "SELECT FROM gn_meta.t_datasets",
            "SELECT FROM utilisateurs.bib_organismes",
            "SELECT FROM taxonomie.taxref",
        ],
    )
    .await;
    let as_writer = format!("SET ROLE \"{}\"", writer.name);
    refuses(state, &[&as_writer]).await;

    // The writer of the synthèse: writes observations and what hangs on them.
    allows(
        writer,
        &[
            "UPDATE gn_synthese.synthese SET observers = observers",
            "DELETE FROM pinv_gbif.reject",
            "SELECT groupe FROM utilisateurs.t_roles",
            // By hand, as a member of it does.
            "CREATE TEMP TABLE copied AS SELECT * FROM pinv_gbif.tmp_gbif_data;
             UPDATE copied SET gbif_id = gbif_id + 1000000000;
             INSERT INTO pinv_gbif.tmp_gbif_data SELECT * FROM copied;
             SELECT 1 / inserted FROM pinv_gbif.upsert_gbif_data()",
        ],
    )
    .await;
    refuses(
        writer,
        &[
            "UPDATE gn_meta.t_datasets SET dataset_name = ''",
            "DELETE FROM utilisateurs.bib_organismes",
            "DELETE FROM gn_synthese.t_sources",
            "DELETE FROM gn_synthese.t_log_synthese",
        ],
    )
    .await;

    // The reader: our schemas, also what was made after it was installed.
    allows(
        reader,
        &[
            "SELECT FROM passereau.harvest",
            "SELECT FROM passereau.dead_letter",
            "SELECT FROM pinv_gbif.occurrence",
            "SELECT FROM pinv_gbif.reject",
            "SELECT FROM pinv_gbif.setting",
        ],
    )
    .await;
    refuses(
        reader,
        &[
            "SELECT FROM gn_synthese.synthese",
            "SELECT FROM utilisateurs.bib_organismes",
            "UPDATE passereau.harvest SET state = 'failed'",
            "DELETE FROM passereau.outbox",
            "INSERT INTO pinv_gbif.setting (name, value) VALUES ('a', 'b')",
            "TRUNCATE passereau.inbox",
            "CREATE TABLE passereau.another (id integer)",
            "DROP SCHEMA pinv_gbif CASCADE",
        ],
    )
    .await;
    fleet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_had_one_role_keeps_it_as_the_owner_of_the_state_without_its_rights_to_write() {
    let (_folder, archive) = generated(50);
    let fleet = fleet(archive).await;
    let (state, writer) = (&fleet.roles.state, &fleet.roles.writer);
    let administrator = ["--database-url", &fleet.database.url];
    let one = [&["install", "--role", &state.name, "--with-media"][..], &administrator].concat();
    fleet.run_command(&one).await.unwrap();
    allows(state, &["DELETE FROM gn_commons.t_medias", "SELECT the_geom_point FROM gn_synthese.synthese"]).await;
    let three = [&["install", "--role", &writer.name, "--state-role", &state.name][..], &administrator].concat();
    fleet.run_command(&three).await.unwrap();
    refuses(
        state,
        &[
            "DELETE FROM gn_commons.t_medias",
            "UPDATE gn_synthese.synthese SET observers = ''",
            "SELECT the_geom_point FROM gn_synthese.synthese",
        ],
    )
    .await;
    allows(state, &["SELECT id_synthese FROM gn_synthese.synthese"]).await;
    fleet.stop().await.unwrap();
}

/// What neither the exporter nor the gateway may do, whatever else each may.
const FORBIDDEN_TO_BOTH: &[&str] = &[
    "INSERT INTO gn_synthese.synthese (observers) VALUES ('')",
    "UPDATE gn_synthese.synthese SET observers = ''",
    "DELETE FROM gn_synthese.synthese",
    "DELETE FROM gn_synthese.cor_area_synthese",
    "INSERT INTO gn_synthese.t_sources (name_source) VALUES ('')",
    "SELECT nextval(pg_get_serial_sequence('gn_synthese.synthese', 'id_synthese'))",
    "INSERT INTO gn_meta.t_datasets (dataset_name) VALUES ('')",
    "SELECT groupe FROM utilisateurs.t_roles",
    "SELECT FROM utilisateurs.bib_organismes",
    "SELECT FROM gn_commons.t_medias",
    "SELECT FROM gn_commons.t_validations",
    "SELECT FROM gn_synthese.t_log_synthese",
    // Nobody but the owner of the state changes what may leave, what is agreed, and who may fetch it.
    "UPDATE passereau.sensitivity_level SET precision = 'exact', area_type = NULL",
    "UPDATE passereau.diffusion_wish SET precision = 'exact', area_type = NULL",
    "UPDATE passereau.blur_rule SET treatment = 'keep'",
    "INSERT INTO passereau.licence (spelling, licence) VALUES ('any', 'CC0-1.0')",
    "UPDATE passereau.flow SET territory = NULL",
    "UPDATE passereau.flow SET approved_version = version, approved_by = 'me'",
    "INSERT INTO passereau.flow (name, agreement, key) VALUES ('mine', '{}', decode(repeat('00', 32), 'hex'))",
    "INSERT INTO passereau.flow_token (id, flow, partner, digest) VALUES (gen_random_uuid(), 'atlas', 'me', sha256('mine'))",
    "UPDATE passereau.flow_token SET digest = sha256('mine')",
    "UPDATE passereau.flow_token SET revoked_at = NULL",
    "UPDATE passereau.flow_token SET expires_at = NULL",
    "DELETE FROM passereau.flow_token",
    "DELETE FROM passereau.delivery",
    "UPDATE passereau.schedule SET next_at = now()",
    "UPDATE passereau.subscription SET request = '{}'",
    "UPDATE pinv_gbif.setting SET value = ''",
    "SELECT FROM pinv_gbif.occurrence",
    "SELECT FROM passereau.erasure_salt",
    "INSERT INTO passereau.part_role (part, role) VALUES ('exporter', 'me')",
    "CREATE TABLE passereau.another (id integer)",
    "CREATE OR REPLACE FUNCTION passereau.selection() RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'",
    "DROP SCHEMA pinv_gbif CASCADE",
];

/// The flows of the other tests show that their rights suffice: each is made and served by these two roles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exporter_writes_deliveries_and_nothing_of_geonatures_and_the_gateway_sees_nothing_of_it() {
    let (_folder, archive) = generated(10);
    let fleet = fleet(archive).await;
    let (exporter, gateway) = (&fleet.roles.exporter, &fleet.roles.gateway);
    for role in [exporter, gateway] {
        refuses(role, FORBIDDEN_TO_BOTH).await;
        for other in [&fleet.roles.state, &fleet.roles.writer] {
            let become_other = format!("SET ROLE \"{}\"", other.name);
            refuses(role, &[&become_other]).await;
        }
    }

    allows(
        exporter,
        &[
            "SELECT the_geom_local, observers, additional_data FROM gn_synthese.synthese LIMIT 1",
            "SELECT lb_hab_fr FROM ref_habitats.habref LIMIT 1",
            "SELECT key FROM passereau.flow",
            "SELECT FROM passereau.gate_level(), passereau.gate_wish(), passereau.gate_rules() LIMIT 1",
            "SELECT flow, version, agreement FROM passereau.flow_version",
            "UPDATE passereau.schedule SET suspended_at = now(), suspended_because = ''",
            // Any process may be the one that finds the messages of the others that gave up.
            "UPDATE passereau.harvest SET state = 'failed', failed_state = state, reason = '', updated_at = now(), finished_at = now()",
        ],
    )
    .await;
    refuses(
        exporter,
        &[
            "SELECT digest FROM passereau.flow_token",
            "UPDATE passereau.flow_token SET last_used_at = now()",
            "SELECT territory FROM passereau.flow_version",
            "UPDATE passereau.schedule SET expression = 'P1D'",
            "UPDATE passereau.harvest SET request = '{}'",
            "DELETE FROM passereau.harvest",
            "SELECT body FROM passereau.dead_letter",
            "DELETE FROM passereau.inbox",
        ],
    )
    .await;

    allows(
        gateway,
        &[
            "SELECT digest FROM passereau.flow_token",
            "UPDATE passereau.flow_token SET last_used_at = now()",
            "SELECT name, agreement, version FROM passereau.flow",
            "SELECT FROM passereau.delivery",
        ],
    )
    .await;
    refuses(
        gateway,
        &[
            "SELECT id_synthese FROM gn_synthese.synthese",
            "SELECT FROM gn_synthese.t_sources",
            "SELECT FROM gn_meta.t_datasets",
            "SELECT FROM taxonomie.taxref",
            "SELECT FROM ref_geo.l_areas",
            "SELECT FROM ref_nomenclatures.t_nomenclatures",
            "SELECT key FROM passereau.flow",
            "SELECT territory FROM passereau.flow",
            "SELECT * FROM passereau.flow",
            "SELECT FROM passereau.harvest",
            "SELECT FROM passereau.written",
            "SELECT FROM passereau.outbox",
            "INSERT INTO passereau.outbox (id, exchange, routing_key, version, body) VALUES (gen_random_uuid(), 'work', 'flow.deliver', 1, '{}')",
            "UPDATE passereau.delivery SET files = '{}'",
            "SELECT FROM passereau.delivery_part",
            "SELECT FROM pinv_gbif.setting",
        ],
    )
    .await;
    fleet.stop().await.unwrap();
}

/// Tables that a new version brings are granted when it migrates, and `passereau check` names whoever lacks something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_part_lacks_is_told_with_the_command_that_mends_it_and_a_migration_grants_our_tables_again() {
    let (_folder, archive) = generated(10);
    let fleet = fleet(archive).await;
    let (exporter, gateway) = (&fleet.roles.exporter, &fleet.roles.gateway);
    let as_role = async |role: &WorkerRole| {
        let output = fleet.command(&["check", "--database-url", &role.url]).await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let administrator = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&fleet.database.pool).await.unwrap();
    };
    for (role, part) in [(exporter, "exporter"), (gateway, "gateway")] {
        let (code, said) = as_role(role).await;
        assert!(code == Some(0) && said.contains(&format!("rights that the {part} needs")), "{said}");
        assert!(!said.contains("observation"), "harvests are none of its business: {said}");
    }
    let (code, said) = as_role(&fleet.roles.writer).await;
    assert!(code == Some(0) && said.contains(&exporter.name) && said.contains(&gateway.name), "{said}");

    administrator(format!(
        "REVOKE SELECT ON gn_synthese.synthese FROM \"{}\"; REVOKE SELECT ON passereau.delivery FROM \"{}\"",
        exporter.name, gateway.name
    ))
    .await;
    for (role, lacks, option) in [
        (exporter, "SELECT on TABLE gn_synthese.synthese", "--exporter-role"),
        (gateway, "SELECT on TABLE passereau.delivery", "--gateway-role"),
    ] {
        let command = format!("passereau install {option} {}", role.name);
        for asking in [role, &fleet.roles.writer] {
            let (code, said) = as_role(asking).await;
            assert!(code == Some(2) && said.contains(lacks) && said.contains(&command), "{said}");
        }
        let (option, name) = command.trim_start_matches("passereau install ").split_once(' ').unwrap();
        fleet.run_command(&["install", option, name, "--database-url", &fleet.database.url]).await.unwrap();
        let (code, said) = as_role(role).await;
        assert_eq!(code, Some(0), "{said}");
    }

    // As after an upgrade that has made tables anew. A role that may not even read whose it is has to be told.
    administrator(format!("REVOKE ALL ON ALL TABLES IN SCHEMA passereau FROM \"{}\"", gateway.name)).await;
    let output = fleet.command(&["check", "--part", "gateway", "--database-url", &gateway.url]).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("UPDATE (last_used_at)"), "{said}");
    let said = fleet.run_command(&["migrate"]).await.unwrap();
    assert!(said.contains(&gateway.name), "{said}");
    let (code, said) = as_role(gateway).await;
    assert_eq!(code, Some(0), "{said}");

    // A part that writes observations, as one with the writer's role does.
    administrator(format!("GRANT INSERT ON gn_synthese.synthese TO \"{}\"", exporter.name)).await;
    let (code, said) = as_role(exporter).await;
    assert!(code == Some(0) && said.contains("may write observations"), "{said}");
    fleet.stop().await.unwrap();
}

/// What only some fields need is granted as well, and to the writer, who plans.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_with_every_field_is_planned_and_delivered_by_the_roles_that_do_so() {
    let (folder, archive) = generated(RECORDS);
    let fleet =
        Fleet::start(FleetConfig { with_flows: true, ..FleetConfig::handing_out(vec![archive]) }).await.unwrap();
    let harvest = fleet.ended(fleet.submit(&request()).await.unwrap(), SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);
    let fields = fleet.run_command(&["flow", "fields", "--json"]).await.unwrap();
    let fields: Vec<serde_json::Value> = serde_json::from_str(&fields).unwrap();
    let further: Vec<&str> =
        fields.iter().filter(|field| field["is_basic"] == false).map(|field| field["name"].as_str().unwrap()).collect();
    let agreement = format!(
        "name = 'all'\nstructure = 'Association'\nformats = ['csv', 'gpkg']\nstatuses = true\nperiod = 'P1D'\nends_on = 2099-12-31\n\
         in_return = 'records'\ntechnical_manager = {{ name = 'Camille', email = 'camille@example.org' }}\n\
         studies = [{{ name = 'Atlas', nature = 'atlas' }}]\nterritory = {{ description = 'everywhere' }}\n\
         licences = {{ allowed = ['CC0-1.0', 'CC-BY-4.0', 'CC-BY-NC-4.0'] }}\n[fields]\nadd = {further:?}\n"
    );
    let file = folder.path().join("all.toml");
    std::fs::write(&file, agreement).unwrap();
    let file = file.to_str().unwrap();
    fleet.run_command(&["flow", "plan", file]).await.unwrap();
    fleet.run_command(&["flow", "apply", file, "--by", "the data manager"]).await.unwrap();
    let (state, reason, rows): (String, Option<String>, i64) = wait_until("the delivery", SOON, async || {
        sqlx::query_as("SELECT state, reason, rows FROM passereau.delivery WHERE finished_at IS NOT NULL")
            .fetch_optional(&fleet.database.pool)
            .await
            .unwrap()
    })
    .await;
    assert!(state == "delivered" && rows > 0, "{state}, {rows} rows: {reason:?}");
    let log = fleet.log("exporter");
    assert!(!log.contains("permission denied"), "{log}");
    fleet.stop().await.unwrap();
}

/// Whoever makes panels sends what statement they like through the data source: the rights are the only limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grafana_sees_how_far_each_harvest_is_and_nothing_else() {
    let database = TestDatabase::migrated().await;
    let grafana = database.worker().await;
    sqlx::raw_sql(AssertSqlSafe(grants(&grafana.name).unwrap())).execute(&database.pool).await.unwrap();

    for sql in dashboards().unwrap().iter().flat_map(Dashboard::panels).filter_map(|panel| panel.sql.as_deref()) {
        allows(&grafana, &[sql]).await;
    }
    refuses(&grafana, FORBIDDEN_TO_ALL).await;
    refuses(
        &grafana,
        &[
            "SELECT key FROM passereau.flow",
            "SELECT request FROM passereau.harvest",
            "UPDATE passereau.harvest SET state = 'failed'",
            "SELECT FROM pinv_gbif.reject",
            "SELECT id_synthese FROM gn_synthese.synthese",
            "SELECT dataset_name FROM gn_meta.t_datasets",
        ],
    )
    .await;
    let readable: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT format('%s.%s.%s', c.relnamespace::regnamespace, c.relname, a.attname)
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace = ANY ($2::text[]::regnamespace[])
           AND has_column_privilege($1, c.oid, a.attnum, 'SELECT')
         ORDER BY 1",
    )
    .bind(&grafana.name)
    .bind(["passereau", "pinv_gbif", "gn_synthese", "gn_meta", "utilisateurs"])
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let columns = ["created_at", "id", "inserted", "rejected", "state", "subscription", "updated", "updated_at"];
    assert_eq!(readable, columns.map(|column| format!("passereau.harvest.{column}")));
}
