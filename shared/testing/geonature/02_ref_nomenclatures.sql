-- Controlled vocabularies. Values are named by (mnemonic of the type, code); identifiers differ between instances.
-- Every function is declared IMMUTABLE although it reads tables: so it is in GeoNature.

CREATE SCHEMA ref_nomenclatures;

CREATE TABLE ref_nomenclatures.bib_nomenclatures_types (
    id_type serial NOT NULL,
    mnemonique varchar(255),
    label_default varchar(255) NOT NULL,
    definition_default text,
    label_fr varchar(255) NOT NULL,
    definition_fr text,
    label_en varchar(255),
    definition_en text,
    label_es varchar(255),
    definition_es text,
    label_de varchar(255),
    definition_de text,
    label_it varchar(255),
    definition_it text,
    source varchar(50),
    statut varchar(20),
    meta_create_date timestamp without time zone DEFAULT now(),
    meta_update_date timestamp without time zone DEFAULT now(),
    CONSTRAINT pk_bib_nomenclatures_types PRIMARY KEY (id_type),
    CONSTRAINT unique_bib_nomenclatures_types_mnemonique UNIQUE (mnemonique)
);

CREATE TABLE ref_nomenclatures.t_nomenclatures (
    id_nomenclature serial NOT NULL,
    id_type integer NOT NULL,
    cd_nomenclature varchar(255) NOT NULL,
    mnemonique varchar(255),
    label_default varchar(255) NOT NULL,
    definition_default text,
    label_fr varchar(255) NOT NULL,
    definition_fr text,
    label_en varchar(255),
    definition_en text,
    label_es varchar(255),
    definition_es text,
    label_de varchar(255),
    definition_de text,
    label_it varchar(255),
    definition_it text,
    source varchar(50),
    statut varchar(20),
    id_broader integer,
    hierarchy varchar(255),
    meta_create_date timestamp without time zone DEFAULT now(),
    meta_update_date timestamp without time zone,
    active boolean NOT NULL DEFAULT true,
    CONSTRAINT pk_t_nomenclatures PRIMARY KEY (id_nomenclature),
    CONSTRAINT unique_id_type_cd_nomenclature UNIQUE (id_type, cd_nomenclature),
    CONSTRAINT fk_t_nomenclatures_id_broader FOREIGN KEY (id_broader)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature),
    CONSTRAINT fk_t_nomenclatures_id_type FOREIGN KEY (id_type)
        REFERENCES ref_nomenclatures.bib_nomenclatures_types (id_type) ON UPDATE CASCADE
);
CREATE INDEX index_t_nomenclatures_bib_nomenclatures_types_fkey ON ref_nomenclatures.t_nomenclatures (id_type);

CREATE FUNCTION ref_nomenclatures.get_id_nomenclature_type(mytype varchar) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_type integer;
BEGIN
    SELECT INTO found_type id_type FROM ref_nomenclatures.bib_nomenclatures_types WHERE mnemonique = mytype;
    RETURN found_type;
END;
$$;

CREATE FUNCTION ref_nomenclatures.get_id_nomenclature(mytype varchar, mycdnomenclature varchar) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_value integer;
BEGIN
    SELECT INTO found_value n.id_nomenclature
      FROM ref_nomenclatures.t_nomenclatures n
     WHERE n.id_type = ref_nomenclatures.get_id_nomenclature_type(mytype)
       AND n.cd_nomenclature = mycdnomenclature;
    RETURN found_value;
END;
$$;

CREATE FUNCTION ref_nomenclatures.get_cd_nomenclature(myidnomenclature integer) RETURNS varchar
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_code varchar;
BEGIN
    SELECT INTO found_code n.cd_nomenclature
      FROM ref_nomenclatures.t_nomenclatures n
     WHERE n.id_nomenclature = myidnomenclature;
    RETURN found_code;
END;
$$;

CREATE FUNCTION ref_nomenclatures.get_nomenclature_label(
    myidnomenclature integer DEFAULT NULL, mylanguage varchar DEFAULT 'fr') RETURNS varchar
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_label varchar;
BEGIN
    EXECUTE format('SELECT %I FROM ref_nomenclatures.t_nomenclatures WHERE id_nomenclature = $1', 'label_' || mylanguage)
       INTO found_label USING myidnomenclature;
    RETURN found_label;
END;
$$;

-- Used in CHECK constraints of the whole database. A wrong type does not fail the check: it raises (SQLSTATE P0001).
CREATE FUNCTION ref_nomenclatures.check_nomenclature_type_by_mnemonique(id integer, mytype varchar) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF id IN (SELECT id_nomenclature FROM ref_nomenclatures.t_nomenclatures
               WHERE id_type = ref_nomenclatures.get_id_nomenclature_type(mytype))
       OR id IS NULL
    THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'Error : id_nomenclature (%) is not of nomenclature type (%)', id, mytype;
END;
$$;

CREATE TABLE ref_nomenclatures.defaults_nomenclatures_value (
    mnemonique_type varchar(255) NOT NULL,
    id_organism integer NOT NULL,
    id_nomenclature integer NOT NULL,
    CONSTRAINT pk_defaults_nomenclatures_value PRIMARY KEY (mnemonique_type, id_organism),
    CONSTRAINT fk_defaults_nomenclatures_value_mnemonique_type FOREIGN KEY (mnemonique_type)
        REFERENCES ref_nomenclatures.bib_nomenclatures_types (mnemonique) ON UPDATE CASCADE,
    CONSTRAINT fk_defaults_nomenclatures_value_id_organism FOREIGN KEY (id_organism)
        REFERENCES utilisateurs.bib_organismes (id_organisme) ON UPDATE CASCADE,
    CONSTRAINT fk_defaults_nomenclatures_value_id_nomenclature FOREIGN KEY (id_nomenclature)
        REFERENCES ref_nomenclatures.t_nomenclatures (id_nomenclature) ON UPDATE CASCADE
);
ALTER TABLE ref_nomenclatures.defaults_nomenclatures_value
    ADD CONSTRAINT check_defaults_nomenclatures_value_is_nomenclature_in_type
    CHECK (ref_nomenclatures.check_nomenclature_type_by_mnemonique(id_nomenclature, mnemonique_type)) NOT VALID;

CREATE FUNCTION ref_nomenclatures.get_default_nomenclature_value(mytype varchar, myidorganism integer DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_value integer;
BEGIN
    SELECT INTO found_value d.id_nomenclature
      FROM ref_nomenclatures.defaults_nomenclatures_value d
      JOIN utilisateurs.bib_organismes o ON o.id_organisme = d.id_organism
     WHERE d.mnemonique_type = mytype
       AND (d.id_organism = myidorganism OR o.nom_organisme = 'ALL')
     ORDER BY (d.id_organism = myidorganism) IS TRUE DESC
     LIMIT 1;
    RETURN found_value;
END;
$$;

CREATE TRIGGER tri_meta_dates_change_bib_nomenclatures_types
    BEFORE INSERT OR UPDATE ON ref_nomenclatures.bib_nomenclatures_types
    FOR EACH ROW EXECUTE FUNCTION public.fct_trg_meta_dates_change();
CREATE TRIGGER tri_meta_dates_change_t_nomenclatures
    BEFORE INSERT OR UPDATE ON ref_nomenclatures.t_nomenclatures
    FOR EACH ROW EXECUTE FUNCTION public.fct_trg_meta_dates_change();
