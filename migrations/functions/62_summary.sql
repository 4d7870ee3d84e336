-- Summary: a plan for people, what needs their approval, and when it is out of date.
--
-- A plan is exactly the rows of passereau.plan and the slices cut from them; approving it applies these rows and no others. What
-- it was made from is its basis; when a part of it is another one today, or after seven days, the plan is out of date: it is
-- thrown away and made anew, and waits once more (passereau.renew_plan).
--
-- Cost: one pass over the plan's rows for what is counted, one over those that change, and a few dozen rows looked up for the
-- samples; where rows are to be marked or deleted, one pass over the generation before and one over passereau.written.
-- Locks: renew_plan the harvest's row.
SET check_function_bodies = off;

-- What a plan is made from, part by part.
CREATE OR REPLACE FUNCTION passereau.plan_basis(of_harvest uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'generation', concat_ws(' ', h.generation_id, s.current_generation),
        'TAXREF', concat_ws(' ', d.taxref_version, (SELECT r.number FROM passereau.revision r WHERE r.name = 'taxon')),
        'vocabulary', passereau.platform_digest(d.srid),
        'subscription', md5(concat_ws(' ', s.settings, s.request)))
    FROM passereau.harvest h
    JOIN passereau.subscription s ON s.name = h.subscription
    CROSS JOIN passereau.destination() d
    WHERE h.id = of_harvest
$$;

-- The datasets of the planned records, as GeoNature knows them: the part of the basis that is told once the plan is complete.
CREATE OR REPLACE FUNCTION passereau.plan_metadata(of_harvest uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('metadata', md5(string_agg(concat(k.dataset_key, ' ', d.id_dataset), ',' ORDER BY k.dataset_key)))
    FROM (SELECT DISTINCT p.dataset_key FROM passereau.plan p WHERE p.harvest_id = of_harvest) k
    LEFT JOIN gn_meta.t_datasets d ON d.unique_dataset_id = k.dataset_key
$$;

-- Why a plan is out of date, in words; NULL when it can be applied as it is.
CREATE OR REPLACE FUNCTION passereau.plan_out_of_date(of_harvest uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN h.planned_at < now() - interval '7 days' THEN 'it is older than 7 days'
        ELSE (SELECT 'changed since: ' || string_agg(t.key, ', ' ORDER BY t.key)
              FROM jsonb_each_text(passereau.plan_basis(of_harvest) || passereau.plan_metadata(of_harvest)) t
              WHERE t.value IS DISTINCT FROM h.plan_basis ->> t.key)
    END
    FROM passereau.harvest h WHERE h.id = of_harvest
$$;

-- Throws the plan of a harvest away, to be made anew; it will wait for approval whatever it holds.
CREATE OR REPLACE FUNCTION passereau.renew_plan(of_harvest uuid, why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM passereau.harvest h WHERE h.id = of_harvest FOR UPDATE;
    DELETE FROM passereau.plan p WHERE p.harvest_id = of_harvest;
    DELETE FROM passereau.slice s WHERE s.harvest_id = of_harvest AND s.stage = 'upsert';
    UPDATE passereau.harvest h
    SET plan_only = true, plan_renewed = why, reason = NULL, plan_cursor = NULL, plan_basis = NULL, planned_at = NULL,
        plan_summary = NULL, slices_left = 0, unchanged = 0, vanished = 0, updated_at = now(),
        -- What was edited meanwhile is what the new plan is made with.
        settings = s.settings
    FROM passereau.subscription s
    WHERE h.id = of_harvest AND s.name = h.subscription;
END $$;

-- Of the vanished records, how many of each dataset are to be marked or deleted, and of how many: the dataset's rows that are ours,
-- or its records in the generation before where these are fewer. Records that never entered make no share smaller.
CREATE OR REPLACE FUNCTION passereau.vanishing_datasets(of_harvest uuid)
RETURNS TABLE (dataset_key uuid, records bigint, of_records bigint, brakes boolean)
LANGUAGE sql STABLE AS $$
    WITH v AS MATERIALIZED (
        SELECT p.dataset_key, count(*) AS records
        FROM passereau.plan p
        WHERE p.harvest_id = of_harvest AND p.action = 'vanish' AND p.reason IN ('mark', 'delete')
        GROUP BY p.dataset_key
    ), landed AS (
        -- One pass over the generation, whatever the number of datasets.
        SELECT o.dataset_key, count(*) AS records
        FROM pinv_gbif.occurrence o
        WHERE o.generation_id = (SELECT s.current_generation FROM passereau.harvest h
                                 JOIN passereau.subscription s ON s.name = h.subscription WHERE h.id = of_harvest)
          AND o.dataset_key IN (SELECT v.dataset_key FROM v)
        GROUP BY o.dataset_key
    ), ours AS (
        SELECT w.dataset_key, count(*) AS records
        FROM passereau.written w
        WHERE NOT w.adopted AND w.dataset_key IN (SELECT v.dataset_key FROM v)
        GROUP BY w.dataset_key
    )
    SELECT v.dataset_key, v.records, t.records, v.records >= 50 AND v.records > 0.05 * t.records
    FROM v
    LEFT JOIN landed l ON l.dataset_key = v.dataset_key
    LEFT JOIN ours o ON o.dataset_key = v.dataset_key
    -- Rows left alone by an earlier harvest are in no generation any more.
    CROSS JOIN LATERAL (SELECT greatest(v.records, least(COALESCE(l.records, v.records), COALESCE(o.records, v.records))) AS records) t
$$;

-- Why a complete plan waits for a person, in words; NULL when it may be applied at once. Keeps the rest of the plan's basis.
CREATE OR REPLACE FUNCTION passereau.awaits_approval(of_harvest uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    reasons text;
BEGIN
    SELECT concat_ws('; ',
               CASE WHEN h.plan_renewed IS NOT NULL
                    THEN format('the plan that was approved was out of date (%s), and this one is new', h.plan_renewed)
                    WHEN h.plan_only THEN 'a plan was asked for' END,
               (SELECT string_agg(format('%s of the %s records of dataset %s have vanished', v.records, v.of_records, v.dataset_key), '; '
                                  ORDER BY v.records DESC)
                FROM jsonb_to_recordset(h.plan_summary #> '{vanished,datasets}')
                     v (dataset_key uuid, records bigint, of_records bigint, brakes boolean)
                WHERE v.brakes),
               (SELECT format('%s rows would be deleted that a person has validated or reported on', count(*))
                FROM passereau.plan p
                WHERE p.harvest_id = of_harvest AND p.action = 'vanish' AND p.reason = 'delete' AND p.validated
                HAVING count(*) > 0))
    INTO reasons
    FROM passereau.harvest h WHERE h.id = of_harvest;
    IF reasons = '' THEN
        RETURN NULL;
    END IF;
    UPDATE passereau.harvest h SET plan_basis = h.plan_basis || passereau.plan_metadata(of_harvest) WHERE h.id = of_harvest;
    RETURN reasons;
END $$;

-- A plan for people. Samples are at most five records of each kind, those with the lowest gbifID.
--   counts       new, changed, unchanged, kept and rejected by reason
--   fields       of the changed records: column, how many, samples with both values
--   edited       columns that a person changed and that stay; validated: changes of GBIF on validated rows
--   vanished     how many the subscription has lost, what becomes of their rows, of which datasets
--   datasets     to be made in GeoNature
CREATE OR REPLACE FUNCTION passereau.plan_summary(of_harvest uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    samples CONSTANT integer := 5;
    harvest     passereau.harvest;
    destination record;
    summary     jsonb;
BEGIN
    SELECT * INTO harvest FROM passereau.harvest h WHERE h.id = of_harvest;
    SELECT * INTO destination FROM passereau.destination();

    WITH counted AS MATERIALIZED (
        SELECT p.action, p.reason, d.dataset_key, count(*) AS records, count(*) FILTER (WHERE p.validated) AS validated
        FROM passereau.plan p
        CROSS JOIN LATERAL (SELECT CASE WHEN p.action = 'insert' AND p.id_dataset IS NULL THEN p.dataset_key END AS dataset_key) d
        WHERE p.harvest_id = of_harvest
        GROUP BY 1, 2, 3
    ), reasons AS (
        SELECT c.action, jsonb_object_agg(c.reason, c.records) AS records FROM counted c
        WHERE c.action IN ('keep', 'reject', 'vanish') GROUP BY 1
    )
    SELECT jsonb_build_object(
               'counts', (SELECT jsonb_build_object(
                              'landed', harvest.landed, 'unchanged', harvest.unchanged,
                              'new', COALESCE(sum(c.records) FILTER (WHERE c.action = 'insert'), 0),
                              'changed', COALESCE(sum(c.records) FILTER (WHERE c.action IN ('update', 'rekey', 'adopt')), 0),
                              'kept', COALESCE(sum(c.records) FILTER (WHERE c.action = 'keep'), 0),
                              'rejected', COALESCE(sum(c.records) FILTER (WHERE c.action = 'reject'), 0))
                          FROM counted c),
               'kept', COALESCE((SELECT r.records FROM reasons r WHERE r.action = 'keep'), '{}'),
               'rejected', COALESCE((SELECT r.records FROM reasons r WHERE r.action = 'reject'), '{}'),
               'datasets', (SELECT COALESCE(jsonb_agg(jsonb_build_object('dataset_key', c.dataset_key, 'title', d.title,
                                                                         'records', c.records)
                                                      ORDER BY c.records DESC, c.dataset_key), '[]')
                            FROM counted c
                            LEFT JOIN pinv_gbif.dataset d ON d.dataset_key = c.dataset_key
                            WHERE c.dataset_key IS NOT NULL),
               'vanished', jsonb_build_object(
                   'records', harvest.vanished,
                   'setting', COALESCE(harvest.settings ->> 'vanished', 'keep'),
                   'rows', COALESCE((SELECT r.records FROM reasons r WHERE r.action = 'vanish'), '{}'),
                   'validated', (SELECT COALESCE(sum(c.validated), 0) FROM counted c WHERE c.action = 'vanish'),
                   'datasets', '[]'::jsonb, 'samples', '[]'::jsonb))
    INTO summary;

    summary := summary || jsonb_build_object('new', CASE WHEN summary #>> '{counts,new}' = '0' THEN '[]'::jsonb ELSE (
        SELECT jsonb_agg(to_jsonb(n) ORDER BY n.gbif_id)
        FROM (SELECT p.gbif_id, p.nom_cite, p.cd_nom, p.date_min::date AS date, p.longitude, p.latitude
              FROM passereau.plan p WHERE p.harvest_id = of_harvest AND p.action = 'insert'
              ORDER BY p.gbif_id LIMIT samples) n) END);

    -- For each column the records that it is written, kept or written in spite of a validation, and the first few of them.
    summary := summary || (
        WITH touched AS (
            SELECT p.gbif_id, k.kind, c.name
            FROM passereau.plan p
            CROSS JOIN LATERAL (VALUES ('fields', p.writes), ('edited', p.edited),
                                       ('validated', CASE WHEN p.validated THEN p.writes ELSE '{}' END)) k (kind, names)
            CROSS JOIN LATERAL unnest(k.names) c (name)
            WHERE p.harvest_id = of_harvest AND p.action IN ('update', 'keep')
        ), ranked AS (
            SELECT t.*, count(*) OVER w AS records, row_number() OVER (w ORDER BY t.gbif_id) AS n
            FROM touched t WINDOW w AS (PARTITION BY t.kind, t.name)
        ), shown AS (
            SELECT r.kind, r.name, r.records,
                   jsonb_agg(jsonb_build_object('gbif_id', r.gbif_id, 'id_synthese', v.id_synthese,
                                                'here', passereau.readable(r.name, v.here), 'gbif', passereau.readable(r.name, v.gbif))
                             ORDER BY r.gbif_id) AS samples
            FROM ranked r
            LEFT JOIN LATERAL passereau.planned_values(of_harvest, r.gbif_id, r.name, destination.id_source, destination.srid) v ON true
            WHERE r.n <= samples
            GROUP BY 1, 2, 3
        )
        SELECT jsonb_build_object('fields', '{}'::jsonb, 'edited', '{}'::jsonb, 'validated', '{}'::jsonb)
               || COALESCE(jsonb_object_agg(k.kind, k.columns), '{}')
        FROM (SELECT s.kind, jsonb_object_agg(s.name, jsonb_build_object('records', s.records, 'samples', s.samples)) AS columns
              FROM shown s GROUP BY 1) k);

    IF summary #> '{vanished,rows}' <> '{}' THEN
        summary := jsonb_set(summary, '{vanished,samples}', (
            SELECT jsonb_agg(to_jsonb(v) ORDER BY v.gbif_id)
            FROM (SELECT p.gbif_id, p.id_synthese, p.nom_cite, p.date_min::date AS date, p.reason, p.validated
                  FROM passereau.plan p WHERE p.harvest_id = of_harvest AND p.action = 'vanish'
                  ORDER BY p.gbif_id LIMIT samples) v));
    END IF;
    IF summary #> '{vanished,rows}' ?| ARRAY['mark', 'delete'] THEN
        summary := jsonb_set(summary, '{vanished,datasets}', (
            SELECT COALESCE(jsonb_agg(to_jsonb(v) ORDER BY v.records DESC, v.dataset_key), '[]')
            FROM passereau.vanishing_datasets(of_harvest) v));
    END IF;
    RETURN summary;
END $$;

-- One column of one planned record with both values. A record that was kept is compared as the update that it would have been.
CREATE OR REPLACE FUNCTION passereau.planned_values(of_harvest uuid, of_record bigint, of_column text, source integer, srid integer)
RETURNS TABLE (id_synthese integer, here text, gbif text)
LANGUAGE sql STABLE AS $$
    -- Where a position has become obscured, the one from before is not told.
    SELECT c.id_synthese, CASE WHEN p.cell AND of_column = 'the_geom_4326' THEN '…' ELSE c.here[n.n] END, c.gbif[n.n]
    FROM passereau.compared(of_harvest, of_record, of_record, source, srid) c
    JOIN passereau.plan p ON p.harvest_id = of_harvest AND p.gbif_id = of_record
    CROSS JOIN (SELECT array_position(passereau.column_names(), of_column) AS n) n
$$;

RESET check_function_bodies;
