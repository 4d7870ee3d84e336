-- Adoption of a platform that ran the published procedure by hand before Passereau came.

ALTER TABLE passereau.written
    -- Somebody else wrote the row into the synthèse, before us.
    ADD COLUMN by_hand      boolean NOT NULL DEFAULT false,
    -- The row still has the UUID, or the key, that it had before: the harvest that writes it next changes them
    -- (92_adopt.sql).
    ADD COLUMN identity_due boolean NOT NULL DEFAULT false;
CREATE INDEX written_identity_due ON passereau.written (gbif_id) WHERE identity_due;

-- What was adopted of the procedure's tables, and whether rows without a gbif_id are still looked for.
CREATE TABLE passereau.adoption (
    single           boolean PRIMARY KEY DEFAULT true CHECK (single),
    -- NULL: there were no such tables
    adopted_at       timestamptz,
    records          bigint NOT NULL DEFAULT 0,
    media            bigint NOT NULL DEFAULT 0,
    answers          bigint NOT NULL DEFAULT 0,
    -- rows of cor_uuid_inaturalist that name no observation, no UUID, or contradict each other
    unusable_answers bigint NOT NULL DEFAULT 0,
    look_for_proofs  boolean NOT NULL DEFAULT true
);
INSERT INTO passereau.adoption DEFAULT VALUES;

-- Rows of the synthèse that could not be adopted, and stay as they are:
--   uuid_taken   another row has iNaturalist's UUID of this observation already (`other_id_synthese`)
--   ambiguous    several rows, or several records, stand for one observation of iNaturalist
CREATE TABLE pinv_gbif.not_adopted (
    id_synthese       integer PRIMARY KEY,
    gbif_id           bigint NOT NULL,
    -- ambiguous: the observation
    id_inaturalist    bigint,
    reason            text NOT NULL CHECK (reason IN ('uuid_taken', 'ambiguous')),
    unique_id_sinp    uuid,
    other_id_synthese integer,
    first_seen_at     timestamptz NOT NULL DEFAULT now(),
    last_seen_at      timestamptz NOT NULL DEFAULT now()
);
