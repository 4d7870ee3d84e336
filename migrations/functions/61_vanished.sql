-- Vanished records: what a plan intends for the rows of records that no current generation holds any more.
--
-- A record has vanished when the subscription's generation before held it, the new one does not, and neither does the current
-- generation of another subscription; so has one that only a harvest wrote which was cancelled or failed on its way. Its row in the synthèse, if we wrote it, becomes by the subscription's setting `vanished`
--   keep (default)   nothing but a note in passereau.written
--   mark             additional_data.vanished_at, and nothing else
--   delete           archived in passereau.deleted with its media, validations and reports, and taken away
-- A row that another source brought (adopted) is never touched.
--
-- Nothing is marked or deleted, and the note says why, when
--   predicate_changed   the harvest asked for something else than the one that brought the generation before, or what one of
--                       them asked for is not known (an archive of the store): its records are out of the question, not gone
--   incomplete          the archive is not known to be complete: GBIF announced another number of records, or lines were
--                       malformed (pinv_gbif.generation.complete); or a harvest of another subscription that is on its way has
--                       landed the record
-- Rows left alone because an archive was incomplete are looked at again by the next complete harvest that asks the same; those of a
-- changed predicate are not, unless passereau.release_vanished(subscription) says that they may. When the setting becomes
-- stricter, the rows that were kept or marked before follow. Rows of a cancelled or failed harvest count by what that one asked for. With `keep` the reason is noted all the same, so that a stricter
-- setting does not take it for a loss.
--
-- Brake (62_summary.sql): a person has to approve the plan when more than 5 % of a dataset and at least 50 records would be
-- marked or deleted, or when a row would be deleted that a person has validated or reported on.
--
-- Cost: 0.005 ms a record of the chunk (anti-join of two partitions over a range of keys, as measured for 60_plan.sql); a vanished
-- record is read beside its row, and hashed where it is to be marked or deleted (not measured). Locks: none.
SET check_function_bodies = off;

-- What a harvest asked GBIF for: the predicate of its query, or what GBIF says of the download that it named. NULL: not known.
CREATE OR REPLACE FUNCTION passereau.predicate_of(of_harvest uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT COALESCE(NULLIF(h.request #> '{query,predicate}', 'null'), NULLIF(d.body -> 'predicate', 'null'))
    FROM passereau.harvest h
    LEFT JOIN passereau.download d ON d.harvest_id = h.id
    WHERE h.id = of_harvest
$$;

-- Why a harvest may not mark or delete anything; NULL when it may.
CREATE OR REPLACE FUNCTION passereau.vanishing_suspended(of_harvest uuid, previous bigint) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN (passereau.predicate_of(of_harvest) = passereau.predicate_of(before.harvest_id)) IS NOT TRUE THEN 'predicate_changed'
        WHEN NOT g.complete THEN 'incomplete'
    END
    FROM passereau.harvest h
    JOIN pinv_gbif.generation g ON g.id = h.generation_id
    LEFT JOIN pinv_gbif.generation before ON before.id = previous
    WHERE h.id = of_harvest
$$;

-- Whether people have reported on rows of the synthèse (GeoNature's discussions, alerts and pins). A role that may not read the
-- reports cannot know, and says so.
CREATE OR REPLACE FUNCTION passereau.reported(rows_ integer[]) RETURNS integer[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    found integer[];
BEGIN
    IF to_regclass('gn_synthese.t_reports') IS NULL THEN
        RETURN '{}';
    END IF;
    IF NOT has_table_privilege('gn_synthese.t_reports', 'SELECT') THEN
        RAISE EXCEPTION 'the setting "vanished": "delete" needs to read gn_synthese.t_reports, where people report on observations: the database''s administrator runs `passereau install --with-removal`'
            USING ERRCODE = 'PS001';
    END IF;
    EXECUTE 'SELECT COALESCE(array_agg(DISTINCT r.id_synthese), ''{}'') FROM gn_synthese.t_reports r
             WHERE r.id_synthese = ANY ($1) AND r.deleted IS NOT TRUE'
    INTO found USING rows_;
    RETURN found;
END $$;

-- Plans the vanished records of a chunk; returns how many the subscription has lost, whether or not they had a row.
CREATE OR REPLACE FUNCTION passereau.plan_vanished(of_harvest uuid, previous bigint, others bigint[], after_id bigint, upto_id bigint,
                                                   source integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    harvest   passereau.harvest;
    setting   text;
    suspended text;
    intended  text;     -- what becomes of a row
    abandoned uuid[];   -- harvests of this subscription that ended on their way: no generation tells what they wrote
    asked_otherwise uuid[]; -- those of them that asked for something else, as far as is known
    landing   bigint[]; -- generations that harvests of other subscriptions have landed and not applied yet
    reported  integer[];
    gone      bigint;
BEGIN
    SELECT * INTO harvest FROM passereau.harvest h WHERE h.id = of_harvest;
    setting := COALESCE(harvest.settings ->> 'vanished', 'keep');
    suspended := passereau.vanishing_suspended(of_harvest, previous);
    intended := COALESCE(suspended, setting);
    landing := passereau.landing_elsewhere(harvest.subscription);
    abandoned := passereau.abandoned(harvest.subscription, of_harvest);
    SELECT COALESCE(array_agg(a.id), '{}') INTO asked_otherwise
    FROM unnest(abandoned) a (id)
    WHERE (passereau.predicate_of(a.id) = passereau.predicate_of(of_harvest)) IS NOT TRUE;

    WITH lost AS (
        SELECT before.gbif_id
        FROM pinv_gbif.occurrence before
        WHERE before.generation_id = previous AND before.gbif_id > after_id AND before.gbif_id <= upto_id
          AND NOT EXISTS (SELECT FROM pinv_gbif.occurrence o
                          WHERE o.generation_id = harvest.generation_id AND o.gbif_id > after_id AND o.gbif_id <= upto_id
                            AND o.gbif_id = before.gbif_id)
          AND NOT EXISTS (SELECT FROM pinv_gbif.occurrence o
                          WHERE o.generation_id = ANY (others) AND o.gbif_id > after_id AND o.gbif_id <= upto_id
                            AND o.gbif_id = before.gbif_id)
    ), left_behind AS (
        SELECT w.gbif_id
        FROM passereau.written w
        WHERE abandoned <> '{}' AND w.harvest_id = ANY (abandoned) AND w.vanished_at IS NULL
          AND w.gbif_id > after_id AND w.gbif_id <= upto_id
          AND NOT EXISTS (SELECT FROM pinv_gbif.occurrence o
                          WHERE o.generation_id = ANY (harvest.generation_id || others) AND o.gbif_id > after_id
                            AND o.gbif_id <= upto_id AND o.gbif_id = w.gbif_id)
    ), left_before AS (
        -- What an earlier harvest left alone, and this one need not.
        SELECT w.gbif_id
        FROM passereau.written w
        WHERE w.vanished_at IS NOT NULL AND w.gbif_id > after_id AND w.gbif_id <= upto_id
          AND w.vanished_from = harvest.subscription AND intended IN ('mark', 'delete')
          AND w.vanished_how <> 'predicate_changed' AND NOT (w.vanished_how = 'marked' AND intended = 'mark')
          AND NOT EXISTS (SELECT FROM pinv_gbif.occurrence o
                          WHERE o.generation_id = ANY (harvest.generation_id || others) AND o.gbif_id > after_id
                            AND o.gbif_id <= upto_id AND o.gbif_id = w.gbif_id)
    ), planned AS (
        INSERT INTO passereau.plan (harvest_id, gbif_id, action, reason, dataset_key, taxon_key, id_synthese, unique_id_sinp, nom_cite,
                                    date_min, date_max, seen, edited, validated)
        SELECT of_harvest, c.gbif_id, 'vanish',
               CASE WHEN cardinality(landing) > 0 AND EXISTS (SELECT FROM pinv_gbif.occurrence o
                                                              WHERE o.generation_id = ANY (landing) AND o.gbif_id = c.gbif_id)
                    THEN 'incomplete'
                    WHEN intended IN ('mark', 'delete') AND w.harvest_id = ANY (asked_otherwise) THEN 'predicate_changed'
                    ELSE intended END, w.dataset_key, NULL, s.id_synthese, s.unique_id_sinp, s.nom_cite, s.date_min,
               s.date_max, t.seen, passereau.touched(w.columns, t.seen), passereau.is_validated(s, t.seen, w.columns)
        FROM (SELECT l.gbif_id FROM lost l UNION SELECT b.gbif_id FROM left_before b UNION SELECT b.gbif_id FROM left_behind b) c
        JOIN passereau.written w ON w.gbif_id = c.gbif_id AND NOT w.adopted
        JOIN gn_synthese.synthese s
             ON s.id_synthese = w.id_synthese AND s.id_source = source AND s.entity_source_pk_value = c.gbif_id::text
        -- Only what is to be touched is compared again.
        CROSS JOIN LATERAL (SELECT CASE WHEN intended IN ('mark', 'delete') THEN passereau.row_hashes(s) END AS seen
                            OFFSET 0) t
        ON CONFLICT (harvest_id, gbif_id) DO NOTHING
        RETURNING 1
    )
    SELECT count(*) INTO gone FROM lost;

    IF intended = 'delete' THEN
        reported := passereau.reported(ARRAY(
            SELECT v.id_synthese FROM passereau.plan v
            WHERE v.harvest_id = of_harvest AND v.gbif_id > after_id AND v.gbif_id <= upto_id AND v.action = 'vanish'));
        UPDATE passereau.plan p SET validated = true
        WHERE p.harvest_id = of_harvest AND p.gbif_id > after_id AND p.gbif_id <= upto_id AND p.action = 'vanish' AND NOT p.validated
          AND (p.id_synthese = ANY (reported)
               OR EXISTS (SELECT FROM gn_commons.t_validations v
                          WHERE v.uuid_attached_row = p.unique_id_sinp AND v.validation_auto IS NOT TRUE));
    END IF;
    IF EXISTS (SELECT FROM passereau.plan p
               WHERE p.harvest_id = of_harvest AND p.gbif_id > after_id AND p.gbif_id <= upto_id AND p.action = 'vanish') THEN
        -- As after the other rows of a chunk (60_plan.sql).
        ANALYZE passereau.plan (harvest_id, gbif_id, action, id_synthese);
    END IF;
    RETURN gone;
END $$;

-- Generations that harvests of other subscriptions have landed, and that are not the current ones yet: what they hold has not
-- vanished, even if their plan finds it unchanged and locks nothing.
CREATE OR REPLACE FUNCTION passereau.landing_elsewhere(of_subscription text) RETURNS bigint[]
LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg(g.id), '{}')
    FROM pinv_gbif.generation g
    JOIN passereau.harvest h ON h.id = g.harvest_id
    WHERE g.state = 'landed' AND g.subscription <> of_subscription AND h.state NOT IN ('completed', 'failed', 'cancelled')
$$;

-- Harvests of a subscription that were cancelled, or failed and were overtaken, after they had begun to write.
CREATE OR REPLACE FUNCTION passereau.abandoned(of_subscription text, by_harvest uuid) RETURNS uuid[]
LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg(h.id), '{}')
    FROM passereau.harvest h
    WHERE h.subscription = of_subscription AND h.id <> by_harvest AND h.state IN ('failed', 'cancelled') AND h.inserted + h.updated > 0
$$;

-- The columns of a row that are no longer as we left them, but for those that are only watched.
CREATE OR REPLACE FUNCTION passereau.touched(before integer[], here integer[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(array_agg(c.name ORDER BY c.name) FILTER (WHERE c.before <> c.here AND NOT c.name = ANY (passereau.watched_names())), '{}')
    FROM unnest(passereau.column_names(), before, here) c (name, before, here)
$$;

-- Lets the next complete harvest of a subscription mark or delete what was left alone when its predicate changed. Returns how
-- many rows that concerns.
CREATE OR REPLACE FUNCTION passereau.release_vanished(of_subscription text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    released bigint;
BEGIN
    UPDATE passereau.written w SET vanished_how = 'kept'
    WHERE w.vanished_at IS NOT NULL AND w.vanished_from = of_subscription AND w.vanished_how = 'predicate_changed';
    GET DIAGNOSTICS released = ROW_COUNT;
    RETURN released;
END $$;

RESET check_function_bodies;
