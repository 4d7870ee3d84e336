//! Detection and installation against a GeoNature-shaped database.

use passereau_geonature::{GeoNatureError, Part, SOURCE_URL, Wanted, check, detect, grant_parts, install, script};
use passereau_testing::{TestDatabase, Variant};

use crate::worker::{Worker, execute};

#[tokio::test]
async fn a_fresh_geonature_is_recognised_and_what_it_lacks_is_named() {
    let database = TestDatabase::geonature().await;
    let detected = detect(&database.pool).await.expect("detected");
    let catalogue = &detected.catalogue;
    assert_eq!(catalogue.version, "2.17.0");
    assert_eq!(catalogue.synthese_columns.len(), 64);
    assert!(catalogue.triggers.len() == 6 && catalogue.triggers.iter().all(|trigger| trigger.enabled));
    assert!(catalogue.has("taxonomie.taxref_liens") && detected.gbif_links > Some(100));
    assert!(!catalogue.has_links_index && !catalogue.has_sensitivity_index && !catalogue.has_media_index);
    assert_eq!(catalogue.sequences["gn_synthese.synthese"], "gn_synthese.synthese_id_synthese_seq");
    assert_eq!(detected.upsert_index(), None);
    assert_eq!(detected.has_location, Some(false));
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
    let once = install(pool, &Wanted::default()).await.expect("installed");
    once.ready().expect("ready");
    assert!(once.upsert_index().expect("index").partial);
    assert!(once.catalogue.has_links_index && once.catalogue.has_sensitivity_index && !once.catalogue.has_media_index);
    assert_eq!(once.has_location, Some(true));
    assert_eq!(once.source.as_ref().and_then(|source| source.url.as_deref()), Some(SOURCE_URL));
    assert_eq!(install(pool, &Wanted::default()).await.expect("again"), once);
    assert!(script(&once, &Wanted::default()).contains("Nothing is missing"));
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
    assert_eq!(detect(pool).await.expect("detected").upsert_index(), None);
    execute(
        pool,
        "CREATE UNIQUE INDEX uidx_synthese_id_source_id_entity_source_pk_value
             ON gn_synthese.synthese (id_source, entity_source_pk_value)",
    )
    .await;
    let installed = install(pool, &Wanted::default()).await.expect("installed");
    let index = installed.upsert_index().expect("index");
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
    let error = install(pool, &Wanted::default()).await.expect_err("refused");
    assert!(matches!(error, GeoNatureError::Install { .. }), "{error}");
    assert!(error.to_string().contains("passereau install"), "{error}");
    // The refused statement has left an invalid index; the next run removes it.
    execute(pool, "DELETE FROM gn_synthese.synthese WHERE id_source = (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = 'GBIF') AND id_synthese = (SELECT max(id_synthese) FROM gn_synthese.synthese s JOIN gn_synthese.t_sources t USING (id_source) WHERE t.name_source = 'GBIF')").await;
    assert_eq!(detect(pool).await.expect("detected").upsert_index(), None);
    install(pool, &Wanted::default()).await.expect("installed").ready().expect("ready");
}

#[tokio::test]
async fn rights_are_granted_to_a_role_that_exists() {
    let database = TestDatabase::geonature().await;
    let administrator: String =
        sqlx::query_scalar("SELECT current_user").fetch_one(&database.pool).await.expect("role");
    let (nobody, somebody) = (Some("nobody-of-this-name".to_owned()), Some(administrator));
    for (option, wanted) in [
        ("--role", Wanted { role: nobody.clone(), ..Wanted::default() }),
        ("--state-role", Wanted { role: somebody.clone(), state_role: nobody.clone(), ..Wanted::default() }),
        ("--reader", Wanted { role: somebody.clone(), reader: nobody.clone(), ..Wanted::default() }),
        ("--exporter-role", Wanted { role: somebody.clone(), exporter_role: nobody.clone(), ..Wanted::default() }),
        ("--gateway-role", Wanted { role: somebody, gateway_role: nobody, ..Wanted::default() }),
    ] {
        let missing = install(&database.pool, &wanted).await.expect_err("refused");
        assert!(matches!(missing, GeoNatureError::NoRole { .. }), "{missing}");
        assert!(missing.to_string().contains(&format!("which {option} names")), "{missing}");
    }
}

/// The installation comes before the first migration: what it cannot grant yet, the migration does, whoever ran it and however.
#[tokio::test]
async fn exporter_and_gateway_get_our_tables_from_the_migration_that_makes_them() {
    let database = TestDatabase::geonature().await;
    let roles = database.roles().await;
    let parts = Wanted {
        exporter_role: Some(roles.exporter.name.clone()),
        gateway_role: Some(roles.gateway.name.clone()),
        ..Wanted::default()
    };
    let nobody = install(&database.pool, &parts).await.expect_err("nobody would own the schemas");
    assert!(matches!(nobody, GeoNatureError::NoOwner { option: "--exporter-role" }), "{nobody}");
    let wanted = Wanted { role: Some(roles.writer.name.clone()), state_role: Some(roles.state.name.clone()), ..parts };
    let detected = detect(&database.pool).await.expect("detected");
    for _ in 0..2 {
        psql(&database.url, &script(&detected, &wanted));
    }
    let owner = sqlx::PgPool::connect(&roles.state.url).await.expect("owner");
    passereau_database::migrate(&owner).await.expect("migrated");
    let granted = grant_parts(&owner).await.expect("granted");
    let expected = [(Part::Exporter, roles.exporter.name.clone()), (Part::Gateway, roles.gateway.name.clone())];
    assert_eq!(granted, expected);
    for (part, role) in [(Part::Exporter, &roles.exporter), (Part::Gateway, &roles.gateway)] {
        let pool = sqlx::PgPool::connect(&role.url).await.expect("part");
        let survey = check::survey_parts(&pool, None).await.expect("surveyed");
        assert!(survey.is_part && survey.not_migrated.is_none(), "{survey:?}");
        let [found] = survey.roles.as_slice() else { panic!("{survey:?}") };
        assert!(found.part == part && !found.writes && found.rights.iter().all(|right| right.held), "{found:?}");
    }
    // A role that was dropped is granted nothing, and stops nobody.
    execute(&database.pool, format!("DROP OWNED BY \"{0}\"; DROP ROLE \"{0}\"", roles.gateway.name)).await;
    assert_eq!(grant_parts(&owner).await.expect("granted").len(), 1);
}

fn psql(url: &str, script: &str) {
    let mut psql = std::process::Command::new("psql")
        .args(["--no-psqlrc", "--quiet", url])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("psql (`make setup` installs it)");
    std::io::Write::write_all(&mut psql.stdin.take().expect("input"), script.as_bytes()).expect("script");
    assert!(psql.wait().expect("end").success(), "{script}");
}

/// Somebody who manages data asks for the script and gives it to somebody who administers the database.
#[tokio::test]
async fn the_script_that_a_role_without_rights_prints_does_what_the_installation_does_and_can_be_run_twice() {
    let worker = Worker::without_rights(Variant::V2_17).await;
    let wanted = Wanted { role: Some(worker.role.clone()), metadata: true, media: true, ..Wanted::default() };
    let detected = detect(&worker.pool().await).await.expect("detected");
    assert_eq!((detected.gbif_links, detected.has_location), (None, None));
    let script = script(&detected, &wanted);
    for _ in 0..2 {
        psql(&worker.database.url, &script);
    }
    let pool = &worker.database.pool;
    let scripted = detect(pool).await.expect("detected");
    scripted.ready().expect("ready");
    assert!(scripted.catalogue.has_media_index);
    assert_eq!(install(pool, &wanted).await.expect("installed"), scripted);
    passereau_database::migrate(&worker.pool().await).await.expect("migrated");
    let findings = worker.findings().await;
    assert!(check::worst(&findings) <= check::Severity::Note, "{findings:#?}");
}

#[tokio::test]
async fn the_script_builds_an_unfinished_index_again() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    install(pool, &Wanted::default()).await.expect("installed");
    // What an interrupted CREATE INDEX CONCURRENTLY leaves behind.
    execute(pool, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'gn_synthese.passereau_uidx_synthese_gbif'::regclass").await;
    let detected = detect(pool).await.expect("detected");
    assert_eq!(detected.upsert_index(), None);
    psql(&database.url, &script(&detected, &Wanted::default()));
    detect(pool).await.expect("detected").ready().expect("ready");
}

#[tokio::test]
async fn the_script_leaves_another_address_of_the_source_and_says_so() {
    let database = TestDatabase::geonature().await;
    execute(
        &database.pool,
        "INSERT INTO gn_synthese.t_sources (name_source, url_source) VALUES ('GBIF', 'https://gbif.org')",
    )
    .await;
    let script = script(&detect(&database.pool).await.expect("detected"), &Wanted::default());
    let change = format!("UPDATE gn_synthese.t_sources SET url_source = '{SOURCE_URL}'");
    assert!(script.contains(&format!("-- {change}")) && !script.contains(&format!("\n{change}")), "{script}");
}

#[tokio::test]
async fn what_is_not_wanted_is_not_granted() {
    let database = TestDatabase::geonature().await;
    let detected = detect(&database.pool).await.expect("detected");
    let wanted = Wanted { role: Some("worker".into()), ..Wanted::default() };
    let least = script(&detected, &wanted);
    for table in
        ["t_medias", "t_history_actions", "cor_dataset_actor", "utilisateurs.t_roles", "t_acquisition_frameworks"]
    {
        assert!(!least.contains(table), "{table}: {least}");
    }
    let metadata = script(&detected, &Wanted { metadata: true, ..wanted.clone() });
    assert!(metadata.contains("GRANT SELECT (id_role), SELECT (groupe) ON TABLE utilisateurs.t_roles"), "{metadata}");
    let media = script(&detected, &Wanted { media: true, ..wanted.clone() });
    assert!(
        media.contains("gn_commons.t_medias (uuid_attached_row)") && !media.contains("cor_dataset_actor"),
        "{media}"
    );
    let quoted = script(&detected, &Wanted { role: Some("o\"dd".into()), ..wanted });
    assert!(quoted.contains("TO \"o\"\"dd\";"), "{quoted}");
}
