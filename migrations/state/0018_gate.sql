-- What may leave the synthèse: the tables that a platform can read, review and change. functions/98_gate.sql uses them.
-- What none of these tables knows does not leave.

-- Up to which precision a level lets a record leave. Instances have codes of their own (text, not numbers: 2.8 is "no diffusion" where
-- meshes replaced the old levels), so this is a table, as gn_sensitivity.cor_sensitivity_area_type is for GeoNature's own screens.
CREATE TABLE passereau.sensitivity_level (
    -- cd_nomenclature of type SENSIBILITE
    code      text PRIMARY KEY,
    -- exact: as it stands; area: as the area of `area_type` that it lies in; none: not at all
    precision text NOT NULL CHECK (precision IN ('exact', 'area', 'none')),
    -- ref_geo.bib_areas_types.type_code
    area_type text,
    CHECK ((precision = 'area') = (area_type IS NOT NULL))
);
-- The levels that GeoNature ships (PnX-SI/GeoNature, migrations/data/core/sensitivity.sql; PnX-SI/Nomenclature-api-module,
-- nomenclatures_inpn_data.sql) and those of the platforms that express levels as meshes. 2.7 (a mesh of 70 km) has no area type of
-- RefGeo: it does not leave until a platform that has one says so here.
INSERT INTO passereau.sensitivity_level VALUES
    ('0', 'exact', NULL), ('1', 'area', 'COM'), ('2', 'area', 'M10'), ('3', 'area', 'DEP'), ('4', 'none', NULL),
    ('2.1', 'area', 'M1'), ('2.2', 'area', 'M2'), ('2.3', 'area', 'M5'), ('2.4', 'area', 'M10'), ('2.5', 'area', 'M20'),
    ('2.6', 'area', 'M50'), ('2.7', 'none', NULL), ('2.8', 'none', NULL);

-- The precision that the producer wishes (NIV_PRECIS), for records that are not sensitive; a record without a wish leaves as it stands.
-- The codes are in no order: 5 is the most precise, 4 the least.
CREATE TABLE passereau.diffusion_wish (
    -- cd_nomenclature of type NIV_PRECIS
    code      text PRIMARY KEY,
    precision text NOT NULL CHECK (precision IN ('exact', 'area', 'none')),
    area_type text,
    CHECK ((precision = 'area') = (area_type IS NOT NULL))
);
INSERT INTO passereau.diffusion_wish VALUES
    ('0', 'exact', NULL), ('1', 'area', 'COM'), ('2', 'area', 'M10'), ('3', 'area', 'DEP'), ('4', 'none', NULL), ('5', 'exact', NULL);

-- What becomes of a column when the record leaves as an area. A column (or a column for that type of area) that is not here is emptied.
--   keep        as it stands: it says nothing of the place. For what is the place itself, leads to it by a look-up or would be untrue
--               (is_never_kept in shared/gate) it means generalise
--   generalise  what the area says instead; the dictionary (`passereau flow fields`) tells what that is
--   empty       no value
CREATE TABLE passereau.blur_rule (
    field     text NOT NULL,
    -- ref_geo.bib_areas_types.type_code, or * for every type that has no row of its own
    area_type text NOT NULL DEFAULT '*',
    treatment text NOT NULL CHECK (treatment IN ('keep', 'generalise', 'empty')),
    reason    text NOT NULL CHECK (btrim(reason) <> ''),
    PRIMARY KEY (field, area_type)
);

-- Licences by what sources write. What is not here is not known, and does not leave.
CREATE TABLE passereau.licence (
    -- in lower case, without anything but letters and digits: of `CC_BY_4_0` and of
    -- `http://creativecommons.org/licenses/by/4.0/legalcode` the same words in another order
    spelling text PRIMARY KEY CHECK (spelling ~ '^[a-z0-9]+$'),
    -- as SPDX names it (https://spdx.org/licenses/)
    licence  text NOT NULL
);
-- The three of GBIF downloads (https://techdocs.gbif.org/en/data-use/download-formats), as words and as addresses, and the open
-- licence of French administrations (https://www.etalab.gouv.fr/licence-ouverte-open-licence/).
INSERT INTO passereau.licence VALUES
    ('cc010', 'CC0-1.0'), ('cc0', 'CC0-1.0'),
    ('creativecommonsorgpublicdomainzero10', 'CC0-1.0'), ('creativecommonsorgpublicdomainzero10legalcode', 'CC0-1.0'),
    ('ccby40', 'CC-BY-4.0'),
    ('creativecommonsorglicensesby40', 'CC-BY-4.0'), ('creativecommonsorglicensesby40legalcode', 'CC-BY-4.0'),
    ('ccbync40', 'CC-BY-NC-4.0'),
    ('creativecommonsorglicensesbync40', 'CC-BY-NC-4.0'), ('creativecommonsorglicensesbync40legalcode', 'CC-BY-NC-4.0'),
    ('etalab20', 'etalab-2.0'), ('licenceouverte20', 'etalab-2.0'), ('licenceouverteetalab20', 'etalab-2.0');

-- Everything that is not named here is emptied: identifiers that can be looked up (id_synthese, id_origine, UUIDs, links), what stands beside the
-- record in the field or in the file (grouping, hours, dates of entry: records of one outing share them with records that leave exactly),
-- names of places, free texts, heights, habitats, datasets (that of a study of one site names it).
INSERT INTO passereau.blur_rule (field, area_type, treatment, reason) VALUES
    ('uuid_perm_sinp', '*', 'generalise', 'the public UUID leads to the public point; a name for this flow alone still tells records apart'),
    ('nom_cite', '*', 'generalise', 'a free text; the name of TAXREF says the same taxon'),
    ('communes', 'COM', 'generalise', 'the commune is the area itself'),
    ('rattachement_type', '*', 'generalise', 'the area itself'),
    ('rattachement_code', '*', 'generalise', 'the area itself'),
    ('rattachement_nom', '*', 'generalise', 'the area itself'),
    ('x_centroid_4326', '*', 'generalise', 'that of the area'),
    ('y_centroid_4326', '*', 'generalise', 'that of the area'),
    ('nature_objet_geo', '*', 'generalise', 'the record is somewhere in the area'),
    ('type_info_geo', '*', 'generalise', 'the record is attached to the area'),
    ('floutage_dee', '*', 'generalise', 'it is blurred'),
    ('clause_rediffusion', '*', 'generalise', 'names the area type that may not be refined'),
    ('niveau_sensibilite', '*', 'keep', 'the partner must know the level'),
    ('niveau_precision_diffusion', '*', 'keep', 'a precision, no place'),
    ('nom_source', '*', 'generalise', 'a study of one site may be a source of its own'),
    ('cd_nom', '*', 'keep', 'the taxon'), ('cd_ref', '*', 'keep', 'the taxon'),
    ('version_taxref', '*', 'generalise', 'a text of the row: it leaves where it is a version and nothing else'),
    ('nom_valide', '*', 'keep', 'the taxon'), ('nom_vernaculaire', '*', 'keep', 'the taxon'), ('regne', '*', 'keep', 'the taxon'),
    ('group1_inpn', '*', 'keep', 'the taxon'), ('group2_inpn', '*', 'keep', 'the taxon'), ('group3_inpn', '*', 'keep', 'the taxon'),
    ('classe', '*', 'keep', 'the taxon'), ('ordre', '*', 'keep', 'the taxon'), ('famille', '*', 'keep', 'the taxon'),
    ('rang_taxo', '*', 'keep', 'the taxon'),
    ('date_debut', '*', 'keep', 'a day'), ('date_fin', '*', 'keep', 'a day'),
    ('nombre_min', '*', 'keep', 'a count'), ('nombre_max', '*', 'keep', 'a count'),
    ('objet_denombrement', '*', 'keep', 'a word of the standard'), ('type_denombrement', '*', 'keep', 'a word of the standard'),
    ('observateurs', '*', 'generalise', 'names, who are owed the mention; without the hour, nor anything else that stands in the text'),
    ('determinateur', '*', 'generalise', 'names, who are owed the mention'), ('validateur', '*', 'generalise', 'names'),
    ('niveau_validation', '*', 'keep', 'a word of the standard'), ('statut_observation', '*', 'keep', 'a word of the standard'),
    ('technique_observation', '*', 'keep', 'a word of the standard'), ('biologique_statut', '*', 'keep', 'a word of the standard'),
    ('etat_biologique', '*', 'keep', 'a word of the standard'), ('biogeographique_statut', '*', 'keep', 'a word of the standard'),
    ('naturalite', '*', 'keep', 'a word of the standard'), ('preuve_existante', '*', 'keep', 'a word of the standard'),
    ('stade_vie', '*', 'keep', 'a word of the standard'), ('sexe', '*', 'keep', 'a word of the standard'),
    ('comportement', '*', 'keep', 'a word of the standard'), ('statut_source', '*', 'keep', 'a word of the standard'),
    ('methode_determination', '*', 'keep', 'a word of the standard'), ('type_regroupement', '*', 'keep', 'a word of the standard'),
    ('licence', '*', 'keep', 'a licence, no place'), ('rights_holder', '*', 'generalise', 'names, who are owed the mention');
