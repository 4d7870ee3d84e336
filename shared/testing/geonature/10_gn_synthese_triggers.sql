-- What happens by itself around synthese. PostgreSQL fires triggers of one kind in the order of their names: at an insertion the
-- sensitivity comes before the areas, and its UPDATE fires the row triggers of an update (dates) once more.

-- Sensitivity is computed, never taken from the writer: each new row is updated, which makes its second version in the table and
-- in every index.
CREATE FUNCTION gn_synthese.fct_tri_calculate_sensitivity_on_each_statement() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    WITH computed AS (
        SELECT new_row.id_synthese,
               gn_sensitivity.get_id_nomenclature_sensitivity(
                   new_row.date_min::date,
                   taxonomie.find_cdref(new_row.cd_nom),
                   new_row.the_geom_local,
                   jsonb_build_object(
                       'STATUT_BIO', new_row.id_nomenclature_bio_status,
                       'OCC_COMPORTEMENT', new_row.id_nomenclature_behaviour)
               ) AS id_nomenclature_sensitivity
          FROM NEW AS new_row
    )
    UPDATE gn_synthese.synthese AS s
       SET id_nomenclature_sensitivity = c.id_nomenclature_sensitivity
      FROM computed AS c
     WHERE c.id_synthese = s.id_synthese;
    RETURN NULL;
END;
$$;

CREATE FUNCTION gn_synthese.fct_tri_update_sensitivity_on_each_row() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.id_nomenclature_sensitivity = gn_sensitivity.get_id_nomenclature_sensitivity(
        NEW.date_min::date,
        taxonomie.find_cdref(NEW.cd_nom),
        NEW.the_geom_local,
        jsonb_build_object('STATUT_BIO', NEW.id_nomenclature_bio_status, 'OCC_COMPORTEMENT', NEW.id_nomenclature_behaviour));
    RETURN NEW;
END;
$$;

-- All enabled areas that a point meets; for another geometry, touching is not enough. As in GeoNature, ST_GeometryType has no schema
-- before it and needs public in the search_path.
CREATE FUNCTION gn_synthese.fct_trig_insert_in_cor_area_synthese_on_each_statement() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gn_synthese.cor_area_synthese
    SELECT new_row.id_synthese, a.id_area
      FROM NEW AS new_row
      JOIN ref_geo.l_areas a ON public.ST_Intersects(new_row.the_geom_local, a.geom)
     WHERE a.enable IS TRUE
       AND (ST_GeometryType(new_row.the_geom_local) = 'ST_Point'
            OR NOT public.ST_Touches(new_row.the_geom_local, a.geom));
    RETURN NULL;
END;
$$;

CREATE FUNCTION gn_synthese.fct_trig_update_in_cor_area_synthese() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gn_synthese.cor_area_synthese WHERE id_synthese = NEW.id_synthese;
    INSERT INTO gn_synthese.cor_area_synthese
    SELECT s.id_synthese, a.id_area
      FROM ref_geo.l_areas a
      JOIN gn_synthese.synthese s ON public.ST_Intersects(s.the_geom_local, a.geom)
     WHERE a.enable IS TRUE
       AND s.id_synthese = NEW.id_synthese
       AND (ST_GeometryType(NEW.the_geom_local) = 'ST_Point' OR NOT public.ST_Touches(NEW.the_geom_local, a.geom));
    RETURN NULL;
END;
$$;

CREATE FUNCTION gn_synthese.fct_tri_log_delete_on_synthese() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gn_synthese.t_log_synthese (id_synthese, last_action, meta_last_action_date)
    SELECT o.id_synthese, 'D', now() FROM old_table o
    ON CONFLICT (id_synthese) DO UPDATE SET last_action = 'D', meta_last_action_date = now();
    RETURN NULL;
END;
$$;

CREATE TRIGGER tri_meta_dates_change_synthese BEFORE INSERT OR UPDATE ON gn_synthese.synthese
    FOR EACH ROW EXECUTE FUNCTION public.fct_trg_meta_dates_change();
CREATE TRIGGER tri_insert_calculate_sensitivity AFTER INSERT ON gn_synthese.synthese
    REFERENCING NEW TABLE AS NEW
    FOR EACH STATEMENT EXECUTE FUNCTION gn_synthese.fct_tri_calculate_sensitivity_on_each_statement();
CREATE TRIGGER tri_insert_cor_area_synthese AFTER INSERT ON gn_synthese.synthese
    REFERENCING NEW TABLE AS NEW
    FOR EACH STATEMENT EXECUTE FUNCTION gn_synthese.fct_trig_insert_in_cor_area_synthese_on_each_statement();
CREATE TRIGGER tri_update_calculate_sensitivity
    BEFORE UPDATE OF date_min, date_max, cd_nom, the_geom_local, id_nomenclature_bio_status, id_nomenclature_behaviour
    ON gn_synthese.synthese
    FOR EACH ROW EXECUTE FUNCTION gn_synthese.fct_tri_update_sensitivity_on_each_row();
CREATE TRIGGER tri_update_cor_area_synthese AFTER UPDATE OF the_geom_local, the_geom_4326 ON gn_synthese.synthese
    FOR EACH ROW EXECUTE FUNCTION gn_synthese.fct_trig_update_in_cor_area_synthese();
CREATE TRIGGER tri_log_delete_synthese AFTER DELETE ON gn_synthese.synthese
    REFERENCING OLD TABLE AS old_table
    FOR EACH STATEMENT EXECUTE FUNCTION gn_synthese.fct_tri_log_delete_on_synthese();

CREATE TRIGGER tri_meta_dates_t_sources BEFORE INSERT OR UPDATE ON gn_synthese.t_sources
    FOR EACH ROW EXECUTE FUNCTION public.fct_trg_meta_dates_change();

-- Rewrites the observers' text of the observation from the names of the roles: a writer of foreign data stays away from this table.
CREATE FUNCTION gn_synthese.fct_tri_maj_observers_txt() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    changed integer := CASE WHEN TG_OP = 'DELETE' THEN OLD.id_synthese ELSE NEW.id_synthese END;
BEGIN
    UPDATE gn_synthese.synthese
       SET observers = (SELECT array_to_string(array_agg(r.nom_role || ' ' || r.prenom_role), ', ')
                          FROM utilisateurs.t_roles r
                         WHERE r.id_role IN (SELECT o.id_role FROM gn_synthese.cor_observer_synthese o
                                              WHERE o.id_synthese = changed))
     WHERE id_synthese = changed;
    RETURN NULL;
END;
$$;
CREATE TRIGGER trg_maj_synthese_observers_txt AFTER INSERT OR UPDATE OR DELETE ON gn_synthese.cor_observer_synthese
    FOR EACH ROW EXECUTE FUNCTION gn_synthese.fct_tri_maj_observers_txt();

-- New or changed areas are crossed with the whole Synthèse: loading areas into a full database is very slow.
CREATE FUNCTION gn_synthese.fct_trig_l_areas_insert_cor_area_synthese_on_each_statement() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gn_synthese.cor_area_synthese (id_area, id_synthese)
    SELECT new_area.id_area, s.id_synthese
      FROM NEW AS new_area
      JOIN gn_synthese.synthese s ON public.ST_Intersects(s.the_geom_local, new_area.geom)
     WHERE new_area.enable IS TRUE
       AND (public.ST_GeometryType(s.the_geom_local) = 'ST_Point' OR NOT public.ST_Touches(s.the_geom_local, new_area.geom));
    RETURN NULL;
END;
$$;
CREATE FUNCTION gn_synthese.fct_trig_l_areas_update_cor_area_synthese_on_each_statement() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gn_synthese.cor_area_synthese WHERE id_area IN (SELECT id_area FROM NEW);
    INSERT INTO gn_synthese.cor_area_synthese (id_area, id_synthese)
    SELECT new_area.id_area, s.id_synthese
      FROM NEW AS new_area
      JOIN gn_synthese.synthese s ON public.ST_Intersects(s.the_geom_local, new_area.geom)
     WHERE new_area.enable IS TRUE
       AND (public.ST_GeometryType(s.the_geom_local) = 'ST_Point' OR NOT public.ST_Touches(s.the_geom_local, new_area.geom));
    RETURN NULL;
END;
$$;
CREATE TRIGGER tri_insert_cor_area_synthese AFTER INSERT ON ref_geo.l_areas
    REFERENCING NEW TABLE AS NEW
    FOR EACH STATEMENT EXECUTE FUNCTION gn_synthese.fct_trig_l_areas_insert_cor_area_synthese_on_each_statement();
CREATE TRIGGER tri_update_cor_area_synthese AFTER UPDATE ON ref_geo.l_areas
    REFERENCING NEW TABLE AS NEW
    FOR EACH STATEMENT EXECUTE FUNCTION gn_synthese.fct_trig_l_areas_update_cor_area_synthese_on_each_statement();

-- Recomputes the sensitivity of the whole table: what `geonature sensitivity update-synthese` runs.
CREATE FUNCTION gn_synthese.update_sensitivity() RETURNS integer
    LANGUAGE plpgsql AS $$
DECLARE changed integer;
BEGIN
    WITH computed AS (
        SELECT id_synthese,
               id_nomenclature_sensitivity AS before,
               gn_sensitivity.get_id_nomenclature_sensitivity(
                   date_min::date, taxonomie.find_cdref(cd_nom), the_geom_local,
                   jsonb_build_object('STATUT_BIO', id_nomenclature_bio_status, 'OCC_COMPORTEMENT', id_nomenclature_behaviour)
               ) AS after
          FROM gn_synthese.synthese
         WHERE id_nomenclature_sensitivity IS NULL
            OR id_nomenclature_sensitivity <> ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '0')
            OR taxonomie.find_cdref(cd_nom) IN (SELECT DISTINCT cd_ref FROM gn_sensitivity.t_sensitivity_rules_cd_ref)
    )
    UPDATE gn_synthese.synthese s
       SET id_nomenclature_sensitivity = c.after
      FROM computed c
     WHERE s.id_synthese = c.id_synthese AND c.before IS DISTINCT FROM c.after;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END;
$$;

-- What the application reads: an observation without cd_nom or without dataset is stored and never shown.
CREATE VIEW gn_synthese.v_synthese_for_web_app AS
    SELECT s.id_synthese, s.unique_id_sinp, s.unique_id_sinp_grp, s.id_source, s.entity_source_pk_value, s.count_min, s.count_max,
           s.nom_cite, s.meta_v_taxref, s.sample_number_proof, s.digital_proof, s.non_digital_proof, s.altitude_min,
           s.altitude_max, s.depth_min, s.depth_max, s.place_name, s."precision", s.the_geom_4326,
           public.st_asgeojson(s.the_geom_4326) AS st_asgeojson,
           s.date_min, s.date_max, s.validator, s.validation_comment, s.observers, s.id_digitiser, s.determiner,
           s.comment_context, s.comment_description, s.meta_validation_date, s.meta_create_date, s.meta_update_date, s.last_action,
           d.id_dataset, d.dataset_name, d.id_acquisition_framework,
           s.id_nomenclature_geo_object_nature, s.id_nomenclature_info_geo_type, s.id_nomenclature_grp_typ, s.grp_method,
           s.id_nomenclature_obs_technique, s.id_nomenclature_bio_status, s.id_nomenclature_bio_condition,
           s.id_nomenclature_naturalness, s.id_nomenclature_exist_proof, s.id_nomenclature_valid_status,
           s.id_nomenclature_diffusion_level, s.id_nomenclature_life_stage, s.id_nomenclature_sex, s.id_nomenclature_obj_count,
           s.id_nomenclature_type_count, s.id_nomenclature_sensitivity, s.id_nomenclature_observation_status,
           s.id_nomenclature_blurring, s.id_nomenclature_source_status, s.id_nomenclature_determination_method,
           s.id_nomenclature_behaviour, s.reference_biblio,
           sources.name_source, sources.url_source,
           t.cd_nom, t.cd_ref, t.nom_valide, t.lb_nom, t.nom_vern,
           s.id_module, t.group1_inpn, t.group2_inpn, t.group3_inpn, s.id_import
      FROM gn_synthese.synthese s
      JOIN taxonomie.taxref t ON t.cd_nom = s.cd_nom
      JOIN gn_meta.t_datasets d ON d.id_dataset = s.id_dataset
      JOIN gn_synthese.t_sources sources ON sources.id_source = s.id_source;
