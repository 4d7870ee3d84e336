-- Conversion: the columns of the synthèse from a landed record. Nothing is invented: what GBIF does not say is NULL, and
-- nomenclature columns are not named at all, so that each instance's own defaults apply.
--
-- The columns fall into three groups, each with its hash in passereau.plan and passereau.written, because GeoNature's
-- costly triggers are declared UPDATE OF and look at the columns named, not at the values:
--   place  the three geometries and precision     (areas and sensitivity are computed again)
--   taxon  cd_nom, date_min, date_max             (sensitivity is computed again)
--   rest   everything else                        (no costly trigger)
--
-- Cost: about 10 µs a record, only for records that are not unchanged. Locks: none.
SET check_function_bodies = off;

-- synthese.observers carries a btree index, which refuses a value above about 2,700 bytes; 1000 characters may be 4,000.
-- 650 characters of four bytes always fit.
CREATE OR REPLACE FUNCTION passereau.observers_cut(names text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(left(names, 1000)) <= 2600 THEN left(names, 1000) ELSE left(names, 650) END
$$;

-- Metres, rounded up. Zero is no accuracy (GBIF flags it COORDINATE_UNCERTAINTY_METERS_INVALID) and what an int4 cannot
-- hold is no measure.
CREATE OR REPLACE FUNCTION passereau.precision_of(uncertainty_m double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN uncertainty_m > 0 AND uncertainty_m <= 2147483647 THEN ceil(uncertainty_m)::integer END
$$;

-- The records of a chunk, converted, with the landed values that explain a reject. Pulled up into the caller's query: only
-- records that the caller keeps are converted.
DROP FUNCTION IF EXISTS passereau.converted(bigint, bigint, bigint);
CREATE FUNCTION passereau.converted(of_generation bigint, after_id bigint, upto_id bigint)
RETURNS TABLE (gbif_id bigint, dataset_key uuid, taxon_key text, scientific_name text, event_date text,
               nom_cite text, date_min timestamp, date_max timestamp,
               longitude double precision, latitude double precision, precision_m integer,
               count_min integer, count_max integer, observers text, determiner text,
               digital_proof text, place_name text, comment_description text, additional_data jsonb)
LANGUAGE sql STABLE AS $$
    SELECT o.gbif_id, o.dataset_key, o.taxon_key, o.scientific_name, o.event_date,
           -- The name as the observer cited it. The column is NOT NULL: a record without any name cites its key.
           left(COALESCE(o.verbatim_scientific_name, o.scientific_name, 'taxonKey ' || o.taxon_key), 1000),
           o.date_start, COALESCE(o.date_end, o.date_start),
           o.decimal_longitude, o.decimal_latitude, passereau.precision_of(o.coordinate_uncertainty_in_meters),
           CASE WHEN o.individual_count >= 1 THEN o.individual_count END,
           CASE WHEN o.individual_count >= 1 THEN o.individual_count END,
           passereau.observers_cut(o.recorded_by), left(o.identified_by, 1000),
           o."references", left(o.verbatim_locality, 500), o.occurrence_remarks,
           jsonb_strip_nulls(jsonb_build_object(
               'datasetKey', o.dataset_key, 'license', o.license, 'rightsHolder', o.rights_holder,
               'basisOfRecord', o.basis_of_record, 'issue', o.issue))
    FROM pinv_gbif.occurrence o
    WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id
$$;

RESET check_function_bodies;
