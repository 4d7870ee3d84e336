-- Settings: what the platform and the subscription have decided, as the other functions ask for it.
--
-- Cost: one row of a small table a call. Locks: none.
SET check_function_bodies = off;

-- Whether settings of a subscription are what they may be (docs/settings.md); refuses, by name, what no setting is: one that is edited
-- by SQL must not be overlooked. A CHECK of passereau.subscription calls it (state/0003_conversion.sql, where it was made first).
CREATE OR REPLACE FUNCTION passereau.check_settings(settings jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    given record;
    item  text;
BEGIN
    IF jsonb_typeof(settings) <> 'object' THEN
        RAISE EXCEPTION 'settings are a JSON object, not %', settings USING ERRCODE = 'PS001';
    END IF;
    FOR given IN SELECT s.key, s.value, s.value #>> '{}' AS text, jsonb_typeof(s.value) AS type FROM jsonb_each(settings) s LOOP
        IF NOT (CASE given.key
                   WHEN 'max_uncertainty_m' THEN given.type = 'number' AND given.text::float8 > 0
                   WHEN 'longest_interval_days' THEN given.type = 'number' AND given.text ~ '^[0-9]{1,5}$'
                   WHEN 'obscured' THEN given.text IN ('reject', 'cell')
                   WHEN 'uuid_absent' THEN given.text IN ('generate', 'reject')
                   WHEN 'already_present' THEN given.text IN ('reject', 'update')
                   WHEN 'metadata' THEN given.text IN ('existing_only', 'create')
                   WHEN 'media' THEN given.type = 'boolean'
                   WHEN 'accept' THEN given.type = 'array'
                   WHEN 'vanished' THEN given.text IN ('keep', 'mark', 'delete')
                   WHEN 'observers' THEN given.type = 'string' AND given.text IN ('name', 'login', 'none')
                   ELSE false
                END) THEN
            RAISE EXCEPTION '"%": % is no setting of a subscription, see docs/settings.md', given.key, given.value
                USING ERRCODE = 'PS001';
        END IF;
        IF given.key = 'accept' THEN
            FOR item IN SELECT jsonb_array_elements_text(given.value) LOOP
                IF item NOT IN ('absent', 'fossil_specimen', 'living_specimen', 'count_zero', 'unknown_uncertainty') THEN
                    RAISE EXCEPTION '"accept": "%" is nothing that could be accepted, see docs/settings.md', item
                        USING ERRCODE = 'PS001';
                END IF;
            END LOOP;
        END IF;
    END LOOP;
    RETURN true;
END $$;

-- A setting of the platform (pinv_gbif.setting); NULL when it is empty or unknown.
CREATE OR REPLACE FUNCTION passereau.setting(of_name text) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT NULLIF(btrim(s.value), '') FROM pinv_gbif.setting s WHERE s.name = of_name $$;

-- A setting that is a list separated by commas; empty when there is none.
CREATE OR REPLACE FUNCTION passereau.setting_list(of_name text) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg(btrim(item)) FILTER (WHERE btrim(item) <> ''), '{}')
    FROM unnest(string_to_array(passereau.setting(of_name), ',')) AS item
$$;

-- A setting that is a day. 01/02/1900 would be read by the session's habits: only one form is taken.
CREATE OR REPLACE FUNCTION passereau.setting_date(of_name text) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF passereau.setting(of_name) !~ '^\d{4}-\d{2}-\d{2}$' THEN
        RAISE invalid_datetime_format;
    END IF;
    RETURN passereau.setting(of_name)::date;
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow THEN
    RAISE EXCEPTION 'the setting % holds "%", which is no day: correct it in pinv_gbif.setting', of_name, passereau.setting(of_name)
        USING ERRCODE = 'PS001', HINT = 'A day is written as 1900-01-31.';
END $$;

-- All that decides a conversion besides the record, its name of TAXREF, its media and the subscription: version of the
-- functions, projection, revisions of the edited tables, the codes that this instance offers, own data. It is part of
-- passereau.written.written_key, so that an edit converts every record again. Names of TAXREF are not: they are matched at each
-- plan, and stand in the key themselves. Settings of the subscription are not either: they decide who enters, not as what, and
-- two subscriptions with one record would make each other's rows look changed at each harvest. (`observers` alone decides as
-- what: it stands in the key of the records whose names it hides, 40_judge.sql.)
CREATE OR REPLACE FUNCTION passereau.platform_digest(srid integer) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT md5(concat_ws('|', passereau.conversion_version(), srid,
                         (SELECT string_agg(r.name || r.number, ',' ORDER BY r.name)
                          FROM passereau.revision r WHERE r.name IN ('setting', 'vocabulary', 'issue')),
                         (SELECT md5(string_agg(DISTINCT concat_ws(' ', v.nomenclature_type, v.nomenclature_code, n.id_nomenclature), ','))
                          FROM pinv_gbif.cor_vocabulary v
                          JOIN ref_nomenclatures.bib_nomenclatures_types t ON t.mnemonique = v.nomenclature_type
                          JOIN ref_nomenclatures.t_nomenclatures n
                               ON n.id_type = t.id_type AND n.cd_nomenclature = v.nomenclature_code AND n.active),
                         (SELECT md5(string_agg(r.dataset_key::text, ',' ORDER BY r.dataset_key)) FROM passereau.refused_datasets() r)))::uuid
$$;

-- The same with the settings of a subscription: when it is no longer what it was, waiting records may enter. Other subscriptions
-- that are stricter about the observers' names bind the records that they hold too (45_observers.sql).
DROP FUNCTION IF EXISTS passereau.conversion_digest(jsonb, integer);
DROP FUNCTION IF EXISTS passereau.conversion_digest(jsonb, uuid);
CREATE OR REPLACE FUNCTION passereau.conversion_digest(settings jsonb, platform uuid, of_subscription text) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT md5(concat(platform, settings, (SELECT string_agg(format('%s %s', s.name, s.generation_id), ',' ORDER BY s.name)
                                           FROM passereau.stricter_subscriptions(settings, of_subscription) s)))::uuid
$$;

-- Whether an interval lies ahead: it begins after tomorrow (the day of the easternmost observer), or ends after this year,
-- whose records without a month end with it.
CREATE OR REPLACE FUNCTION passereau.lies_ahead(date_start timestamp, date_end timestamp) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT date_start >= (now() AT TIME ZONE 'UTC')::date + 2
        OR date_end >= date_trunc('year', (now() AT TIME ZONE 'UTC')::date + 1) + interval '1 year'
$$;

RESET check_function_bodies;
