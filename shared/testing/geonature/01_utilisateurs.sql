-- Organisms and people. `ALL` is the organism that carries the defaults of everybody.

CREATE SCHEMA utilisateurs;

CREATE TABLE utilisateurs.bib_organismes (
    id_organisme serial NOT NULL,
    uuid_organisme uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    nom_organisme varchar(500) NOT NULL,
    adresse_organisme varchar(128),
    cp_organisme varchar(5),
    ville_organisme varchar(100),
    tel_organisme varchar(14),
    fax_organisme varchar(14),
    email_organisme varchar(100),
    url_organisme varchar(255),
    url_logo varchar(255),
    id_parent integer,
    additional_data jsonb DEFAULT '{}'::jsonb,
    meta_create_date timestamp without time zone DEFAULT now(),
    meta_update_date timestamp without time zone DEFAULT now(),
    CONSTRAINT pk_bib_organismes PRIMARY KEY (id_organisme),
    CONSTRAINT bib_organismes_un UNIQUE (uuid_organisme),
    CONSTRAINT uq_bib_organismes_nom_organisme UNIQUE (nom_organisme),
    CONSTRAINT fk_bib_organismes_id_parent FOREIGN KEY (id_parent)
        REFERENCES utilisateurs.bib_organismes (id_organisme) ON UPDATE CASCADE
);

CREATE TABLE utilisateurs.t_roles (
    groupe boolean DEFAULT false NOT NULL,
    id_role serial NOT NULL,
    uuid_role uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    identifiant varchar(100),
    nom_role varchar(50),
    prenom_role varchar(50),
    desc_role text,
    pass varchar(100),
    pass_plus text,
    email varchar(250),
    id_organisme integer,
    remarques text,
    active boolean DEFAULT true,
    champs_addi jsonb,
    date_insert timestamp without time zone,
    date_update timestamp without time zone,
    CONSTRAINT pk_t_roles PRIMARY KEY (id_role),
    CONSTRAINT t_roles_uuid_un UNIQUE (uuid_role),
    CONSTRAINT t_roles_id_organisme_fkey FOREIGN KEY (id_organisme)
        REFERENCES utilisateurs.bib_organismes (id_organisme) ON UPDATE CASCADE
);

-- A second time: PostgreSQL would leave it out of the table's own definition.
ALTER TABLE utilisateurs.t_roles ADD CONSTRAINT uq_t_roles_uuid_role UNIQUE (uuid_role);

CREATE INDEX i_utilisateurs_groupe ON utilisateurs.t_roles (groupe);
CREATE INDEX i_utilisateurs_nom_prenom ON utilisateurs.t_roles (nom_role, prenom_role);
CREATE INDEX i_utilisateurs_active ON utilisateurs.t_roles (active);
CREATE UNIQUE INDEX uq_t_roles_identifiant ON utilisateurs.t_roles (identifiant) WHERE identifiant <> '' AND identifiant IS NOT NULL;

CREATE FUNCTION utilisateurs.fct_trg_meta_dates_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.meta_create_date = now();
    ELSIF TG_OP = 'UPDATE' THEN
        NEW.meta_update_date = now();
        NEW.meta_create_date = COALESCE(NEW.meta_create_date, now());
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER tri_meta_dates_change_organisms BEFORE INSERT OR UPDATE ON utilisateurs.bib_organismes
    FOR EACH ROW EXECUTE FUNCTION utilisateurs.fct_trg_meta_dates_change();
