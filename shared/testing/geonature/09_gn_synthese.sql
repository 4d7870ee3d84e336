-- The Synthèse itself: 64 columns, 27 foreign keys, 30 checks (18 of them on the type of a nomenclature), 14 indexes, 6 triggers.
-- (id_source, entity_source_pk_value) has neither constraint nor index: a writer who wants one asks the administrator.

CREATE SCHEMA gn_synthese;

CREATE TABLE gn_synthese.t_sources (
    id_source serial NOT NULL,
    name_source varchar(255) NOT NULL,
    desc_source text,
    entity_source_pk_field varchar(255),
    url_source varchar(255),
    meta_create_date timestamp without time zone DEFAULT now(),
    meta_update_date timestamp without time zone DEFAULT now(),
    id_module integer,
    CONSTRAINT pk_t_sources PRIMARY KEY (id_source),
    CONSTRAINT unique_name_source UNIQUE (name_source),
    CONSTRAINT t_sources_id_module_fkey FOREIGN KEY (id_module) REFERENCES gn_commons.t_modules (id_module)
);

CREATE TABLE gn_synthese.defaults_nomenclatures_value (
    mnemonique_type varchar(50) NOT NULL,
    id_organism integer DEFAULT 0 NOT NULL,
    regne varchar(20) DEFAULT '0' NOT NULL,
    group2_inpn varchar(255) DEFAULT '0' NOT NULL,
    id_nomenclature integer NOT NULL,
    CONSTRAINT pk_gn_synthese_defaults_nomenclatures_value PRIMARY KEY (mnemonique_type, id_organism, regne, group2_inpn),
    CONSTRAINT fk_gn_synthese_defaults_nomenclatures_value_mnemonique_type FOREIGN KEY (mnemonique_type)
        REFERENCES ref_nomenclatures.bib_nomenclatures_types (mnemonique) ON UPDATE CASCADE,
    CONSTRAINT fk_gn_synthese_defaults_nomenclatures_value_id_organism FOREIGN KEY (id_organism)
        REFERENCES utilisateurs.bib_organismes (id_organisme) ON UPDATE CASCADE
);
ALTER TABLE gn_synthese.defaults_nomenclatures_value
    ADD CONSTRAINT check_gn_synthese_defaults_nomenclatures_value_is_nomenclature_ CHECK
        (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature, mnemonique_type)) NOT VALID,
    ADD CONSTRAINT check_gn_synthese_defaults_nomenclatures_value_isgroup2inpn CHECK
        (taxonomie.check_is_group2inpn(group2_inpn::text) OR group2_inpn::text = '0') NOT VALID,
    ADD CONSTRAINT check_gn_synthese_defaults_nomenclatures_value_isregne CHECK
        (taxonomie.check_is_regne(regne::text) OR regne::text = '0') NOT VALID;

-- The default of a column of synthese. It applies only where the column is omitted: an explicit NULL stays NULL.
CREATE FUNCTION gn_synthese.get_default_nomenclature_value(
    myidtype varchar, myidorganism integer DEFAULT NULL, myregne varchar DEFAULT '0', mygroup2inpn varchar DEFAULT '0')
    RETURNS integer
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_value integer;
BEGIN
    SELECT INTO found_value d.id_nomenclature
      FROM gn_synthese.defaults_nomenclatures_value d
      JOIN utilisateurs.bib_organismes o ON o.id_organisme = d.id_organism
     WHERE d.mnemonique_type = myidtype
       AND (d.id_organism = myidorganism OR o.nom_organisme = 'ALL')
       AND (d.regne = myregne OR d.regne = '0')
       AND (d.group2_inpn = mygroup2inpn OR d.group2_inpn = '0')
     ORDER BY d.group2_inpn DESC, d.regne DESC, (d.id_organism = myidorganism) IS TRUE DESC
     LIMIT 1;
    RETURN found_value;
END;
$$;

CREATE TABLE gn_synthese.synthese (
    id_synthese integer NOT NULL,
    unique_id_sinp uuid,
    unique_id_sinp_grp uuid,
    id_source integer NOT NULL,
    id_module integer,
    entity_source_pk_value varchar,
    id_dataset integer,
    id_nomenclature_geo_object_nature integer DEFAULT gn_synthese.get_default_nomenclature_value('NAT_OBJ_GEO'),
    id_nomenclature_grp_typ integer DEFAULT gn_synthese.get_default_nomenclature_value('TYP_GRP'),
    grp_method varchar(255),
    id_nomenclature_obs_technique integer DEFAULT gn_synthese.get_default_nomenclature_value('METH_OBS'),
    id_nomenclature_bio_status integer DEFAULT gn_synthese.get_default_nomenclature_value('STATUT_BIO'),
    id_nomenclature_bio_condition integer DEFAULT gn_synthese.get_default_nomenclature_value('ETA_BIO'),
    id_nomenclature_naturalness integer DEFAULT gn_synthese.get_default_nomenclature_value('NATURALITE'),
    id_nomenclature_exist_proof integer DEFAULT gn_synthese.get_default_nomenclature_value('PREUVE_EXIST'),
    id_nomenclature_valid_status integer DEFAULT gn_synthese.get_default_nomenclature_value('STATUT_VALID'),
    id_nomenclature_diffusion_level integer,
    id_nomenclature_life_stage integer DEFAULT gn_synthese.get_default_nomenclature_value('STADE_VIE'),
    id_nomenclature_sex integer DEFAULT gn_synthese.get_default_nomenclature_value('SEXE'),
    id_nomenclature_obj_count integer DEFAULT gn_synthese.get_default_nomenclature_value('OBJ_DENBR'),
    id_nomenclature_type_count integer DEFAULT gn_synthese.get_default_nomenclature_value('TYP_DENBR'),
    id_nomenclature_sensitivity integer,
    id_nomenclature_observation_status integer DEFAULT gn_synthese.get_default_nomenclature_value('STATUT_OBS'),
    id_nomenclature_blurring integer DEFAULT gn_synthese.get_default_nomenclature_value('DEE_FLOU'),
    id_nomenclature_source_status integer DEFAULT gn_synthese.get_default_nomenclature_value('STATUT_SOURCE'),
    id_nomenclature_info_geo_type integer DEFAULT gn_synthese.get_default_nomenclature_value('TYP_INF_GEO'),
    id_nomenclature_behaviour integer DEFAULT gn_synthese.get_default_nomenclature_value('OCC_COMPORTEMENT'),
    id_nomenclature_biogeo_status integer DEFAULT gn_synthese.get_default_nomenclature_value('STAT_BIOGEO'),
    reference_biblio varchar(5000),
    count_min integer,
    count_max integer,
    cd_nom integer,
    cd_hab integer,
    nom_cite varchar(1000) NOT NULL,
    meta_v_taxref varchar(50) DEFAULT gn_commons.get_default_parameter('taxref_version', NULL),
    sample_number_proof text,
    digital_proof text,
    non_digital_proof text,
    altitude_min integer,
    altitude_max integer,
    depth_min integer,
    depth_max integer,
    place_name varchar(500),
    the_geom_4326 public.geometry(Geometry,4326),
    the_geom_point public.geometry(Point,4326),
    the_geom_local public.geometry(Geometry,2154),
    "precision" integer,
    id_area_attachment integer,
    date_min timestamp without time zone NOT NULL,
    date_max timestamp without time zone NOT NULL,
    validator varchar(1000),
    validation_comment text,
    observers varchar(1000),
    determiner varchar(1000),
    id_digitiser integer,
    id_nomenclature_determination_method integer DEFAULT gn_synthese.get_default_nomenclature_value('METH_DETERMIN'),
    comment_context text,
    comment_description text,
    additional_data jsonb,
    meta_validation_date timestamp without time zone,
    meta_create_date timestamp without time zone DEFAULT now(),
    meta_update_date timestamp without time zone DEFAULT now(),
    last_action character(1),
    id_import integer,
    CONSTRAINT check_synthese_altitude_max CHECK (altitude_max >= altitude_min),
    CONSTRAINT check_synthese_count_max CHECK (count_max >= count_min),
    CONSTRAINT check_synthese_date_max CHECK (date_max >= date_min),
    CONSTRAINT check_synthese_depth_max CHECK (depth_max >= depth_min),
    CONSTRAINT enforce_dims_the_geom_4326 CHECK (public.st_ndims(the_geom_4326) = 2),
    CONSTRAINT enforce_dims_the_geom_local CHECK (public.st_ndims(the_geom_local) = 2),
    CONSTRAINT enforce_dims_the_geom_point CHECK (public.st_ndims(the_geom_point) = 2),
    CONSTRAINT enforce_geotype_the_geom_point CHECK (public.geometrytype(the_geom_point) = 'POINT'::text OR the_geom_point IS NULL),
    CONSTRAINT enforce_srid_the_geom_4326 CHECK (public.st_srid(the_geom_4326) = 4326),
    CONSTRAINT enforce_srid_the_geom_local CHECK (public.st_srid(the_geom_local) = 2154),
    CONSTRAINT enforce_srid_the_geom_point CHECK (public.st_srid(the_geom_point) = 4326)
);

CREATE SEQUENCE gn_synthese.synthese_id_synthese_seq OWNED BY gn_synthese.synthese.id_synthese;
ALTER TABLE ONLY gn_synthese.synthese
    ALTER COLUMN id_synthese SET DEFAULT nextval('gn_synthese.synthese_id_synthese_seq'::regclass);

ALTER TABLE ONLY gn_synthese.synthese
    ADD CONSTRAINT pk_synthese PRIMARY KEY (id_synthese),
    ADD CONSTRAINT unique_id_sinp_unique UNIQUE (unique_id_sinp);

CREATE INDEX i_synthese_altitude_max ON gn_synthese.synthese (altitude_max);
CREATE INDEX i_synthese_altitude_min ON gn_synthese.synthese (altitude_min);
CREATE INDEX i_synthese_cd_nom ON gn_synthese.synthese (cd_nom);
CREATE INDEX i_synthese_date_max ON gn_synthese.synthese (date_max DESC);
CREATE INDEX i_synthese_date_min ON gn_synthese.synthese (date_min DESC);
CREATE INDEX i_synthese_id_dataset ON gn_synthese.synthese (id_dataset);
CREATE INDEX i_synthese_t_sources ON gn_synthese.synthese (id_source);
CREATE INDEX synthese_id_import_idx ON gn_synthese.synthese (id_import);
CREATE INDEX synthese_observers_idx ON gn_synthese.synthese (observers);
CREATE INDEX i_synthese_the_geom_4326 ON gn_synthese.synthese USING gist (the_geom_4326);
CREATE INDEX i_synthese_the_geom_local ON gn_synthese.synthese USING gist (the_geom_local);
CREATE INDEX i_synthese_the_geom_point ON gn_synthese.synthese USING gist (the_geom_point);

-- NOT VALID: rows that were there before are not looked at; every new or updated row is.
ALTER TABLE gn_synthese.synthese
    ADD CONSTRAINT check_synthese_bio_condition CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_bio_condition, 'ETA_BIO')) NOT VALID,
    ADD CONSTRAINT check_synthese_bio_status CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_bio_status, 'STATUT_BIO')) NOT VALID,
    ADD CONSTRAINT check_synthese_biogeo_status CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_biogeo_status, 'STAT_BIOGEO')) NOT VALID,
    ADD CONSTRAINT check_synthese_blurring CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_blurring, 'DEE_FLOU')) NOT VALID,
    ADD CONSTRAINT check_synthese_diffusion_level CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_diffusion_level, 'NIV_PRECIS')) NOT VALID,
    ADD CONSTRAINT check_synthese_exist_proof CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_exist_proof, 'PREUVE_EXIST')) NOT VALID,
    ADD CONSTRAINT check_synthese_geo_object_nature CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_geo_object_nature, 'NAT_OBJ_GEO')) NOT VALID,
    ADD CONSTRAINT check_synthese_life_stage CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_life_stage, 'STADE_VIE')) NOT VALID,
    ADD CONSTRAINT check_synthese_naturalness CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_naturalness, 'NATURALITE')) NOT VALID,
    ADD CONSTRAINT check_synthese_obj_count CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_obj_count, 'OBJ_DENBR')) NOT VALID,
    ADD CONSTRAINT check_synthese_obs_meth CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_obs_technique, 'METH_OBS')) NOT VALID,
    ADD CONSTRAINT check_synthese_observation_status CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_observation_status, 'STATUT_OBS')) NOT VALID,
    ADD CONSTRAINT check_synthese_sensitivity CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_sensitivity, 'SENSIBILITE')) NOT VALID,
    ADD CONSTRAINT check_synthese_sex CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_sex, 'SEXE')) NOT VALID,
    ADD CONSTRAINT check_synthese_source_status CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_source_status, 'STATUT_SOURCE')) NOT VALID,
    ADD CONSTRAINT check_synthese_typ_grp CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_grp_typ, 'TYP_GRP')) NOT VALID,
    ADD CONSTRAINT check_synthese_type_count CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_type_count, 'TYP_DENBR')) NOT VALID,
    ADD CONSTRAINT check_synthese_valid_status CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_valid_status, 'STATUT_VALID')) NOT VALID,
    ADD CONSTRAINT check_synthese_info_geo_type_id_area_attachment CHECK (NOT (
        ref_nomenclatures.get_cd_nomenclature(id_nomenclature_info_geo_type)::text = '2' AND id_area_attachment IS NULL)) NOT VALID;

-- naturalness has a check and no foreign key, info_geo_type and determination_method the reverse, behaviour neither.
ALTER TABLE ONLY gn_synthese.synthese
    ADD CONSTRAINT fk_synthese_id_nomenclature_bio_condition FOREIGN KEY (id_nomenclature_bio_condition)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_bio_status FOREIGN KEY (id_nomenclature_bio_status)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_biogeo_status FOREIGN KEY (id_nomenclature_biogeo_status)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_blurring FOREIGN KEY (id_nomenclature_blurring)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_determination_method FOREIGN KEY (id_nomenclature_determination_method)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_diffusion_level FOREIGN KEY (id_nomenclature_diffusion_level)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_exist_proof FOREIGN KEY (id_nomenclature_exist_proof)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_geo_object_nature FOREIGN KEY (id_nomenclature_geo_object_nature)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_id_nomenclature_grp_typ FOREIGN KEY (id_nomenclature_grp_typ)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_info_geo_type FOREIGN KEY (id_nomenclature_info_geo_type)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_life_stage FOREIGN KEY (id_nomenclature_life_stage)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_obj_count FOREIGN KEY (id_nomenclature_obj_count)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_obs_technique FOREIGN KEY (id_nomenclature_obs_technique)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_observation_status FOREIGN KEY (id_nomenclature_observation_status)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_sensitivity FOREIGN KEY (id_nomenclature_sensitivity)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_sex FOREIGN KEY (id_nomenclature_sex)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_source_status FOREIGN KEY (id_nomenclature_source_status)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_type_count FOREIGN KEY (id_nomenclature_type_count)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_nomenclature_valid_status FOREIGN KEY (id_nomenclature_valid_status)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_cd_hab FOREIGN KEY (cd_hab) REFERENCES ref_habitats.habref (cd_hab) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_cd_nom FOREIGN KEY (cd_nom) REFERENCES taxonomie.taxref (cd_nom) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_area_attachment FOREIGN KEY (id_area_attachment)
        REFERENCES ref_geo.l_areas (id_area) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_dataset FOREIGN KEY (id_dataset) REFERENCES gn_meta.t_datasets (id_dataset) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_digitiser FOREIGN KEY (id_digitiser) REFERENCES utilisateurs.t_roles (id_role) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_module FOREIGN KEY (id_module) REFERENCES gn_commons.t_modules (id_module) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_synthese_id_source FOREIGN KEY (id_source) REFERENCES gn_synthese.t_sources (id_source) ON UPDATE CASCADE,
    ADD CONSTRAINT fk_gn_synthese_id_import FOREIGN KEY (id_import) REFERENCES gn_imports.t_imports (id_import) ON DELETE SET NULL;

CREATE TABLE gn_synthese.cor_area_synthese (
    id_synthese integer NOT NULL,
    id_area integer NOT NULL,
    CONSTRAINT pk_cor_area_synthese PRIMARY KEY (id_synthese, id_area),
    CONSTRAINT fk_cor_area_synthese_id_area FOREIGN KEY (id_area)
        REFERENCES ref_geo.l_areas (id_area) ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT fk_cor_area_synthese_id_synthese FOREIGN KEY (id_synthese)
        REFERENCES gn_synthese.synthese (id_synthese) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX i_cor_area_synthese_id_area ON gn_synthese.cor_area_synthese (id_area);

CREATE TABLE gn_synthese.cor_observer_synthese (
    id_synthese integer NOT NULL,
    id_role integer NOT NULL,
    CONSTRAINT pk_cor_observer_synthese PRIMARY KEY (id_synthese, id_role),
    CONSTRAINT fk_gn_synthese_id_role FOREIGN KEY (id_role) REFERENCES utilisateurs.t_roles (id_role) ON UPDATE CASCADE,
    CONSTRAINT fk_gn_synthese_id_synthese FOREIGN KEY (id_synthese)
        REFERENCES gn_synthese.synthese (id_synthese) ON UPDATE CASCADE ON DELETE CASCADE
);

CREATE TABLE gn_synthese.t_log_synthese (
    id_synthese serial NOT NULL,
    last_action character(1) NOT NULL,
    meta_last_action_date timestamp without time zone DEFAULT now(),
    CONSTRAINT t_log_synthese_pkey PRIMARY KEY (id_synthese)
);

CREATE TABLE gn_synthese.bib_reports_types (
    id_type serial NOT NULL,
    type varchar NOT NULL,
    CONSTRAINT bib_reports_types_pkey PRIMARY KEY (id_type)
);
CREATE TABLE gn_synthese.t_reports (
    id_report serial NOT NULL,
    id_synthese integer NOT NULL,
    id_role integer NOT NULL,
    id_type integer,
    content varchar NOT NULL,
    creation_date timestamp without time zone DEFAULT CURRENT_TIMESTAMP,
    deleted boolean DEFAULT false,
    CONSTRAINT t_reports_pkey PRIMARY KEY (id_report),
    CONSTRAINT fk_report_role FOREIGN KEY (id_role)
        REFERENCES utilisateurs.t_roles (id_role) ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT fk_report_synthese FOREIGN KEY (id_synthese)
        REFERENCES gn_synthese.synthese (id_synthese) ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT fk_report_type FOREIGN KEY (id_type)
        REFERENCES gn_synthese.bib_reports_types (id_type) ON UPDATE CASCADE ON DELETE CASCADE
);
