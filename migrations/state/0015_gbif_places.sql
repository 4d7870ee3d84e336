-- What GBIF's 420 has said of an account: until then, the whole fleet has no more unfinished downloads of it than these. The row stays, and the
-- way back goes one place at a time (services/requester/src/slot.rs).
CREATE TABLE passereau.gbif_places (
    account text PRIMARY KEY,
    places  integer NOT NULL CHECK (places >= 0),
    until   timestamptz NOT NULL
);
