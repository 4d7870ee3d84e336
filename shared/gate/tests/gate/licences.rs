//! Licences: by what sources write; what is not known does not leave.

use passereau_gate::Selection;
use serde_json::{Value, json};

use crate::platform::{Platform, everything};

async fn licensed(written: Value, source: &str) -> crate::platform::Output {
    let platform = Platform::new().await;
    platform.record(Some("0"), json!({ "source": source, "additional_data": { "license": written } })).await;
    platform.gate(&everything()).await
}

#[tokio::test]
async fn spellings_of_gbif_downloads_are_known() {
    let platform = Platform::new().await;
    let spellings = [
        "CC0_1_0",
        "CC_BY_4_0",
        "http://creativecommons.org/licenses/by/4.0/legalcode",
        "https://www.creativecommons.org/publicdomain/zero/1.0/legalcode",
        " CC BY 4.0 ",
    ];
    for written in spellings {
        platform.record(Some("0"), json!({ "source": "GBIF", "additional_data": { "license": written } })).await;
    }
    let output = platform.gate(&everything()).await;
    let licences: Vec<_> = output.exact().into_iter().map(|row| row.licence).collect();
    assert_eq!(licences, ["CC0-1.0", "CC-BY-4.0", "CC-BY-4.0", "CC0-1.0", "CC-BY-4.0"]);
}

#[tokio::test]
async fn a_licence_that_is_not_known_is_withheld() {
    for written in [json!("All rights reserved"), json!("CC-ŃBY 4.0"), json!("©"), json!(4), json!("unspecified")] {
        assert_eq!(licensed(written, "Import").await.withheld(), [("licence_unknown".into(), 1)]);
    }
}

#[tokio::test]
async fn a_licence_that_is_not_allowed_is_withheld() {
    assert_eq!(licensed(json!("CC_BY_NC_4_0"), "GBIF").await.withheld(), [("licence_not_allowed".into(), 1)]);
}

#[tokio::test]
async fn the_platforms_own_licence_is_for_records_whose_source_names_none_but_gbifs() {
    for none in [json!(null), json!(""), json!("  ")] {
        assert_eq!(licensed(none.clone(), "Import").await.one_exact().licence, "CC-BY-4.0");
        assert_eq!(licensed(none, "GBIF").await.withheld(), [("licence_unknown".into(), 1)]);
    }
    let platform = Platform::new().await;
    platform.record(Some("0"), json!({})).await;
    assert_eq!(platform.gate(&everything()).await.one_exact().licence, "CC-BY-4.0");
    let none = Selection { own_licence: None, ..everything() };
    assert_eq!(platform.gate(&none).await.withheld(), [("licence_unknown".into(), 1)]);
    let other = Selection { own_licence: Some("etalab-2.0".into()), ..everything() };
    assert_eq!(platform.gate(&other).await.withheld(), [("licence_not_allowed".into(), 1)]);
    let nothing = Selection { licences: Vec::new(), ..everything() };
    assert_eq!(platform.gate(&nothing).await.withheld(), [("licence_not_allowed".into(), 1)]);
}

/// A record that leaves as an area needs its licence as well.
#[tokio::test]
async fn blurred_records_are_judged_by_their_licence_too() {
    let platform = Platform::new().await;
    for licence in ["CC_BY_4_0", "CC_BY_NC_4_0", "?"] {
        platform.record(Some("2"), json!({ "source": "GBIF", "additional_data": { "license": licence } })).await;
    }
    let output = platform.gate(&everything()).await;
    assert_eq!(output.one_blurred().licence, "CC-BY-4.0");
    let withheld: Vec<_> = output.tally.iter().filter_map(|row| row.reason.as_deref()).collect();
    assert_eq!(withheld, ["licence_not_allowed", "licence_unknown"]);
}

#[tokio::test]
async fn gbif_rows_bear_licence_holder_and_citation() {
    let platform = Platform::new().await;
    platform
        .execute(
            "INSERT INTO pinv_gbif.dataset (dataset_key, title, citation)
             VALUES ('50c9509d-22c7-4a22-a47d-8c48425ef4a7', 'iNaturalist', 'iNaturalist contributors. https://doi.org/10.15468/ab3s5x')",
        )
        .await;
    let data = json!({ "license": "CC_BY_4_0", "rightsHolder": "Claire Martin", "datasetKey": "50c9509d-22c7-4a22-a47d-8c48425ef4a7" });
    platform
        .record(Some("0"), json!({ "source": "GBIF", "entity_source_pk_value": "12", "additional_data": data }))
        .await;
    platform
        .execute(
            "INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash, rest_hash, harvest_id)
             SELECT 12, id_synthese, unique_id_sinp, cd_nom, u, u, u, u, '01970000-0000-7000-8000-000000000001'
             FROM gn_synthese.synthese, gen_random_uuid() u",
        )
        .await;
    let row = platform.gate(&everything()).await.one_exact();
    assert_eq!(row.value("rights_holder"), Some("Claire Martin"));
    assert!(row.value("citation").expect("citation").contains("10.15468/ab3s5x"));
    assert_eq!(row.harvest.as_deref(), Some("01970000-0000-7000-8000-000000000001"));
    platform
        .execute("UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '2')")
        .await;
    let row = platform.gate(&everything()).await.one_blurred();
    assert_eq!(row.value("rights_holder"), Some("Claire Martin"));
    // The dataset may be that of one site; GBIF brought the record all the same.
    assert_eq!(
        (row.value("licence"), row.value("citation")),
        (Some("CC-BY-4.0"), Some("GBIF.org. https://www.gbif.org"))
    );
    assert_eq!(row.harvest, Some(passereau_gate::SOME_HARVEST.to_string()));
}
