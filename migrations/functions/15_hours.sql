-- Hours: when slices may go into the synthèse.
--
-- A window is written 20:00-06:00: from the first minute up to, and without, the last one; over midnight when it ends before
-- it begins. Times are those of a clock on the wall in the given time zone, so a window stays where people expect it when
-- the clocks change. A window that begins in the hour that spring leaves out begins when that hour is over; one that lies
-- wholly in it does not open on that day. One that begins in the hour that autumn repeats is open both times.
--
-- The time comes in from outside, so that a test decides which one it is.
--
-- Cost: a few microseconds, two rows of a small table a slice. Locks: none.
SET check_function_bodies = off;

-- When a window opens next after a moment; NULL when one is open then, or when there are no hours.
CREATE OR REPLACE FUNCTION passereau.opens_at(hours text, time_zone text, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN NOT bool_or(CASE WHEN w.starts < w.ends THEN l.local::time >= w.starts AND l.local::time < w.ends
                                      ELSE l.local::time >= w.starts OR l.local::time < w.ends END)
                THEN min(o.opening) FILTER (WHERE o.opening > at)
           END
    FROM (SELECT split_part(btrim(item), '-', 1)::time AS starts, split_part(btrim(item), '-', 2)::time AS ends
          FROM unnest(string_to_array(hours, ',')) AS item) w
    CROSS JOIN (SELECT at AT TIME ZONE time_zone AS local) l
    CROSS JOIN generate_series(0, 2) AS day
    CROSS JOIN LATERAL (SELECT (l.local::date + day + w.starts) AT TIME ZONE time_zone AS opening) o
$$;

-- Refuses what opens_at could not read.
CREATE OR REPLACE FUNCTION passereau.check_hours(hours text, time_zone text) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    item text;
BEGIN
    BEGIN
        PERFORM now() AT TIME ZONE time_zone;
    EXCEPTION WHEN invalid_parameter_value THEN
        RAISE EXCEPTION 'the setting upsert_time_zone holds "%", which PostgreSQL knows no time zone by: correct it in pinv_gbif.setting', time_zone
            USING ERRCODE = 'PS001', HINT = 'SELECT name FROM pg_timezone_names lists them; Europe/Paris is one.';
    END;
    FOREACH item IN ARRAY COALESCE(string_to_array(hours, ','), '{}') LOOP
        IF btrim(item) !~ '^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$'
           OR split_part(btrim(item), '-', 1) = split_part(btrim(item), '-', 2) THEN
            RAISE EXCEPTION 'the setting upsert_hours holds "%", which is no window of hours: correct it in pinv_gbif.setting', btrim(item)
                USING ERRCODE = 'PS001', HINT = 'A window is written as 20:00-06:00; several are separated by commas.';
        END IF;
    END LOOP;
END $$;

-- The time zone of the platform's hours.
CREATE OR REPLACE FUNCTION passereau.upsert_time_zone() RETURNS text
LANGUAGE sql STABLE AS $$ SELECT COALESCE(passereau.setting('upsert_time_zone'), 'Europe/Paris') $$;

-- When slices may go into the synthèse again, by the platform's settings; NULL: now.
CREATE OR REPLACE FUNCTION passereau.upsert_opens_at(at timestamptz DEFAULT now()) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT passereau.opens_at(passereau.setting('upsert_hours'), passereau.upsert_time_zone(), at)
$$;

-- Called by a trigger of pinv_gbif.setting. Hours that mean nothing are refused where they are written. Slices that wait for the old
-- hours look at the new ones at once: those whose time is further away than any back-off, whether or not they failed before.
-- As its owner: whoever may edit a setting need not be let into our messages.
CREATE OR REPLACE FUNCTION passereau.set_hours() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM passereau.check_hours(passereau.setting('upsert_hours'), passereau.upsert_time_zone());
    UPDATE passereau.outbox SET due_at = now()
    WHERE routing_key = 'synthese.upsert' AND due_at < 'infinity' AND due_at > now()
      AND (attempt = 0 OR due_at > now() + interval '10 minutes');
    RETURN NULL;
END $$;

RESET check_function_bodies;
