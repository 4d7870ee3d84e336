//! Places and other things that a flow asks for.

use passereau_gate::Selection;
use serde_json::json;

use crate::platform::{BIRD, DATASET, INSECT, MESH, Platform, SITE, everything, in_territory};

#[tokio::test]
async fn exact_rows_are_in_a_territory_that_they_meet() {
    let platform = Platform::new().await;
    platform.flow("atlas", Some(SITE)).await;
    let inside = platform.record(Some("0"), json!({})).await;
    let border = platform.record(Some("0"), json!({ "the_geom_local": "SRID=2154;POINT(904000 6503000)" })).await;
    let line = "SRID=2154;LINESTRING(890000 6503000, 920000 6503000)";
    let crossing = platform.record(Some("0"), json!({ "the_geom_local": line })).await;
    // Half a metre out: the metre of tolerance is for areas alone.
    platform.record(Some("0"), json!({ "the_geom_local": "SRID=2154;POINT(904000.5 6503000)" })).await;
    let output = platform.gate(&in_territory()).await;
    let ids: Vec<_> = output.exact().iter().map(|row| row.id_synthese.expect("id")).collect();
    assert_eq!(ids, [inside, border, crossing]);
    assert_eq!((output.count("exact"), output.count("withheld")), (3, 0));
}

/// A territory smaller than the area would say where in the area the record is.
#[tokio::test]
async fn blurred_rows_are_in_a_territory_that_holds_their_area() {
    let platform = Platform::new().await;
    platform.record(Some("2"), json!({})).await;
    platform.flow("atlas", Some(SITE)).await;
    let output = platform.gate(&in_territory()).await;
    assert_eq!((output.blurred.as_str(), output.tally.len()), ("", 0), "nor is it counted");
    platform.flow("atlas", Some(MESH)).await;
    let output = platform.gate(&in_territory()).await;
    assert_eq!((output.one_blurred().area_type.as_deref(), output.count("area")), (Some("M10"), 1));
    // 50 cm less than the mesh: borders of two sources differ by as much. Ten metres less: another place.
    let less = |metres: &str| {
        format!(
            "SRID=2154;POLYGON((900000 6500000,910000 6500000,910000 650{metres},900000 650{metres},900000 6500000))"
        )
    };
    platform.flow("atlas", Some(&less("9999.5"))).await;
    assert_eq!(platform.gate(&in_territory()).await.count("area"), 1);
    platform.flow("atlas", Some(&less("9990"))).await;
    assert!(platform.gate(&in_territory()).await.tally.is_empty());
}

/// No count of a territory speaks of records whose place may not be told.
#[tokio::test]
async fn withheld_records_are_counted_only_where_no_place_is_asked_for() {
    let platform = Platform::new().await;
    platform.record(Some("4"), json!({})).await;
    platform.record(None, json!({})).await;
    platform.record(Some("2"), json!({ "the_geom_local": "SRID=2154;POINT(200000 6700000)" })).await;
    platform
        .flow("atlas", Some("SRID=2154;POLYGON((0 6000000,2000000 6000000,2000000 7000000,0 7000000,0 6000000))"))
        .await;
    assert!(platform.gate(&in_territory()).await.tally.is_empty());
    platform.flow("atlas", None).await;
    assert_eq!(platform.gate(&everything()).await.count("withheld"), 3);
}

/// A licence that is not allowed is counted as far as the record's place may be told.
#[tokio::test]
async fn licences_are_counted_in_a_territory_by_the_area() {
    let platform = Platform::new().await;
    let refused = json!({ "additional_data": { "license": "CC_BY_NC_4_0" } });
    platform.record(Some("2"), refused.clone()).await;
    platform.record(Some("0"), refused).await;
    platform.flow("atlas", Some(SITE)).await;
    let output = platform.gate(&in_territory()).await;
    assert_eq!(output.withheld(), [("licence_not_allowed".into(), 1)]);
    platform.flow("atlas", Some(MESH)).await;
    assert_eq!(platform.gate(&in_territory()).await.count("withheld"), 2);
}

#[tokio::test]
async fn taxa_sources_and_datasets_are_asked_for() {
    let platform = Platform::new().await;
    platform.record(Some("0"), json!({ "cd_nom": INSECT })).await;
    platform.record(Some("2"), json!({ "cd_nom": BIRD })).await;
    let gbif = json!({ "cd_nom": BIRD, "source": "GBIF", "additional_data": { "license": "CC0_1_0" } });
    platform.record(Some("0"), gbif).await;
    let one = |value: &str| vec![value.to_owned()];
    let cases = [
        (Selection { ordre: one("Odonata"), ..everything() }, (1, 0)),
        (Selection { famille: one("Muscicapidae"), ..everything() }, (1, 1)),
        (Selection { regne: one("Animalia"), ..everything() }, (2, 1)),
        (Selection { cd_ref: one(&BIRD.to_string()), ordre: one("Odonata"), ..everything() }, (2, 1)),
        // With all below it: the kingdom.
        (Selection { cd_ref: one("183716"), ..everything() }, (2, 1)),
        (Selection { cd_ref: one("0"), ..everything() }, (0, 0)),
        (Selection { famille: one("x') OR true --"), ..everything() }, (0, 0)),
        (Selection { sources: one("GBIF"), ..everything() }, (1, 0)),
        (Selection { sources_excluded: one("GBIF"), ..everything() }, (1, 1)),
        (Selection { datasets: one(&DATASET.to_string()), ..everything() }, (2, 1)),
        (Selection { datasets: one("not a uuid"), ..everything() }, (0, 0)),
        (Selection { datasets_excluded: one(&DATASET.to_string()), ..everything() }, (0, 0)),
    ];
    for (selection, expected) in cases {
        let output = platform.gate(&selection).await;
        assert_eq!((output.exact().len(), output.blurred().len()), expected, "{selection:?}");
        assert_eq!((output.count("exact"), output.count("area")), (expected.0 as i64, expected.1 as i64));
    }
    // Of a record without a dataset nobody knows that it is not of an excluded one.
    platform.execute("UPDATE gn_synthese.synthese SET id_dataset = NULL").await;
    let selection = Selection { datasets_excluded: one(&DATASET.to_string()), ..everything() };
    assert!(platform.gate(&selection).await.tally.is_empty());
}

#[tokio::test]
async fn exact_rows_come_in_pages() {
    let platform = Platform::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(platform.record(Some("0"), json!({})).await);
    }
    let query = passereau_gate::Query::new(everything(), passereau_gate::Field::all().iter().take(1).collect());
    let mut tx = platform.database.pool.begin().await.expect("transaction");
    query.begin(&mut tx).await.expect("selection");
    let (mut after, mut read) = (i32::MIN, Vec::new());
    loop {
        let page = crate::platform::copy(&mut tx, &query.exact_rows(after, 2).0).await.expect("page");
        let rows: Vec<_> =
            passereau_gate::rows(&page, 1).map(|row| row.expect("row").id_synthese.expect("id")).collect();
        let Some(last) = rows.last() else { break };
        after = *last;
        read.extend(rows);
    }
    assert_eq!(read, ids);
}
