-- Modules, parameters, media, validations and the history that triggers write.

CREATE SCHEMA gn_commons;

CREATE TABLE gn_commons.t_parameters (
    id_parameter serial NOT NULL,
    id_organism integer,
    parameter_name varchar(100) NOT NULL,
    parameter_desc text,
    parameter_value text NOT NULL,
    parameter_extra_value varchar(255),
    CONSTRAINT pk_t_parameters PRIMARY KEY (id_parameter),
    CONSTRAINT unique_t_parameters_id_organism_parameter_name UNIQUE (id_organism, parameter_name),
    CONSTRAINT fk_t_parameters_bib_organismes FOREIGN KEY (id_organism)
        REFERENCES utilisateurs.bib_organismes (id_organisme) ON UPDATE CASCADE
);
CREATE UNIQUE INDEX i_unique_t_parameters_parameter_name_with_id_organism_null
    ON gn_commons.t_parameters (parameter_name) WHERE id_organism IS NULL;

CREATE TABLE gn_commons.bib_tables_location (
    id_table_location serial NOT NULL,
    table_desc varchar(255),
    schema_name varchar(50) NOT NULL,
    table_name varchar(50) NOT NULL,
    pk_field varchar(50) NOT NULL,
    uuid_field_name varchar(50) NOT NULL,
    CONSTRAINT pk_bib_tables_location PRIMARY KEY (id_table_location),
    CONSTRAINT unique_bib_tables_location_schema_name_table_name UNIQUE (schema_name, table_name)
);

CREATE TABLE gn_commons.t_modules (
    id_module serial NOT NULL,
    module_code varchar(50) NOT NULL,
    module_label varchar(255) NOT NULL,
    module_picto varchar(255),
    module_desc text,
    module_group varchar(50),
    module_path varchar(255),
    module_external_url varchar(255),
    module_target varchar(10),
    module_comment text,
    active_frontend boolean NOT NULL,
    active_backend boolean NOT NULL,
    module_doc_url varchar(255),
    module_order integer,
    type varchar(255) DEFAULT 'base' NOT NULL,
    meta_create_date timestamp without time zone DEFAULT now(),
    meta_update_date timestamp without time zone DEFAULT now(),
    ng_module varchar(500),
    CONSTRAINT pk_t_modules PRIMARY KEY (id_module),
    CONSTRAINT unique_t_modules_module_code UNIQUE (module_code),
    CONSTRAINT unique_t_modules_module_path UNIQUE (module_path),
    CONSTRAINT check_urls_not_null CHECK (module_path IS NOT NULL OR module_external_url IS NOT NULL)
);

CREATE TABLE gn_commons.t_medias (
    id_media serial NOT NULL,
    unique_id_media uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    id_nomenclature_media_type integer NOT NULL,
    id_table_location integer NOT NULL,
    uuid_attached_row uuid,
    title_fr varchar(255),
    title_en varchar(255),
    title_it varchar(255),
    title_es varchar(255),
    title_de varchar(255),
    media_url varchar(255),
    media_path varchar(255),
    author varchar(100),
    description_fr text,
    description_en text,
    description_it text,
    description_es text,
    description_de text,
    is_public boolean DEFAULT true NOT NULL,
    meta_create_date timestamp without time zone DEFAULT now(),
    meta_update_date timestamp without time zone DEFAULT now(),
    CONSTRAINT pk_t_medias PRIMARY KEY (id_media),
    CONSTRAINT fk_t_medias_media_type FOREIGN KEY (id_nomenclature_media_type)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE,
    CONSTRAINT fk_t_medias_bib_tables_location FOREIGN KEY (id_table_location)
        REFERENCES gn_commons.bib_tables_location (id_table_location) ON UPDATE CASCADE
);
ALTER TABLE gn_commons.t_medias ADD CONSTRAINT check_t_medias_media_type
    CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_media_type, 'TYPE_MEDIA')) NOT VALID;

CREATE TABLE gn_commons.t_validations (
    id_validation serial NOT NULL,
    uuid_attached_row uuid NOT NULL,
    id_nomenclature_valid_status integer,
    validation_auto boolean DEFAULT true NOT NULL,
    id_validator integer,
    validation_comment text,
    validation_date timestamp without time zone DEFAULT now(),
    CONSTRAINT pk_t_validations PRIMARY KEY (id_validation),
    CONSTRAINT fk_t_validations_t_roles FOREIGN KEY (id_validator)
        REFERENCES utilisateurs.t_roles (id_role) ON UPDATE CASCADE,
    CONSTRAINT fk_t_validations_valid_status FOREIGN KEY (id_nomenclature_valid_status)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE
);
ALTER TABLE gn_commons.t_validations ADD CONSTRAINT check_t_validations_valid_status
    CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature_valid_status, 'STATUT_VALID')) NOT VALID;
CREATE INDEX i_t_validations_uuid_attached_row ON gn_commons.t_validations (uuid_attached_row);

CREATE TABLE gn_commons.t_history_actions (
    id_history_action serial NOT NULL,
    id_table_location integer NOT NULL,
    uuid_attached_row uuid NOT NULL,
    operation_type character(1),
    operation_date timestamp without time zone,
    table_content json,
    CONSTRAINT pk_t_history_actions PRIMARY KEY (id_history_action),
    CONSTRAINT check_t_history_actions_operation_type CHECK (operation_type IN ('I', 'U', 'D')),
    CONSTRAINT fk_t_history_actions_bib_tables_location FOREIGN KEY (id_table_location)
        REFERENCES gn_commons.bib_tables_location (id_table_location) ON UPDATE CASCADE
);

CREATE FUNCTION gn_commons.get_default_parameter(myparamname text, myidorganisme integer DEFAULT 0) RETURNS text
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_value text;
BEGIN
    SELECT INTO found_value parameter_value
      FROM gn_commons.t_parameters
     WHERE parameter_name = myparamname AND (myidorganisme IS NULL OR id_organism = myidorganisme)
     LIMIT 1;
    RETURN found_value;
END;
$$;

CREATE FUNCTION gn_commons.role_is_group(myidrole integer) RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE is_group boolean;
BEGIN
    SELECT INTO is_group groupe FROM utilisateurs.t_roles WHERE id_role = myidrole;
    RETURN is_group;
END;
$$;

CREATE FUNCTION gn_commons.get_id_module_bycode(mymodule text) RETURNS integer
    LANGUAGE plpgsql AS $$
DECLARE found_module integer;
BEGIN
    SELECT INTO found_module id_module FROM gn_commons.t_modules WHERE module_code ILIKE mymodule;
    RETURN found_module;
END;
$$;

CREATE FUNCTION gn_commons.get_table_location_id(myschema text, mytable text) RETURNS integer
    LANGUAGE plpgsql AS $$
DECLARE found_location integer;
BEGIN
    SELECT INTO found_location id_table_location
      FROM gn_commons.bib_tables_location WHERE schema_name = myschema AND table_name = mytable;
    RETURN found_location;
END;
$$;

CREATE FUNCTION gn_commons.get_uuid_field_name(myschema text, mytable text) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE found_field varchar(50);
BEGIN
    SELECT INTO found_field uuid_field_name
      FROM gn_commons.bib_tables_location WHERE schema_name = myschema AND table_name = mytable;
    RETURN found_field;
END;
$$;

-- Writes the whole row as JSON into the history, once per row: several times the volume of the media themselves.
CREATE FUNCTION gn_commons.fct_trg_log_changes() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    location integer;
    uuid_field varchar(50);
    row_uuid uuid;
    content json;
BEGIN
    SELECT INTO location gn_commons.get_table_location_id(quote_ident(TG_TABLE_SCHEMA), quote_ident(TG_TABLE_NAME));
    SELECT INTO uuid_field gn_commons.get_uuid_field_name(quote_ident(TG_TABLE_SCHEMA), quote_ident(TG_TABLE_NAME));
    IF TG_OP = 'DELETE' THEN
        content := row_to_json(OLD.*);
        EXECUTE format('SELECT $1.%I', uuid_field) INTO row_uuid USING OLD;
    ELSE
        content := row_to_json(NEW.*);
        EXECUTE format('SELECT $1.%I', uuid_field) INTO row_uuid USING NEW;
    END IF;
    INSERT INTO gn_commons.t_history_actions
        (id_table_location, uuid_attached_row, operation_type, operation_date, table_content)
    VALUES (location, row_uuid, left(TG_OP, 1), now(), content);
    RETURN NEW;
END;
$$;

-- A validation is copied into the observation it is about, found by its SINP identifier.
CREATE FUNCTION gn_commons.fct_trg_update_synthese_validation_status() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gn_synthese.synthese
       SET id_nomenclature_valid_status = NEW.id_nomenclature_valid_status,
           validation_comment = NEW.validation_comment,
           validator = (SELECT nom_role || ' ' || prenom_role FROM utilisateurs.t_roles WHERE id_role = NEW.id_validator),
           meta_validation_date = NEW.validation_date
     WHERE unique_id_sinp = NEW.uuid_attached_row;
    RETURN NEW;
END;
$$;

CREATE TRIGGER tri_meta_dates_change_t_modules BEFORE INSERT OR UPDATE ON gn_commons.t_modules
    FOR EACH ROW EXECUTE FUNCTION public.fct_trg_meta_dates_change();
CREATE TRIGGER tri_meta_dates_change_t_medias BEFORE INSERT OR UPDATE ON gn_commons.t_medias
    FOR EACH ROW EXECUTE FUNCTION public.fct_trg_meta_dates_change();
CREATE TRIGGER tri_log_changes_t_medias AFTER INSERT OR UPDATE OR DELETE ON gn_commons.t_medias
    FOR EACH ROW EXECUTE FUNCTION gn_commons.fct_trg_log_changes();
CREATE TRIGGER tri_insert_synthese_update_validation_status AFTER INSERT ON gn_commons.t_validations
    FOR EACH ROW EXECUTE FUNCTION gn_commons.fct_trg_update_synthese_validation_status();
