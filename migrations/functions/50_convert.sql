-- Conversion: the columns of the synthèse from a landed record. Nothing is invented: what GBIF does not say is NULL, and a
-- NULL nomenclature becomes the instance's own default when the row is written.
--
-- The columns fall into three groups, each with its hash in passereau.plan and passereau.written, because GeoNature's
-- costly triggers are declared UPDATE OF and look at the columns named, not at the values:
--   place  geometries, precision, object nature, blurring    (areas and sensitivity are computed again)
--   taxon  cd_nom, dates, bio_status, behaviour              (sensitivity is computed again)
--   rest   everything else                                   (no costly trigger)
-- docs/destination.md lists every landed column with its destination; a test holds it to this file.
--
-- Cost: about 20 µs a record, only for records that are not unchanged. Locks: none.
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

-- A whole number of one or more in an organismQuantity; "12.5", "0" and "many" are no counts.
CREATE OR REPLACE FUNCTION passereau.whole_count(quantity text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN quantity ~ '^\s*0*[1-9][0-9]{0,8}(\.0*)?\s*$' THEN trunc(quantity::numeric)::integer END
$$;

-- Whether a text of dataGeneralizations or informationWithheld is about the place. Both are free text.
CREATE OR REPLACE FUNCTION passereau.is_about_place(remark text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(remark ~* '(\mcoordinat|\mcoordonn|\mlocali|\mlocations?\M|\mpositions?\M|\mgeograph|\mgéograph|\mgrid|\mmaille|\muncertain|\mflou|\mblur|\mobscur)', false)
$$;

-- A value that led to no nomenclature although the vocabulary knows it.
CREATE OR REPLACE FUNCTION passereau.without_equal(value text, id_nomenclature integer, unmatched boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN id_nomenclature IS NULL AND unmatched IS NOT TRUE THEN value END
$$;

-- The records of a chunk, converted, with the landed values that explain a reject. Pulled up into the caller's query: only
-- records that the caller keeps are converted.
DROP FUNCTION IF EXISTS passereau.converted(bigint, bigint, bigint);
DROP FUNCTION IF EXISTS passereau.converted(bigint, bigint, bigint, bigint[]);
DROP FUNCTION IF EXISTS passereau.converted(bigint, bigint, bigint, bigint[], jsonb);
CREATE FUNCTION passereau.converted(of_generation bigint, after_id bigint, upto_id bigint, only_ids bigint[] DEFAULT NULL,
                                    settings jsonb DEFAULT NULL)
RETURNS TABLE (gbif_id bigint, dataset_key uuid, taxon_key text, nom_cite text, date_min timestamp, date_max timestamp,
               longitude double precision, latitude double precision, precision_m integer,
               count_min integer, count_max integer, observers text, determiner text,
               digital_proof text, non_digital_proof text, reference_biblio text, place_name text, comment_description text,
               additional_data jsonb,
               id_nomenclature_geo_object_nature integer, id_nomenclature_blurring integer,
               id_nomenclature_bio_status integer, id_nomenclature_behaviour integer, id_nomenclature_obs_technique integer,
               id_nomenclature_bio_condition integer, id_nomenclature_naturalness integer, id_nomenclature_exist_proof integer,
               id_nomenclature_life_stage integer, id_nomenclature_sex integer, id_nomenclature_obj_count integer,
               id_nomenclature_type_count integer, id_nomenclature_observation_status integer,
               id_nomenclature_source_status integer, id_nomenclature_biogeo_status integer,
               id_nomenclature_determination_method integer)
LANGUAGE sql STABLE AS $$
    SELECT o.gbif_id, o.dataset_key, o.taxon_key,
           -- The name as the observer cited it. The column is NOT NULL: a record without any name cites its key.
           left(COALESCE(o.verbatim_scientific_name, o.scientific_name, 'taxonKey ' || o.taxon_key, 'gbifID ' || o.gbif_id), 1000),
           o.date_start, COALESCE(o.date_end, o.date_start),
           o.decimal_longitude, o.decimal_latitude, passereau.precision_of(o.coordinate_uncertainty_in_meters),
           r.count, r.count,
           passereau.observers_cut(r.observers), left(r.determiner, 1000),
           -- Platforms take iNaturalist's number out of this address: it is `references` whenever there is one.
           COALESCE(o."references", r.media_url), r.specimen,
           -- SINP asks for a reference where the source is the literature.
           CASE WHEN passereau.vocabulary_key(o.basis_of_record) IN ('materialcitation', 'literature')
                THEN left(COALESCE(o."references", o.dataset_name, 'https://www.gbif.org/occurrence/' || o.gbif_id), 5000) END,
           left(o.verbatim_locality, 500), o.occurrence_remarks,
           jsonb_strip_nulls(jsonb_build_object(
               'datasetKey', o.dataset_key, 'datasetName', o.dataset_name, 'license', o.license, 'rightsHolder', r.rights_holder,
               'basisOfRecord', o.basis_of_record, 'issue', array_to_string(i.noted, ';'), 'caste', o.caste,
               'occurrenceID', o.occurrence_id, 'institutionCode', o.institution_code, 'collectionCode', o.collection_code,
               'catalogNumber', o.catalog_number, 'eventDate', o.event_date, 'eventTime', o.event_time,
               'dateIdentified', o.date_identified,
               'identificationVerificationStatus', o.identification_verification_status,
               'informationWithheld', o.information_withheld, 'dataGeneralizations', o.data_generalizations,
               'coordinatePrecision', o.coordinate_precision,
               'taxonKey', o.taxon_key, 'scientificName', o.scientific_name, 'taxonRank', o.taxon_rank,
               'acceptedScientificName', o.accepted_scientific_name, 'modified', o.modified,
               'organismQuantity', CASE WHEN NOT r.quantity_is_count THEN o.organism_quantity END,
               'organismQuantityType', CASE WHEN NOT r.quantity_is_count THEN o.organism_quantity_type END,
               -- A word that SINP has no equal for is kept as it is; one that nobody knows stands in `unmatched`.
               'sex', passereau.without_equal(o.sex, v.id_nomenclature_sex, v.unmatched ? 'sex'),
               'lifeStage', passereau.without_equal(o.life_stage, v.id_nomenclature_life_stage, v.unmatched ? 'lifeStage'),
               'reproductiveCondition', passereau.without_equal(o.reproductive_condition, v.id_nomenclature_bio_status,
                                                                v.unmatched ? 'reproductiveCondition'),
               'vitality', passereau.without_equal(o.vitality, v.id_nomenclature_bio_condition, v.unmatched ? 'vitality'),
               'behavior', passereau.without_equal(o.behavior, v.id_nomenclature_behaviour, v.unmatched ? 'behavior'),
               'establishmentMeans', passereau.without_equal(o.establishment_means, v.id_nomenclature_biogeo_status,
                                                             v.unmatched ? 'establishmentMeans'),
               'degreeOfEstablishment', passereau.without_equal(o.degree_of_establishment,
                   COALESCE(v.id_nomenclature_naturalness, v.id_nomenclature_biogeo_status), v.unmatched ? 'degreeOfEstablishment'),
               'unmatched', v.unmatched)),
           -- A point known to 50 m is where the organism was; an inventory's is somewhere within its circle.
           CASE WHEN passereau.is_obscured(o.dataset_key, o.information_withheld) THEN code.inventory
                WHEN o.coordinate_uncertainty_in_meters > 0 AND o.coordinate_uncertainty_in_meters < 50 THEN code.station
                WHEN o.coordinate_uncertainty_in_meters >= 1000 THEN code.inventory END,
           CASE WHEN passereau.is_about_place(o.data_generalizations) OR passereau.is_about_place(o.information_withheld)
                THEN code.blurred END,
           v.id_nomenclature_bio_status, v.id_nomenclature_behaviour, v.id_nomenclature_obs_technique,
           v.id_nomenclature_bio_condition, v.id_nomenclature_naturalness,
           -- A proof is claimed only where the row shows one.
           CASE WHEN (r.has_media AND COALESCE(o."references", r.media_url) IS NOT NULL) OR r.specimen IS NOT NULL THEN code.proven END,
           v.id_nomenclature_life_stage, v.id_nomenclature_sex,
           CASE WHEN r.count IS NULL THEN NULL WHEN o.individual_count >= 1 THEN code.individual ELSE v.id_nomenclature_obj_count END,
           CASE WHEN r.count IS NULL THEN NULL WHEN o.individual_count >= 1 THEN code.counted ELSE v.id_nomenclature_type_count END,
           -- Never left to an edited vocabulary: an absence must not become a presence.
           CASE WHEN r.absent THEN code.absent ELSE v.id_nomenclature_observation_status END,
           v.id_nomenclature_source_status, v.id_nomenclature_biogeo_status, v.id_nomenclature_determination_method
    FROM pinv_gbif.occurrence o
    LEFT JOIN passereau.vocabulary_of(of_generation, after_id, upto_id, only_ids) v ON v.terms_key = passereau.terms_key(o)
    LEFT JOIN passereau.issues_of(of_generation, after_id, upto_id, only_ids) i ON i.issue = o.issue
    CROSS JOIN (SELECT passereau.nomenclature('NAT_OBJ_GEO', 'St') AS station, passereau.nomenclature('NAT_OBJ_GEO', 'In') AS inventory,
                       passereau.nomenclature('DEE_FLOU', 'OUI') AS blurred, passereau.nomenclature('PREUVE_EXIST', '1') AS proven,
                       passereau.nomenclature('OBJ_DENBR', 'IND') AS individual, passereau.nomenclature('TYP_DENBR', 'Co') AS counted,
                       passereau.nomenclature('STATUT_OBS', 'No') AS absent
                OFFSET 0) code
    LEFT JOIN LATERAL (SELECT a.url FROM pinv_gbif.multimedia m
                       CROSS JOIN LATERAL (SELECT COALESCE(passereau.web_address(m.identifier),
                                                           passereau.web_address(m."references")) AS url) a
                       WHERE m.generation_id = of_generation AND m.gbif_id = o.gbif_id AND a.url IS NOT NULL
                       ORDER BY m.type = 'StillImage' DESC NULLS LAST, a.url LIMIT 1) media ON true
    LEFT JOIN passereau.hidden_names(of_generation, after_id, upto_id, settings) n ON n.gbif_id = o.gbif_id
    CROSS JOIN LATERAL (
        SELECT lower(btrim(o.occurrence_status)) = 'absent' AS absent,
               -- The account is the observer's: of another person nothing is left.
               CASE WHEN n.gbif_id IS NULL THEN o.recorded_by ELSE n.login END AS observers,
               CASE WHEN n.gbif_id IS NULL THEN o.identified_by WHEN o.identified_by = o.recorded_by THEN n.login END AS determiner,
               CASE WHEN n.gbif_id IS NULL THEN o.rights_holder WHEN o.rights_holder = o.recorded_by THEN n.login END
                   AS rights_holder,
               media.url AS media_url,
               media.url IS NOT NULL OR o.media_type IS NOT NULL AS has_media,
               CASE WHEN passereau.vocabulary_key(o.basis_of_record) = 'preservedspecimen'
                    THEN NULLIF(concat_ws(' ', o.institution_code, o.collection_code, o.catalog_number), '') END AS specimen,
               v.id_nomenclature_obj_count IS NOT NULL AND passereau.whole_count(o.organism_quantity) IS NOT NULL
                   AS quantity_is_count,
               CASE WHEN lower(btrim(o.occurrence_status)) = 'absent' THEN NULL
                    WHEN o.individual_count >= 1 THEN o.individual_count
                    WHEN v.id_nomenclature_obj_count IS NOT NULL THEN passereau.whole_count(o.organism_quantity) END AS count
        OFFSET 0) r
    WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id
      AND (only_ids IS NULL OR o.gbif_id = ANY (only_ids))
$$;

RESET check_function_bodies;
