-- A synthèse of {rows} records in 50,000 places, as a platform's triggers would have filled it, without running them.
--
-- Departments get borders of thousands of vertices, as those of the IGN have: what is done with an area for each row would cost as much here as there.
-- Of 40 records one each is sensitive to the commune, to the department and not to be diffused, two to the mesh; two more are wished as a mesh;
-- one of 50 has a licence that nobody knows. Half came from GBIF.
SET session_replication_role = replica;

UPDATE ref_geo.l_areas a SET geom = w.geom
FROM (SELECT p.id_area, ST_Multi(ST_MakeValid(ST_SetSRID(ST_MakePolygon(ST_MakeLine(ST_MakePoint(ST_X(p.at) + CASE WHEN p.last THEN 0 ELSE 600 * sin(p.n / 9.0) END,
                                 ST_Y(p.at) + CASE WHEN p.last THEN 0 ELSE 600 * sin(p.n / 7.0) END) ORDER BY p.n)), 2154))) AS geom
      FROM (SELECT d.id_area, (d.dump).geom AS at, (d.dump).path[2] AS n,
                   (d.dump).path[2] = 1 OR (d.dump).path[2] = count(*) OVER (PARTITION BY d.id_area) AS last
            FROM (SELECT l.id_area, ST_DumpPoints(ST_Segmentize((ST_Dump(l.geom)).geom, 100)) AS dump
                  FROM ref_geo.l_areas l JOIN ref_geo.bib_areas_types t USING (id_type) WHERE t.type_code = 'DEP') d) p
      GROUP BY p.id_area) w
WHERE a.id_area = w.id_area;

INSERT INTO gn_synthese.t_sources (name_source) SELECT 'GBIF' WHERE NOT EXISTS (SELECT FROM gn_synthese.t_sources WHERE name_source = 'GBIF');

CREATE TEMPORARY TABLE site AS
SELECT n AS site, geom, ST_Transform(geom, 4326) AS geom_4326, ST_Transform(ST_Centroid(geom), 4326) AS point
FROM (SELECT n, CASE n % 10 WHEN 0 THEN ST_Buffer(at, 150, 2) WHEN 5 THEN ST_MakeLine(at, ST_Translate(at, 200, 100)) ELSE at END AS geom
      FROM generate_series(0, 49999) n,
           LATERAL (SELECT ST_SetSRID(ST_MakePoint(602001 + (n * 7919::bigint) % 445990, 6322001 + (n * 104729::bigint) % 355990), 2154) AS at) x) s;
CREATE TEMPORARY TABLE site_area AS
SELECT s.site, array_agg(a.id_area ORDER BY a.id_area) AS areas
FROM site s JOIN ref_geo.l_areas a ON ST_Intersects(a.geom, s.geom) GROUP BY s.site;
ALTER TABLE site ADD PRIMARY KEY (site);
ALTER TABLE site_area ADD PRIMARY KEY (site);
ANALYZE site;
ANALYZE site_area;

CREATE TEMPORARY TABLE dropped_index AS
SELECT indexdef, schemaname, indexname FROM pg_indexes i
WHERE schemaname = 'gn_synthese' AND tablename IN ('synthese', 'cor_area_synthese')
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = format('%I.%I', i.schemaname, i.indexname)::regclass);
DO $$ DECLARE i record; BEGIN
    FOR i IN SELECT * FROM dropped_index LOOP EXECUTE format('DROP INDEX %I.%I', i.schemaname, i.indexname); END LOOP;
END $$;

INSERT INTO gn_synthese.synthese (id_synthese, unique_id_sinp, unique_id_sinp_grp, id_source, id_dataset, cd_nom, nom_cite, meta_v_taxref, date_min, date_max,
    count_min, count_max, altitude_min, altitude_max, "precision", observers, determiner, the_geom_local, the_geom_4326, the_geom_point,
    id_nomenclature_sensitivity, id_nomenclature_diffusion_level, additional_data, entity_source_pk_value, place_name, comment_description)
SELECT n, md5('u' || n)::uuid, md5('g' || n / 20)::uuid, CASE WHEN n % 2 = 0 THEN gbif.id_source ELSE own.id_source END, d.ids[1 + n % cardinality(d.ids)],
       t.cd_noms[1 + n % cardinality(t.cd_noms)], 'Nom cité ' || n % 3000, 'Taxref V18.0', day.at, day.at, 1, 1 + n % 5, n % 2000, n % 2000, 10 + n % 90,
       'Camille Dupont ' || chr(65 + n % 26) || ', Claire Martin', CASE WHEN n % 3 = 0 THEN 'Ariel Morel' END, s.geom, s.geom_4326, s.point,
       CASE n % 40 WHEN 1 THEN l.com WHEN 2 THEN l.m10 WHEN 3 THEN l.m10 WHEN 4 THEN l.dep WHEN 5 THEN l.nothing ELSE l.exact END,
       CASE n % 20 WHEN 7 THEN l.wish END,
       jsonb_build_object('license', CASE WHEN n % 50 = 9 THEN 'All rights reserved' WHEN n % 3 = 0 THEN 'http://creativecommons.org/licenses/by/4.0/legalcode' ELSE 'CC_BY_4_0' END,
                          'rightsHolder', 'Claire Martin', 'datasetKey', '50c9509d-22c7-4a22-a47d-8c48425ef4a7', 'basisOfRecord', 'HUMAN_OBSERVATION'),
       n::text, 'Lieu-dit ' || n % 50000, CASE WHEN n % 4 = 0 THEN 'Un commentaire sur la donnée ' || n END
FROM generate_series(1, {rows}) n
JOIN site s ON s.site = (n * 31::bigint) % 50000
CROSS JOIN LATERAL (SELECT '2016-01-01'::timestamp + interval '1 minute' * n AS at) day
CROSS JOIN (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = 'GBIF') gbif
CROSS JOIN (SELECT min(id_source) AS id_source FROM gn_synthese.t_sources WHERE name_source <> 'GBIF') own
CROSS JOIN (SELECT array_agg(id_dataset) AS ids FROM gn_meta.t_datasets) d
CROSS JOIN (SELECT array_agg(cd_nom) AS cd_noms FROM taxonomie.taxref) t
CROSS JOIN (SELECT ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '0') AS exact, ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '1') AS com,
                   ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '2') AS m10, ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '3') AS dep,
                   ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '4') AS nothing, ref_nomenclatures.get_id_nomenclature('NIV_PRECIS', '2') AS wish) l;
INSERT INTO gn_synthese.cor_area_synthese (id_synthese, id_area)
SELECT n, unnest(a.areas) FROM generate_series(1, {rows}) n JOIN site_area a ON a.site = (n * 31::bigint) % 50000;
INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash, rest_hash, harvest_id)
SELECT id_synthese, id_synthese, unique_id_sinp, cd_nom, unique_id_sinp, unique_id_sinp, unique_id_sinp, unique_id_sinp, '01970000-0000-7000-8000-000000000001'
FROM gn_synthese.synthese WHERE id_synthese % 2 = 0;

DO $$ DECLARE i record; BEGIN
    FOR i IN SELECT * FROM dropped_index LOOP EXECUTE i.indexdef; END LOOP;
END $$;
SET session_replication_role = origin;
