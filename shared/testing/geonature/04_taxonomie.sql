-- TAXREF, its tree, and its links to other references. The link to GBIF is a row of taxref_liens with ct_name = 'GBIF' and the
-- usageKey of the GBIF backbone as text: neither a function (one key may carry several cd_nom) nor complete.

CREATE SCHEMA taxonomie;

CREATE TABLE taxonomie.bib_taxref_habitats (
    id_habitat integer NOT NULL,
    nom_habitat varchar(50) NOT NULL,
    desc_habitat text,
    CONSTRAINT pk_bib_taxref_habitats PRIMARY KEY (id_habitat)
);
CREATE TABLE taxonomie.bib_taxref_rangs (
    id_rang varchar(10) NOT NULL,
    nom_rang varchar(50) NOT NULL,
    nom_rang_en varchar(50) NOT NULL,
    tri_rang integer,
    CONSTRAINT pk_bib_taxref_rangs PRIMARY KEY (id_rang)
);
CREATE TABLE taxonomie.bib_taxref_statuts (
    id_statut char(1) NOT NULL,
    nom_statut varchar(50) NOT NULL,
    CONSTRAINT pk_bib_taxref_statuts PRIMARY KEY (id_statut)
);

CREATE TABLE taxonomie.taxref (
    cd_nom integer NOT NULL,
    id_statut char(1),
    id_habitat integer,
    id_rang varchar(10),
    regne varchar(20),
    phylum varchar(50),
    classe varchar(50),
    ordre varchar(50),
    famille varchar(50),
    sous_famille varchar(50),
    tribu varchar(50),
    cd_taxsup integer,
    cd_sup integer,
    cd_ref integer,
    lb_nom varchar(250),
    lb_auteur varchar(500),
    nom_complet varchar(500),
    nom_complet_html varchar(500),
    nom_valide varchar(500),
    nom_vern varchar(1000),
    nom_vern_eng varchar(500),
    group1_inpn varchar(50),
    group2_inpn varchar(50),
    url text,
    group3_inpn varchar(250),
    CONSTRAINT pk_taxref PRIMARY KEY (cd_nom),
    CONSTRAINT fk_taxref_bib_taxref_habitats FOREIGN KEY (id_habitat)
        REFERENCES taxonomie.bib_taxref_habitats (id_habitat) ON UPDATE CASCADE,
    CONSTRAINT fk_taxref_bib_taxref_rangs FOREIGN KEY (id_rang)
        REFERENCES taxonomie.bib_taxref_rangs (id_rang) ON UPDATE CASCADE,
    CONSTRAINT taxref_id_statut_fkey FOREIGN KEY (id_statut)
        REFERENCES taxonomie.bib_taxref_statuts (id_statut) ON UPDATE CASCADE
);
CREATE INDEX i_fk_taxref_bib_taxref_habitat ON taxonomie.taxref (id_habitat);
CREATE INDEX i_fk_taxref_bib_taxref_rangs ON taxonomie.taxref (id_rang);
CREATE INDEX i_fk_taxref_bib_taxref_statuts ON taxonomie.taxref (id_statut);
CREATE INDEX i_fk_taxref_group1_inpn ON taxonomie.taxref (group1_inpn);
CREATE INDEX i_fk_taxref_group2_inpn ON taxonomie.taxref (group2_inpn);
CREATE INDEX i_fk_taxref_nom_vern ON taxonomie.taxref (nom_vern);
CREATE INDEX i_taxref_cd_ref ON taxonomie.taxref (cd_ref);
CREATE INDEX i_taxref_cd_sup ON taxonomie.taxref (cd_sup);
CREATE INDEX i_taxref_group3_inpn ON taxonomie.taxref (group3_inpn);
CREATE INDEX i_taxref_hierarchy ON taxonomie.taxref (regne, phylum, classe, ordre, famille);

CREATE TABLE taxonomie.t_meta_taxref (
    referencial_name varchar NOT NULL,
    version integer NOT NULL,
    update_date timestamp without time zone DEFAULT now(),
    CONSTRAINT t_meta_taxref_pkey PRIMARY KEY (referencial_name, version)
);

CREATE TABLE taxonomie.taxref_liens (
    ct_name varchar(250) NOT NULL,
    ct_type varchar(250) NOT NULL,
    ct_authors text,
    ct_title varchar,
    ct_url varchar(250),
    cd_nom integer NOT NULL,
    ct_sp_id varchar NOT NULL,
    url_sp text,
    CONSTRAINT taxref_liens_pkey PRIMARY KEY (ct_name, cd_nom, ct_sp_id),
    CONSTRAINT taxref_liens_cd_nom_fkey FOREIGN KEY (cd_nom) REFERENCES taxonomie.taxref (cd_nom)
);

CREATE FUNCTION taxonomie.find_cdref(id integer) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE reference integer;
BEGIN
    SELECT INTO reference cd_ref FROM taxonomie.taxref WHERE cd_nom = id;
    RETURN reference;
END;
$$;

CREATE FUNCTION taxonomie.find_all_taxons_children(ids integer[]) RETURNS TABLE (cd_nom integer, cd_ref integer)
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE below AS (
        SELECT t.cd_nom, t.cd_ref FROM taxonomie.taxref t WHERE t.cd_sup = ANY (ids)
        UNION ALL
        SELECT t.cd_nom, t.cd_ref FROM below b JOIN taxonomie.taxref t ON t.cd_sup = b.cd_nom
    )
    SELECT * FROM below;
END;
$$;
CREATE FUNCTION taxonomie.find_all_taxons_children(id integer) RETURNS TABLE (cd_nom integer, cd_ref integer)
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN QUERY SELECT * FROM taxonomie.find_all_taxons_children(ARRAY[id]);
END;
$$;

CREATE MATERIALIZED VIEW taxonomie.vm_regne AS
    SELECT DISTINCT regne FROM taxonomie.taxref;
CREATE UNIQUE INDEX i_unique_regne ON taxonomie.vm_regne (regne);
CREATE MATERIALIZED VIEW taxonomie.vm_group1_inpn AS
    SELECT DISTINCT group1_inpn FROM taxonomie.taxref;
CREATE UNIQUE INDEX i_unique_group1_inpn ON taxonomie.vm_group1_inpn (group1_inpn);
CREATE MATERIALIZED VIEW taxonomie.vm_group2_inpn AS
    SELECT DISTINCT group2_inpn FROM taxonomie.taxref;
CREATE UNIQUE INDEX i_unique_group2_inpn ON taxonomie.vm_group2_inpn (group2_inpn);

CREATE FUNCTION taxonomie.check_is_regne(myregne text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN myregne IS NULL OR EXISTS (SELECT FROM taxonomie.vm_regne v WHERE v.regne = myregne);
END;
$$;
CREATE FUNCTION taxonomie.check_is_group2inpn(mygroup text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN mygroup IS NULL OR EXISTS (SELECT FROM taxonomie.vm_group2_inpn v WHERE v.group2_inpn = mygroup);
END;
$$;

-- Paths of cd_ref from Biota (349525) down; a name whose parent is not in TAXREF is the root of its own path.
-- Permissions with a taxonomic filter read this view: a cd_nom which is not in it is seen by nobody who has such a filter.
CREATE MATERIALIZED VIEW taxonomie.vm_taxref_tree AS
    WITH RECURSIVE biota AS (
        SELECT t.cd_nom, t.cd_ref::text::public.ltree AS path
          FROM taxonomie.taxref t
         WHERE t.cd_nom = 349525
        UNION ALL
        SELECT child.cd_nom, parent.path OPERATOR(public.||) child.cd_ref::text AS path
          FROM taxonomie.taxref child
          JOIN taxonomie.taxref child_ref ON child_ref.cd_nom = child.cd_ref
          JOIN biota parent ON parent.cd_nom = child_ref.cd_sup
    ), orphans AS (
        SELECT t.cd_nom, t.cd_ref::text::public.ltree AS path
          FROM taxonomie.taxref t
          JOIN taxonomie.taxref t_ref ON t_ref.cd_nom = t.cd_ref
          LEFT JOIN taxonomie.taxref parent ON parent.cd_nom = t_ref.cd_sup AND parent.cd_nom <> t_ref.cd_nom
         WHERE parent.cd_nom IS NULL
    )
    SELECT cd_nom, path FROM biota
    UNION
    SELECT cd_nom, path FROM orphans;
CREATE UNIQUE INDEX taxref_tree_cd_nom_idx ON taxonomie.vm_taxref_tree (cd_nom);
CREATE INDEX taxref_tree_path_idx ON taxonomie.vm_taxref_tree USING gist (path);
