//! Media enter gn_commons.t_medias once, follow what changes at GBIF, and leave people's media and edits alone.

use crate::platform::{Counts, Platform, Record, code, record};
use passereau_upserter::functions;
use serde_json::{Value, json};
use sqlx::types::Uuid;

const CC_BY: &str = "http://creativecommons.org/licenses/by/4.0/";

/// What `passereau install` adds.
const LOCATION: &str =
    "INSERT INTO gn_commons.bib_tables_location (table_desc, schema_name, table_name, pk_field, uuid_field_name)
    VALUES ('Synthèse', 'gn_synthese', 'synthese', 'id_synthese', 'unique_id_sinp') ON CONFLICT DO NOTHING";

async fn platform() -> Platform {
    let platform = Platform::new().await;
    platform.execute(LOCATION).await;
    platform
}

/// A photograph with a licence.
fn photo(gbif_id: i64, name: &str) -> Value {
    json!({
        "gbif_id": gbif_id, "type": "StillImage", "format": "image/jpeg", "identifier": format!("https://photos.example.org/{name}.jpg"),
        "references": format!("https://www.example.org/photos/{name}"), "license": CC_BY, "creator": "A. Nonyme",
    })
}

fn with(mut media: Value, column: &str, value: Value) -> Value {
    media[column] = value;
    media
}

/// Records and their media landed, for a subscription with these settings.
async fn land(platform: &Platform, settings: Value, records: &[Record], media: &[Value]) -> Uuid {
    platform.decide("one", settings).await;
    let harvest = platform.land("one", records).await;
    sqlx::query(
        "INSERT INTO pinv_gbif.multimedia
         SELECT r.* FROM passereau.harvest h, unnest($2::jsonb[]) media,
              jsonb_populate_record(NULL::pinv_gbif.multimedia, media || jsonb_build_object('generation_id', h.generation_id)) r
         WHERE h.id = $1",
    )
    .bind(harvest)
    .bind(media)
    .execute(&platform.pool)
    .await
    .unwrap();
    harvest
}

/// A whole harvest with media; applying them once more changes nothing.
async fn harvest(platform: &Platform, records: &[Record], media: &[Value]) -> Counts {
    let harvest = land(platform, json!({ "media": true }), records, media).await;
    let counts = platform.run(harvest).await;
    let before = versions(platform).await;
    sqlx::query("SELECT passereau.apply_media($1, 0, 9223372036854775807)")
        .bind(harvest)
        .execute(&platform.pool)
        .await
        .unwrap();
    assert_eq!(versions(platform).await, before);
    counts
}

/// Changes with every row version of the media and with each line of their history.
async fn versions(platform: &Platform) -> Vec<(i32, String)> {
    sqlx::query_as(
        "SELECT id_media, xmin::text || ctid::text FROM gn_commons.t_medias
         UNION ALL SELECT -count(*)::integer, 'history' FROM gn_commons.t_history_actions ORDER BY 1",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

/// Record, type and address of each media, by address.
async fn shown(platform: &Platform) -> Vec<(String, String, String)> {
    sqlx::query_as(
        "SELECT s.entity_source_pk_value, n.cd_nomenclature, m.media_url
         FROM gn_commons.t_medias m
         JOIN gn_synthese.synthese s ON s.unique_id_sinp = m.uuid_attached_row
         JOIN ref_nomenclatures.t_nomenclatures n ON n.id_nomenclature = m.id_nomenclature_media_type
         ORDER BY m.media_url",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

async fn addresses(platform: &Platform) -> Vec<String> {
    shown(platform).await.into_iter().map(|(_, _, address)| address).collect()
}

#[tokio::test]
async fn each_media_enters_with_its_type_and_within_geonatures_lengths() {
    let platform = platform().await;
    let typed = |name: &str, kind: Value, format: Value| with(with(photo(2, name), "type", kind), "format", format);
    let counts = harvest(
        &platform,
        &[record(1), record(2), record(3)],
        &[
            with(
                with(with(photo(1, "a"), "title", json!("é".repeat(300))), "creator", json!("ü".repeat(300))),
                "rights_holder",
                json!("Museum"),
            ),
            // Stands twice, once without its licence.
            with(photo(1, "a"), "license", json!(null)),
            photo(1, "b"),
            typed("c", json!("Sound"), json!("audio/mpeg")),
            typed("d", json!("MovingImage"), json!(null)),
            typed("e", json!(null), json!("image/png")),
            typed("f", json!("InteractiveResource"), json!("text/html")),
            // Left out.
            photo(3, &"long".repeat(60)),
            json!({ "gbif_id": 3, "type": "StillImage", "identifier": "javascript:alert(1)", "license": CC_BY }),
            json!({ "gbif_id": 3, "type": "StillImage" }),
        ],
    )
    .await;
    assert_eq!(counts.inserted, 3);
    let shown = shown(&platform).await;
    let shown: Vec<_> = shown.iter().map(|(id, kind, url)| (id.as_str(), kind.as_str(), url.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("1", "2", "https://photos.example.org/a.jpg"),
            ("1", "2", "https://photos.example.org/b.jpg"),
            ("2", "5", "https://photos.example.org/c.jpg"),
            ("2", "6", "https://photos.example.org/d.jpg"),
            ("2", "2", "https://photos.example.org/e.jpg"),
            ("2", "3", "https://photos.example.org/f.jpg"),
        ]
    );

    let row: (Uuid, String, String, String, bool) = sqlx::query_as(
        "SELECT unique_id_media, title_fr, author, description_fr, is_public FROM gn_commons.t_medias WHERE media_url LIKE '%/a.jpg'",
    )
    .fetch_one(&platform.pool)
    .await
    .unwrap();
    assert_eq!(
        row.0,
        Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://www.gbif.org/occurrence/1#https://photos.example.org/a.jpg")
    );
    assert_eq!((row.1.chars().count(), row.2.chars().count(), row.4), (255, 100, true));
    assert_eq!(row.3, format!("{CC_BY} · Museum · GBIF"));
    let title: String = sqlx::query_scalar("SELECT title_fr FROM gn_commons.t_medias WHERE media_url LIKE '%/b.jpg'")
        .fetch_one(&platform.pool)
        .await
        .unwrap();
    assert_eq!(title, "Parus major", "GeoNature shows an empty title as null");

    let left_out: Vec<(i64, bool)> =
        sqlx::query_as("SELECT gbif_id, length(address) > 255 FROM passereau.media WHERE id_media IS NULL ORDER BY 2")
            .fetch_all(&platform.pool)
            .await
            .unwrap();
    assert_eq!(left_out, [(3, false), (3, true)]);
    assert_eq!(platform.count("SELECT count(*) FROM gn_commons.t_history_actions").await, 6, "the history stays on");
}

#[tokio::test]
async fn a_media_without_a_licence_stays_a_link_to_its_page() {
    let platform = platform().await;
    harvest(
        &platform,
        &[record(1)],
        &[
            with(photo(1, "none"), "license", json!(null)),
            with(photo(1, "reserved"), "license", json!("All Rights Reserved")),
            with(photo(1, "holder"), "license", json!("© The Board of Trustees of the Royal Botanic Gardens, Kew.")),
            with(with(photo(1, "pageless"), "license", json!(null)), "references", json!(null)),
            with(photo(1, "code"), "license", json!("CC_BY_NC_4_0")),
        ],
    )
    .await;
    let shown = shown(&platform).await;
    let shown: Vec<_> = shown.iter().map(|(_, kind, url)| (kind.as_str(), url.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("2", "https://photos.example.org/code.jpg"),
            ("3", "https://photos.example.org/pageless.jpg"),
            ("3", "https://www.example.org/photos/holder"),
            ("3", "https://www.example.org/photos/none"),
            ("3", "https://www.example.org/photos/reserved"),
        ]
    );
}

#[tokio::test]
async fn the_same_media_again_write_nothing() {
    let platform = platform().await;
    let media = [photo(1, "a"), photo(1, "b"), photo(2, "c")];
    harvest(&platform, &[record(1), record(2)], &media).await;
    let before = versions(&platform).await;

    // In another order, and one of them twice.
    let again = [media[2].clone(), media[1].clone(), media[0].clone(), media[1].clone()];
    let counts = harvest(&platform, &[record(1), record(2)], &again).await;
    assert_eq!((counts.unchanged, counts.updated), (2, 0));
    assert_eq!(versions(&platform).await, before);

    // The records change, their media do not.
    let remarked = |id| record(id).with("occurrence_remarks", json!("seen again"));
    let counts = harvest(&platform, &[remarked(1), remarked(2)], &media).await;
    assert_eq!(counts.updated, 2);
    assert_eq!(versions(&platform).await, before);
}

#[tokio::test]
async fn a_change_of_the_media_alone_is_written_and_what_people_decided_stays() {
    let platform = platform().await;
    harvest(&platform, &[record(1), record(2)], &[photo(1, "a"), photo(1, "b"), photo(2, "c")]).await;
    platform.execute("UPDATE gn_commons.t_medias SET is_public = false WHERE media_url LIKE '%/a.jpg'").await;
    let before = versions(&platform).await;

    let counts = harvest(
        &platform,
        &[record(1), record(2)],
        &[with(photo(1, "a"), "creator", json!("B. Nonyme")), photo(1, "b"), photo(2, "c")],
    )
    .await;
    assert_eq!((counts.updated, counts.unchanged), (1, 1));
    let row: (String, bool) =
        sqlx::query_as("SELECT author, is_public FROM gn_commons.t_medias WHERE media_url LIKE '%/a.jpg'")
            .fetch_one(&platform.pool)
            .await
            .unwrap();
    assert_eq!((row.0.as_str(), row.1), ("B. Nonyme", false));
    let after = versions(&platform).await;
    let changed = after.iter().filter(|version| version.0 > 0 && !before.contains(version)).count();
    assert_eq!((after.len(), changed), (before.len(), 1), "one row, and the others as they were");

    // A licence is withdrawn: the same row becomes a link.
    let withdrawn = [with(photo(1, "a"), "license", json!(null)), photo(1, "b"), photo(2, "c")];
    harvest(&platform, &[record(1), record(2)], &withdrawn).await;
    assert_eq!(
        addresses(&platform).await,
        ["https://photos.example.org/b.jpg", "https://photos.example.org/c.jpg", "https://www.example.org/photos/a"]
    );
}

#[tokio::test]
async fn a_media_that_becomes_too_long_for_geonature_goes_and_comes_back_when_it_fits() {
    let platform = platform().await;
    let page = |length: usize| {
        let media = with(photo(1, "a"), "license", json!(null));
        [with(media, "references", json!(format!("https://www.example.org/{}", "p".repeat(length))))]
    };
    for (length, media) in [(10, 1), (300, 0), (20, 1)] {
        harvest(&platform, &[record(1)], &page(length)).await;
        assert_eq!(addresses(&platform).await.len(), media, "page of {length}");
        assert_eq!(platform.count("SELECT count(*) FROM passereau.media").await, 1);
    }
}

#[tokio::test]
async fn media_that_a_record_lost_go_and_a_persons_media_stay() {
    let platform = platform().await;
    harvest(&platform, &[record(1), record(2)], &[photo(1, "a"), photo(1, "b"), photo(2, "c")]).await;
    platform
        .execute(
            "INSERT INTO gn_commons.t_medias (id_nomenclature_media_type, id_table_location, uuid_attached_row, title_fr, media_url)
             SELECT m.id_nomenclature_media_type, m.id_table_location, m.uuid_attached_row, 'mine', 'https://people.example.org/mine.jpg'
             FROM gn_commons.t_medias m WHERE m.media_url LIKE '%/a.jpg'",
        )
        .await;

    let counts = harvest(&platform, &[record(1), record(2)], &[photo(1, "b"), photo(2, "c")]).await;
    assert_eq!((counts.updated, counts.unchanged), (1, 1));
    let mine = "https://people.example.org/mine.jpg";
    assert_eq!(
        addresses(&platform).await,
        [mine, "https://photos.example.org/b.jpg", "https://photos.example.org/c.jpg"]
    );

    harvest(&platform, &[record(1), record(2)], &[]).await;
    assert_eq!(addresses(&platform).await, [mine]);
    assert_eq!(platform.count("SELECT count(*) FROM passereau.media").await, 0);
}

#[tokio::test]
async fn a_media_that_somebody_deleted_in_geonature_does_not_come_back() {
    let platform = platform().await;
    harvest(&platform, &[record(1)], &[photo(1, "a"), photo(1, "b")]).await;
    platform.execute("DELETE FROM gn_commons.t_medias WHERE media_url LIKE '%/a.jpg'").await;

    // Neither when the record changes, nor when the media does.
    let changed = [with(photo(1, "a"), "creator", json!("B. Nonyme")), photo(1, "b")];
    let counts = harvest(&platform, &[record(1).with("occurrence_remarks", json!("seen again"))], &changed).await;
    assert_eq!(counts.updated, 1);
    assert_eq!(addresses(&platform).await, ["https://photos.example.org/b.jpg"]);
}

#[tokio::test]
async fn without_the_setting_no_media_is_touched() {
    let platform = platform().await;
    let off = land(&platform, json!({}), &[record(1)], &[photo(1, "a")]).await;
    platform.run(off).await;
    assert_eq!(addresses(&platform).await, [""; 0]);

    // Turned on, they enter, though nothing of the record has changed; turned off, they stay.
    let counts = harvest(&platform, &[record(1)], &[photo(1, "a")]).await;
    assert_eq!((counts.updated, counts.inserted), (1, 0));
    assert_eq!(addresses(&platform).await, ["https://photos.example.org/a.jpg"]);
    let off = land(&platform, json!({ "media": false }), &[record(1)], &[]).await;
    platform.run(off).await;
    assert_eq!(addresses(&platform).await, ["https://photos.example.org/a.jpg"]);
}

#[tokio::test]
async fn a_geonature_that_is_not_prepared_for_media_names_the_command_and_nothing_enters() {
    let platform = Platform::new().await;
    let harvest = land(&platform, json!({ "media": true }), &[record(1)], &[photo(1, "a")]).await;
    assert_eq!(functions::plan(&platform.pool, harvest, 100).await.unwrap().slices, Some(1));
    let error = functions::apply(&platform.pool, harvest, 0).await.unwrap_err();
    assert_eq!(code(&error), "PS001");
    assert!(error.to_string().contains("passereau install --role passereau --with-media"), "{error}");
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.synthese").await, 0);

    platform.execute(LOCATION).await;
    let inactive = |code: &str| {
        format!(
            "UPDATE ref_nomenclatures.t_nomenclatures SET active = false
             WHERE id_nomenclature = ref_nomenclatures.get_id_nomenclature('TYPE_MEDIA', '{code}')"
        )
    };
    platform.execute(&inactive("3")).await;
    let error = functions::apply(&platform.pool, harvest, 0).await.unwrap_err();
    assert_eq!(code(&error), "PS001");
    assert!(error.to_string().contains("TYPE_MEDIA"), "{error}");

    // A platform without photographs gets links.
    platform.execute(&inactive("2")).await;
    platform.execute("UPDATE ref_nomenclatures.t_nomenclatures SET active = true WHERE id_nomenclature = ref_nomenclatures.get_id_nomenclature('TYPE_MEDIA', '3')").await;
    platform.run(harvest).await;
    let shown = shown(&platform).await;
    assert_eq!(shown.iter().map(|media| media.1.as_str()).collect::<Vec<_>>(), ["3"]);
}

#[tokio::test]
async fn a_record_with_a_new_gbif_id_keeps_its_media() {
    let platform = platform().await;
    let of = |id: i64| record(id).with("producer_uuid", json!("11111111-0000-4000-8000-000000000000"));
    harvest(&platform, &[of(1)], &[photo(1, "a")]).await;
    let before = versions(&platform).await;

    let counts = harvest(&platform, &[of(9)], &[photo(9, "a"), photo(9, "b")]).await;
    assert_eq!((counts.updated, counts.inserted), (1, 0));
    assert_eq!(addresses(&platform).await, ["https://photos.example.org/a.jpg", "https://photos.example.org/b.jpg"]);
    assert!(versions(&platform).await.contains(&before[1]), "the first row is the same");
    assert_eq!(platform.count("SELECT count(*) FROM passereau.media WHERE gbif_id = 9").await, 2);
}

#[tokio::test]
async fn a_records_media_are_one_hash_in_any_order_and_one_address_the_picture_first() {
    let platform = platform().await;
    let sound = |id: i64| with(photo(id, "0"), "type", json!("Sound"));
    let media =
        [sound(1), photo(1, "z"), photo(1, "y"), photo(2, "y"), sound(2), photo(2, "z"), photo(2, "z"), sound(3)];
    let landed = land(&platform, json!({}), &[record(1), record(2), record(3)], &media).await;
    let mut of: Vec<(i64, Uuid, String)> = sqlx::query_as(
        "SELECT m.* FROM passereau.harvest h, passereau.media_of(h.generation_id, 0, 9223372036854775807) m WHERE h.id = $1 ORDER BY 1",
    )
    .bind(landed)
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    assert_eq!(of[0].1, of[1].1);
    assert_ne!(of[0].1, of[2].1);
    let addresses: Vec<String> = of.drain(..).map(|media| media.2).collect();
    assert_eq!(
        addresses,
        ["https://photos.example.org/y.jpg", "https://photos.example.org/y.jpg", "https://photos.example.org/0.jpg"]
    );
}
