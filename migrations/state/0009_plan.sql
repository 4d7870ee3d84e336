-- A plan that a person looks at before it is applied, records that vanish, and what people change in GeoNature.

-- What becomes of vanished records is a setting like the others now (`vanished`; functions/05_settings.sql knows them all).
ALTER TABLE passereau.subscription DROP COLUMN policy;

ALTER TABLE passereau.harvest
    -- the request asked for a plan, or a plan went out of date: it waits for approval
    ADD COLUMN plan_only    boolean NOT NULL DEFAULT false,
    -- why the plan before this one was out of date when it was approved
    ADD COLUMN plan_renewed text,
    -- what the plan was made from, part by part (passereau.plan_basis); another basis today makes it out of date
    ADD COLUMN plan_basis   jsonb,
    ADD COLUMN planned_at   timestamptz,
    -- what the plan is, for people (passereau.plan_summary); it stays once the plan's rows are consumed
    ADD COLUMN plan_summary jsonb,
    ADD COLUMN approved_at  timestamptz,
    ADD COLUMN approved_by  text,
    -- of the vanished records: rows that were marked, and rows that were taken away
    ADD COLUMN marked       bigint NOT NULL DEFAULT 0,
    ADD COLUMN deleted      bigint NOT NULL DEFAULT 0;

-- Action vanish: no current generation holds the record any more. `reason` is what becomes of its row (61_vanished.sql).
ALTER TABLE passereau.plan
    DROP CONSTRAINT plan_action_check,
    ADD CONSTRAINT plan_action_check CHECK (action IN ('insert', 'update', 'rekey', 'adopt', 'reject', 'keep', 'vanish')),
    -- a row of the synthèse as the plan saw it: a hash of each column that is compared (passereau.column_names)
    ADD COLUMN seen      integer[],
    -- columns that are to be written; columns that a person changed and GBIF says otherwise
    ADD COLUMN writes    text[] NOT NULL DEFAULT '{}',
    ADD COLUMN edited    text[] NOT NULL DEFAULT '{}',
    -- both values of these columns, before anything is written: {"observers": {"here": …, "gbif": …}}
    ADD COLUMN told      jsonb,
    -- a person has validated the row, or reported on it
    ADD COLUMN validated boolean NOT NULL DEFAULT false;

ALTER TABLE passereau.slice ADD COLUMN vanished integer NOT NULL DEFAULT 0;

ALTER TABLE passereau.written
    -- A hash of each column as we left it. NULL: not known, for rows written before there were hashes, or adopted.
    ADD COLUMN columns       integer[],
    -- No current generation holds the record since then; the subscription that held it last; and what became of the row:
    --   kept, marked                   as the subscription's setting says
    --   incomplete                     left alone, because the archive was not complete
    --   predicate_changed              left alone, because the request asked for something else
    --   changed_since_plan             left alone, because somebody changed the row after the plan
    ADD COLUMN vanished_at   timestamptz,
    ADD COLUMN vanished_from text,
    ADD COLUMN vanished_how  text CHECK (vanished_how IN ('kept', 'marked', 'incomplete', 'predicate_changed', 'changed_since_plan'));
CREATE INDEX written_vanished ON passereau.written (gbif_id) WHERE vanished_at IS NOT NULL;

-- Rows of the synthèse that a person changed and GBIF says otherwise about, or that a person validated and GBIF has changed
-- since. Columns are those of gn_synthese.synthese.
CREATE TABLE pinv_gbif.edited_locally (
    gbif_id       bigint PRIMARY KEY,
    id_synthese   integer NOT NULL,
    subscription  text NOT NULL,
    harvest_id    uuid NOT NULL,
    validated     boolean NOT NULL,
    -- kept as the person has them; and written, although the row is validated
    kept          text[] NOT NULL,
    written       text[] NOT NULL,
    -- column: {"here": as it stands in the synthèse, "gbif": what GBIF says}
    content       jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX edited_locally_subscription ON pinv_gbif.edited_locally (subscription);

-- Rows that were taken out of the synthèse because their record vanished, whole, with what hung on their UUID. Geometries
-- are hexadecimal EWKB, so that jsonb_populate_record(NULL::gn_synthese.synthese, content) is the row again.
CREATE TABLE passereau.deleted (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gbif_id        bigint NOT NULL,
    id_synthese    integer NOT NULL,
    unique_id_sinp uuid,
    subscription   text NOT NULL,
    harvest_id     uuid NOT NULL,
    deleted_at     timestamptz NOT NULL DEFAULT now(),
    content        jsonb NOT NULL,
    media          jsonb NOT NULL DEFAULT '[]',
    validations    jsonb NOT NULL DEFAULT '[]',
    reports        jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX deleted_gbif_id ON passereau.deleted (gbif_id);
CREATE INDEX deleted_harvest ON passereau.deleted (harvest_id);
