//! Sensitivity is never NULL when a slice commits, whatever a platform made of GeoNature's triggers.

use crate::platform::{Platform, Record, code, record};
use passereau_upserter::functions;
use serde_json::json;
use sqlx::types::Uuid;

/// Taxa of the platform: an ordinary one, one with a rule in its department, one that is never shown.
const DISCREET: i32 = 700_002;
const SECRET: i32 = 700_003;

/// As on platforms whose sensitivity comes with the data: the triggers are there and do nothing.
const NO_OP_TRIGGERS: &str = "
    CREATE OR REPLACE FUNCTION gn_synthese.fct_tri_calculate_sensitivity_on_each_statement() RETURNS trigger
        LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE OR REPLACE FUNCTION gn_synthese.fct_tri_update_sensitivity_on_each_row() RETURNS trigger
        LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$";

/// The levels of such a platform; GeoNature's own are frozen.
const LEVELS_OF_ITS_OWN: &str = "
    UPDATE ref_nomenclatures.t_nomenclatures n SET statut = 'Gelé'
    FROM ref_nomenclatures.bib_nomenclatures_types t
    WHERE t.id_type = n.id_type AND t.mnemonique = 'SENSIBILITE' AND n.cd_nomenclature <> '0';
    INSERT INTO ref_nomenclatures.t_nomenclatures (id_type, cd_nomenclature, mnemonique, label_default, label_fr, active)
    SELECT t.id_type, '2.' || n, '2.' || n, '2.' || n, '2.' || n, true
    FROM ref_nomenclatures.bib_nomenclatures_types t, generate_series(1, 8) n WHERE t.mnemonique = 'SENSIBILITE'
      AND NOT EXISTS (SELECT FROM ref_nomenclatures.t_nomenclatures x WHERE x.id_type = t.id_type AND x.cd_nomenclature = '2.' || n)";

/// With rules for the two taxa, the first in its department only.
async fn platform(discreet: &str, secret: &str) -> Platform {
    let platform = Platform::new().await;
    platform.execute(LEVELS_OF_ITS_OWN).await;
    platform
        .execute(
            "INSERT INTO taxonomie.taxref (cd_nom, cd_ref, lb_nom, nom_complet) VALUES
                 (700002, 700002, 'Aus discretus', 'Aus discretus L., 1758'), (700003, 700003, 'Aus secretus', 'Aus secretus L., 1758');
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES
                 ('GBIF', 'x', 700002, '71'), ('GBIF', 'x', 700003, '72')",
        )
        .await;
    passereau_testing::seed_sensitivity(&platform.pool, DISCREET, discreet, &["38"]).await.unwrap();
    passereau_testing::seed_sensitivity(&platform.pool, SECRET, secret, &[]).await.unwrap();
    platform
}

fn discreet(gbif_id: i64) -> Record {
    record(gbif_id).with("taxon_key", json!("71")).with("scientific_name", json!("Aus discretus L., 1758"))
}

fn secret(gbif_id: i64) -> Record {
    record(gbif_id).with("taxon_key", json!("72")).with("scientific_name", json!("Aus secretus L., 1758"))
}

async fn choose(platform: &Platform, choice: Option<&str>) {
    sqlx::query("UPDATE pinv_gbif.setting SET value = $1 WHERE name = 'sensitivity_when_null'")
        .bind(choice)
        .execute(&platform.pool)
        .await
        .unwrap();
}

/// The level of each record, by gbif_id.
async fn levels(platform: &Platform) -> Vec<(String, Option<String>)> {
    sqlx::query_as(
        "SELECT s.entity_source_pk_value, n.cd_nomenclature FROM gn_synthese.synthese s
         LEFT JOIN ref_nomenclatures.t_nomenclatures n ON n.id_nomenclature = s.id_nomenclature_sensitivity
         ORDER BY s.entity_source_pk_value::bigint",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

fn found(levels: &[(String, Option<String>)]) -> Vec<(&str, &str)> {
    levels.iter().map(|(id, level)| (id.as_str(), level.as_deref().unwrap_or("NULL"))).collect()
}

/// The harvest's only slice, which must be refused.
async fn refused(platform: &Platform, harvest: Uuid) -> sqlx::Error {
    assert_eq!(functions::plan(&platform.pool, harvest, 100).await.unwrap().slices, Some(1));
    functions::apply(&platform.pool, harvest, 0).await.unwrap_err()
}

#[tokio::test]
async fn where_geonature_computes_it_nothing_has_to_be_chosen() {
    let platform = platform("2", "4").await;
    let harvest = platform.land("one", &[record(1), discreet(2), secret(3)]).await;
    assert_eq!(platform.run(harvest).await.inserted, 3);
    assert_eq!(found(&levels(&platform).await), [("1", "0"), ("2", "2"), ("3", "4")]);
}

#[tokio::test]
async fn a_level_emptied_with_the_place_is_computed_by_the_real_trigger_and_stays_empty_without_it() {
    let platform = platform("2", "4").await;
    let harvest = platform.land("one", &[discreet(2)]).await;
    platform.run(harvest).await;
    let moved = "UPDATE gn_synthese.synthese SET the_geom_local = the_geom_local, id_nomenclature_sensitivity = NULL";
    platform.execute(moved).await;
    assert_eq!(found(&levels(&platform).await), [("2", "2")]);

    platform.execute(NO_OP_TRIGGERS).await;
    platform.execute(moved).await;
    assert_eq!(found(&levels(&platform).await), [("2", "NULL")]);
    choose(&platform, Some("compute")).await;
    sqlx::query("SELECT passereau.apply_sensitivity($1, 0, 10)").bind(harvest).execute(&platform.pool).await.unwrap();
    assert_eq!(found(&levels(&platform).await), [("2", "2")]);
}

#[tokio::test]
async fn without_a_choice_a_slice_with_an_empty_level_writes_nothing_and_says_what_to_run() {
    let platform = platform("2.4", "2.8").await;
    platform.execute(NO_OP_TRIGGERS).await;
    let harvest = platform.land("one", &[record(11), discreet(12)]).await;
    let error = refused(&platform, harvest).await;
    assert_eq!(code(&error), "PS001");
    let said = error.to_string();
    assert!(said.contains("2 rows") && said.contains("gbif_id 11"), "{said}");
    assert!(said.contains("sensitivity_when_null") && said.contains("passereau dead replay"), "{said}");

    choose(&platform, Some("stop")).await;
    assert_eq!(code(&functions::apply(&platform.pool, harvest, 0).await.unwrap_err()), "PS001");
    assert_eq!(levels(&platform).await, []);
    assert_eq!(platform.count("SELECT count(*) FROM passereau.written").await, 0);

    // Once it is chosen, the same slice enters.
    choose(&platform, Some("compute")).await;
    assert_eq!(functions::apply(&platform.pool, harvest, 0).await.unwrap().inserted, 2);
    assert_eq!(found(&levels(&platform).await), [("11", "0"), ("12", "2.4")]);
}

#[tokio::test]
async fn compute_gives_levels_of_the_platforms_own_and_follows_what_changes() {
    let platform = platform("2.4", "2.8").await;
    platform.execute(NO_OP_TRIGGERS).await;
    choose(&platform, Some("compute")).await;
    let first = platform.land("one", &[record(1), discreet(2), secret(3), discreet(4)]).await;
    platform.run(first).await;
    assert_eq!(found(&levels(&platform).await), [("1", "0"), ("2", "2.4"), ("3", "2.8"), ("4", "2.4")]);

    // The second leaves the department of its rule, the first is named anew, of the fourth something else changes.
    let second = platform
        .land(
            "one",
            &[
                secret(1),
                discreet(2).with("decimal_latitude", json!(45.75)).with("decimal_longitude", json!(4.85)),
                secret(3),
                discreet(4).with("occurrence_remarks", json!("seen again")),
            ],
        )
        .await;
    let counts = platform.run(second).await;
    assert_eq!((counts.updated, counts.unchanged), (3, 1));
    assert_eq!(found(&levels(&platform).await), [("1", "2.8"), ("2", "0"), ("3", "2.8"), ("4", "2.4")]);
}

#[tokio::test]
async fn a_function_of_the_platform_gets_what_geonatures_own_gets() {
    let platform = platform("2.4", "2.8").await;
    platform.execute(NO_OP_TRIGGERS).await;
    // A synonym: the function is asked for the accepted name. It has no answer for observations before 2000.
    platform
        .execute(
            "INSERT INTO taxonomie.taxref (cd_nom, cd_ref, lb_nom, nom_complet) VALUES (700004, 700003, 'Aus arcanus', 'Aus arcanus L., 1758');
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES ('GBIF', 'x', 700004, '73');
             CREATE SCHEMA \"Pôle\";
             CREATE FUNCTION \"Pôle\".\"niveau de l'espèce\"(seen date, cd_ref integer, place geometry, criteria jsonb) RETURNS integer
                 LANGUAGE sql STABLE AS $$
                     SELECT ref_nomenclatures.get_id_nomenclature('SENSIBILITE',
                         CASE WHEN seen < '2000-01-01' THEN NULL
                              WHEN cd_ref = 700003 AND ST_SRID(place) = 2154 AND criteria ? 'STATUT_BIO'
                                   AND criteria ? 'OCC_COMPORTEMENT' THEN '2.7'
                              ELSE '2.1' END) $$",
        )
        .await;
    choose(&platform, Some("\"Pôle\".\"niveau de l'espèce\"")).await;
    let synonym = record(2).with("taxon_key", json!("73")).with("scientific_name", json!("Aus arcanus L., 1758"));
    let harvest = platform.land("one", &[record(1), synonym]).await;
    assert_eq!(platform.run(harvest).await.inserted, 2);
    assert_eq!(found(&levels(&platform).await), [("1", "2.1"), ("2", "2.7")]);

    // A row without a level is not written, whoever was asked for it.
    let old = record(3).with("date_start", json!("1999-05-01T00:00:00")).with("event_date", json!("1999-05-01"));
    let harvest = platform.land("two", &[old, record(4)]).await;
    let error = refused(&platform, harvest).await;
    assert_eq!(code(&error), "PS001");
    assert!(error.to_string().contains("1 rows") && error.to_string().contains("gbif_id 3"), "{error}");
    assert_eq!(levels(&platform).await.len(), 2);
}

#[tokio::test]
async fn a_choice_that_is_no_such_function_writes_nothing_and_runs_nothing() {
    let platform = platform("2.4", "2.8").await;
    platform.execute(NO_OP_TRIGGERS).await;
    platform
        .execute("CREATE FUNCTION public.of_text(date, integer, geometry, jsonb) RETURNS text LANGUAGE sql AS $$ SELECT '0' $$")
        .await;
    let harvest = platform.land("one", &[record(1)]).await;
    let choices = [
        "Compute",
        "gn_sensitivity.no_such_function",
        "get_id_nomenclature_sensitivity",
        "public.of_text",
        "pg_catalog.now",
        "gn_sensitivity.get_id_nomenclature_sensitivity(NULL, 1, NULL, NULL); DROP TABLE passereau.written CASCADE; --",
        "\"unfinished",
    ];
    assert_eq!(functions::plan(&platform.pool, harvest, 100).await.unwrap().slices, Some(1));
    for choice in choices {
        choose(&platform, Some(choice)).await;
        let error = functions::apply(&platform.pool, harvest, 0).await.unwrap_err();
        assert_eq!(code(&error), "PS001", "{choice}: {error}");
        let said = error.to_string();
        assert!(said.contains("sensitivity_when_null") && said.contains(choice), "{said}");
    }
    assert_eq!(levels(&platform).await, []);
    assert_eq!(platform.count("SELECT count(*) FROM passereau.written").await, 0);
}
