-- Writing: what a slice of a plan does to gn_synthese.synthese (70_apply.sql says when).
--
-- Three statements update: the geometries, what decides the sensitivity (taxon, dates, status), and the rest. Each is sent only for
-- rows of which one of its columns really changes (55_compare.sql): GeoNature's triggers are declared UPDATE OF, and look at the
-- columns named, not at their values. A column that a person has changed is given its own value again. Validation columns are
-- never named, neither is the level of diffusion: an insert gets the instance's defaults, an update leaves what people set. A
-- nomenclature that GBIF does not tell is the instance's default
-- (gn_synthese.get_default_nomenclature_value): the default of the column would apply only if the column were not named.
--
-- The sensitivity is emptied together with what it depends on. GeoNature's trigger computes it again in the same statement;
-- where a platform has replaced the trigger's function by one that does nothing it stays empty, and
-- passereau.apply_sensitivity (72_sensitivity.sql) does what the platform has chosen. A stale level is never left behind.
SET check_function_bodies = off;

-- The default of each nomenclature that we write, as an instance without further conditions gives it.
CREATE OR REPLACE FUNCTION passereau.default_nomenclatures()
RETURNS TABLE (geo_object_nature integer, blurring integer, bio_status integer, behaviour integer, obs_technique integer,
               bio_condition integer, naturalness integer, exist_proof integer, life_stage integer, sex integer,
               obj_count integer, type_count integer, observation_status integer, source_status integer, biogeo_status integer,
               determination_method integer)
LANGUAGE sql STABLE AS $$
    SELECT gn_synthese.get_default_nomenclature_value('NAT_OBJ_GEO'), gn_synthese.get_default_nomenclature_value('DEE_FLOU'),
           gn_synthese.get_default_nomenclature_value('STATUT_BIO'),
           gn_synthese.get_default_nomenclature_value('OCC_COMPORTEMENT'),
           gn_synthese.get_default_nomenclature_value('METH_OBS'), gn_synthese.get_default_nomenclature_value('ETA_BIO'),
           gn_synthese.get_default_nomenclature_value('NATURALITE'), gn_synthese.get_default_nomenclature_value('PREUVE_EXIST'),
           gn_synthese.get_default_nomenclature_value('STADE_VIE'), gn_synthese.get_default_nomenclature_value('SEXE'),
           gn_synthese.get_default_nomenclature_value('OBJ_DENBR'), gn_synthese.get_default_nomenclature_value('TYP_DENBR'),
           gn_synthese.get_default_nomenclature_value('STATUT_OBS'),
           gn_synthese.get_default_nomenclature_value('STATUT_SOURCE'),
           gn_synthese.get_default_nomenclature_value('STAT_BIOGEO'),
           gn_synthese.get_default_nomenclature_value('METH_DETERMIN')
$$;

-- The keys of synthese.additional_data that are ours; another program's keys are left alone.
CREATE OR REPLACE FUNCTION passereau.additional_data_keys() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY['datasetKey', 'datasetName', 'license', 'rightsHolder', 'basisOfRecord', 'issue', 'caste', 'occurrenceID',
                 'institutionCode', 'collectionCode', 'catalogNumber', 'eventDate', 'eventTime', 'dateIdentified',
                 'identificationVerificationStatus', 'informationWithheld', 'dataGeneralizations', 'coordinatePrecision',
                 'taxonKey', 'scientificName', 'taxonRank', 'acceptedScientificName', 'modified', 'organismQuantity',
                 'organismQuantityType', 'sex', 'lifeStage', 'reproductiveCondition', 'vitality', 'behavior',
                 'establishmentMeans', 'degreeOfEstablishment', 'unmatched', 'vanished_at', 'downloadKey', 'downloadDoi', 'archiveSha256', 'harvestId', 'taxonPath']
$$;

-- Those of them that tell where a row comes from: all of one download, or none of it.
CREATE OR REPLACE FUNCTION passereau.provenance_keys() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY['downloadKey', 'downloadDoi', 'archiveSha256', 'harvestId', 'taxonPath']
$$;

-- Where a row that this harvest writes comes from. It is not hashed: provenance alone rewrites nothing.
CREATE OR REPLACE FUNCTION passereau.provenance_of(of_harvest uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('downloadKey', h.download_key, 'downloadDoi', h.doi,
                                                'archiveSha256', h.archive_sha256, 'harvestId', h.id))
    FROM passereau.harvest h WHERE h.id = of_harvest
$$;

-- Turns rekey and adopt into update: from here on the row is found in passereau.written under the record's gbif_id.
-- A row that is no longer what the plan saw is kept (rekey) or rejected (adopt).
CREATE OR REPLACE FUNCTION passereau.apply_identities(of_harvest uuid, first_id bigint, last_id bigint, source integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM passereau.plan p WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id
                   AND p.action IN ('rekey', 'adopt')) THEN
        RETURN;
    END IF;

    UPDATE gn_synthese.synthese s
    SET entity_source_pk_value = p.gbif_id::text, last_action = 'U'
    FROM passereau.plan p
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'rekey'
      AND s.id_synthese = p.id_synthese AND s.id_source = source AND s.entity_source_pk_value = p.former_gbif_id::text
      AND NOT EXISTS (SELECT FROM gn_synthese.synthese x
                      WHERE x.id_source = source AND x.entity_source_pk_value = p.gbif_id::text);
    UPDATE passereau.written w
    SET gbif_id = p.gbif_id
    FROM passereau.plan p, gn_synthese.synthese s
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'rekey'
      AND w.gbif_id = p.former_gbif_id AND s.id_synthese = w.id_synthese
      AND (w.adopted OR (s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text));

    INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash,
                                   rest_hash, harvest_id, dataset_key, adopted)
    SELECT p.gbif_id, s.id_synthese, p.unique_id_sinp, p.cd_nom, uuid_nil(), uuid_nil(), uuid_nil(), uuid_nil(),
           of_harvest, p.dataset_key, true
    FROM passereau.plan p
    JOIN gn_synthese.synthese s ON s.id_synthese = p.id_synthese AND s.unique_id_sinp = p.unique_id_sinp
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'adopt'
    ORDER BY p.gbif_id
    ON CONFLICT (gbif_id) DO NOTHING;

    UPDATE passereau.plan p
    SET action = CASE WHEN w.gbif_id IS NOT NULL THEN 'update' WHEN p.action = 'rekey' THEN 'keep' ELSE 'reject' END,
        reason = CASE WHEN w.gbif_id IS NOT NULL THEN NULL WHEN p.action = 'rekey' THEN 'row_gone' ELSE 'already_present' END
    FROM passereau.plan q
    LEFT JOIN passereau.written w ON w.gbif_id = q.gbif_id
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action IN ('rekey', 'adopt')
      AND q.harvest_id = of_harvest AND q.gbif_id = p.gbif_id;
END $$;

-- What GBIF does not tell about a row of another source stays as that source has it.
CREATE OR REPLACE FUNCTION passereau.keep_of_adopted(of_harvest uuid, first_id bigint, last_id bigint)
RETURNS void LANGUAGE sql AS $$
    UPDATE passereau.plan p
    SET observers = COALESCE(p.observers, s.observers), determiner = COALESCE(p.determiner, s.determiner),
        digital_proof = COALESCE(p.digital_proof, s.digital_proof),
        non_digital_proof = COALESCE(p.non_digital_proof, s.non_digital_proof),
        reference_biblio = COALESCE(p.reference_biblio, s.reference_biblio), place_name = COALESCE(p.place_name, s.place_name),
        comment_description = COALESCE(p.comment_description, s.comment_description),
        -- An absence has no count.
        count_min = CASE WHEN o.absent THEN NULL ELSE COALESCE(p.count_min, s.count_min) END,
        count_max = CASE WHEN o.absent THEN NULL ELSE COALESCE(p.count_max, s.count_max) END,
        -- The hour that the other source knows.
        date_min = CASE WHEN p.date_min = s.date_min::date THEN s.date_min ELSE p.date_min END,
        date_max = greatest(CASE WHEN p.date_max = s.date_max::date THEN s.date_max ELSE p.date_max END,
                            CASE WHEN p.date_min = s.date_min::date THEN s.date_min ELSE p.date_min END),
        id_dataset = COALESCE(s.id_dataset, p.id_dataset),
        precision_m = COALESCE(p.precision_m, s."precision"),
        id_nomenclature_geo_object_nature = COALESCE(p.id_nomenclature_geo_object_nature, s.id_nomenclature_geo_object_nature),
        id_nomenclature_blurring = COALESCE(p.id_nomenclature_blurring, s.id_nomenclature_blurring),
        id_nomenclature_bio_status = COALESCE(p.id_nomenclature_bio_status, s.id_nomenclature_bio_status),
        id_nomenclature_behaviour = COALESCE(p.id_nomenclature_behaviour, s.id_nomenclature_behaviour),
        id_nomenclature_obs_technique = COALESCE(p.id_nomenclature_obs_technique, s.id_nomenclature_obs_technique),
        id_nomenclature_bio_condition = COALESCE(p.id_nomenclature_bio_condition, s.id_nomenclature_bio_condition),
        id_nomenclature_naturalness = COALESCE(p.id_nomenclature_naturalness, s.id_nomenclature_naturalness),
        id_nomenclature_exist_proof = COALESCE(p.id_nomenclature_exist_proof, s.id_nomenclature_exist_proof),
        id_nomenclature_life_stage = COALESCE(p.id_nomenclature_life_stage, s.id_nomenclature_life_stage),
        id_nomenclature_sex = COALESCE(p.id_nomenclature_sex, s.id_nomenclature_sex),
        id_nomenclature_obj_count = COALESCE(p.id_nomenclature_obj_count, s.id_nomenclature_obj_count),
        id_nomenclature_type_count = COALESCE(p.id_nomenclature_type_count, s.id_nomenclature_type_count),
        id_nomenclature_observation_status = COALESCE(p.id_nomenclature_observation_status, s.id_nomenclature_observation_status),
        id_nomenclature_source_status = COALESCE(p.id_nomenclature_source_status, s.id_nomenclature_source_status),
        id_nomenclature_biogeo_status = COALESCE(p.id_nomenclature_biogeo_status, s.id_nomenclature_biogeo_status),
        id_nomenclature_determination_method = COALESCE(p.id_nomenclature_determination_method, s.id_nomenclature_determination_method)
    FROM passereau.plan q
    JOIN passereau.written w ON w.gbif_id = q.gbif_id AND w.adopted
    JOIN gn_synthese.synthese s ON s.id_synthese = w.id_synthese
    CROSS JOIN LATERAL (SELECT q.id_nomenclature_observation_status = passereau.nomenclature('STATUT_OBS', 'No') AS absent) o
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND q.harvest_id = of_harvest AND q.gbif_id = p.gbif_id
$$;

-- What each update of a range is to write, as the rows stand now that they are locked. A row that somebody changed since the plan
-- saw it is left alone: it is neither as the plan saw it, nor as we left it (another harvest may have written it meanwhile).
CREATE OR REPLACE FUNCTION passereau.apply_edits(of_harvest uuid, first_id bigint, last_id bigint, source integer, srid integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Both in the order of a key. Without the first, a harvest that waits for another one at the row of the synthèse would go on
    -- with what it had read before; without the second, a person could write between the comparison and the update.
    PERFORM FROM passereau.written w
    WHERE w.gbif_id IN (SELECT p.gbif_id FROM passereau.plan p
                        WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update')
    ORDER BY w.gbif_id
    FOR UPDATE OF w;
    PERFORM FROM gn_synthese.synthese s
    WHERE s.id_synthese IN (SELECT w.id_synthese FROM passereau.plan p JOIN passereau.written w ON w.gbif_id = p.gbif_id
                            WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update')
    ORDER BY s.id_synthese
    FOR NO KEY UPDATE OF s;
    PERFORM passereau.keep_of_adopted(of_harvest, first_id, last_id);

    UPDATE passereau.plan p
    SET action = v.action, reason = CASE WHEN v.action = 'keep' THEN v.reason END,
        detail = CASE v.reason WHEN 'edited_locally' THEN array_to_string(c.edited, ', ') END,
        writes = c.writes, edited = c.edited, validated = c.validated,
        -- Where a position has become obscured, the one from before is not kept.
        told = CASE WHEN c.validated OR c.edited <> '{}'
                    THEN passereau.both_values(c.writes || c.edited, c.here, c.gbif) - CASE WHEN q.cell THEN 'the_geom_4326' ELSE '' END END
    FROM passereau.compared(of_harvest, first_id, last_id, source, srid) c
    JOIN passereau.plan q ON q.harvest_id = of_harvest AND q.gbif_id = c.gbif_id AND q.action = 'update'
    JOIN passereau.written w ON w.gbif_id = c.gbif_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN r.reason IS NULL THEN 'update' ELSE 'keep' END AS action, r.reason
        FROM (SELECT CASE
                  WHEN q.seen <> c.seen AND c.seen IS DISTINCT FROM c."left" THEN 'changed_since_plan'
                  WHEN c.writes = '{}' AND c.edited <> '{}'
                       AND (q.media_hash IS NULL OR q.media_hash = COALESCE(w.media_hash, uuid_nil())) THEN 'edited_locally'
              END AS reason) r) v
    WHERE p.harvest_id = of_harvest AND p.gbif_id = c.gbif_id;
END $$;

-- The updates of a range; returns how many records of the synthèse they concern. A row counts as ours when it still has our
-- source and gbif_id, or was adopted.
DROP FUNCTION IF EXISTS passereau.apply_updates(uuid, bigint, bigint, integer, integer, text);
CREATE FUNCTION passereau.apply_updates(of_harvest uuid, first_id bigint, last_id bigint, source integer, srid integer,
                                        taxref text)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    of_place CONSTANT text[] := passereau.place_names();
    of_taxon CONSTANT text[] := passereau.taxon_names();
    updated    integer;
    provenance jsonb;
BEGIN
    IF NOT EXISTS (SELECT FROM passereau.plan p
                   WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update') THEN
        RETURN 0;
    END IF;
    provenance := passereau.provenance_of(of_harvest);
    PERFORM passereau.apply_edits(of_harvest, first_id, last_id, source, srid);

    UPDATE gn_synthese.synthese s
    SET the_geom_point = ST_Centroid(g.place), the_geom_4326 = g.place, the_geom_local = ST_Transform(g.place, srid),
        id_nomenclature_sensitivity = NULL, last_action = 'U'
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id
    CROSS JOIN LATERAL (SELECT passereau.place_of(p.longitude, p.latitude, p.cell) AS place) g
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update' AND p.writes && of_place
      AND s.id_synthese = w.id_synthese AND (w.adopted OR (s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text));

    UPDATE gn_synthese.synthese s
    SET cd_nom = CASE WHEN 'cd_nom' = ANY (p.writes) THEN p.cd_nom ELSE s.cd_nom END,
        meta_v_taxref = CASE WHEN 'cd_nom' = ANY (p.edited) THEN s.meta_v_taxref ELSE COALESCE(taxref, s.meta_v_taxref) END,
        date_min = CASE WHEN 'date_min' = ANY (p.writes) THEN p.date_min ELSE s.date_min END,
        date_max = CASE WHEN 'date_max' = ANY (p.writes) THEN p.date_max ELSE s.date_max END,
        id_nomenclature_bio_status = CASE WHEN 'id_nomenclature_bio_status' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_bio_status, d.bio_status) ELSE s.id_nomenclature_bio_status END,
        id_nomenclature_behaviour = CASE WHEN 'id_nomenclature_behaviour' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_behaviour, d.behaviour) ELSE s.id_nomenclature_behaviour END,
        id_nomenclature_sensitivity = NULL, last_action = 'U'
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id
    CROSS JOIN passereau.default_nomenclatures() d
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update' AND p.writes && of_taxon
      AND s.id_synthese = w.id_synthese AND (w.adopted OR (s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text));

    -- Every update of the row tells where it comes from; only this group tells what else GBIF says. Where nothing but the media
    -- has changed, the row is not touched.
    UPDATE gn_synthese.synthese s
    SET "precision" = CASE WHEN 'precision' = ANY (p.writes) THEN p.precision_m ELSE s."precision" END,
        id_nomenclature_geo_object_nature = CASE WHEN 'id_nomenclature_geo_object_nature' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_geo_object_nature, d.geo_object_nature) ELSE s.id_nomenclature_geo_object_nature END,
        id_nomenclature_blurring = CASE WHEN 'id_nomenclature_blurring' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_blurring, d.blurring) ELSE s.id_nomenclature_blurring END,
        id_dataset = CASE WHEN 'id_dataset' = ANY (p.writes) THEN COALESCE(p.id_dataset, s.id_dataset) ELSE s.id_dataset END,
        nom_cite = CASE WHEN 'nom_cite' = ANY (p.writes) THEN p.nom_cite ELSE s.nom_cite END,
        count_min = CASE WHEN 'count_min' = ANY (p.writes) THEN p.count_min ELSE s.count_min END,
        count_max = CASE WHEN 'count_max' = ANY (p.writes) THEN p.count_max ELSE s.count_max END,
        observers = CASE WHEN 'observers' = ANY (p.writes) THEN p.observers ELSE s.observers END,
        determiner = CASE WHEN 'determiner' = ANY (p.writes) THEN p.determiner ELSE s.determiner END,
        digital_proof = CASE WHEN 'digital_proof' = ANY (p.writes) THEN p.digital_proof ELSE s.digital_proof END,
        non_digital_proof = CASE WHEN 'non_digital_proof' = ANY (p.writes) THEN p.non_digital_proof ELSE s.non_digital_proof END,
        reference_biblio = CASE WHEN 'reference_biblio' = ANY (p.writes) THEN p.reference_biblio ELSE s.reference_biblio END,
        place_name = CASE WHEN 'place_name' = ANY (p.writes) THEN p.place_name ELSE s.place_name END,
        comment_description = CASE WHEN 'comment_description' = ANY (p.writes)
            THEN p.comment_description ELSE s.comment_description END,
        id_nomenclature_obs_technique = CASE WHEN 'id_nomenclature_obs_technique' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_obs_technique, d.obs_technique) ELSE s.id_nomenclature_obs_technique END,
        id_nomenclature_bio_condition = CASE WHEN 'id_nomenclature_bio_condition' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_bio_condition, d.bio_condition) ELSE s.id_nomenclature_bio_condition END,
        id_nomenclature_naturalness = CASE WHEN 'id_nomenclature_naturalness' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_naturalness, d.naturalness) ELSE s.id_nomenclature_naturalness END,
        id_nomenclature_exist_proof = CASE WHEN 'id_nomenclature_exist_proof' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_exist_proof, d.exist_proof) ELSE s.id_nomenclature_exist_proof END,
        id_nomenclature_life_stage = CASE WHEN 'id_nomenclature_life_stage' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_life_stage, d.life_stage) ELSE s.id_nomenclature_life_stage END,
        id_nomenclature_sex = CASE WHEN 'id_nomenclature_sex' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_sex, d.sex) ELSE s.id_nomenclature_sex END,
        id_nomenclature_obj_count = CASE WHEN 'id_nomenclature_obj_count' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_obj_count, d.obj_count) ELSE s.id_nomenclature_obj_count END,
        id_nomenclature_type_count = CASE WHEN 'id_nomenclature_type_count' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_type_count, d.type_count) ELSE s.id_nomenclature_type_count END,
        id_nomenclature_observation_status = CASE WHEN 'id_nomenclature_observation_status' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_observation_status, d.observation_status) ELSE s.id_nomenclature_observation_status END,
        id_nomenclature_source_status = CASE WHEN 'id_nomenclature_source_status' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_source_status, d.source_status) ELSE s.id_nomenclature_source_status END,
        id_nomenclature_biogeo_status = CASE WHEN 'id_nomenclature_biogeo_status' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_biogeo_status, d.biogeo_status) ELSE s.id_nomenclature_biogeo_status END,
        id_nomenclature_determination_method = CASE WHEN 'id_nomenclature_determination_method' = ANY (p.writes)
            THEN COALESCE(p.id_nomenclature_determination_method, d.determination_method)
            ELSE s.id_nomenclature_determination_method END,
        additional_data = CASE WHEN 'additional_data' = ANY (p.writes)
            THEN (passereau.json_object(s.additional_data) - passereau.additional_data_keys()) || p.additional_data
            ELSE passereau.json_object(s.additional_data) - passereau.provenance_keys() END
            || provenance || jsonb_build_object('taxonPath', p.taxon_path),
        last_action = 'U'
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id
    CROSS JOIN passereau.default_nomenclatures() d
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND NOT p.writes <@ (of_place || of_taxon)
      AND s.id_synthese = w.id_synthese AND (w.adopted OR (s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text));
    UPDATE gn_synthese.synthese s
    SET additional_data = (passereau.json_object(s.additional_data) - passereau.provenance_keys())
                          || provenance || jsonb_build_object('taxonPath', p.taxon_path),
        last_action = 'U'
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND p.writes <> '{}' AND p.writes <@ (of_place || of_taxon)
      AND s.id_synthese = w.id_synthese AND (w.adopted OR (s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text));

    UPDATE passereau.written w
    SET cd_nom = p.cd_nom, cell = p.cell AND NOT w.adopted AND NOT p.edited && of_place, taxon_path = p.taxon_path,
        dataset_key = p.dataset_key, media_hash = COALESCE(p.media_hash, w.media_hash),
        written_key = p.written_key, place_hash = p.place_hash, taxon_hash = p.taxon_hash, rest_hash = p.rest_hash,
        columns = passereau.columns_left(w.columns, passereau.row_hashes(s), p.edited),
        vanished_at = NULL, vanished_from = NULL, vanished_how = NULL,
        harvest_id = of_harvest, written_at = now()
    FROM passereau.plan p, gn_synthese.synthese s
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND w.gbif_id = p.gbif_id
      AND s.id_synthese = w.id_synthese AND (w.adopted OR (s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text));
    GET DIAGNOSTICS updated = ROW_COUNT;
    RETURN updated;
END $$;

-- An additional_data to which keys can be added: what is no object is left behind.
CREATE OR REPLACE FUNCTION passereau.json_object(additional_data jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(additional_data) = 'object' THEN additional_data ELSE '{}' END
$$;

-- The inserts of a range; returns how many entered. In the order of the key, so that two slices that meet the same records
-- wait for each other instead of deadlocking.
DROP FUNCTION IF EXISTS passereau.apply_inserts(uuid, bigint, bigint, integer, integer, text);
CREATE FUNCTION passereau.apply_inserts(of_harvest uuid, first_id bigint, last_id bigint, source integer, srid integer,
                                        taxref text)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    inserted integer;
BEGIN
    EXECUTE $sql$
        WITH entered AS (
            INSERT INTO gn_synthese.synthese AS s (
                unique_id_sinp, id_source, entity_source_pk_value, id_dataset, count_min, count_max, cd_nom, nom_cite,
                meta_v_taxref, digital_proof, non_digital_proof, reference_biblio, place_name, the_geom_4326, the_geom_point,
                the_geom_local, "precision", date_min, date_max, observers, determiner, comment_description, additional_data,
                id_nomenclature_geo_object_nature, id_nomenclature_blurring, id_nomenclature_bio_status,
                id_nomenclature_behaviour, id_nomenclature_obs_technique, id_nomenclature_bio_condition,
                id_nomenclature_naturalness, id_nomenclature_exist_proof, id_nomenclature_life_stage, id_nomenclature_sex,
                id_nomenclature_obj_count, id_nomenclature_type_count, id_nomenclature_observation_status,
                id_nomenclature_source_status, id_nomenclature_biogeo_status, id_nomenclature_determination_method,
                last_action)
            SELECT p.unique_id_sinp, $4, p.gbif_id::text, p.id_dataset, p.count_min, p.count_max, p.cd_nom, p.nom_cite,
                   COALESCE($6, gn_commons.get_default_parameter('taxref_version', NULL)), p.digital_proof, p.non_digital_proof,
                   p.reference_biblio, p.place_name, g.place, ST_Centroid(g.place), ST_Transform(g.place, $5), p.precision_m,
                   p.date_min, p.date_max, p.observers, p.determiner, p.comment_description,
                   p.additional_data || $7 || jsonb_build_object('taxonPath', p.taxon_path),
                   COALESCE(p.id_nomenclature_geo_object_nature, d.geo_object_nature),
                   COALESCE(p.id_nomenclature_blurring, d.blurring), COALESCE(p.id_nomenclature_bio_status, d.bio_status),
                   COALESCE(p.id_nomenclature_behaviour, d.behaviour),
                   COALESCE(p.id_nomenclature_obs_technique, d.obs_technique),
                   COALESCE(p.id_nomenclature_bio_condition, d.bio_condition),
                   COALESCE(p.id_nomenclature_naturalness, d.naturalness),
                   COALESCE(p.id_nomenclature_exist_proof, d.exist_proof), COALESCE(p.id_nomenclature_life_stage, d.life_stage),
                   COALESCE(p.id_nomenclature_sex, d.sex), COALESCE(p.id_nomenclature_obj_count, d.obj_count),
                   COALESCE(p.id_nomenclature_type_count, d.type_count),
                   COALESCE(p.id_nomenclature_observation_status, d.observation_status),
                   COALESCE(p.id_nomenclature_source_status, d.source_status),
                   COALESCE(p.id_nomenclature_biogeo_status, d.biogeo_status),
                   COALESCE(p.id_nomenclature_determination_method, d.determination_method),
                   'I'
            FROM passereau.plan p
            CROSS JOIN passereau.default_nomenclatures() d
            CROSS JOIN LATERAL (SELECT passereau.place_of(p.longitude, p.latitude, p.cell) AS place OFFSET 0) g
            WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action = 'insert'
            ORDER BY p.gbif_id
            ON CONFLICT DO NOTHING
            RETURNING s.id_synthese, s.entity_source_pk_value::bigint AS gbif_id, passereau.row_hashes(s) AS columns
        )
        INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, cell, taxon_path, dataset_key, media_hash,
                                       written_key, place_hash, taxon_hash, rest_hash, columns, harvest_id)
        SELECT p.gbif_id, e.id_synthese, p.unique_id_sinp, p.cd_nom, p.cell, p.taxon_path, p.dataset_key, p.media_hash,
               p.written_key, p.place_hash, p.taxon_hash, p.rest_hash, e.columns, $1
        FROM entered e
        JOIN passereau.plan p ON p.harvest_id = $1 AND p.gbif_id = e.gbif_id AND p.gbif_id BETWEEN $2 AND $3
    $sql$ USING of_harvest, first_id, last_id, source, srid, taxref, passereau.provenance_of(of_harvest);
    GET DIAGNOSTICS inserted = ROW_COUNT;
    RETURN inserted;
END $$;

-- Takes the areas away that say more than an obscured position tells: GeoNature's trigger gives a cell every commune and
-- square that it meets. What covers the whole cell stays: a region mostly, a department seldom.
CREATE OR REPLACE FUNCTION passereau.apply_areas(of_harvest uuid, first_id bigint, last_id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $sql$
        DELETE FROM gn_synthese.cor_area_synthese c
        USING passereau.written w, gn_synthese.synthese s
        WHERE w.gbif_id BETWEEN $2 AND $3 AND w.cell AND w.harvest_id = $1
          AND s.id_synthese = w.id_synthese AND c.id_synthese = s.id_synthese
          AND NOT EXISTS (SELECT FROM ref_geo.l_areas a WHERE a.id_area = c.id_area AND ST_Covers(a.geom, s.the_geom_local))
    $sql$ USING of_harvest, first_id, last_id;
END $$;

-- The same for every obscured position, when the areas are no longer those of the last time: GeoNature's triggers on
-- ref_geo.l_areas give the cells their communes back. Returns how many rows went. Looked after by every upserter
-- (PASSEREAU_RECONVERT_SECONDS), by one at a time, in the platform's hours; costs a count of the areas when nothing has changed.
CREATE OR REPLACE FUNCTION passereau.trim_areas() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    areas   text;
    trimmed bigint;
BEGIN
    IF passereau.upsert_opens_at() IS NOT NULL OR NOT pg_try_advisory_xact_lock(hashtext('passereau.trim_areas')) THEN
        RETURN 0;
    END IF;
    SELECT concat_ws(' ', count(*), max(a.id_area), max(COALESCE(a.meta_update_date, a.meta_create_date))) INTO areas
    FROM ref_geo.l_areas a WHERE a.enable;
    IF areas IS NOT DISTINCT FROM (SELECT t.stamp FROM passereau.trimmed_areas t) THEN
        RETURN 0;
    END IF;
    DELETE FROM gn_synthese.cor_area_synthese c
    USING passereau.written w, gn_synthese.synthese s
    WHERE w.cell AND s.id_synthese = w.id_synthese AND c.id_synthese = s.id_synthese
      AND NOT EXISTS (SELECT FROM ref_geo.l_areas a WHERE a.id_area = c.id_area AND ST_Covers(a.geom, s.the_geom_local));
    GET DIAGNOSTICS trimmed = ROW_COUNT;
    INSERT INTO passereau.trimmed_areas AS t (single, stamp) VALUES (true, areas)
    ON CONFLICT (single) DO UPDATE SET stamp = excluded.stamp;
    RETURN trimmed;
END $$;

RESET check_function_bodies;
