-- Retention: what has been kept for long enough (docs/retention.md has the table), and taking it away.
--
-- passereau.expired(kind) says what may go now, passereau.retain(kind, most) takes a part of it away and is called until
-- nothing comes back: each call is a transaction of its own, of seconds. Both read the same views, so that what was announced
-- is what goes. Archives and parts lie in the store: passereau.expired_archives and passereau.expired_parts only judge keys.
--
-- Never touched: gn_synthese, a live harvest, the current generation of a named subscription, a failed harvest that can be
-- replayed, the row of any harvest (its counts, download and citation stay for ever), rejects of a generation that stands.
--
-- Cost, by reading and not measured at the size of a platform: retain() takes at most `most` rows a call; what is old is found by indexes on
-- its date, but for passereau.plan and slices, which are found by their harvests. note_gone() and the kind `written` look every written row up in
-- the synthèse and in each generation, and only when their setting is set. Locks: the rows that go; the harvest whose leftovers go, so that a
-- replay waits; dropping a generation needs the parent tables for a moment and gives up after ten seconds (55P03), for the next run.
SET check_function_bodies = off;

-- What is older than that may go; NULL, which no comparison is true for, when it is kept for ever.
CREATE OR REPLACE FUNCTION passereau.kept_until(of_setting text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT now() - make_interval(days => NULLIF(passereau.setting(of_setting)::integer, 0)) $$;

-- A failed harvest that `passereau dead replay` can still take up: its letter waits and nothing newer is complete (the rule of
-- shared/harvest/src/revive.rs).
CREATE OR REPLACE FUNCTION passereau.is_replayable(h passereau.harvest) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT h.state = 'failed'
       AND EXISTS (SELECT FROM passereau.dead_letter d WHERE d.harvest_id = h.id AND d.state = 'waiting')
       AND NOT EXISTS (SELECT FROM passereau.harvest n
                       WHERE n.subscription = h.subscription AND n.state = 'completed' AND n.created_at > h.created_at)
$$;

-- Harvests whose leftovers may go.
CREATE OR REPLACE VIEW passereau.v_left_behind AS
SELECT h.id, h.generation_id
FROM passereau.harvest h
WHERE h.state IN ('completed', 'failed', 'cancelled')
  AND COALESCE(h.finished_at, h.updated_at) < (SELECT passereau.kept_until('retention_failed_days'))
  AND NOT passereau.is_replayable(h);

-- Generations that may go: those that never became current, and those of one-off requests where the platform has said so. A one-off
-- request whose records still wait for something (a taxonomist, a dataset) keeps them: they would be lost without a word.
CREATE OR REPLACE VIEW passereau.v_expired_generation AS
SELECT g.id, g.harvest_id, g.subscription, 'generation' AS kind
FROM pinv_gbif.generation g
JOIN passereau.harvest l ON l.id = g.harvest_id
-- What a cancellation had to leave, because somebody was reading, goes at once.
WHERE (l.state = 'cancelled' OR l.id IN (SELECT b.id FROM passereau.v_left_behind b))
  AND g.state IN ('loading', 'landed')
  AND NOT EXISTS (SELECT FROM passereau.subscription s WHERE s.current_generation = g.id)
  AND NOT EXISTS (SELECT FROM passereau.harvest h
                  WHERE h.generation_id = g.id AND h.state NOT IN ('completed', 'failed', 'cancelled'))
UNION ALL
SELECT g.id, g.harvest_id, g.subscription, 'one_off'
FROM pinv_gbif.generation g
JOIN passereau.subscription s ON s.current_generation = g.id AND s.one_off
WHERE g.state = 'current'
  AND NOT EXISTS (SELECT FROM passereau.harvest h
                  WHERE h.subscription = s.name
                    AND (h.state NOT IN ('completed', 'failed', 'cancelled')
                         OR (COALESCE(h.finished_at, h.updated_at) < (SELECT passereau.kept_until('retention_one_off_days'))) IS NOT TRUE
                         OR passereau.is_replayable(h)))
  AND NOT EXISTS (SELECT FROM pinv_gbif.reject r JOIN pinv_gbif.bib_reject_reason b ON b.reason = r.reason AND b.waits
                  WHERE r.subscription = s.name);

-- Rows of the plan of harvests that have ended for good.
CREATE OR REPLACE VIEW passereau.v_expired_plan AS
SELECT p.harvest_id, p.gbif_id, pg_column_size(p.*) AS bytes
FROM passereau.plan p JOIN passereau.v_left_behind l ON l.id = p.harvest_id;

CREATE OR REPLACE VIEW passereau.v_expired_slice AS
SELECT s.harvest_id, s.stage, s.ordinal, pg_column_size(s.*) AS bytes
FROM passereau.slice s JOIN passereau.v_left_behind l ON l.id = s.harvest_id;

-- Memory of rows that somebody deleted from the synthèse. It is what keeps their records from entering again, so it stays for as
-- long as any generation holds the record; passereau.note_gone() says since when none does. Looked at again here, because a
-- record may be back since. A function and no view: a view would keep GeoNature from changing its own table.
CREATE OR REPLACE FUNCTION passereau.expired_written() RETURNS TABLE (gbif_id bigint, bytes integer)
LANGUAGE sql STABLE AS $$
    SELECT w.gbif_id, pg_column_size(w.*) AS bytes
    FROM passereau.written w
    WHERE w.gone_since < (SELECT passereau.kept_until('retention_written_days'))
      AND NOT EXISTS (SELECT FROM gn_synthese.synthese s WHERE s.id_synthese = w.id_synthese)
      AND NOT EXISTS (SELECT FROM pinv_gbif.occurrence o WHERE o.gbif_id = w.gbif_id)
$$;

-- Notes since when written rows have been gone, and takes the note back where they are there again: the next `most` rows after a
-- gbif_id. Returns the last one looked at; NULL at the end, and at once when they are kept for ever.
CREATE OR REPLACE FUNCTION passereau.note_gone(after_id bigint, most integer) RETURNS bigint
LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    upto_id bigint;
BEGIN
    IF passereau.kept_until('retention_written_days') IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT max(c.gbif_id) INTO upto_id
    FROM (SELECT w.gbif_id FROM passereau.written w WHERE w.gbif_id > after_id ORDER BY w.gbif_id LIMIT most) c;
    WITH looked_at AS (
        SELECT w.gbif_id,
               NOT EXISTS (SELECT FROM gn_synthese.synthese s WHERE s.id_synthese = w.id_synthese)
               AND NOT EXISTS (SELECT FROM pinv_gbif.occurrence o WHERE o.gbif_id = w.gbif_id) AS gone
        FROM passereau.written w WHERE w.gbif_id > after_id AND w.gbif_id <= upto_id
    )
    UPDATE passereau.written w SET gone_since = CASE WHEN l.gone THEN now() END
    FROM looked_at l
    WHERE w.gbif_id = l.gbif_id AND (w.gone_since IS NULL) = l.gone;
    RETURN upto_id;
END $$;

-- What may go now of a kind that lies in the database: how many, and about how many bytes.
CREATE OR REPLACE FUNCTION passereau.expired(of_kind text, OUT count bigint, OUT bytes bigint) LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE of_kind
        WHEN 'generation', 'one_off' THEN
            SELECT count(*), sum(COALESCE(pg_total_relation_size(to_regclass('pinv_gbif.occurrence_' || g.id)), 0)
                                 + COALESCE(pg_total_relation_size(to_regclass('pinv_gbif.multimedia_' || g.id)), 0))
            INTO expired.count, expired.bytes FROM passereau.v_expired_generation g WHERE g.kind = of_kind;
        WHEN 'plan' THEN
            SELECT count(*), sum(p.bytes) INTO expired.count, expired.bytes FROM passereau.v_expired_plan p;
        WHEN 'slice' THEN
            SELECT count(*), sum(s.bytes) INTO expired.count, expired.bytes FROM passereau.v_expired_slice s;
        WHEN 'inbox' THEN
            SELECT count(*), sum(pg_column_size(i.*)) INTO expired.count, expired.bytes
            FROM passereau.inbox i WHERE i.handled_at < (SELECT passereau.kept_until('retention_inbox_days'));
        WHEN 'dead_letter' THEN
            SELECT count(*), sum(pg_column_size(d.*)) INTO expired.count, expired.bytes
            FROM passereau.dead_letter d
            WHERE d.state <> 'waiting' AND d.settled_at < (SELECT passereau.kept_until('retention_dead_letter_days'));
        WHEN 'written' THEN
            SELECT count(*), sum(w.bytes) INTO expired.count, expired.bytes FROM passereau.expired_written() w;
        WHEN 'deleted' THEN
            SELECT count(*), sum(pg_column_size(d.*)) INTO expired.count, expired.bytes
            FROM passereau.deleted d WHERE d.deleted_at < (SELECT passereau.kept_until('retention_deleted_days'));
        ELSE
            RAISE EXCEPTION '% is nothing that the database keeps', of_kind USING ERRCODE = 'PS002';
    END CASE;
    bytes := COALESCE(bytes, 0);
END $$;

-- Takes away at most `most` of a kind, and says how many and about how many bytes. 0: nothing is left.
CREATE OR REPLACE FUNCTION passereau.retain(of_kind text, most integer, OUT count bigint, OUT bytes bigint)
LANGUAGE plpgsql SET lock_timeout = '10s' SET jit = off AS $$
BEGIN
    IF of_kind IN ('generation', 'one_off') THEN
        SELECT r.count, r.bytes INTO retain.count, retain.bytes FROM passereau.retain_generation(of_kind) r;
        RETURN;
    END IF;
    CASE of_kind
        WHEN 'plan' THEN
            WITH harvests AS MATERIALIZED (SELECT h.id FROM passereau.lock_left_behind('plan') h),
            gone AS (
                DELETE FROM passereau.plan p USING (
                    SELECT e.harvest_id, e.gbif_id, e.bytes FROM passereau.v_expired_plan e
                    WHERE e.harvest_id IN (SELECT h.id FROM harvests h) LIMIT most) e
                WHERE p.harvest_id = e.harvest_id AND p.gbif_id = e.gbif_id RETURNING e.bytes)
            SELECT count(*), sum(g.bytes) INTO retain.count, retain.bytes FROM gone g;
        WHEN 'slice' THEN
            WITH harvests AS MATERIALIZED (SELECT h.id FROM passereau.lock_left_behind('slice') h),
            gone AS (
                DELETE FROM passereau.slice s USING (
                    SELECT e.harvest_id, e.stage, e.ordinal, e.bytes FROM passereau.v_expired_slice e
                    WHERE e.harvest_id IN (SELECT h.id FROM harvests h) LIMIT most) e
                WHERE s.harvest_id = e.harvest_id AND s.stage = e.stage AND s.ordinal = e.ordinal RETURNING e.bytes)
            SELECT count(*), sum(g.bytes) INTO retain.count, retain.bytes FROM gone g;
        WHEN 'inbox' THEN
            WITH gone AS (
                DELETE FROM passereau.inbox i USING (
                    SELECT e.consumer, e.message_id FROM passereau.inbox e
                    WHERE e.handled_at < (SELECT passereau.kept_until('retention_inbox_days')) LIMIT most) e
                WHERE i.consumer = e.consumer AND i.message_id = e.message_id RETURNING pg_column_size(i.*) AS bytes)
            SELECT count(*), sum(g.bytes) INTO retain.count, retain.bytes FROM gone g;
        WHEN 'dead_letter' THEN
            WITH gone AS (
                DELETE FROM passereau.dead_letter d WHERE d.id IN (
                    SELECT e.id FROM passereau.dead_letter e
                    WHERE e.state <> 'waiting' AND e.settled_at < (SELECT passereau.kept_until('retention_dead_letter_days')) LIMIT most)
                RETURNING pg_column_size(d.*) AS bytes)
            SELECT count(*), sum(g.bytes) INTO retain.count, retain.bytes FROM gone g;
        WHEN 'written' THEN
            WITH gone AS (
                DELETE FROM passereau.written w USING (SELECT e.gbif_id, e.bytes FROM passereau.expired_written() e LIMIT most) e
                WHERE w.gbif_id = e.gbif_id RETURNING e.bytes)
            SELECT count(*), sum(g.bytes) INTO retain.count, retain.bytes FROM gone g;
        WHEN 'deleted' THEN
            WITH gone AS (
                DELETE FROM passereau.deleted d WHERE d.id IN (
                    SELECT e.id FROM passereau.deleted e
                    WHERE e.deleted_at < (SELECT passereau.kept_until('retention_deleted_days')) LIMIT most)
                RETURNING pg_column_size(d.*) AS bytes)
            SELECT count(*), sum(g.bytes) INTO retain.count, retain.bytes FROM gone g;
        ELSE
            RAISE EXCEPTION '% is nothing that the database keeps', of_kind USING ERRCODE = 'PS002';
    END CASE;
    bytes := COALESCE(bytes, 0);
END $$;

-- Locks a few harvests that left rows of a plan, or slices, behind: a replay waits, and one that was faster is not met.
CREATE OR REPLACE FUNCTION passereau.lock_left_behind(of_kind text) RETURNS TABLE (id uuid)
LANGUAGE sql AS $$
    SELECT h.id FROM passereau.harvest h
    WHERE h.id IN (SELECT l.id FROM passereau.v_left_behind l) AND h.state IN ('completed', 'failed', 'cancelled')
      AND CASE of_kind WHEN 'plan' THEN EXISTS (SELECT FROM passereau.plan p WHERE p.harvest_id = h.id)
                       ELSE EXISTS (SELECT FROM passereau.slice s WHERE s.harvest_id = h.id) END
    ORDER BY h.id LIMIT 20
    FOR UPDATE OF h SKIP LOCKED
$$;

-- Drops one generation; its row stays. The subscription of a one-off request no longer has a current generation: its rows in the
-- synthèse stay as they are, its rejects go, because without the records nobody could let them in.
CREATE OR REPLACE FUNCTION passereau.retain_generation(of_kind text, OUT count bigint, OUT bytes bigint) LANGUAGE plpgsql AS $$
DECLARE
    expired record;
BEGIN
    count := 0;
    bytes := 0;
    SELECT g.id, g.harvest_id, g.subscription INTO expired FROM passereau.v_expired_generation g WHERE g.kind = of_kind ORDER BY g.id LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Whoever starts or replays a harvest of this subscription waits, or was faster: looked at again under the lock.
    PERFORM FROM passereau.subscription s WHERE s.name = expired.subscription FOR UPDATE;
    PERFORM FROM passereau.harvest h WHERE h.id = expired.harvest_id FOR UPDATE;
    IF NOT EXISTS (SELECT FROM passereau.v_expired_generation g WHERE g.id = expired.id AND g.kind = of_kind) THEN
        RETURN;
    END IF;
    count := 1;
    bytes := COALESCE(pg_total_relation_size(to_regclass('pinv_gbif.occurrence_' || expired.id)), 0)
             + COALESCE(pg_total_relation_size(to_regclass('pinv_gbif.multimedia_' || expired.id)), 0);
    IF of_kind = 'one_off' THEN
        UPDATE passereau.subscription s SET current_generation = NULL, updated_at = now() WHERE s.name = expired.subscription;
        DELETE FROM pinv_gbif.reject r WHERE r.subscription = expired.subscription;
    END IF;
    PERFORM pinv_gbif.drop_generation(expired.id);
END $$;

-- Of these keys of the store, the archives that may go: fetched by one of our harvests (a file that a person put there is theirs),
-- named by none that is alive, replayable or younger than the setting, and not the newest of a named subscription.
CREATE OR REPLACE FUNCTION passereau.expired_archives(keys text[]) RETURNS TABLE (key text)
LANGUAGE sql STABLE AS $$
    SELECT k.key
    FROM unnest(keys) AS k (key)
    WHERE EXISTS (SELECT FROM passereau.harvest h WHERE k.key = 'archives/' || h.download_key || '.zip')
      AND NOT EXISTS (
          SELECT FROM passereau.harvest h
          WHERE (h.archive_key = k.key OR k.key = 'archives/' || h.download_key || '.zip')
            AND (h.state NOT IN ('completed', 'failed', 'cancelled')
                 OR (COALESCE(h.finished_at, h.updated_at) < (SELECT passereau.kept_until('retention_archive_days'))) IS NOT TRUE
                 OR passereau.is_replayable(h)
                 OR EXISTS (SELECT FROM pinv_gbif.generation g
                            JOIN passereau.subscription s ON s.current_generation = g.id AND NOT s.one_off
                            WHERE g.harvest_id = h.id)))
$$;

-- Of these harvests, those whose parts may go.
CREATE OR REPLACE FUNCTION passereau.expired_parts(harvests uuid[]) RETURNS TABLE (harvest_id uuid)
LANGUAGE sql STABLE AS $$ SELECT l.id FROM passereau.v_left_behind l WHERE l.id = ANY (harvests) $$;

RESET check_function_bodies;
