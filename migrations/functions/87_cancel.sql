-- The end that a person gives a harvest, and what keeps it apart from the work in hand.
--
-- Whoever writes for a harvest holds its advisory lock in shared mode until the commit (passereau.hold), whoever cancels it
-- holds it alone: a slice that is being written commits before the cancellation, and its rows stay; one that comes later
-- finds the harvest cancelled and writes nothing. There is no third way, and no half of a slice.
SET check_function_bodies = off;

-- Keeps a harvest from being cancelled until the end of the transaction; false when it is cancelled already. Waits for a
-- cancellation that is under way. Two statements: the second one sees what was committed while the first one waited.
CREATE OR REPLACE FUNCTION passereau.hold(of_harvest uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('passereau.harvest'), hashtext(of_harvest::text));
    RETURN NOT EXISTS (SELECT FROM passereau.harvest h WHERE h.id = of_harvest AND h.state = 'cancelled');
END $$;

-- Ends a harvest that is alive as cancelled; false when it had ended before. With it go its messages on their way, its plan,
-- its open slices, and its generation unless that has become the current one.
--
-- What its slices have written into the synthèse stays, as do passereau.written and the rejects that tell of it: the next
-- harvest of the subscription finds it unchanged, or, where it no longer asks for it, treats it as vanished (61_vanished.sql). The
-- archive stays in the store.
--
-- Locks: the harvest's advisory lock and its row, for which it waits until the work in hand is committed (a minute at most).
-- Dropping a generation that has landed needs pinv_gbif.occurrence and pinv_gbif.multimedia for itself for a moment. Where a reader
-- takes longer than ten seconds the harvest is cancelled all the same, and the generation is left to the next look of the retention
-- (88_retention.sql).
CREATE OR REPLACE FUNCTION passereau.cancel(of_harvest uuid, of_reason text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    generation bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('passereau.harvest'), hashtext(of_harvest::text));
    UPDATE passereau.harvest h
    SET state = 'cancelled', reason = of_reason, slices_left = 0, paused_at = NULL, paused_reason = NULL,
        updated_at = now(), finished_at = now()
    WHERE h.id = of_harvest AND h.state NOT IN ('completed', 'failed', 'cancelled');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM passereau.outbox o WHERE o.harvest_id = of_harvest AND o.exchange = 'work';
    DELETE FROM passereau.slice s WHERE s.harvest_id = of_harvest AND s.done_at IS NULL;
    DELETE FROM passereau.plan p WHERE p.harvest_id = of_harvest;
    -- Last, because of its locks.
    SELECT g.id INTO generation FROM pinv_gbif.generation g
    WHERE g.harvest_id = of_harvest AND g.state IN ('loading', 'landed');
    IF FOUND THEN
        PERFORM set_config('lock_timeout', '10s', true);
        BEGIN
            PERFORM pinv_gbif.drop_generation(generation);
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END IF;
    RETURN true;
END $$;

RESET check_function_bodies;
