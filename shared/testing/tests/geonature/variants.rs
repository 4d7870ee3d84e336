//! What Passereau makes of the GeoNature versions in use, and of one whose administrators have replaced its functions.

use passereau_geonature::{GeoNatureError, Wanted, detect, install};
use passereau_testing::{TestDatabase, Variant};
use sqlx::PgPool;

use crate::{count, insert_points};

#[tokio::test]
async fn each_version_is_recognised() {
    for (variant, version) in [
        (Variant::V2_12, "2.12.0"),
        (Variant::V2_14, "2.14.0"),
        (Variant::V2_16, "2.16.0"),
        (Variant::V2_17, "2.17.0"),
        (Variant::NoOpSensitivity, "2.17.0"),
    ] {
        let database = TestDatabase::variant(variant).await;
        let detected = detect(&database.pool).await.expect("a GeoNature");
        assert_eq!(detected.catalogue.version, version, "{variant:?}");
        let linked = !matches!(variant, Variant::V2_12 | Variant::V2_14);
        assert_eq!(detected.gbif_links.is_some_and(|links| links > 0), linked, "{variant:?}");
    }
}

/// The rows, areas and dates of a writer's observation do not depend on the version.
#[tokio::test]
async fn an_observation_can_be_written_into_each_version() {
    for variant in [Variant::V2_12, Variant::V2_14, Variant::V2_16] {
        let database = TestDatabase::variant(variant).await;
        let pool = &database.pool;
        insert_points(pool, 100).await;
        assert_eq!(count(pool, "SELECT count(*) FROM gn_synthese.v_synthese_for_web_app").await, 100, "{variant:?}");
        let blind = "SELECT count(*) FROM gn_synthese.synthese WHERE id_nomenclature_sensitivity IS NULL OR NOT EXISTS
                         (SELECT FROM gn_synthese.cor_area_synthese c WHERE c.id_synthese = synthese.id_synthese)";
        assert_eq!(count(pool, blind).await, 0, "{variant:?}");
    }
}

#[tokio::test]
async fn a_geonature_without_links_to_gbif_is_told_to_be_upgraded() {
    for variant in [Variant::V2_12, Variant::V2_14] {
        let database = TestDatabase::variant(variant).await;
        let pool = &database.pool;
        // The installation does what it can, so that nothing is left to do after the upgrade; then it says what is missing.
        let detected = install(pool, &Wanted::default()).await.expect("installed");
        let error = detected.ready().expect_err("not ready");
        assert!(matches!(error, GeoNatureError::TooOld { missing: "taxonomie.taxref_liens", .. }), "{variant:?}");
        assert!(error.to_string().contains("upgrade GeoNature"), "{error}");

        // And a harvest that is tried all the same ends with words, not with a relation that does not exist.
        passereau_database::migrate(pool).await.expect("migrated");
        let error = sqlx::query("SELECT passereau.destination()").execute(pool).await.expect_err("refused");
        let error = error.into_database_error().expect("PostgreSQL's answer");
        assert_eq!(error.code().as_deref(), Some("PS001"), "{variant:?}");
        assert!(error.message().contains("taxonomie.taxref_liens"), "{}", error.message());
    }
}

#[tokio::test]
async fn where_the_sensitivity_functions_do_nothing_a_new_row_has_no_sensitivity() {
    let database = TestDatabase::variant(Variant::NoOpSensitivity).await;
    let pool = &database.pool;
    insert_points(pool, 100).await;
    let unknown = "SELECT count(*) FROM gn_synthese.synthese WHERE id_nomenclature_sensitivity IS NULL";
    assert_eq!(count(pool, unknown).await, 100, "present is not active");
    let triggers = detect(pool).await.expect("a GeoNature").catalogue.triggers;
    assert_eq!(triggers.iter().filter(|trigger| trigger.enabled).count(), 6, "the triggers fire all the same");

    // What the writer says stays, even when taxon and place change.
    sqlx::query(
        "UPDATE gn_synthese.synthese
            SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '2.8'),
                cd_nom = cd_nom, the_geom_local = the_geom_local, date_min = date_min",
    )
    .execute(pool)
    .await
    .expect("update");
    assert_eq!(count(pool, unknown).await, 0);

    // GeoNature's function still answers whoever calls it, in this platform's levels.
    let levels: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT ref_nomenclatures.get_cd_nomenclature(gn_sensitivity.get_id_nomenclature_sensitivity(
                    now()::date, rule.cd_ref, area.geom, '{}'))
           FROM gn_sensitivity.t_sensitivity_rules_cd_ref rule
           JOIN gn_sensitivity.cor_sensitivity_area USING (id_sensitivity)
           JOIN ref_geo.l_areas area USING (id_area)
          ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .expect("levels");
    assert_eq!(levels, ["2.3", "2.4", "2.6", "2.8"]);
}

#[tokio::test]
async fn a_worker_works_on_a_geonature_that_belongs_to_others() {
    let database = TestDatabase::variant(Variant::NoOpSensitivity).await;
    let owners = "SELECT count(*) FROM pg_class c
                   WHERE relnamespace::regnamespace::text ~ '^(gn_|ref_|taxonomie|utilisateurs)'
                     AND relowner::regrole::text <> 'geonatadmin'";
    assert_eq!(count(&database.pool, owners).await, 0);

    let worker = database.worker().await;
    let pool = PgPool::connect(&worker.url).await.expect("the role may connect");
    let refused = sqlx::query("SELECT FROM gn_synthese.synthese").execute(&pool).await.expect_err("no right yet");
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("42501"));

    let wanted = Wanted { role: Some(worker.name.clone()), ..Wanted::default() };
    install(&database.pool, &wanted).await.expect("installed");
    passereau_database::migrate(&pool).await.expect("the role makes schemas of its own");
    insert_points(&pool, 100).await;
    sqlx::query("UPDATE gn_synthese.synthese SET the_geom_local = the_geom_local")
        .execute(&pool)
        .await
        .expect("update");
    sqlx::query("DELETE FROM gn_synthese.synthese").execute(&pool).await.expect("delete");
    for ddl in [
        "ALTER TABLE gn_synthese.synthese DISABLE TRIGGER ALL",
        "CREATE INDEX ON gn_synthese.synthese (nom_cite)",
        "CREATE TABLE gn_synthese.mine ()",
        "REFRESH MATERIALIZED VIEW gn_sensitivity.t_sensitivity_rules_cd_ref",
    ] {
        let refused = sqlx::query(ddl).execute(&pool).await.expect_err(ddl);
        assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("42501"), "{ddl}");
    }
    pool.close().await;

    let name = worker.name;
    drop(database);
    let admin = PgPool::connect(&passereau_testing::database_url()).await.expect("server");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_roles WHERE rolname = $1")
        .bind(&name)
        .fetch_one(&admin)
        .await
        .expect("count");
    assert_eq!(left, 0, "the role goes with its database");
}
