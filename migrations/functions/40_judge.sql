-- Judgement: what becomes of each record of a chunk, before anything is converted.
--
-- Verdicts: unchanged (what is in the synthèse was made from exactly this), insert, update, keep (the row stays as another
-- claim left it), reject. A reject has one reason, the first that holds in this order:
--   dataset_unknown      gn_meta.t_datasets has no unique_dataset_id equal to datasetKey
--   occurrence_absent    occurrenceStatus is ABSENT: the synthèse would show it as a presence
--   date_missing         no eventDate
--   date_unreadable      an eventDate that is no date, or whose end is before its start
--   coordinates_missing  no latitude or no longitude
--   coordinates_invalid  outside ±90 and ±180, or a point that the local projection cannot hold (a pole, in Lambert-93)
--   taxon_unmatched      no name of TAXREF for taxonKey (30_taxon.sql)
--   uuid_pending         an observation of iNaturalist whose UUID has not been answered yet: it waits
--   uuid_duplicate       another record of this generation, or another record already written, has the same UUID; of two
--                        new records of one generation the one with the lower gbif_id enters (found in 60_plan.sql)
-- apply() adds already_present (70_apply.sql).
-- keep has the reason other_claim_won: the current generation of another subscription holds the record with a newer
-- lastInterpreted.
--
-- Cost, measured on 1,000,000 records: see 60_plan.sql. Locks: none.
SET check_function_bodies = off;

-- What a row of the synthèse was made from. Only numbers and UUIDs go in, whose text no session setting can change; a NULL
-- (which concat_ws skips) stands only in a reject. Half the cost of hashing a ROW, and paid for every record.
CREATE OR REPLACE FUNCTION passereau.written_key(content uuid, cd_nom integer, identity uuid, id_dataset integer, srid integer)
RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT md5(concat_ws('|', content, cd_nom, identity, id_dataset, srid, passereau.conversion_version()))::uuid
$$;

-- Whether a point can be projected: PROJ raises an error for what lies outside a projection's domain, which would end the
-- whole slice. The block costs a subtransaction (no identifier is used up, nothing is written).
CREATE OR REPLACE FUNCTION passereau.projectable(longitude double precision, latitude double precision, srid integer)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    place geometry;    -- not initialised here: the handler below does not cover declarations
BEGIN
    place := ST_Transform(ST_SetSRID(ST_MakePoint(longitude, latitude), 4326), srid);
    RETURN place IS NOT NULL
       AND ST_X(place) BETWEEN '-1e9'::float8 AND '1e9'::float8
       AND ST_Y(place) BETWEEN '-1e9'::float8 AND '1e9'::float8;
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END $$;

-- `others` are the current generations of other subscriptions. Nothing in here reads passereau.plan, which the caller fills
-- from this query: PostgreSQL would search a table that it believes empty, once for each record, while it grows.
DROP FUNCTION IF EXISTS passereau.judge(bigint, bigint[], bigint, bigint, integer);
CREATE FUNCTION passereau.judge(of_generation bigint, others bigint[], after_id bigint, upto_id bigint, srid integer)
RETURNS TABLE (gbif_id bigint, verdict text, reason text, id_synthese integer, unique_id_sinp uuid,
               id_dataset integer, cd_nom integer, written_key uuid)
LANGUAGE sql STABLE AS $$
    WITH known AS (
        SELECT o.gbif_id, o.content_hash, o.occurrence_status, o.event_date, o.date_start, o.date_end,
               o.decimal_longitude AS longitude, o.decimal_latitude AS latitude, o.last_interpreted,
               d.id_dataset, t.cd_nom, w.id_synthese, w.written_key AS last_key,
               COALESCE(w.unique_id_sinp, o.producer_uuid, i.uuid,
                        CASE WHEN o.dataset_key IS DISTINCT FROM passereau.inaturalist_dataset()
                                  OR o.inaturalist_id IS NULL OR i.absent_since IS NOT NULL
                             THEN passereau.gbif_uuid(o.gbif_id) END) AS identity
        FROM pinv_gbif.occurrence o
        LEFT JOIN gn_meta.t_datasets d ON d.unique_dataset_id = o.dataset_key
        LEFT JOIN passereau.matched_taxa(of_generation, after_id, upto_id) t
               ON t.taxon_key = o.taxon_key AND t.scientific_name IS NOT DISTINCT FROM o.scientific_name
        LEFT JOIN passereau.written w ON w.gbif_id = o.gbif_id AND w.gbif_id > after_id AND w.gbif_id <= upto_id
        -- By the key, and only for what never entered: a hash of all answers was a fifth of the cost of an unchanged record.
        LEFT JOIN LATERAL (SELECT a.uuid, a.absent_since FROM pinv_gbif.cor_uuid_inaturalist a
                           WHERE w.gbif_id IS NULL AND o.dataset_key = passereau.inaturalist_dataset()
                             AND a.id_inaturalist = o.inaturalist_id
                           OFFSET 0) i ON true
        WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id
        OFFSET 0    -- each value is computed once, not wherever it is named below
    ), keyed AS (
        SELECT k.*, passereau.written_key(k.content_hash, k.cd_nom, k.identity, k.id_dataset, srid) AS key
        FROM known k
        OFFSET 0
    ), judged AS (
        SELECT k.*,
               CASE
                   WHEN k.id_dataset IS NULL THEN 'dataset_unknown'
                   WHEN upper(btrim(k.occurrence_status)) = 'ABSENT' THEN 'occurrence_absent'
                   WHEN k.date_start IS NULL AND k.event_date IS NULL THEN 'date_missing'
                   WHEN k.date_start IS NULL OR k.date_end < k.date_start THEN 'date_unreadable'
                   WHEN k.longitude IS NULL OR k.latitude IS NULL THEN 'coordinates_missing'
                   WHEN k.longitude NOT BETWEEN -180 AND 180 OR k.latitude NOT BETWEEN -90 AND 90
                       THEN 'coordinates_invalid'
                   -- What was written from this very content could be projected.
                   WHEN k.last_key IS DISTINCT FROM k.key AND NOT passereau.projectable(k.longitude, k.latitude, srid)
                       THEN 'coordinates_invalid'
                   WHEN k.cd_nom IS NULL THEN 'taxon_unmatched'
                   WHEN k.identity IS NULL THEN 'uuid_pending'
               END AS reject_reason
        FROM keyed k
        OFFSET 0
    ), told AS (
        SELECT j.*,
               CASE
                   WHEN j.reject_reason IS NOT NULL THEN 'reject'
                   WHEN j.last_key = j.key THEN 'unchanged'
                   WHEN EXISTS (SELECT FROM pinv_gbif.occurrence c
                                WHERE c.generation_id = ANY (others) AND c.gbif_id = j.gbif_id
                                  AND c.last_interpreted > COALESCE(j.last_interpreted, '-infinity'))
                       THEN 'keep'
                   WHEN j.id_synthese IS NOT NULL THEN 'update'
                   ELSE 'insert'
               END AS verdict
        FROM judged j
        OFFSET 0
    )
    SELECT t.gbif_id, t.verdict,
           CASE t.verdict WHEN 'keep' THEN 'other_claim_won' ELSE t.reject_reason END,
           t.id_synthese, t.identity, t.id_dataset, t.cd_nom, t.key
    FROM told t
$$;

RESET check_function_bodies;
