-- What metrics show of a harvest and could not be told from its rows: since when it is in its state, when an archive last moved, and how
-- new the newest record of a generation is.

ALTER TABLE passereau.harvest ADD COLUMN state_since timestamptz;
-- Of harvests that are on their way now; nobody asks it of the others.
UPDATE passereau.harvest SET state_since = updated_at WHERE state NOT IN ('completed', 'failed', 'cancelled');
ALTER TABLE passereau.harvest ALTER COLUMN state_since SET DEFAULT now();

CREATE FUNCTION passereau.note_state_since() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.state_since := now();
    RETURN NEW;
END $$;
CREATE TRIGGER harvest_state_since BEFORE UPDATE OF state ON passereau.harvest
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION passereau.note_state_since();

-- One write for each part that is landed, each delivery that fetches: the rows are written then in any case.
ALTER TABLE pinv_gbif.generation
    ADD COLUMN progressed_at timestamptz NOT NULL DEFAULT now(),
    -- the newest observation that is not in the future (functions/15_names.sql); dates have no time zone, and are taken as UTC
    ADD COLUMN newest_at     timestamptz;
ALTER TABLE passereau.fetch ADD COLUMN progressed_at timestamptz NOT NULL DEFAULT now();

CREATE FUNCTION passereau.note_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.progressed_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER generation_progress BEFORE UPDATE ON pinv_gbif.generation
    FOR EACH ROW WHEN (OLD.state = 'loading') EXECUTE FUNCTION passereau.note_progress();
CREATE TRIGGER fetch_progress BEFORE UPDATE ON passereau.fetch
    FOR EACH ROW EXECUTE FUNCTION passereau.note_progress();
