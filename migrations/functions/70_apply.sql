-- Apply: one slice of a plan into gn_synthese.synthese, in one transaction.
--
-- Updates name only the columns of a group that changed (50_convert.sql): GeoNature's triggers are declared UPDATE OF.
-- Nomenclature and validation columns are never named: an insert gets the instance's defaults, an update leaves what people
-- set. Inserts skip every conflict (key or UUID); a row that does not come back is the reject already_present, never a
-- crashed slice.
--
-- What happened since the plan was made, up to the very statement that writes, is respected:
--   the row of an update is gone from the synthèse       keep row_gone
--   another harvest entered the record of an insert      keep changed_since_plan
--   the dataset or the name of TAXREF is gone            reject dataset_unknown or taxon_unmatched, again
-- A UUID that stands in the synthèse under another source, or a row with our source and gbif_id that we never wrote, is
-- already_present.
--
-- Reasons of kept, which is counted and leaves no row behind (the record stands in the synthèse, or was taken out of it on
-- purpose, and the next harvest looks at it again):
--   other_claim_won     found by the plan: the current generation of another subscription has a newer lastInterpreted
--   changed_since_plan  new for the plan, but another harvest entered it meanwhile, before this slice or while it waited
--   row_gone            an update whose row is gone from the synthèse, or is no longer ours: somebody deleted it, which is an
--                       edit like another
--
-- Two subscriptions that meet the same record: who comes second waits for the first one's commit, at the row of
-- passereau.written (update) or at the unique index (insert). Under READ COMMITTED each statement of a function sees what was
-- committed before that statement, so the first one's rows appear between two statements; what did not enter is therefore
-- settled by one statement, after the last write, and only counted after that.
--
-- Statements are planned anew for each slice (EXECUTE): the tables grow between two slices of one session, and a plan made
-- while they were empty searches them row by row.
--
-- The plan's rows of the slice are consumed. Called again, the slice changes nothing and answers already = true.
--
-- Locks: the slice's row; of an update the row of passereau.written, in the order of the key, then the row of the synthèse; at
-- the end the harvest's row. No DDL. No setting is changed but jit, so that GeoNature's triggers run as they always do.
SET check_function_bodies = off;

-- slices_left counts down to 0: whoever gets 0 sends the next stage.
DROP FUNCTION IF EXISTS passereau.apply(uuid, integer);
CREATE FUNCTION passereau.apply(of_harvest uuid, of_slice integer,
                                OUT already boolean, OUT inserted integer, OUT updated integer, OUT rejected integer,
                                OUT kept integer, OUT slices_left integer)
LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    slice        passereau.slice;
    destination  record;
    subscription text;
    consumed     integer;
BEGIN
    SELECT * INTO slice FROM passereau.slice s
    WHERE s.harvest_id = of_harvest AND s.stage = 'upsert' AND s.ordinal = of_slice FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'harvest % has no slice %', of_harvest, of_slice USING ERRCODE = 'PS002';
    END IF;
    SELECT h.subscription, h.slices_left INTO subscription, slices_left FROM passereau.harvest h WHERE h.id = of_harvest;
    already := slice.done_at IS NOT NULL;
    inserted := slice.inserted;
    updated := slice.updated;
    rejected := slice.rejected;
    kept := slice.kept;
    IF already THEN
        RETURN;
    END IF;
    SELECT * INTO destination FROM passereau.destination();

    PERFORM passereau.apply_recheck(of_harvest, slice.first_gbif_id, slice.last_gbif_id);
    updated := passereau.apply_updates(of_harvest, slice.first_gbif_id, slice.last_gbif_id,
                                       destination.id_source, destination.srid, destination.taxref_version);
    inserted := passereau.apply_inserts(of_harvest, slice.first_gbif_id, slice.last_gbif_id,
                                        destination.id_source, destination.srid, destination.taxref_version);
    PERFORM passereau.apply_settle(of_harvest, slice.first_gbif_id, slice.last_gbif_id);
    rejected := passereau.apply_rejects(of_harvest, subscription, slice.first_gbif_id, slice.last_gbif_id);

    WITH row_of_plan AS (
        DELETE FROM passereau.plan p
        WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN slice.first_gbif_id AND slice.last_gbif_id
        RETURNING p.action
    )
    SELECT count(*), count(*) FILTER (WHERE action = 'keep') INTO consumed, kept FROM row_of_plan;
    IF consumed <> slice.records OR consumed <> inserted + updated + rejected + kept THEN
        RAISE EXCEPTION 'slice % of harvest %: % records planned, % found, % inserted, % updated, % rejected, % kept; nothing was written',
                of_slice, of_harvest, slice.records, consumed, inserted, updated, rejected, kept
            USING ERRCODE = 'PS003';
    END IF;

    UPDATE passereau.slice s
    SET inserted = apply.inserted, updated = apply.updated, rejected = apply.rejected, kept = apply.kept, done_at = now()
    WHERE s.harvest_id = of_harvest AND s.stage = 'upsert' AND s.ordinal = of_slice;
    UPDATE passereau.harvest h
    SET inserted = h.inserted + apply.inserted, updated = h.updated + apply.updated,
        rejected = h.rejected + apply.rejected, kept = h.kept + apply.kept,
        slices_left = h.slices_left - 1, updated_at = now()
    WHERE h.id = of_harvest
    RETURNING h.slices_left INTO slices_left;
END $$;

-- What is no longer as the plan saw it. Settled in the plan's own rows, before anything is written: a statement that
-- fills passereau.written must not search it.
CREATE OR REPLACE FUNCTION passereau.apply_recheck(of_harvest uuid, first_id bigint, last_id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $sql$
        UPDATE passereau.plan p SET action = 'keep', reason = 'changed_since_plan'
        FROM passereau.written w
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action = 'insert' AND w.gbif_id = p.gbif_id
    $sql$ USING of_harvest, first_id, last_id;
    EXECUTE $sql$
        UPDATE passereau.plan p SET action = 'reject', reason = 'dataset_unknown', detail = p.dataset_key::text
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action IN ('insert', 'update')
          AND NOT EXISTS (SELECT FROM gn_meta.t_datasets d WHERE d.id_dataset = p.id_dataset)
    $sql$ USING of_harvest, first_id, last_id;
    EXECUTE $sql$
        UPDATE passereau.plan p SET action = 'reject', reason = 'taxon_unmatched', detail = p.nom_cite
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action IN ('insert', 'update')
          AND NOT EXISTS (SELECT FROM taxonomie.taxref t WHERE t.cd_nom = p.cd_nom)
    $sql$ USING of_harvest, first_id, last_id;
END $$;

-- The updates of a range, group by group; returns how many records of the synthèse they concern. A row counts as ours when
-- it still has our source and gbif_id.
CREATE OR REPLACE FUNCTION passereau.apply_updates(of_harvest uuid, first_id bigint, last_id bigint,
                                                   source integer, srid integer, taxref_version text)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    updated integer;
BEGIN
    IF NOT EXISTS (SELECT FROM passereau.plan p
                   WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update') THEN
        RETURN 0;
    END IF;

    -- The hashes compared below must be those of the row as it stands: without this, a harvest that waits for another one at
    -- the row of the synthèse would go on with the hashes of before.
    PERFORM FROM passereau.written w
    WHERE w.gbif_id IN (SELECT p.gbif_id FROM passereau.plan p
                        WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update')
    ORDER BY w.gbif_id
    FOR UPDATE OF w;

    UPDATE gn_synthese.synthese s
    SET the_geom_point = g.point, the_geom_4326 = g.point, the_geom_local = ST_Transform(g.point, srid),
        "precision" = p.precision_m, last_action = 'U'
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id AND w.place_hash <> p.place_hash
    CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_MakePoint(p.longitude, p.latitude), 4326) AS point) g
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND s.id_synthese = w.id_synthese AND s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text;

    UPDATE gn_synthese.synthese s
    SET cd_nom = p.cd_nom, meta_v_taxref = taxref_version, date_min = p.date_min, date_max = p.date_max, last_action = 'U'
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id AND w.taxon_hash <> p.taxon_hash
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND s.id_synthese = w.id_synthese AND s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text;

    UPDATE gn_synthese.synthese s
    SET id_dataset = p.id_dataset, nom_cite = p.nom_cite, count_min = p.count_min, count_max = p.count_max,
        observers = p.observers, determiner = p.determiner, digital_proof = p.digital_proof, place_name = p.place_name,
        comment_description = p.comment_description, additional_data = p.additional_data, last_action = 'U'
    FROM passereau.plan p
    JOIN passereau.written w ON w.gbif_id = p.gbif_id AND w.rest_hash <> p.rest_hash
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND s.id_synthese = w.id_synthese AND s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text;

    UPDATE passereau.written w
    SET cd_nom = p.cd_nom, written_key = p.written_key, place_hash = p.place_hash, taxon_hash = p.taxon_hash,
        rest_hash = p.rest_hash, harvest_id = of_harvest, written_at = now()
    FROM passereau.plan p, gn_synthese.synthese s
    WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id AND p.action = 'update'
      AND w.gbif_id = p.gbif_id
      AND s.id_synthese = w.id_synthese AND s.id_source = source AND s.entity_source_pk_value = p.gbif_id::text;
    GET DIAGNOSTICS updated = ROW_COUNT;
    RETURN updated;
END $$;

-- The inserts of a range; returns how many entered. In the order of the key, so that two slices that meet the same records
-- wait for each other instead of deadlocking.
CREATE OR REPLACE FUNCTION passereau.apply_inserts(of_harvest uuid, first_id bigint, last_id bigint,
                                                   source integer, srid integer, taxref_version text)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    inserted integer;
BEGIN
    EXECUTE $sql$
        WITH entered AS (
            INSERT INTO gn_synthese.synthese (
                unique_id_sinp, id_source, entity_source_pk_value, id_dataset, count_min, count_max, cd_nom, nom_cite,
                meta_v_taxref, digital_proof, place_name, the_geom_4326, the_geom_point, the_geom_local, "precision",
                date_min, date_max, observers, determiner, comment_description, additional_data, last_action)
            SELECT p.unique_id_sinp, $4, p.gbif_id::text, p.id_dataset, p.count_min, p.count_max, p.cd_nom, p.nom_cite,
                   $6, p.digital_proof, p.place_name, g.point, g.point, ST_Transform(g.point, $5), p.precision_m,
                   p.date_min, p.date_max, p.observers, p.determiner, p.comment_description, p.additional_data, 'I'
            FROM passereau.plan p
            CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_MakePoint(p.longitude, p.latitude), 4326) AS point OFFSET 0) g
            WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action = 'insert'
            ORDER BY p.gbif_id
            ON CONFLICT DO NOTHING
            RETURNING id_synthese, entity_source_pk_value::bigint AS gbif_id
        )
        INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash,
                                       rest_hash, harvest_id)
        SELECT p.gbif_id, e.id_synthese, p.unique_id_sinp, p.cd_nom, p.written_key, p.place_hash, p.taxon_hash,
               p.rest_hash, $1
        FROM entered e
        JOIN passereau.plan p ON p.harvest_id = $1 AND p.gbif_id = e.gbif_id AND p.gbif_id BETWEEN $2 AND $3
    $sql$ USING of_harvest, first_id, last_id, source, srid, taxref_version;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    RETURN inserted;
END $$;

-- What was to be written and was not. What this harvest wrote carries its id in passereau.written; a record of an insert that
-- another harvest entered stands there under that one's id, and one that the synthèse refused does not stand there. In one
-- statement, so that one state of passereau.written decides.
CREATE OR REPLACE FUNCTION passereau.apply_settle(of_harvest uuid, first_id bigint, last_id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $sql$
        WITH unwritten AS (
            SELECT p.gbif_id,
                   CASE WHEN p.action = 'update' THEN 'row_gone'
                        WHEN w.gbif_id IS NOT NULL THEN 'changed_since_plan'
                        ELSE 'already_present' END AS reason
            FROM passereau.plan p
            LEFT JOIN passereau.written w ON w.gbif_id = p.gbif_id
            WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action IN ('insert', 'update')
              AND w.harvest_id IS DISTINCT FROM $1
        )
        UPDATE passereau.plan p
        SET action = CASE u.reason WHEN 'already_present' THEN 'reject' ELSE 'keep' END,
            reason = u.reason, detail = p.unique_id_sinp::text
        FROM unwritten u
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.gbif_id = u.gbif_id
    $sql$ USING of_harvest, first_id, last_id;
END $$;

-- The rejects of a range, those of the plan and those that the synthèse refused; returns how many. A record that entered is
-- a reject no more.
CREATE OR REPLACE FUNCTION passereau.apply_rejects(of_harvest uuid, of_subscription text, first_id bigint, last_id bigint)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    rejected integer;
BEGIN
    EXECUTE $sql$
        DELETE FROM pinv_gbif.reject r USING passereau.plan p, passereau.written w
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action IN ('insert', 'update')
          AND w.gbif_id = p.gbif_id AND w.harvest_id = $1
          AND r.subscription = $4 AND r.gbif_id = p.gbif_id
    $sql$ USING of_harvest, first_id, last_id, of_subscription;
    EXECUTE $sql$
        INSERT INTO pinv_gbif.reject AS r (subscription, gbif_id, reason, detail, dataset_key, taxon_key, harvest_id)
        SELECT $4, p.gbif_id, p.reason, p.detail, p.dataset_key, p.taxon_key, $1
        FROM passereau.plan p
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action = 'reject'
        ON CONFLICT (subscription, gbif_id) DO UPDATE
        SET reason = excluded.reason, detail = excluded.detail, dataset_key = excluded.dataset_key,
            taxon_key = excluded.taxon_key, harvest_id = excluded.harvest_id, last_seen_at = now()
    $sql$ USING of_harvest, first_id, last_id, of_subscription;
    GET DIAGNOSTICS rejected = ROW_COUNT;
    RETURN rejected;
END $$;

RESET check_function_bodies;
