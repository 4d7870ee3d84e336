//! The GeoNature-shaped database against the counts and behaviours of a real GeoNature 2.17.

mod catalogue;
mod variants;

use passereau_testing::{SeedTaxon, TestDatabase, seed_dataset, seed_taxa};
use sqlx::PgPool;

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("count")
}

/// Points over the region, of a species without rules of sensitivity and of one with rules in turn. Reads only what a worker
/// may read in every version.
async fn insert_points(pool: &PgPool, points: i32) {
    sqlx::query(
        "WITH taxon AS (
             SELECT array[(SELECT min(cd_nom) FROM taxonomie.taxref
                            WHERE id_rang = 'ES' AND cd_ref NOT IN (SELECT cd_ref FROM gn_sensitivity.t_sensitivity_rules_cd_ref)),
                          (SELECT min(cd_nom) FROM gn_sensitivity.t_sensitivity_rules_cd_ref)] AS cd_nom)
         INSERT INTO gn_synthese.synthese
             (id_source, entity_source_pk_value, id_dataset, cd_nom, nom_cite, date_min, date_max,
              the_geom_4326, the_geom_point, the_geom_local)
         SELECT 1, n::text, (SELECT min(id_dataset) FROM gn_meta.t_datasets), taxon.cd_nom[1 + n % 2], 'cité',
                '2024-05-01', '2024-05-01', point, point, ST_Transform(point, 2154)
           FROM taxon, generate_series(1, $1) n,
                LATERAL (SELECT ST_SetSRID(ST_MakePoint(2.1 + (n % 100) * 0.05, 44.2 + (n / 10) % 10 * 0.25), 4326) AS point) p",
    )
    .bind(points)
    .execute(pool)
    .await
    .expect("insert");
}

#[tokio::test]
async fn the_reference_data_are_consistent() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    assert_eq!(count(pool, "SELECT Find_SRID('gn_synthese', 'synthese', 'the_geom_local')::bigint").await, 2154);
    assert_eq!(
        count(
            pool,
            "SELECT count(*) FROM taxonomie.taxref LEFT JOIN taxonomie.vm_taxref_tree USING (cd_nom) WHERE path IS NULL"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn defaults_are_those_of_a_fresh_instance() {
    let database = TestDatabase::geonature().await;
    insert_points(&database.pool, 10).await;
    let mut found = Vec::new();
    for (column, code) in [
        ("geo_object_nature", Some("NSP")),
        ("grp_typ", Some("NSP")),
        ("obs_technique", Some("21")),
        ("bio_status", Some("1")),
        ("bio_condition", Some("1")),
        ("naturalness", Some("0")),
        ("exist_proof", Some("0")),
        ("valid_status", Some("0")),
        ("diffusion_level", None),
        ("life_stage", Some("0")),
        ("sex", Some("6")),
        ("obj_count", Some("NSP")),
        ("type_count", Some("NSP")),
        ("observation_status", Some("Pr")),
        ("blurring", Some("NON")),
        ("source_status", Some("NSP")),
        ("info_geo_type", Some("1")),
        ("behaviour", Some("0")),
        ("biogeo_status", Some("1")),
        ("determination_method", Some("1")),
    ] {
        let sql = format!(
            "SELECT DISTINCT ref_nomenclatures.get_cd_nomenclature(id_nomenclature_{column}) FROM gn_synthese.synthese"
        );
        let codes: Vec<Option<String>> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&database.pool).await.expect("codes");
        if codes != [code.map(str::to_owned)] {
            found.push((column, codes));
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn triggers_fill_areas_and_sensitivity_and_take_dates_away() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    insert_points(pool, 1000).await;
    // Region, department, commune, 50, 20, 10 and 5 km cell at least; a point on a border has more.
    assert_eq!(
        count(pool, "SELECT min(n) FROM (SELECT count(a.id_area) AS n FROM gn_synthese.synthese LEFT JOIN gn_synthese.cor_area_synthese a USING (id_synthese) GROUP BY id_synthese) AS areas").await,
        7
    );
    assert_eq!(
        count(pool, "SELECT count(*) FROM gn_synthese.synthese WHERE id_nomenclature_sensitivity IS NULL").await,
        0
    );
    let sensitive = count(
        pool,
        "SELECT count(*) FROM gn_synthese.synthese WHERE ref_nomenclatures.get_cd_nomenclature(id_nomenclature_sensitivity) <> '0'",
    )
    .await;
    assert!((1..=500).contains(&sensitive), "{sensitive} of 1000 are sensitive");
    assert_eq!(count(pool, "SELECT count(*) FROM gn_synthese.v_synthese_for_web_app").await, 1000);

    sqlx::query("UPDATE gn_synthese.synthese SET meta_create_date = '2000-01-01', meta_update_date = '2000-01-01'")
        .execute(pool)
        .await
        .expect("update");
    assert_eq!(count(pool, "SELECT count(*) FROM gn_synthese.synthese WHERE meta_update_date < '2001-01-01'").await, 0);
    sqlx::query("DELETE FROM gn_synthese.synthese").execute(pool).await.expect("delete");
    assert_eq!(count(pool, "SELECT count(*) FROM gn_synthese.t_log_synthese WHERE last_action = 'D'").await, 1000);
    assert_eq!(count(pool, "SELECT count(*) FROM gn_synthese.cor_area_synthese").await, 0);
}

#[tokio::test]
async fn a_value_of_another_vocabulary_raises_p0001() {
    let database = TestDatabase::geonature().await;
    let error = sqlx::query(
        "INSERT INTO gn_synthese.synthese (id_source, nom_cite, date_min, date_max, id_nomenclature_sex)
         VALUES (1, 'cité', now(), now(), ref_nomenclatures.get_id_nomenclature('STADE_VIE', '2'))",
    )
    .execute(&database.pool)
    .await
    .expect_err("refused");
    assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("P0001"));
}

#[tokio::test]
async fn a_dropped_database_is_gone() {
    let database = TestDatabase::geonature().await;
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&database.pool).await.expect("name");
    drop(database);
    let admin = PgPool::connect(&passereau_testing::database_url()).await.expect("server");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_one(&admin)
        .await
        .expect("count");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn taxa_and_datasets_can_be_added_as_often_as_one_likes() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    let taxon = |cd_nom, cd_ref, name: &str, rank: &str, key: &str| SeedTaxon {
        gbif_key: key.into(),
        scientific_name: format!("{name} (Linnaeus, 1758)"),
        canonical_name: name.into(),
        kingdom: "Animalia".into(),
        phylum: "Chordata".into(),
        class: "Aves".into(),
        family: "Inventidae".into(),
        rank: rank.into(),
        cd_nom,
        cd_ref,
        linked: true,
        ..SeedTaxon::default()
    };
    let taxa = [
        taxon(7_000_001, 7_000_001, "Inventus verus", "SPECIES", "88000001"),
        taxon(7_000_002, 7_000_002, "Inventus verus minor", "SUBSPECIES", "88000002"),
        taxon(7_000_003, 7_000_001, "Fictus verus", "SPECIES", "88000003"),
    ];
    seed_taxa(pool, &taxa[..1]).await.expect("taxa");
    let before = count(pool, "SELECT count(*) FROM taxonomie.taxref").await;
    seed_taxa(pool, &taxa).await.expect("more taxa");
    assert_eq!(count(pool, "SELECT count(*) FROM taxonomie.taxref").await, before + 2);
    // Biota, kingdom, phylum, class, family (no order), species, subspecies; the synonym has the path of its accepted name.
    let depths: Vec<i32> = sqlx::query_scalar(
        "SELECT nlevel(path) FROM taxonomie.vm_taxref_tree WHERE cd_nom BETWEEN 7000001 AND 7000003 ORDER BY cd_nom",
    )
    .fetch_all(pool)
    .await
    .expect("paths");
    assert_eq!(depths, [6, 7, 6]);
    assert_eq!(
        count(pool, "SELECT count(*) FROM taxonomie.taxref_liens WHERE ct_name = 'GBIF' AND ct_sp_id LIKE '8800000_'")
            .await,
        3
    );

    let key = uuid::Uuid::from_u128(7);
    let first = seed_dataset(pool, key, &"long ".repeat(100)).await.expect("dataset");
    assert_eq!(seed_dataset(pool, key, "another name").await.expect("dataset"), first);
}

#[tokio::test]
async fn a_validation_reaches_the_observation_and_a_media_leaves_a_history() {
    let database = TestDatabase::geonature().await;
    let pool = &database.pool;
    sqlx::raw_sql(
        "INSERT INTO gn_synthese.synthese (id_source, unique_id_sinp, nom_cite, date_min, date_max)
         VALUES (1, '322eb804-7805-5a51-a2fa-e41e54fb8344', 'cité', now(), now());
         INSERT INTO gn_commons.t_validations (uuid_attached_row, id_nomenclature_valid_status, id_validator, validation_comment, validation_date)
         VALUES ('322eb804-7805-5a51-a2fa-e41e54fb8344', ref_nomenclatures.get_id_nomenclature('STATUT_VALID', '2'), 2, 'vue', '2024-01-01');
         INSERT INTO gn_commons.t_medias (id_nomenclature_media_type, id_table_location, uuid_attached_row, title_fr)
         VALUES (ref_nomenclatures.get_id_nomenclature('TYPE_MEDIA', '2'), 1, '322eb804-7805-5a51-a2fa-e41e54fb8344', 'photo')",
    )
    .execute(pool)
    .await
    .expect("rows");
    let (code, validator, date): (String, String, String) = sqlx::query_as(
        "SELECT ref_nomenclatures.get_cd_nomenclature(id_nomenclature_valid_status), validator, meta_validation_date::date::text
           FROM gn_synthese.synthese",
    )
    .fetch_one(pool)
    .await
    .expect("observation");
    assert_eq!((code.as_str(), validator.as_str(), date.as_str()), ("2", "Validatrice Camille", "2024-01-01"));
    assert_eq!(count(pool, "SELECT count(*) FROM gn_commons.t_history_actions WHERE operation_type = 'I'").await, 1);
    assert_eq!(
        count(pool, "SELECT count(*) FROM gn_commons.bib_tables_location WHERE schema_name = 'gn_synthese'").await,
        0
    );
}

#[tokio::test]
async fn a_migrated_database_has_our_schemas_too() {
    let database = TestDatabase::migrated().await;
    passereau_database::check_migrated(&database.pool).await.expect("migrated");
}
