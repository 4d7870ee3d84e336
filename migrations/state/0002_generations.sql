-- Schema `pinv_gbif`: generations, the iNaturalist identifiers, rejects. The name is the published procedure's, so that
-- SQL written against its tables goes on working.

CREATE SCHEMA IF NOT EXISTS pinv_gbif;

-- What one archive brought. Its records live in the partitions occurrence_<id> and multimedia_<id>.
CREATE TABLE pinv_gbif.generation (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription   text NOT NULL,
    harvest_id     uuid NOT NULL UNIQUE,
    state          text NOT NULL DEFAULT 'loading' CHECK (state IN ('loading', 'landed', 'current', 'dropped')),
    complete       boolean NOT NULL DEFAULT false,
    archive_key    text NOT NULL,
    archive_sha256 text,
    -- Where the loader resumes: records of occurrence.txt and of multimedia.txt that are committed.
    occurrence_cursor bigint NOT NULL DEFAULT 0,
    multimedia_cursor bigint NOT NULL DEFAULT 0,
    read           bigint NOT NULL DEFAULT 0,
    landed         bigint NOT NULL DEFAULT 0,
    duplicate      bigint NOT NULL DEFAULT 0,
    malformed      bigint NOT NULL DEFAULT 0,
    multimedia     bigint NOT NULL DEFAULT 0,
    -- missing terms, unreadable values by column, samples of malformed lines (line number, reason)
    report         jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    landed_at      timestamptz
);

-- Columns: the 26 of the procedure, then all that any later step needs. Text is kept as published once the quoting of
-- small downloads is undone; an empty value is NULL; a number or date that cannot be read is NULL and is counted.
CREATE TABLE pinv_gbif.occurrence (
    generation_id        bigint NOT NULL,
    gbif_id              bigint NOT NULL,
    -- xxh3-128 of every landed value but last_interpreted
    content_hash         uuid NOT NULL,
    -- derived by the loader
    date_start           timestamp,
    date_end             timestamp,
    inaturalist_id       bigint,
    producer_uuid        uuid,
    -- the procedure's 26 (gbif_id above)
    modified             timestamp,
    "references"         text,
    basis_of_record      text,
    occurrence_id        text,
    recorded_by          text,
    individual_count     integer,
    sex                  text,
    life_stage           text,
    reproductive_condition text,
    caste                text,
    behavior             text,
    vitality             text,
    occurrence_status    text,
    occurrence_remarks   text,
    event_date           text,
    verbatim_locality    text,
    decimal_latitude     double precision,
    decimal_longitude    double precision,
    coordinate_uncertainty_in_meters double precision,
    identified_by        text,
    scientific_name      text,
    dataset_key          uuid,
    issue                text,
    taxon_key            text,
    verbatim_scientific_name text,
    -- what later steps need
    catalog_number       text,
    license              text,
    rights_holder        text,
    information_withheld text,
    data_generalizations text,
    kingdom              text,
    class                text,
    "order"              text,
    accepted_taxon_key   text,
    species_key          text,
    accepted_scientific_name text,
    taxon_rank           text,
    establishment_means  text,
    degree_of_establishment text,
    organism_quantity    text,
    organism_quantity_type text,
    date_identified      text,
    event_time           text,
    institution_code     text,
    collection_code      text,
    coordinate_precision double precision,
    identification_verification_status text,
    dataset_name         text,
    last_interpreted     timestamptz
) PARTITION BY LIST (generation_id);

CREATE TABLE pinv_gbif.multimedia (
    generation_id bigint NOT NULL,
    gbif_id       bigint NOT NULL,
    type          text,
    format        text,
    identifier    text,
    "references"  text,
    license       text,
    creator       text
) PARTITION BY LIST (generation_id);

-- Makes the two standalone tables of a generation. They are attached once complete: readers of the parents never see
-- half of a generation and the parents are never locked while it loads.
CREATE FUNCTION pinv_gbif.begin_generation(generation bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE IF NOT EXISTS pinv_gbif.occurrence_%s (LIKE pinv_gbif.occurrence)', generation);
    EXECUTE format('ALTER TABLE pinv_gbif.occurrence_%s ALTER COLUMN generation_id SET DEFAULT %s', generation, generation);
    EXECUTE format('CREATE TABLE IF NOT EXISTS pinv_gbif.multimedia_%s (LIKE pinv_gbif.multimedia)', generation);
    EXECUTE format('ALTER TABLE pinv_gbif.multimedia_%s ALTER COLUMN generation_id SET DEFAULT %s', generation, generation);
END $$;

-- Gives a loaded generation its key and attaches it. The CHECK spares the scan that ATTACH would make. Fails with
-- unique_violation when a gbif_id stands twice: the loader then removes duplicates and calls again.
CREATE FUNCTION pinv_gbif.complete_generation(generation bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE pinv_gbif.occurrence_%1$s
                        ADD CONSTRAINT occurrence_%1$s_pkey PRIMARY KEY (gbif_id),
                        ADD CONSTRAINT occurrence_%1$s_generation CHECK (generation_id = %1$s)', generation);
    EXECUTE format('ALTER TABLE pinv_gbif.multimedia_%1$s
                        ADD CONSTRAINT multimedia_%1$s_generation CHECK (generation_id = %1$s)', generation);
    EXECUTE format('CREATE INDEX multimedia_%1$s_gbif_id ON pinv_gbif.multimedia_%1$s (gbif_id)', generation);
    EXECUTE format('ALTER TABLE pinv_gbif.occurrence ATTACH PARTITION pinv_gbif.occurrence_%1$s FOR VALUES IN (%1$s)', generation);
    EXECUTE format('ALTER TABLE pinv_gbif.multimedia ATTACH PARTITION pinv_gbif.multimedia_%1$s FOR VALUES IN (%1$s)', generation);
END $$;

CREATE FUNCTION pinv_gbif.drop_generation(generation bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS pinv_gbif.occurrence_%s', generation);
    EXECUTE format('DROP TABLE IF EXISTS pinv_gbif.multimedia_%s', generation);
    UPDATE pinv_gbif.generation SET state = 'dropped' WHERE id = drop_generation.generation;
END $$;

-- iNaturalist's answers, kept for ever: a UUID is the permanent key of an observation. Absent ids keep the date.
CREATE TABLE IF NOT EXISTS pinv_gbif.cor_uuid_inaturalist (
    id_inaturalist bigint PRIMARY KEY,
    url            text,
    uuid           uuid,
    asked_at       timestamptz,
    absent_since   timestamptz
);

-- Records that cannot enter the synthèse, kept with a reason code until they can.
CREATE TABLE pinv_gbif.reject (
    subscription  text NOT NULL,
    gbif_id       bigint NOT NULL,
    reason        text NOT NULL,
    detail        text,
    dataset_key   uuid,
    taxon_key     text,
    harvest_id    uuid NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscription, gbif_id)
);
CREATE INDEX reject_reason ON pinv_gbif.reject (subscription, reason);

-- The procedure's two tables, as views over the current generations: its columns, its types. A record that several
-- subscriptions hold stands once, as it was interpreted last.
CREATE VIEW pinv_gbif.tmp_gbif_data AS
SELECT DISTINCT ON (o.gbif_id) o.gbif_id, o.modified, o."references"::varchar, o.basis_of_record::varchar, o.occurrence_id::varchar,
       o.recorded_by::varchar, o.individual_count::varchar, o.sex::varchar, o.life_stage::varchar,
       o.reproductive_condition::varchar, o.caste::varchar, o.behavior::varchar, o.vitality::varchar,
       o.occurrence_status::varchar, o.occurrence_remarks, o.date_start AS event_date, o.verbatim_locality::varchar,
       o.decimal_latitude::numeric, o.decimal_longitude::numeric,
       o.coordinate_uncertainty_in_meters::varchar AS coordinate_uncertainty_meters, o.identified_by::varchar,
       o.scientific_name::varchar, o.dataset_key, o.issue,
       CASE WHEN o.taxon_key ~ '^[0-9]{1,9}$' THEN o.taxon_key::integer END AS taxonkey,
       o.verbatim_scientific_name::varchar
FROM pinv_gbif.occurrence o
JOIN pinv_gbif.generation g ON g.id = o.generation_id AND g.state = 'current'
ORDER BY o.gbif_id, o.last_interpreted DESC NULLS LAST, o.generation_id DESC;

CREATE VIEW pinv_gbif.cor_multimedia AS
SELECT DISTINCT m.gbif_id, m.identifier AS media_url
FROM pinv_gbif.multimedia m
JOIN pinv_gbif.generation g ON g.id = m.generation_id AND g.state = 'current';
