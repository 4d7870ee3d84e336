//! Detection and installation against a GeoNature-shaped database.

use passereau_geonature::{GeoNatureError, SOURCE_URL, detect, install, script};
use passereau_testing::TestDatabase;
use sqlx::PgPool;

async fn execute(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.expect("statement");
}

#[tokio::test]
async fn a_fresh_geonature_is_recognised_and_what_it_lacks_is_named() {
    let database = TestDatabase::geonature().await;
    let detected = detect(&database.pool).await.expect("detected");
    assert_eq!(detected.version, "2.17.0");
    assert_eq!(detected.srid, 2154);
    assert_eq!(detected.synthese_columns.len(), 64);
    assert_eq!(detected.taxref_version, Some(18));
    assert_eq!(detected.triggers.len(), 6);
    assert!(detected.has_taxref_liens && detected.gbif_links > 100);
    assert!(!detected.has_links_index && !detected.has_sensitivity_index);
    assert_eq!(detected.upsert_index, None);
    let error = detected.ready().expect_err("not ready");
    assert!(matches!(error, GeoNatureError::NoSource));
    assert!(error.to_string().contains("passereau install"), "{error}");
}

#[tokio::test]
async fn a_database_without_geonature_is_refused() {
    let database = TestDatabase::geonature().await;
    execute(&database.pool, "ALTER SCHEMA gn_meta RENAME TO somewhere_else").await;
    let error = detect(&database.pool).await.expect_err("refused");
    assert!(matches!(error, GeoNatureError::NotGeoNature { table: "gn_meta.t_datasets" }), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn installing_twice_changes_nothing_the_second_time() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    let once = install(pool, None).await.expect("installed");
    once.ready().expect("ready");
    let index = once.upsert_index.clone().expect("index");
    assert!(index.partial && once.has_links_index && once.has_sensitivity_index);
    let url: String = sqlx::query_scalar("SELECT url_source FROM gn_synthese.t_sources WHERE name_source = 'GBIF'")
        .fetch_one(pool)
        .await
        .expect("source");
    assert_eq!(url, SOURCE_URL);
    assert_eq!(install(pool, None).await.expect("again"), once);
    assert!(script(&once, None).contains("Nothing is missing"));
    // The index serves an insertion whose predicate is a literal.
    let source = once.source().expect("source");
    let sql = format!(
        "INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, nom_cite, date_min, date_max)
         VALUES ({source}, '1', 'cité', now(), now())
         ON CONFLICT (id_source, entity_source_pk_value) WHERE id_source = {source} DO NOTHING"
    );
    let mut written = 0;
    for _ in 0..2 {
        written += sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(pool).await.expect("insert").rows_affected();
    }
    assert_eq!(written, 1);
}

#[tokio::test]
async fn an_index_of_another_name_is_found_and_an_index_of_another_source_is_not() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    execute(
        pool,
        "CREATE UNIQUE INDEX other ON gn_synthese.synthese (id_source, entity_source_pk_value) WHERE id_source = 1",
    )
    .await;
    assert_eq!(detect(pool).await.expect("detected").upsert_index, None);
    execute(
        pool,
        "CREATE UNIQUE INDEX uidx_synthese_id_source_id_entity_source_pk_value
             ON gn_synthese.synthese (id_source, entity_source_pk_value)",
    )
    .await;
    let installed = install(pool, None).await.expect("installed");
    let index = installed.upsert_index.expect("index");
    assert!(!index.partial && index.name.ends_with("uidx_synthese_id_source_id_entity_source_pk_value"), "{index:?}");
    let ours: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relname = $1")
        .bind(install::UPSERT_INDEX)
        .fetch_one(pool)
        .await
        .expect("count");
    assert_eq!(ours, 0);
}

#[tokio::test]
async fn duplicates_of_people_do_not_stop_the_installation_ours_do() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    execute(
        pool,
        "INSERT INTO gn_synthese.t_sources (name_source) VALUES ('GBIF');
         INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, nom_cite, date_min, date_max)
         SELECT id_source, 'twice', 'cité', now(), now() FROM gn_synthese.t_sources, generate_series(1, 2) WHERE name_source IN ('GBIF', 'Import')",
    )
    .await;
    let error = install(pool, None).await.expect_err("refused");
    assert!(matches!(error, GeoNatureError::Install { .. }), "{error}");
    assert!(error.to_string().contains("passereau install"), "{error}");
    // The refused statement has left an invalid index; the next run removes it.
    execute(pool, "DELETE FROM gn_synthese.synthese WHERE id_source = (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = 'GBIF') AND id_synthese = (SELECT max(id_synthese) FROM gn_synthese.synthese s JOIN gn_synthese.t_sources t USING (id_source) WHERE t.name_source = 'GBIF')").await;
    assert_eq!(detect(pool).await.expect("detected").upsert_index, None);
    install(pool, None).await.expect("installed").ready().expect("ready");
}

#[tokio::test]
async fn a_role_with_the_granted_rights_can_write_an_observation() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(pool).await.expect("name");
    // Roles belong to the server: one of this test's own, with a name that needs quoting.
    let role = format!("worker-{name}");
    let make = format!("CREATE ROLE \"{role}\"");
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(pool).await.expect("role");
    let missing = install(pool, Some("nobody-of-this-name")).await.expect_err("refused");
    assert!(matches!(missing, GeoNatureError::NoRole { .. }));
    let written = async {
        install(pool, Some(&role)).await?;
        let mut connection = pool.acquire().await.expect("connection");
        let mut tx = sqlx::Connection::begin(&mut *connection).await.expect("begin");
        let sql = format!(
            "SET LOCAL ROLE \"{role}\";
             CREATE SCHEMA passereau;
             INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, id_dataset, cd_nom, nom_cite, date_min, date_max,
                                               the_geom_4326, the_geom_point, the_geom_local)
             SELECT id_source, '1', (SELECT min(id_dataset) FROM gn_meta.t_datasets), (SELECT min(cd_nom) FROM taxonomie.taxref_liens),
                    'cité', now(), now(), p, p, ST_Transform(p, 2154)
               FROM gn_synthese.t_sources, ST_SetSRID(ST_MakePoint(5.1, 45.1), 4326) p WHERE name_source = 'GBIF';
             UPDATE gn_synthese.synthese SET the_geom_local = the_geom_local, date_max = now();
             DELETE FROM gn_synthese.synthese;"
        );
        let outcome = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await;
        tx.rollback().await.expect("rollback");
        outcome.map_err(|source| GeoNatureError::Read { doing: "writing as the role", source })
    }
    .await;
    let clean = format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"");
    sqlx::raw_sql(sqlx::AssertSqlSafe(clean)).execute(pool).await.expect("clean");
    written.expect("a worker's rights suffice");
}

#[tokio::test]
async fn the_printed_script_does_what_the_installation_does() {
    let database = TestDatabase::geonature().await;
    let detected = detect(&database.pool).await.expect("detected");
    let mut psql = std::process::Command::new("psql")
        .args(["--no-psqlrc", "--quiet", &database.url])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("psql (`make setup` installs it)");
    std::io::Write::write_all(&mut psql.stdin.take().expect("input"), script(&detected, None).as_bytes())
        .expect("script");
    assert!(psql.wait().expect("end").success());
    detect(&database.pool).await.expect("detected").ready().expect("ready");
}
