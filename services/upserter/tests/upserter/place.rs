//! Where a record stands in the synthèse, and where it must not.

use serde_json::{Value, json};

use crate::platform::{INATURALIST, Platform, Record, record};

/// An observation of iNaturalist whose public point was drawn in a cell.
fn obscured(gbif_id: i64, longitude: f64, latitude: f64) -> Record {
    record(gbif_id)
        .with("dataset_key", json!(INATURALIST))
        .with("producer_uuid", json!(format!("0b000000-0000-4000-8000-{gbif_id:012}")))
        .with("information_withheld", json!("Coordinate uncertainty increased to 26691m to protect threatened taxon"))
        .with("coordinate_uncertainty_in_meters", json!(26_691.0))
        .with("decimal_longitude", json!(longitude))
        .with("decimal_latitude", json!(latitude))
}

async fn areas_of(platform: &Platform, gbif_id: i64) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT DISTINCT t.type_code::text FROM gn_synthese.synthese s
         JOIN gn_synthese.cor_area_synthese c USING (id_synthese) JOIN ref_geo.l_areas a USING (id_area)
         JOIN ref_geo.bib_areas_types t USING (id_type) WHERE s.entity_source_pk_value = $1 ORDER BY 1",
    )
    .bind(gbif_id.to_string())
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

/// Everything of a row that tells where it is.
async fn place_of(platform: &Platform, gbif_id: i64) -> (String, String, String, Option<i32>, String, String) {
    sqlx::query_as(
        "SELECT ST_AsText(the_geom_4326, 6), ST_AsText(the_geom_point, 6), ST_AsText(the_geom_local, 0), \"precision\",
                ref_nomenclatures.get_cd_nomenclature(id_nomenclature_geo_object_nature),
                ref_nomenclatures.get_cd_nomenclature(id_nomenclature_blurring)
         FROM gn_synthese.synthese WHERE entity_source_pk_value = $1",
    )
    .bind(gbif_id.to_string())
    .fetch_one(&platform.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn an_obscured_position_does_not_enter_unless_its_subscription_wants_the_cell() {
    let platform = Platform::new().await;
    let harvest = platform.land("one", &[obscured(1, 5.37, 45.25), record(2)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.rejected), (1, 1));
    assert_eq!(platform.rejects().await, [(1, "obscured".to_owned())]);

    platform.decide("one", json!({"obscured": "cell"})).await;
    let harvest = platform.land("one", &[obscured(1, 5.37, 45.25), record(2)]).await;
    assert_eq!(platform.run(harvest).await.inserted, 1);
    let (whole, point, _, precision, nature, blurring) = place_of(&platform, 1).await;
    assert_eq!(whole, "POLYGON((5.2 45.2,5.2 45.4,5.4 45.4,5.4 45.2,5.2 45.2))");
    assert_eq!(point, "POINT(5.3 45.3)", "the middle of the cell, not the point that was drawn");
    assert_eq!((precision, nature.as_str(), blurring.as_str()), (Some(26_691), "In", "OUI"));
    // The cell meets several communes and squares. None of them may claim it; larger areas hold it whole.
    assert_eq!(areas_of(&platform, 1).await, ["DEP", "M50", "REG"]);
    let holding = "SELECT count(*) FROM gn_synthese.synthese s JOIN gn_synthese.cor_area_synthese c USING (id_synthese)
                   JOIN ref_geo.l_areas a USING (id_area) WHERE s.entity_source_pk_value = '1'
                   AND NOT ST_Covers(a.geom, s.the_geom_local)";
    assert_eq!(platform.count(holding).await, 0);
}

#[tokio::test]
async fn two_points_of_one_cell_cannot_be_told_apart() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"obscured": "cell"})).await;
    // The corner itself, a point inside, and the last one before the next cell.
    let harvest = platform
        .land("one", &[obscured(1, 5.2, 45.2), obscured(2, 5.31, 45.33), obscured(3, 5.399_999, 45.399_999)])
        .await;
    assert_eq!(platform.run(harvest).await.inserted, 3);
    let first = place_of(&platform, 1).await;
    assert_eq!(place_of(&platform, 2).await, first);
    assert_eq!(place_of(&platform, 3).await, first);
    assert_eq!(areas_of(&platform, 3).await, areas_of(&platform, 1).await);
}

#[tokio::test]
async fn an_observation_that_becomes_obscured_loses_its_commune() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"obscured": "cell"})).await;
    let open = obscured(1, 5.72, 45.18).with("information_withheld", Value::Null);
    let harvest = platform.land("one", &[open]).await;
    platform.run(harvest).await;
    assert!(areas_of(&platform, 1).await.contains(&"COM".to_owned()));
    let harvest = platform.land("one", &[obscured(1, 5.65, 45.1)]).await;
    assert_eq!(platform.run(harvest).await.updated, 1);
    let areas = areas_of(&platform, 1).await;
    assert!(!areas.iter().any(|area| ["COM", "M10", "M5"].contains(&area.as_str())), "{areas:?}");
    assert!(place_of(&platform, 1).await.0.starts_with("POLYGON"));
}

#[tokio::test]
async fn an_uncertainty_above_the_limit_or_unknown_is_too_imprecise() {
    let platform = Platform::new().await;
    let uncertain = |id, metres: Value| record(id).with("coordinate_uncertainty_in_meters", metres);
    let records =
        [uncertain(1, json!(1000.0)), uncertain(2, json!(1000.5)), uncertain(3, Value::Null), uncertain(4, json!(0.0))];
    let harvest = platform.land("any", &records).await;
    assert_eq!(platform.run(harvest).await.inserted, 4, "without a limit everything enters");

    let platform = Platform::new().await;
    platform.decide("one", json!({"max_uncertainty_m": 1000})).await;
    let harvest = platform.land("one", &records).await;
    platform.run(harvest).await;
    let imprecise = |id| (id, "too_imprecise".to_owned());
    assert_eq!(platform.rejects().await, [imprecise(2), imprecise(3), imprecise(4)]);
    let told: String = sqlx::query_scalar("SELECT detail FROM pinv_gbif.reject WHERE gbif_id = 3")
        .fetch_one(&platform.pool)
        .await
        .unwrap();
    assert_eq!(told, "coordinateUncertaintyInMeters is empty");

    platform.decide("one", json!({"max_uncertainty_m": 1000, "accept": ["unknown_uncertainty"]})).await;
    let harvest = platform.land("one", &records).await;
    platform.run(harvest).await;
    assert_eq!(platform.rejects().await, [imprecise(2)]);
    assert_eq!(place_of(&platform, 3).await.3, None, "an unknown uncertainty is no precision");
    assert_eq!(place_of(&platform, 3).await.4, "NSP");
}

#[tokio::test]
async fn the_nature_of_the_object_follows_the_uncertainty() {
    let platform = Platform::new().await;
    let uncertain = |id, metres: f64| record(id).with("coordinate_uncertainty_in_meters", json!(metres));
    let harvest = platform.land("one", &[uncertain(1, 49.2), uncertain(2, 50.0), uncertain(3, 1000.0)]).await;
    platform.run(harvest).await;
    let mut told = Vec::new();
    for id in 1..=3 {
        let place = place_of(&platform, id).await;
        told.push((place.3, place.4));
    }
    assert_eq!(told, [(Some(50), "St".into()), (Some(50), "NSP".into()), (Some(1000), "In".into())]);
}

#[tokio::test]
async fn a_place_generalised_by_its_producer_is_blurred() {
    let platform = Platform::new().await;
    let records = [
        record(1).with("data_generalizations", json!("Coordinates rounded to a 10 km grid")),
        record(2).with("information_withheld", json!("Location information not given for endangered species")),
        record(3).with("information_withheld", json!("Field notes available on request")),
    ];
    let harvest = platform.land("one", &records).await;
    platform.run(harvest).await;
    let mut blurring = Vec::new();
    for id in 1..=3 {
        blurring.push(place_of(&platform, id).await.5);
    }
    assert_eq!(blurring, ["OUI", "OUI", "NON"]);
}

#[tokio::test]
async fn a_point_outside_the_platforms_own_areas_does_not_enter() {
    let platform = Platform::new().await;
    let paris = record(1).with("decimal_longitude", json!(2.35)).with("decimal_latitude", json!(48.85));
    let harvest = platform.land("one", &[paris.clone(), record(2)]).await;
    platform.run(harvest).await;
    assert_eq!(platform.rejects().await, [(1, "outside_territory".to_owned())]);

    // An area that is switched off is not the platform's.
    platform.execute("UPDATE ref_geo.l_areas SET enable = false WHERE area_code = '38' AND id_type = ref_geo.get_id_area_type('DEP')").await;
    let harvest = platform.land("two", &[record(3)]).await;
    platform.run(harvest).await;
    assert!(platform.rejects().await.contains(&(3, "outside_territory".to_owned())));

    // The platform decides what its territory is; nothing is outside of none.
    platform.execute("UPDATE pinv_gbif.setting SET value = '' WHERE name = 'territory_area_types'").await;
    let harvest = platform.land("one", &[paris, record(2)]).await;
    assert_eq!(platform.run(harvest).await.inserted, 1);
}

#[tokio::test]
async fn an_observation_that_becomes_obscured_is_corrected_even_where_such_do_not_enter() {
    let platform = Platform::new().await;
    let open = obscured(1, 5.72, 45.18).with("information_withheld", Value::Null);
    let harvest = platform.land("one", &[open]).await;
    platform.run(harvest).await;
    let harvest = platform.land("one", &[obscured(1, 5.65, 45.1), obscured(2, 5.65, 45.1)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.updated, counts.rejected), (1, 1), "a new one does not enter, one that stands becomes its cell");
    assert!(place_of(&platform, 1).await.0.starts_with("POLYGON"));
    assert!(!areas_of(&platform, 1).await.contains(&"COM".to_owned()));
}

#[tokio::test]
async fn areas_that_are_loaded_later_give_an_obscured_position_no_commune() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"obscured": "cell"})).await;
    let harvest = platform.land("one", &[obscured(1, 5.37, 45.25)]).await;
    platform.run(harvest).await;
    passereau_upserter::functions::trim_areas(&platform.pool).await.unwrap();
    // As a new edition of the communes would: GeoNature's trigger crosses them with the synthèse again.
    platform
        .execute(
            "UPDATE ref_geo.l_areas SET geom = ST_Multi(ST_Buffer(geom, 1)), meta_update_date = now()
             WHERE id_type = ref_geo.get_id_area_type('COM')",
        )
        .await;
    assert!(areas_of(&platform, 1).await.contains(&"COM".to_owned()), "the trap is real");
    assert!(passereau_upserter::functions::trim_areas(&platform.pool).await.unwrap() > 0);
    assert!(!areas_of(&platform, 1).await.contains(&"COM".to_owned()));
    assert_eq!(passereau_upserter::functions::trim_areas(&platform.pool).await.unwrap(), 0);
}
