-- Retention: for how long what the fleet keeps is kept, and when that was last looked after.

-- Refuses, in words, what no number of days is. NULL, empty and 0 are for ever. Names that do not begin with retention_ are
-- none of its business.
CREATE FUNCTION passereau.check_retention(of_name text, of_value text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF of_name NOT LIKE 'retention\_%' OR NULLIF(btrim(of_value), '') IS NULL THEN
        RETURN true;
    END IF;
    IF btrim(of_value) !~ '^[0-9]{1,5}$' THEN
        RAISE EXCEPTION 'the setting % is a number of days (0 or nothing: for ever), not "%"', of_name, of_value
            USING ERRCODE = 'PS001', HINT = 'docs/retention.md lists these settings.';
    END IF;
    -- A message that comes again must still be known: a queue may hold one for as long as a fleet stands still.
    IF of_name = 'retention_inbox_days' AND btrim(of_value)::integer BETWEEN 1 AND 6 THEN
        RAISE EXCEPTION 'the setting % is 7 days at least (0 or nothing: for ever): a message that came again after % would be handled twice',
                of_name, of_value
            USING ERRCODE = 'PS001';
    END IF;
    RETURN true;
END $$;
ALTER TABLE pinv_gbif.setting ADD CONSTRAINT setting_retention CHECK (passereau.check_retention(name, value));

-- How long something is kept decides no conversion: an edit of these rows converts nothing again.
INSERT INTO pinv_gbif.setting (name, value, meaning, converts) VALUES
    ('retention_failed_days', '30', 'Days after its end that what a harvest left behind is kept: a generation that never became current, rows of its plan, slices, parts of its archive. What can still be replayed stays. Empty: for ever.', false),
    ('retention_archive_days', '30', 'Days after the last harvest that used it that a fetched archive is kept. The newest of a named subscription stays. Empty: for ever.', false),
    ('retention_one_off_days', NULL, 'Days that the records of a one-off request are kept. Without them the request no longer holds its records (docs/retention.md). Empty (the default): for ever.', false),
    ('retention_inbox_days', '30', 'Days that a handled message is remembered; 7 at least. Empty: for ever.', false),
    ('retention_dead_letter_days', '90', 'Days that a dead letter is kept once it was replayed or dropped. One that waits stays. Empty: for ever.', false),
    ('retention_written_days', NULL, 'Days that a row which somebody deleted from the synthèse is remembered once GBIF no longer publishes its record. Forgotten, the record would enter again if it came back. Empty (the default): for ever.', false),
    ('retention_deleted_days', NULL, 'Days that the archive of rows which were deleted because their record vanished (passereau.deleted) is kept. Empty (the default): for ever.', false);

-- Since when neither the synthèse nor any generation holds what was written: noted by the first run that sees it.
ALTER TABLE passereau.written ADD COLUMN gone_since timestamptz;
CREATE INDEX written_gone ON passereau.written (gone_since) WHERE gone_since IS NOT NULL;

CREATE INDEX deleted_at ON passereau.deleted (deleted_at);
CREATE INDEX dead_letter_settled ON passereau.dead_letter (settled_at) WHERE state <> 'waiting';

-- Each run of the retention: what it took away. `passereau retention plan` shows the last one.
CREATE TABLE passereau.retention_run (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    -- kind: {"count": …, "bytes": …}
    removed     jsonb NOT NULL DEFAULT '{}',
    -- what could not be taken away and why; the next run tries again
    error       text
);
