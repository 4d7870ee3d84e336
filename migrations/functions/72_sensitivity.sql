-- Sensitivity: no row that a slice wrote is without one when the slice commits.
--
-- GeoNature's triggers compute it, and overwrite what a writer supplies. Some platforms replace them by functions that do
-- nothing, because their sensitivity comes with the data. A row that enters there has NULL, and GeoNature then shows it to
-- nobody whose rights are limited to blurred data. The platform's setting sensitivity_when_null says what to do:
--   compute            GeoNature's own gn_sensitivity.get_id_nomenclature_sensitivity is called, as its triggers do
--   schema.function    that function is called with the same arguments (date of the observation, cd_ref, local geometry,
--                      criteria) and gives the id_nomenclature of a level; a name in double quotes keeps its capitals
--   stop, or nothing   the slice is refused
-- Levels are never named here: a platform that has its own (2.1 to 2.8 instead of 1 to 4) keeps them.
--
-- Fails with PS001, and the slice is rolled back, when there are such rows and the setting is stop, empty or names no
-- function, and when a row is without a level all the same. An error of the function called passes through.
--
-- Cost of a slice of 10,000 rows, EXPLAIN (ANALYZE) on 2 cores, beside the 11 s that its insertion takes: 17 to 40 ms when
-- GeoNature's triggers are real (each row is found by its primary key); 5 s when every row is to be computed, more than
-- half of it for the second version of each row in the table and its indexes.
--
-- Locks: the rows that are given a level, which the slice has just written. Only id_nomenclature_sensitivity is named, so
-- that no trigger of GeoNature fires but the one of the dates.
SET check_function_bodies = off;

-- The rows of the synthèse that a harvest wrote in a range and that have no level: how many, and one of them.
CREATE OR REPLACE FUNCTION passereau.without_sensitivity(of_harvest uuid, first_id bigint, last_id bigint,
                                                         OUT rows_without bigint, OUT example bigint)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- Planned anew for each slice, as in 70_apply.sql.
    EXECUTE $sql$
        SELECT count(*), min(w.gbif_id)
        FROM passereau.written w
        JOIN gn_synthese.synthese s ON s.id_synthese = w.id_synthese
        WHERE w.harvest_id = $1 AND w.gbif_id BETWEEN $2 AND $3 AND s.id_nomenclature_sensitivity IS NULL
    $sql$ INTO rows_without, example USING of_harvest, first_id, last_id;
END $$;

-- The function that the setting names, quoted for a statement. The name is parsed, never run: what is no name of an existing
-- function with the right arguments and result is an error.
CREATE OR REPLACE FUNCTION passereau.sensitivity_function(choice text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts text[];
    named text;
    found regprocedure;
BEGIN
    IF choice = 'compute' THEN
        parts := ARRAY['gn_sensitivity', 'get_id_nomenclature_sensitivity'];
    ELSE
        BEGIN
            parts := parse_ident(choice);
        EXCEPTION WHEN invalid_parameter_value THEN
            parts := '{}';
        END;
    END IF;
    IF cardinality(parts) = 2 THEN
        named := format('%I.%I', parts[1], parts[2]);
        found := to_regprocedure(named || '(date, integer, geometry, jsonb)');
    END IF;
    IF NOT EXISTS (SELECT FROM pg_proc p
                   WHERE p.oid = found AND p.prokind = 'f' AND NOT p.proretset AND p.prorettype = 'integer'::regtype) THEN
        RAISE EXCEPTION 'setting sensitivity_when_null is "%", which is no function (date, integer, geometry, jsonb) that returns an integer: set it to compute, to the schema and name of such a function, or to stop',
                choice
            USING ERRCODE = 'PS001', HINT = 'UPDATE pinv_gbif.setting SET value = ''compute'' WHERE name = ''sensitivity_when_null'';';
    END IF;
    RETURN named;
END $$;

-- Called by apply() once the rows of a slice are written.
CREATE OR REPLACE FUNCTION passereau.apply_sensitivity(of_harvest uuid, first_id bigint, last_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    choice  text := COALESCE(passereau.setting('sensitivity_when_null'), 'stop');
    without record;
BEGIN
    SELECT * INTO without FROM passereau.without_sensitivity(of_harvest, first_id, last_id);
    IF without.rows_without = 0 THEN
        RETURN;
    END IF;

    IF choice <> 'stop' THEN
        EXECUTE format($sql$
            UPDATE gn_synthese.synthese s
            SET id_nomenclature_sensitivity = %s(
                    s.date_min::date, taxonomie.find_cdref(s.cd_nom), s.the_geom_local,
                    jsonb_build_object('STATUT_BIO', s.id_nomenclature_bio_status,
                                       'OCC_COMPORTEMENT', s.id_nomenclature_behaviour))
            FROM passereau.written w
            WHERE w.harvest_id = $1 AND w.gbif_id BETWEEN $2 AND $3
              AND s.id_synthese = w.id_synthese AND s.id_nomenclature_sensitivity IS NULL
        $sql$, passereau.sensitivity_function(choice)) USING of_harvest, first_id, last_id;
        SELECT * INTO without FROM passereau.without_sensitivity(of_harvest, first_id, last_id);
    END IF;

    IF without.rows_without > 0 THEN
        RAISE EXCEPTION '% rows of harvest % have no sensitivity (gbif_id % for one) and setting sensitivity_when_null is "%": nothing was written; set it to compute or to a function that gives each of them a level, then replay the dead letter (`passereau dead list`, `passereau dead replay`)',
                without.rows_without, of_harvest, without.example, choice
            USING ERRCODE = 'PS001', HINT = 'UPDATE pinv_gbif.setting SET value = ''compute'' WHERE name = ''sensitivity_when_null'';';
    END IF;
END $$;

RESET check_function_bodies;
