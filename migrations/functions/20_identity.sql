-- Identity: the permanent UUID of an observation (synthese.unique_id_sinp), known before the row enters. Media and
-- validations of GeoNature hang on it, so a record keeps for ever the UUID it entered with (passereau.written).
--
-- For a record that never entered, in this order:
--   1. the producer's UUID, found by the loader in occurrenceID
--   2. for the dataset of iNaturalist, the UUID that iNaturalist answered for the observation's number; a number that was
--      never answered waits (reject uuid_pending), a number answered as absent goes on to 3
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

RESET check_function_bodies;
