-- Plan: one chunk of the difference between a generation and what the synthèse holds of it.
--
-- A call takes the records of the harvest's generation that follow harvest.plan_cursor, judges them (40_judge.sql),
-- converts those that are not unchanged (50_convert.sql) into passereau.plan, finds out what their UUIDs mean, counts, and
-- moves the cursor. Cursor and
-- counts move in one transaction: a restart in the middle neither loses nor doubles. A second copy waits for the first one
-- at the harvest's row and goes on behind it. The call that finds no more records cuts the plan into slices of 10,000 rows
-- and sets harvest.slices_left. Called again after that, it changes nothing and answers the same.
--
-- A record of which nothing that we write has changed (an eventTime, say, or a new version of the conversion) is counted as
-- unchanged, and only passereau.written learns its new key.
--
-- Updates are compared with the rows as they stand (55_compare.sql): what a person changed is kept. Records that no current
-- generation holds any more are planned as well (61_vanished.sql). With the last chunk the plan is summed up for people
-- (62_summary.sql).
--
-- harvest.state is the caller's business.
--
-- Cost, reviewed with EXPLAIN (ANALYZE) on a chunk of 200,000 records of 165 names (2 cores, a load below 1; vanished earlier, on
-- 1,000,000 records under load):
--   unchanged  0.011 ms a record. Joins to names and written (whose range of keys is read, not the table); name_key, the key of
--              the row and the match of the names are most of it. No vocabulary, no dataset and no answer of iNaturalist is read.
--   one record in a hundred changed   0.0125 ms a record of the chunk: only the changed ones are judged and converted
--   new        0.14 ms a record: keys twice, the vocabulary 0.007 ms, the trial projection and the territory, conversion,
--              three hashes, and the rows of the plan, about 900 bytes each with their indexes.
--   vanished   0.005 ms a record: anti-join of the two partitions over the chunk's range.
--
-- Locks: the harvest's row, and passereau.plan against another ANALYZE until the commit; the records are read as of the start
-- of each statement, nothing else is locked.
SET check_function_bodies = off;

-- done       no record is left: the slices are cut
-- slices     how many there are, once done
-- planned    records of the plan written by this call
-- read       records looked at by this call
--
-- force_custom_plan: with the generation's number known, PostgreSQL reads one partition; no trigger of GeoNature runs in
-- here. The text form of numbers and dates goes into hashes, so it is pinned.
DROP FUNCTION IF EXISTS passereau.plan(uuid, integer);
CREATE FUNCTION passereau.plan(of_harvest uuid, max_records integer DEFAULT 200000,
                               OUT done boolean, OUT slices integer, OUT planned integer, OUT read integer)
LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '128MB'
SET extra_float_digits = 1 SET datestyle = 'ISO, MDY'
AS $$
DECLARE
    end_of_ids CONSTANT bigint := 9223372036854775807;
    -- All records are planned, what is to be done with the plan as a whole is not.
    all_planned CONSTANT bigint := end_of_ids - 1;
    -- More planned records than this are summed up in a call of its own, so that half a chunk never is too long because of it.
    many CONSTANT integer := 100000;
    few        CONSTANT integer := 20000;
    only_ids    bigint[];       -- the records that have changed; NULL when they are many
    has_changed boolean;
    harvest     passereau.harvest;
    generation  pinv_gbif.generation;
    previous    bigint;         -- the subscription's current generation, where it still stands
    others      bigint[];       -- the current generations of other subscriptions
    destination record;
    digest      uuid;
    after_id    bigint;
    upto_id     bigint;
    upto_before bigint;         -- where a chunk of the generation before would end, if it goes on behind that
    same        integer;        -- planned records of which nothing that we write had changed
    as_it_is    integer;        -- planned records whose row says already what GBIF says
    gone        bigint;
BEGIN
    SELECT * INTO harvest FROM passereau.harvest h WHERE h.id = of_harvest FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no harvest %', of_harvest USING ERRCODE = 'PS002';
    END IF;
    planned := 0;
    read := 0;
    IF harvest.plan_cursor = end_of_ids THEN
        SELECT true, count(*) INTO done, slices
        FROM passereau.slice s WHERE s.harvest_id = of_harvest AND s.stage = 'upsert';
        RETURN;
    END IF;

    SELECT * INTO generation FROM pinv_gbif.generation g WHERE g.id = harvest.generation_id;
    -- A reconversion plans the current generation once more.
    IF generation.state IS DISTINCT FROM 'landed'
       AND NOT (generation.state = 'current' AND generation.harvest_id <> of_harvest) THEN
        RAISE EXCEPTION 'harvest % cannot be planned: its generation % is %, not landed',
                of_harvest, COALESCE(generation.id::text, '(none)'), COALESCE(generation.state, 'missing')
            USING ERRCODE = 'PS002';
    END IF;
    SELECT * INTO destination FROM passereau.destination();
    digest := passereau.platform_digest(destination.srid);
    SELECT s.current_generation INTO previous
    FROM passereau.subscription s
    JOIN pinv_gbif.generation g ON g.id = s.current_generation AND g.state = 'current'
    WHERE s.name = harvest.subscription;
    SELECT COALESCE(array_agg(g.id), '{}') INTO others
    FROM pinv_gbif.generation g WHERE g.state = 'current' AND g.subscription <> harvest.subscription;

    IF harvest.plan_cursor IS NULL THEN
        -- A missing framework is told now, not by the first slice that needs it.
        IF harvest.settings ->> 'metadata' = 'create' THEN
            PERFORM passereau.acquisition_framework();
        END IF;
        -- As of the first chunk: an edit in the middle of a plan is then still to be converted.
        UPDATE passereau.harvest h
        SET converted_digest = passereau.conversion_digest(harvest.settings, digest, harvest.subscription),
            taxref_version = destination.taxref_version,
            taxon_revision = (SELECT r.number FROM passereau.revision r WHERE r.name = 'taxon'),
            plan_basis = passereau.plan_basis(of_harvest)
        WHERE h.id = of_harvest;
        -- The plan of a generation that nobody analysed would be a nested loop.
        EXECUTE format('ANALYZE pinv_gbif.occurrence_%s (generation_id, gbif_id, dataset_key, taxon_key, scientific_name, inaturalist_id, issue)',
                       generation.id);
    END IF;

    after_id := COALESCE(harvest.plan_cursor, -1);
    SELECT max(chunk.gbif_id), count(*) INTO upto_id, read
    FROM (SELECT o.gbif_id FROM pinv_gbif.occurrence o
          WHERE o.generation_id = generation.id AND o.gbif_id > after_id
          ORDER BY o.gbif_id LIMIT max_records) chunk;
    done := read < max_records;
    IF done THEN
        upto_id := end_of_ids;
    END IF;
    -- What the generation before held is looked at in the same chunks: a request that was narrowed leaves much behind.
    IF previous IS NOT NULL AND previous <> generation.id THEN
        SELECT max(chunk.gbif_id) INTO upto_before
        FROM (SELECT o.gbif_id FROM pinv_gbif.occurrence o
              WHERE o.generation_id = previous AND o.gbif_id > after_id
              ORDER BY o.gbif_id LIMIT max_records) chunk
        HAVING count(*) = max_records;
        IF upto_before < upto_id THEN
            upto_id := upto_before;
            done := false;
            SELECT count(*) INTO read FROM pinv_gbif.occurrence o
            WHERE o.generation_id = generation.id AND o.gbif_id > after_id AND o.gbif_id <= upto_id;
        END IF;
    END IF;

    PERFORM passereau.adopt_rows(of_harvest, generation.id, after_id, upto_id, destination.id_source, harvest.plan_cursor IS NULL);

    -- First what has changed at all: the rest is a query over these alone, unless they are many.
    SELECT array_agg(k.gbif_id) INTO only_ids
    FROM passereau.keyed(generation.id, after_id, upto_id, harvest.settings, digest) k
    WHERE k.last_key IS DISTINCT FROM k.key;
    has_changed := only_ids IS NOT NULL;
    IF cardinality(only_ids) > few THEN
        only_ids := NULL;
    END IF;

    IF has_changed THEN
        INSERT INTO passereau.plan (
            harvest_id, gbif_id, action, reason, detail, dataset_key, taxon_key, taxon_path, id_synthese, unique_id_sinp, id_dataset,
            cd_nom, cell, media_hash, written_key,
            nom_cite, date_min, date_max, longitude, latitude, precision_m, count_min, count_max, observers, determiner,
            digital_proof, non_digital_proof, reference_biblio, place_name, comment_description, additional_data,
            id_nomenclature_geo_object_nature, id_nomenclature_blurring, id_nomenclature_bio_status, id_nomenclature_behaviour,
            id_nomenclature_obs_technique, id_nomenclature_bio_condition, id_nomenclature_naturalness, id_nomenclature_exist_proof,
            id_nomenclature_life_stage, id_nomenclature_sex, id_nomenclature_obj_count, id_nomenclature_type_count,
            id_nomenclature_observation_status, id_nomenclature_source_status, id_nomenclature_biogeo_status,
            id_nomenclature_determination_method, place_hash, taxon_hash, rest_hash)
        SELECT of_harvest, c.gbif_id, c.verdict, c.reason, c.detail, c.dataset_key, c.taxon_key, c.taxon_path, c.id_synthese,
               c.unique_id_sinp, c.id_dataset, c.cd_nom, c.cell, c.media_hash, c.written_key,
               c.nom_cite, c.date_min, c.date_max, c.longitude, c.latitude, c.precision_m, c.count_min, c.count_max,
               c.observers, c.determiner, c.digital_proof, c.non_digital_proof, c.reference_biblio, c.place_name,
               c.comment_description, c.additional_data,
               c.id_nomenclature_geo_object_nature, c.id_nomenclature_blurring, c.id_nomenclature_bio_status,
               c.id_nomenclature_behaviour, c.id_nomenclature_obs_technique, c.id_nomenclature_bio_condition,
               c.id_nomenclature_naturalness, c.id_nomenclature_exist_proof, c.id_nomenclature_life_stage, c.id_nomenclature_sex,
               c.id_nomenclature_obj_count, c.id_nomenclature_type_count, c.id_nomenclature_observation_status,
               c.id_nomenclature_source_status, c.id_nomenclature_biogeo_status, c.id_nomenclature_determination_method,
               md5(ROW (c.longitude, c.latitude, c.cell, c.precision_m, c.id_nomenclature_geo_object_nature,
                        c.id_nomenclature_blurring, destination.srid)::text)::uuid,
               md5(ROW (c.cd_nom, c.date_min, c.date_max, c.id_nomenclature_bio_status, c.id_nomenclature_behaviour)::text)::uuid,
               -- The dataset by its key: a dataset that is yet to be made has no number.
               md5(ROW (c.dataset_key, c.nom_cite, c.count_min, c.count_max, c.observers, c.determiner, c.digital_proof,
                        c.non_digital_proof, c.reference_biblio, c.place_name, c.comment_description, c.additional_data,
                        c.id_nomenclature_obs_technique, c.id_nomenclature_bio_condition,
                        c.id_nomenclature_naturalness, c.id_nomenclature_exist_proof, c.id_nomenclature_life_stage,
                        c.id_nomenclature_sex, c.id_nomenclature_obj_count, c.id_nomenclature_type_count,
                        c.id_nomenclature_observation_status, c.id_nomenclature_source_status,
                        c.id_nomenclature_biogeo_status, c.id_nomenclature_determination_method)::text)::uuid
        FROM (SELECT v.verdict, v.reason, v.detail, v.id_synthese, v.unique_id_sinp, v.id_dataset, v.cd_nom, v.taxon_path, v.cell,
                     v.media_hash, v.written_key, r.*
              FROM passereau.judge(generation.id, others, after_id, upto_id, destination.srid, harvest.settings, digest, only_ids) v
              JOIN passereau.converted(generation.id, after_id, upto_id, only_ids, harvest.settings) r ON r.gbif_id = v.gbif_id
              OFFSET 0) c;    -- each column is converted once, not once more for its hash
        GET DIAGNOSTICS planned = ROW_COUNT;
    END IF;

    IF planned > 0 THEN
        -- apply() emptied this table after the last harvest. With the statistics of then, everything below and every
        -- range of a slice looks like one row: 50,000 records took minutes.
        ANALYZE passereau.plan (harvest_id, gbif_id, action, unique_id_sinp);
    END IF;

    WITH identical AS (
        DELETE FROM passereau.plan p USING passereau.written w
        WHERE p.harvest_id = of_harvest AND p.gbif_id > after_id AND p.gbif_id <= upto_id AND p.action = 'update'
          AND w.gbif_id = p.gbif_id
          AND w.place_hash = p.place_hash AND w.taxon_hash = p.taxon_hash AND w.rest_hash = p.rest_hash
          -- A subscription without media leaves those that another one has brought.
          AND (p.media_hash IS NULL OR p.media_hash = COALESCE(w.media_hash, uuid_nil()))
          AND w.vanished_how IS DISTINCT FROM 'marked'
        RETURNING p.gbif_id, p.written_key
    )
    UPDATE passereau.written w SET written_key = i.written_key FROM identical i WHERE w.gbif_id = i.gbif_id;
    GET DIAGNOSTICS same = ROW_COUNT;
    planned := planned - same;

    PERFORM passereau.plan_identities(of_harvest, generation.id, others, after_id, upto_id, harvest.settings);
    PERFORM passereau.refuse_ambiguous(of_harvest, generation.id, after_id, upto_id);
    as_it_is := passereau.plan_edits(of_harvest, after_id + 1, upto_id, destination.id_source, destination.srid);
    planned := planned - as_it_is;

    gone := 0;
    IF previous <> generation.id OR previous IS NULL AND passereau.abandoned(harvest.subscription, of_harvest) <> '{}' THEN
        gone := passereau.plan_vanished(of_harvest, previous, others, after_id, upto_id, destination.id_source);
    END IF;

    UPDATE passereau.harvest h
    SET plan_cursor = upto_id, unchanged = h.unchanged + plan.read - plan.planned, vanished = h.vanished + gone, updated_at = now()
    WHERE h.id = of_harvest;

    IF done AND (SELECT count(*) FROM passereau.plan p WHERE p.harvest_id = of_harvest) > many AND after_id <> all_planned THEN
        UPDATE passereau.harvest h SET plan_cursor = all_planned WHERE h.id = of_harvest;
        done := false;
    END IF;
    IF done THEN
        -- A record that GBIF gave a new gbifID takes its row along: its former number has not vanished.
        DELETE FROM passereau.plan v USING passereau.plan r
        WHERE r.harvest_id = of_harvest AND r.action = 'rekey'
          AND v.harvest_id = of_harvest AND v.action = 'vanish' AND v.gbif_id = r.former_gbif_id;
        slices := passereau.cut_slices(of_harvest);
        UPDATE passereau.harvest h SET planned_at = now(), plan_summary = passereau.plan_summary(of_harvest) WHERE h.id = of_harvest;
    END IF;
END $$;

-- What a new record is to those that are there, by its UUID:
--   rekey            GBIF gave a record that we wrote a new gbifID: its row is taken over, in place. The old gbifID must be
--                    gone from this generation and from the current ones of other subscriptions.
--   uuid_duplicate   an earlier new record of this harvest has it, or a record that is written and still published
--   adopt            it stands in the synthèse under another source, and the subscription says already_present = update:
--                    that row's converted columns become ours, its source and key stay
--   already_present  it stands there, and is left alone
-- Of two new records of one generation the one with the lower gbif_id enters.
CREATE OR REPLACE FUNCTION passereau.plan_identities(of_harvest uuid, of_generation bigint, others bigint[], after_id bigint,
                                                     upto_id bigint, settings jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE passereau.plan p
    SET action = 'reject', reason = 'uuid_duplicate', detail = p.unique_id_sinp::text
    WHERE p.harvest_id = of_harvest AND p.gbif_id > after_id AND p.gbif_id <= upto_id AND p.action = 'insert'
      AND EXISTS (SELECT FROM passereau.plan q
                  WHERE q.harvest_id = of_harvest AND q.action IN ('insert', 'rekey', 'adopt')
                    AND q.unique_id_sinp = p.unique_id_sinp AND q.gbif_id + 0 < p.gbif_id);  -- by UUID, not by key

    UPDATE passereau.plan p
    SET action = CASE WHEN f.published THEN 'reject' ELSE 'rekey' END,
        reason = CASE WHEN f.published THEN 'uuid_duplicate' END,
        detail = CASE WHEN f.published THEN p.unique_id_sinp::text END,
        former_gbif_id = f.gbif_id, id_synthese = f.id_synthese
    -- Several written records may have one UUID (0001_state.sql): one that is published still decides.
    FROM (SELECT DISTINCT ON (n.gbif_id) n.gbif_id AS new_gbif_id, w.gbif_id, w.id_synthese, e.published
          FROM passereau.plan n
          JOIN passereau.written w ON w.unique_id_sinp = n.unique_id_sinp
          JOIN pinv_gbif.occurrence r ON r.generation_id = of_generation AND r.gbif_id = n.gbif_id
          -- A generation that is older than the record may not know yet that the old number is gone.
          CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pinv_gbif.occurrence o
                                             WHERE o.generation_id = ANY (of_generation || others) AND o.gbif_id = w.gbif_id
                                               AND (o.generation_id = of_generation
                                                    OR (o.last_interpreted < r.last_interpreted) IS NOT TRUE)) AS published) e
          WHERE n.harvest_id = of_harvest AND n.gbif_id > after_id AND n.gbif_id <= upto_id AND n.action = 'insert'
          ORDER BY n.gbif_id, e.published DESC, w.written_at DESC) f
    WHERE p.harvest_id = of_harvest AND p.gbif_id = f.new_gbif_id;

    UPDATE passereau.plan p
    SET action = CASE WHEN settings ->> 'already_present' = 'update' THEN 'adopt' ELSE 'reject' END,
        reason = CASE WHEN settings ->> 'already_present' = 'update' THEN NULL ELSE 'already_present' END,
        detail = format('%s, id_synthese %s of source %s', p.unique_id_sinp, f.id_synthese, f.name_source),
        id_synthese = f.id_synthese
    FROM (SELECT n.gbif_id, s.id_synthese, t.name_source
          FROM passereau.plan n
          JOIN gn_synthese.synthese s ON s.unique_id_sinp = n.unique_id_sinp
          JOIN gn_synthese.t_sources t ON t.id_source = s.id_source
          WHERE n.harvest_id = of_harvest AND n.gbif_id > after_id AND n.gbif_id <= upto_id AND n.action = 'insert') f
    WHERE p.harvest_id = of_harvest AND p.gbif_id = f.gbif_id;
END $$;

-- Cuts the plan of a harvest into slices, sets harvest.slices_left and returns how many there are. Tests lower the number of records
-- (ALTER DATABASE … SET passereau.slice_records), so that a small harvest has several slices; nothing raises it.
CREATE OR REPLACE FUNCTION passereau.cut_slices(of_harvest uuid) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    records_of_a_slice CONSTANT integer :=
        LEAST(10000, NULLIF(current_setting('passereau.slice_records', true), '')::integer);
    slices integer;
BEGIN
    INSERT INTO passereau.slice (harvest_id, stage, ordinal, first_gbif_id, last_gbif_id, records)
    SELECT of_harvest, 'upsert', n.ordinal, min(n.gbif_id), max(n.gbif_id), count(*)
    FROM (SELECT p.gbif_id, ((row_number() OVER (ORDER BY p.gbif_id) - 1) / records_of_a_slice)::integer AS ordinal
          FROM passereau.plan p WHERE p.harvest_id = of_harvest) n
    GROUP BY n.ordinal;
    GET DIAGNOSTICS slices = ROW_COUNT;
    UPDATE passereau.harvest h SET slices_left = slices, updated_at = now() WHERE h.id = of_harvest;
    RETURN slices;
END $$;

RESET check_function_bodies;
