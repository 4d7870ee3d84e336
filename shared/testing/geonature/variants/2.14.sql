-- From 2.16 down to 2.14 (TaxHub 1.14, RefGeo 1.5.1): no Import module in the core, no links from TAXREF to GBIF.

-- 2.15.0: synthese.id_import, and one source `Import` for every import; before, the external module made a source for each.
DO $view$
DECLARE
    definition text := pg_get_viewdef('gn_synthese.v_synthese_for_web_app'::regclass);
BEGIN
    DROP VIEW gn_synthese.v_synthese_for_web_app;
    EXECUTE 'CREATE VIEW gn_synthese.v_synthese_for_web_app AS ' || regexp_replace(definition, ',\s+s\.id_import\M', '');
END;
$view$;
ALTER TABLE gn_synthese.synthese DROP COLUMN id_import;
DROP SCHEMA gn_imports CASCADE;
UPDATE gn_synthese.t_sources SET name_source = 'Import(id=1)' WHERE name_source = 'Import';

-- 2.15.2 and 2.15.4: index on observers, and a validation copies its date too.
DROP INDEX gn_synthese.synthese_observers_idx;
ALTER TABLE gn_commons.t_validations ALTER COLUMN validation_date DROP DEFAULT;
CREATE OR REPLACE FUNCTION gn_commons.fct_trg_update_synthese_validation_status() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gn_synthese.synthese
       SET id_nomenclature_valid_status = NEW.id_nomenclature_valid_status,
           validation_comment = NEW.validation_comment,
           validator = (SELECT nom_role || ' ' || prenom_role FROM utilisateurs.t_roles WHERE id_role = NEW.id_validator)
     WHERE unique_id_sinp = NEW.uuid_attached_row;
    RETURN NEW;
END;
$$;

-- 2.16.0: taxref_liens and TAXREF v18 (TaxHub 2.2), additional data of metadata, no index beside a unique constraint.
DROP TABLE taxonomie.taxref_liens;
UPDATE taxonomie.t_meta_taxref SET version = 17;
ALTER TABLE gn_meta.t_datasets DROP COLUMN additional_data;
ALTER TABLE gn_meta.t_acquisition_frameworks DROP COLUMN additional_data;
CREATE UNIQUE INDEX i_unique_t_datasets_unique_id ON gn_meta.t_datasets (unique_dataset_id);
CREATE UNIQUE INDEX i_unique_t_acquisition_framework_unique_id ON gn_meta.t_acquisition_frameworks (unique_acquisition_framework_id);
CREATE UNIQUE INDEX i_unique_t_sources_name_source ON gn_synthese.t_sources (name_source);
CREATE UNIQUE INDEX i_unique_l_areas_id_type_area_code ON ref_geo.l_areas (id_type, area_code);
CREATE UNIQUE INDEX i_unique_bib_areas_types_type_code ON ref_geo.bib_areas_types (type_code);

-- RefGeo and UsersHub-authentification of 2024 and 2025.
ALTER TABLE ref_geo.l_areas DROP COLUMN description;
DROP TRIGGER tri_meta_dates_change_organisms ON utilisateurs.bib_organismes;
DROP FUNCTION utilisateurs.fct_trg_meta_dates_change();
ALTER TABLE utilisateurs.bib_organismes DROP COLUMN meta_create_date, DROP COLUMN meta_update_date;
