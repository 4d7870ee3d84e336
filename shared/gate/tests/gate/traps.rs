//! The traps of the stock export module (PnX-SI/gn_module_export 1.8.2, `v_synthese_sinp_sensitive_blurred` and `v_synthese_sinp_dee`), one
//! test each.

use passereau_gate::{Dialect, Field};
use serde_json::json;

use crate::platform::{INSIDE, M10, Platform, everything};

/// Level 4 has no type of area there, and the exact geometry is what is left.
#[tokio::test]
async fn trap_level_4_comes_out_precise() {
    let platform = Platform::new().await;
    platform.record(Some("4"), json!({ "place_name": "Mare aux fées" })).await;
    assert_eq!(platform.gate(&everything()).await.withheld(), [("no_diffusion".into(), 1)]);
}

/// A row whose commune, mesh or department is missing comes out precise there.
#[tokio::test]
async fn trap_a_missing_area_comes_out_precise() {
    for level in ["1", "2", "3"] {
        let platform = Platform::new().await;
        // Never met an area; has lost its areas; its only area of the type has no shape.
        platform.record(Some(level), json!({ "the_geom_local": "SRID=2154;POINT(200000 6700000)" })).await;
        let lost = platform.record(Some(level), json!({})).await;
        sqlx::query("DELETE FROM gn_synthese.cor_area_synthese WHERE id_synthese = $1")
            .bind(lost)
            .execute(&platform.database.pool)
            .await
            .expect("areas");
        platform.record(Some(level), json!({ "the_geom_local": "SRID=2154;POINT(953000 6503000)" })).await;
        platform
            .execute(
                "SET session_replication_role = replica;
                 UPDATE ref_geo.l_areas SET geom = NULL WHERE ST_Contains(geom, 'SRID=2154;POINT(953000 6503000)');
                 SET session_replication_role = origin",
            )
            .await;
        assert_eq!(platform.gate(&everything()).await.withheld(), [("no_area".into(), 3)], "level {level}");
    }
}

/// The type of the level's area is not one that this platform has.
#[tokio::test]
async fn trap_the_left_join_falls_back_to_the_exact_geometry() {
    let platform = Platform::new().await;
    platform.record(Some("2"), json!({})).await;
    platform.execute("UPDATE passereau.sensitivity_level SET area_type = 'M70' WHERE code = '2'").await;
    assert_eq!(platform.gate(&everything()).await.withheld(), [("no_area".into(), 1)]);
    // The area is there but the rules of columns are not: what must be there is, and nothing else.
    platform.execute("UPDATE passereau.sensitivity_level SET area_type = 'M10' WHERE code = '2'; DELETE FROM passereau.blur_rule").await;
    let row = platform.gate(&everything()).await.one_blurred();
    let present: Vec<_> = row.values.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect();
    assert_eq!(present, ["clause_rediffusion", "niveau_sensibilite"]);
}

/// Any of them there, as PostgreSQL finds them.
#[tokio::test]
async fn trap_a_geometry_on_two_areas_gets_an_arbitrary_one() {
    let platform = Platform::new().await;
    let cases = [
        // On the border with the next mesh to the east, whose code is greater; on a corner of four.
        ("POINT(910000 6505000)", "10kmL93E090N650"),
        ("POINT(910000 6510000)", "10kmL93E090N650"),
        // 2 km in this mesh, 7 in the next one; 3 km² in the next one, 1 here.
        ("LINESTRING(908000 6505000, 917000 6505000)", "10kmL93E091N650"),
        (
            "POLYGON((909000 6501000, 913000 6501000, 913000 6502000, 909000 6502000, 909000 6501000))",
            "10kmL93E091N650",
        ),
        // As much in both.
        ("LINESTRING(908000 6505000, 912000 6505000)", "10kmL93E090N650"),
        ("MULTIPOINT(901000 6501000, 915000 6501000, 916000 6501000)", "10kmL93E090N650"),
        // A bow tie, which no intersection can be made of.
        (
            "POLYGON((909000 6501000, 913000 6502000, 913000 6501000, 909000 6502000, 909000 6501000))",
            "10kmL93E090N650",
        ),
    ];
    for (geometry, area) in cases {
        let id = platform.record(Some("2"), json!({ "the_geom_local": format!("SRID=2154;{geometry}") })).await;
        for _ in 0..2 {
            let row = platform.gate(&everything()).await.one_blurred();
            assert_eq!(row.value("rattachement_code"), Some(area), "{geometry}");
            // The same whatever the order of the rows on disk.
            sqlx::query(
                "WITH gone AS (DELETE FROM gn_synthese.cor_area_synthese WHERE id_synthese = $1 RETURNING *)
                 SELECT count(*) FROM gone",
            )
            .bind(id)
            .execute(&platform.database.pool)
            .await
            .expect("areas");
            sqlx::query(
                "INSERT INTO gn_synthese.cor_area_synthese SELECT $1, a.id_area FROM ref_geo.l_areas a
                 JOIN gn_synthese.synthese s ON s.id_synthese = $1 AND ST_Intersects(s.the_geom_local, a.geom) ORDER BY a.id_area DESC",
            )
            .bind(id)
            .execute(&platform.database.pool)
            .await
            .expect("areas");
        }
        platform.execute("DELETE FROM gn_synthese.synthese").await;
    }
}

/// They stay as they are there.
#[tokio::test]
async fn trap_place_comments_proofs_habitat_and_precision_stay() {
    let platform = Platform::new().await;
    habitat(&platform).await;
    platform
        .record(
            Some("2"),
            json!({
                "place_name": "SECRET", "comment_context": "SECRET", "comment_description": "SECRET", "validation_comment": "SECRET",
                "additional_data": { "x": "SECRET" }, "digital_proof": "https://SECRET", "non_digital_proof": "SECRET",
                "sample_number_proof": "SECRET", "reference_biblio": "SECRET", "grp_method": "SECRET", "cd_hab": 24, "precision": 12,
                "altitude_min": 812, "altitude_max": 813, "depth_min": 3, "depth_max": 4, "nom_cite": "SECRET",
                "entity_source_pk_value": "SECRET", "unique_id_sinp_grp": uuid::Uuid::new_v4(), "meta_v_taxref": "SECRET"
            }),
        )
        .await;
    let output = platform.gate(&everything()).await;
    assert!(!output.blurred.contains("SECRET"), "{}", output.blurred);
    let row = output.one_blurred();
    for field in [
        "nom_lieu",
        "comment_releve",
        "comment_occurrence",
        "comment_validation",
        "champs_additionnels",
        "preuve_numerique_url",
        "preuve_non_numerique",
        "cd_habref",
        "cd_habitat",
        "nom_habitat",
        "precision_geographique",
        "alti_min",
        "alti_max",
        "prof_min",
        "prof_max",
        "communes",
        "id_synthese",
        "id_origine",
        "uuid_perm_grp_sinp",
        "heure_debut",
        "heure_fin",
        "date_creation",
        "date_modification",
        "jdd_nom",
        "jdd_uuid",
        "jdd_id",
        "reference_biblio",
        "methode_regroupement",
        "version_taxref",
    ] {
        assert_eq!(row.value(field), None, "{field}");
    }
    assert_eq!(row.value("nom_cite"), Some("Libellula depressa"));
}

/// Their SQL comments are swapped there.
#[tokio::test]
async fn trap_centroids_are_swapped() {
    let platform = Platform::new().await;
    platform.record(Some("0"), json!({})).await;
    let exact = platform.gate(&everything()).await.one_exact();
    platform
        .execute("UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '2')")
        .await;
    let blurred = platform.gate(&everything()).await.one_blurred();
    for row in [&exact, &blurred] {
        let number = |field| row.value(field).expect(field).parse::<f64>().expect("number");
        let (x, y) = (number("x_centroid_4326"), number("y_centroid_4326"));
        assert!((5.0..6.0).contains(&x) && (45.0..46.0).contains(&y), "{x} {y}");
    }
    assert_ne!(exact.value("x_centroid_4326"), blurred.value("x_centroid_4326"));
    for (field, fr, en) in [("x_centroid_4326", "Longitude", "Longitude"), ("y_centroid_4326", "Latitude", "Latitude")]
    {
        let field = Field::find(field).expect("field");
        assert!(field.fr.starts_with(fr) && field.en.starts_with(en), "{field:?}");
    }
}

/// `codeHabRef` holds the taxon's `cd_ref` there, `profondeurMoyenne` half a difference and `dateDetermination` a date of entry.
#[tokio::test]
async fn trap_code_hab_ref_holds_cd_ref() {
    let platform = Platform::new().await;
    habitat(&platform).await;
    platform.record(Some("0"), json!({ "cd_hab": 24, "the_geom_local": INSIDE })).await;
    let row = platform.gate(&everything()).await.one_exact();
    assert_eq!((row.value("cd_habref"), row.value("cd_ref")), (Some("24"), Some("65133")));
    assert_eq!((row.value("cd_habitat"), row.value("nom_habitat")), (Some("22.4"), Some("Mares")));
    let names: Vec<_> = Field::all().iter().map(|field| field.name_in(Dialect::OccTax)).collect();
    assert!(!names.iter().any(|name| ["profondeurMoyenne", "dateDetermination", "altitudeMoyenne"].contains(name)));
    assert_eq!(Field::all().iter().find(|field| field.occtax == Some("cdRef")).map(|field| field.name), Some("cd_ref"));
}

/// The whole row says the area, and that it does.
#[tokio::test]
async fn a_blurred_row_says_what_it_is() {
    let platform = Platform::new().await;
    platform.record(Some("2"), json!({})).await;
    let row = platform.gate(&everything()).await.one_blurred();
    let words = [
        ("rattachement_code", M10),
        ("floutage_dee", "Oui"),
        ("nature_objet_geo", "Inventoriel"),
        ("type_info_geo", "Rattachement"),
        ("niveau_sensibilite", "Sensible - Diffusion à la maille 10km"),
        ("observateurs", "Camille Dupont"),
        ("date_debut", "2026-05-03"),
        ("licence", "CC-BY-4.0"),
    ];
    for (field, value) in words {
        assert_eq!(row.value(field), Some(value), "{field}");
    }
}

async fn habitat(platform: &Platform) {
    platform
        .execute(
            "SET session_replication_role = replica;
             INSERT INTO ref_habitats.habref (cd_hab, fg_validite, cd_typo, lb_code, lb_hab_fr) VALUES (24, 'Validé', 22, '22.4', 'Mares');
             SET session_replication_role = origin",
        )
        .await;
}
