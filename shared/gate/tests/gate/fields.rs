//! Columns, and the table of what becomes of them.

use std::collections::BTreeSet;

use passereau_gate::{Dialect, Field, REQUIRED};
use serde_json::json;

use crate::platform::{Platform, everything};

async fn blurred_after(sql: &'static str) -> crate::platform::Left {
    let platform = Platform::new().await;
    let record = json!({ "place_name": "Mare aux fées", "altitude_min": 812, "entity_source_pk_value": "4711" });
    platform.record(Some("2"), record).await;
    platform.execute(sql).await;
    platform.gate(&everything()).await.one_blurred()
}

#[tokio::test]
async fn a_platform_edits_the_rules() {
    let row = blurred_after(
        "INSERT INTO passereau.blur_rule VALUES ('alti_min', 'DEP', 'keep', 'a department has all heights'), ('jdd_nom', '*', 'keep', 'known');
         UPDATE passereau.blur_rule SET treatment = 'empty' WHERE field = 'observateurs'",
    )
    .await;
    assert_eq!(row.value("jdd_nom"), Some("Étude de la mare aux fées"));
    assert_eq!((row.value("observateurs"), row.value("alti_min")), (None, None));
    // A row for one type wins over that for all.
    let row = blurred_after(
        "INSERT INTO passereau.blur_rule VALUES ('alti_min', 'M10', 'keep', 'decided'), ('alti_min', '*', 'empty', 'decided'),
             ('date_debut', 'M10', 'empty', 'decided')",
    )
    .await;
    assert_eq!((row.value("alti_min"), row.value("date_debut")), (Some("812"), None));
    assert_eq!(row.value("date_fin"), Some("2026-05-03"));
}

#[tokio::test]
async fn a_field_without_a_rule_is_emptied() {
    let row = blurred_after("DELETE FROM passereau.blur_rule WHERE field IN ('cd_nom', 'date_debut')").await;
    assert_eq!((row.value("cd_nom"), row.value("date_debut"), row.value("cd_ref")), (None, None, Some("65133")));
}

#[tokio::test]
async fn required_columns_survive_a_deleted_rule_and_an_emptying_one() {
    for sql in [
        "DELETE FROM passereau.blur_rule",
        "UPDATE passereau.blur_rule SET treatment = 'empty'",
        "UPDATE passereau.blur_rule SET treatment = 'keep'",
    ] {
        let row = blurred_after(sql).await;
        for field in REQUIRED {
            assert!(row.value(field).expect(field).contains("Sensible - Diffusion à la maille 10km"), "{field}");
        }
        assert!(row.value("clause_rediffusion").expect("clause").starts_with("Ne pas rediffuser"));
    }
}

/// Not even a rule lets through what is the place itself or leads to it.
#[tokio::test]
async fn no_rule_keeps_a_place_or_a_public_identifier() {
    let all = "INSERT INTO passereau.blur_rule SELECT f, '*', 'keep', 'a mistake' FROM unnest(ARRAY['id_synthese', 'uuid_perm_grp_sinp',
                   'id_origine', 'preuve_numerique_url', 'champs_additionnels', 'communes']) f;
               UPDATE passereau.blur_rule SET treatment = 'keep'";
    let platform = Platform::new().await;
    let group = uuid::Uuid::new_v4();
    let record = json!({ "unique_id_sinp_grp": group, "entity_source_pk_value": "4711", "digital_proof": "https://x",
                         "additional_data": { "gbifID": 4711 } });
    let id = platform.record(Some("2"), record).await;
    let public: uuid::Uuid = sqlx::query_scalar("SELECT unique_id_sinp FROM gn_synthese.synthese")
        .fetch_one(&platform.database.pool)
        .await
        .expect("uuid");
    platform.execute(all).await;
    let output = platform.gate(&everything()).await;
    for secret in [public.to_string(), group.to_string(), "4711".into(), "https://x".into(), format!("\t{id}\t")] {
        assert!(!output.blurred.contains(&secret), "{secret}");
    }
    let row = output.one_blurred();
    assert_eq!((row.value("floutage_dee"), row.value("rattachement_type")), (Some("Oui"), Some("M10")));
    assert_eq!(row.value("uuid_perm_sinp"), row.id.as_deref());
    // Centre of the mesh.
    assert!(!output.blurred.contains("5.5"), "{:?}", row.value("x_centroid_4326"));
}

/// What stands beside names leaves with none of them.
#[tokio::test]
async fn people_leave_a_blurred_row_as_names_only() {
    let cases = [
        ("Camille Dupont, Jean-Noël O'Brien (LPO & ONF)", true),
        ("Camille Dupont (45.123 N)", false),
        ("Camille Dupont https://inaturalist.org/people/camille", false),
        ("www.example.org", false),
        ("camille@example.org", false),
        ("camille\n", false),
        ("1234567", false),
        ("4°49′ E", false),
        ("٤٥", false),
    ];
    let platform = Platform::new().await;
    for (text, leaves) in cases {
        let record = json!({ "observers": text, "determiner": text, "validator": text,
                             "additional_data": { "license": "CC0_1_0", "rightsHolder": text } });
        platform.record(Some("2"), record).await;
        let row = platform.gate(&everything()).await.one_blurred();
        for field in ["observateurs", "determinateur", "validateur", "rights_holder"] {
            assert_eq!(row.value(field), leaves.then_some(text), "{field}");
        }
        platform.execute("DELETE FROM gn_synthese.synthese").await;
    }
}

#[tokio::test]
async fn every_rule_is_of_a_field_and_every_reason_is_given() {
    let platform = Platform::new().await;
    let rules: Vec<(String, String)> = sqlx::query_as("SELECT field, treatment FROM passereau.blur_rule")
        .fetch_all(&platform.database.pool)
        .await
        .expect("rules");
    for (field, treatment) in rules {
        assert!(Field::find(&field).is_some(), "{field} is no field");
        let can_be_said = Field::find(&field).is_some_and(Field::is_generalised);
        // The level and the licence are the same for the area.
        assert!(
            treatment == "generalise" || !can_be_said || ["niveau_sensibilite", "licence"].contains(&field.as_str()),
            "{field}"
        );
        assert!(can_be_said || treatment != "generalise", "{field} has nothing else to say");
    }
}

/// The dictionary names the vocabulary that GeoNature itself checks the column by.
#[tokio::test]
async fn the_nomenclature_of_a_field_is_that_of_its_column() {
    let platform = Platform::new().await;
    let checks: Vec<String> = sqlx::query_scalar(
        "SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE c.conrelid = 'gn_synthese.synthese'::regclass AND c.contype = 'c'",
    )
    .fetch_all(&platform.database.pool)
    .await
    .expect("constraints");
    let fields: Vec<_> = Field::all().iter().filter_map(|field| Some((field, field.nomenclature?))).collect();
    assert!(fields.len() > 20, "{}", fields.len());
    let mut checked = 0;
    for (field, nomenclature) in fields {
        let of = checks.iter().filter(|check| check.contains(&format!("'{nomenclature}'"))).count();
        // GeoNature leaves a few of its columns without a check.
        assert!(of <= 1, "{} is of {nomenclature}: {checks:#?}", field.name);
        checked += of;
    }
    assert!(checked > 10, "{checked} vocabularies are checked");
}

#[test]
fn names_are_unique_in_both_dialects() {
    for dialect in [Dialect::GeoNature, Dialect::OccTax] {
        let names: BTreeSet<_> = Field::all().iter().map(|field| field.name_in(dialect)).collect();
        assert_eq!(names.len(), Field::all().len());
    }
    assert_eq!(Field::all().iter().filter(|field| field.is_basic).count(), 40);
    for field in REQUIRED {
        assert!(Field::find(field).is_some_and(|field| field.is_basic), "{field}");
    }
}
