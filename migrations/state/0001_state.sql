-- Schema `passereau`: what the fleet knows of its own work. Nothing here belongs to GeoNature.
-- Words are those of the guide: subscription, harvest, slice, dead letter.

CREATE SCHEMA IF NOT EXISTS passereau;
COMMENT ON SCHEMA passereau IS 'State of the Passereau fleet: harvests, messages on their way, what was last written.';

-- A named request that is harvested again and again.
CREATE TABLE passereau.subscription (
    name               text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    policy             text NOT NULL DEFAULT 'keep' CHECK (policy IN ('keep', 'mark', 'delete')),
    request            jsonb NOT NULL,
    one_off            boolean NOT NULL DEFAULT false,
    current_generation bigint,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);

-- One run of one subscription. The counts obey, once it is completed:
--   read = landed + duplicate + malformed
--   landed = inserted + updated + unchanged + rejected + kept      (vanished is counted apart)
CREATE TABLE passereau.harvest (
    id             uuid PRIMARY KEY,
    subscription   text NOT NULL REFERENCES passereau.subscription (name),
    state          text NOT NULL CHECK (state IN (
                       'requested', 'requesting', 'preparing', 'fetching', 'loading', 'enriching',
                       'planning', 'awaiting_approval', 'upserting', 'finishing',
                       'completed', 'failed', 'cancelled')),
    request        jsonb NOT NULL,
    request_digest text NOT NULL,
    account        text,
    download_key   text,
    doi            text,
    archive_key    text,
    archive_sha256 text,
    archive_bytes  bigint,
    expected_records bigint,
    generation_id  bigint,
    -- last gbif_id that is planned; the highest bigint once the plan is complete
    plan_cursor    bigint,
    slices_left    integer NOT NULL DEFAULT 0 CHECK (slices_left >= 0),
    read           bigint NOT NULL DEFAULT 0,
    landed         bigint NOT NULL DEFAULT 0,
    duplicate      bigint NOT NULL DEFAULT 0,
    malformed      bigint NOT NULL DEFAULT 0,
    inserted       bigint NOT NULL DEFAULT 0,
    updated        bigint NOT NULL DEFAULT 0,
    unchanged      bigint NOT NULL DEFAULT 0,
    rejected       bigint NOT NULL DEFAULT 0,
    kept           bigint NOT NULL DEFAULT 0,
    vanished       bigint NOT NULL DEFAULT 0,
    reason         text,
    -- the state in which it failed: where a replay takes it up again
    failed_state   text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz
);
-- At most one harvest of a subscription is alive.
CREATE UNIQUE INDEX harvest_one_alive ON passereau.harvest (subscription)
    WHERE state NOT IN ('completed', 'failed', 'cancelled');
CREATE INDEX harvest_alive_digest ON passereau.harvest (request_digest)
    WHERE state NOT IN ('completed', 'failed', 'cancelled');
CREATE INDEX harvest_created ON passereau.harvest (created_at);

-- What was asked of GBIF: the intent is written before the request leaves, so that a lost answer is looked up, not repeated.
CREATE TABLE passereau.download (
    harvest_id    uuid PRIMARY KEY REFERENCES passereau.harvest (id),
    account       text NOT NULL,
    body          jsonb NOT NULL,
    intended_at   timestamptz NOT NULL DEFAULT now(),
    asked_at      timestamptz,
    key           text,
    status        text,
    polls         integer NOT NULL DEFAULT 0,
    deadline_at   timestamptz,
    doi           text,
    size_bytes    bigint,
    total_records bigint,
    license       text,
    status_at     timestamptz
);

-- The resumable fetch of one archive: validators of the file that the parts belong to.
CREATE TABLE passereau.fetch (
    harvest_id  uuid PRIMARY KEY REFERENCES passereau.harvest (id),
    etag        text,
    size_bytes  bigint,
    part_bytes  bigint NOT NULL,
    -- how often the file changed at the server, and how often it came whole and was corrupt
    restarts    integer NOT NULL DEFAULT 0,
    corruptions integer NOT NULL DEFAULT 0,
    -- every part is there and the archive that they make passed every check
    verified    boolean NOT NULL DEFAULT false,
    started_at  timestamptz NOT NULL DEFAULT now()
);

-- Parts of a stage that fans out: slices of the upsert (gbif_id ranges) and batches of the enrichment (iNaturalist ids).
CREATE TABLE passereau.slice (
    harvest_id    uuid NOT NULL REFERENCES passereau.harvest (id),
    stage         text NOT NULL CHECK (stage IN ('enrich', 'upsert')),
    ordinal       integer NOT NULL,
    first_gbif_id bigint,
    last_gbif_id  bigint,
    ids           bigint[],
    records       integer NOT NULL,
    inserted      integer NOT NULL DEFAULT 0,
    updated       integer NOT NULL DEFAULT 0,
    rejected      integer NOT NULL DEFAULT 0,
    kept          integer NOT NULL DEFAULT 0,
    done_at       timestamptz,
    PRIMARY KEY (harvest_id, stage, ordinal)
);

-- The difference between two generations, converted: one row for each record that is new, changed, rejected or kept.
-- Unchanged records have no row. `apply` consumes the rows of its slice.
CREATE TABLE passereau.plan (
    harvest_id        uuid NOT NULL,
    gbif_id           bigint NOT NULL,
    action            text NOT NULL CHECK (action IN ('insert', 'update', 'reject', 'keep')),
    reason            text,
    detail            text,
    dataset_key       uuid,
    taxon_key         text,
    id_synthese       integer,
    unique_id_sinp    uuid,
    id_dataset        integer,
    cd_nom            integer,
    nom_cite          text,
    date_min          timestamp,
    date_max          timestamp,
    longitude         double precision,
    latitude          double precision,
    precision_m       integer,
    count_min         integer,
    count_max         integer,
    observers         text,
    determiner        text,
    digital_proof     text,
    place_name        text,
    comment_description text,
    additional_data   jsonb,
    written_key       uuid,
    place_hash        uuid,
    taxon_hash        uuid,
    rest_hash         uuid,
    PRIMARY KEY (harvest_id, gbif_id)
);
-- A later chunk finds the UUIDs that an earlier one of the same harvest is about to insert.
CREATE INDEX plan_new_uuid ON passereau.plan (unique_id_sinp, harvest_id) WHERE action = 'insert';

-- What was last written into the synthèse for each record: unchanged records cost nothing, a person's edit becomes visible.
CREATE TABLE passereau.written (
    gbif_id        bigint PRIMARY KEY,
    id_synthese    integer NOT NULL,
    unique_id_sinp uuid NOT NULL,
    cd_nom         integer NOT NULL,
    written_key    uuid NOT NULL,
    place_hash     uuid NOT NULL,
    taxon_hash     uuid NOT NULL,
    rest_hash      uuid NOT NULL,
    harvest_id     uuid NOT NULL,
    written_at     timestamptz NOT NULL DEFAULT now()
);
-- Not unique: the synthèse decides. A row that a person deleted there stays here, and its UUID may enter again.
CREATE INDEX written_uuid ON passereau.written (unique_id_sinp);

-- Messages on their way out. Snoozed and retried messages wait here until due_at; RabbitMQ holds no delay.
CREATE TABLE passereau.outbox (
    id          uuid PRIMARY KEY,
    exchange    text NOT NULL CHECK (exchange IN ('work', 'events')),
    routing_key text NOT NULL,
    version     integer NOT NULL DEFAULT 1,
    body        jsonb NOT NULL,
    headers     jsonb NOT NULL DEFAULT '{}',
    harvest_id  uuid,
    attempt     integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(),
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON passereau.outbox (due_at);
CREATE INDEX outbox_harvest ON passereau.outbox (harvest_id);

CREATE FUNCTION passereau.outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('passereau_outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_notify AFTER INSERT ON passereau.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION passereau.outbox_notify();

-- Messages already handled: the row is written in the transaction of the effects.
CREATE TABLE passereau.inbox (
    consumer   text NOT NULL,
    message_id uuid NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, message_id)
);
CREATE INDEX inbox_handled_at ON passereau.inbox (handled_at);

-- Keeps a second copy of the same work out. The token grows at each take-over and is checked in every write.
CREATE TABLE passereau.claim (
    name       text PRIMARY KEY,
    token      bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Messages that gave up, until somebody replays or drops them.
CREATE TABLE passereau.dead_letter (
    id                 uuid PRIMARY KEY,
    message_id         uuid,
    queue              text NOT NULL,
    kind               text,
    version            integer,
    body               bytea NOT NULL,
    headers            jsonb NOT NULL DEFAULT '{}',
    harvest_id         uuid,
    reason             text NOT NULL CHECK (reason IN ('malformed', 'unknown_kind', 'unknown_version', 'rejected', 'attempts_exhausted', 'returned_by_broker')),
    error              text NOT NULL,
    attempts           integer NOT NULL DEFAULT 0,
    first_published_at timestamptz,
    died_at            timestamptz NOT NULL DEFAULT now(),
    state              text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'replayed', 'dropped')),
    settled_at         timestamptz
);
CREATE INDEX dead_letter_waiting ON passereau.dead_letter (died_at) WHERE state = 'waiting';

-- Digest of the files of migrations/functions as they were last applied: a program that is newer finds out.
CREATE TABLE passereau.function_set (
    digest text NOT NULL
);

-- One budget for the whole fleet: the next free moment of a service, its use of the day (UTC) and its failures in a row.
CREATE TABLE passereau.pace (
    name     text PRIMARY KEY,
    next_at  timestamptz NOT NULL,
    day      date NOT NULL,
    used     integer NOT NULL,
    failures integer NOT NULL DEFAULT 0
);
