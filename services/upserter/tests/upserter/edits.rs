//! What people change in GeoNature stays, and is told.

use crate::platform::{INATURALIST, Platform, record};
use passereau_upserter::functions;
use serde_json::{Value, json};

/// A row that a person changes, and the column that is then theirs.
async fn edit(platform: &Platform, gbif_id: i64, assignments: &str) {
    platform
        .execute(&format!("UPDATE gn_synthese.synthese SET {assignments} WHERE entity_source_pk_value = '{gbif_id}'"))
        .await;
}

/// (gbif_id, kept, written, validated) of what is remembered as edited locally.
async fn edited(platform: &Platform) -> Vec<(i64, Vec<String>, Vec<String>, bool)> {
    sqlx::query_as("SELECT gbif_id, kept, written, validated FROM pinv_gbif.edited_locally ORDER BY 1")
        .fetch_all(&platform.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_column_that_a_person_changed_stays_and_the_others_follow_gbif() {
    let platform = Platform::new().await;
    platform
        .execute("INSERT INTO taxonomie.taxref (cd_nom, cd_ref, lb_nom, nom_complet) VALUES (700002, 700002, 'Parus ater', 'Parus ater Linnaeus, 1758')")
        .await;
    let first = platform.land("one", &(1..=4).map(record).collect::<Vec<_>>()).await;
    platform.run(first).await;
    edit(&platform, 1, "observers = 'Anne Martin'").await;
    edit(&platform, 2, "cd_nom = 700002").await;
    edit(&platform, 3, "the_geom_4326 = ST_SetSRID(ST_MakePoint(5.9, 45.3), 4326), the_geom_point = ST_SetSRID(ST_MakePoint(5.9, 45.3), 4326), the_geom_local = ST_Transform(ST_SetSRID(ST_MakePoint(5.9, 45.3), 4326), 2154)").await;
    edit(&platform, 4, "comment_description = 'a nest in the wall'").await;
    let areas = platform.areas().await;

    let changed = |id: i64| {
        record(id)
            .with("recorded_by", json!("B. Nyme"))
            .with("decimal_latitude", json!(45.5))
            .with("date_start", json!("2021-05-03T00:00:00"))
            .with("occurrence_remarks", json!("seen from afar"))
    };
    let second = platform
        .land("one", &[changed(1), changed(2), changed(3), record(4).with("occurrence_remarks", json!("on a wall"))])
        .await;
    let counts = platform.run(second).await;
    assert_eq!((counts.updated, counts.kept, counts.unchanged), (3, 1, 0));

    assert_eq!(platform.value(1, "observers").await.as_deref(), Some("Anne Martin"));
    assert_eq!(platform.value(1, "round(ST_Y(the_geom_4326)::numeric, 2)").await.as_deref(), Some("45.50"));
    assert_eq!(platform.value(1, "comment_description").await.as_deref(), Some("seen from afar"));
    assert_eq!(platform.value(2, "cd_nom").await.as_deref(), Some("700002"));
    assert_eq!(platform.value(2, "date_min").await.as_deref(), Some("2021-05-03 00:00:00"), "of the same group");
    assert_eq!(platform.value(3, "round(ST_Y(the_geom_4326)::numeric, 2)").await.as_deref(), Some("45.30"));
    assert_eq!(platform.value(3, "observers").await.as_deref(), Some("B. Nyme"));
    assert_eq!(platform.value(4, "comment_description").await.as_deref(), Some("a nest in the wall"));
    let after = platform.areas().await;
    let moved: Vec<_> = areas.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.0.as_str()).collect();
    assert_eq!(moved, ["1", "2"], "the place that a person gave is not computed again");

    assert_eq!(
        edited(&platform).await,
        [
            (1, vec!["observers".into()], vec![], false),
            (2, vec!["cd_nom".into()], vec![], false),
            (3, vec!["the_geom_4326".into()], vec![], false),
            (4, vec!["comment_description".into()], vec![], false),
        ]
    );
    let told: Value = sqlx::query_scalar("SELECT content FROM pinv_gbif.edited_locally WHERE gbif_id = 1")
        .fetch_one(&platform.pool)
        .await
        .unwrap();
    assert_eq!(told, json!({"observers": {"here": "Anne Martin", "gbif": "B. Nyme"}}));
}

#[tokio::test]
async fn an_edit_is_seen_at_each_harvest_and_forgotten_once_gbif_agrees() {
    let platform = Platform::new().await;
    let remark = |text: &str| record(1).with("occurrence_remarks", json!(text));
    platform.run(platform.land("one", &[remark("one bird")]).await).await;
    edit(&platform, 1, "comment_description = 'two birds'").await;

    for text in ["a bird", "some birds"] {
        let counts = platform.run(platform.land("one", &[remark(text)]).await).await;
        assert_eq!((counts.kept, counts.updated), (1, 0), "{text}");
        assert_eq!(platform.value(1, "comment_description").await.as_deref(), Some("two birds"));
    }
    // Another column of the same row, which nobody touched, is written; the edit goes on being one.
    let both = remark("some birds").with("verbatim_locality", json!("Meylan"));
    let counts = platform.run(platform.land("one", &[both]).await).await;
    assert_eq!((counts.kept, counts.updated), (0, 1));
    let counts = platform
        .run(platform.land("one", &[remark("no birds").with("verbatim_locality", json!("Meylan"))]).await)
        .await;
    assert_eq!((counts.kept, counts.updated), (1, 0));
    assert_eq!(edited(&platform).await.len(), 1);

    // GBIF says by now what the person wrote: nothing is to be written, and from here on the column follows GBIF again.
    let before = platform.fingerprint().await;
    let agreed = remark("two birds").with("verbatim_locality", json!("Meylan"));
    let counts = platform.run(platform.land("one", &[agreed]).await).await;
    assert_eq!((counts.unchanged, counts.kept, counts.updated), (1, 0, 0));
    assert_eq!(platform.fingerprint().await, before);
    assert!(edited(&platform).await.is_empty(), "nothing differs any more");
    let counts = platform
        .run(platform.land("one", &[remark("three birds").with("verbatim_locality", json!("Meylan"))]).await)
        .await;
    assert_eq!((counts.updated, counts.kept), (1, 0));
    assert_eq!(platform.value(1, "comment_description").await.as_deref(), Some("three birds"));
    assert!(edited(&platform).await.is_empty());
}

#[tokio::test]
async fn what_gbif_changes_on_a_validated_row_is_written_and_listed() {
    let platform = Platform::new().await;
    platform.run(platform.land("one", &[record(1), record(2)]).await).await;
    // As GeoNature's validation module does; its trigger copies the verdict into the synthèse.
    platform
        .execute(
            "INSERT INTO gn_commons.t_validations (uuid_attached_row, id_nomenclature_valid_status, validation_auto, validation_comment)
             SELECT unique_id_sinp, ref_nomenclatures.get_id_nomenclature('STATUT_VALID', '1'), false, 'photo checked'
             FROM gn_synthese.synthese WHERE entity_source_pk_value = '1'",
        )
        .await;
    let validated = platform.value(1, "id_nomenclature_valid_status").await;
    let moved = |id: i64| record(id).with("decimal_latitude", json!(45.6));
    let counts = platform.run(platform.land("one", &[moved(1), moved(2)]).await).await;
    assert_eq!((counts.updated, counts.kept), (2, 0));
    assert_eq!(platform.value(1, "validation_comment").await.as_deref(), Some("photo checked"));
    assert_eq!(platform.value(1, "id_nomenclature_valid_status").await, validated);
    assert_eq!(edited(&platform).await, [(1, vec![], vec!["the_geom_4326".into()], true)]);
    let told: Value = sqlx::query_scalar("SELECT content -> 'the_geom_4326' FROM pinv_gbif.edited_locally")
        .fetch_one(&platform.pool)
        .await
        .unwrap();
    assert_eq!(told, json!({"here": "POINT(5.72 45.18) 2154", "gbif": "POINT(5.72 45.6) 2154"}), "as it was validated");
}

#[tokio::test]
async fn a_row_changed_between_plan_and_slice_is_left_alone() {
    let platform = Platform::new().await;
    platform.run(platform.land("one", &[record(1), record(2)]).await).await;
    let remark = |id: i64| record(id).with("occurrence_remarks", json!("of the second"));
    let second = platform.land("one", &[remark(1), remark(2)]).await;
    assert_eq!(platform.plan(second).await, None);
    edit(&platform, 1, "observers = 'Anne Martin'").await;
    let counts = platform.run(second).await;
    assert_eq!((counts.updated, counts.kept), (1, 1));
    assert_eq!(platform.value(1, "comment_description").await, None, "the plan did not know of the edit");
    // The next harvest knows it: the column that nobody touched is written.
    let counts = platform.run(platform.land("one", &[remark(1), remark(2)]).await).await;
    assert_eq!((counts.updated, counts.unchanged), (1, 1));
    assert_eq!(platform.value(1, "comment_description").await.as_deref(), Some("of the second"));
    assert_eq!(platform.value(1, "observers").await.as_deref(), Some("Anne Martin"));
}

#[tokio::test]
async fn a_row_written_before_edits_could_be_told_is_updated_as_it_was() {
    let platform = Platform::new().await;
    platform.run(platform.land("one", &[record(1)]).await).await;
    platform.execute("UPDATE passereau.written SET columns = NULL").await;
    edit(&platform, 1, "observers = 'Anne Martin'").await;
    let counts = platform.run(platform.land("one", &[record(1).with("recorded_by", json!("B. Nyme"))]).await).await;
    assert_eq!((counts.updated, counts.kept), (1, 0));
    assert_eq!(platform.value(1, "observers").await.as_deref(), Some("B. Nyme"));
    // From here on an edit is told.
    edit(&platform, 1, "observers = 'Anne Martin'").await;
    let counts = platform.run(platform.land("one", &[record(1).with("recorded_by", json!("C. Nyme"))]).await).await;
    assert_eq!((counts.updated, counts.kept), (0, 1));
}

#[tokio::test]
async fn every_column_that_is_compared_is_one_of_the_synthese_and_of_the_row_texts() {
    let platform = Platform::new().await;
    platform.run(platform.land("one", &[record(1)]).await).await;
    let strangers: Vec<String> = sqlx::query_scalar(
        "SELECT c.name FROM unnest(passereau.column_names()) c (name)
         WHERE NOT EXISTS (SELECT FROM information_schema.columns i
                           WHERE i.table_schema = 'gn_synthese' AND i.table_name = 'synthese' AND i.column_name = c.name)",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    assert_eq!(strangers, Vec::<String>::new());
    // Each column in turn: a person's change of it, and only of it, is told apart.
    let touched = |column: &str, value: &str| {
        format!(
            "SELECT count(*) FROM passereau.written w JOIN gn_synthese.synthese s USING (id_synthese)
             CROSS JOIN LATERAL jsonb_populate_record(s, jsonb_build_object('{column}', {value})) changed
             WHERE passereau.row_hashes(s) = w.columns
               AND passereau.touched(w.columns, passereau.row_hashes(changed)) = ARRAY['{column}']"
        )
    };
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.name FROM unnest(passereau.column_names()) c (name) WHERE NOT c.name = ANY (passereau.watched_names())",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    assert_eq!(names.len(), 33);
    for column in names {
        let value = match column.as_str() {
            "the_geom_4326" => "ST_SetSRID(ST_MakePoint(1, 2), 4326)::text".to_owned(),
            "date_min" | "date_max" => "'1999-01-01T10:00:00'".to_owned(),
            "additional_data" => r#"'{"caste": "queen"}'::jsonb"#.to_owned(),
            name if name.starts_with("id_") || ["cd_nom", "precision", "count_min", "count_max"].contains(&name) => {
                "987654".to_owned()
            }
            _ => "'another'".to_owned(),
        };
        assert_eq!(platform.count(&touched(&column, &value)).await, 1, "{column}");
    }
}

#[tokio::test]
async fn a_plan_that_cannot_be_applied_whole_changes_nothing() {
    let platform = Platform::new().await;
    platform.run(platform.land("one", &[record(1), record(2)]).await).await;
    let second = platform.land("one", &[record(1).with("occurrence_remarks", json!("x")), record(2)]).await;
    assert_eq!(platform.plan(second).await, None);
    platform.execute("DELETE FROM passereau.plan").await;
    let before = platform.fingerprint().await;
    let refused = functions::apply(&platform.pool, second, 0).await.unwrap_err();
    assert_eq!(crate::platform::code(&refused), "PS003");
    assert_eq!(platform.fingerprint().await, before);
}

#[tokio::test]
async fn columns_that_belong_together_stay_together() {
    let platform = Platform::new().await;
    platform.run(platform.land("one", &[record(1), record(2), record(3)]).await).await;
    edit(&platform, 1, "count_max = 10").await;
    edit(&platform, 2, "date_max = '2021-06-15'").await;
    edit(&platform, 3, "the_geom_4326 = ST_SetSRID(ST_MakePoint(5.9, 45.3), 4326), the_geom_point = ST_SetSRID(ST_MakePoint(5.9, 45.3), 4326), the_geom_local = ST_Transform(ST_SetSRID(ST_MakePoint(5.9, 45.3), 4326), 2154)").await;
    let counts = platform
        .run(
            platform
                .land(
                    "one",
                    &[
                        record(1).with("individual_count", json!(20)),
                        record(2).with("date_start", json!("2021-07-01T00:00:00")),
                        record(3)
                            .with("coordinate_uncertainty_in_meters", json!(5000))
                            .with("occurrence_remarks", json!("far")),
                    ],
                )
                .await,
        )
        .await;
    assert_eq!((counts.updated, counts.kept), (1, 2), "GeoNature's checks of counts and dates hold");
    assert_eq!(platform.value(1, "count_min").await.as_deref(), Some("4"));
    assert_eq!(platform.value(2, "date_min").await.as_deref(), Some("2021-05-01 00:00:00"));
    assert_eq!(platform.value(3, "\"precision\"").await.as_deref(), Some("13"), "that of the place that a person gave");
    assert_eq!(platform.value(3, "comment_description").await.as_deref(), Some("far"));
}

#[tokio::test]
async fn a_position_that_becomes_obscured_becomes_its_cell_even_where_a_person_moved_it() {
    let platform = Platform::new().await;
    platform.execute("INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid) VALUES (10, 'aaaaaaaa-0000-4000-8000-000000000000')").await;
    let observation = || record(1).with("dataset_key", json!(INATURALIST)).with("inaturalist_id", json!(10));
    platform.run(platform.land("one", &[observation()]).await).await;
    edit(&platform, 1, "the_geom_4326 = ST_SetSRID(ST_MakePoint(5.7201, 45.1801), 4326), the_geom_point = ST_SetSRID(ST_MakePoint(5.7201, 45.1801), 4326), the_geom_local = ST_Transform(ST_SetSRID(ST_MakePoint(5.7201, 45.1801), 4326), 2154), validator = 'Anne Martin'").await;
    let obscured = observation()
        .with("information_withheld", json!("Coordinate uncertainty increased to 26691m to protect threatened taxon"))
        .with("coordinate_uncertainty_in_meters", json!(26691))
        .with("decimal_latitude", json!(45.11));
    let harvest = platform.land("one", &[obscured]).await;
    platform.run(harvest).await;
    assert_eq!(platform.value(1, "ST_GeometryType(the_geom_4326)").await.as_deref(), Some("ST_Polygon"));
    let told = "SELECT count(*) FROM (SELECT content::text AS text FROM pinv_gbif.edited_locally
                UNION ALL SELECT plan_summary::text FROM passereau.harvest) t WHERE t.text LIKE '%45.1801%'";
    assert_eq!(platform.count(told).await, 0, "the point is told nowhere any more");
}
