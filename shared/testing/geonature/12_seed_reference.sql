-- What a fresh instance holds besides vocabularies: the organism of everybody, parameters, modules, sources and defaults.

INSERT INTO utilisateurs.bib_organismes (uuid_organisme, nom_organisme) VALUES
    ('00000000-0000-4000-8000-000000000001', 'ALL'),
    ('00000000-0000-4000-8000-000000000002', 'Pôle invertébrés, flore et vertébrés d''essai');

INSERT INTO utilisateurs.t_roles (groupe, uuid_role, identifiant, nom_role, prenom_role, id_organisme) VALUES
    (true, '00000000-0000-4000-8000-000000000011', NULL, 'Grp_admin', NULL, NULL),
    (false, '00000000-0000-4000-8000-000000000012', 'validatrice', 'Validatrice', 'Camille',
     (SELECT id_organisme FROM utilisateurs.bib_organismes WHERE nom_organisme LIKE 'Pôle%'));

INSERT INTO gn_commons.t_parameters (id_organism, parameter_name, parameter_desc, parameter_value)
SELECT id_organisme, p.name, p.description, p.value
  FROM utilisateurs.bib_organismes,
       (VALUES ('taxref_version', 'Version du référentiel taxonomique', 'Taxref V16.0'),
               ('annee_ref_commune', 'Année du référentiel géographique des communes utilisé', '2017'),
               ('occtaxmobile_area_type', 'Type de zonage pour lequel la couleur des taxons est calculée pour Occtax-mobile', 'M5'))
       AS p (name, description, value)
 WHERE nom_organisme = 'ALL';

INSERT INTO gn_commons.t_modules (id_module, module_code, module_label, module_path, active_frontend, active_backend)
VALUES (0, 'GEONATURE', 'GeoNature', '/geonature', false, false);
INSERT INTO gn_commons.t_modules (module_code, module_label, module_path, active_frontend, active_backend) VALUES
    ('ADMIN', 'Admin', 'admin', true, false),
    ('METADATA', 'Métadonnées', 'metadata', true, true),
    ('SYNTHESE', 'Synthèse', 'synthese', true, true),
    ('VALIDATION', 'Validation', 'validation', true, true),
    ('IMPORT', 'Import', 'import', true, true),
    ('OCCTAX', 'OccTax', 'occtax', true, false);

-- There is no row for gn_synthese.synthese: whoever attaches a media to an observation adds it.
INSERT INTO gn_commons.bib_tables_location (table_desc, schema_name, table_name, pk_field, uuid_field_name) VALUES
    ('Regroupement de tous les médias de GeoNature', 'gn_commons', 't_medias', 'id_media', 'unique_id_media'),
    ('Liste des jeux de données', 'gn_meta', 't_datasets', 'id_dataset', 'unique_dataset_id');

INSERT INTO gn_synthese.t_sources (name_source, desc_source, entity_source_pk_field, url_source, id_module) VALUES
    ('Import', 'Données issues du module Import', 'entity_source_pk_value', NULL, gn_commons.get_id_module_bycode('IMPORT')),
    ('Occtax', 'Données issues du module Occtax', 'pr_occtax.cor_counting_occtax.id_counting_occtax',
     '#/occtax/info/id_counting', gn_commons.get_id_module_bycode('OCCTAX'));

INSERT INTO gn_synthese.defaults_nomenclatures_value (mnemonique_type, id_organism, id_nomenclature)
SELECT d.type, o.id_organisme, ref_nomenclatures.get_id_nomenclature(d.type, d.code)
  FROM utilisateurs.bib_organismes o,
       (VALUES ('NAT_OBJ_GEO', 'NSP'), ('TYP_GRP', 'NSP'), ('METH_OBS', '21'), ('STATUT_BIO', '1'), ('ETA_BIO', '1'),
               ('NATURALITE', '0'), ('PREUVE_EXIST', '0'), ('STATUT_VALID', '0'), ('STADE_VIE', '0'), ('SEXE', '6'),
               ('OBJ_DENBR', 'NSP'), ('TYP_DENBR', 'NSP'), ('STATUT_OBS', 'Pr'), ('DEE_FLOU', 'NON'), ('STATUT_SOURCE', 'NSP'),
               ('TYP_INF_GEO', '1'), ('OCC_COMPORTEMENT', '0'), ('STAT_BIOGEO', '1'), ('METH_DETERMIN', '1'))
       AS d (type, code)
 WHERE o.nom_organisme = 'ALL';

INSERT INTO ref_nomenclatures.defaults_nomenclatures_value (mnemonique_type, id_organism, id_nomenclature)
SELECT d.type, o.id_organisme, ref_nomenclatures.get_id_nomenclature(d.type, d.code)
  FROM utilisateurs.bib_organismes o,
       (VALUES ('DATA_TYP', '1'), ('JDD_OBJECTIFS', '1.1'), ('METHO_RECUEIL', '1'), ('DS_PUBLIQUE', 'Pu'), ('STATUT_SOURCE', 'Te'),
               ('RESOURCE_TYP', '1'), ('NIVEAU_TERRITORIAL', '3'), ('TYPE_FINANCEMENT', '1'), ('STATUT_VALID', '0'),
               ('TYPE_MEDIA', '2'))
       AS d (type, code)
 WHERE o.nom_organisme = 'ALL';

INSERT INTO taxonomie.t_meta_taxref (referencial_name, version) VALUES ('taxref', 18);
INSERT INTO taxonomie.bib_taxref_statuts (id_statut, nom_statut) VALUES
    (' ', 'Non précisé'), ('P', 'Présent'), ('E', 'Endémique'), ('S', 'Subendémique'), ('C', 'Cryptogène'), ('I', 'Introduit'),
    ('J', 'Introduit envahissant'), ('M', 'Introduit non établi (dont domestique)'), ('B', 'Accidentel / Visiteur'),
    ('D', 'Douteux'), ('A', 'Absent'), ('W', 'Disparu'), ('X', 'Eteint'), ('Y', 'Introduit éteint'), ('Z', 'Endémique éteint'),
    ('Q', 'Mentionné par erreur');
INSERT INTO taxonomie.bib_taxref_habitats (id_habitat, nom_habitat) VALUES
    (1, 'Marin'), (2, 'Eau douce'), (3, 'Terrestre'), (4, 'Marin et eau douce'), (5, 'Marin et terrestre'),
    (6, 'Eau saumâtre'), (7, 'Continental (terrestre et/ou eau douce)'), (8, 'Continental (terrestre et eau douce)');
INSERT INTO taxonomie.bib_taxref_rangs (id_rang, nom_rang, nom_rang_en, tri_rang) VALUES
    ('Dumm', 'Domaine', 'Domain', 1), ('KD', 'Règne', 'Kingdom', 4), ('PH', 'Embranchement', 'Phylum', 9),
    ('SBPH', 'Sous-embranchement', 'Subphylum', 10), ('CL', 'Classe', 'Class', 14), ('SBCL', 'Sous-classe', 'Subclass', 16),
    ('OR', 'Ordre', 'Order', 20), ('FM', 'Famille', 'Family', 26), ('SBFM', 'Sous-famille', 'Subfamily', 27),
    ('TR', 'Tribu', 'Tribe', 29), ('GN', 'Genre', 'Genus', 31), ('SSGN', 'Sous-genre', 'Subgenus', 32),
    ('AGES', 'Agrégat', 'Species aggregate', 34), ('ES', 'Espèce', 'Species', 35), ('SSES', 'Sous-espèce', 'Subspecies', 37),
    ('VAR', 'Variété', 'Variety', 41), ('FO', 'Forme', 'Form', 43), ('CVAR', 'Cultivar', 'Cultivar', 47);
-- Biota, the root of the tree.
INSERT INTO taxonomie.taxref (cd_nom, id_statut, id_rang, cd_ref, lb_nom, nom_complet, nom_complet_html, nom_valide)
VALUES (349525, 'P', 'Dumm', 349525, 'Biota', 'Biota', '<i>Biota</i>', 'Biota');
REFRESH MATERIALIZED VIEW taxonomie.vm_taxref_tree;
