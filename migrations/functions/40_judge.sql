-- Judgement: what becomes of each record of a chunk, before anything is converted.
--
-- A record whose row in the synthèse was made from exactly this content, name of TAXREF, identity, media, settings and
-- vocabulary is unchanged and is not returned: nothing below is evaluated for it.
--
-- Verdicts: insert, update, keep (the row stays as another claim left it), reject. A reject has one reason, the first that
-- holds in this order (pinv_gbif.bib_reject_reason explains each to a data manager):
-- A row that stands already is not taken away by a reason: it is left as it was, and the reject names it (id_synthese). Two
-- reasons would leave a falsehood behind, so there the row is corrected: an absence becomes STATUT_OBS "No" without a count, an
-- obscured position its cell.
--   own_data             the dataset is the platform's own, or of a refused publisher (65_metadata.sql)
--   dataset_unknown      gn_meta.t_datasets has no unique_dataset_id equal to datasetKey, and may not be given one
--   already_present      the row has another source, and the subscription no longer updates such rows
--   uuid_changed         the producer gives the record the UUID of another one that is written: its row, with the validations and
--                        media that hang on the UUID, is left alone
--   occurrence_absent    occurrenceStatus is ABSENT: the synthèse would show it as a presence
--   fossil_specimen, living_specimen   the place is the holder's, or the age geological
--   count_zero           PRESENT with an individualCount or organismQuantity of 0 contradicts itself
--   date_missing         no eventDate
--   date_unreadable      an eventDate that is no date, or whose end is before its start
--   date_future          it begins after tomorrow, or ends after this year (passereau.lies_ahead)
--   date_too_old         it begins before the platform's oldest_date
--   interval_too_long    longer than the subscription's longest_interval_days
--   coordinates_missing  no latitude or no longitude
--   coordinates_invalid  outside ±90 and ±180, or a point that the local projection cannot hold (a pole, in Lambert-93)
--   issue_flagged        GBIF has flagged it with an issue that pinv_gbif.cor_issue rejects
--   obscured             an obscured position of iNaturalist, see passereau.is_obscured
--   too_imprecise        coordinateUncertaintyInMeters is above max_uncertainty_m, or empty: empty is not precise
--   outside_territory    outside every enabled area of the platform's territory
--   taxon_refused        a taxonomist has answered "never" (30_taxon.sql)
--   taxon_unmatched      no name of TAXREF (30_taxon.sql)
--   uuid_pending, uuid_absent   see 20_identity.sql
-- The setting `accept` of the subscription lets absent, fossil_specimen, living_specimen, count_zero and
-- unknown_uncertainty pass. plan() adds uuid_duplicate and already_present, which need the other records.
-- keep has the reason other_claim_won: the current generation of another subscription holds the record with a newer
-- lastInterpreted.
--
-- Cost, measured on 1,000,000 records: see 60_plan.sql. Locks: none.
SET check_function_bodies = off;

-- What a row of the synthèse was made from. Only numbers and UUIDs go in, whose text no session setting can change. `||`, not
-- concat_ws(), which is only STABLE: PostgreSQL would call this function for each record instead of writing it into the query.
DROP FUNCTION IF EXISTS passereau.written_key(uuid, integer, uuid, integer, integer);
CREATE OR REPLACE FUNCTION passereau.written_key(content uuid, cd_nom integer, identity uuid, digest uuid, media uuid)
RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT md5(COALESCE(content::text, '') || '|' || COALESCE(cd_nom::text, '') || '|' || COALESCE(identity::text, '') || '|'
               || COALESCE(digest::text, '') || '|' || COALESCE(media::text, ''))::uuid
$$;

-- A point in the local projection; NULL where PROJ raises an error, because the place lies outside the projection's domain:
-- an error would end the whole slice. The block costs a subtransaction (no identifier is used up, nothing is written).
DROP FUNCTION IF EXISTS passereau.projectable(double precision, double precision, integer);
CREATE OR REPLACE FUNCTION passereau.projected(place geometry, srid integer)
RETURNS geometry LANGUAGE plpgsql STABLE AS $$
DECLARE
    there geometry;    -- not initialised here: the handler below does not cover declarations
BEGIN
    there := ST_Transform(place, srid);
    IF ST_XMax(there) BETWEEN '-1e9'::float8 AND '1e9'::float8 AND ST_YMax(there) BETWEEN '-1e9'::float8 AND '1e9'::float8 THEN
        RETURN there;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

-- iNaturalist draws the public point of an obscured observation at random in its cell of 0.2 by 0.2 degree, and says so at
-- the beginning of informationWithheld: "Coordinate uncertainty increased to 26691m …"
-- (github.com/inaturalist/inaturalist, lib/darwin_core/occurrence.rb).
CREATE OR REPLACE FUNCTION passereau.is_obscured(dataset_key uuid, information_withheld text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT dataset_key = passereau.inaturalist_dataset()
       AND COALESCE(information_withheld ~* '^\s*coordinate uncertainty increased', false)
$$;

-- The cell in which the true place of an obscured observation lies. Multiples of 0.2 are no binary numbers: the division is
-- rounded before it is floored, so that a point on an edge stays in its cell.
CREATE OR REPLACE FUNCTION passereau.cell_of(longitude double precision, latitude double precision) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ST_MakeEnvelope(west / 5, south / 5, (west + 1) / 5, (south + 1) / 5, 4326)
    FROM (SELECT floor(round((longitude * 5)::numeric, 9))::float8 AS west,
                 floor(round((latitude * 5)::numeric, 9))::float8 AS south) corner
$$;

-- Where a record is: a point, or the cell.
CREATE OR REPLACE FUNCTION passereau.place_of(longitude double precision, latitude double precision, cell boolean) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN cell THEN passereau.cell_of(longitude, latitude)
                ELSE ST_SetSRID(ST_MakePoint(longitude, latitude), 4326) END
$$;

-- Types of the areas that make the platform's territory; NULL when there is none, and then nothing is outside.
CREATE OR REPLACE FUNCTION passereau.territory_types() RETURNS integer[]
LANGUAGE sql STABLE AS $$
    SELECT array_agg(t.id_type)
    FROM ref_geo.bib_areas_types t
    WHERE t.type_code = ANY (passereau.setting_list('territory_area_types'))
      AND EXISTS (SELECT FROM ref_geo.l_areas a WHERE a.id_type = t.id_type AND a.enable)
$$;

-- What each record would be made from today, and what its row was made from (last_key). `only_ids` narrows a chunk to some of
-- its records. `digest` is passereau.platform_digest(srid).
CREATE OR REPLACE FUNCTION passereau.keyed(of_generation bigint, after_id bigint, upto_id bigint, settings jsonb, digest uuid,
                                           only_ids bigint[] DEFAULT NULL)
RETURNS TABLE (gbif_id bigint, cd_nom integer, taxon_path text, id_synthese integer, last_key uuid, entered_as uuid,
               adopted boolean, media_hash uuid, identity uuid, absent_at_inaturalist boolean, key uuid)
LANGUAGE sql STABLE AS $$
    WITH known AS (
        SELECT o.gbif_id, o.content_hash, t.cd_nom, t.taxon_path, w.id_synthese,
               -- A row that was marked as vanished is written again when its record is back.
               CASE WHEN w.vanished_how IS DISTINCT FROM 'marked' THEN w.written_key END AS last_key,
               w.unique_id_sinp AS entered_as, w.adopted,
               -- NULL: the subscription wants none; nil: the record has none.
               CASE WHEN (settings ->> 'media')::boolean
                    THEN COALESCE(passereau.hidden_digest(m.media_hash, n.gbif_id IS NOT NULL, n.login), uuid_nil()) END AS media_hash,
               passereau.hidden_digest(digest, n.gbif_id IS NOT NULL, n.login) AS shown_digest,
               COALESCE(w.unique_id_sinp, o.producer_uuid, i.uuid,
                        CASE WHEN o.dataset_key IS DISTINCT FROM passereau.inaturalist_dataset() OR o.inaturalist_id IS NULL
                                  OR (passereau.is_absent(i.absent_since, i.asked_at)
                                      AND settings ->> 'uuid_absent' IS DISTINCT FROM 'reject')
                             THEN passereau.gbif_uuid(o.gbif_id) END) AS identity,
               passereau.is_absent(i.absent_since, i.asked_at) AS absent_at_inaturalist
        FROM pinv_gbif.occurrence o
        LEFT JOIN passereau.matched_taxa(of_generation, after_id, upto_id) t ON t.name_key = passereau.name_key(o)
        LEFT JOIN passereau.written w ON w.gbif_id = o.gbif_id AND w.gbif_id > after_id AND w.gbif_id <= upto_id
        -- An empty range when the subscription wants no media.
        LEFT JOIN passereau.media_of(of_generation, CASE WHEN (settings ->> 'media')::boolean THEN after_id ELSE upto_id END, upto_id) m
               ON m.gbif_id = o.gbif_id
        LEFT JOIN passereau.hidden_names(of_generation, after_id, upto_id, settings) n ON n.gbif_id = o.gbif_id
        -- By the key, and only for what never entered: a hash of all answers was a fifth of the cost of an unchanged record.
        LEFT JOIN LATERAL (SELECT a.uuid, a.absent_since, a.asked_at FROM pinv_gbif.cor_uuid_inaturalist a
                           WHERE w.gbif_id IS NULL AND o.dataset_key = passereau.inaturalist_dataset()
                             AND a.id_inaturalist = o.inaturalist_id
                           OFFSET 0) i ON true
        WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id
          AND (only_ids IS NULL OR o.gbif_id = ANY (only_ids))
        OFFSET 0    -- each value is computed once, not wherever it is named below
    )
    SELECT k.gbif_id, k.cd_nom, k.taxon_path, k.id_synthese, k.last_key, k.entered_as, k.adopted, k.media_hash, k.identity,
           k.absent_at_inaturalist, passereau.written_key(k.content_hash, k.cd_nom, k.identity, k.shown_digest, k.media_hash)
    FROM known k
    OFFSET 0
$$;

-- `others` are the current generations of other subscriptions. Nothing in here reads passereau.plan, which the caller fills from
-- this query: PostgreSQL would search a table that it believes empty, once for each record, while it grows.
DROP FUNCTION IF EXISTS passereau.judge(bigint, bigint[], bigint, bigint, integer);
DROP FUNCTION IF EXISTS passereau.judge(bigint, bigint[], bigint, bigint, integer, jsonb, uuid);
DROP FUNCTION IF EXISTS passereau.judge(bigint, bigint[], bigint, bigint, integer, jsonb, uuid, bigint[]);
CREATE FUNCTION passereau.judge(of_generation bigint, others bigint[], after_id bigint, upto_id bigint, srid integer,
                                settings jsonb, digest uuid, only_ids bigint[] DEFAULT NULL)
RETURNS TABLE (gbif_id bigint, verdict text, reason text, detail text, id_synthese integer, unique_id_sinp uuid,
               id_dataset integer, cd_nom integer, taxon_path text, cell boolean, media_hash uuid, written_key uuid)
LANGUAGE sql STABLE AS $$
    WITH changed AS (
        SELECT k.*
        FROM passereau.keyed(of_generation, after_id, upto_id, settings, digest, only_ids) k
        WHERE k.last_key IS DISTINCT FROM k.key
        OFFSET 0
    ), placed AS (
        SELECT c.*, o.dataset_key, o.basis_of_record, o.individual_count, o.event_date, o.date_start, o.date_end,
               o.decimal_longitude AS longitude, o.decimal_latitude AS latitude,
               o.coordinate_uncertainty_in_meters AS uncertainty_m, o.issue, o.last_interpreted,
               COALESCE(o.verbatim_scientific_name, o.scientific_name) AS name,
               lower(btrim(o.occurrence_status)) = 'absent' AS absent,
               passereau.vocabulary_key(o.basis_of_record) AS basis,
               -- Nothing, of whatever was counted, is no presence.
               COALESCE(o.individual_count = 0, false)
                   OR (o.individual_count IS NULL AND COALESCE(o.organism_quantity ~ '^\s*0+(\.0*)?\s*$', false)) AS nothing,
               c.entered_as <> o.producer_uuid
                   AND EXISTS (SELECT FROM passereau.written x WHERE x.unique_id_sinp = o.producer_uuid AND x.gbif_id <> o.gbif_id)
                   AS exchanged, o.producer_uuid AS exchanged_for,
               passereau.is_obscured(o.dataset_key, o.information_withheld) AS obscured,
               CASE WHEN o.decimal_longitude BETWEEN -180 AND 180 AND o.decimal_latitude BETWEEN -90 AND 90
                    THEN passereau.projected(passereau.place_of(o.decimal_longitude, o.decimal_latitude,
                             passereau.is_obscured(o.dataset_key, o.information_withheld)), srid) END AS place
        FROM changed c
        JOIN pinv_gbif.occurrence o ON o.generation_id = of_generation AND o.gbif_id = c.gbif_id
        OFFSET 0
    ), rule AS (
        -- ABSENT needs STATUT_OBS "No" to be told apart from a presence.
        SELECT passereau.nomenclature('STATUT_OBS', 'No') IS NOT NULL AS has_absence,
               COALESCE(settings -> 'accept' ? 'absent', false) AND passereau.nomenclature('STATUT_OBS', 'No') IS NOT NULL AS absent,
               COALESCE(settings -> 'accept' ? 'fossil_specimen', false) AS fossil,
               COALESCE(settings -> 'accept' ? 'living_specimen', false) AS living,
               COALESCE(settings -> 'accept' ? 'count_zero', false) AS zero,
               COALESCE(settings -> 'accept' ? 'unknown_uncertainty', false) AS unknown_uncertainty,
               (settings ->> 'max_uncertainty_m')::float8 AS max_uncertainty_m,
               make_interval(days => (settings ->> 'longest_interval_days')::integer) AS longest_interval,
               passereau.setting_date('oldest_date')::timestamp AS oldest,
               settings ->> 'obscured' IS NOT DISTINCT FROM 'cell' AS cell,
               settings ->> 'already_present' IS NOT DISTINCT FROM 'update' AS adopt,
               passereau.territory_types() AS territory
        OFFSET 0
    ), judged AS (
        SELECT p.*, d.id_dataset, i.rejected_by, f.detail AS refused_for,
               CASE
                   WHEN f.dataset_key IS NOT NULL THEN 'own_data'
                   WHEN d.id_dataset IS NULL AND n.dataset_key IS NULL THEN 'dataset_unknown'
                   WHEN p.adopted AND NOT rule.adopt THEN 'already_present'
                   WHEN p.exchanged THEN 'uuid_changed'
                   -- A row that stands is corrected: left alone it would go on as a presence.
                   WHEN p.absent AND NOT rule.absent AND NOT (p.id_synthese IS NOT NULL AND rule.has_absence) THEN 'occurrence_absent'
                   WHEN p.basis = 'fossilspecimen' AND NOT rule.fossil THEN 'fossil_specimen'
                   WHEN p.basis = 'livingspecimen' AND NOT rule.living THEN 'living_specimen'
                   WHEN p.nothing AND p.absent IS NOT TRUE AND NOT rule.zero THEN 'count_zero'
                   WHEN p.date_start IS NULL AND p.event_date IS NULL THEN 'date_missing'
                   WHEN p.date_start IS NULL OR p.date_end < p.date_start THEN 'date_unreadable'
                   WHEN passereau.lies_ahead(p.date_start, p.date_end) THEN 'date_future'
                   WHEN p.date_start < rule.oldest THEN 'date_too_old'
                   WHEN p.date_end - p.date_start > rule.longest_interval THEN 'interval_too_long'
                   WHEN p.longitude IS NULL OR p.latitude IS NULL THEN 'coordinates_missing'
                   WHEN p.place IS NULL THEN 'coordinates_invalid'
                   WHEN i.rejected_by IS NOT NULL THEN 'issue_flagged'
                   -- Here, too: what stands becomes its cell.
                   WHEN p.obscured AND NOT rule.cell AND p.id_synthese IS NULL THEN 'obscured'
                   WHEN p.obscured AND p.id_synthese IS NOT NULL THEN NULL
                   WHEN p.uncertainty_m > rule.max_uncertainty_m
                        OR (rule.max_uncertainty_m IS NOT NULL AND NOT rule.unknown_uncertainty
                            AND (p.uncertainty_m IS NULL OR p.uncertainty_m <= 0)) THEN 'too_imprecise'
                   WHEN rule.territory IS NOT NULL
                        AND NOT EXISTS (SELECT FROM ref_geo.l_areas a
                                        WHERE a.enable AND a.id_type = ANY (rule.territory) AND ST_Intersects(a.geom, p.place))
                       THEN 'outside_territory'
                   WHEN p.cd_nom IS NULL AND p.taxon_path IS NOT NULL THEN 'taxon_refused'
                   WHEN p.cd_nom IS NULL THEN 'taxon_unmatched'
                   WHEN p.identity IS NULL AND p.absent_at_inaturalist THEN 'uuid_absent'
                   WHEN p.identity IS NULL THEN 'uuid_pending'
               END AS reject_reason
        FROM placed p
        CROSS JOIN rule
        LEFT JOIN gn_meta.t_datasets d ON d.unique_dataset_id = p.dataset_key
        LEFT JOIN (SELECT * FROM passereau.creatable_datasets() WHERE settings ->> 'metadata' = 'create' OFFSET 0) n
               ON n.dataset_key = p.dataset_key
        LEFT JOIN (SELECT * FROM passereau.refused_datasets() OFFSET 0) f ON f.dataset_key = p.dataset_key
        LEFT JOIN passereau.issues_of(of_generation, after_id, upto_id, only_ids) i ON i.issue = p.issue
        OFFSET 0
    ), told AS (
        SELECT j.*,
               CASE
                   WHEN j.reject_reason IS NOT NULL THEN 'reject'
                   -- Only what stands is left to the other claim: it may have rejected the record.
                   WHEN j.id_synthese IS NOT NULL
                        AND EXISTS (SELECT FROM pinv_gbif.occurrence c
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
           CASE t.reject_reason
               WHEN 'own_data' THEN t.refused_for
               WHEN 'dataset_unknown' THEN t.dataset_key::text
               WHEN 'uuid_changed' THEN t.exchanged_for::text
               WHEN 'date_unreadable' THEN t.event_date
               WHEN 'date_future' THEN t.event_date
               WHEN 'date_too_old' THEN t.event_date
               WHEN 'interval_too_long' THEN t.event_date
               WHEN 'coordinates_invalid' THEN format('latitude %s, longitude %s', t.latitude, t.longitude)
               WHEN 'issue_flagged' THEN t.rejected_by
               WHEN 'too_imprecise' THEN COALESCE(t.uncertainty_m || ' m', 'coordinateUncertaintyInMeters is empty')
               WHEN 'outside_territory' THEN format('latitude %s, longitude %s', t.latitude, t.longitude)
               WHEN 'taxon_refused' THEN t.taxon_path
               WHEN 'taxon_unmatched' THEN t.name
           END,
           t.id_synthese, t.identity, t.id_dataset, t.cd_nom, t.taxon_path, t.obscured, t.media_hash, t.key
    FROM told t
$$;

RESET check_function_bodies;
