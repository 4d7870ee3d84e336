-- Vanished records and people's edits, as a slice of a plan writes them (61_vanished.sql and 55_compare.sql say what is meant).
--
-- Cost (not measured): of a vanished record a row of passereau.written; of a mark an update that no costly trigger looks at; of a
-- deletion two passes over t_medias a slice, unless it has an index on uuid_attached_row (`passereau install --with-media`).
-- Locks: the rows of passereau.written and of the synthèse that are marked or deleted.
SET check_function_bodies = off;

-- The vanished records of a range. Settled for the rows as they stand, once they are locked: what another subscription holds by
-- now has not vanished, and what somebody changed since the plan is left alone.
CREATE OR REPLACE FUNCTION passereau.apply_vanished(of_harvest uuid, first_id bigint, last_id bigint, source integer,
                                                    OUT records integer, OUT marked integer, OUT deleted integer)
LANGUAGE plpgsql AS $$
DECLARE
    harvest passereau.harvest;
    theirs  integer[];      -- rows on which people have reported
BEGIN
    marked := 0;
    deleted := 0;
    SELECT count(*) INTO records FROM passereau.plan p
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish';
    IF records = 0 THEN
        RETURN;
    END IF;
    SELECT * INTO harvest FROM passereau.harvest h WHERE h.id = of_harvest;

    PERFORM FROM passereau.written w
    WHERE w.gbif_id IN (SELECT p.gbif_id FROM passereau.plan p
                        WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish')
    ORDER BY w.gbif_id
    FOR UPDATE OF w;
    PERFORM FROM gn_synthese.synthese s
    WHERE s.id_synthese IN (SELECT p.id_synthese FROM passereau.plan p
                            WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id
                              AND p.action = 'vanish' AND p.reason IN ('mark', 'delete'))
    ORDER BY s.id_synthese
    FOR UPDATE OF s;

    UPDATE passereau.plan p SET reason = 'claimed'
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish'
      AND EXISTS (SELECT FROM pinv_gbif.occurrence o
                  JOIN pinv_gbif.generation g ON g.id = o.generation_id AND g.state = 'current'
                  WHERE o.gbif_id = p.gbif_id AND g.subscription <> harvest.subscription);
    UPDATE passereau.plan p SET reason = 'incomplete'
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish'
      AND p.reason IN ('keep', 'mark', 'delete')
      AND EXISTS (SELECT FROM pinv_gbif.occurrence o
                  WHERE o.generation_id = ANY (passereau.landing_elsewhere(harvest.subscription)) AND o.gbif_id = p.gbif_id);
    UPDATE passereau.plan p SET reason = 'row_gone'
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish' AND p.reason <> 'claimed'
      AND NOT EXISTS (SELECT FROM passereau.written w
                      JOIN gn_synthese.synthese s ON s.id_synthese = w.id_synthese AND s.id_source = source
                                                 AND s.entity_source_pk_value = p.gbif_id::text
                      WHERE w.gbif_id = p.gbif_id AND w.id_synthese = p.id_synthese);
    UPDATE passereau.plan p SET reason = 'changed_since_plan'
    FROM passereau.written w
    JOIN gn_synthese.synthese s ON s.id_synthese = w.id_synthese
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish'
      AND p.reason IN ('mark', 'delete') AND w.gbif_id = p.gbif_id AND passereau.row_hashes(s) <> p.seen;
    IF EXISTS (SELECT FROM passereau.plan p
               WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish'
                 AND p.reason = 'delete' AND NOT p.validated) THEN
        -- A report changes no row of the synthèse. From here on a new one waits for us: its foreign key needs the row.
        theirs := passereau.reported(ARRAY(
            SELECT p.id_synthese FROM passereau.plan p
            WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish'
              AND p.reason = 'delete' AND NOT p.validated));
        UPDATE passereau.plan p SET reason = 'changed_since_plan'
        WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish'
          AND p.reason = 'delete' AND NOT p.validated AND p.id_synthese = ANY (theirs);
    END IF;

    -- Nothing else: last_action stays, too.
    UPDATE gn_synthese.synthese s
    SET additional_data = passereau.json_object(s.additional_data)
                          || jsonb_build_object('vanished_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD'))
    FROM passereau.plan p
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish' AND p.reason = 'mark'
      AND s.id_synthese = p.id_synthese;
    GET DIAGNOSTICS marked = ROW_COUNT;

    UPDATE passereau.written w
    SET vanished_at = COALESCE(w.vanished_at, now()), vanished_from = harvest.subscription,
        -- A mark stays one, whatever keeps it from being more.
        vanished_how = CASE WHEN w.vanished_how = 'marked' THEN 'marked'
                            WHEN p.reason = 'keep' THEN 'kept' WHEN p.reason = 'mark' THEN 'marked' ELSE p.reason END
    FROM passereau.plan p
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'vanish'
      AND p.reason IN ('keep', 'mark', 'incomplete', 'predicate_changed', 'changed_since_plan') AND w.gbif_id = p.gbif_id;

    IF EXISTS (SELECT FROM passereau.plan p
               WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id
                 AND p.action = 'vanish' AND p.reason = 'delete') THEN
        deleted := passereau.delete_vanished(of_harvest, harvest.subscription, first_id, last_id);
    END IF;
END $$;

-- Takes the mark off the rows of records that are back, whatever else becomes of them.
CREATE OR REPLACE FUNCTION passereau.apply_returned(of_harvest uuid, first_id bigint, last_id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gn_synthese.synthese s SET additional_data = s.additional_data - 'vanished_at'
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id AND w.vanished_how = 'marked'
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action <> 'vanish'
      AND s.id_synthese = w.id_synthese AND jsonb_typeof(s.additional_data) = 'object';
    UPDATE passereau.written w SET vanished_at = NULL, vanished_from = NULL, vanished_how = NULL
    FROM passereau.plan p
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action <> 'vanish'
      AND w.gbif_id = p.gbif_id AND w.vanished_how = 'marked';
END $$;

-- Archives and deletes. Media and validations hang on the UUID without a foreign key and would stay behind; areas, observers and
-- reports go with the row. A media file that GeoNature stores (media_path) stays on its disk.
CREATE OR REPLACE FUNCTION passereau.delete_vanished(of_harvest uuid, of_subscription text, first_id bigint, last_id bigint)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    deleted integer;
    reports text := CASE WHEN to_regclass('gn_synthese.t_reports') IS NULL THEN '''[]''::jsonb' ELSE
        '(SELECT COALESCE(jsonb_agg(to_jsonb(r)), ''[]'') FROM gn_synthese.t_reports r WHERE r.id_synthese = s.id_synthese)' END;
BEGIN
    EXECUTE format($sql$
        WITH gone AS MATERIALIZED (
            SELECT p.gbif_id, s.*
            FROM passereau.plan p
            JOIN gn_synthese.synthese s ON s.id_synthese = p.id_synthese
            WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action = 'vanish' AND p.reason = 'delete'
        ), media AS (
            SELECT m.uuid_attached_row, jsonb_agg(to_jsonb(m)) AS content
            FROM gn_commons.t_medias m WHERE m.uuid_attached_row IN (SELECT g.unique_id_sinp FROM gone g) GROUP BY 1
        ), validations AS (
            SELECT v.uuid_attached_row, jsonb_agg(to_jsonb(v)) AS content
            FROM gn_commons.t_validations v WHERE v.uuid_attached_row IN (SELECT g.unique_id_sinp FROM gone g) GROUP BY 1
        )
        INSERT INTO passereau.deleted (gbif_id, id_synthese, unique_id_sinp, subscription, harvest_id, content, media, validations, reports)
        SELECT s.gbif_id, s.id_synthese, s.unique_id_sinp, $4, $1,
               to_jsonb(s) - 'gbif_id' || jsonb_build_object('the_geom_4326', s.the_geom_4326::text,
                   'the_geom_point', s.the_geom_point::text, 'the_geom_local', s.the_geom_local::text),
               COALESCE(m.content, '[]'), COALESCE(v.content, '[]'), %s
        FROM gone s
        LEFT JOIN media m ON m.uuid_attached_row = s.unique_id_sinp
        LEFT JOIN validations v ON v.uuid_attached_row = s.unique_id_sinp
    $sql$, reports) USING of_harvest, first_id, last_id, of_subscription;

    DELETE FROM gn_commons.t_medias m
    USING passereau.deleted d
    WHERE d.harvest_id = of_harvest AND d.gbif_id BETWEEN first_id AND last_id AND d.media <> '[]' AND m.uuid_attached_row = d.unique_id_sinp;
    DELETE FROM gn_commons.t_validations v
    USING passereau.deleted d
    WHERE d.harvest_id = of_harvest AND d.gbif_id BETWEEN first_id AND last_id AND v.uuid_attached_row = d.unique_id_sinp;
    DELETE FROM pinv_gbif.edited_locally e
    USING passereau.deleted d
    WHERE d.harvest_id = of_harvest AND d.gbif_id BETWEEN first_id AND last_id AND e.gbif_id = d.gbif_id;
    DELETE FROM passereau.media m
    USING passereau.deleted d
    WHERE d.harvest_id = of_harvest AND d.gbif_id BETWEEN first_id AND last_id AND m.gbif_id = d.gbif_id;
    DELETE FROM passereau.written w
    USING passereau.deleted d
    WHERE d.harvest_id = of_harvest AND d.gbif_id BETWEEN first_id AND last_id AND w.gbif_id = d.gbif_id;
    DELETE FROM gn_synthese.synthese s
    USING passereau.deleted d
    WHERE d.harvest_id = of_harvest AND d.gbif_id BETWEEN first_id AND last_id AND s.id_synthese = d.id_synthese;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END $$;

-- Remembers what a person changed and GBIF says otherwise about, and what GBIF changed on validated rows, with the values from before
-- anything was written; forgets what this slice has settled.
DROP FUNCTION IF EXISTS passereau.note_edits(uuid, text, bigint, bigint, integer, integer);
CREATE OR REPLACE FUNCTION passereau.note_edits(of_harvest uuid, of_subscription text, first_id bigint, last_id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM pinv_gbif.edited_locally e
    USING passereau.plan p
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND e.gbif_id = p.gbif_id
      AND p.action IN ('update', 'vanish', 'reject') AND p.edited = '{}' AND NOT (p.validated AND p.writes <> '{}');
    INSERT INTO pinv_gbif.edited_locally AS e (gbif_id, id_synthese, subscription, harvest_id, validated, kept, written, content)
    SELECT p.gbif_id, w.id_synthese, of_subscription, of_harvest, p.validated, p.edited, n.written,
           (SELECT COALESCE(jsonb_object_agg(t.key, t.value), '{}') FROM jsonb_each(p.told) t WHERE t.key = ANY (p.edited || n.written))
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id
    CROSS JOIN LATERAL (SELECT CASE WHEN p.validated AND p.action = 'update' THEN p.writes ELSE '{}' END AS written) n
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action IN ('update', 'keep')
      AND (p.edited <> '{}' OR n.written <> '{}')
    ON CONFLICT (gbif_id) DO UPDATE
    SET id_synthese = excluded.id_synthese, subscription = excluded.subscription, harvest_id = excluded.harvest_id,
        validated = excluded.validated, kept = excluded.kept, written = excluded.written, content = excluded.content,
        last_seen_at = now();
END $$;

RESET check_function_bodies;
