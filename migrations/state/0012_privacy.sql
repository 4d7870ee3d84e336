-- Privacy: how observers are named, and names that are to be suppressed wherever they come from.

-- The setting `observers` of a subscription. As in 0003, with one key more; a key that another state file adds between the
-- two is named here as well.
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

-- Names of iNaturalist's accounts, asked for only by subscriptions with observers = login. A table of their own: the UUIDs are
-- kept for ever and are nobody's data, these are personal data and may be emptied at any time (they are asked for again).
CREATE TABLE pinv_gbif.cor_login_inaturalist (
    id_inaturalist bigint PRIMARY KEY,
    -- NULL: there is none to show, because the observation is gone or the person asked not to be named
    login          text,
    asked_at       timestamptz NOT NULL DEFAULT now()
);

-- What turns a name into a digest here and nowhere else: the digests of two platforms cannot be compared, and no table that was
-- computed elsewhere helps to reverse them. Whoever reads this database can still try names: passereau.erasure is
-- pseudonymous, not anonymous.
CREATE TABLE passereau.erasure_salt (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    salt   bytea NOT NULL
);
INSERT INTO passereau.erasure_salt (salt) VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- Names that somebody asked us to forget. The name itself is nowhere: what is landed is compared by digest.
CREATE TABLE passereau.erasure (
    -- passereau.name_digest of the name
    digest       bytea PRIMARY KEY,
    -- the platform's own number of the request, never the name
    reference    text,
    requested_at timestamptz NOT NULL DEFAULT now(),
    -- when every place was gone through; NULL: it was interrupted and is to be called again
    erased_at    timestamptz,
    -- values that were changed, by place (passereau.erase_places), and archives that were deleted
    counts       jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE passereau.erasure IS 'Names to be suppressed wherever they are landed. Rows are written by `passereau privacy erase`; docs/privacy.en.md, docs/privacy.fr.md.';

-- Values out of which a name was taken when the generation was landed: while GBIF publishes the name, each archive holds it again.
ALTER TABLE pinv_gbif.generation ADD COLUMN suppressed bigint NOT NULL DEFAULT 0;

-- The archive held a name that was erased: it was deleted from the store, its key and SHA-256 stay.
ALTER TABLE passereau.harvest ADD COLUMN archive_erased_at timestamptz;
