-- Split: a slice that takes longer than a transaction may is cut in two.
--
-- The first half keeps the slice's number, the second gets one of its own; harvest.slices_left grows by one. Nothing of the
-- plan changes. The harvest remembers half the slice's records as its limit (never below 500: one slow record says little
-- about the others): its other slices above the limit are cut before they are tried.
--
-- Returns the number of the second half. NULL when there is nothing to cut: the slice is done, is gone, or holds one record.
--
-- Cost: one range of passereau.plan by its key. Locks: the slice's row, then the harvest's, as apply() does.
CREATE OR REPLACE FUNCTION passereau.split_slice(of_harvest uuid, of_slice integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    slice       passereau.slice;
    middle      bigint;     -- last gbif_id of the first half
    first_half  integer;
    ordinal     integer;
BEGIN
    SELECT * INTO slice FROM passereau.slice s
    WHERE s.harvest_id = of_harvest AND s.stage = 'upsert' AND s.ordinal = of_slice AND s.done_at IS NULL AND s.records > 1
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    first_half := slice.records / 2;
    SELECT p.gbif_id INTO middle FROM passereau.plan p
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN slice.first_gbif_id AND slice.last_gbif_id
    ORDER BY p.gbif_id OFFSET first_half - 1 LIMIT 1;
    -- The harvest's row keeps two cuts of one harvest from giving the same number.
    UPDATE passereau.harvest h
    SET slices_left = h.slices_left + 1, slice_limit = LEAST(h.slice_limit, GREATEST(500, slice.records - first_half)),
        updated_at = now()
    WHERE h.id = of_harvest;
    SELECT max(s.ordinal) + 1 INTO ordinal FROM passereau.slice s WHERE s.harvest_id = of_harvest AND s.stage = 'upsert';
    INSERT INTO passereau.slice (harvest_id, stage, ordinal, first_gbif_id, last_gbif_id, records)
    VALUES (of_harvest, 'upsert', ordinal, middle + 1, slice.last_gbif_id, slice.records - first_half);
    UPDATE passereau.slice s SET last_gbif_id = middle, records = first_half
    WHERE s.harvest_id = of_harvest AND s.stage = 'upsert' AND s.ordinal = of_slice;
    RETURN ordinal;
END $$;
