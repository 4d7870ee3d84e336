-- Privacy: how observers are named, and names that are to be suppressed wherever they come from.

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
