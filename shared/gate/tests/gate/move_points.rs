//! Random records, an opinion of our own about what becomes of them, and another point for those that leave as an area.
//!
//! Everything that a record could betray itself by is written by [`PLANT`] from its point and its number: the same statement plants the
//! secrets of a new record and those of a moved one.

use sqlx::PgPool;

/// Levels, wishes and sources that records draw from, and rows of an opinion.
pub const SETUP: &str = r#"
    ALTER TABLE gn_synthese.synthese DISABLE TRIGGER tri_insert_calculate_sensitivity, DISABLE TRIGGER tri_update_calculate_sensitivity;
    INSERT INTO ref_nomenclatures.t_nomenclatures (id_type, cd_nomenclature, mnemonique, label_default, label_fr, source, statut, hierarchy, active)
    SELECT y.id_type, n.code, 'x', n.label, n.label, 'test', 'Validé', '999.' || n.code, true
    FROM (VALUES ('SENSIBILITE', '2.1', 'Maille 1 km'), ('SENSIBILITE', '2.3', 'Maille 5 km'), ('SENSIBILITE', '2.5', 'Maille 20 km'),
                 ('SENSIBILITE', '2.6', 'Maille 50 km'), ('SENSIBILITE', '2.7', 'Maille 70 km'), ('SENSIBILITE', '2.8', 'Aucune diffusion'),
                 ('SENSIBILITE', '2.4', ' '), ('SENSIBILITE', '9', 'Inconnu'), ('SENSIBILITE', '', 'Vide'), ('NIV_PRECIS', '7', 'Lieu-dit')) n (type, code, label)
    JOIN ref_nomenclatures.bib_nomenclatures_types y ON y.mnemonique = n.type;
    INSERT INTO gn_synthese.t_sources (name_source) VALUES ('Suivi de la mare ZQ99999999');
    INSERT INTO ref_habitats.habref (cd_hab, fg_validite, cd_typo, lb_code, lb_hab_fr) SELECT n, 'Validé', 22, 'ZQ' || n, 'Habitat ZQ' || n FROM generate_series(1, 50) n;
    INSERT INTO gn_meta.t_datasets (unique_dataset_id, id_acquisition_framework, dataset_name, dataset_shortname, dataset_desc, marine_domain, terrestrial_domain, id_nomenclature_data_origin)
    SELECT md5('ZQ' || n)::uuid, (SELECT min(id_acquisition_framework) FROM gn_meta.t_acquisition_frameworks), 'Étude ZQ' || n, 'x', 'x', false, true,
           ref_nomenclatures.get_id_nomenclature('DS_PUBLIQUE', 'NSP') FROM generate_series(1, 5) n;
    CREATE SCHEMA test;
    -- As a random number between 0 and 1 that the seed, a name and a number give.
    CREATE FUNCTION test.draw(what text, n bigint) RETURNS double precision LANGUAGE sql STABLE
        AS $$ SELECT ('x' || substr(md5(current_setting('test.seed') || what || n), 1, 8))::bit(32)::bigint / 4294967296.0 $$;
    CREATE FUNCTION test.pick(what text, n bigint, among text[]) RETURNS text LANGUAGE sql STABLE
        AS $$ SELECT among[1 + floor(test.draw(what, n) * cardinality(among))::int] $$;
    CREATE FUNCTION test.nomenclature(of text, code text) RETURNS integer LANGUAGE sql STABLE
        AS $$ SELECT n.id_nomenclature FROM ref_nomenclatures.t_nomenclatures n JOIN ref_nomenclatures.bib_nomenclatures_types y USING (id_type)
              WHERE y.mnemonique = of AND n.cd_nomenclature = code $$;
    CREATE TABLE test.subject (n bigint PRIMARY KEY, id_synthese integer UNIQUE, outcome text, area_type text, area_code text, kind text);"#;

/// Records `$1` to `$2`, in a square of 100 km and around it, a tenth on borders.
pub const RECORDS: &str = r#"
    WITH drawn AS (
        SELECT n, test.draw('kind', n) AS kind, 845000 + 110000 * test.draw('x', n) AS x, 6435000 + 110000 * test.draw('y', n) AS y
        FROM generate_series($1::bigint, $2::bigint) n),
    shaped AS (
        SELECT n, ST_SetSRID(CASE
                -- On a border of meshes, of communes, on a corner, far away.
                WHEN kind < 0.04 THEN ST_MakePoint(round(x / 10000) * 10000, y)
                WHEN kind < 0.07 THEN ST_MakePoint(x, 6320000 + round((y - 6320000) / 12000) * 12000)
                WHEN kind < 0.09 THEN ST_MakePoint(round(x / 10000) * 10000, round(y / 10000) * 10000)
                WHEN kind < 0.11 THEN ST_MakePoint(x - 700000, y)
                WHEN kind < 0.16 THEN ST_MakeLine(ST_MakePoint(x, y), ST_MakePoint(x + 30000 * (test.draw('x2', n) - 0.5), y + 30000 * (test.draw('y2', n) - 0.5)))
                WHEN kind < 0.20 THEN ST_Buffer(ST_MakePoint(x, y), 100 + 8000 * test.draw('x2', n), 3)
                WHEN kind < 0.21 THEN ST_Collect(ST_MakePoint(x, y), ST_MakePoint(x + 9000, y + 9000))
                WHEN kind < 0.215 THEN NULL
                ELSE ST_MakePoint(x, y) END, 2154) AS geom
        FROM drawn),
    made AS (
        INSERT INTO gn_synthese.synthese (id_synthese, unique_id_sinp, id_source, id_dataset, cd_nom, nom_cite, date_min, date_max, the_geom_local, the_geom_4326,
               id_nomenclature_sensitivity, id_nomenclature_diffusion_level, additional_data, count_min, count_max, grp_method)
        SELECT 2000000 + n::int, CASE WHEN test.draw('uuid', n) > 0.05 THEN md5('uuid' || n)::uuid END,
               (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = test.pick('source', n, '{Import,GBIF,Suivi de la mare ZQ99999999}')),
               (SELECT id_dataset FROM gn_meta.t_datasets WHERE unique_dataset_id = md5('ZQ' || test.pick('set', n, '{1,2,3,4,5,6}'))::uuid),
               test.pick('taxon', n, '{65133,4001,4001}')::int, 'x', day, day, geom, ST_Transform(geom, 4326),
               test.nomenclature('SENSIBILITE', test.pick('level', n, '{0,0,0,0,0,0,1,1,2,2,3,4,2.1,2.3,2.4,2.5,2.6,2.7,2.8,9,"",null}')),
               test.nomenclature('NIV_PRECIS', test.pick('wish', n, '{null,null,null,0,1,2,3,4,5,7}')),
               jsonb_build_object('license', NULLIF(test.pick('licence', n, '{CC0_1_0,CC0_1_0,CC_BY_4_0,CC_BY_4_0,CC_BY_NC_4_0,?,null}'), '?')),
               floor(9 * test.draw('count', n)), 9, 'n' || n
        FROM shaped, LATERAL (SELECT '2026-01-01'::timestamp + interval '1 day' * floor(300 * test.draw('day', n)) AS day) d
        RETURNING id_synthese, id_synthese - 2000000 AS n)
    INSERT INTO test.subject (n, id_synthese) SELECT n, id_synthese FROM made"#;

/// Secrets and all that depends on the point, for the subjects of a round: `$1` is its number. Coordinates in words, the record's own
/// id, its number, links; the hour, heights, the habitat.
pub const PLANT: &str = r#"
    WITH told AS (
        SELECT t.id_synthese, t.n, 'ZQ' || lpad(t.n::text, 8, '0') || ' vu en ' || COALESCE(ST_AsText(ST_Centroid(s.the_geom_4326), 6), '?') || ', fiche ' || s.id_synthese AS words,
               floor(4000 * test.draw('height' || $1, t.n))::int AS height
        FROM test.subject t JOIN gn_synthese.synthese s ON s.id_synthese = t.id_synthese WHERE t.kind IS NOT DISTINCT FROM $2)
    UPDATE gn_synthese.synthese s SET
        nom_cite = words, place_name = words, comment_context = words, comment_description = E'tab\tand \\ and\n' || words, validation_comment = words,
        digital_proof = 'https://example.org/' || words, non_digital_proof = words, sample_number_proof = words, reference_biblio = words, grp_method = words,
        entity_source_pk_value = CASE WHEN n % 2 = 0 THEN words ELSE (4000000000 + n * 10 + $1)::text END,
        unique_id_sinp_grp = md5('group' || $1 || n)::uuid,
        observers = CASE WHEN n % 3 = 0 THEN 'Camille Dupont' ELSE words END, determiner = CASE WHEN n % 3 = 0 THEN 'Claire Martin' ELSE words END,
        validator = CASE WHEN n % 3 = 0 THEN 'Dominique Petit' ELSE words END, meta_v_taxref = CASE WHEN n % 3 = 0 THEN 'Taxref V18.0' ELSE left(words, 50) END,
        additional_data = s.additional_data || jsonb_build_object('gbifID', words, 'occurrenceID', words, 'decimalLatitude', words, 'locality', words,
            'rightsHolder', CASE WHEN n % 3 = 0 THEN 'Claire Martin' ELSE words END, 'datasetKey', md5('ZQ' || $1)::uuid),
        altitude_min = height, altitude_max = height + 1, depth_min = height, depth_max = height + 1, precision = height,
        cd_hab = 1 + height % 50, id_nomenclature_blurring = test.nomenclature('DEE_FLOU', CASE height % 3 WHEN 0 THEN 'OUI' WHEN 1 THEN 'NON' END),
        id_nomenclature_geo_object_nature = test.nomenclature('NAT_OBJ_GEO', CASE height % 3 WHEN 0 THEN 'St' WHEN 1 THEN 'In' END),
        meta_validation_date = now() + interval '1 second' * height, last_action = CASE height % 2 WHEN 0 THEN 'I' ELSE 'U' END,
        date_min = date_trunc('day', date_min) + interval '20 seconds' * height, date_max = date_trunc('day', date_max) + interval '20 seconds' * height
    FROM told WHERE told.id_synthese = s.id_synthese"#;

/// What becomes of each record in a blurred flow, thought out once more and without `cor_area_synthese`.
pub const OPINION: &str = r#"
    WITH said AS (
        SELECT s.id_synthese, s.the_geom_local AS geom, l.cd_nomenclature AS level, btrim(l.label_default) AS label, s.id_nomenclature_diffusion_level AS wished, w.cd_nomenclature AS wish
        FROM gn_synthese.synthese s LEFT JOIN ref_nomenclatures.t_nomenclatures l ON l.id_nomenclature = s.id_nomenclature_sensitivity
        LEFT JOIN ref_nomenclatures.t_nomenclatures w ON w.id_nomenclature = s.id_nomenclature_diffusion_level),
    typed AS (
        SELECT id_synthese, geom, CASE
                   WHEN label = '' OR label IS NULL THEN NULL
                   WHEN level = '0' AND (wished IS NULL OR wish IN ('0', '5')) THEN 'exact'
                   WHEN level = '0' THEN CASE wish WHEN '1' THEN 'COM' WHEN '2' THEN 'M10' WHEN '3' THEN 'DEP' END
                   WHEN wish = '4' THEN NULL
                   ELSE ('{"1": "COM", "2": "M10", "3": "DEP", "2.1": "M1", "2.3": "M5", "2.5": "M20", "2.6": "M50"}')::jsonb ->> level END AS type,
               CASE WHEN level = '0' THEN 'wish' ELSE 'level' END AS kind
        FROM said),
    placed AS (
        SELECT DISTINCT ON (t.id_synthese) t.id_synthese, a.area_code
        FROM typed t JOIN ref_geo.l_areas a ON a.id_type = ref_geo.get_id_area_type(t.type) AND ST_Intersects(a.geom, t.geom)
             AND (ST_GeometryType(t.geom) = 'ST_Point' OR NOT ST_Touches(t.geom, a.geom))
        ORDER BY t.id_synthese, CASE ST_Dimension(t.geom) WHEN 0 THEN 0 WHEN 1 THEN ST_Length(ST_Intersection(t.geom, a.geom)) ELSE ST_Area(ST_Intersection(t.geom, a.geom)) END DESC, a.area_code)
    UPDATE test.subject s SET outcome = CASE WHEN t.type IS NULL THEN 'withheld' WHEN t.type = 'exact' THEN 'exact' WHEN p.area_code IS NULL THEN 'nowhere' ELSE 'area' END,
           area_type = t.type, area_code = p.area_code, kind = CASE WHEN t.type IS NULL THEN 'withheld' WHEN p.area_code IS NOT NULL THEN t.kind END
    FROM typed t LEFT JOIN placed p ON p.id_synthese = t.id_synthese WHERE t.id_synthese = s.id_synthese"#;

/// Moves the subjects of a kind (`$2`) in round `$1`: those that leave as an area within it, a fifth of them to its border where that is still
/// its own; lines become points and points become lines. What does not leave at all goes anywhere. Ids are given anew, in another order,
/// where the record has a UUID to be known by.
pub const MOVE: &str = r#"
    WITH place AS (
        SELECT t.n, t.id_synthese, t.area_code, a.id_type, test.draw('mx' || $1, t.n) AS rx, test.draw('my' || $1, t.n) AS ry, test.draw('mk' || $1, t.n) AS kind,
               ST_XMin(a.geom) AS west, ST_XMax(a.geom) AS east, ST_YMin(a.geom) AS south, ST_YMax(a.geom) AS north
        FROM test.subject t LEFT JOIN ref_geo.l_areas a ON a.area_code = t.area_code AND a.id_type = ref_geo.get_id_area_type(t.area_type) WHERE t.kind = $2),
    target AS (
        SELECT p.*, ST_SetSRID(CASE
                WHEN west IS NULL THEN ST_MakePoint(845000 + 110000 * rx, 6435000 + 110000 * ry)
                WHEN kind < 0.1 THEN ST_MakePoint(east, south + (north - south) * ry)
                WHEN kind < 0.2 THEN ST_MakePoint(west + (east - west) * rx, south)
                WHEN kind < 0.25 THEN ST_MakePoint(west, north)
                WHEN kind < 0.3 THEN ST_MakeLine(ST_MakePoint(west + 10, south + 10), ST_MakePoint(west + (east - west) * 0.9 * rx + 20, north - 10))
                WHEN kind < 0.35 THEN ST_MakeEnvelope(west + 10, south + 10, west + 20 + (east - west) * 0.9 * rx, north - 10)
                ELSE ST_MakePoint(west + (east - west) * (0.001 + 0.998 * rx), south + (north - south) * (0.001 + 0.998 * ry)) END, 2154) AS wanted
        FROM place p),
    settled AS (
        SELECT t.id_synthese, CASE WHEN west IS NULL OR kind >= 0.25
                 OR area_code = (SELECT min(x.area_code) FROM ref_geo.l_areas x WHERE x.id_type = t.id_type AND ST_Intersects(x.geom, wanted)) THEN wanted
               ELSE ST_SetSRID(ST_MakePoint((west + east) / 2, (south + north) / 2), 2154) END AS geom
        FROM target t),
    moved AS (
        UPDATE gn_synthese.synthese s SET the_geom_local = geom, the_geom_4326 = ST_Transform(geom, 4326),
               id_synthese = CASE WHEN s.unique_id_sinp IS NULL THEN s.id_synthese ELSE 40000000 - s.id_synthese END
        FROM settled WHERE settled.id_synthese = s.id_synthese RETURNING settled.id_synthese AS before, s.id_synthese AS after)
    UPDATE test.subject t SET id_synthese = after FROM moved WHERE moved.before = t.id_synthese"#;

/// Runs one of the statements with a seed.
pub async fn run(pool: &PgPool, seed: u64, sql: &'static str, round: i64, kind: Option<&str>) -> u64 {
    let mut tx = pool.begin().await.expect("transaction");
    sqlx::query("SELECT set_config('test.seed', $1, true)")
        .bind(seed.to_string())
        .execute(&mut *tx)
        .await
        .expect("seed");
    let done = sqlx::query(sql).bind(round);
    let done = if sql == RECORDS { done.bind(round + 999) } else { done.bind(kind) };
    let done = done.execute(&mut *tx).await.expect("statement").rows_affected();
    tx.commit().await.expect("commit");
    done
}
