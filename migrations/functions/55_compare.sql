-- Comparison: a row of the synthèse as it stands, as we left it, and as GBIF says today.
--
-- A column that differs from what we left was changed by a person (or by another program): it is kept, and reported as
-- edited_locally, unless GBIF says by now what the person wrote. Columns that mean something only together are kept or written
-- together (column_unit): one end of an interval beside the other one of somebody else may break GeoNature's checks. A column that is as we left it is written when GBIF says
-- otherwise. What is compared are the values in the row, defaults of the instance included, so a correction that somebody made
-- before us costs no write, and the costly triggers of GeoNature fire for columns that really change.
--
-- What we left is remembered as one integer for each column (passereau.written.columns): a number as it is, a text as 32 bits of
-- its md5, so that two texts of one column that share it are one case in four thousand million. md5, because PostgreSQL promises
-- its own hash functions for one version only. Where nothing is remembered (NULL), no column counts as edited.
--
-- Cost (not measured apart; `make bench-upsert` holds that of an insert): a row that is inserted is hashed once, an update is
-- compared twice, when it is planned and when it is written. Unchanged records are not compared. The functions of one row are
-- single expressions, none more volatile inside than it says, because PostgreSQL writes only such functions into the statement
-- that calls them (https://wiki.postgresql.org/wiki/Inlining_of_SQL_functions). Locks: none.
SET check_function_bodies = off;

-- The columns that are compared, as gn_synthese.synthese names them. The last three are only watched: we never write them, and
-- a change tells that a person has validated the row. Stored arrays follow this order: add at the end of the first part only with
-- a migration that empties passereau.written.columns.
CREATE OR REPLACE FUNCTION passereau.column_names() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY['the_geom_4326', 'cd_nom', 'date_min', 'date_max', 'id_nomenclature_bio_status', 'id_nomenclature_behaviour',
                 'precision', 'id_nomenclature_geo_object_nature', 'id_nomenclature_blurring', 'id_dataset', 'nom_cite',
                 'count_min', 'count_max', 'observers', 'determiner', 'digital_proof', 'non_digital_proof', 'reference_biblio',
                 'place_name', 'comment_description', 'id_nomenclature_obs_technique', 'id_nomenclature_bio_condition',
                 'id_nomenclature_naturalness', 'id_nomenclature_exist_proof', 'id_nomenclature_life_stage',
                 'id_nomenclature_sex', 'id_nomenclature_obj_count', 'id_nomenclature_type_count',
                 'id_nomenclature_observation_status', 'id_nomenclature_source_status', 'id_nomenclature_biogeo_status',
                 'id_nomenclature_determination_method', 'additional_data',
                 'id_nomenclature_valid_status', 'validator', 'validation_comment']
$$;

-- Those that are only watched.
CREATE OR REPLACE FUNCTION passereau.watched_names() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY['id_nomenclature_valid_status', 'validator', 'validation_comment']
$$;

-- The columns whose change makes GeoNature look for areas and rules of sensitivity again, and for rules only.
CREATE OR REPLACE FUNCTION passereau.place_names() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT ARRAY['the_geom_4326'] $$;
CREATE OR REPLACE FUNCTION passereau.taxon_names() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY['cd_nom', 'date_min', 'date_max', 'id_nomenclature_bio_status', 'id_nomenclature_behaviour']
$$;

-- Columns that are kept or written as one.
CREATE OR REPLACE FUNCTION passereau.column_unit(column_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN column_name IN ('date_min', 'date_max') THEN 'dates'
        WHEN column_name IN ('count_min', 'count_max', 'id_nomenclature_obj_count', 'id_nomenclature_type_count') THEN 'count'
        WHEN column_name IN ('the_geom_4326', 'precision', 'id_nomenclature_geo_object_nature', 'id_nomenclature_blurring') THEN 'place'
        ELSE column_name END
$$;

-- A geometry as text, with the projection of its local twin.
CREATE OR REPLACE FUNCTION passereau.place_text(place geometry, local_srid integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT COALESCE(ST_AsText(place), '') || ' ' || COALESCE(local_srid::text, '') $$;

-- A moment as text, whatever the session's habits.
CREATE OR REPLACE FUNCTION passereau.moment_text(moment timestamp) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.US') $$;

-- What of our part of additional_data is no content: provenance, and the mark of a vanished record.
CREATE OR REPLACE FUNCTION passereau.no_content_keys() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT passereau.provenance_keys() || 'vanished_at'::text $$;

-- Our part of additional_data, without those; another program's keys are its own business.
CREATE OR REPLACE FUNCTION passereau.own_content(additional_data jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN jsonb_typeof(additional_data) IS DISTINCT FROM 'object' THEN '{}'
        WHEN additional_data - passereau.additional_data_keys() = '{}' THEN (additional_data - passereau.no_content_keys())::text
        ELSE passereau.picked_content(additional_data) END
$$;

-- The same where other programs have keys.
CREATE OR REPLACE FUNCTION passereau.picked_content(additional_data jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(jsonb_object_agg(e.key, e.value), '{}')::text
    FROM jsonb_each(additional_data) e
    WHERE e.key = ANY (passereau.additional_data_keys()) AND NOT e.key = ANY (passereau.no_content_keys())
$$;

-- A row of gn_synthese.synthese, one text for each column of column_names(). Polymorphic, so that no function of ours depends on
-- GeoNature's table.
CREATE OR REPLACE FUNCTION passereau.row_texts(s anyelement) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY[passereau.place_text(s.the_geom_4326, ST_SRID(s.the_geom_local)), s.cd_nom::text, passereau.moment_text(s.date_min),
                 passereau.moment_text(s.date_max), s.id_nomenclature_bio_status::text, s.id_nomenclature_behaviour::text,
                 s."precision"::text, s.id_nomenclature_geo_object_nature::text, s.id_nomenclature_blurring::text,
                 s.id_dataset::text, s.nom_cite, s.count_min::text, s.count_max::text, s.observers, s.determiner,
                 s.digital_proof, s.non_digital_proof, s.reference_biblio, s.place_name, s.comment_description,
                 s.id_nomenclature_obs_technique::text, s.id_nomenclature_bio_condition::text,
                 s.id_nomenclature_naturalness::text, s.id_nomenclature_exist_proof::text, s.id_nomenclature_life_stage::text,
                 s.id_nomenclature_sex::text, s.id_nomenclature_obj_count::text, s.id_nomenclature_type_count::text,
                 s.id_nomenclature_observation_status::text, s.id_nomenclature_source_status::text,
                 s.id_nomenclature_biogeo_status::text, s.id_nomenclature_determination_method::text,
                 passereau.own_content(s.additional_data),
                 s.id_nomenclature_valid_status::text, s.validator, s.validation_comment]
$$;

-- What is remembered of one text, and of one number. An empty text is as good as none.
CREATE OR REPLACE FUNCTION passereau.text_hash(content text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN COALESCE(content, '') = '' THEN 0 ELSE ('x' || left(md5(content), 8))::bit(32)::integer END
$$;
CREATE OR REPLACE FUNCTION passereau.number_hash(number integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT COALESCE(number, -2147483648) $$;

-- What is remembered of a row of gn_synthese.synthese: one integer for each column of column_names().
CREATE OR REPLACE FUNCTION passereau.row_hashes(s anyelement) RETURNS integer[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY[passereau.text_hash(passereau.place_text(s.the_geom_4326, ST_SRID(s.the_geom_local))),
                 passereau.number_hash(s.cd_nom), passereau.text_hash(passereau.moment_text(s.date_min)),
                 passereau.text_hash(passereau.moment_text(s.date_max)), passereau.number_hash(s.id_nomenclature_bio_status),
                 passereau.number_hash(s.id_nomenclature_behaviour), passereau.number_hash(s."precision"),
                 passereau.number_hash(s.id_nomenclature_geo_object_nature), passereau.number_hash(s.id_nomenclature_blurring),
                 passereau.number_hash(s.id_dataset), passereau.text_hash(s.nom_cite), passereau.number_hash(s.count_min),
                 passereau.number_hash(s.count_max), passereau.text_hash(s.observers), passereau.text_hash(s.determiner),
                 passereau.text_hash(s.digital_proof), passereau.text_hash(s.non_digital_proof),
                 passereau.text_hash(s.reference_biblio), passereau.text_hash(s.place_name),
                 passereau.text_hash(s.comment_description), passereau.number_hash(s.id_nomenclature_obs_technique),
                 passereau.number_hash(s.id_nomenclature_bio_condition), passereau.number_hash(s.id_nomenclature_naturalness),
                 passereau.number_hash(s.id_nomenclature_exist_proof), passereau.number_hash(s.id_nomenclature_life_stage),
                 passereau.number_hash(s.id_nomenclature_sex), passereau.number_hash(s.id_nomenclature_obj_count),
                 passereau.number_hash(s.id_nomenclature_type_count),
                 passereau.number_hash(s.id_nomenclature_observation_status),
                 passereau.number_hash(s.id_nomenclature_source_status), passereau.number_hash(s.id_nomenclature_biogeo_status),
                 passereau.number_hash(s.id_nomenclature_determination_method),
                 passereau.text_hash(passereau.own_content(s.additional_data)),
                 passereau.number_hash(s.id_nomenclature_valid_status), passereau.text_hash(s.validator),
                 passereau.text_hash(s.validation_comment)]
$$;

-- What is remembered of a row after it was written: its columns as they stand, but for those that a person had changed, which
-- stay as we left them, so that the change is seen the next time as well.
CREATE OR REPLACE FUNCTION passereau.columns_left(before integer[], standing integer[], edited text[]) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN before IS NULL THEN standing ELSE (
        SELECT array_agg(CASE WHEN c.name = ANY (edited) OR c.name = ANY (passereau.watched_names()) THEN before[c.n] ELSE standing[c.n] END
                         ORDER BY c.n)
        FROM unnest(passereau.column_names()) WITH ORDINALITY c (name, n)) END
$$;

-- Whether a person has validated a row: what GeoNature's validation writes, or a status that is no longer the one we left.
CREATE OR REPLACE FUNCTION passereau.is_validated(s anyelement, here integer[], before integer[]) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT s.validator IS NOT NULL OR s.validation_comment IS NOT NULL OR s.meta_validation_date IS NOT NULL
        OR COALESCE(here[i.n] <> before[i.n], false)
    FROM (SELECT array_position(passereau.column_names(), 'id_nomenclature_valid_status') AS n) i
$$;

-- The updates of a harvest in a range, and the records kept because of a person's edit, each beside its row of the synthèse. Rows
-- that are gone, or that are no longer ours, are not returned.
--   here, gbif       the columns as they stand, and as GBIF would have them
--   writes           columns to write
--   edited           columns that a person changed and GBIF says otherwise
-- Another source's place is not made coarser. A position that has become obscured is written whatever a person has done to it:
-- what stands would go on telling where the organism is.
CREATE OR REPLACE FUNCTION passereau.compared(of_harvest uuid, first_id bigint, last_id bigint, source integer, srid integer)
RETURNS TABLE (gbif_id bigint, id_synthese integer, here text[], gbif text[], seen integer[], "left" integer[], writes text[],
               edited text[], validated boolean)
LANGUAGE sql STABLE AS $$
    WITH side AS (
        SELECT p.gbif_id, s.id_synthese, w.columns AS "left", passereau.row_texts(s) AS here, s,
               ARRAY[passereau.place_text(g.place, srid), p.cd_nom::text, passereau.moment_text(p.date_min),
                     passereau.moment_text(p.date_max), COALESCE(p.id_nomenclature_bio_status, d.bio_status)::text,
                     COALESCE(p.id_nomenclature_behaviour, d.behaviour)::text, p.precision_m::text,
                     COALESCE(p.id_nomenclature_geo_object_nature, d.geo_object_nature)::text,
                     COALESCE(p.id_nomenclature_blurring, d.blurring)::text, COALESCE(p.id_dataset, s.id_dataset)::text, p.nom_cite,
                     p.count_min::text, p.count_max::text, p.observers, p.determiner, p.digital_proof, p.non_digital_proof,
                     p.reference_biblio, p.place_name, p.comment_description,
                     COALESCE(p.id_nomenclature_obs_technique, d.obs_technique)::text,
                     COALESCE(p.id_nomenclature_bio_condition, d.bio_condition)::text,
                     COALESCE(p.id_nomenclature_naturalness, d.naturalness)::text,
                     COALESCE(p.id_nomenclature_exist_proof, d.exist_proof)::text,
                     COALESCE(p.id_nomenclature_life_stage, d.life_stage)::text, COALESCE(p.id_nomenclature_sex, d.sex)::text,
                     COALESCE(p.id_nomenclature_obj_count, d.obj_count)::text,
                     COALESCE(p.id_nomenclature_type_count, d.type_count)::text,
                     COALESCE(p.id_nomenclature_observation_status, d.observation_status)::text,
                     COALESCE(p.id_nomenclature_source_status, d.source_status)::text,
                     COALESCE(p.id_nomenclature_biogeo_status, d.biogeo_status)::text,
                     COALESCE(p.id_nomenclature_determination_method, d.determination_method)::text,
                     passereau.own_content(p.additional_data)] AS gbif,
               w.adopted AND s.the_geom_4326 IS NOT NULL
                   AND (p.cell OR COALESCE(p.precision_m, 2147483647) > COALESCE(s."precision", 2147483647)) AS coarser,
               p.cell AND NOT w.adopted AS obscured
        FROM passereau.plan p
        JOIN passereau.written w ON w.gbif_id = p.gbif_id
        JOIN gn_synthese.synthese s ON s.id_synthese = w.id_synthese
        CROSS JOIN passereau.default_nomenclatures() d
        CROSS JOIN LATERAL (SELECT passereau.place_of(p.longitude, p.latitude, p.cell) AS place OFFSET 0) g
        WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id
          AND (p.action = 'update' OR (p.action = 'keep' AND p.edited <> '{}'))
          -- An adopted row gets its key with the first update only (92_adopt.sql).
          AND (w.adopted OR (w.by_hand AND w.identity_due) OR (s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text))
        OFFSET 0
    ), hashes AS (
        SELECT side.*, passereau.row_hashes(side.s) AS seen FROM side OFFSET 0
    )
    SELECT h.gbif_id, h.id_synthese, h.here, h.gbif, h.seen, h."left", c.writes, c.edited,
           passereau.is_validated(h.s, h.seen, h."left")
    FROM hashes h
    CROSS JOIN LATERAL (
        SELECT COALESCE(array_agg(x.name ORDER BY x.n) FILTER (WHERE NOT x.touched), '{}') AS writes,
               COALESCE(array_agg(x.name ORDER BY x.n) FILTER (WHERE x.touched), '{}') AS edited
        FROM (SELECT u.name, u.n,
                     bool_or(COALESCE(u."left" <> u.seen, false)) OVER (PARTITION BY passereau.column_unit(u.name))
                         AND NOT (h.obscured AND passereau.column_unit(u.name) = 'place') AS touched
              FROM unnest(passereau.column_names(), h.here, h.gbif, h."left", h.seen)
                   WITH ORDINALITY u (name, here, gbif, "left", seen, n)
              WHERE u.here IS DISTINCT FROM u.gbif AND NOT u.name = ANY (passereau.watched_names())
                AND NOT (h.coarser AND passereau.column_unit(u.name) = 'place')) x) c
$$;

-- The columns of a compared row that are named, with both values, cut at 1000 characters.
CREATE OR REPLACE FUNCTION passereau.both_values(names text[], here text[], gbif text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(jsonb_object_agg(c.name, jsonb_build_object('here', left(here[c.n], 1000), 'gbif', left(gbif[c.n], 1000))), '{}')
    FROM unnest(passereau.column_names()) WITH ORDINALITY c (name, n)
    WHERE c.name = ANY (names)
$$;

-- A value of a compared column for people: of a nomenclature its code and label, of a dataset its name, of a taxon its name.
CREATE OR REPLACE FUNCTION passereau.readable(column_name text, value text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN value IS NULL THEN NULL
        WHEN column_name LIKE 'id\_nomenclature\_%' THEN COALESCE(
            (SELECT n.cd_nomenclature || ' ' || COALESCE(n.label_fr, n.label_default, n.mnemonique, '')
             FROM ref_nomenclatures.t_nomenclatures n WHERE n.id_nomenclature = value::integer), value)
        WHEN column_name = 'id_dataset' THEN COALESCE(
            (SELECT d.dataset_name FROM gn_meta.t_datasets d WHERE d.id_dataset = value::integer), value)
        WHEN column_name = 'cd_nom' THEN COALESCE(
            (SELECT value || ' ' || t.nom_complet FROM taxonomie.taxref t WHERE t.cd_nom = value::integer), value)
        WHEN column_name IN ('date_min', 'date_max') THEN regexp_replace(replace(value, 'T', ' '), '( 00:00:00)?\.000000$', '')
        WHEN column_name = 'the_geom_4326' THEN left(regexp_replace(value, ' \d*$', ''), 300)
        ELSE value
    END
$$;

-- The updates of a chunk of a plan, compared:
--   nothing to write, and the media stand as well   the row says already what GBIF says: unchanged, remembered as such
--   nothing to write but what a person changed      keep edited_locally
-- Returns how many are unchanged.
CREATE OR REPLACE FUNCTION passereau.plan_edits(of_harvest uuid, first_id bigint, last_id bigint, source integer, srid integer)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    same integer;
BEGIN
    IF NOT EXISTS (SELECT FROM passereau.plan p
                   WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update') THEN
        RETURN 0;
    END IF;
    PERFORM passereau.keep_of_adopted(of_harvest, first_id, last_id);
    UPDATE passereau.plan p
    SET seen = c.seen, writes = c.writes, edited = c.edited, validated = c.validated,
        told = passereau.both_values(c.writes || c.edited, c.here, c.gbif) - CASE WHEN p.cell THEN 'the_geom_4326' ELSE '' END
    FROM passereau.compared(of_harvest, first_id, last_id, source, srid) c
    WHERE p.harvest_id = of_harvest AND p.gbif_id = c.gbif_id;

    UPDATE passereau.plan p
    SET action = 'keep', reason = 'edited_locally', detail = array_to_string(p.edited, ', ')
    FROM passereau.written w
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND p.writes = '{}' AND p.edited <> '{}' AND w.gbif_id = p.gbif_id
      AND (p.media_hash IS NULL OR p.media_hash = COALESCE(w.media_hash, uuid_nil()));

    WITH said AS (
        DELETE FROM passereau.plan p USING passereau.written w
        WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
          AND p.seen IS NOT NULL AND p.writes = '{}' AND p.edited = '{}' AND w.gbif_id = p.gbif_id
          AND w.vanished_how IS DISTINCT FROM 'marked'
          AND NOT w.identity_due    -- its UUID is still to be written (92_adopt.sql)
          AND (p.media_hash IS NULL OR p.media_hash = COALESCE(w.media_hash, uuid_nil()))
        RETURNING p.*
    ), agreed AS (
        DELETE FROM pinv_gbif.edited_locally e USING said WHERE e.gbif_id = said.gbif_id
    )
    UPDATE passereau.written w
    SET written_key = p.written_key, place_hash = p.place_hash, taxon_hash = p.taxon_hash, rest_hash = p.rest_hash,
        cd_nom = p.cd_nom, cell = p.cell AND NOT w.adopted, taxon_path = p.taxon_path, dataset_key = p.dataset_key,
        columns = passereau.columns_left(w.columns, p.seen, '{}')
    FROM said p WHERE w.gbif_id = p.gbif_id;
    GET DIAGNOSTICS same = ROW_COUNT;
    RETURN same;
END $$;

RESET check_function_bodies;
