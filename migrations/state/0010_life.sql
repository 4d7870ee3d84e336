-- The life of a harvest: pauses, a second question after a download that took too long, hours of the upsert, what has
-- turned out to take too long.

-- A pause is an order about the harvest, whatever its state; what it waits for goes on outside (GBIF makes the download).
ALTER TABLE passereau.harvest
    ADD COLUMN paused_at     timestamptz,
    ADD COLUMN paused_reason text,
    -- Largest chunk of the plan, and largest slice, in records, once one has taken longer than a transaction may; NULL: as
    -- the settings say.
    ADD COLUMN plan_limit    integer CHECK (plan_limit > 0),
    ADD COLUMN slice_limit   integer CHECK (slice_limit > 0);

-- How often GBIF was asked again because a download took too long.
ALTER TABLE passereau.download ADD COLUMN renewals integer NOT NULL DEFAULT 0;

-- A harvest's open slices, for the one that is cut in two and for a cancellation.
CREATE INDEX slice_open ON passereau.slice (harvest_id, stage) WHERE done_at IS NULL;

-- Settings that say when and how work is done, and not what comes out: an edit of one converts nothing again.
ALTER TABLE pinv_gbif.setting ADD COLUMN converts boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN pinv_gbif.setting.converts IS 'Whether records come out otherwise when the value changes: then they are converted again.';

-- As its owner: see passereau.bump_revision.
CREATE FUNCTION passereau.bump_setting() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF (TG_OP <> 'INSERT' AND OLD.converts) OR (TG_OP <> 'DELETE' AND NEW.converts) THEN
        UPDATE passereau.revision SET number = number + 1 WHERE name = 'setting';
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER setting_revision ON pinv_gbif.setting;
CREATE TRIGGER setting_revision AFTER INSERT OR UPDATE OR DELETE ON pinv_gbif.setting
    FOR EACH ROW EXECUTE FUNCTION passereau.bump_setting();

-- Hours that mean nothing are refused where they are written. Slices that wait for the old hours look at the new ones at once.
-- As its owner: whoever may edit a setting need not be let into our messages.
CREATE FUNCTION passereau.set_hours() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM passereau.check_hours(passereau.setting('upsert_hours'), passereau.upsert_time_zone());
    UPDATE passereau.outbox SET due_at = now()
    WHERE routing_key = 'synthese.upsert' AND attempt = 0 AND due_at > now() AND due_at < 'infinity';
    RETURN NULL;
END $$;
INSERT INTO pinv_gbif.setting (name, value, meaning, converts) VALUES
    ('upsert_hours', NULL, 'Hours in which slices may go into the synthèse, as 20:00-06:00; several are separated by commas. Empty: always.', false),
    ('upsert_time_zone', 'Europe/Paris', 'Time zone of upsert_hours, as PostgreSQL names it: Indian/Reunion, America/Martinique …', false);

-- Behind the rows above: the functions that it calls come after this file.
CREATE TRIGGER setting_hours AFTER INSERT OR UPDATE ON pinv_gbif.setting
    FOR EACH ROW WHEN (NEW.name IN ('upsert_hours', 'upsert_time_zone')) EXECUTE FUNCTION passereau.set_hours();
