-- Settings: what the platform and the subscription have decided, as the other functions ask for it.
--
-- Cost: one row of a small table a call. Locks: none.
SET check_function_bodies = off;

-- A setting of the platform (pinv_gbif.setting); NULL when it is empty or unknown.
CREATE OR REPLACE FUNCTION passereau.setting(of_name text) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT NULLIF(btrim(s.value), '') FROM pinv_gbif.setting s WHERE s.name = of_name $$;

-- A setting that is a list separated by commas; empty when there is none.
CREATE OR REPLACE FUNCTION passereau.setting_list(of_name text) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg(btrim(item)) FILTER (WHERE btrim(item) <> ''), '{}')
    FROM unnest(string_to_array(passereau.setting(of_name), ',')) AS item
$$;

-- A setting that is a day.
CREATE OR REPLACE FUNCTION passereau.setting_date(of_name text) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN passereau.setting(of_name)::date;
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow THEN
    RAISE EXCEPTION 'the setting % holds "%", which is no day: correct it in pinv_gbif.setting', of_name, passereau.setting(of_name)
        USING ERRCODE = 'PS001', HINT = 'A day is written as 1900-01-31.';
END $$;

-- All that decides a conversion besides the record, its name of TAXREF and its media: version of the functions, projection,
-- revisions of the edited tables, settings of the subscription. It is part of passereau.written.written_key, so that an edit
-- converts every record again. The names of TAXREF are not: they are matched at each plan, and stand in the key themselves.
CREATE OR REPLACE FUNCTION passereau.conversion_digest(settings jsonb, srid integer) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT md5(concat_ws('|', passereau.conversion_version(), srid, settings::text,
                         (SELECT string_agg(r.name || r.number, ',' ORDER BY r.name)
                          FROM passereau.revision r WHERE r.name IN ('setting', 'vocabulary', 'issue'))))::uuid
$$;

RESET check_function_bodies;
