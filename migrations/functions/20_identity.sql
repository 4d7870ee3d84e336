-- Identity: the permanent UUID of an observation (synthese.unique_id_sinp), known before the row enters. Media and
-- validations of GeoNature hang on it, so a record keeps for ever the UUID it entered with (passereau.written).
--
-- For a record that never entered, in this order:
--   1. the producer's UUID, found by the loader in occurrenceID (passereau.producer_uuid says the same in SQL)
--   2. for the dataset of iNaturalist, the UUID that iNaturalist answered for the observation's number. A number that was
--      never answered waits (reject uuid_pending); so does one answered as absent, until it was absent twice at least seven
--      days apart: GBIF reads iNaturalist again every week, and an observation may come back. Then the subscription's
--      setting uuid_absent decides: generate (rule 3) or reject (uuid_absent).
--   3. UUIDv5 in the URL namespace (RFC 9562) of https://www.gbif.org/occurrence/<gbifID>
--
-- Cost: rule 3 is one SHA-1, about 1 µs. Needs the extension uuid-ossp, which GeoNature requires too.
SET check_function_bodies = off;

-- The dataset "iNaturalist research-grade observations": https://www.gbif.org/dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7
CREATE OR REPLACE FUNCTION passereau.inaturalist_dataset() RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT '50c9509d-22c7-4a22-a47d-8c48425ef4a7'::uuid $$;

-- 5006733106 gives 322eb804-7805-5a51-a2fa-e41e54fb8344.
CREATE OR REPLACE FUNCTION passereau.gbif_uuid(gbif_id bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT uuid_generate_v5(uuid_ns_url(), 'https://www.gbif.org/occurrence/' || gbif_id::text)
$$;

-- The producer's UUID in an occurrenceID: bare, as urn:uuid:, or as the last part of a permanent address of the French
-- information system (hosts below naturefrance.fr or mnhn.fr). Other addresses are no identity: a producer may give one
-- address to many records. The nil UUID names nothing. The loader has the same rule (identifiers.rs), for speed.
CREATE OR REPLACE FUNCTION passereau.producer_uuid(occurrence_id text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT NULLIF((regexp_match(occurrence_id,
        '^(?:urn:uuid:|https?://(?:[a-z0-9-]+\.)*(?:naturefrance|mnhn)\.fr/(?:[^?#]*/)?)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$',
        'i'))[1], '00000000-0000-0000-0000-000000000000')::uuid
$$;

-- Whether iNaturalist said twice, at least seven days apart, that it has no such observation.
CREATE OR REPLACE FUNCTION passereau.is_absent(absent_since timestamptz, asked_at timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT absent_since IS NOT NULL AND asked_at IS NOT NULL AND asked_at - absent_since >= interval '7 days'
$$;

RESET check_function_bodies;
