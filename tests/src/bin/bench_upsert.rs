//! `make bench-upsert`: slices of new records against a bare `INSERT … SELECT`, then the same records unchanged.
//!
//! One GeoNature-shaped database, its triggers, checks, foreign keys and indexes on. The records are planned and converted;
//! the bare statement reads the same converted rows, geometries included, from a table of its own and inserts them in the
//! same portions of 10,000, under other keys and UUIDs. The two take turns, and the turns change order, so that a busy
//! machine and a growing table weigh on both. What is measured is `passereau.apply` with its commit, with everything it
//! does besides: `passereau.written`, rejects, counts, the plan's rows consumed. A second harvest of the same records then
//! gives the cost of an unchanged one: `passereau.plan` whole, its statistics and its pass over `taxref_liens` included,
//! and how the whole upsert stage of the second harvest compares with that of the first.
//!
//! `PASSEREAU_BENCH_RECORDS` changes the number of records from 100,000. The program fails when a goal is missed.

use std::env;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use passereau_testing::{TestDatabase, seed_sandbox};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// At most this much of a bare insert's time.
const RATIO: f64 = 1.15;
/// The upsert stage (plan, slices, end) of the same archive again takes at most one in so many parts of the first one's.
const FIRST_TO_SECOND: f64 = 100.0;
/// At most this long for an unchanged record.
const UNCHANGED_MS: f64 = 0.02;
/// Links of other references in `taxref_liens`, which holds two million in TAXREF v18.
const OTHER_LINKS: i32 = 1_000_000;

/// What `passereau install` makes, and the links that a full TAXREF has.
const PREPARE: &str = "
    INSERT INTO gn_synthese.t_sources (name_source, url_source) VALUES ('GBIF', 'https://www.gbif.org/occurrence')
        ON CONFLICT DO NOTHING;
    DO $$ BEGIN EXECUTE (SELECT format('CREATE UNIQUE INDEX bench_key ON gn_synthese.synthese
        (id_source, entity_source_pk_value) WHERE id_source = %s', id_source)
        FROM gn_synthese.t_sources WHERE name_source = 'GBIF'); END $$;
    CREATE SCHEMA bench;
    CREATE TABLE bench.taxon AS
        SELECT row_number() OVER (ORDER BY l.ct_sp_id) - 1 AS n, l.ct_sp_id AS key, t.nom_complet AS name
        FROM taxonomie.taxref_liens l JOIN taxonomie.taxref t USING (cd_nom) WHERE l.ct_name = 'GBIF';
    INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id)
        SELECT 'Other', 'x', (SELECT min(cd_nom) FROM taxonomie.taxref), i::text FROM generate_series(1, {links}) i;
    INSERT INTO pinv_gbif.cor_uuid_inaturalist (id_inaturalist, uuid)
        SELECT i, md5('observation ' || i)::uuid FROM generate_series(1, {records}) i;
    INSERT INTO passereau.subscription (name, request) VALUES ('bench', '{}');
    ANALYZE";

/// Six of ten records are iNaturalist's, in Auvergne-Rhône-Alpes, each in a place of its own.
const RECORDS: &str = "
    INSERT INTO pinv_gbif.occurrence_{generation} (
        gbif_id, content_hash, date_start, inaturalist_id, \"references\", basis_of_record, occurrence_id, recorded_by,
        individual_count, occurrence_status, occurrence_remarks, event_date, verbatim_locality, decimal_latitude,
        decimal_longitude, coordinate_uncertainty_in_meters, identified_by, scientific_name, dataset_key, issue, taxon_key,
        verbatim_scientific_name, catalog_number, license, rights_holder, last_interpreted)
    SELECT 5000000000 + i, md5('content ' || i)::uuid, timestamp '2015-01-01' + i % 3000 * interval '1 day',
           CASE WHEN i % 10 < 6 THEN i END, 'https://www.inaturalist.org/observations/' || i, 'HUMAN_OBSERVATION',
           'https://www.inaturalist.org/observations/' || i, 'Observer ' || i % 5000, CASE WHEN i % 4 = 0 THEN 1 END,
           'PRESENT', CASE WHEN i % 10 = 0 THEN 'A remark about ' || i END, '2015-01-01', 'Chemin ' || i,
           44.2 + (hashint4(i) & 65535) / 65536.0 * 2.6, 3.0 + (hashint4(i * 7) & 65535) / 65536.0 * 3.9, 12.5,
           'Determiner ' || i % 300, t.name,
           CASE WHEN i % 10 < 6 THEN passereau.inaturalist_dataset() ELSE d.key END,
           'COORDINATE_ROUNDED;CONTINENT_DERIVED_FROM_COORDINATES', t.key, t.name, i::text, 'CC_BY_NC_4_0',
           'Holder ' || i % 5000, now()
    FROM generate_series(1, {records}) i
    JOIN bench.taxon t ON t.n = i % (SELECT count(*) FROM bench.taxon)
    CROSS JOIN (SELECT unique_dataset_id AS key FROM gn_meta.t_datasets
                WHERE unique_dataset_id <> passereau.inaturalist_dataset() LIMIT 1) d";

/// The converted rows, ready to be inserted under keys that meet nothing else.
const CONVERTED: &str = "
    CREATE TABLE bench.converted AS
    SELECT p.*, s.ordinal, gen_random_uuid() AS bare_uuid, 'bare ' || p.gbif_id AS bare_key, d.id_source, d.taxref_version,
           ST_SetSRID(ST_MakePoint(p.longitude, p.latitude), 4326) AS point,
           ST_Transform(ST_SetSRID(ST_MakePoint(p.longitude, p.latitude), 4326), d.srid) AS local
    FROM passereau.plan p
    JOIN passereau.slice s ON s.harvest_id = p.harvest_id AND s.stage = 'upsert'
                          AND p.gbif_id BETWEEN s.first_gbif_id AND s.last_gbif_id
    CROSS JOIN passereau.destination() d
    WHERE p.harvest_id = $1 AND p.action = 'insert'
    ORDER BY p.gbif_id";

/// The statement that a program would send which did nothing but insert.
const BARE: &str = "
    INSERT INTO gn_synthese.synthese (
        unique_id_sinp, id_source, entity_source_pk_value, id_dataset, count_min, count_max, cd_nom, nom_cite, meta_v_taxref,
        digital_proof, place_name, the_geom_4326, the_geom_point, the_geom_local, \"precision\", date_min, date_max,
        observers, determiner, comment_description, additional_data, last_action)
    SELECT bare_uuid, id_source, bare_key, id_dataset, count_min, count_max, cd_nom, nom_cite, taxref_version,
           digital_proof, place_name, point, point, local, precision_m, date_min, date_max,
           observers, determiner, comment_description, additional_data, 'I'
    FROM bench.converted WHERE ordinal = $1";

#[tokio::main]
async fn main() -> Result<()> {
    let records: i32 = match env::var("PASSEREAU_BENCH_RECORDS") {
        Ok(text) => text.parse().context("PASSEREAU_BENCH_RECORDS is no number")?,
        Err(_) => 100_000,
    };
    let database = TestDatabase::migrated().await;
    let pool = &database.pool;
    seed_sandbox(pool).await?;
    execute(pool, PREPARE, &[("{links}", OTHER_LINKS.to_string()), ("{records}", records.to_string())]).await?;

    let harvest = land(pool, records).await?;
    let (plan_s, slices) = plan(pool, harvest).await?;
    println!("plan of new records: {:.4} ms a row", per_row(plan_s, records));
    sqlx::query(CONVERTED).bind(harvest).execute(pool).await?;
    sqlx::raw_sql("CREATE INDEX ON bench.converted (ordinal); ANALYZE bench.converted; CHECKPOINT")
        .execute(pool)
        .await?;

    let (mut apply_s, mut bare_s) = (0.0, 0.0);
    for slice in 0..slices {
        let mut turn = (0.0, 0.0);
        for bare in [slice % 2 == 0, slice % 2 != 0] {
            if bare {
                turn.0 = bare_insert(pool, slice).await?;
            } else {
                turn.1 = apply(pool, harvest, slice).await?;
            }
        }
        println!("slice {slice}: bare {:.2} s, apply {:.2} s", turn.0, turn.1);
        bare_s += turn.0;
        apply_s += turn.1;
    }
    let finish_s = finish(pool, harvest).await?;
    let inserted: i64 = sqlx::query_scalar("SELECT inserted FROM passereau.harvest WHERE id = $1")
        .bind(harvest)
        .fetch_one(pool)
        .await?;
    ensure!(inserted == i64::from(records), "{inserted} of {records} records entered");
    sqlx::query("UPDATE passereau.harvest SET state = 'completed' WHERE id = $1").bind(harvest).execute(pool).await?;

    let before = versions(pool).await?;
    let again = land(pool, records).await?;
    let (unchanged_s, slices) = plan(pool, again).await?;
    ensure!(slices == 0, "{slices} slices for records that did not change");
    let first_to_second = (plan_s + apply_s + finish_s) / (unchanged_s + finish(pool, again).await?);
    ensure!(versions(pool).await? == before, "the second harvest has written rows of the synthèse");
    let ratio = apply_s / bare_s;
    let unchanged_ms = per_row(unchanged_s, records);
    println!("bare {:.4} ms a row, apply {:.4} ms a row", per_row(bare_s, records), per_row(apply_s, records));
    println!("plan and apply against bare: {:.3}", (plan_s + apply_s) / bare_s);
    println!("upsert: ratio={ratio:.3} unchanged_ms_per_row={unchanged_ms:.4}");
    println!("second harvest: 1/{first_to_second:.0} of the first one's upsert stage");
    ensure!(
        ratio <= RATIO && unchanged_ms <= UNCHANGED_MS && first_to_second >= FIRST_TO_SECOND,
        "the goals are ratio {RATIO}, {UNCHANGED_MS} ms and 1/{FIRST_TO_SECOND}"
    );
    Ok(())
}

fn per_row(seconds: f64, records: i32) -> f64 {
    seconds * 1000.0 / f64::from(records)
}

async fn execute(pool: &PgPool, sql: &str, values: &[(&str, String)]) -> Result<()> {
    let sql = values.iter().fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, value));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await?;
    Ok(())
}

/// A landed generation with its harvest.
async fn land(pool: &PgPool, records: i32) -> Result<Uuid> {
    let harvest = Uuid::new_v4();
    let generation: i64 = sqlx::query_scalar(
        "INSERT INTO pinv_gbif.generation (subscription, harvest_id, archive_key, state, read, landed)
         VALUES ('bench', $1, 'bench', 'landed', $2, $2) RETURNING id",
    )
    .bind(harvest)
    .bind(i64::from(records))
    .fetch_one(pool)
    .await?;
    sqlx::query(
        "INSERT INTO passereau.harvest (id, subscription, state, request, request_digest, generation_id, read, landed)
         VALUES ($1, 'bench', 'planning', '{}', '', $2, $3, $3)",
    )
    .bind(harvest)
    .bind(generation)
    .bind(i64::from(records))
    .execute(pool)
    .await?;
    sqlx::query("SELECT pinv_gbif.begin_generation($1)").bind(generation).execute(pool).await?;
    execute(pool, RECORDS, &[("{generation}", generation.to_string()), ("{records}", records.to_string())]).await?;
    sqlx::query("SELECT pinv_gbif.complete_generation($1)").bind(generation).execute(pool).await?;
    sqlx::raw_sql("CHECKPOINT").execute(pool).await?;
    Ok(harvest)
}

/// Seconds of the whole plan, and its slices.
async fn plan(pool: &PgPool, harvest: Uuid) -> Result<(f64, i32)> {
    let start = Instant::now();
    loop {
        let (done, slices): (bool, Option<i32>) =
            sqlx::query_as("SELECT done, slices FROM passereau.plan($1)").bind(harvest).fetch_one(pool).await?;
        if done {
            return Ok((start.elapsed().as_secs_f64(), slices.unwrap_or(0)));
        }
    }
}

/// Changes with every row version of the synthèse.
async fn versions(pool: &PgPool) -> Result<(i64, String)> {
    Ok(sqlx::query_as(
        "SELECT count(*), md5(string_agg(xmin::text || ctid::text, ' ' ORDER BY id_synthese)) FROM gn_synthese.synthese",
    )
    .fetch_one(pool)
    .await?)
}

/// Seconds of the end of a harvest: its sums, and the generation that becomes the current one.
async fn finish(pool: &PgPool, harvest: Uuid) -> Result<f64> {
    let start = Instant::now();
    sqlx::query("SELECT passereau.finish($1)").bind(harvest).execute(pool).await?;
    Ok(start.elapsed().as_secs_f64())
}

async fn bare_insert(pool: &PgPool, slice: i32) -> Result<f64> {
    let start = Instant::now();
    sqlx::query(BARE).bind(slice).execute(pool).await?;
    Ok(start.elapsed().as_secs_f64())
}

async fn apply(pool: &PgPool, harvest: Uuid, slice: i32) -> Result<f64> {
    let start = Instant::now();
    sqlx::query("SELECT passereau.apply($1, $2)").bind(harvest).bind(slice).execute(pool).await?;
    Ok(start.elapsed().as_secs_f64())
}
