//! What the roles of the database may do, and what they are refused. The harvests of the other tests show that it suffices.

use passereau_harvest::State;
use passereau_testing::WorkerRole;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::prepared::{SOON, fleet, generated, request};

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
    for role in [state, writer, reader] {
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
