-- Adoption: a platform that ran the published procedure by hand.
--
-- Its tables, put aside by migrations/adoption/set_aside.sql, become the current generation of subscription `manual`
-- (adopt_tables, once, called by `passereau migrate`): the views pinv_gbif.tmp_gbif_data and cor_multimedia show the same rows as
-- before, its UUIDs of iNaturalist stand in ours. Nothing is written into the synthèse by that.
--
-- Its rows in the synthèse become ours when a harvest is planned that holds their records (adopt_rows): from then on they stand in
-- passereau.written, as rows of which nothing is remembered, so that the harvest compares and writes what differs. Columns that
-- people use for validation are never named, here as elsewhere (71_write.sql).
--
-- A row is found
--   by its key     source GBIF and the gbif_id, as the procedure says
--   by its proof   digital_proof is the address of an observation of iNaturalist (http or https, with or without a final slash or a
--                  query), among the rows of source GBIF and of iNaturalist's dataset, whatever their source; only where one row
--                  and one record stand for the observation. Another source keeps its rows: see already_present in 60_plan.sql.
--
-- The UUID: an observation of iNaturalist gets iNaturalist's own, in place of none or of one that was made up; media and validations
-- hang on the UUID, and move along in the same transaction (apply_adoption). As long as iNaturalist's answer is not known the row
-- stays as it is, and its record waits as uuid_pending. Any other row keeps the UUID that it has, and gets one by 20_identity.sql
-- where it has none. A UUID that another row of the synthèse has is never taken: pinv_gbif.not_adopted lists these rows.
--
-- Cost (by reading, not measured at the size of a platform): adopt_rows looks each record up that is not written yet; by proof one
-- pass over the rows of the source and the dataset per harvest, until none is left. apply_adoption takes one pass over t_medias and
-- t_validations per slice; the first has no index on the UUID (`passereau install --with-media` makes one).
-- Locks: rows of passereau.written, then of the synthèse, in the order of a key.
-- Fails with PS001 when a harvest is to move media and validations and the role may not: while it is planned, before anything is
-- written into the synthèse.
SET check_function_bodies = off;

-- The number of an observation in what R or a person has written: a number, with or without decimals of zero.
CREATE OR REPLACE FUNCTION passereau.observation_number(written text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (regexp_match(written, '^\s*([1-9][0-9]{0,17})(?:\.0*)?\s*$'))[1]::bigint
$$;

-- The same in the address of an observation.
CREATE OR REPLACE FUNCTION passereau.observation_of_address(address text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (regexp_match(address, '^\s*https?://(?:[a-z0-9-]+\.)*inaturalist\.[a-z.]+/observations/([1-9][0-9]{0,17})/?(?:[?#]\S*)?\s*$',
                         'i'))[1]::bigint
$$;

-- A moment in what stands in a column that was a timestamp, and that somebody may have made a text so that \copy takes what GBIF
-- writes: of an interval its start, as the column could hold no more. A year or a month alone is no day, and none is made up.
CREATE OR REPLACE FUNCTION passereau.adopted_moment(written text) RETURNS timestamp LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (regexp_match(written, '^\s*(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?)(?:Z|[+-]\d{2}(?::?\d{2})?)?\s*(?:/.*)?$'))[1]::timestamp;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;    -- the 30th of February
END $$;

-- A number with decimals, and a UUID, in the same way.
CREATE OR REPLACE FUNCTION passereau.adopted_number(written text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (regexp_match(written, '^\s*([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?)\s*$'))[1]::numeric
$$;
CREATE OR REPLACE FUNCTION passereau.adopted_key(written text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (regexp_match(written, '^\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$', 'i'))[1]::uuid
$$;

-- Takes the procedure's tables over, once. Their columns may have been changed since: rows are read by the names of the columns,
-- an absent one is empty, and every value is read as a text: one that its column cannot hold is left out and counted
-- (passereau.adoption.unreadable), nothing fails for it.
CREATE OR REPLACE FUNCTION passereau.adopt_tables() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    aside     record;
    counted   passereau.adoption;
    harvest   uuid;
    generation bigint;
BEGIN
    SELECT * INTO counted FROM passereau.adoption a FOR UPDATE;
    IF counted.adopted_at IS NOT NULL
       OR NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'pinv_gbif'::regnamespace
                      AND c.relname IN ('adopted_gbif_data', 'adopted_multimedia', 'adopted_uuid_inaturalist')) THEN
        RETURN;
    END IF;

    IF to_regclass('pinv_gbif.adopted_uuid_inaturalist') IS NOT NULL THEN
        EXECUTE $sql$
            WITH answer AS (
                SELECT COALESCE(passereau.observation_number(j.row ->> 'id_inaturalist'),
                                passereau.observation_of_address(j.row ->> 'url'),
                                passereau.observation_of_address(j.row ->> 'digital_proof')) AS number,
                       NULLIF((regexp_match(j.row ->> 'uuid', '^\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$', 'i'))[1],
                              '00000000-0000-0000-0000-000000000000')::uuid AS uuid,
                       COALESCE(j.row ->> 'url', j.row ->> 'digital_proof') AS url
                FROM (SELECT to_jsonb(a) AS row FROM pinv_gbif.adopted_uuid_inaturalist a) j
            ), usable AS (
                SELECT a.number, (array_agg(a.uuid))[1] AS uuid, min(a.url) AS url, count(*) AS rows
                FROM answer a WHERE a.number IS NOT NULL AND a.uuid IS NOT NULL
                GROUP BY a.number HAVING count(DISTINCT a.uuid) = 1
            ), own AS (
                SELECT u.*, count(*) OVER (PARTITION BY u.uuid) AS numbers FROM usable u
            ), merged AS (
                INSERT INTO pinv_gbif.cor_uuid_inaturalist AS known (id_inaturalist, url, uuid)
                SELECT o.number, o.url, o.uuid FROM own o WHERE o.numbers = 1
                ON CONFLICT (id_inaturalist) DO UPDATE SET uuid = excluded.uuid, url = COALESCE(known.url, excluded.url)
                WHERE known.uuid IS NULL
            )
            SELECT (SELECT count(*) FROM own o WHERE o.numbers = 1),
                   (SELECT count(*) FROM answer) - (SELECT COALESCE(sum(o.rows), 0) FROM own o WHERE o.numbers = 1)
        $sql$ INTO counted.answers, counted.unusable_answers;
    END IF;

    IF to_regclass('pinv_gbif.adopted_gbif_data') IS NOT NULL THEN
        EXECUTE $sql$
            INSERT INTO pinv_gbif.manual_occurrence (
                gbif_id, modified, "references", basis_of_record, occurrence_id, recorded_by, individual_count, sex, life_stage,
                reproductive_condition, caste, behavior, vitality, occurrence_status, occurrence_remarks, event_date,
                verbatim_locality, decimal_latitude, decimal_longitude, coordinate_uncertainty_meters, identified_by,
                scientific_name, dataset_key, issue, taxonkey, verbatim_scientific_name)
            SELECT passereau.observation_number(r ->> 'gbif_id'), passereau.adopted_moment(r ->> 'modified'), r ->> 'references',
                   r ->> 'basis_of_record', r ->> 'occurrence_id', r ->> 'recorded_by', r ->> 'individual_count', r ->> 'sex',
                   r ->> 'life_stage', r ->> 'reproductive_condition', r ->> 'caste', r ->> 'behavior', r ->> 'vitality',
                   r ->> 'occurrence_status', r ->> 'occurrence_remarks', passereau.adopted_moment(r ->> 'event_date'),
                   r ->> 'verbatim_locality', passereau.adopted_number(r ->> 'decimal_latitude'),
                   passereau.adopted_number(r ->> 'decimal_longitude'), r ->> 'coordinate_uncertainty_meters', r ->> 'identified_by',
                   r ->> 'scientific_name', passereau.adopted_key(r ->> 'dataset_key'), r ->> 'issue',
                   CASE WHEN r ->> 'taxonkey' ~ '^[0-9]{1,9}$' THEN (r ->> 'taxonkey')::integer END, r ->> 'verbatim_scientific_name'
            FROM (SELECT to_jsonb(a) AS r FROM pinv_gbif.adopted_gbif_data a) j
            WHERE passereau.observation_number(r ->> 'gbif_id') IS NOT NULL
        $sql$;
        GET DIAGNOSTICS counted.records = ROW_COUNT;
        EXECUTE $sql$
            SELECT count(*)
            FROM (SELECT to_jsonb(a) AS r FROM pinv_gbif.adopted_gbif_data a) j
            CROSS JOIN LATERAL (VALUES
                (r ->> 'gbif_id', passereau.observation_number(r ->> 'gbif_id') IS NOT NULL),
                (r ->> 'modified', passereau.adopted_moment(r ->> 'modified') IS NOT NULL),
                (r ->> 'event_date', passereau.adopted_moment(r ->> 'event_date') IS NOT NULL),
                (r ->> 'decimal_latitude', passereau.adopted_number(r ->> 'decimal_latitude') IS NOT NULL),
                (r ->> 'decimal_longitude', passereau.adopted_number(r ->> 'decimal_longitude') IS NOT NULL),
                (r ->> 'dataset_key', passereau.adopted_key(r ->> 'dataset_key') IS NOT NULL),
                (r ->> 'taxonkey', r ->> 'taxonkey' ~ '^[0-9]{1,9}$')) v (value, is_read)
            WHERE btrim(v.value) <> '' AND NOT v.is_read
        $sql$ INTO counted.unreadable;
    END IF;
    IF counted.records > 0 THEN
        IF to_regclass('pinv_gbif.adopted_multimedia') IS NOT NULL THEN
            EXECUTE $sql$
                INSERT INTO pinv_gbif.manual_multimedia (gbif_id, media_url)
                SELECT passereau.observation_number(r ->> 'gbif_id'), r ->> 'media_url'
                FROM (SELECT to_jsonb(a) AS r FROM pinv_gbif.adopted_multimedia a) j
                WHERE passereau.observation_number(r ->> 'gbif_id') IS NOT NULL
            $sql$;
            GET DIAGNOSTICS counted.media = ROW_COUNT;
        END IF;
        harvest := passereau.begin_manual(NULL, NULL);
        SELECT h.generation_id INTO generation FROM passereau.harvest h WHERE h.id = harvest;
        UPDATE pinv_gbif.generation g SET state = 'current', archive_key = 'procedure' WHERE g.id = generation;
        UPDATE passereau.subscription s SET current_generation = generation, updated_at = now() WHERE s.name = 'manual';
        -- Not completed: nothing was written, and the workers do not convert by themselves what nobody has asked for.
        UPDATE passereau.harvest h
        SET state = 'cancelled', finished_at = now(), updated_at = now(),
            reason = 'the procedure''s tables, adopted as they are: nothing was written. passereau harvest reconvert manual compares them with the synthèse'
        WHERE h.id = harvest;
    END IF;

    -- Who could read the tables reads ours.
    FOR aside IN
        SELECT DISTINCT n.name, g.grantee
        FROM (VALUES ('adopted_gbif_data', 'tmp_gbif_data'), ('adopted_multimedia', 'cor_multimedia'),
                     ('adopted_uuid_inaturalist', 'cor_uuid_inaturalist')) n (aside, name)
        JOIN pg_class c ON c.relnamespace = 'pinv_gbif'::regnamespace AND c.relname = n.aside
        CROSS JOIN LATERAL (SELECT x.grantee FROM aclexplode(c.relacl) x WHERE x.privilege_type = 'SELECT'
                            UNION SELECT c.relowner) g
    LOOP
        EXECUTE format('GRANT SELECT ON pinv_gbif.%I TO %s', aside.name,
                       CASE aside.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(aside.grantee)) END);
    END LOOP;

    UPDATE passereau.adoption a
    SET adopted_at = now(), records = counted.records, media = counted.media, answers = counted.answers,
        unusable_answers = counted.unusable_answers, unreadable = counted.unreadable;
END $$;

-- Views and materialized views that somebody has built on the tables that were put aside: they go on showing these, and no new
-- record. The statement makes such a view anew over ours.
CREATE OR REPLACE FUNCTION passereau.views_left_behind() RETURNS TABLE (name text, owner text, statement text)
LANGUAGE sql STABLE AS $$
    SELECT DISTINCT v.oid::regclass::text, pg_get_userbyid(v.relowner)::text,
           format('DROP %1$s %2$s; CREATE %1$s %2$s AS %3$s', k.kind, v.oid::regclass, regexp_replace(regexp_replace(
               replace(replace(replace(pg_get_viewdef(v.oid), 'adopted_gbif_data', 'tmp_gbif_data'), 'adopted_multimedia', 'cor_multimedia'),
                       'adopted_uuid_inaturalist', 'cor_uuid_inaturalist'), '\s+', ' ', 'g'), '^ ', ''))
    FROM pg_class c
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite w ON w.oid = d.objid
    JOIN pg_class v ON v.oid = w.ev_class AND v.oid <> c.oid
    CROSS JOIN LATERAL (SELECT CASE v.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS kind) k
    WHERE c.relnamespace = 'pinv_gbif'::regnamespace
      AND c.relname IN ('adopted_gbif_data', 'adopted_multimedia', 'adopted_uuid_inaturalist')
    ORDER BY 1
$$;

-- The UUID that an adopted row is to have; NULL as long as iNaturalist's answer is not known.
CREATE OR REPLACE FUNCTION passereau.adopted_uuid(o pinv_gbif.occurrence, here uuid, answered uuid, is_absent boolean) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN o.dataset_key = passereau.inaturalist_dataset() AND o.inaturalist_id IS NOT NULL AND is_absent IS NOT TRUE
                THEN COALESCE(o.producer_uuid, answered)
                ELSE COALESCE(here, o.producer_uuid, passereau.gbif_uuid(o.gbif_id)) END
$$;

-- Why this role may not move what hangs on a UUID; NULL when it may.
CREATE OR REPLACE FUNCTION passereau.may_not_move() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT format('this role may not move media and validations to the permanent UUID of an observation: run `passereau install --role %s --with-adoption`', current_user)
    WHERE NOT (has_table_privilege('gn_commons.t_medias', 'SELECT') AND has_table_privilege('gn_commons.t_medias', 'UPDATE')
               AND has_table_privilege('gn_commons.t_validations', 'SELECT')
               AND has_column_privilege('gn_commons.t_validations', 'uuid_attached_row', 'UPDATE'))
$$;

-- Remembers rows of the synthèse as those of records; returns how many. A row whose UUID is not known yet is left out, one whose
-- UUID another row has as well, and of two rows that are to have one UUID all but one.
CREATE OR REPLACE FUNCTION passereau.remember_rows(of_harvest uuid, of_generation bigint, source integer, gbif_ids bigint[], row_ids integer[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    remembered bigint;
BEGIN
    WITH found AS (
        SELECT o.gbif_id, o.dataset_key, s.id_synthese, s.id_source, s.entity_source_pk_value, s.cd_nom, s.unique_id_sinp AS here,
               passereau.adopted_uuid(o, s.unique_id_sinp, i.uuid, passereau.is_absent(i.absent_since, i.asked_at)) AS wanted
        FROM unnest(gbif_ids, row_ids) f (gbif_id, id_synthese)
        JOIN pinv_gbif.occurrence o ON o.generation_id = of_generation AND o.gbif_id = f.gbif_id
        JOIN gn_synthese.synthese s ON s.id_synthese = f.id_synthese
        LEFT JOIN pinv_gbif.cor_uuid_inaturalist i ON i.id_inaturalist = o.inaturalist_id
        OFFSET 0
    ), judged AS (
        SELECT f.*, COALESCE(x.id_synthese, y.id_synthese) AS taken_by,
               first_value(f.id_synthese) OVER (PARTITION BY f.wanted ORDER BY f.here IS NOT DISTINCT FROM f.wanted DESC, f.gbif_id) AS first
        FROM found f
        LEFT JOIN gn_synthese.synthese x ON x.unique_id_sinp = f.wanted AND x.id_synthese <> f.id_synthese
        -- One that is to get it, by a plan that was not applied yet.
        LEFT JOIN LATERAL (SELECT w.id_synthese FROM passereau.written w
                           WHERE w.unique_id_sinp = f.wanted AND w.gbif_id <> f.gbif_id AND w.identity_due AND w.id_synthese <> f.id_synthese
                             AND EXISTS (SELECT FROM gn_synthese.synthese z WHERE z.id_synthese = w.id_synthese)
                           LIMIT 1) y ON true
        WHERE f.wanted IS NOT NULL
    ), refused AS (
        INSERT INTO pinv_gbif.not_adopted AS n (id_synthese, gbif_id, reason, unique_id_sinp, other_id_synthese)
        SELECT j.id_synthese, j.gbif_id, 'uuid_taken', j.wanted, COALESCE(j.taken_by, j.first)
        FROM judged j WHERE j.taken_by IS NOT NULL OR j.first <> j.id_synthese
        ON CONFLICT (id_synthese) DO UPDATE
        SET gbif_id = excluded.gbif_id, reason = excluded.reason, unique_id_sinp = excluded.unique_id_sinp,
            other_id_synthese = excluded.other_id_synthese, last_seen_at = now()
    ), ours AS (
        INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash, rest_hash,
                                       harvest_id, dataset_key, adopted, by_hand, identity_due)
        SELECT j.gbif_id, j.id_synthese, j.wanted, COALESCE(j.cd_nom, 0), uuid_nil(), uuid_nil(), uuid_nil(), uuid_nil(),
               of_harvest, j.dataset_key, j.id_source <> source, true,
               j.here IS DISTINCT FROM j.wanted
                   OR (j.id_source = source AND j.entity_source_pk_value IS DISTINCT FROM j.gbif_id::text)
        FROM judged j WHERE j.taken_by IS NULL AND j.first = j.id_synthese
        ORDER BY j.gbif_id
        ON CONFLICT (gbif_id) DO NOTHING
        RETURNING id_synthese
    ), settled AS (
        DELETE FROM pinv_gbif.not_adopted n USING ours WHERE n.id_synthese = ours.id_synthese
    )
    SELECT count(*) INTO remembered FROM ours;
    RETURN remembered;
END $$;

-- Raises PS001 where this harvest would change a UUID in a chunk, and this role may not move what hangs on it. Rows of another
-- source are changed only where the subscription says so.
CREATE OR REPLACE FUNCTION passereau.require_moves(of_harvest uuid, of_generation bigint, after_id bigint, upto_id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF passereau.may_not_move() IS NOT NULL AND EXISTS (
        SELECT FROM passereau.written w
        JOIN pinv_gbif.occurrence o ON o.generation_id = of_generation AND o.gbif_id = w.gbif_id
        JOIN gn_synthese.synthese s ON s.id_synthese = w.id_synthese AND s.unique_id_sinp <> w.unique_id_sinp
        JOIN passereau.harvest h ON h.id = of_harvest
        WHERE w.identity_due AND w.gbif_id > after_id AND w.gbif_id <= upto_id
          AND (NOT w.adopted OR h.settings ->> 'already_present' = 'update')) THEN
        RAISE EXCEPTION '%', passereau.may_not_move() USING ERRCODE = 'PS001';
    END IF;
END $$;

-- Rows that only their proof tells: see above. Those that several rows, or several records, stand for are reported.
CREATE OR REPLACE FUNCTION passereau.adopt_by_proof(of_harvest uuid, of_generation bigint, source integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gbif_ids bigint[];
    row_ids  integer[];
    unowned  bigint;
BEGIN
    WITH unclaimed AS (
        SELECT s.id_synthese, passereau.observation_of_address(s.digital_proof) AS number
        FROM gn_synthese.synthese s
        WHERE (s.id_source = source OR s.id_dataset IN (SELECT d.id_dataset FROM gn_meta.t_datasets d
                                                        WHERE d.unique_dataset_id = passereau.inaturalist_dataset()))
          AND s.digital_proof ~* 'inaturalist\.[a-z.]+/observations/'
          AND NOT EXISTS (SELECT FROM passereau.written w WHERE w.id_synthese = s.id_synthese)
          AND NOT (s.id_source = source AND COALESCE(s.entity_source_pk_value, '') ~ '^[0-9]{1,18}$'
                   AND EXISTS (SELECT FROM pinv_gbif.occurrence o
                               WHERE o.generation_id = of_generation
                                 AND o.gbif_id = (CASE WHEN s.entity_source_pk_value ~ '^[0-9]{1,18}$' THEN s.entity_source_pk_value END)::bigint))
        OFFSET 0
    ), numbered AS (
        SELECT u.number, count(*) AS rows, array_agg(u.id_synthese) AS ids FROM unclaimed u WHERE u.number IS NOT NULL GROUP BY u.number
    ), record AS (
        SELECT o.inaturalist_id AS number, count(*) AS records, min(o.gbif_id) AS gbif_id,
               bool_or(EXISTS (SELECT FROM passereau.written w WHERE w.gbif_id = o.gbif_id)
                       OR EXISTS (SELECT FROM gn_synthese.synthese k
                                  WHERE k.id_source = source AND k.entity_source_pk_value = o.gbif_id::text)) AS has_row
        FROM numbered n
        JOIN pinv_gbif.occurrence o ON o.generation_id = of_generation AND o.inaturalist_id = n.number
                                   AND o.dataset_key = passereau.inaturalist_dataset()
        GROUP BY o.inaturalist_id
    ), ambiguous AS (
        INSERT INTO pinv_gbif.not_adopted AS a (id_synthese, gbif_id, reason, id_inaturalist)
        SELECT i.id_synthese, r.gbif_id, 'ambiguous', n.number
        FROM numbered n JOIN record r USING (number)
        CROSS JOIN LATERAL unnest(n.ids) i (id_synthese)
        WHERE n.rows > 1 OR r.records > 1 OR r.has_row
        ON CONFLICT (id_synthese) DO UPDATE
        SET gbif_id = excluded.gbif_id, reason = excluded.reason, id_inaturalist = excluded.id_inaturalist, unique_id_sinp = NULL,
            other_id_synthese = NULL, last_seen_at = now()
    )
    SELECT array_agg(r.gbif_id) FILTER (WHERE n.rows = 1 AND r.records = 1 AND NOT r.has_row),
           array_agg(n.ids[1]) FILTER (WHERE n.rows = 1 AND r.records = 1 AND NOT r.has_row),
           (SELECT count(*) FROM unclaimed)
    INTO gbif_ids, row_ids, unowned
    FROM numbered n LEFT JOIN record r USING (number);
    IF unowned = 0 THEN
        UPDATE passereau.adoption a SET look_for_proofs = false;
    END IF;
    IF gbif_ids IS NULL THEN
        RETURN 0;
    END IF;
    RETURN passereau.remember_rows(of_harvest, of_generation, source, gbif_ids, row_ids);
END $$;

-- The rows of the synthèse that are the records of a chunk, and that we did not write: remembered as ours from here on. Nothing is
-- written into the synthèse. `whole` looks by proof as well, over the whole generation. Returns how many.
CREATE OR REPLACE FUNCTION passereau.adopt_rows(of_harvest uuid, of_generation bigint, after_id bigint, upto_id bigint, source integer,
                                                whole boolean)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gbif_ids bigint[];
    row_ids  integer[];
    remembered bigint := 0;
BEGIN
    IF whole THEN
        -- What somebody has settled meanwhile. What another harvest has found among its own records stays: it may be in the middle
        -- of its plan, and refuses them by this list.
        DELETE FROM pinv_gbif.not_adopted n
        WHERE NOT EXISTS (SELECT FROM gn_synthese.synthese s WHERE s.id_synthese = n.id_synthese)
           OR (n.reason = 'ambiguous'
               AND (EXISTS (SELECT FROM pinv_gbif.occurrence o WHERE o.generation_id = of_generation AND o.gbif_id = n.gbif_id)
                    OR NOT EXISTS (SELECT FROM pinv_gbif.occurrence o WHERE o.gbif_id = n.gbif_id)));
    END IF;
    IF whole AND (SELECT a.look_for_proofs FROM passereau.adoption a) THEN
        remembered := passereau.adopt_by_proof(of_harvest, of_generation, source);
    END IF;
    WITH new AS (
        SELECT o.gbif_id FROM pinv_gbif.occurrence o
        WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id
          AND NOT EXISTS (SELECT FROM passereau.written w WHERE w.gbif_id > after_id AND w.gbif_id <= upto_id AND w.gbif_id = o.gbif_id)
        OFFSET 0
    )
    SELECT array_agg(n.gbif_id), array_agg(s.id_synthese) INTO gbif_ids, row_ids
    FROM new n
    JOIN gn_synthese.synthese s ON s.id_source = source AND s.entity_source_pk_value = n.gbif_id::text;
    IF gbif_ids IS NOT NULL THEN
        remembered := remembered + passereau.remember_rows(of_harvest, of_generation, source, gbif_ids, row_ids);
    END IF;
    PERFORM passereau.require_moves(of_harvest, of_generation, after_id, upto_id);
    RETURN remembered;
END $$;

-- Of the planned records of a chunk, those for which several rows stand already: another one would be one too many.
CREATE OR REPLACE FUNCTION passereau.refuse_ambiguous(of_harvest uuid, of_generation bigint, after_id bigint, upto_id bigint)
RETURNS void LANGUAGE sql AS $$
    UPDATE passereau.plan p
    SET action = 'reject', reason = 'already_present', id_synthese = n.id_synthese,
        detail = format('id_synthese %s has the address of observation %s of iNaturalist (pinv_gbif.not_adopted)', n.id_synthese, n.id_inaturalist)
    FROM (SELECT a.id_inaturalist, min(a.id_synthese) AS id_synthese FROM pinv_gbif.not_adopted a WHERE a.reason = 'ambiguous'
          GROUP BY a.id_inaturalist) n
    JOIN pinv_gbif.occurrence o ON o.generation_id = of_generation AND o.inaturalist_id = n.id_inaturalist
                               AND o.gbif_id > after_id AND o.gbif_id <= upto_id
    WHERE p.harvest_id = of_harvest AND p.gbif_id = o.gbif_id AND p.action = 'insert'
$$;

-- Gives the adopted rows of a range that this harvest writes their UUID and key, and moves along what hangs on the UUID. A row whose
-- UUID somebody has given to another one since the plan, and of two that are to get one UUID the later one, is forgotten again: the
-- next plan reports it.
CREATE OR REPLACE FUNCTION passereau.apply_adoption(of_harvest uuid, first_id bigint, last_id bigint, source integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    due bigint[];
BEGIN
    SELECT array_agg(l.gbif_id) INTO due
    FROM (SELECT w.gbif_id FROM passereau.written w
          WHERE w.gbif_id BETWEEN first_id AND last_id AND w.identity_due
            AND EXISTS (SELECT FROM passereau.plan p WHERE p.harvest_id = of_harvest AND p.gbif_id = w.gbif_id AND p.action = 'update')
          ORDER BY w.gbif_id
          FOR UPDATE OF w) l;
    IF due IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM gn_synthese.synthese s
    WHERE s.id_synthese IN (SELECT w.id_synthese FROM passereau.written w WHERE w.gbif_id = ANY (due))
    ORDER BY s.id_synthese
    FOR UPDATE OF s;

    WITH forgotten AS (
        DELETE FROM passereau.written w
        WHERE w.gbif_id = ANY (due)
          AND (EXISTS (SELECT FROM gn_synthese.synthese x
                       WHERE x.id_synthese <> w.id_synthese
                         AND (x.unique_id_sinp = w.unique_id_sinp
                              OR (x.id_source = source AND x.entity_source_pk_value = w.gbif_id::text)))
               OR EXISTS (SELECT FROM passereau.written v
                          WHERE v.gbif_id = ANY (due) AND v.gbif_id < w.gbif_id AND v.unique_id_sinp = w.unique_id_sinp))
        RETURNING w.gbif_id
    )
    UPDATE passereau.plan p SET action = 'keep', reason = 'changed_since_plan'
    FROM forgotten f WHERE p.harvest_id = of_harvest AND p.gbif_id = f.gbif_id;

    WITH moved AS (
        SELECT s.unique_id_sinp AS before, w.unique_id_sinp AS after
        FROM passereau.written w JOIN gn_synthese.synthese s ON s.id_synthese = w.id_synthese
        WHERE w.gbif_id = ANY (due) AND s.unique_id_sinp <> w.unique_id_sinp
    ), media AS (
        UPDATE gn_commons.t_medias m SET uuid_attached_row = v.after FROM moved v WHERE m.uuid_attached_row = v.before
    )
    UPDATE gn_commons.t_validations t SET uuid_attached_row = v.after FROM moved v WHERE t.uuid_attached_row = v.before;

    UPDATE gn_synthese.synthese s
    SET unique_id_sinp = w.unique_id_sinp, last_action = 'U',
        entity_source_pk_value = CASE WHEN w.adopted THEN s.entity_source_pk_value ELSE w.gbif_id::text END
    FROM passereau.written w
    WHERE w.gbif_id = ANY (due) AND s.id_synthese = w.id_synthese;
    UPDATE passereau.written w SET identity_due = false WHERE w.gbif_id = ANY (due);
END $$;

RESET check_function_bodies;
