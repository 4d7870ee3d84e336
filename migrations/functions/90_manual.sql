-- By hand: the published procedure's own commands.
--
--   \copy pinv_gbif.tmp_gbif_data FROM …        rows wait in pinv_gbif.manual_occurrence (a plain table)
--   \copy pinv_gbif.cor_multimedia FROM …       rows wait in pinv_gbif.manual_multimedia
--   SELECT pinv_gbif.upsert_gbif_data();        makes them the generation of subscription `manual`, and harvests it
--
-- COPY reaches a view through its INSTEAD OF INSERT trigger (https://www.postgresql.org/docs/current/sql-copy.html). What is
-- copied shows in the two views at once, in front of the current generations and in place of the one of `manual`, which it
-- is about to replace. DELETE takes away what was copied and nothing else; a view cannot be truncated, the two tables can.
--
-- The harvest is the worker's: passereau.plan, apply and finish, in the caller's transaction and as the owner of
-- pinv_gbif.occurrence, so that the same rights decide and the worker owns what is made. Whoever calls is a member of that
-- role (of the writer's, where there are three roles: it then harvests what the owner has landed), or a superuser. No network: an observation of iNaturalist without an answer in pinv_gbif.cor_uuid_inaturalist waits
-- as uuid_pending; called with nothing copied, the function converts the current generation of `manual` again.
--
-- Cost, measured on 100,000 records (2 cores with a load of 2.5): 0.02 ms for a copied row, 0.04 ms for landing it; with plan and
-- apply 1.3 ms for a new row, 0.015 ms for an unchanged one.
-- Locks, until the caller's commit: those of plan and apply for all slices at once. Other harvests wait when they plan (an
-- ANALYZE of passereau.plan) or attach a generation; nobody who reads waits.
-- Fails as plan, apply and finish do (class PS); whatever fails, nothing is written and what was copied is still there.
-- Of the events only harvest.completed is sent: nobody could see the others before it.
SET check_function_bodies = off;

CREATE OR REPLACE VIEW pinv_gbif.tmp_gbif_data AS
SELECT DISTINCT ON (d.gbif_id) d.gbif_id, d.modified, d."references", d.basis_of_record, d.occurrence_id, d.recorded_by,
       d.individual_count, d.sex, d.life_stage, d.reproductive_condition, d.caste, d.behavior, d.vitality,
       d.occurrence_status, d.occurrence_remarks, d.event_date, d.verbatim_locality, d.decimal_latitude, d.decimal_longitude,
       d.coordinate_uncertainty_meters, d.identified_by, d.scientific_name, d.dataset_key, d.issue, d.taxonkey,
       d.verbatim_scientific_name
FROM (
    SELECT m.gbif_id, m.modified, m."references"::varchar, m.basis_of_record::varchar, m.occurrence_id::varchar,
           m.recorded_by::varchar, m.individual_count::varchar, m.sex::varchar, m.life_stage::varchar,
           m.reproductive_condition::varchar, m.caste::varchar, m.behavior::varchar, m.vitality::varchar,
           m.occurrence_status::varchar, m.occurrence_remarks, m.event_date, m.verbatim_locality::varchar,
           m.decimal_latitude, m.decimal_longitude, m.coordinate_uncertainty_meters::varchar, m.identified_by::varchar,
           m.scientific_name::varchar, m.dataset_key, m.issue, m.taxonkey, m.verbatim_scientific_name::varchar,
           true AS copied, NULL::timestamptz AS last_interpreted, m.line AS version
    FROM pinv_gbif.manual_occurrence m
    UNION ALL
    SELECT o.gbif_id, o.modified, o."references", o.basis_of_record, o.occurrence_id, o.recorded_by, o.individual_count::varchar,
           o.sex, o.life_stage, o.reproductive_condition, o.caste, o.behavior, o.vitality, o.occurrence_status,
           o.occurrence_remarks, o.date_start, o.verbatim_locality, o.decimal_latitude::numeric, o.decimal_longitude::numeric,
           o.coordinate_uncertainty_in_meters::varchar, o.identified_by, o.scientific_name, o.dataset_key, o.issue,
           CASE WHEN o.taxon_key ~ '^[0-9]{1,9}$' THEN o.taxon_key::integer END, o.verbatim_scientific_name,
           false, o.last_interpreted, o.generation_id
    FROM pinv_gbif.occurrence o
    JOIN pinv_gbif.generation g ON g.id = o.generation_id AND g.state = 'current'
    WHERE g.subscription <> 'manual' OR NOT EXISTS (SELECT FROM pinv_gbif.manual_occurrence)
) d
ORDER BY d.gbif_id, d.copied DESC, d.last_interpreted DESC NULLS LAST, d.version DESC;

CREATE OR REPLACE VIEW pinv_gbif.cor_multimedia AS
SELECT m.gbif_id, m.media_url
FROM pinv_gbif.manual_multimedia m
UNION
SELECT m.gbif_id, m.identifier
FROM pinv_gbif.multimedia m
JOIN pinv_gbif.generation g ON g.id = m.generation_id AND g.state = 'current'
WHERE g.subscription <> 'manual' OR NOT EXISTS (SELECT FROM pinv_gbif.manual_multimedia);

CREATE OR REPLACE FUNCTION pinv_gbif.fill_gbif_data() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO pinv_gbif.manual_occurrence (
            gbif_id, modified, "references", basis_of_record, occurrence_id, recorded_by, individual_count, sex, life_stage,
            reproductive_condition, caste, behavior, vitality, occurrence_status, occurrence_remarks, event_date,
            verbatim_locality, decimal_latitude, decimal_longitude, coordinate_uncertainty_meters, identified_by,
            scientific_name, dataset_key, issue, taxonkey, verbatim_scientific_name)
        VALUES (
            NEW.gbif_id, NEW.modified, NEW."references", NEW.basis_of_record, NEW.occurrence_id, NEW.recorded_by,
            NEW.individual_count, NEW.sex, NEW.life_stage, NEW.reproductive_condition, NEW.caste, NEW.behavior, NEW.vitality,
            NEW.occurrence_status, NEW.occurrence_remarks, NEW.event_date, NEW.verbatim_locality, NEW.decimal_latitude,
            NEW.decimal_longitude, NEW.coordinate_uncertainty_meters, NEW.identified_by, NEW.scientific_name, NEW.dataset_key,
            NEW.issue, NEW.taxonkey, NEW.verbatim_scientific_name);
        RETURN NEW;
    END IF;
    DELETE FROM pinv_gbif.manual_occurrence m WHERE m.gbif_id = OLD.gbif_id;
    RETURN CASE WHEN FOUND THEN OLD END;    -- a row of a generation is not deleted, and not counted
END $$;

CREATE OR REPLACE FUNCTION pinv_gbif.fill_multimedia() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO pinv_gbif.manual_multimedia (gbif_id, media_url) VALUES (NEW.gbif_id, NEW.media_url);
        RETURN NEW;
    END IF;
    DELETE FROM pinv_gbif.manual_multimedia m WHERE m.gbif_id = OLD.gbif_id AND m.media_url IS NOT DISTINCT FROM OLD.media_url;
    RETURN CASE WHEN FOUND THEN OLD END;
END $$;

DROP TRIGGER IF EXISTS fill ON pinv_gbif.tmp_gbif_data;
CREATE TRIGGER fill INSTEAD OF INSERT OR DELETE ON pinv_gbif.tmp_gbif_data
    FOR EACH ROW EXECUTE FUNCTION pinv_gbif.fill_gbif_data();
DROP TRIGGER IF EXISTS fill ON pinv_gbif.cor_multimedia;
CREATE TRIGGER fill INSTEAD OF INSERT OR DELETE ON pinv_gbif.cor_multimedia
    FOR EACH ROW EXECUTE FUNCTION pinv_gbif.fill_multimedia();

-- A copied text as the loader lands it: empty is NULL, and the quoting of GBIF's small downloads is undone (a value that
-- stands between quotes and holds only doubled ones, at least one).
CREATE OR REPLACE FUNCTION passereau.landed_text(copied text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN copied ~ '^"[^"]*(""[^"]*)+"$' THEN replace(substr(copied, 2, length(copied) - 2), '""', '"')
                ELSE NULLIF(copied, '') END
$$;

-- A copied number, NULL where it is none that the column can hold. The pattern keeps to what a cast never refuses.
CREATE OR REPLACE FUNCTION passereau.landed_integer(copied text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN copied ~ '^[+-]?[0-9]{1,9}$' THEN copied::integer END
$$;
CREATE OR REPLACE FUNCTION passereau.landed_double(copied text) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN copied ~ '^[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?$' THEN copied::float8 END
$$;

-- The number of an observation of iNaturalist, which stands at the end of its address; the catalogue number, where the
-- loader finds it, is none of the procedure's columns.
CREATE OR REPLACE FUNCTION passereau.inaturalist_number(dataset_key uuid, "references" text, occurrence_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN dataset_key = passereau.inaturalist_dataset()
                THEN (regexp_match(concat_ws(' ', "references", occurrence_id),
                                   'https?://[^/ ]+/observations/([1-9][0-9]{0,17})(?= |$)'))[1]::bigint END
$$;

-- The procedure's columns do not tell that iNaturalist has obscured a position (informationWithheld is none of them), but the
-- uncertainty does: it is then at least the diagonal of the cell of 0.2 degree, some 27 km here (inaturalist/inaturalist,
-- observation.rb, uncertainty_cell_diagonal_meters; on a sphere of 6,371 km). An observer's own circle of that size is taken
-- for obscured as well: it places the observation in no commune either.
CREATE OR REPLACE FUNCTION passereau.inferred_obscuring(dataset_key uuid, uncertainty_m double precision, latitude double precision)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN dataset_key = passereau.inaturalist_dataset()
                     AND uncertainty_m >= 0.98 * 6371000 * radians(0.2) * sqrt(1 + cos(radians(latitude)) ^ 2)
                THEN 'Coordinate uncertainty increased (as the uncertainty tells; the copied columns do not)' END
$$;

-- Moves what was copied into the two tables of a generation. Of two copies of one record the later one is landed. In one
-- statement, so that a row that is committed meanwhile is neither lost nor landed half: it waits for the next call.
-- The text form of numbers and dates goes into the hash, so it is pinned.
CREATE OR REPLACE FUNCTION passereau.land_manual(of_generation bigint, OUT read bigint, OUT landed bigint, OUT malformed bigint,
                                                 OUT multimedia bigint)
LANGUAGE plpgsql SET extra_float_digits = 1 SET datestyle = 'ISO, MDY' AS $$
BEGIN
    EXECUTE format($sql$
        WITH copied AS (
            DELETE FROM pinv_gbif.manual_occurrence RETURNING *
        ), newest AS (
            SELECT DISTINCT ON (c.gbif_id) c.* FROM copied c WHERE c.gbif_id > 0 ORDER BY c.gbif_id, c.line DESC
        ), typed AS (
            SELECT n.gbif_id, n.modified, passereau.landed_text(n."references") AS "references",
                   passereau.landed_text(n.basis_of_record) AS basis_of_record,
                   passereau.landed_text(n.occurrence_id) AS occurrence_id, passereau.landed_text(n.recorded_by) AS recorded_by,
                   passereau.landed_integer(n.individual_count) AS individual_count, passereau.landed_text(n.sex) AS sex,
                   passereau.landed_text(n.life_stage) AS life_stage,
                   passereau.landed_text(n.reproductive_condition) AS reproductive_condition,
                   passereau.landed_text(n.caste) AS caste, passereau.landed_text(n.behavior) AS behavior,
                   passereau.landed_text(n.vitality) AS vitality,
                   passereau.landed_text(n.occurrence_status) AS occurrence_status,
                   passereau.landed_text(n.occurrence_remarks) AS occurrence_remarks,
                   CASE WHEN isfinite(n.event_date) THEN n.event_date END AS event_date,
                   passereau.landed_text(n.verbatim_locality) AS verbatim_locality,
                   passereau.landed_double(n.decimal_latitude::text) AS decimal_latitude,
                   passereau.landed_double(n.decimal_longitude::text) AS decimal_longitude,
                   passereau.landed_double(n.coordinate_uncertainty_meters) AS coordinate_uncertainty_in_meters,
                   passereau.landed_text(n.identified_by) AS identified_by,
                   passereau.landed_text(n.scientific_name) AS scientific_name, n.dataset_key,
                   passereau.landed_text(n.issue) AS issue, n.taxonkey::text AS taxon_key,
                   passereau.landed_text(n.verbatim_scientific_name) AS verbatim_scientific_name,
                   passereau.inferred_obscuring(n.dataset_key, passereau.landed_double(n.coordinate_uncertainty_meters),
                                                passereau.landed_double(n.decimal_latitude::text)) AS information_withheld
            FROM newest n
            OFFSET 0    -- each value is computed once, not once more for the hash
        ), landed AS (
            INSERT INTO pinv_gbif.occurrence_%1$s (
                gbif_id, content_hash, date_start, date_end, inaturalist_id, producer_uuid, modified, "references",
                basis_of_record, occurrence_id, recorded_by, individual_count, sex, life_stage, reproductive_condition, caste,
                behavior, vitality, occurrence_status, occurrence_remarks, event_date, verbatim_locality, decimal_latitude,
                decimal_longitude, coordinate_uncertainty_in_meters, identified_by, scientific_name, dataset_key, issue,
                taxon_key, verbatim_scientific_name, information_withheld)
            SELECT t.gbif_id, md5(t::text)::uuid, t.event_date, t.event_date,
                   passereau.inaturalist_number(t.dataset_key, t."references", t.occurrence_id),
                   passereau.producer_uuid(t.occurrence_id), t.modified, t."references", t.basis_of_record, t.occurrence_id,
                   t.recorded_by, t.individual_count, t.sex, t.life_stage, t.reproductive_condition, t.caste, t.behavior,
                   t.vitality, t.occurrence_status, t.occurrence_remarks,
                   -- as GBIF writes it: a time of day only where there is one
                   CASE WHEN t.event_date = t.event_date::date THEN to_char(t.event_date, 'YYYY-MM-DD')
                        ELSE to_char(t.event_date, 'YYYY-MM-DD"T"HH24:MI:SS') END,
                   t.verbatim_locality, t.decimal_latitude, t.decimal_longitude, t.coordinate_uncertainty_in_meters,
                   t.identified_by, t.scientific_name, t.dataset_key, t.issue, t.taxon_key, t.verbatim_scientific_name,
                   t.information_withheld
            FROM typed t
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM copied), (SELECT count(*) FROM landed), (SELECT count(*) FROM copied c WHERE c.gbif_id <= 0)
    $sql$, of_generation) INTO read, landed, malformed;
    EXECUTE format($sql$
        WITH copied AS (
            DELETE FROM pinv_gbif.manual_multimedia RETURNING *
        )
        INSERT INTO pinv_gbif.multimedia_%1$s (gbif_id, identifier)
        SELECT DISTINCT c.gbif_id, passereau.landed_text(c.media_url)
        FROM copied c
        WHERE c.media_url <> '' AND EXISTS (SELECT FROM pinv_gbif.occurrence_%1$s o WHERE o.gbif_id = c.gbif_id)
    $sql$, of_generation);
    GET DIAGNOSTICS multimedia = ROW_COUNT;
END $$;

-- The harvest of what was copied, landed and ready to be planned; or, where nothing was, of the current generation again.
CREATE OR REPLACE FUNCTION passereau.begin_manual(of_download_key text, of_doi text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    started    uuid := uuid_generate_v4();
    generation bigint;
    counted    record;
    in_the_way text;
BEGIN
    -- One call at a time: who comes second sees what the first one has left.
    PERFORM FROM passereau.subscription s WHERE s.name = 'manual' FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM pinv_gbif.manual_occurrence) THEN
        IF EXISTS (SELECT FROM pinv_gbif.manual_multimedia) THEN
            RAISE EXCEPTION 'pinv_gbif.cor_multimedia was copied and pinv_gbif.tmp_gbif_data was not: a generation holds both, copy the records too'
                USING ERRCODE = 'PS002';
        END IF;
        -- As in suppress_names: the whole harvest is one transaction, which an erasure does not see among those at work. So it
        -- waits, and then goes through what this one has written.
        LOCK TABLE passereau.erasure IN SHARE MODE;
        started := passereau.reconvert('manual', started, 'manual');
        -- A key and a DOI that come later than the copy are the copy's all the same.
        UPDATE passereau.harvest h
        SET download_key = COALESCE(of_download_key, h.download_key), doi = COALESCE(of_doi, h.doi)
        FROM pinv_gbif.generation g
        JOIN passereau.subscription s ON s.current_generation = g.id
        WHERE s.name = 'manual' AND started IS NOT NULL AND h.id IN (started, g.harvest_id);
    ELSE
        INSERT INTO passereau.harvest (id, subscription, state, origin, request, request_digest, settings, download_key, doi)
        SELECT started, s.name, 'planning', 'manual', s.request, 'manual', s.settings, of_download_key, of_doi
        FROM passereau.subscription s WHERE s.name = 'manual'
        ON CONFLICT (subscription) WHERE state NOT IN ('completed', 'failed', 'cancelled') DO NOTHING
        RETURNING id INTO started;
    END IF;
    IF started IS NULL THEN
        SELECT format('harvest %s of subscription manual is alive (%s): let it end, or see `passereau harvest show %s`', h.id, h.state, h.id)
        INTO in_the_way
        FROM passereau.harvest h WHERE h.subscription = 'manual' AND h.state NOT IN ('completed', 'failed', 'cancelled');
        RAISE EXCEPTION '%', COALESCE(in_the_way, 'nothing was copied into pinv_gbif.tmp_gbif_data, and nothing was before: copy the records first')
            USING ERRCODE = 'PS002';
    END IF;
    IF EXISTS (SELECT FROM passereau.harvest h WHERE h.id = started AND h.generation_id IS NOT NULL) THEN
        RETURN started;
    END IF;

    INSERT INTO pinv_gbif.generation (subscription, harvest_id, archive_key) VALUES ('manual', started, 'by hand')
    RETURNING id INTO generation;
    PERFORM pinv_gbif.begin_generation(generation);
    SELECT * INTO counted FROM passereau.land_manual(generation);
    PERFORM pinv_gbif.complete_generation(generation);
    UPDATE pinv_gbif.generation g
    SET state = 'landed', read = counted.read, landed = counted.landed, malformed = counted.malformed,
        duplicate = counted.read - counted.landed - counted.malformed, multimedia = counted.multimedia, landed_at = now()
    WHERE g.id = generation;
    UPDATE passereau.harvest h
    SET generation_id = g.id, read = g.read, landed = g.landed, duplicate = g.duplicate, malformed = g.malformed
    FROM pinv_gbif.generation g
    WHERE h.id = started AND g.id = generation;
    RETURN started;
END $$;

-- A whole harvest in the caller's transaction: plan, every slice, finish, and the event that the worker would send
-- (docs/contracts/harvest.completed.schema.json).
CREATE OR REPLACE FUNCTION passereau.run_harvest(of_harvest uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    planned  record;
    previous bigint;
BEGIN
    LOOP
        SELECT * INTO planned FROM passereau.plan(of_harvest);
        EXIT WHEN planned.done;
    END LOOP;
    FOR ordinal IN 0 .. planned.slices - 1 LOOP
        PERFORM passereau.apply(of_harvest, ordinal);
    END LOOP;

    -- finish() would drop the generation before, and give all this work up when somebody reads it meanwhile. It is put aside
    -- first, and dropped afterwards if that can be.
    SELECT g.id INTO previous
    FROM passereau.harvest h
    JOIN passereau.subscription s ON s.name = h.subscription
    JOIN pinv_gbif.generation g ON g.id = s.current_generation AND g.id <> h.generation_id
    WHERE h.id = of_harvest;
    UPDATE passereau.subscription s SET current_generation = NULL WHERE s.current_generation = previous;
    UPDATE pinv_gbif.generation g SET state = 'landed' WHERE g.id = previous;
    PERFORM passereau.finish(of_harvest);
    PERFORM passereau.drop_replaced(of_harvest);

    UPDATE passereau.harvest h SET state = 'completed', finished_at = now(), updated_at = now() WHERE h.id = of_harvest;
    INSERT INTO passereau.outbox (id, exchange, routing_key, harvest_id, body)
    SELECT uuid_generate_v4(), 'events', 'harvest.completed', h.id,
           jsonb_strip_nulls(jsonb_build_object(
               'kind', 'harvest.completed', 'harvest_id', h.id, 'subscription', h.subscription,
               'counts', jsonb_build_object('read', h.read, 'landed', h.landed, 'duplicate', h.duplicate, 'malformed', h.malformed,
                                            'inserted', h.inserted, 'updated', h.updated, 'unchanged', h.unchanged,
                                            'rejected', h.rejected, 'kept', h.kept, 'vanished', h.vanished),
               'download_key', h.download_key, 'doi', h.doi,
               'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
    FROM passereau.harvest h WHERE h.id = of_harvest;
END $$;

-- Drops the generations that earlier harvests of the subscription brought, but for the one that this harvest leaves. One that
-- somebody is reading stays for the next time.
CREATE OR REPLACE FUNCTION passereau.drop_replaced(of_harvest uuid) RETURNS void LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    replaced bigint;
BEGIN
    FOR replaced IN
        SELECT g.id
        FROM passereau.harvest h
        JOIN pinv_gbif.generation g ON g.subscription = h.subscription AND g.id <> h.generation_id AND g.state = 'landed'
        WHERE h.id = of_harvest
    LOOP
        BEGIN
            PERFORM pinv_gbif.drop_generation(replaced);
        EXCEPTION WHEN lock_not_available OR deadlock_detected OR object_in_use THEN
            RAISE NOTICE 'generation % is being read and will be dropped by the next call', replaced;
        END;
    END LOOP;
END $$;

-- The procedure's last command. The key and the DOI of the GBIF download are optional: they make the citation of the data
-- complete (`passereau harvest cite`), and no step needs them.
DROP FUNCTION IF EXISTS pinv_gbif.upsert_gbif_data(text, text);
CREATE FUNCTION pinv_gbif.upsert_gbif_data(
    of_download_key text DEFAULT NULL, of_doi text DEFAULT NULL,
    OUT harvest_id uuid, OUT read bigint, OUT landed bigint, OUT duplicate bigint, OUT malformed bigint, OUT inserted bigint,
    OUT updated bigint, OUT unchanged bigint, OUT rejected bigint, OUT kept bigint, OUT vanished bigint)
LANGUAGE plpgsql AS $$
DECLARE
    caller CONSTANT text := current_setting('role');
    owner  CONSTANT name := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = 'pinv_gbif.occurrence'::regclass);
    bare   CONSTANT text := regexp_replace(btrim(of_doi), '^(https?://(dx\.)?doi\.org/|doi:)', '', 'i');
BEGIN
    IF of_download_key !~ '^[0-9]{7,}-[0-9]{15}$' THEN
        RAISE EXCEPTION '% is not the key of a GBIF download, such as 0015000-260108000000665', of_download_key
            USING ERRCODE = 'PS002';
    END IF;
    IF bare !~ '^10\.[0-9]{4,9}/' THEN
        RAISE EXCEPTION '% is not a DOI, such as 10.15468/dl.4gbcs6', of_doi USING ERRCODE = 'PS002';
    END IF;
    IF NOT pg_has_role(owner, 'MEMBER') THEN
        RAISE EXCEPTION '% may not harvest: the database''s administrator runs GRANT % TO %', current_user, quote_ident(owner), quote_ident(current_user)
            USING ERRCODE = 'PS001';
    END IF;

    PERFORM set_config('role', owner, true);
    harvest_id := passereau.begin_manual(of_download_key, bare);
    -- With three roles the owner of our schemas writes nothing of GeoNature's: the caller does, as a member of the writer's role.
    IF NOT has_table_privilege(owner, 'gn_synthese.synthese', 'INSERT') THEN
        PERFORM set_config('role', caller, true);
    END IF;
    PERFORM passereau.run_harvest(harvest_id);
    SELECT h.read, h.landed, h.duplicate, h.malformed, h.inserted, h.updated, h.unchanged, h.rejected, h.kept, h.vanished
    INTO read, landed, duplicate, malformed, inserted, updated, unchanged, rejected, kept, vanished
    FROM passereau.harvest h WHERE h.id = upsert_gbif_data.harvest_id;
    PERFORM set_config('role', caller, true);

    -- A row of one column is no pleasure to read.
    RAISE NOTICE 'harvest % of subscription manual: % read = % landed + % duplicate + % malformed; % landed = % inserted + % updated + % unchanged + % rejected + % kept; % vanished. Why: passereau harvest rejects %',
        harvest_id, read, landed, duplicate, malformed, landed, inserted, updated, unchanged, rejected, kept, vanished, harvest_id;
END $$;

RESET check_function_bodies;
