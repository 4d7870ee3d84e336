-- Plan: one chunk of the difference between a generation and what the synthèse holds of it.
--
-- A call takes the records of the harvest's generation that follow harvest.plan_cursor, judges them (40_judge.sql),
-- converts those that are not unchanged (50_convert.sql) into passereau.plan, counts, and moves the cursor. Cursor and
-- counts move in one transaction: a restart in the middle neither loses nor doubles. A second copy waits for the first one
-- at the harvest's row and goes on behind it. The call that finds no more records cuts the plan into slices of 10,000 rows
-- and sets harvest.slices_left. Called again after that, it changes nothing and answers the same.
--
-- A record of which nothing that we write has changed (an eventTime, say, or a new version of the conversion) is counted as
-- unchanged, and only passereau.written learns its new key.
--
-- vanished counts the records of the subscription's current generation that the new one does not hold.
--
-- harvest.state is the caller's business.
--
-- Cost, reviewed with EXPLAIN (ANALYZE) in chunks of 200,000, 3,000 taxa, 600,000 answers of iNaturalist (2 cores with a load
-- of 5 to 7; new and vanished on 1,000,000 records):
--   unchanged  0.012 ms a record on 200,000. One pass over the partition for the records and one for the names; joins to
--              datasets, names and written (whose range of keys is read, not the table); a third of the time is the key. The
--              answers of iNaturalist are not read: a record that entered has its UUID.
--   new        0.12 ms a record: half of it the judgement (a third of that the trial projection), the rest conversion,
--              three hashes, and the rows of the plan, about 700 bytes each with their indexes.
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
    harvest     passereau.harvest;
    generation  pinv_gbif.generation;
    previous    bigint;         -- the subscription's current generation, where it still stands
    others      bigint[];       -- the current generations of other subscriptions
    destination record;
    after_id    bigint;
    upto_id     bigint;
    same        integer;        -- planned records of which nothing that we write had changed
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
    IF generation.state IS DISTINCT FROM 'landed' THEN
        RAISE EXCEPTION 'harvest % cannot be planned: its generation % is %, not landed',
                of_harvest, COALESCE(generation.id::text, '(none)'), COALESCE(generation.state, 'missing')
            USING ERRCODE = 'PS002';
    END IF;
    SELECT * INTO destination FROM passereau.destination();
    SELECT s.current_generation INTO previous
    FROM passereau.subscription s
    JOIN pinv_gbif.generation g ON g.id = s.current_generation AND g.state = 'current'
    WHERE s.name = harvest.subscription;
    SELECT COALESCE(array_agg(g.id), '{}') INTO others
    FROM pinv_gbif.generation g WHERE g.state = 'current' AND g.subscription <> harvest.subscription;

    IF harvest.plan_cursor IS NULL THEN
        -- The plan of a generation that nobody analysed would be a nested loop.
        EXECUTE format('ANALYZE pinv_gbif.occurrence_%s (generation_id, gbif_id, dataset_key, taxon_key, scientific_name, inaturalist_id)',
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

    INSERT INTO passereau.plan (
        harvest_id, gbif_id, action, reason, detail, dataset_key, taxon_key, id_synthese, unique_id_sinp, id_dataset, cd_nom,
        nom_cite, date_min, date_max, longitude, latitude, precision_m, count_min, count_max, observers, determiner,
        digital_proof, place_name, comment_description, additional_data, written_key, place_hash, taxon_hash, rest_hash)
    SELECT of_harvest, c.gbif_id, c.verdict, c.reason,
           CASE c.reason
               WHEN 'dataset_unknown' THEN c.dataset_key::text
               WHEN 'date_unreadable' THEN c.event_date
               WHEN 'coordinates_invalid' THEN format('latitude %s, longitude %s', c.latitude, c.longitude)
               WHEN 'taxon_unmatched' THEN c.scientific_name
           END,
           c.dataset_key, c.taxon_key, c.id_synthese, c.unique_id_sinp, c.id_dataset, c.cd_nom,
           c.nom_cite, c.date_min, c.date_max, c.longitude, c.latitude, c.precision_m, c.count_min, c.count_max,
           c.observers, c.determiner, c.digital_proof, c.place_name, c.comment_description, c.additional_data,
           c.written_key,
           md5(ROW (c.longitude, c.latitude, c.precision_m, destination.srid)::text)::uuid,
           md5(ROW (c.cd_nom, c.date_min, c.date_max)::text)::uuid,
           md5(ROW (c.id_dataset, c.nom_cite, c.count_min, c.count_max, c.observers, c.determiner, c.digital_proof,
                    c.place_name, c.comment_description, c.additional_data)::text)::uuid
    FROM (SELECT v.verdict, v.reason, v.id_synthese, v.unique_id_sinp, v.id_dataset, v.cd_nom, v.written_key, r.*
          FROM passereau.judge(generation.id, others, after_id, upto_id, destination.srid) v
          JOIN passereau.converted(generation.id, after_id, upto_id) r ON r.gbif_id = v.gbif_id
          WHERE v.verdict <> 'unchanged'
          OFFSET 0) c;    -- each column is converted once, not once more for its hash
    GET DIAGNOSTICS planned = ROW_COUNT;

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
        RETURNING p.gbif_id, p.written_key
    )
    UPDATE passereau.written w SET written_key = i.written_key FROM identical i WHERE w.gbif_id = i.gbif_id;
    GET DIAGNOSTICS same = ROW_COUNT;
    planned := planned - same;

    -- Records of this chunk whose UUID an earlier new record of the harvest has, or a record that is written.
    UPDATE passereau.plan p
    SET action = 'reject', reason = 'uuid_duplicate', detail = p.unique_id_sinp::text
    WHERE p.harvest_id = of_harvest AND p.gbif_id > after_id AND p.gbif_id <= upto_id AND p.action = 'insert'
      AND (EXISTS (SELECT FROM passereau.plan q
                   WHERE q.harvest_id = of_harvest AND q.action = 'insert'
                     AND q.unique_id_sinp = p.unique_id_sinp AND q.gbif_id + 0 < p.gbif_id)  -- by UUID, not by key
           OR EXISTS (SELECT FROM passereau.written w WHERE w.unique_id_sinp = p.unique_id_sinp));

    gone := 0;
    IF previous IS NOT NULL THEN
        SELECT count(*) INTO gone
        FROM pinv_gbif.occurrence before
        WHERE before.generation_id = previous AND before.gbif_id > after_id AND before.gbif_id <= upto_id
          AND NOT EXISTS (SELECT FROM pinv_gbif.occurrence o
                          WHERE o.generation_id = generation.id AND o.gbif_id > after_id AND o.gbif_id <= upto_id
                            AND o.gbif_id = before.gbif_id);
    END IF;

    UPDATE passereau.harvest h
    SET plan_cursor = upto_id, unchanged = h.unchanged + plan.read - plan.planned, vanished = h.vanished + gone, updated_at = now()
    WHERE h.id = of_harvest;

    IF done THEN
        slices := passereau.cut_slices(of_harvest);
    END IF;
END $$;

-- Cuts the plan of a harvest into slices, sets harvest.slices_left and returns how many there are.
CREATE OR REPLACE FUNCTION passereau.cut_slices(of_harvest uuid) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    records_of_a_slice CONSTANT integer := 10000;
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
