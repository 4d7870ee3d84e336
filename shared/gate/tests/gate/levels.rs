//! Levels, wishes and the three ways with sensitive records.

use passereau_gate::{Selection, Sensitive};
use serde_json::json;

use crate::platform::{INSIDE, M10, Platform, everything};

async fn of_level(level: Option<&str>) -> crate::platform::Output {
    let platform = Platform::new().await;
    platform.record(level, json!({})).await;
    platform.gate(&everything()).await
}

#[tokio::test]
async fn a_record_without_a_level_is_withheld() {
    assert_eq!(of_level(None).await.withheld(), [("level_unknown".into(), 1)]);
}

#[tokio::test]
async fn a_level_that_no_table_knows_an_empty_one_and_one_without_a_label_are_withheld() {
    let platform = Platform::new().await;
    platform.nomenclature("SENSIBILITE", "9", Some("Sensible - Diffusion à la ZNIEFF")).await;
    platform.nomenclature("SENSIBILITE", " ", Some("Sensible")).await;
    // The table knows this one: its label is nothing but a space that cannot be seen.
    platform.nomenclature("SENSIBILITE", "2.3", Some(" \u{a0}\t")).await;
    for code in ["9", " ", "2.3"] {
        platform.record(Some(code), json!({})).await;
    }
    let withheld = platform.gate(&everything()).await.withheld();
    assert!(withheld.iter().all(|(reason, _)| reason == "level_unknown"), "{withheld:?}");
    assert_eq!(withheld.iter().map(|(_, records)| records).sum::<i64>(), 3);
}

/// `behaviour`-like columns have shown that an id of another vocabulary can enter where triggers are off.
#[tokio::test]
async fn an_id_of_another_vocabulary_is_no_level_and_no_wish() {
    let platform = Platform::new().await;
    platform.record(Some("0"), json!({})).await;
    platform.record(Some("0"), json!({})).await;
    platform
        .execute(
            "SET session_replication_role = replica; ALTER TABLE gn_synthese.synthese DROP CONSTRAINT check_synthese_sensitivity, DROP CONSTRAINT check_synthese_diffusion_level;
             UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SEXE', '2') WHERE id_synthese % 2 = 0;
             UPDATE gn_synthese.synthese SET id_nomenclature_diffusion_level = ref_nomenclatures.get_id_nomenclature('STADE_VIE', '0') WHERE id_synthese % 2 = 1;
             SET session_replication_role = origin",
        )
        .await;
    let mut withheld = platform.gate(&everything()).await.withheld();
    withheld.sort();
    assert_eq!(withheld, [("level_unknown".into(), 1), ("wish_unknown".into(), 1)]);
}

#[tokio::test]
async fn levels_of_the_standard_leave_as_their_area() {
    for (level, area_type) in [("1", "COM"), ("2", "M10"), ("3", "DEP")] {
        let row = of_level(Some(level)).await.one_blurred();
        assert_eq!(row.area_type.as_deref(), Some(area_type));
        assert_eq!(row.value("rattachement_type"), Some(area_type));
        assert_eq!(row.value("niveau_sensibilite"), Some(row.level.as_str()));
        assert_eq!(row.value("communes").is_some(), area_type == "COM");
        assert_eq!(row.value("floutage_dee"), Some("Oui"));
    }
}

#[tokio::test]
async fn levels_2_1_to_2_8_leave_as_their_mesh_or_not_at_all() {
    let platform = Platform::new().await;
    for code in ["2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8"] {
        platform.nomenclature("SENSIBILITE", code, Some(&format!("Maille {code}"))).await;
        platform.record(Some(code), json!({})).await;
    }
    let output = platform.gate(&everything()).await;
    assert_eq!(output.exact, "");
    let mut areas: Vec<_> = output
        .blurred()
        .iter()
        .map(|row| format!("{} {}", row.level, row.value("rattachement_code").expect("code")))
        .collect();
    areas.sort();
    // The seeds have no mesh of 1 and 2 km; 2.7 has no type of area, 2.8 is "no diffusion".
    let expected = ["2.3 5kmL93E0900N6500", "2.4 10kmL93E090N650", "2.5 20kmL93E090N650", "2.6 50kmL93E090N650"];
    assert_eq!(areas, expected.map(|area| format!("Maille {area}")));
    let reasons: Vec<_> =
        output.tally.iter().filter_map(|row| Some((row.level.as_deref()?, row.reason.as_deref()?))).collect();
    assert_eq!(
        reasons,
        [
            ("Maille 2.1", "no_area"),
            ("Maille 2.2", "no_area"),
            ("Maille 2.7", "no_diffusion"),
            ("Maille 2.8", "no_diffusion")
        ]
    );
}

/// A platform maps its levels as it has decided.
#[tokio::test]
async fn a_platform_changes_the_area_of_a_level() {
    let platform = Platform::new().await;
    platform.record(Some("1"), json!({})).await;
    platform.execute("UPDATE passereau.sensitivity_level SET area_type = 'M5' WHERE code = '1'").await;
    let row = platform.gate(&everything()).await.one_blurred();
    assert_eq!(row.value("rattachement_code"), Some("5kmL93E0900N6500"));
    assert_eq!(row.value("communes"), None, "a mesh of 5 km is no commune");
    platform.execute("DELETE FROM passereau.sensitivity_level WHERE code = '1'").await;
    assert_eq!(platform.gate(&everything()).await.withheld(), [("level_unknown".into(), 1)]);
}

#[tokio::test]
async fn wishes_hold_for_records_that_are_not_sensitive() {
    let platform = Platform::new().await;
    platform.nomenclature("NIV_PRECIS", "7", Some("Lieu-dit")).await;
    let mut ids = Vec::new();
    for wish in [None, Some("0"), Some("1"), Some("2"), Some("3"), Some("4"), Some("5"), Some("7")] {
        ids.push(platform.wished(Some("0"), wish, json!({})).await);
    }
    let output = platform.gate(&everything()).await;
    let exact: Vec<_> = output.exact().iter().map(|row| row.id_synthese.expect("id")).collect();
    assert_eq!(exact, [ids[0], ids[1], ids[6]]);
    let mut areas: Vec<_> = output.blurred().iter().map(|row| row.area_type.clone().expect("type")).collect();
    areas.sort();
    assert_eq!(areas, ["COM", "DEP", "M10"]);
    for row in output.blurred() {
        assert!(row.level.starts_with("Non sensible"));
        let clause = row.value("clause_rediffusion").expect("clause");
        assert!(clause.contains(row.area_type.as_deref().expect("type")), "{clause}");
        // That of a sensitive record would go on with its level: "not more precisely than DEP: not sensitive, exact".
        assert!(clause.contains("producteur") && !clause.contains("Non sensible"), "{clause}");
    }
    let reasons: Vec<_> = output.tally.iter().filter_map(|row| row.reason.as_deref()).collect();
    assert_eq!(reasons, ["wish_none", "wish_unknown"]);
    assert_eq!(output.count("withheld"), 2);
}

#[tokio::test]
async fn a_sensitive_record_of_which_the_producer_wished_no_diffusion_leaves_in_no_way() {
    let platform = Platform::new().await;
    platform.wished(Some("2"), Some("4"), json!({})).await;
    let output = platform.gate(&everything()).await;
    assert_eq!((output.exact.as_str(), output.blurred().len()), ("", 0));
    assert_eq!(output.withheld(), [("wish_none".into(), 1)]);
}

#[tokio::test]
async fn a_wish_says_nothing_of_a_sensitive_record() {
    let platform = Platform::new().await;
    for wish in [Some("5"), Some("1"), Some("7")] {
        if wish == Some("7") {
            platform.nomenclature("NIV_PRECIS", "7", Some("Lieu-dit")).await;
        }
        platform.wished(Some("3"), wish, json!({})).await;
    }
    let output = platform.gate(&everything()).await;
    assert_eq!(output.exact, "");
    assert!(output.blurred().iter().all(|row| row.area_type.as_deref() == Some("DEP")));
    assert_eq!(output.count("area"), 3);
}

#[tokio::test]
async fn an_excluding_flow_has_no_sensitive_record() {
    let platform = Platform::new().await;
    for level in ["0", "1", "2", "3", "4"] {
        platform.record(Some(level), json!({})).await;
    }
    let selection = Selection { sensitive: Sensitive::Excluded, ..everything() };
    let output = platform.gate(&selection).await;
    assert!(output.one_exact().level.starts_with("Non sensible"));
    let mut reasons: Vec<_> = output.tally.iter().filter_map(|row| row.reason.as_deref()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["no_diffusion", "sensitive_excluded", "sensitive_excluded", "sensitive_excluded"]);
}

#[tokio::test]
async fn a_precise_flow_still_withholds_level_4_and_what_it_does_not_know() {
    let platform = Platform::new().await;
    platform.nomenclature("SENSIBILITE", "2.8", Some("Aucune diffusion")).await;
    for level in [Some("1"), Some("2"), Some("3"), Some("4"), Some("2.8"), None] {
        platform.record(level, json!({})).await;
    }
    platform.wished(Some("0"), Some("2"), json!({})).await;
    let output = platform.gate(&Selection { sensitive: Sensitive::Precise, ..everything() }).await;
    let exact = output.exact();
    assert_eq!(exact.len(), 3);
    for row in &exact {
        assert!(row.level.starts_with("Sensible"), "{row:?}");
        assert!(row.value("clause_rediffusion").expect("clause").contains(&row.level), "{row:?}");
    }
    assert_eq!(output.blurred().len(), 1, "an authorisation for sensitive records is none for what a producer wished");
    assert_eq!(output.count("withheld"), 3);
}

/// The level of a record rises: it is withdrawn from the next delivery, or leaves as an area.
#[tokio::test]
async fn a_record_whose_level_rises_is_withdrawn() {
    let platform = Platform::new().await;
    let id = platform.record(Some("0"), json!({ "the_geom_local": INSIDE })).await;
    assert_eq!(platform.gate(&everything()).await.one_exact().id_synthese, Some(id));
    platform
        .execute("UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '2')")
        .await;
    assert_eq!(platform.gate(&everything()).await.one_blurred().value("rattachement_code"), Some(M10));
    platform
        .execute("UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '4')")
        .await;
    assert_eq!(platform.gate(&everything()).await.withheld(), [("no_diffusion".into(), 1)]);
}
