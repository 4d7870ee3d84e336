-- Apply: one slice of a plan into gn_synthese.synthese, in one transaction. The writing itself stands in 71_write.sql.
--
-- What happened since the plan was made, up to the very statement that writes, is respected:
--   the row of an update is gone from the synthèse       keep row_gone
--   another harvest entered the record of an insert      keep changed_since_plan
--   the dataset or the name of TAXREF is gone            reject dataset_unknown or taxon_unmatched, again
-- A UUID that has come to stand in the synthèse under another source, or a row with our source and gbif_id that we never
-- wrote, is already_present: inserts skip every conflict (key or UUID), and a row that does not come back is that reject,
-- never a crashed slice.
--
-- Reasons of kept, which is counted and leaves no row behind (the record stands in the synthèse, or was taken out of it on
-- purpose, and the next harvest looks at it again):
--   other_claim_won     found by the plan: the current generation of another subscription has a newer lastInterpreted
--   changed_since_plan  new for the plan, but another harvest entered it meanwhile, before this slice or while it waited; or
--                       somebody changed the row after the plan saw it
--   edited_locally      all that GBIF says otherwise was changed by a person, and stays
--   row_gone            an update whose row is gone from the synthèse, or is no longer ours: somebody deleted it, which is an
--                       edit like another
--
-- Two subscriptions that meet the same record: who comes second waits for the first one's commit, at the row of
-- passereau.written (update) or at the unique index (insert). Under READ COMMITTED each statement of a function sees what was
-- committed before that statement, so the first one's rows appear between two statements; what did not enter is therefore
-- settled by one statement, after the last write, and only counted after that.
--
-- Statements that search these tables are planned anew for each slice (EXECUTE), but for those of the updates: the tables grow between two slices of one session, and a plan made
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
    harvest      passereau.harvest;
    destination  record;
    consumed     integer;
    gone         record;    -- rows of vanished records: in all, marked, deleted
    first_id     bigint;
    last_id      bigint;
BEGIN
    SELECT * INTO slice FROM passereau.slice s
    WHERE s.harvest_id = of_harvest AND s.stage = 'upsert' AND s.ordinal = of_slice FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'harvest % has no slice %', of_harvest, of_slice USING ERRCODE = 'PS002';
    END IF;
    SELECT * INTO harvest FROM passereau.harvest h WHERE h.id = of_harvest;
    slices_left := harvest.slices_left;
    already := slice.done_at IS NOT NULL;
    inserted := slice.inserted;
    updated := slice.updated;
    rejected := slice.rejected;
    kept := slice.kept;
    IF already THEN
        RETURN;
    END IF;
    SELECT * INTO destination FROM passereau.destination();
    first_id := slice.first_gbif_id;
    last_id := slice.last_gbif_id;

    IF harvest.settings ->> 'metadata' = 'create' THEN
        PERFORM passereau.apply_metadata(of_harvest, first_id, last_id);
    END IF;
    PERFORM passereau.apply_recheck(of_harvest, first_id, last_id);
    PERFORM passereau.apply_identities(of_harvest, first_id, last_id, destination.id_source);
    PERFORM passereau.apply_returned(of_harvest, first_id, last_id);
    PERFORM passereau.apply_adoption(of_harvest, first_id, last_id, destination.id_source);
    updated := passereau.apply_updates(of_harvest, first_id, last_id, destination.id_source, destination.srid,
                                       destination.taxref_version);
    inserted := passereau.apply_inserts(of_harvest, first_id, last_id, destination.id_source, destination.srid,
                                        destination.taxref_version);
    PERFORM passereau.apply_settle(of_harvest, first_id, last_id);
    SELECT * INTO gone FROM passereau.apply_vanished(of_harvest, first_id, last_id, destination.id_source);
    PERFORM passereau.note_edits(of_harvest, harvest.subscription, first_id, last_id);
    PERFORM passereau.apply_areas(of_harvest, first_id, last_id);
    PERFORM passereau.apply_sensitivity(of_harvest, first_id, last_id);
    IF (harvest.settings ->> 'media')::boolean THEN
        PERFORM passereau.apply_media(of_harvest, first_id, last_id);
    END IF;
    IF harvest.settings ->> 'metadata' = 'create' THEN
        PERFORM passereau.settle_metadata(of_harvest, first_id, last_id);
    END IF;
    rejected := passereau.apply_rejects(of_harvest, harvest.subscription, first_id, last_id);

    WITH row_of_plan AS (
        DELETE FROM passereau.plan p
        WHERE p.harvest_id = of_harvest AND p.gbif_id BETWEEN first_id AND last_id
        RETURNING p.action
    )
    SELECT count(*), count(*) FILTER (WHERE action = 'keep') INTO consumed, kept FROM row_of_plan;
    IF consumed <> slice.records OR consumed <> inserted + updated + rejected + kept + gone.records THEN
        RAISE EXCEPTION 'slice % of harvest %: % records planned, % found, % inserted, % updated, % rejected, % kept, % vanished; nothing was written',
                of_slice, of_harvest, slice.records, consumed, inserted, updated, rejected, kept, gone.records
            USING ERRCODE = 'PS003';
    END IF;

    UPDATE passereau.slice s
    SET inserted = apply.inserted, updated = apply.updated, rejected = apply.rejected, kept = apply.kept,
        vanished = gone.records, done_at = now()
    WHERE s.harvest_id = of_harvest AND s.stage = 'upsert' AND s.ordinal = of_slice;
    UPDATE passereau.harvest h
    SET inserted = h.inserted + apply.inserted, updated = h.updated + apply.updated,
        rejected = h.rejected + apply.rejected, kept = h.kept + apply.kept,
        marked = h.marked + gone.marked, deleted = h.deleted + gone.deleted,
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
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action IN ('insert', 'rekey', 'adopt')
          AND w.gbif_id = p.gbif_id
    $sql$ USING of_harvest, first_id, last_id;
    EXECUTE $sql$
        UPDATE passereau.plan p SET action = 'reject', reason = 'dataset_unknown', detail = p.dataset_key::text
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action IN ('insert', 'update', 'rekey', 'adopt')
          AND NOT EXISTS (SELECT FROM gn_meta.t_datasets d WHERE d.id_dataset = p.id_dataset)
    $sql$ USING of_harvest, first_id, last_id;
    EXECUTE $sql$
        UPDATE passereau.plan p SET action = 'reject', reason = 'taxon_unmatched', detail = p.nom_cite
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action IN ('insert', 'update', 'rekey', 'adopt')
          AND NOT EXISTS (SELECT FROM taxonomie.taxref t WHERE t.cd_nom = p.cd_nom)
    $sql$ USING of_harvest, first_id, last_id;
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
        INSERT INTO pinv_gbif.reject AS r (subscription, gbif_id, reason, detail, dataset_key, taxon_key, harvest_id, id_synthese)
        SELECT $4, p.gbif_id, p.reason, p.detail, p.dataset_key, p.taxon_key, $1, p.id_synthese
        FROM passereau.plan p
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3 AND p.action = 'reject'
        ON CONFLICT (subscription, gbif_id) DO UPDATE
        SET reason = excluded.reason, detail = excluded.detail, dataset_key = excluded.dataset_key,
            taxon_key = excluded.taxon_key, harvest_id = excluded.harvest_id, id_synthese = excluded.id_synthese,
            last_seen_at = now()
    $sql$ USING of_harvest, first_id, last_id, of_subscription;
    GET DIAGNOSTICS rejected = ROW_COUNT;
    RETURN rejected;
END $$;

RESET check_function_bodies;
