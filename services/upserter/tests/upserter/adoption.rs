//! A platform that ran the published procedure by hand: its statements as published, then installation, migration, check, harvests.

use passereau_geonature::{
    Wanted,
    check::{Finding, Severity, findings, survey},
    install,
};
use passereau_testing::{TestDatabase, WorkerRole};
use passereau_upserter::functions;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

use crate::platform::{DATASET, INATURALIST, Platform, Record, code, record};

const PROCEDURE: &str = include_str!("procedure.sql");

/// As R writes the table, and a function that the platform wrote in the place of the procedure's TODO.
const FROM_R: &str = "
    CREATE TABLE pinv_gbif.cor_uuid_inaturalist (id_synthese double precision, digital_proof text, id_inaturalist text, url text, uuid text);
    CREATE FUNCTION pinv_gbif.upsert_gbif_data() RETURNS void LANGUAGE sql AS 'SELECT 1';
    CREATE VIEW public.recent AS SELECT gbif_id, taxonkey FROM pinv_gbif.tmp_gbif_data;
    GRANT SELECT ON pinv_gbif.tmp_gbif_data TO PUBLIC;";

/// The records 11 to 19 are the observations 1 to 9 of iNaturalist.
const RECORDS: &str = "
    INSERT INTO pinv_gbif.tmp_gbif_data
    SELECT n, '2026-01-15 10:20:30', CASE WHEN n > 20 THEN 'https://www.gbif.org/occurrence/' ELSE 'https://www.inaturalist.org/observations/' END
           || CASE WHEN n > 20 THEN n ELSE n - 10 END,
           'HUMAN_OBSERVATION', 'x', 'A. Nonyme', '4', NULL, NULL, NULL, NULL, NULL, NULL, 'PRESENT', 'near the river', '2021-05-01',
           'Grenoble', 45.18, 5.72, '12.5', 'B. Nonyme', 'Parus major Linnaeus, 1758',
           (CASE WHEN n > 20 THEN '00000000-0000-4000-8000-00000000d001' ELSE '50c9509d-22c7-4a22-a47d-8c48425ef4a7' END)::uuid, NULL, 9705453, 'Parus major'
    FROM unnest(ARRAY[11, 12, 13, 14, 15, 16, 19, 21, 22]) n;
    INSERT INTO pinv_gbif.cor_multimedia VALUES (11, 'https://example.org/11.jpg');
    INSERT INTO pinv_gbif.cor_uuid_inaturalist VALUES
        (1, 'https://www.inaturalist.org/observations/1', '1', NULL, '00000000-0000-4000-8000-000000000001'),
        (1, 'https://www.inaturalist.org/observations/1', '1', NULL, '00000000-0000-4000-8000-000000000001'),
        (2, 'http://www.inaturalist.org/observations/2', NULL, NULL, '00000000-0000-4000-8000-000000000002'),
        (3, NULL, '3.0', 'https://www.inaturalist.org/observations/3', '00000000-0000-4000-8000-000000000003'),
        (4, NULL, '4', NULL, '00000000-0000-4000-8000-000000000004'),
        (5, NULL, '5', NULL, '00000000-0000-4000-8000-000000000005'),
        (6, NULL, '6', NULL, NULL), (7, NULL, 'NA', NULL, 'NA'), (NULL, NULL, NULL, NULL, NULL),
        (9, NULL, '9', NULL, '00000000-0000-4000-8000-000000000009');";

/// A row for each record but two, which only their digital proof tells; with media and validations on what was made up.
const ROWS: &str = "
    INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, id_dataset, unique_id_sinp, nom_cite, cd_nom, date_min, date_max, digital_proof)
    SELECT t.id_source, r.key, d.id_dataset, r.uuid::uuid, 'Parus major', 700001, '2021-05-01', '2021-05-01', r.proof
    FROM (VALUES ('11', NULL, 'https://www.inaturalist.org/observations/1'),
                 ('12', 'aaaaaaaa-0000-4000-8000-000000000002', 'http://www.inaturalist.org/observations/2'),
                 ('13', '00000000-0000-4000-8000-000000000003', 'https://www.inaturalist.org/observations/3'),
                 ('14', 'aaaaaaaa-0000-4000-8000-000000000004', 'https://www.inaturalist.org/observations/4'),
                 (NULL, 'aaaaaaaa-0000-4000-8000-000000000005', 'http://www.inaturalist.org/observations/5/?locale=fr'),
                 ('16', NULL, 'https://www.inaturalist.org/observations/6'),
                 (NULL, 'aaaaaaaa-0000-4000-8000-000000000009', 'https://www.inaturalist.org/observations/9'),
                 ('old', 'aaaaaaaa-0000-4000-8000-000000000019', 'http://www.inaturalist.org/observations/9/'),
                 ('21', NULL, NULL), ('22', 'aaaaaaaa-0000-4000-8000-000000000022', NULL)) r (key, uuid, proof)
    CROSS JOIN gn_synthese.t_sources t
    JOIN gn_meta.t_datasets d ON d.unique_dataset_id = (CASE WHEN r.key IN ('21', '22') THEN '00000000-0000-4000-8000-00000000d001'
                                                             ELSE '50c9509d-22c7-4a22-a47d-8c48425ef4a7' END)::uuid
    WHERE t.name_source = 'THE SOURCE';
    INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, unique_id_sinp, nom_cite, date_min, date_max)
    SELECT id_source, 'elsewhere', '00000000-0000-4000-8000-000000000004', 'x', now(), now() FROM gn_synthese.t_sources WHERE name_source = 'Import';
    INSERT INTO gn_commons.bib_tables_location (table_desc, schema_name, table_name, pk_field, uuid_field_name)
    VALUES ('Synthèse', 'gn_synthese', 'synthese', 'id_synthese', 'unique_id_sinp') ON CONFLICT DO NOTHING;
    INSERT INTO gn_commons.t_medias (id_nomenclature_media_type, id_table_location, uuid_attached_row, title_fr, media_url)
    SELECT ref_nomenclatures.get_id_nomenclature('TYPE_MEDIA', '2'), (SELECT max(id_table_location) FROM gn_commons.bib_tables_location),
           s.unique_id_sinp, 'x', 'https://example.org/x.jpg'
    FROM gn_synthese.synthese s WHERE s.unique_id_sinp::text LIKE 'aaaaaaaa%';
    INSERT INTO gn_commons.t_validations (uuid_attached_row, id_nomenclature_valid_status, validation_auto, validation_comment, validation_date)
    SELECT s.unique_id_sinp, ref_nomenclatures.get_id_nomenclature('STATUT_VALID', '1'), false, 'vu', now()
    FROM gn_synthese.synthese s WHERE s.unique_id_sinp = 'aaaaaaaa-0000-4000-8000-000000000002';";

/// What a platform reads of the procedure's tables.
const READ: &str = "SELECT (SELECT jsonb_agg(to_jsonb(t) ORDER BY gbif_id) FROM pinv_gbif.tmp_gbif_data t)::text
                        || (SELECT jsonb_agg(to_jsonb(m)) FROM pinv_gbif.cor_multimedia m)::text";

/// The procedure was run by the administrator, with a source of this name.
async fn by_hand(source: &str) -> (TestDatabase, WorkerRole) {
    let database = TestDatabase::geonature().await;
    let role = database.worker().await;
    execute(
        &database.pool,
        &format!(
            "INSERT INTO taxonomie.taxref (cd_nom, cd_ref, lb_nom, nom_complet) VALUES (700001, 700001, 'Parus major', 'Parus major Linnaeus, 1758');
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES ('GBIF', 'x', 700001, '9705453');
             INSERT INTO gn_synthese.t_sources (name_source) VALUES ('{source}')"
        ),
    )
    .await;
    passereau_testing::seed_dataset(&database.pool, DATASET.parse().unwrap(), "one").await.unwrap();
    passereau_testing::seed_dataset(&database.pool, INATURALIST.parse().unwrap(), "iNaturalist").await.unwrap();
    for sql in [PROCEDURE, FROM_R, RECORDS, &ROWS.replace("THE SOURCE", source)] {
        execute(&database.pool, sql).await;
    }
    (database, role)
}

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
}

async fn text(pool: &PgPool, sql: &str) -> String {
    sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql.to_owned()))
        .fetch_one(pool)
        .await
        .unwrap()
        .unwrap_or_default()
}

fn wanted(role: &WorkerRole) -> Wanted {
    Wanted { role: Some(role.name.clone()), ..Wanted::default() }
}

async fn checked(pool: &PgPool) -> Vec<Finding> {
    findings(&survey(pool).await.unwrap()).into_iter().filter(|finding| finding.severity > Severity::Ok).collect()
}

fn observation(gbif_id: i64) -> Record {
    record(gbif_id)
        .with("dataset_key", json!(INATURALIST))
        .with("inaturalist_id", json!(gbif_id - 10))
        .with("references", json!(format!("https://www.inaturalist.org/observations/{}", gbif_id - 10)))
}

/// Adopted by the role of the workers, whose connections the platform has from here on.
async fn adopted(mut database: TestDatabase, role: &WorkerRole) -> (Platform, PgPool) {
    install(&database.pool, &wanted(role)).await.expect("installed");
    let worker = PgPool::connect(&role.url).await.unwrap();
    passereau_database::migrate(&worker).await.expect("migrated");
    let administrator = std::mem::replace(&mut database.pool, worker);
    (Platform::of(database), administrator)
}

#[tokio::test]
async fn the_tables_are_adopted_and_sql_written_against_them_answers_the_same() {
    let (database, role) = by_hand("GBIF").await;
    let before = text(&database.pool, READ).await;
    let worker = PgPool::connect(&role.url).await.unwrap();

    let refused = passereau_database::migrate(&worker).await.expect_err("somebody else's tables").to_string();
    assert!(refused.contains("passereau install --role"), "{refused}");
    let told = checked(&database.pool).await;
    let finding = told.iter().find(|finding| finding.about == "by_hand").expect("told");
    assert!(
        finding.found.contains("tmp_gbif_data (") && finding.run.as_ref().unwrap().contains("passereau install"),
        "{finding:?}"
    );

    let (platform, administrator) = adopted(database, &role).await;
    assert_eq!(text(&administrator, READ).await, before);
    let types = text(
        &administrator,
        "SELECT string_agg(a.atttypid::regtype::text, ' ' ORDER BY a.attname) FROM pg_attribute a
         WHERE a.attrelid = 'pinv_gbif.tmp_gbif_data'::regclass AND a.attname IN ('event_date', 'taxonkey')",
    )
    .await;
    assert_eq!(types, "timestamp without time zone integer");
    let answers = "SELECT string_agg(id_inaturalist || ' ' || right(uuid::text, 1), ',' ORDER BY id_inaturalist) FROM pinv_gbif.cor_uuid_inaturalist";
    assert_eq!(text(&administrator, answers).await, "1 1,2 2,3 3,4 4,5 5,9 9");
    assert!(
        platform.count("SELECT count(*) FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = 'pinv_gbif.tmp_gbif_data'::regclass AND x.grantee = 0").await > 0,
        "who could read the table reads the view"
    );
    assert_eq!(platform.look_out().await.len(), 0, "nobody has asked for a harvest yet");

    let told = checked(&platform.pool).await;
    assert!(told.iter().any(|finding| finding.found.starts_with("recent (of ")), "the view is named: {told:#?}");
    assert!(told.iter().any(|f| f.run.as_deref() == Some("passereau harvest reconvert manual")), "{told:#?}");
    assert!(told.iter().all(|finding| finding.severity < Severity::Error), "{told:#?}");

    // Once more: nothing is landed twice.
    install(&administrator, &wanted(&role)).await.expect("again");
    passereau_database::migrate(&platform.pool).await.expect("again");
    assert_eq!(text(&administrator, READ).await, before);
    assert_eq!(platform.count("SELECT count(*) FROM passereau.harvest").await, 1);
    // The function that the platform had is put aside, too.
    let done: i64 =
        sqlx::query_scalar("SELECT landed FROM pinv_gbif.upsert_gbif_data()").fetch_one(&administrator).await.unwrap();
    assert_eq!(done, 9);
}

#[tokio::test]
async fn rows_are_found_again_and_get_their_uuid_with_media_and_validations() {
    let (database, role) = by_hand("GBIF").await;
    let (platform, administrator) = adopted(database, &role).await;
    let rows = "SELECT count(*) FROM gn_synthese.synthese";
    let standing = platform.count(rows).await;
    let records: Vec<Record> =
        [11, 12, 13, 14, 15, 16, 19].map(observation).into_iter().chain([21, 22].map(record)).collect();

    let counts = platform.run(platform.land("one", &records).await).await;
    assert_eq!((counts.inserted, counts.updated, counts.rejected), (0, 6, 3));
    assert_eq!(platform.count(rows).await, standing, "nothing is there twice");
    assert_eq!(
        platform.rejects().await,
        [(14, "already_present"), (16, "uuid_pending"), (19, "already_present")].map(|(id, why)| (id, why.to_owned()))
    );
    let mut uuids = Vec::new();
    for gbif_id in [11, 12, 13, 14, 15, 16, 21, 22] {
        uuids.push(platform.value(gbif_id, "unique_id_sinp").await.unwrap_or_default());
    }
    assert_eq!(
        uuids,
        [
            "00000000-0000-4000-8000-000000000001",
            "00000000-0000-4000-8000-000000000002",
            "00000000-0000-4000-8000-000000000003",
            "aaaaaaaa-0000-4000-8000-000000000004",
            "00000000-0000-4000-8000-000000000005",
            "",
            &text(&platform.pool, "SELECT passereau.gbif_uuid(21)::text").await,
            "aaaaaaaa-0000-4000-8000-000000000022",
        ]
    );
    let lost = "SELECT count(*) FROM (SELECT uuid_attached_row FROM gn_commons.t_medias UNION ALL SELECT uuid_attached_row FROM gn_commons.t_validations) a
                WHERE NOT EXISTS (SELECT FROM gn_synthese.synthese s WHERE s.unique_id_sinp = a.uuid_attached_row)";
    assert_eq!(text(&administrator, &format!("SELECT ({lost})::text")).await, "0", "none is detached");
    let of_two = "SELECT concat_ws(' ', s.validation_comment, (SELECT count(*) FROM gn_commons.t_medias m WHERE m.uuid_attached_row = s.unique_id_sinp),
                         (SELECT count(*) FROM gn_commons.t_validations v WHERE v.uuid_attached_row = s.unique_id_sinp))
                  FROM gn_synthese.synthese s WHERE entity_source_pk_value = '12'";
    assert_eq!(text(&administrator, of_two).await, "vu 1 1");
    // As the guide writes it, for who read id_synthese and digital_proof in the procedure's table.
    let joined = "SELECT string_agg(s.entity_source_pk_value || ' ' || right(c.uuid::text, 1), ',' ORDER BY c.id_inaturalist)
                  FROM pinv_gbif.cor_uuid_inaturalist c
                  JOIN gn_synthese.synthese s ON substring(s.digital_proof FROM 'inaturalist[.][a-z.]+/observations/([0-9]+)')::bigint = c.id_inaturalist
                  WHERE s.unique_id_sinp = c.uuid";
    assert_eq!(text(&administrator, joined).await, "11 1,12 2,13 3,15 5");
    let left = "SELECT string_agg(reason || ' ' || gbif_id, ',' ORDER BY id_synthese) FROM pinv_gbif.not_adopted";
    assert_eq!(text(&platform.pool, left).await, "uuid_taken 14,ambiguous 19,ambiguous 19");
    let told = checked(&platform.pool).await;
    assert!(told.iter().any(|finding| finding.found.starts_with("3 rows of the synthèse could not")), "{told:#?}");

    // A second run changes nothing.
    let fingerprint = platform.fingerprint().await;
    let counts = platform.run(platform.land("one", &records).await).await;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.rejected), (0, 0, 6, 3));
    assert_eq!(platform.fingerprint().await, fingerprint);

    // iNaturalist answers for the one that waited, and a person removes one of two rows.
    platform
        .execute(
            "UPDATE pinv_gbif.cor_uuid_inaturalist SET uuid = '00000000-0000-4000-8000-000000000006' WHERE id_inaturalist = 6;
             INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid) VALUES (6, '00000000-0000-4000-8000-000000000006') ON CONFLICT DO NOTHING;
             DELETE FROM gn_synthese.synthese WHERE entity_source_pk_value = 'old'",
        )
        .await;
    let counts = platform.run(platform.land("one", &records).await).await;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.rejected), (0, 2, 6, 1));
    assert_eq!(platform.value(16, "unique_id_sinp").await.unwrap(), "00000000-0000-4000-8000-000000000006");
    assert_eq!(platform.value(19, "unique_id_sinp").await.unwrap(), "00000000-0000-4000-8000-000000000009");
    assert_eq!(text(&platform.pool, left).await, "uuid_taken 14");
}

#[tokio::test]
async fn a_plan_that_is_not_applied_leaves_the_synthese_as_it_is() {
    let (database, role) = by_hand("GBIF").await;
    let (platform, _) = adopted(database, &role).await;
    let before = platform.fingerprint().await;
    let harvest = platform.land("one", &[observation(12), record(21)]).await;
    platform.plan(harvest).await;
    assert_eq!(platform.fingerprint().await, before);
    assert_eq!(platform.count("SELECT count(*) FROM passereau.plan WHERE action = 'update'").await, 2);
}

#[tokio::test]
async fn the_plan_tells_what_it_will_write_into_a_row_that_only_its_proof_tells() {
    let (database, role) = by_hand("GBIF").await;
    let (platform, _) = adopted(database, &role).await;
    let harvest = platform.land("one", &[observation(15)]).await;
    platform.plan(harvest).await;
    let told =
        "SELECT count(*) FROM passereau.plan WHERE gbif_id = 15 AND 'observers' = ANY (writes) AND told ? 'observers'";
    assert_eq!(platform.count(told).await, 1, "who approves sees it");
}

#[tokio::test]
async fn a_plan_in_chunks_keeps_what_it_found_while_another_one_is_made() {
    let (database, role) = by_hand("GBIF").await;
    let (platform, _) = adopted(database, &role).await;
    let one = platform.land("one", &[observation(11), observation(19)]).await;
    let two = platform.land("two", &[record(21)]).await;
    // The first chunk finds the two rows of observation 9; another subscription is planned before the second one.
    assert!(!functions::plan(&platform.pool, one, 1).await.unwrap().done);
    platform.plan(two).await;
    platform.plan(one).await;
    let planned = "SELECT action || ' ' || reason FROM passereau.plan WHERE gbif_id = 19";
    assert_eq!(text(&platform.pool, planned).await, "reject already_present");
    let listed = "SELECT count(*) FROM pinv_gbif.not_adopted WHERE reason = 'ambiguous'";
    assert_eq!(platform.count(listed).await, 2);
}

#[tokio::test]
async fn of_two_rows_that_are_to_get_one_uuid_by_two_plans_the_first_gets_it() {
    let (database, role) = by_hand("GBIF").await;
    let (platform, administrator) = adopted(database, &role).await;
    execute(
        &administrator,
        "INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, nom_cite, cd_nom, date_min, date_max)
         SELECT id_source, '31', 'Parus major', 700001, '2021-05-01', '2021-05-01' FROM gn_synthese.t_sources WHERE name_source = 'GBIF'",
    )
    .await;
    let again = observation(31).with("inaturalist_id", json!(1));
    let waiting = platform.land("one", &[observation(11)]).await;
    platform.plan(waiting).await;

    let counts = platform.run(platform.land("two", &[observation(11), again]).await).await;
    assert_eq!((counts.inserted, counts.updated, counts.rejected), (0, 1, 1), "{counts:?}");
    assert_eq!(platform.value(11, "unique_id_sinp").await.unwrap(), "00000000-0000-4000-8000-000000000001");
    let left = "SELECT string_agg(reason || ' ' || gbif_id, ',') FROM pinv_gbif.not_adopted WHERE gbif_id = 31";
    assert_eq!(text(&platform.pool, left).await, "uuid_taken 31");
}

#[tokio::test]
async fn columns_that_were_widened_are_adopted_and_what_cannot_be_read_is_counted() {
    let (database, role) = by_hand("GBIF").await;
    execute(
        &database.pool,
        "DROP VIEW public.recent;
         ALTER TABLE pinv_gbif.tmp_gbif_data DROP CONSTRAINT tmp_gbif_data_pkey, ALTER gbif_id TYPE text, ALTER modified TYPE text,
             ALTER event_date TYPE text, ALTER decimal_latitude TYPE text, ALTER dataset_key TYPE text, ALTER taxonkey TYPE text;
         ALTER TABLE pinv_gbif.cor_multimedia ALTER gbif_id TYPE text;
         UPDATE pinv_gbif.tmp_gbif_data SET event_date = '2021-05-01/2021-05-03', modified = '2026-01-15T10:20:30.000Z' WHERE gbif_id = '21';
         UPDATE pinv_gbif.tmp_gbif_data SET event_date = '2021-02-30', decimal_latitude = '' WHERE gbif_id = '22';
         UPDATE pinv_gbif.tmp_gbif_data SET event_date = '2021', dataset_key = 'none' WHERE gbif_id = '16';
         UPDATE pinv_gbif.tmp_gbif_data SET taxonkey = '6X8Y' WHERE gbif_id = '15';
         INSERT INTO pinv_gbif.tmp_gbif_data (gbif_id) VALUES ('gbifID');
         INSERT INTO pinv_gbif.cor_multimedia VALUES ('gbifID', 'identifier')",
    )
    .await;
    let (platform, administrator) = adopted(database, &role).await;
    let moments = "SELECT string_agg(concat_ws(' ', gbif_id, event_date, modified), ',' ORDER BY gbif_id)
                   FROM pinv_gbif.tmp_gbif_data WHERE gbif_id > 16";
    assert_eq!(
        text(&administrator, moments).await,
        "19 2021-05-01 00:00:00 2026-01-15 10:20:30,21 2021-05-01 00:00:00 2026-01-15 10:20:30,22 2026-01-15 10:20:30"
    );
    let counted = "SELECT concat_ws(' ', records, media, unreadable) FROM passereau.adoption";
    assert_eq!(text(&platform.pool, counted).await, "9 1 5");
    let absent = "SELECT count(*) FROM pinv_gbif.tmp_gbif_data
                  WHERE (gbif_id = 15 AND taxonkey IS NULL) OR (gbif_id = 16 AND dataset_key IS NULL AND event_date IS NULL)";
    assert_eq!(platform.count(absent).await, 2);
}

#[tokio::test]
async fn who_may_not_move_media_is_stopped_only_where_something_is_to_move() {
    let (database, role) = by_hand("GBIF").await;
    let (platform, administrator) = adopted(database, &role).await;
    execute(
        &administrator,
        &format!(
            "INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, id_dataset, unique_id_sinp, nom_cite, date_min, date_max, digital_proof)
             SELECT s.id_source, 'x7', d.id_dataset, 'aaaaaaaa-0000-4000-8000-000000000007', 'x', now(), now(),
                    'https://www.inaturalist.org/observations/7'
             FROM gn_synthese.t_sources s, gn_meta.t_datasets d WHERE s.name_source = 'Import' AND d.unique_dataset_id = '{INATURALIST}';
             INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid) VALUES (7, '00000000-0000-4000-8000-000000000007');
             REVOKE UPDATE ON gn_commons.t_medias FROM \"{}\"",
            role.name
        ),
    )
    .await;
    // The row is another source's, and stays as it is.
    let counts = platform.run(platform.land("one", &[observation(17)]).await).await;
    assert_eq!((counts.inserted, counts.rejected), (0, 1));
    assert_eq!(platform.rejects().await, [(17, "already_present".to_owned())]);

    platform.decide("two", json!({ "already_present": "update" })).await;
    let harvest = platform.land("two", &[observation(17)]).await;
    let refused = functions::plan(&platform.pool, harvest, 1000).await.expect_err("to be moved");
    assert_eq!(code(&refused), "PS001");
    assert!(refused.to_string().contains("--with-adoption"), "{refused}");
}

#[tokio::test]
async fn observations_under_two_sources_stop_the_installation_before_anything_is_renamed() {
    let (database, role) = by_hand("GBIF").await;
    execute(
        &database.pool,
        "UPDATE gn_synthese.synthese SET id_source = (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = 'Import')
         WHERE entity_source_pk_value = '21'",
    )
    .await;
    let refused = install(&database.pool, &wanted(&role)).await.expect_err("two sources");
    let words = format!("{refused} {:?}", std::error::Error::source(&refused));
    assert!(words.contains("1 observations of the procedure stand under source Import"), "{words}");
    let standing = "SELECT count(*)::text FROM pinv_gbif.tmp_gbif_data";
    assert_eq!(text(&database.pool, standing).await, "9", "the procedure goes on working meanwhile");

    // A key that another source happens to have says nothing.
    execute(&database.pool, "UPDATE gn_synthese.synthese SET id_dataset = NULL WHERE entity_source_pk_value = '21'")
        .await;
    install(&database.pool, &wanted(&role)).await.expect("installed");
}

#[tokio::test]
async fn a_schema_of_the_administrator_without_the_procedures_tables_does_not_stop_the_migration() {
    for left in ["", "CREATE PROCEDURE pinv_gbif.upsert_gbif_data() LANGUAGE sql AS 'SELECT 1'"] {
        let database = TestDatabase::geonature().await;
        let role = database.worker().await;
        execute(&database.pool, &format!("CREATE SCHEMA pinv_gbif; {left}")).await;
        install(&database.pool, &wanted(&role)).await.expect("installed");
        let worker = PgPool::connect(&role.url).await.unwrap();
        passereau_database::migrate(&worker).await.unwrap_or_else(|error| panic!("{left:?}: {error}"));
        let ours = "SELECT prokind::text FROM pg_proc WHERE proname = 'upsert_gbif_data' AND pronamespace = 'pinv_gbif'::regnamespace";
        assert_eq!(text(&worker, ours).await, "f");
    }
}

#[tokio::test]
async fn a_source_of_another_name_is_told_and_renamed_on_demand() {
    let (database, role) = by_hand("Données GBIF").await;
    let refused = install(&database.pool, &wanted(&role)).await.expect_err("another source");
    let words = format!("{refused} {:?}", std::error::Error::source(&refused));
    assert!(words.contains("stand under source Données GBIF") && words.contains("--source 'Données GBIF'"), "{words}");
    assert_eq!(
        text(&database.pool, "SELECT count(*)::text FROM gn_synthese.t_sources WHERE name_source = 'GBIF'").await,
        "0"
    );
    let renaming = Wanted { source: Some("Données GBIF".into()), ..wanted(&role) };
    for _ in 0..2 {
        install(&database.pool, &renaming).await.expect("renamed").ready().expect("ready");
    }
    let (platform, _) = adopted(database, &role).await;
    let counts = platform.run(platform.land("one", &[observation(11), record(21)]).await).await;
    assert_eq!((counts.inserted, counts.updated), (0, 2));
}

#[tokio::test]
async fn rows_that_stand_twice_are_told_with_the_query_that_lists_them() {
    let (database, role) = by_hand("GBIF").await;
    execute(
        &database.pool,
        "INSERT INTO gn_synthese.synthese (id_source, entity_source_pk_value, nom_cite, date_min, date_max)
         SELECT id_source, '11', 'x', now(), now() FROM gn_synthese.t_sources WHERE name_source = 'GBIF'",
    )
    .await;
    let refused = install(&database.pool, &wanted(&role)).await.expect_err("twice");
    let words = format!("{refused} {:?}", std::error::Error::source(&refused));
    assert!(
        words.contains("1 keys stand more than once") && words.contains("GROUP BY 1 HAVING count(*) > 1"),
        "{words}"
    );
}
