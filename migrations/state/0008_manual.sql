-- What is copied by hand before it is a generation, and the closed list of reasons to reject.

-- What the procedure's \copy brings, until pinv_gbif.upsert_gbif_data() makes a generation of it: the procedure's columns
-- and types, values as they were copied. Ordinary tables: an administrator may correct or truncate them. `line` tells
-- which of two copies of a record is the later one.
CREATE TABLE pinv_gbif.manual_occurrence (
    line                  bigint GENERATED ALWAYS AS IDENTITY,
    gbif_id               bigint NOT NULL,
    modified              timestamp,
    "references"          text,
    basis_of_record       text,
    occurrence_id         text,
    recorded_by           text,
    individual_count      text,
    sex                   text,
    life_stage            text,
    reproductive_condition text,
    caste                 text,
    behavior              text,
    vitality              text,
    occurrence_status     text,
    occurrence_remarks    text,
    event_date            timestamp,
    verbatim_locality     text,
    decimal_latitude      numeric,
    decimal_longitude     numeric,
    coordinate_uncertainty_meters text,
    identified_by         text,
    scientific_name       text,
    dataset_key           uuid,
    issue                 text,
    taxonkey              integer,
    verbatim_scientific_name text
);
CREATE INDEX manual_occurrence_gbif_id ON pinv_gbif.manual_occurrence (gbif_id, line);

CREATE TABLE pinv_gbif.manual_multimedia (
    gbif_id   bigint NOT NULL,
    media_url text
);
CREATE INDEX manual_multimedia_gbif_id ON pinv_gbif.manual_multimedia (gbif_id);

-- The subscription of what comes by hand; its settings are edited here, no request ever names it.
INSERT INTO passereau.subscription (name, request) VALUES ('manual', '{"subscription": "manual"}')
ON CONFLICT (name) DO NOTHING;

-- A reject has a reason of the list. The reasons and their explanations are those of functions/95_reports.sql, which
-- writes them each time it is applied; the codes that rejects may carry already must be there before.
INSERT INTO pinv_gbif.bib_reject_reason (reason, waits, fr, en, to_do_fr, to_do_en)
SELECT DISTINCT r.reason, false, '', '', '', '' FROM pinv_gbif.reject r
ON CONFLICT (reason) DO NOTHING;
ALTER TABLE pinv_gbif.reject
    ADD CONSTRAINT reject_reason_known FOREIGN KEY (reason) REFERENCES pinv_gbif.bib_reject_reason (reason);

-- When GBIF made the download: the date that GBIF's own citation of it gives.
ALTER TABLE passereau.download ADD COLUMN created_at timestamptz;

-- From an observation to what was written of it (pinv_gbif.v_provenance).
CREATE INDEX written_id_synthese ON passereau.written (id_synthese);
