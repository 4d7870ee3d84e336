-- The targets of two foreign keys of synthese, reduced to what those need: imports made by people through GeoNature's Import module
-- (core since 2.15), and habitats.

CREATE SCHEMA gn_imports;
CREATE TABLE gn_imports.t_imports (
    id_import serial NOT NULL,
    format_source_file varchar(10),
    srid integer,
    separator varchar,
    encoding varchar,
    full_file_name varchar(255),
    date_create_import timestamp without time zone DEFAULT now(),
    date_update_import timestamp without time zone DEFAULT now(),
    date_end_import timestamp without time zone,
    source_count integer,
    CONSTRAINT t_imports_pkey PRIMARY KEY (id_import)
);

CREATE SCHEMA ref_habitats;
CREATE TABLE ref_habitats.habref (
    cd_hab integer NOT NULL,
    fg_validite varchar(20) NOT NULL,
    cd_typo integer NOT NULL,
    lb_code varchar(50),
    lb_hab_fr varchar(500),
    lb_hab_fr_complet varchar(500),
    lb_hab_en varchar(500),
    lb_auteur varchar(500),
    niveau integer,
    lb_niveau varchar(100),
    cd_hab_sup integer,
    path_cd_hab varchar(2000),
    france varchar(5),
    lb_description varchar(4000),
    CONSTRAINT pk_habref PRIMARY KEY (cd_hab)
);
