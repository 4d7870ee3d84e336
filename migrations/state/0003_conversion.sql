-- What decides how records are converted: settings of a subscription and of the platform, and the revisions that tell a
-- plan that something which decides has changed.

-- Settings of a subscription, as `harvest.request` gives them; absent ones are the defaults of docs/settings.md. A harvest
-- keeps those that it started with.
-- Refuses, by name, what no setting is: a setting edited by SQL must not be overlooked.
CREATE FUNCTION passereau.check_settings(settings jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
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
ALTER TABLE passereau.subscription
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}' CHECK (passereau.check_settings(settings));
ALTER TABLE passereau.harvest
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',
    -- request: an archive is brought in; reconvert: the current generation is converted again; manual: somebody called
    -- pinv_gbif.upsert_gbif_data()
    ADD COLUMN origin text NOT NULL DEFAULT 'request' CHECK (origin IN ('request', 'reconvert', 'manual')),
    -- why a reconversion was started, in words
    ADD COLUMN cause text;

-- Settings of the platform, the same for every subscription. A data manager edits the values.
CREATE TABLE pinv_gbif.setting (
    name    text PRIMARY KEY,
    value   text,
    meaning text NOT NULL
);
INSERT INTO pinv_gbif.setting (name, value, meaning) VALUES
    ('oldest_date', '1900-01-01', 'Records that begin before this day are rejected as date_too_old.'),
    ('territory_area_types', 'DEP', 'Type codes of ref_geo.bib_areas_types, separated by commas: a record outside every enabled area of these types is rejected as outside_territory. Empty: no record is.'),
    ('refused_publishers', '1928bdf0-f5d2-11dc-8c12-b8a03c50a862', 'Keys of GBIF publishers, separated by commas, whose records are rejected as own_data. The default is the French national platform (INPN), whose data the platforms of the SINP already exchange.'),
    ('own_datasets', NULL, 'Keys of GBIF datasets, separated by commas, that this very platform publishes: their records are rejected as own_data.'),
    ('acquisition_framework', NULL, 'unique_acquisition_framework_id of the framework that receives the datasets of subscriptions with metadata = create.'),
    ('sensitivity_when_null', NULL, 'What to do when GeoNature''s triggers leave the sensitivity of a row empty: compute (GeoNature''s own function is called), the schema and name of a function with the same arguments, or stop (the default: nothing is written).');

-- Numbers that grow when something that decides is edited. Part of what a written row remembers, so that an edit converts
-- the records again.
CREATE TABLE passereau.revision (
    name   text PRIMARY KEY,
    number bigint NOT NULL DEFAULT 1
);
INSERT INTO passereau.revision (name) VALUES ('setting'), ('vocabulary'), ('issue'), ('taxon');

-- For a statement trigger: EXECUTE FUNCTION passereau.bump_revision('vocabulary'). As its owner, so that a data manager who
-- may edit a table need not be let into our state; it can do nothing but count.
CREATE FUNCTION passereau.bump_revision() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE passereau.revision SET number = number + 1 WHERE name = TG_ARGV[0];
    RETURN NULL;
END $$;
CREATE TRIGGER setting_revision AFTER INSERT OR UPDATE OR DELETE ON pinv_gbif.setting
    FOR EACH STATEMENT EXECUTE FUNCTION passereau.bump_revision('setting');

-- The converted columns that a plan carries. Identifiers of nomenclatures are those of this instance; NULL is its default.
ALTER TABLE passereau.plan
    DROP CONSTRAINT plan_action_check,
    ADD CONSTRAINT plan_action_check CHECK (action IN ('insert', 'update', 'rekey', 'adopt', 'reject', 'keep')),
    ADD COLUMN taxon_path text,
    -- the record's former gbif_id, whose row is taken over (rekey)
    ADD COLUMN former_gbif_id bigint,
    -- the position is iNaturalist's cell of 0.2 degree, not a point
    ADD COLUMN cell boolean NOT NULL DEFAULT false,
    ADD COLUMN id_nomenclature_geo_object_nature integer,
    ADD COLUMN id_nomenclature_blurring integer,
    ADD COLUMN id_nomenclature_bio_status integer,
    ADD COLUMN id_nomenclature_behaviour integer,
    ADD COLUMN id_nomenclature_obs_technique integer,
    ADD COLUMN id_nomenclature_bio_condition integer,
    ADD COLUMN id_nomenclature_naturalness integer,
    ADD COLUMN id_nomenclature_exist_proof integer,
    ADD COLUMN id_nomenclature_life_stage integer,
    ADD COLUMN id_nomenclature_sex integer,
    ADD COLUMN id_nomenclature_obj_count integer,
    ADD COLUMN id_nomenclature_type_count integer,
    ADD COLUMN id_nomenclature_observation_status integer,
    ADD COLUMN id_nomenclature_source_status integer,
    ADD COLUMN id_nomenclature_biogeo_status integer,
    ADD COLUMN id_nomenclature_determination_method integer,
    ADD COLUMN reference_biblio text,
    ADD COLUMN non_digital_proof text,
    ADD COLUMN media_hash uuid;

ALTER TABLE passereau.written
    ADD COLUMN taxon_path text,
    ADD COLUMN dataset_key uuid,
    ADD COLUMN media_hash uuid,
    -- the row has another source: only its converted columns are ours
    ADD COLUMN adopted boolean NOT NULL DEFAULT false,
    -- the place is iNaturalist's cell
    ADD COLUMN cell boolean NOT NULL DEFAULT false;
CREATE INDEX written_cell ON passereau.written (id_synthese) WHERE cell;

-- The areas for which passereau.trim_areas was done last.
CREATE TABLE passereau.trimmed_areas (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    stamp  text NOT NULL
);

-- With what a harvest was planned, and a subscription's current generation converted last: when one of them is no longer
-- what it was, waiting records may enter (passereau.due_reconversions).
ALTER TABLE passereau.harvest
    ADD COLUMN converted_digest uuid,
    ADD COLUMN taxon_revision bigint,
    ADD COLUMN taxref_version text;
ALTER TABLE passereau.subscription
    ADD COLUMN converted_digest uuid,
    ADD COLUMN taxon_revision bigint,
    ADD COLUMN taxref_version text,
    ADD COLUMN converted_at timestamptz;

-- The closed list of reasons to reject, each explained to a data manager. `waits`: the record enters by itself once the
-- cause is gone, without another download.
CREATE TABLE pinv_gbif.bib_reject_reason (
    reason   text PRIMARY KEY,
    waits    boolean NOT NULL,
    fr       text NOT NULL,
    en       text NOT NULL,
    to_do_fr text NOT NULL,
    to_do_en text NOT NULL
);

-- The row that stands in the synthèse although its record is rejected: it was written before, and is left as it was; or it
-- stands there under another source (already_present).
ALTER TABLE pinv_gbif.reject ADD COLUMN id_synthese integer;

-- Whether a generation says which media a record has: GBIF's term mediaType.
ALTER TABLE pinv_gbif.occurrence ADD COLUMN media_type text;
