//! Records that no current generation holds any more.

use crate::platform::{DATASET, OTHER_DATASET, Platform, code, record};
use passereau_upserter::functions;
use serde_json::{Value, json};

const ASKED: &str = DATASET;

/// (gbif_id, what became of its row) of the records that are noted as vanished.
async fn noted(platform: &Platform) -> Vec<(i64, String)> {
    sqlx::query_as("SELECT gbif_id, vanished_how FROM passereau.written WHERE vanished_at IS NOT NULL ORDER BY 1")
        .fetch_all(&platform.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn by_default_a_vanished_record_keeps_its_row_untouched() {
    let platform = Platform::new().await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    let before = platform.fingerprint().await;
    let counts = platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    assert_eq!((counts.vanished, counts.unchanged), (1, 1));
    assert_eq!(platform.fingerprint().await, before);
    assert_eq!(noted(&platform).await, [(2, "kept".into())]);
    // It is back: vanished no more.
    let counts = platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    assert_eq!((counts.vanished, counts.unchanged), (0, 2));
    assert_eq!(platform.fingerprint().await, before);
    assert!(noted(&platform).await.is_empty());
}

#[tokio::test]
async fn a_marked_row_says_since_when_and_nothing_else_of_it_changes() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "mark"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    let rest = "to_jsonb(synthese) - 'meta_update_date' - 'additional_data' || jsonb_build_object('a', additional_data - 'vanished_at')";
    let before = platform.value(2, rest).await;
    let areas = platform.areas().await;
    let harvest = platform.land_whole("one", ASKED, &[record(1)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.vanished, counts.unchanged), (1, 1));
    assert_eq!(platform.value(2, rest).await, before);
    assert_eq!(platform.areas().await, areas);
    let today =
        platform.value(2, "additional_data ->> 'vanished_at' = to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')").await;
    assert_eq!(today.as_deref(), Some("true"));
    assert_eq!(platform.value(1, "additional_data ->> 'vanished_at'").await, None);
    assert_eq!(platform.count("SELECT marked FROM passereau.harvest ORDER BY created_at DESC LIMIT 1").await, 1);

    // Gone for good: the mark is not written again.
    let marked = platform.fingerprint().await;
    let counts = platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    assert_eq!((counts.vanished, counts.unchanged), (0, 1));
    assert_eq!(platform.fingerprint().await, marked);

    // Back, unchanged: the mark goes, and only the mark.
    let counts = platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    assert_eq!((counts.updated, counts.unchanged), (1, 1));
    assert_eq!(platform.value(2, "additional_data ->> 'vanished_at'").await, None);
    assert!(noted(&platform).await.is_empty());
    assert_eq!(platform.areas().await, areas);
}

#[tokio::test]
async fn a_deleted_row_is_archived_with_all_that_hung_on_it_and_can_be_made_again() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete", "media": true})).await;
    platform
        .execute("INSERT INTO gn_commons.bib_tables_location (table_desc, schema_name, table_name, pk_field, uuid_field_name)
                  VALUES ('x', 'gn_synthese', 'synthese', 'id_synthese', 'unique_id_sinp') ON CONFLICT DO NOTHING")
        .await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    // A photo that a person added, and GeoNature's automatic validation.
    platform
        .execute(
            "INSERT INTO gn_commons.t_medias (unique_id_media, id_nomenclature_media_type, id_table_location, uuid_attached_row, title_fr, media_url)
             SELECT gen_random_uuid(), ref_nomenclatures.get_id_nomenclature('TYPE_MEDIA', '2'), l.id_table_location, s.unique_id_sinp, 'a photo', 'https://example.org/1.jpg'
             FROM gn_synthese.synthese s, gn_commons.bib_tables_location l
             WHERE s.entity_source_pk_value = '2' AND l.schema_name = 'gn_synthese' AND l.table_name = 'synthese'",
        )
        .await;
    let row = platform.value(2, "to_jsonb(synthese)").await.unwrap();
    let harvest = platform.land_whole("one", ASKED, &[record(1)]).await;
    assert_eq!(platform.plan(harvest).await, None, "one row of two, whose brake needs fifty");
    platform.run(harvest).await;
    assert_eq!(platform.standing().await, [1]);
    assert_eq!(platform.count("SELECT deleted FROM passereau.harvest ORDER BY created_at DESC LIMIT 1").await, 1);
    assert_eq!(platform.count("SELECT count(*) FROM gn_commons.t_medias").await, 0);
    assert_eq!(
        platform.count("SELECT count(*) FROM gn_synthese.t_log_synthese WHERE last_action = 'D'").await,
        1,
        "GeoNature's own log"
    );
    assert_eq!(platform.count("SELECT count(*) FROM passereau.written WHERE gbif_id = 2").await, 0);
    let archived: (i32, i64) = sqlx::query_as("SELECT jsonb_array_length(media), gbif_id FROM passereau.deleted")
        .fetch_one(&platform.pool)
        .await
        .unwrap();
    assert_eq!(archived, (1, 2));

    // The row is whole in the archive.
    platform
        .execute("INSERT INTO gn_synthese.synthese SELECT (jsonb_populate_record(NULL::gn_synthese.synthese, content)).* FROM passereau.deleted")
        .await;
    let again: Value = serde_json::from_str(&platform.value(2, "to_jsonb(synthese)").await.unwrap()).unwrap();
    let before: Value = serde_json::from_str(&row).unwrap();
    for (column, value) in before.as_object().unwrap() {
        if !column.starts_with("meta_") {
            assert_eq!(&again[column], value, "{column}");
        }
    }
}

#[tokio::test]
async fn a_record_that_comes_back_after_its_row_was_deleted_enters_again_under_its_uuid() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    let uuids = platform.uuids().await;
    platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    let counts = platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    assert_eq!((counts.inserted, counts.unchanged), (1, 1));
    assert_eq!(platform.uuids().await, uuids);
}

#[tokio::test]
async fn nothing_goes_while_another_subscription_holds_the_record() {
    let platform = Platform::new().await;
    for name in ["one", "two"] {
        platform.decide(name, json!({"vanished": "delete"})).await;
        platform.run(platform.land_whole(name, ASKED, &[record(1), record(2)]).await).await;
    }
    let counts = platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    assert_eq!(counts.vanished, 0, "the second one claims it");
    assert_eq!(platform.standing().await, [1, 2]);
    let counts = platform.run(platform.land_whole("two", ASKED, &[record(1)]).await).await;
    assert_eq!(counts.vanished, 1);
    assert_eq!(platform.standing().await, [1]);
}

#[tokio::test]
async fn a_record_that_another_subscription_brings_after_the_plan_is_not_deleted() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    let harvest = platform.land_whole("one", ASKED, &[record(1)]).await;
    assert_eq!(platform.plan(harvest).await, None);
    platform.run(platform.land("two", &[record(2)]).await).await;
    platform.run(harvest).await;
    assert_eq!(platform.standing().await, [1, 2]);
}

#[tokio::test]
async fn an_incomplete_archive_removes_nothing_and_the_next_complete_one_does() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2), record(3)]).await).await;
    let harvest = platform.land_cut("one", ASKED, &[record(1)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.vanished, platform.standing().await), (2, vec![1, 2, 3]));
    assert_eq!(noted(&platform).await, [(2, "incomplete".into()), (3, "incomplete".into())]);
    assert_eq!(platform.summary(harvest).await["vanished"]["rows"], json!({"incomplete": 2}));
    // 3 was only missing from the broken archive.
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(3)]).await).await;
    assert_eq!(platform.standing().await, [1, 3]);
    assert!(noted(&platform).await.is_empty());
}

#[tokio::test]
async fn a_changed_predicate_removes_nothing_now_or_later_unless_somebody_releases_it() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    for _ in 0..2 {
        platform.run(platform.land_whole("one", OTHER_DATASET, &[record(1)]).await).await;
        assert_eq!(platform.standing().await, [1, 2]);
        assert_eq!(noted(&platform).await, [(2, "predicate_changed".into())]);
    }
    assert_eq!(platform.count("SELECT passereau.release_vanished('one')").await, 1);
    platform.run(platform.land_whole("one", OTHER_DATASET, &[record(1)]).await).await;
    assert_eq!(platform.standing().await, [1]);
}

#[tokio::test]
async fn a_stricter_setting_catches_up_with_what_was_kept_before() {
    let platform = Platform::new().await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    for (setting, standing) in [("mark", vec![1, 2]), ("delete", vec![1])] {
        platform.decide("one", json!({"vanished": setting})).await;
        platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
        assert_eq!(platform.standing().await, standing, "{setting}");
    }
}

#[tokio::test]
async fn more_than_five_percent_of_a_dataset_and_fifty_records_wait_for_a_person() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    let all: Vec<_> = (1..=1200).map(record).collect();
    // 60 of 1140 are 5.3 %; 57 of 1140 would be 5 %.
    let other: Vec<_> = (1141..=1200).map(|id| record(id).with("dataset_key", json!(OTHER_DATASET))).collect();
    let first: Vec<_> = all[..1140].iter().cloned().chain(other.iter().cloned()).collect();
    platform.run(platform.land_whole("one", ASKED, &first).await).await;

    let spared: Vec<_> = all[57..1140].iter().cloned().chain(other.iter().skip(11).cloned()).collect();
    let harvest = platform.land_whole("one", ASKED, &spared).await;
    assert_eq!(platform.plan(harvest).await, None, "57 of 1140, and 11 of 60");
    platform.execute("DELETE FROM passereau.plan; DELETE FROM passereau.slice; UPDATE passereau.harvest SET state = 'cancelled' WHERE state = 'planning'").await;

    let harvest = platform.land_whole("one", ASKED, &all[60..1140]).await;
    let reason = platform.plan(harvest).await.expect("both datasets lose too many");
    assert!(reason.contains(&format!("60 of the 1140 records of dataset {DATASET}")), "{reason}");
    assert!(reason.contains(&format!("60 of the 60 records of dataset {OTHER_DATASET}")), "{reason}");
    let told = &platform.summary(harvest).await["vanished"];
    assert_eq!((told["rows"]["delete"].as_i64(), told["datasets"].as_array().unwrap().len()), (Some(120), 2));
    assert_eq!(platform.standing().await.len(), 1200, "nothing has moved");

    // What is kept needs nobody's approval.
    platform.execute("UPDATE passereau.harvest SET settings = '{}' WHERE state = 'planning'; DELETE FROM passereau.plan; DELETE FROM passereau.slice; UPDATE passereau.harvest SET plan_cursor = NULL, unchanged = 0, vanished = 0 WHERE state = 'planning'").await;
    assert_eq!(platform.plan(harvest).await, None);
}

#[tokio::test]
async fn a_row_that_a_person_validated_or_reported_on_is_not_deleted_without_approval() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2), record(3), record(4)]).await).await;
    platform
        .execute(
            "INSERT INTO utilisateurs.t_roles (groupe, identifiant, nom_role) VALUES (false, 'anne', 'Martin');
             INSERT INTO gn_synthese.t_reports (id_synthese, id_role, content)
             SELECT s.id_synthese, r.id_role, 'is it one?' FROM gn_synthese.synthese s, utilisateurs.t_roles r
             WHERE s.entity_source_pk_value = '2' AND r.identifiant = 'anne';
             INSERT INTO gn_commons.t_validations (uuid_attached_row, id_nomenclature_valid_status, validation_auto, id_validator)
             SELECT s.unique_id_sinp, ref_nomenclatures.get_id_nomenclature('STATUT_VALID', '2'), false, r.id_role
             FROM gn_synthese.synthese s, utilisateurs.t_roles r WHERE s.entity_source_pk_value = '3' AND r.identifiant = 'anne'",
        )
        .await;
    let harvest = platform.land_whole("one", ASKED, &[record(1)]).await;
    let reason = platform.plan(harvest).await.expect("two of the three are somebody's");
    assert_eq!(reason, "2 rows would be deleted that a person has validated or reported on");
    // Approved: it goes, with the validation and the report in the archive.
    platform.run(harvest).await;
    assert_eq!(platform.standing().await, [1]);
    let kept: (i64, i64) = sqlx::query_as(
        "SELECT sum(jsonb_array_length(validations))::bigint, sum(jsonb_array_length(reports))::bigint FROM passereau.deleted",
    )
    .fetch_one(&platform.pool)
    .await
    .unwrap();
    assert_eq!(kept, (1, 1));
    assert_eq!(platform.count("SELECT count(*) FROM gn_commons.t_validations").await, 0);
}

#[tokio::test]
async fn a_row_changed_after_the_plan_is_neither_marked_nor_deleted() {
    for setting in ["mark", "delete"] {
        let platform = Platform::new().await;
        platform.decide("one", json!({"vanished": setting})).await;
        platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
        let harvest = platform.land_whole("one", ASKED, &[record(1)]).await;
        assert_eq!(platform.plan(harvest).await, None);
        platform
            .execute("UPDATE gn_synthese.synthese SET observers = 'Anne Martin' WHERE entity_source_pk_value = '2'")
            .await;
        platform.run(harvest).await;
        assert_eq!(platform.standing().await, [1, 2], "{setting}");
        assert_eq!(platform.value(2, "additional_data ->> 'vanished_at'").await, None, "{setting}");
        assert_eq!(noted(&platform).await, [(2, "changed_since_plan".into())], "{setting}");
    }
}

#[tokio::test]
async fn a_row_of_another_source_and_a_record_with_a_new_number_are_never_deleted() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete", "already_present": "update"})).await;
    let uuid = json!("dddddddd-0000-4000-8000-000000000000");
    platform
        .execute(
            "INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, unique_id_sinp, nom_cite, date_min, date_max)
             SELECT id_source, 'theirs', 'dddddddd-0000-4000-8000-000000000000', 'x', now(), now() FROM gn_synthese.t_sources WHERE name_source = 'Import'",
        )
        .await;
    let numbered = json!("eeeeeeee-0000-4000-8000-000000000000");
    let first = [record(1), record(2).with("producer_uuid", uuid), record(3).with("producer_uuid", numbered.clone())];
    platform.run(platform.land_whole("one", ASKED, &first).await).await;
    platform
        .run(platform.land_whole("one", ASKED, &[record(1), record(30).with("producer_uuid", numbered)]).await)
        .await;
    assert_eq!(platform.standing().await, [1, 30]);
    assert_eq!(
        platform.count("SELECT count(*) FROM gn_synthese.synthese WHERE entity_source_pk_value = 'theirs'").await,
        1
    );
    assert_eq!(platform.count("SELECT count(*) FROM passereau.deleted").await, 0);
}

#[tokio::test]
async fn a_role_that_may_not_read_reports_is_told_what_to_run() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    let harvest = platform.land_whole("one", ASKED, &[record(1)]).await;
    let mut tx = platform.pool.begin().await.unwrap();
    sqlx::raw_sql(
        "CREATE ROLE reader_of_nothing_vanished; GRANT USAGE ON SCHEMA passereau, pinv_gbif, gn_synthese, gn_meta, ref_geo, taxonomie, ref_nomenclatures, gn_commons TO reader_of_nothing_vanished;
         GRANT ALL ON ALL TABLES IN SCHEMA passereau, pinv_gbif, gn_meta, ref_geo, taxonomie, ref_nomenclatures, gn_commons TO reader_of_nothing_vanished;
         GRANT ALL ON gn_synthese.synthese, gn_synthese.t_sources, gn_synthese.defaults_nomenclatures_value TO reader_of_nothing_vanished",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::raw_sql("ALTER TABLE pinv_gbif.occurrence OWNER TO reader_of_nothing_vanished; SET LOCAL ROLE reader_of_nothing_vanished")
        .execute(&mut *tx)
        .await
        .unwrap();
    let refused = sqlx::query("SELECT passereau.reported(ARRAY[1])").execute(&mut *tx).await.unwrap_err();
    assert_eq!(code(&refused), "PS001");
    assert!(refused.to_string().contains("install --with-removal"), "{refused}");
    tx.rollback().await.unwrap();
    assert!(functions::plan(&platform.pool, harvest, 100).await.unwrap().done);
}

#[tokio::test]
async fn what_another_question_left_out_is_never_taken_for_a_loss() {
    // Kept first, and a stricter setting later.
    let platform = Platform::new().await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
    platform.run(platform.land_whole("one", OTHER_DATASET, &[record(1)]).await).await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", OTHER_DATASET, &[record(1)]).await).await;
    assert_eq!(platform.standing().await, [1, 2]);

    // Another question whose first answer is cut short, and the same question after an archive that was cut short.
    for (first, second) in [(OTHER_DATASET, OTHER_DATASET), (ASKED, OTHER_DATASET)] {
        let platform = Platform::new().await;
        platform.decide("one", json!({"vanished": "delete"})).await;
        platform.run(platform.land_whole("one", ASKED, &[record(1), record(2)]).await).await;
        platform.run(platform.land_cut("one", first, &[record(1)]).await).await;
        for _ in 0..2 {
            platform.run(platform.land_whole("one", second, &[record(1)]).await).await;
        }
        assert_eq!(platform.standing().await, [1, 2], "{first} {second}");
    }
}

#[tokio::test]
async fn a_record_that_moves_to_another_subscription_keeps_its_row() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2), record(3)]).await).await;
    // The other one has landed it before the plan, and has planned it as unchanged; or lands it after the plan.
    let other = platform.land("two", &[record(2)]).await;
    assert_eq!(platform.plan(other).await, None);
    let harvest = platform.land_whole("one", ASKED, &[record(1)]).await;
    assert_eq!(platform.plan(harvest).await, None);
    let later = platform.land("three", &[record(3)]).await;
    platform.run(harvest).await;
    assert_eq!(platform.standing().await, [1, 2, 3]);
    for harvest in [other, later] {
        assert_eq!(platform.run(harvest).await.unchanged, 1);
    }
}

#[tokio::test]
async fn a_report_after_the_plan_keeps_the_row() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2), record(3)]).await).await;
    let harvest = platform.land_whole("one", ASKED, &[record(1)]).await;
    assert_eq!(platform.plan(harvest).await, None);
    platform
        .execute(
            "INSERT INTO utilisateurs.t_roles (groupe, identifiant, nom_role) VALUES (false, 'anne', 'Martin');
             INSERT INTO gn_synthese.t_reports (id_synthese, id_role, content)
             SELECT s.id_synthese, r.id_role, 'is it one?' FROM gn_synthese.synthese s, utilisateurs.t_roles r
             WHERE s.entity_source_pk_value = '2' AND r.identifiant = 'anne'",
        )
        .await;
    platform.run(harvest).await;
    assert_eq!(platform.standing().await, [1, 2]);
}

#[tokio::test]
async fn records_that_never_entered_do_not_loosen_the_brake() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    // 60 of 2060 records have entered; all of them go.
    let entered: Vec<_> = (1..=60).map(record).collect();
    let refused = (61..=2060).map(|id| record(id).with("taxon_key", json!("1")));
    let first: Vec<_> = entered.into_iter().chain(refused.clone()).collect();
    platform.run(platform.land_whole("one", ASKED, &first).await).await;
    let harvest = platform.land_whole("one", ASKED, &refused.collect::<Vec<_>>()).await;
    let reason = platform.plan(harvest).await.expect("2.9 % of the records, and every row");
    assert!(reason.contains("60 of the 60 records"), "{reason}");
}

#[tokio::test]
async fn a_narrowed_request_is_planned_chunk_by_chunk() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "mark"})).await;
    platform.run(platform.land_whole("one", ASKED, &(1..=40).map(record).collect::<Vec<_>>()).await).await;
    let harvest = platform.land_whole("one", ASKED, &[record(1), record(40)]).await;
    let mut chunks = 0;
    while !functions::plan(&platform.pool, harvest, 10).await.unwrap().done {
        chunks += 1;
    }
    assert!(chunks >= 3, "{chunks}");
    let counts = platform.run(harvest).await;
    assert_eq!((counts.vanished, counts.unchanged), (38, 2));
    assert_eq!(platform.count("SELECT marked FROM passereau.harvest ORDER BY created_at DESC LIMIT 1").await, 38);
}

#[tokio::test]
async fn the_mark_goes_with_the_return_even_of_an_edited_or_rejected_record() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "mark"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1), record(2), record(3)]).await).await;
    platform
        .execute(
            "UPDATE gn_synthese.synthese SET additional_data = additional_data || '{\"license\": \"CC0\"}' WHERE entity_source_pk_value = '2'",
        )
        .await;
    platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    for id in [2, 3] {
        assert!(platform.value(id, "additional_data ->> 'vanished_at'").await.is_some());
    }
    let back = [record(1), record(2), record(3).with("date_start", json!(null)).with("event_date", json!(null))];
    for _ in 0..2 {
        let counts = platform.run(platform.land_whole("one", ASKED, &back).await).await;
        assert_eq!(counts.rejected, 1);
        for id in [2, 3] {
            assert_eq!(platform.value(id, "additional_data ->> 'vanished_at'").await, None, "{id}");
        }
    }
    assert_eq!(platform.value(2, "additional_data ->> 'license'").await.as_deref(), Some("CC0"));
}

/// A harvest that was cancelled after all that it planned had been written.
async fn cancelled_on_its_way(platform: &Platform, predicate: &str, ids: &[i64]) {
    let records: Vec<_> = ids.iter().map(|id| record(*id)).collect();
    let harvest = platform.land_whole("one", predicate, &records).await;
    functions::plan(&platform.pool, harvest, 100).await.unwrap();
    functions::apply(&platform.pool, harvest, 0).await.unwrap();
    platform.execute("UPDATE passereau.harvest SET state = 'upserting' WHERE state = 'planning'").await;
    let mut tx = platform.pool.begin().await.unwrap();
    assert!(passereau_harvest::cancel(&mut tx, harvest, "cancelled by the test").await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn rows_that_only_a_cancelled_harvest_asked_for_are_told_and_go_once_somebody_says_so() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    cancelled_on_its_way(&platform, OTHER_DATASET, &[1, 2, 3]).await;
    assert_eq!(platform.uuids().await.len(), 3);

    platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    assert_eq!(noted(&platform).await, [(2, "predicate_changed".into()), (3, "predicate_changed".into())]);
    assert_eq!(platform.uuids().await.len(), 3);
    platform.execute("SELECT passereau.release_vanished('one')").await;
    platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    assert_eq!(platform.uuids().await.len(), 1);
}

#[tokio::test]
async fn a_record_that_is_gone_since_a_harvest_was_cancelled_has_vanished_like_any_other() {
    let platform = Platform::new().await;
    platform.decide("one", json!({"vanished": "delete"})).await;
    platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    cancelled_on_its_way(&platform, ASKED, &[1, 2]).await;
    assert_eq!(platform.uuids().await.len(), 2);
    platform.run(platform.land_whole("one", ASKED, &[record(1)]).await).await;
    assert_eq!(platform.uuids().await.len(), 1);
}
