-- Rules of sensitivity and the function that finds the level of one observation.

CREATE SCHEMA gn_sensitivity;

CREATE TABLE gn_sensitivity.t_sensitivity_rules (
    id_sensitivity serial NOT NULL,
    cd_nom integer NOT NULL,
    nom_cite varchar(1000),
    id_nomenclature_sensitivity integer NOT NULL,
    sensitivity_duration integer NOT NULL,
    sensitivity_territory varchar(1000),
    id_territory varchar(50),
    date_min date,
    date_max date,
    source varchar(250),
    active boolean DEFAULT true,
    comments varchar(500),
    meta_create_date timestamp without time zone DEFAULT now(),
    meta_update_date timestamp without time zone,
    CONSTRAINT t_sensitivity_rules_pkey PRIMARY KEY (id_sensitivity),
    CONSTRAINT fk_t_sensitivity_rules_cd_nom FOREIGN KEY (cd_nom)
        REFERENCES taxonomie.taxref (cd_nom) ON UPDATE CASCADE,
    CONSTRAINT fk_t_sensitivity_rules_id_nomenclature_sensitivity FOREIGN KEY (id_nomenclature_sensitivity)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE
);
ALTER TABLE gn_sensitivity.t_sensitivity_rules ADD CONSTRAINT check_t_sensitivity_rules_niv_precis
    CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_sensitivity, 'SENSIBILITE')) NOT VALID;

CREATE TABLE gn_sensitivity.cor_sensitivity_area (
    id_sensitivity integer,
    id_area integer,
    CONSTRAINT fk_cor_sensitivity_area_id_area_fkey FOREIGN KEY (id_area) REFERENCES ref_geo.l_areas (id_area),
    CONSTRAINT fk_cor_sensitivity_area_id_sensitivity_fkey FOREIGN KEY (id_sensitivity)
        REFERENCES gn_sensitivity.t_sensitivity_rules (id_sensitivity) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX cor_sensitivity_area_id_sensitivity_idx ON gn_sensitivity.cor_sensitivity_area (id_sensitivity);

CREATE TABLE gn_sensitivity.cor_sensitivity_criteria (
    id_sensitivity integer,
    id_criteria integer,
    id_type_nomenclature integer,
    CONSTRAINT criteria_id_type_nomenclature_fkey FOREIGN KEY (id_type_nomenclature)
        REFERENCES ref_nomenclatures.bib_nomenclatures_types (id_type),
    CONSTRAINT criteria_id_criteria_fkey FOREIGN KEY (id_criteria)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature),
    CONSTRAINT criteria_id_sensitivity_fkey FOREIGN KEY (id_sensitivity)
        REFERENCES gn_sensitivity.t_sensitivity_rules (id_sensitivity) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX cor_sensitivity_criteria_id_sensitivity_idx ON gn_sensitivity.cor_sensitivity_criteria (id_sensitivity);

-- The area shown to somebody who may only see blurred data, by level of sensitivity.
CREATE TABLE gn_sensitivity.cor_sensitivity_area_type (
    id_nomenclature_sensitivity integer,
    id_area_type integer,
    CONSTRAINT cor_sensitivity_area_type_id_area_type_fkey FOREIGN KEY (id_area_type)
        REFERENCES ref_geo.bib_areas_types (id_type),
    CONSTRAINT cor_sensitivity_area_type_id_nomenclature_sensitivity_fkey FOREIGN KEY (id_nomenclature_sensitivity)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature)
);

-- The active rules, carried from the taxon they name to every taxon below it. It has NO index, as shipped: one sequential scan for
-- each inserted observation. That is most of the cost of an insertion.
CREATE MATERIALIZED VIEW gn_sensitivity.t_sensitivity_rules_cd_ref AS
    WITH RECURSIVE r(cd_ref) AS (
        SELECT t.cd_ref, s.id_sensitivity, s.cd_nom, s.nom_cite, s.id_nomenclature_sensitivity, s.sensitivity_duration,
               s.sensitivity_territory, s.id_territory,
               COALESCE(s.date_min, '1900-01-01'::date) AS date_min, COALESCE(s.date_max, '1900-12-31'::date) AS date_max,
               s.active, s.comments, s.meta_create_date, s.meta_update_date
          FROM gn_sensitivity.t_sensitivity_rules s
          JOIN taxonomie.taxref t ON t.cd_nom = s.cd_nom
         WHERE s.active = true
        UNION ALL
        SELECT t.cd_ref, r.id_sensitivity, t.cd_nom, r.nom_cite, r.id_nomenclature_sensitivity, r.sensitivity_duration,
               r.sensitivity_territory, r.id_territory, r.date_min, r.date_max,
               r.active, r.comments, r.meta_create_date, r.meta_update_date
          FROM taxonomie.taxref t, r
         WHERE t.cd_taxsup = r.cd_ref
    )
    SELECT r.* FROM r
WITH DATA;

-- The highest level among the rules that match taxon, area, season, age and criteria; '0' when none does. Never NULL. It names
-- ST_Intersects without a schema, as in GeoNature: whoever writes with a search_path that lacks public gets an error.
CREATE FUNCTION gn_sensitivity.get_id_nomenclature_sensitivity(
    my_date_obs date, my_cd_ref integer, my_geom public.geometry, my_criterias jsonb) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE level integer;
BEGIN
    SELECT INTO level r.id_nomenclature_sensitivity
      FROM gn_sensitivity.t_sensitivity_rules_cd_ref r
      JOIN ref_nomenclatures.t_nomenclatures n ON n.id_nomenclature = r.id_nomenclature_sensitivity
      LEFT JOIN gn_sensitivity.cor_sensitivity_area ca USING (id_sensitivity)
      LEFT JOIN ref_geo.l_areas a USING (id_area)
      LEFT JOIN gn_sensitivity.cor_sensitivity_criteria c USING (id_sensitivity)
     WHERE r.cd_ref = my_cd_ref
       AND (a.geom IS NULL OR ST_Intersects(my_geom, a.geom))
       AND to_char(my_date_obs, 'MMDD') BETWEEN to_char(r.date_min, 'MMDD') AND to_char(r.date_max, 'MMDD')
       AND date_part('year', CURRENT_TIMESTAMP) - r.sensitivity_duration <= date_part('year', my_date_obs)
       AND (c.id_criteria IS NULL OR c.id_criteria IN (SELECT value::int FROM jsonb_each_text(my_criterias)))
     ORDER BY n.cd_nomenclature DESC;
    IF level IS NULL THEN
        level := ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '0');
    END IF;
    RETURN level;
END;
$$;

CREATE TRIGGER tri_meta_dates_change_t_sensitivity_rules BEFORE INSERT OR UPDATE ON gn_sensitivity.t_sensitivity_rules
    FOR EACH ROW EXECUTE FUNCTION public.fct_trg_meta_dates_change();
