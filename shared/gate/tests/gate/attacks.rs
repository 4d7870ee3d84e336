//! What else of a blurred row could betray the place, or link it to an exact row.

use passereau_gate::{Field, Query, Selection};
use serde_json::json;

use crate::platform::{INSIDE, KEY, M10, MESH, Platform, copy, everything, in_territory};

/// Rows of one outing enter one after the other: an order by id would put the blurred one beside its exact neighbours.
#[tokio::test]
async fn the_order_of_blurred_rows_is_that_of_their_names() {
    let platform = Platform::new().await;
    let mut by_id = Vec::new();
    for day in 1..=40 {
        let level = if day % 2 == 0 { "2" } else { "3" };
        let day = format!("2026-03-{:02}", day.min(28));
        platform.record(Some(level), json!({ "date_min": day, "date_max": day })).await;
        by_id.push(day);
    }
    let output = platform.gate(&everything()).await;
    let rows = output.blurred();
    let names: Vec<_> = rows.iter().map(|row| row.id.clone().expect("name")).collect();
    assert!(names.is_sorted() && names.len() == 40);
    let days: Vec<_> = rows.iter().map(|row| row.value("date_debut").expect("day").to_owned()).collect();
    assert_ne!(days, by_id);
    // The same rows in another order on disk, with other ids and days of entry.
    platform
        .execute(
            "UPDATE gn_synthese.synthese SET id_synthese = 1000000 - id_synthese, comment_context = 'x';
             CLUSTER gn_synthese.synthese USING pk_synthese",
        )
        .await;
    assert_eq!(platform.gate(&everything()).await.blurred, output.blurred);
}

#[tokio::test]
async fn hidden_columns_of_a_blurred_row_name_neither_id_nor_harvest() {
    let platform = Platform::new().await;
    let data = json!({ "license": "CC0_1_0" });
    platform
        .record(Some("2"), json!({ "source": "GBIF", "entity_source_pk_value": "12", "additional_data": data }))
        .await;
    platform
        .execute(
            "INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash, rest_hash, harvest_id)
             SELECT 12, id_synthese, unique_id_sinp, cd_nom, u, u, u, u, u FROM gn_synthese.synthese, gen_random_uuid() u",
        )
        .await;
    let before = platform.gate(&everything()).await;
    let row = before.one_blurred();
    assert_eq!((row.id_synthese, row.harvest.clone()), (None, Some(passereau_gate::SOME_HARVEST.to_string())));
    assert_eq!(row.value("nom_source"), Some("GBIF"));
    // A later harvest brings the record again, because its place has changed.
    platform.execute("UPDATE passereau.written SET harvest_id = gen_random_uuid(), written_at = now()").await;
    assert_eq!(platform.gate(&everything()).await, before);
}

/// Partners who compare their flows find no common name; the same flow keeps its names.
#[tokio::test]
async fn a_record_has_another_name_in_another_flow() {
    let platform = Platform::new().await;
    platform.record(Some("2"), json!({})).await;
    platform.record(Some("2"), json!({ "unique_id_sinp": null })).await;
    platform.flow("inventory", None).await;
    sqlx::query("UPDATE passereau.flow SET key = $1 WHERE name = 'inventory'")
        .bind(&[9_u8; 32][..])
        .execute(&platform.database.pool)
        .await
        .expect("key");
    let names =
        |output: &crate::platform::Output| output.blurred().iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    let atlas = platform.gate(&everything()).await;
    let inventory = platform.gate(&Selection { flow: "inventory".into(), ..everything() }).await;
    assert!(names(&atlas).iter().all(|name| !names(&inventory).contains(name)));
    assert_eq!(platform.gate(&everything()).await, atlas);
    let uuids: Vec<String> =
        sqlx::query_scalar("SELECT unique_id_sinp::text FROM gn_synthese.synthese WHERE unique_id_sinp IS NOT NULL")
            .fetch_all(&platform.database.pool)
            .await
            .expect("uuids");
    assert!(uuids.iter().all(|uuid| !atlas.blurred.contains(uuid)));
}

/// Without its key the names would be known, without its territory everything would leave.
#[tokio::test]
async fn a_flow_without_its_row_or_with_a_territory_that_the_selection_forgets_is_shut() {
    let platform = Platform::new().await;
    platform.record(Some("0"), json!({})).await;
    platform.record(Some("2"), json!({})).await;
    let shut = |output: crate::platform::Output| (output.exact, output.blurred, output.tally.len());
    let nothing = (String::new(), String::new(), 0);
    let unknown = Selection { flow: "unknown".into(), ..everything() };
    assert_eq!(shut(platform.gate(&unknown).await), nothing);
    let other_version = Selection { version: 2, ..everything() };
    assert_eq!(shut(platform.gate(&other_version).await), nothing, "version 1 is in force");
    assert_eq!(shut(platform.gate(&in_territory()).await), nothing, "it has no territory");
    platform.flow("atlas", Some(MESH)).await;
    assert_eq!(shut(platform.gate(&everything()).await), nothing, "the selection forgets the territory");
}

/// The setting is that of a transaction: a statement without it reads nothing.
#[tokio::test]
async fn nothing_leaves_without_a_selection() {
    let platform = Platform::new().await;
    platform.record(Some("0"), json!({})).await;
    platform.record(Some("2"), json!({})).await;
    let query = Query::new(everything(), Field::all().iter().collect());
    let mut connection = platform.database.pool.acquire().await.expect("connection");
    for _ in 0..2 {
        assert_eq!(copy(&mut connection, &query.exact_rows(i32::MIN, 10).0).await.expect("copy"), "");
        assert_eq!(copy(&mut connection, &query.blurred_rows().0).await.expect("copy"), "");
        assert!(query.tally(&mut connection).await.expect("tally").is_empty());
        // Outside a transaction it is gone at once.
        query.begin(&mut connection).await.expect("selection");
    }
}

/// `cor_area_synthese` still holds the area of an old place (triggers were off).
#[tokio::test]
async fn a_stale_area_is_none() {
    let platform = Platform::new().await;
    platform.record(Some("2"), json!({})).await;
    platform
        .execute(
            "SET session_replication_role = replica;
             UPDATE gn_synthese.synthese SET the_geom_local = 'SRID=2154;POINT(953000 6503000)';
             SET session_replication_role = origin",
        )
        .await;
    assert_eq!(platform.gate(&everything()).await.withheld(), [("no_area".into(), 1)]);
    platform
        .execute("SET session_replication_role = replica; UPDATE gn_synthese.synthese SET the_geom_local = NULL; SET session_replication_role = origin")
        .await;
    assert_eq!(platform.gate(&everything()).await.withheld(), [("no_area".into(), 1)]);
}

#[tokio::test]
async fn a_disabled_area_is_none() {
    let platform = Platform::new().await;
    platform.record(Some("2"), json!({})).await;
    platform
        .execute(
            "SET session_replication_role = replica; UPDATE ref_geo.l_areas SET enable = false WHERE area_code = '10kmL93E090N650';
             SET session_replication_role = origin",
        )
        .await;
    assert_eq!(platform.gate(&everything()).await.withheld(), [("no_area".into(), 1)]);
}

/// Two systems of coordinates never meet in silence.
#[tokio::test]
async fn a_territory_or_an_area_of_another_srid_is_refused() {
    let platform = Platform::new().await;
    platform.record(Some("0"), json!({})).await;
    platform.record(Some("2"), json!({})).await;
    platform.flow("atlas", Some("SRID=4326;POLYGON((5 45,6 45,6 46,5 46,5 45))")).await;
    let fields = || Field::all().iter().collect();
    assert!(platform.gate_with(&in_territory(), fields()).await.is_err());
    platform.flow("atlas", None).await;
    platform
        .execute(
            "SET session_replication_role = replica; ALTER TABLE ref_geo.l_areas DROP CONSTRAINT enforce_srid_l_areas_geom;
             ALTER TABLE ref_geo.l_areas ALTER geom TYPE geometry(MultiPolygon, 3857) USING ST_SetSRID(geom, 3857); SET session_replication_role = origin",
        )
        .await;
    assert!(platform.gate_with(&everything(), fields()).await.is_err());
}

/// A territory made of the border between two meshes, with the metre around it: no area lies in it.
#[tokio::test]
async fn a_territory_made_of_a_border_catches_no_area() {
    let platform = Platform::new().await;
    for x in ["910000", "909999.9", "910000.1", "903000"] {
        platform.record(Some("2"), json!({ "the_geom_local": format!("SRID=2154;POINT({x} 6505000)") })).await;
    }
    for territory in [
        "SRID=2154;LINESTRING(910000 6500000, 910000 6510000)",
        "SRID=2154;POLYGON((909999 6500000,910001 6500000,910001 6510000,909999 6510000,909999 6500000))",
        "SRID=2154;POINT(910000 6505000)",
        "SRID=2154;POLYGON EMPTY",
    ] {
        platform.flow("atlas", Some(territory)).await;
        let output = platform.gate(&in_territory()).await;
        assert_eq!((output.blurred.as_str(), output.tally.len()), ("", 0), "{territory}");
    }
    // The mesh with a hole of the site: the hole cannot tell whether the record is in it.
    let hole = "SRID=2154;POLYGON((900000 6500000,910000 6500000,910000 6510000,900000 6510000,900000 6500000),
                (902000 6502000,904000 6502000,904000 6504000,902000 6504000,902000 6502000))";
    platform.flow("atlas", Some(hole)).await;
    assert!(platform.gate(&in_territory()).await.tally.is_empty());
}

/// Two deliveries, or two flows that differ by a sliver, show a blurred row in both or in none.
#[tokio::test]
async fn the_difference_of_two_territories_says_nothing_of_the_place() {
    let platform = Platform::new().await;
    platform.record(Some("2"), json!({ "the_geom_local": INSIDE })).await;
    let square = |west: i32| {
        format!("SRID=2154;POLYGON(({west} 6499000,911000 6499000,911000 6511000,{west} 6511000,{west} 6499000))")
    };
    let mut seen = Vec::new();
    for west in [899_000, 900_000, 902_500, 903_500] {
        platform.flow("atlas", Some(&square(west))).await;
        seen.push(platform.gate(&in_territory()).await.blurred().len());
    }
    assert_eq!(seen, [1, 1, 0, 0], "by the border of the mesh at 900 km, not by the point at 903");
}

/// The shape of the area comes from the area alone, and is the whole of it.
#[tokio::test]
async fn the_geometry_of_a_blurred_row_is_that_of_its_area() {
    let platform = Platform::new().await;
    platform.record(Some("2"), json!({})).await;
    let row = platform.gate(&everything()).await.one_blurred();
    let (code, covered): (String, f64) = sqlx::query_as(
        "SELECT l.area_code, ST_Area(ST_Intersection(l.geom, w.geom)) / ST_Area(ST_Union(l.geom, w.geom))
         FROM ref_geo.l_areas l, (SELECT ST_Transform(ST_GeomFromWKB(decode($1, 'hex'), 4326), 2154) AS geom) w WHERE l.area_code = $2",
    )
    .bind(row.geometry.expect("geometry"))
    .bind(M10)
    .fetch_one(&platform.database.pool)
    .await
    .expect("area");
    assert_eq!(code, M10);
    assert!(covered > 0.99, "{covered}");
}

/// 120 bits of a keyed digest.
#[tokio::test]
async fn names_are_uuids_that_depend_on_the_whole_key() {
    let platform = Platform::new().await;
    let name = "SELECT passereau.pseudonym($1, '6f9619ff-8b86-4011-b42d-00c04fc964ff', 1)";
    let mut names = Vec::new();
    for position in 0..32 {
        let mut key = KEY;
        key[position] ^= 1;
        let name: uuid::Uuid =
            sqlx::query_scalar(name).bind(&key[..]).fetch_one(&platform.database.pool).await.expect("name");
        assert_eq!((name.get_version_num(), name.get_variant()), (8, uuid::Variant::RFC4122));
        names.push(name);
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 32);
}
