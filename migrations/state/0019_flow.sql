-- Flows: what is agreed with a partner, and what was delivered.

CREATE TABLE passereau.flow (
    name         text PRIMARY KEY CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    -- the file, as JSON; counts up with each change
    agreement    jsonb NOT NULL,
    version      integer NOT NULL DEFAULT 1,
    -- in the SRID of the synthèse; none is everywhere
    territory    geometry,
    -- secret of the names that blurred records have in this flow (passereau.pseudonym); never leaves the database
    key          bytea NOT NULL CHECK (length(key) = 32),
    applied_at   timestamptz NOT NULL DEFAULT now(),
    applied_by   text,
    -- who, beside the one who applied it, allows sensitive records at their precision: for this version alone
    approved_version integer,
    approved_by  text,
    approved_at  timestamptz,
    suspended_at timestamptz,
    suspended_because text
);

-- Every version of an agreement, for ever: what was promised when.
CREATE TABLE passereau.flow_version (
    flow       text NOT NULL REFERENCES passereau.flow ON DELETE CASCADE,
    version    integer NOT NULL,
    agreement  jsonb NOT NULL,
    -- as it was then: ref_geo and the file of a territory change without the agreement
    territory  geometry,
    applied_at timestamptz NOT NULL,
    applied_by text NOT NULL CHECK (btrim(applied_by) <> ''),
    -- who, beside the one who applied it, allowed sensitive records at their precision
    approved_by text CHECK (lower(approved_by) <> lower(applied_by)),
    approved_at timestamptz,
    PRIMARY KEY (flow, version)
);

CREATE TABLE passereau.delivery (
    -- the id of the message that asked for it
    id            uuid PRIMARY KEY,
    flow          text NOT NULL REFERENCES passereau.flow ON DELETE CASCADE,
    flow_version  integer NOT NULL,
    -- reading: rows from the synthèse into parts; writing: files from the parts
    state         text NOT NULL CHECK (state IN ('reading', 'writing', 'delivered', 'unchanged', 'failed')),
    requested_at  timestamptz NOT NULL DEFAULT now(),
    -- when the first row was read
    read_at       timestamptz,
    finished_at   timestamptz,
    -- last id_synthese of the parts; -1 once the blurred rows are read, which come first
    cursor        integer,
    -- rows that leave, and the number of parts
    rows          bigint NOT NULL DEFAULT 0,
    parts         integer NOT NULL DEFAULT 0,
    -- what leaves how, and what does not and why
    tally         jsonb,
    -- SHA-256 of the rows and of everything that shapes the files
    digest        text,
    -- name of the folder of its files, e.g. 20261129T020000Z-7f2e6c41
    folder        text,
    manifest      jsonb,
    -- objects of this delivery, by extension: key, size_bytes, sha256
    files         jsonb NOT NULL DEFAULT '{}',
    reason        text,
    -- its files were taken away
    erased_at     timestamptz
);
CREATE INDEX delivery_flow ON passereau.delivery (flow, requested_at);
-- One at a time for each flow.
CREATE UNIQUE INDEX delivery_alive ON passereau.delivery (flow) WHERE state IN ('reading', 'writing');

-- Rows on their way into files: COPY text, as objects of the store. They hold what may leave and nothing else.
CREATE TABLE passereau.delivery_part (
    delivery_id uuid NOT NULL REFERENCES passereau.delivery ON DELETE CASCADE,
    part        integer NOT NULL,
    object_key  text NOT NULL,
    rows        bigint NOT NULL,
    sha256      text NOT NULL,
    PRIMARY KEY (delivery_id, part)
);

-- Who may fetch a flow. The token itself is shown once and not kept.
CREATE TABLE passereau.flow_token (
    id           uuid PRIMARY KEY,
    flow         text NOT NULL REFERENCES passereau.flow ON DELETE CASCADE,
    -- whose it is, in words
    partner      text NOT NULL CHECK (btrim(partner) <> ''),
    -- SHA-256 of the token: 256 random bits need no slower digest
    digest       bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- What is done again and again, and when next. A schedule fires once however many schedulers look.
CREATE TABLE passereau.schedule (
    -- flow:<name>, subscription:<name> or retention
    name          text PRIMARY KEY,
    -- an ISO 8601 period (P1D) or a cron expression (0 3 * * 1)
    expression    text NOT NULL,
    -- IANA name of the zone that a cron expression is meant in
    time_zone     text NOT NULL DEFAULT 'UTC',
    -- the request of a subscription's harvest
    request       jsonb,
    next_at       timestamptz NOT NULL,
    last_fired_at timestamptz,
    suspended_at  timestamptz
);
CREATE INDEX schedule_next ON passereau.schedule (next_at) WHERE suspended_at IS NULL;
