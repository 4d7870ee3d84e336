-- Finish: the end of a harvest, in one transaction.
--
-- Checks that every slice is done, that the generation still holds what the loader counted, and the two sums
--   read = landed + duplicate + malformed
--   landed = inserted + updated + unchanged + rejected + kept
-- and raises PS003 with every figure when one does not hold. Then the generation becomes the current one of its
-- subscription, the rejects of this subscription that this harvest did not meet again go (their record entered, or is no
-- longer published), and the generation before is dropped. Called again, it changes nothing.
--
-- A reconversion, whose generation is the current one already, ends with the same checks and replaces nothing. What the
-- generation was converted with is remembered in the subscription: passereau.due_reconversions compares it with today's.
--
-- harvest.state, finished_at and the event are the caller's business. Nothing of GeoNature is touched. Records that had vanished and
-- are back are noted as vanished no more, but for marked rows, whose mark goes when they are written.
--
-- Locks: the harvest's row; dropping a partition needs pinv_gbif.occurrence and pinv_gbif.multimedia for itself for a
-- moment. A reader of these views who takes longer than ten seconds makes the call fail with 55P03 (lock_not_available),
-- to be tried again, instead of stopping everybody behind it.
CREATE OR REPLACE FUNCTION passereau.finish(of_harvest uuid) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '10s' SET jit = off AS $$
DECLARE
    harvest    passereau.harvest;
    generation pinv_gbif.generation;
    previous   bigint;
    standing   bigint;
    open_slices integer;
    again      boolean;     -- a reconversion: the generation is the current one already
BEGIN
    SELECT * INTO harvest FROM passereau.harvest h WHERE h.id = of_harvest FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no harvest %', of_harvest USING ERRCODE = 'PS002';
    END IF;
    SELECT * INTO generation FROM pinv_gbif.generation g WHERE g.id = harvest.generation_id;
    again := generation.state = 'current' AND generation.harvest_id <> of_harvest;
    IF generation.state = 'current' AND NOT again THEN
        RETURN;
    END IF;
    SELECT count(*) INTO open_slices
    FROM passereau.slice s WHERE s.harvest_id = of_harvest AND s.stage = 'upsert' AND s.done_at IS NULL;
    IF NOT (again OR generation.state = 'landed') OR generation.id IS NULL OR open_slices > 0
       OR harvest.plan_cursor IS DISTINCT FROM 9223372036854775807 THEN
        RAISE EXCEPTION 'harvest % cannot be finished: its generation % is %, % slices are open, the plan % complete',
                of_harvest, COALESCE(generation.id::text, '(none)'), COALESCE(generation.state, 'missing'), open_slices,
                CASE WHEN harvest.plan_cursor = 9223372036854775807 THEN 'is' ELSE 'is not' END
            USING ERRCODE = 'PS002';
    END IF;

    EXECUTE format('SELECT count(*) FROM pinv_gbif.occurrence_%s', generation.id) INTO standing;
    IF standing <> generation.landed OR standing <> harvest.landed
       OR harvest.read <> harvest.landed + harvest.duplicate + harvest.malformed
       OR harvest.landed <> harvest.inserted + harvest.updated + harvest.unchanged + harvest.rejected + harvest.kept THEN
        RAISE EXCEPTION 'the sums of harvest % do not hold: generation % holds % records and the loader counted %; read % = landed % + duplicate % + malformed %; landed % = inserted % + updated % + unchanged % + rejected % + kept %; vanished %',
                of_harvest, generation.id, standing, generation.landed,
                harvest.read, harvest.landed, harvest.duplicate, harvest.malformed,
                harvest.landed, harvest.inserted, harvest.updated, harvest.unchanged, harvest.rejected, harvest.kept,
                harvest.vanished
            USING ERRCODE = 'PS003';
    END IF;

    DELETE FROM pinv_gbif.reject r WHERE r.subscription = harvest.subscription AND r.harvest_id <> of_harvest;
    UPDATE passereau.subscription s
    SET converted_digest = harvest.converted_digest, taxon_revision = harvest.taxon_revision,
        taxref_version = harvest.taxref_version, converted_at = now()
    WHERE s.name = harvest.subscription;
    IF again THEN
        RETURN;
    END IF;

    SELECT s.current_generation INTO previous FROM passereau.subscription s WHERE s.name = harvest.subscription FOR UPDATE;
    IF previous IS NOT NULL AND passereau.vanishing_suspended(of_harvest, previous) = 'predicate_changed' THEN
        -- What an incomplete archive left open was asked for in other words: the next complete one does not answer that question.
        UPDATE passereau.written w SET vanished_how = 'predicate_changed'
        WHERE w.vanished_at IS NOT NULL AND w.vanished_from = harvest.subscription AND w.vanished_how = 'incomplete';
    END IF;
    UPDATE passereau.written w
    SET vanished_at = NULL, vanished_from = NULL, vanished_how = NULL
    WHERE w.vanished_at IS NOT NULL AND w.vanished_how <> 'marked'
      AND EXISTS (SELECT FROM pinv_gbif.occurrence o WHERE o.generation_id = generation.id AND o.gbif_id = w.gbif_id);
    UPDATE pinv_gbif.generation g SET state = 'current' WHERE g.id = generation.id;
    UPDATE passereau.subscription s SET current_generation = generation.id, updated_at = now()
    WHERE s.name = harvest.subscription;
    -- Last, because of its locks.
    IF previous IS NOT NULL AND previous <> generation.id THEN
        PERFORM pinv_gbif.drop_generation(previous);
    END IF;
END $$;
