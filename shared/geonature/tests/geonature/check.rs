//! What `passereau check` says of databases in one state or another.

use std::{collections::BTreeSet, fs, path::Path};

use passereau_geonature::{
    SOURCE_URL, Wanted,
    check::{Finding, Severity, findings, not_surveyed, survey, worst},
    detect, install,
};
use passereau_testing::{TestDatabase, Variant};
use sqlx::PgPool;

use crate::worker::{Worker, execute};

/// What is said about one thing; there must be exactly one finding that is no ok.
#[track_caller]
fn told(findings: &[Finding], about: &str) -> Finding {
    let told: Vec<&Finding> =
        findings.iter().filter(|finding| finding.about == about && finding.severity > Severity::Ok).collect();
    let [finding] = told.as_slice() else { panic!("not one finding about {about}: {findings:#?}") };
    (*finding).clone()
}

async fn found(pool: &PgPool) -> Vec<Finding> {
    findings(&survey(pool).await.expect("surveyed"))
}

/// An installed and migrated database, and its findings before and after a change.
async fn after(change: &str) -> (TestDatabase, Vec<Finding>) {
    let database = TestDatabase::migrated().await;
    install(&database.pool, &Wanted::default()).await.expect("installed");
    execute(&database.pool, change).await;
    let findings = found(&database.pool).await;
    (database, findings)
}

async fn count(pool: &PgPool, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.expect("count")
}

#[tokio::test]
async fn before_the_installation_every_lack_is_told_with_its_cure() {
    let database = TestDatabase::geonature().await;
    let findings = found(&database.pool).await;
    assert_eq!(worst(&findings), Severity::Error);
    assert_eq!(told(&findings, "source").run.as_deref(), Some("passereau install"));
    assert_eq!(told(&findings, "schemas").run.as_deref(), Some("passereau migrate"));
    assert_eq!(told(&findings, "links_index").severity, Severity::Warning);
    assert_eq!(told(&findings, "sensitivity_index").severity, Severity::Warning);
    // The observation was tried all the same, and nothing of it is left.
    assert!(findings.iter().any(|finding| finding.about == "probe" && finding.severity == Severity::Ok));
    assert_eq!(count(&database.pool, "gn_synthese.synthese").await, 0);
    for finding in &findings {
        assert!(finding.severity <= Severity::Note || finding.run.is_some(), "{finding:?}");
        assert!(finding.severity == Severity::Ok || finding.why.is_some(), "{finding:?}");
    }
}

#[tokio::test]
async fn after_installing_and_migrating_there_is_nothing_to_do() {
    let (_database, findings) = after("").await;
    assert!(worst(&findings) <= Severity::Note, "{findings:#?}");
    assert_eq!(told(&findings, "default_taxref").severity, Severity::Note);
    assert!(told(&findings, "rights").found.contains("superuser"));
}

#[tokio::test]
async fn the_workers_role_is_clean_with_what_the_installation_granted_and_leaves_no_trace() {
    let worker = Worker::installed(Variant::V2_17, Wanted::default()).await;
    let findings = worker.findings().await;
    assert!(worst(&findings) <= Severity::Note, "{findings:#?}");
    let about = |about| findings.iter().find(|finding| finding.about == about).expect("finding");
    assert_eq!(about("rights").severity, Severity::Ok);
    assert_eq!(about("probe").severity, Severity::Ok);
    assert!(about("sensitivity").found.contains("for a sensitive taxon"), "{:?}", about("sensitivity"));
    for table in ["gn_synthese.synthese", "gn_synthese.cor_area_synthese", "gn_synthese.t_log_synthese"] {
        assert_eq!(count(&worker.database.pool, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_role_without_any_right_is_told_every_right_and_nothing_is_aborted() {
    let worker = Worker::without_rights(Variant::V2_17).await;
    let survey = worker.survey().await;
    let findings = findings(&survey);
    let named = findings.iter().filter(|finding| finding.about == "rights" && finding.severity == Severity::Error);
    assert_eq!(named.count(), survey.rights.len());
    assert_eq!(told(&findings, "schemas").run.as_deref(), Some("passereau migrate"));
    // Running what was printed is enough.
    let grants: Vec<String> =
        findings.iter().filter(|finding| finding.about == "rights").filter_map(|finding| finding.run.clone()).collect();
    worker.execute(grants.join("\n")).await;
    let findings = worker.findings().await;
    assert!(
        !findings.iter().any(|finding| finding.about == "rights" && finding.severity > Severity::Ok),
        "{findings:#?}"
    );
}

#[tokio::test]
async fn a_function_that_the_role_may_not_call_is_told_with_its_grant() {
    let worker = Worker::installed(Variant::V2_17, Wanted::default()).await;
    worker.execute("REVOKE EXECUTE ON FUNCTION taxonomie.find_cdref(integer) FROM PUBLIC").await;
    let findings = worker.findings().await;
    let told =
        findings.iter().find(|finding| finding.about == "probe" && finding.severity == Severity::Error).expect("told");
    let run = told.run.clone().expect("a cure");
    assert!(run.contains("GRANT EXECUTE ON FUNCTION taxonomie.find_cdref(integer)"), "{told:?}");
    worker.execute(run).await;
    assert!(worst(&worker.findings().await) <= Severity::Note);
}

#[tokio::test]
async fn a_role_that_does_not_find_postgis_is_told_its_search_path() {
    let worker = Worker::installed(Variant::V2_17, Wanted::default()).await;
    worker.execute(format!("ALTER ROLE \"{}\" SET search_path = pinv_gbif", worker.role)).await;
    let findings = worker.findings().await;
    let told = told(&findings, "search_path");
    assert_eq!(told.severity, Severity::Error);
    worker.execute(told.run.expect("a cure")).await;
    assert!(worst(&worker.findings().await) <= Severity::Note);
}

#[tokio::test]
async fn media_and_metadata_are_examined_where_a_subscription_wants_them() {
    let worker = Worker::installed(Variant::V2_17, Wanted::default()).await;
    worker
        .execute(
            "DELETE FROM gn_commons.bib_tables_location WHERE schema_name = 'gn_synthese';
             INSERT INTO passereau.subscription (name, request, settings) VALUES
                 ('with-media', '{}', '{\"media\": true}'), ('with-metadata', '{}', '{\"metadata\": \"create\"}')",
        )
        .await;
    let findings = worker.findings().await;
    assert!(told(&findings, "framework").why.expect("why").contains("with-metadata"));
    assert_eq!(told(&findings, "media_index").severity, Severity::Warning);
    let rights: Vec<&Finding> =
        findings.iter().filter(|finding| finding.about == "rights" && finding.severity == Severity::Error).collect();
    for name in ["gn_commons.t_history_actions", "gn_meta.cor_dataset_actor", "utilisateurs.t_roles"] {
        assert!(rights.iter().any(|finding| finding.found.contains(name)), "{name}: {rights:#?}");
    }
    // The location is not seen without its right: it is told once the rights are there.
    let wanted = Wanted { role: Some(worker.role.clone()), metadata: true, media: true, ..Wanted::default() };
    install(&worker.database.pool, &wanted).await.expect("installed");
    worker.execute("DELETE FROM gn_commons.bib_tables_location WHERE schema_name = 'gn_synthese'").await;
    worker
        .execute("UPDATE pinv_gbif.setting SET value = gen_random_uuid()::text WHERE name = 'acquisition_framework'")
        .await;
    let findings = worker.findings().await;
    assert_eq!(told(&findings, "media").severity, Severity::Error);
    assert!(told(&findings, "framework").found.contains("does not know"));
    install(&worker.database.pool, &wanted).await.expect("installed");
    worker
        .execute(
            "UPDATE pinv_gbif.setting SET value = '00000000-0000-4000-8000-000000000021' WHERE name = 'acquisition_framework'",
        )
        .await;
    let findings = worker.findings().await;
    assert!(worst(&findings) <= Severity::Note, "{findings:#?}");
    for table in ["gn_commons.t_medias", "gn_commons.t_history_actions"] {
        assert_eq!(count(&worker.database.pool, table).await, 0, "{table}");
    }
}

/// As a platform does whose sensitivity comes with its data.
const NO_SENSITIVITY: &str = "
    CREATE OR REPLACE FUNCTION gn_synthese.fct_tri_calculate_sensitivity_on_each_statement() RETURNS trigger
        LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE OR REPLACE FUNCTION gn_synthese.fct_tri_update_sensitivity_on_each_row() RETURNS trigger
        LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';";

#[tokio::test]
async fn where_triggers_leave_the_sensitivity_empty_a_choice_is_demanded() {
    let (database, findings) = after(NO_SENSITIVITY).await;
    let demanded = told(&findings, "sensitivity");
    assert_eq!(demanded.severity, Severity::Error);
    assert!(demanded.found.contains("not chosen"), "{demanded:?}");
    assert!(demanded.run.expect("a cure").contains("UPDATE pinv_gbif.setting SET value = 'compute'"));
    let choose =
        |value: &str| format!("UPDATE pinv_gbif.setting SET value = '{value}' WHERE name = 'sensitivity_when_null'");

    execute(&database.pool, choose("stop")).await;
    assert_eq!(told(&found(&database.pool).await, "sensitivity").severity, Severity::Error);

    execute(&database.pool, choose("compute")).await;
    assert!(worst(&found(&database.pool).await) <= Severity::Note);

    for wrong in ["nowhere.nothing", "taxonomie.find_cdref", "gn_sensitivity"] {
        execute(&database.pool, choose(wrong)).await;
        let findings = found(&database.pool).await;
        let told = told(&findings, "sensitivity_when_null");
        assert!(told.severity == Severity::Error && told.found.contains(wrong), "{told:?}");
    }

    execute(&database.pool, choose("pinv_gbif.level")).await;
    execute(
        &database.pool,
        "CREATE FUNCTION pinv_gbif.level(date, integer, geometry, jsonb) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    )
    .await;
    assert!(worst(&found(&database.pool).await) <= Severity::Note);
}

#[tokio::test]
async fn computing_is_no_choice_where_the_function_gives_nothing_either() {
    let (database, _) = after(NO_SENSITIVITY).await;
    execute(
        &database.pool,
        "CREATE OR REPLACE FUNCTION gn_sensitivity.get_id_nomenclature_sensitivity(
             my_date_obs date, my_cd_ref integer, my_geom geometry, my_criterias jsonb) RETURNS integer
             LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         UPDATE pinv_gbif.setting SET value = 'compute' WHERE name = 'sensitivity_when_null'",
    )
    .await;
    let told = told(&found(&database.pool).await, "sensitivity");
    assert!(told.severity == Severity::Error && told.found.contains("compute"), "{told:?}");
}

#[tokio::test]
async fn triggers_that_forget_the_sensitivity_of_a_changed_observation_are_noticed() {
    let (_database, findings) = after(
        "CREATE OR REPLACE FUNCTION gn_synthese.fct_tri_update_sensitivity_on_each_row() RETURNS trigger
             LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    )
    .await;
    let told = told(&findings, "sensitivity");
    assert!(told.severity == Severity::Error && told.found.starts_with("changing"), "{told:?}");
}

#[tokio::test]
async fn triggers_that_take_a_sensitive_taxon_for_an_ordinary_one_are_noticed() {
    let (_database, findings) = after(
        "CREATE OR REPLACE FUNCTION gn_sensitivity.get_id_nomenclature_sensitivity(
             my_date_obs date, my_cd_ref integer, my_geom geometry, my_criterias jsonb) RETURNS integer
             LANGUAGE sql AS $$ SELECT ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '0') $$",
    )
    .await;
    assert_eq!(told(&findings, "sensitivity").severity, Severity::Warning);
}

#[tokio::test]
async fn a_platform_without_rules_is_told_that_they_were_not_tried() {
    let (_database, findings) = after(
        "TRUNCATE gn_sensitivity.t_sensitivity_rules CASCADE;
         REFRESH MATERIALIZED VIEW gn_sensitivity.t_sensitivity_rules_cd_ref",
    )
    .await;
    assert_eq!(told(&findings, "sensitivity").severity, Severity::Note);
}

#[tokio::test]
async fn a_renamed_column_is_an_error_that_names_it() {
    let (_database, findings) =
        after("ALTER TABLE gn_synthese.synthese RENAME COLUMN determiner TO identified_by").await;
    let told = told(&findings, "columns");
    assert!(told.severity == Severity::Error && told.found.contains("determiner"), "{told:?}");
}

#[tokio::test]
async fn a_disabled_trigger_is_told_and_what_is_printed_enables_it() {
    let (database, findings) =
        after("ALTER TABLE gn_synthese.synthese DISABLE TRIGGER tri_insert_cor_area_synthese").await;
    let trigger = told(&findings, "triggers");
    assert_eq!(trigger.severity, Severity::Warning);
    assert_eq!(told(&findings, "areas").severity, Severity::Warning);
    execute(&database.pool, trigger.run.expect("a cure")).await;
    assert!(worst(&found(&database.pool).await) <= Severity::Note);
}

#[tokio::test]
async fn another_address_of_the_source_is_told_and_kept_until_somebody_changes_it() {
    let (database, findings) = after(
        "UPDATE gn_synthese.t_sources SET url_source = 'https://www.gbif.org/occurrence/' WHERE name_source = 'GBIF'",
    )
    .await;
    let told = told(&findings, "source");
    assert_eq!(told.severity, Severity::Warning);
    let installed = install(&database.pool, &Wanted::default()).await.expect("installed again");
    assert_eq!(installed.source.and_then(|source| source.url).as_deref(), Some("https://www.gbif.org/occurrence/"));
    execute(&database.pool, told.run.expect("a cure")).await;
    let detected = detect(&database.pool).await.expect("detected");
    assert_eq!(detected.source.and_then(|source| source.url).as_deref(), Some(SOURCE_URL));
}

#[tokio::test]
async fn what_is_printed_for_a_missing_index_builds_it() {
    let (database, findings) = after(
        "DROP INDEX taxonomie.passereau_idx_taxref_liens_ct_sp_id, gn_sensitivity.passereau_idx_sensitivity_rules_cd_ref,
                    gn_synthese.passereau_uidx_synthese_gbif",
    )
    .await;
    assert_eq!(told(&findings, "upsert_index").severity, Severity::Error);
    for about in ["links_index", "sensitivity_index"] {
        // CONCURRENTLY wants each statement alone.
        for statement in told(&findings, about).run.expect("a cure").split_inclusive(';') {
            execute(&database.pool, statement).await;
        }
    }
    install(&database.pool, &Wanted::default()).await.expect("installed again");
    assert!(worst(&found(&database.pool).await) <= Severity::Note);
}

#[tokio::test]
async fn a_geonature_without_links_to_gbif_is_told_what_to_upgrade() {
    let (database, findings) = after("DELETE FROM taxonomie.taxref_liens").await;
    assert!(told(&findings, "links").found.contains("no link"));
    execute(&database.pool, "DROP TABLE taxonomie.taxref_liens; TRUNCATE taxonomie.t_meta_taxref").await;
    let findings = found(&database.pool).await;
    assert!(told(&findings, "links").found.contains("2.16"));
    assert_eq!(told(&findings, "taxref").severity, Severity::Warning);
}

#[tokio::test]
async fn a_territory_that_is_not_there_is_an_error_and_an_empty_one_a_note() {
    let set =
        |value: &str| format!("UPDATE pinv_gbif.setting SET value = '{value}' WHERE name = 'territory_area_types'");
    let (database, findings) = after(&set("DPT")).await;
    assert_eq!(told(&findings, "territory").severity, Severity::Error);
    execute(&database.pool, set("DEP, DPT")).await;
    let partly = told(&found(&database.pool).await, "territory");
    assert!(partly.severity == Severity::Warning && partly.found.contains("DPT"), "{partly:?}");
    execute(&database.pool, set("")).await;
    assert_eq!(told(&found(&database.pool).await, "territory").severity, Severity::Note);
}

#[tokio::test]
async fn a_code_that_the_platform_has_switched_off_is_told_and_either_cure_mends_it() {
    let off = "UPDATE ref_nomenclatures.t_nomenclatures SET active = false
                WHERE id_type = ref_nomenclatures.get_id_nomenclature_type('SEXE') AND cd_nomenclature = '3'";
    let (database, findings) = after(off).await;
    let code = told(&findings, "vocabulary");
    assert_eq!(code.severity, Severity::Warning);
    assert!(code.found.contains("SEXE 3 is inactive"), "{code:?}");
    let run = code.run.expect("a cure");
    let (offer, without) = run.split_once("-- or").expect("two cures");
    execute(&database.pool, offer).await;
    assert!(worst(&found(&database.pool).await) <= Severity::Note);
    execute(&database.pool, off).await;
    execute(&database.pool, format!("-- or{without}")).await;
    assert!(worst(&found(&database.pool).await) <= Severity::Note);
}

/// Every code that our functions name is looked for, not only those of the vocabulary.
#[tokio::test]
async fn codes_that_conversions_name_are_looked_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/functions");
    let mut named = BTreeSet::new();
    for file in fs::read_dir(folder).expect("folder") {
        let path = file.expect("entry").path();
        // What these two name is examined, or has a substitute, where a subscription uses them.
        if path.ends_with("65_metadata.sql") || path.ends_with("75_media.sql") {
            continue;
        }
        let sql = fs::read_to_string(&path).expect("text");
        for call in sql.split("passereau.nomenclature('").skip(1) {
            let mut texts = call.split('\'');
            if let (Some(of), Some(", "), Some(code)) = (texts.next(), texts.next(), texts.next()) {
                named.insert((of.to_owned(), code.to_owned()));
            }
        }
    }
    assert!(named.len() > 5, "{named:?}");
    let (_database, findings) = after("UPDATE ref_nomenclatures.t_nomenclatures SET active = false").await;
    for (of, code) in named {
        let told = format!("nomenclature {of} {code} is inactive: conversions name it");
        assert!(findings.iter().any(|finding| finding.found == told), "{told}");
    }
}

#[tokio::test]
async fn observations_that_nobody_sees_are_counted() {
    let (_database, findings) = after(
        "INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, nom_cite, date_min, date_max)
         SELECT id_source, n::text, 'cité', now(), now()
           FROM gn_synthese.t_sources, generate_series(1, 3) n WHERE name_source = 'GBIF';
         UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = NULL WHERE entity_source_pk_value = '1'",
    )
    .await;
    let counted: Vec<&str> =
        findings.iter().filter(|finding| finding.about == "invisible").map(|finding| finding.found.as_str()).collect();
    assert_eq!(
        counted,
        [
            "3 observations of source GBIF have no cd_nom",
            "3 observations of source GBIF have no id_dataset",
            "1 observations of source GBIF have no id_nomenclature_sensitivity",
        ]
    );
}

#[tokio::test]
async fn a_database_without_geonature_is_one_finding() {
    let database = TestDatabase::geonature().await;
    execute(&database.pool, "ALTER SCHEMA gn_meta RENAME TO somewhere_else").await;
    let error = survey(&database.pool).await.expect_err("no GeoNature");
    assert_eq!(not_surveyed(&error).expect("a finding").severity, Severity::Error);
}

/// What is worse than a note, as (about, severity).
fn bad(findings: &[Finding]) -> Vec<(&'static str, Severity)> {
    let bad = findings.iter().filter(|finding| finding.severity > Severity::Note);
    bad.map(|finding| (finding.about, finding.severity)).collect()
}

#[tokio::test]
async fn older_versions_are_examined_to_the_end_and_told_to_be_upgraded() {
    for (variant, version) in [(Variant::V2_12, "2.12.0"), (Variant::V2_14, "2.14.0")] {
        let worker = Worker::installed(variant, Wanted { metadata: true, media: true, ..Wanted::default() }).await;
        let survey = worker.survey().await;
        assert_eq!(survey.catalogue.version, version);
        assert!(!survey.lacks_a_right(), "{survey:#?}");
        let findings = findings(&survey);
        assert_eq!(bad(&findings)[0], ("links", Severity::Error));
        assert!(bad(&findings)[1..].iter().all(|(about, _)| *about == "taxref"), "{version}: {findings:#?}");
    }
}

#[tokio::test]
async fn the_workers_role_is_clean_on_2_16_too() {
    let worker = Worker::installed(Variant::V2_16, Wanted::default()).await;
    let survey = worker.survey().await;
    assert_eq!(survey.catalogue.version, "2.16.0");
    assert_eq!(bad(&findings(&survey)), []);
}

#[tokio::test]
async fn a_rebuilt_platform_has_one_choice_to_make() {
    let worker = Worker::installed(Variant::NoOpSensitivity, Wanted::default()).await;
    assert_eq!(bad(&worker.findings().await), [("sensitivity", Severity::Error)]);
    worker.execute("UPDATE pinv_gbif.setting SET value = 'compute' WHERE name = 'sensitivity_when_null'").await;
    assert_eq!(bad(&worker.findings().await), []);
}
