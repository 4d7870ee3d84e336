//! What the statements cost. Not a part of the suite: `cargo test -p passereau-gate -- --ignored --nocapture cost`.

use std::time::Instant;

use passereau_gate::{Field, Query, Selection};
use sqlx::Executor;

use crate::platform::{Platform, copy, everything, in_territory};

const RECORDS: i32 = 300_000;

/// A tenth is sensitive, a tenth wished otherwise; areas by arithmetic and by index, as a platform's triggers would have set them.
const FILL: &str = "
    SET session_replication_role = replica;
    INSERT INTO gn_synthese.synthese (id_synthese, unique_id_sinp, id_source, id_dataset, cd_nom, nom_cite, date_min, date_max, observers, the_geom_local, the_geom_4326,
        id_nomenclature_sensitivity, id_nomenclature_diffusion_level, additional_data, entity_source_pk_value, place_name, comment_description)
    SELECT n, md5('u' || n)::uuid, (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = CASE WHEN n % 2 = 0 THEN 'GBIF' ELSE 'Import' END),
           (SELECT max(id_dataset) FROM gn_meta.t_datasets), CASE WHEN n % 2 = 0 THEN 65133 ELSE 4001 END, 'Nom cité', day, day, 'Camille Dupont', geom, ST_Transform(geom, 4326),
           ref_nomenclatures.get_id_nomenclature('SENSIBILITE', CASE n % 40 WHEN 1 THEN '1' WHEN 2 THEN '2' WHEN 3 THEN '2' WHEN 4 THEN '3' WHEN 5 THEN '4' ELSE '0' END),
           CASE n % 20 WHEN 7 THEN ref_nomenclatures.get_id_nomenclature('NIV_PRECIS', '2') END,
           jsonb_build_object('license', 'CC_BY_4_0', 'rightsHolder', 'Claire Martin', 'datasetKey', '50c9509d-22c7-4a22-a47d-8c48425ef4a7', 'basisOfRecord', 'HUMAN_OBSERVATION'),
           n::text, 'Lieu ' || n, repeat('Un commentaire. ', 5)
    FROM generate_series(1, 300000) n,
         LATERAL (SELECT ST_SetSRID(ST_MakePoint(600001 + (n * 7919::bigint) % 449990, 6320001 + (n * 104729::bigint) % 359990), 2154) AS geom, '2020-01-01'::timestamp + interval '1 minute' * n AS day) x;
    INSERT INTO gn_synthese.cor_area_synthese
    SELECT s.id_synthese, a.id_area FROM gn_synthese.synthese s JOIN ref_geo.l_areas a ON s.the_geom_local && a.geom;
    INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash, rest_hash, harvest_id)
    SELECT id_synthese, id_synthese, unique_id_sinp, cd_nom, unique_id_sinp, unique_id_sinp, unique_id_sinp, unique_id_sinp, '01970000-0000-7000-8000-000000000001'
    FROM gn_synthese.synthese WHERE id_synthese % 2 = 0;
    SET session_replication_role = origin";

#[tokio::test]
#[ignore = "minutes; prints plans"]
async fn cost_of_the_statements() {
    let platform = Platform::new().await;
    let started = Instant::now();
    platform.execute(FILL).await;
    platform.execute("VACUUM (ANALYZE) gn_synthese.synthese; ").await;
    platform.execute("VACUUM (ANALYZE) gn_synthese.cor_area_synthese").await;
    platform.execute("ANALYZE passereau.written").await;
    println!("{RECORDS} records in {:.0} s", started.elapsed().as_secs_f64());
    let basic: Vec<&Field> = Field::all().iter().filter(|field| field.is_basic).collect();
    let department = "SRID=2154;POLYGON((850000 6440000,940000 6440000,940000 6530000,850000 6530000,850000 6440000))";
    for (name, territory) in [("everywhere", None), ("department", Some(department))] {
        platform.flow("atlas", territory).await;
        let selection: Selection = if territory.is_some() { in_territory() } else { everything() };
        let query = Query::new(selection, basic.clone());
        let mut tx = platform.database.pool.begin().await.expect("transaction");
        query.begin(&mut tx).await.expect("selection");
        for (statement, sql) in [
            ("exact_rows", query.exact_rows(0, 200_000).0),
            ("blurred_rows", query.blurred_rows().0),
            ("tally", query.tally_sql().0),
        ] {
            let started = Instant::now();
            let rows = if statement == "tally" {
                query.tally(&mut tx).await.expect("tally").len()
            } else {
                copy(&mut tx, &sql).await.expect("copy").lines().count()
            };
            println!("\n{name} {statement}: {rows} rows in {:.2} s", started.elapsed().as_secs_f64());
            let inner = sql.trim_start_matches("COPY (").trim_end_matches(") TO STDOUT");
            let explain = format!("EXPLAIN (ANALYZE, BUFFERS) {inner}");
            let plan: Vec<(String,)> =
                sqlx::query_as(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *tx).await.expect("plan");
            for (line,) in plan {
                println!("  {line}");
            }
        }
        tx.execute("ROLLBACK").await.expect("rollback");
    }
}
