-- Vocabulary: what GBIF's words mean in the nomenclatures of the SINP, and which of GBIF's issue flags refuse a record. Data
-- managers edit both tables; passereau.revision then grows, and the records that are touched are converted again.
-- How the tables are read: functions/35_vocabulary.sql. The same as a document: docs/vocabulary.md.

-- The form in which words are compared: GBIF wrote WIDESPREAD_INVASIVE and writes WidespreadInvasive, people write widespread
-- invasive. A generated column stands on it: what it answers may only change in a migration that writes the table anew.
CREATE FUNCTION passereau.vocabulary_key(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT lower(translate(value, '_- ', '')) $$;

-- One rule a row: a value of a Darwin Core term leads, under conditions, to a code of a nomenclature. Of the rules that apply
-- to a record, one wins for each nomenclature: see passereau.vocabulary_of.
CREATE TABLE pinv_gbif.cor_vocabulary (
    id                integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- reproductiveCondition, behavior and mediaType may hold several values, separated by | ; or a comma: each is looked for.
    term              text NOT NULL CHECK (term IN (
                          'occurrenceStatus', 'basisOfRecord', 'vitality', 'sex', 'lifeStage', 'reproductiveCondition', 'behavior',
                          'establishmentMeans', 'degreeOfEstablishment', 'organismQuantityType', 'mediaType')),
    -- Without regard to case, spaces, hyphens and underscores. '': the term is empty. NULL: whatever it holds, also nothing.
    value             text,
    -- Conditions: NULL is any.
    dataset_key       uuid,
    basis_of_record   text CHECK (btrim(basis_of_record) <> ''),
    kingdom           text CHECK (btrim(kingdom) <> ''),
    class             text CHECK (btrim(class) <> ''),
    "order"           text CHECK (btrim("order") <> ''),
    -- another term of the same record, and one of its values
    companion_term    text CHECK (companion_term IN (
                          'occurrenceStatus', 'basisOfRecord', 'vitality', 'sex', 'lifeStage', 'reproductiveCondition', 'behavior',
                          'establishmentMeans', 'degreeOfEstablishment', 'organismQuantityType', 'mediaType')),
    companion_value   text CHECK (btrim(companion_value) <> ''),
    -- Of several rules for one nomenclature the highest wins.
    priority          integer NOT NULL DEFAULT 0,
    nomenclature_type text NOT NULL CHECK (nomenclature_type IN (
                          'METH_OBS', 'STATUT_BIO', 'ETA_BIO', 'NATURALITE', 'STADE_VIE', 'SEXE', 'STATUT_OBS', 'STATUT_SOURCE',
                          'OCC_COMPORTEMENT', 'STAT_BIOGEO', 'METH_DETERMIN', 'OBJ_DENBR', 'TYP_DENBR')),
    -- NULL: the value is known and the instance's default is meant.
    nomenclature_code text CHECK (btrim(nomenclature_code) <> ''),
    -- false: the rule is only a suggestion
    active            boolean NOT NULL DEFAULT true,
    reason            text NOT NULL CHECK (btrim(reason) <> ''),
    value_key         text GENERATED ALWAYS AS (passereau.vocabulary_key(value)) STORED,
    -- how special the rule is
    conditions        integer GENERATED ALWAYS AS
                          (num_nonnulls(value, dataset_key, basis_of_record, kingdom, class, "order", companion_term)) STORED,
    CONSTRAINT cor_vocabulary_companion CHECK ((companion_term IS NULL) = (companion_value IS NULL) AND companion_term <> term),
    -- Only '' stands for nothing: ' - ' would, unseen.
    CONSTRAINT cor_vocabulary_value CHECK (value = '' OR passereau.vocabulary_key(value) <> ''),
    -- A value with a separator would never be found: the records' values are cut there.
    CONSTRAINT cor_vocabulary_separator CHECK (
        NOT (term IN ('reproductiveCondition', 'behavior', 'mediaType') AND value ~ '[|;,]')
        AND NOT (companion_term IN ('reproductiveCondition', 'behavior', 'mediaType') AND companion_value ~ '[|;,]'))
);
-- A rule stands once: two codes for the same case would be a matter of chance.
CREATE UNIQUE INDEX cor_vocabulary_rule ON pinv_gbif.cor_vocabulary (
    nomenclature_type, term, COALESCE(value_key, '*'), COALESCE(dataset_key::text, ''),
    COALESCE(passereau.vocabulary_key(basis_of_record), ''), COALESCE(passereau.vocabulary_key(kingdom), ''),
    COALESCE(passereau.vocabulary_key(class), ''), COALESCE(passereau.vocabulary_key("order"), ''),
    COALESCE(companion_term, ''), COALESCE(passereau.vocabulary_key(companion_value), ''));
CREATE TRIGGER cor_vocabulary_revision AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pinv_gbif.cor_vocabulary
    FOR EACH STATEMENT EXECUTE FUNCTION passereau.bump_revision('vocabulary');

-- The presence, the source, what the observer noticed.
INSERT INTO pinv_gbif.cor_vocabulary (term, value, nomenclature_type, nomenclature_code, reason) VALUES
    ('occurrenceStatus', 'PRESENT', 'STATUT_OBS', 'Pr', 'The taxon was observed.'),
    ('occurrenceStatus', 'ABSENT', 'STATUT_OBS', 'No', 'The taxon was searched and not detected. GeoNature''s default is a presence: an absence without this code would be a false one.'),
    ('occurrenceStatus', '', 'STATUT_OBS', 'Pr', 'An occurrence is a presence unless it says otherwise.'),
    ('basisOfRecord', 'HUMAN_OBSERVATION', 'STATUT_SOURCE', 'Te', 'Field data.'),
    ('basisOfRecord', 'OBSERVATION', 'STATUT_SOURCE', 'Te', 'Field data.'),
    ('basisOfRecord', 'MACHINE_OBSERVATION', 'STATUT_SOURCE', 'Te', 'Field data.'),
    ('basisOfRecord', 'PRESERVED_SPECIMEN', 'STATUT_SOURCE', 'Co', 'A specimen of a collection.'),
    ('basisOfRecord', 'FOSSIL_SPECIMEN', 'STATUT_SOURCE', 'Co', 'A specimen of a collection. Such records are rejected unless the subscription accepts them.'),
    ('basisOfRecord', 'LIVING_SPECIMEN', 'STATUT_SOURCE', 'Co', 'A specimen of a living collection. Such records are rejected unless the subscription accepts them.'),
    ('basisOfRecord', 'MATERIAL_SAMPLE', 'STATUT_SOURCE', 'NSP', 'The result of a sampling, often DNA from water or soil: it is no specimen of a collection, and who took it in the field is not said.'),
    ('basisOfRecord', 'MATERIAL_CITATION', 'STATUT_SOURCE', 'Li', 'A specimen as a publication cites it.'),
    ('basisOfRecord', 'LITERATURE', 'STATUT_SOURCE', 'Li', 'A publication; former word of GBIF for MATERIAL_CITATION.'),
    ('basisOfRecord', 'OCCURRENCE', 'STATUT_SOURCE', 'NSP', 'Ambiguous by definition.'),
    ('basisOfRecord', 'UNKNOWN', 'STATUT_SOURCE', 'NSP', 'Former word of GBIF for OCCURRENCE.'),
    ('basisOfRecord', '', 'STATUT_SOURCE', 'NSP', 'Nothing is said.'),
    ('basisOfRecord', NULL, 'METH_OBS', '21', 'GBIF does not tell how the organism was noticed: HUMAN_OBSERVATION is not "Vu".');

-- How it was determined, and what a platform may choose to infer.
INSERT INTO pinv_gbif.cor_vocabulary
    (term, value, dataset_key, companion_term, companion_value, nomenclature_type, nomenclature_code, active, reason) VALUES
    ('basisOfRecord', NULL, '14d5676a-2c54-4f94-9023-1e8dcd822aa0', NULL, NULL, 'METH_DETERMIN', '7', true, 'Dataset "Pl@ntNet automatically identified occurrences": identified by an algorithm alone (https://ipt.plantnet.org/resource?r=queries).'),
    ('basisOfRecord', 'MACHINE_OBSERVATION', NULL, 'mediaType', 'Sound', 'METH_OBS', '1', false, 'Suggestion: a machine that recorded a sound heard it.'),
    ('basisOfRecord', 'PRESERVED_SPECIMEN', NULL, NULL, NULL, 'METH_DETERMIN', '19', false, 'Suggestion: a specimen was examined in its collection, though its name may be the collector''s.');

-- The organism.
INSERT INTO pinv_gbif.cor_vocabulary (term, value, nomenclature_type, nomenclature_code, reason) VALUES
    ('vitality', 'alive', 'ETA_BIO', '2', 'Observed alive. Nothing else says so: an observation without vitality keeps the default.'),
    ('vitality', 'dead', 'ETA_BIO', '3', 'Found dead. A specimen is not: it died after the observation.'),
    ('vitality', 'mixedLot', 'ETA_BIO', NULL, 'Some alive, some dead: no code for both.'),
    ('vitality', 'uncertain', 'ETA_BIO', NULL, 'Nothing is known.'),
    ('vitality', 'undetermined', 'ETA_BIO', NULL, 'Nothing is known; iNaturalist''s word.'),
    ('vitality', 'notAssessed', 'ETA_BIO', NULL, 'Nothing is known.'),
    ('sex', 'Male', 'SEXE', '3', 'Same meaning.'),
    ('sex', 'Female', 'SEXE', '2', 'Same meaning.'),
    ('sex', 'Hermaphrodite', 'SEXE', '4', 'Same meaning; a word of older downloads.'),
    ('sex', 'Mixed', 'SEXE', '5', 'Same meaning.'),
    ('sex', 'Indeterminate', 'SEXE', '1', 'Looked at, not to be told.'),
    ('sex', 'Undetermined', 'SEXE', '1', 'Looked at, not to be told; a word of older downloads and of iNaturalist.'),
    ('sex', 'Other', 'SEXE', NULL, 'No equal in the SINP; sexless castes are filed there.'),
    ('sex', 'None', 'SEXE', NULL, 'No equal in the SINP.'),
    ('sex', 'Unknown', 'SEXE', NULL, 'Nothing is known.'),
    ('lifeStage', 'Adult', 'STADE_VIE', '2', 'Same meaning.'),
    ('lifeStage', 'Mature', 'STADE_VIE', '2', 'Adult.'),
    ('lifeStage', 'Imago', 'STADE_VIE', '15', 'Same meaning.'),
    ('lifeStage', 'Juvenile', 'STADE_VIE', '3', 'Same meaning.'),
    ('lifeStage', 'Hatchling', 'STADE_VIE', '3', 'A juvenile.'),
    ('lifeStage', 'Nestling', 'STADE_VIE', '3', 'A juvenile.'),
    ('lifeStage', 'Fledgling', 'STADE_VIE', '3', 'A juvenile.'),
    ('lifeStage', 'Chick', 'STADE_VIE', '3', 'A juvenile.'),
    ('lifeStage', 'Neonate', 'STADE_VIE', '3', 'A juvenile.'),
    ('lifeStage', 'Eft', 'STADE_VIE', '3', 'The terrestrial juvenile of a newt.'),
    ('lifeStage', 'Immature', 'STADE_VIE', '4', 'Same meaning.'),
    ('lifeStage', 'Subadult', 'STADE_VIE', '5', 'Same meaning.'),
    ('lifeStage', 'Larva', 'STADE_VIE', '6', 'Same meaning.'),
    ('lifeStage', 'Nauplius', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Metanauplius', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Zoea', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Megalopa', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Veliger', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Cyprid', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Furcilia', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Calyptopsis', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Deutonymph', 'STADE_VIE', '6', 'A larva.'),
    ('lifeStage', 'Nymph', 'STADE_VIE', '6', 'A false friend: GBIF''s nymph is the larva of an insect without pupa, "Nymphe" (13) is a pupa.'),
    ('lifeStage', 'Caterpillar', 'STADE_VIE', '7', 'Same meaning.'),
    ('lifeStage', 'Tadpole', 'STADE_VIE', '8', 'Same meaning.'),
    ('lifeStage', 'Egg', 'STADE_VIE', '9', 'Same meaning.'),
    ('lifeStage', 'Pupa', 'STADE_VIE', '13', 'The SINP names pupae by order; this is the general one.'),
    ('lifeStage', 'Seedling', 'STADE_VIE', '18', 'The nearest.'),
    ('lifeStage', 'Gametophyte', 'STADE_VIE', NULL, 'A thallus in bryophytes only.'),
    ('lifeStage', 'Flowering', 'STATUT_BIO', '3', '"Reproduction" covers flowering and fruiting.'),
    ('lifeStage', 'Flowering', 'STADE_VIE', NULL, 'It is no stage for the SINP.'),
    ('lifeStage', 'Fruiting', 'STATUT_BIO', '3', '"Reproduction" covers flowering and fruiting.'),
    ('lifeStage', 'Fruiting', 'STADE_VIE', NULL, '"Fruit" (27) would say that the object seen is a fruit.'),
    ('lifeStage', 'Embryo', 'STADE_VIE', NULL, 'No equal in the SINP.'),
    ('lifeStage', 'Fetus', 'STADE_VIE', NULL, 'No equal in the SINP.'),
    ('lifeStage', 'Zygote', 'STADE_VIE', NULL, 'No equal in the SINP.'),
    ('lifeStage', 'Cyst', 'STADE_VIE', NULL, 'No equal in the SINP.'),
    ('lifeStage', 'Polyp', 'STADE_VIE', NULL, 'No equal in the SINP.'),
    ('lifeStage', 'Medusa', 'STADE_VIE', NULL, 'No equal in the SINP.'),
    ('lifeStage', 'Unknown', 'STADE_VIE', NULL, 'Nothing is known.');
INSERT INTO pinv_gbif.cor_vocabulary (term, value, "order", nomenclature_type, nomenclature_code, reason) VALUES
    ('lifeStage', 'Pupa', 'Lepidoptera', 'STADE_VIE', '12', 'The pupa of a butterfly or moth is a chrysalis.'),
    ('lifeStage', 'Pupa', 'Diptera', 'STADE_VIE', '14', 'The pupa of a fly is a "pupe".');
INSERT INTO pinv_gbif.cor_vocabulary (term, value, kingdom, nomenclature_type, nomenclature_code, reason) VALUES
    ('lifeStage', 'Vegetative', 'Plantae', 'STATUT_BIO', '13', 'Plants only. It can lower the sensitivity of a record: explicit values alone lead here.');
-- The phylum is not landed: the classes of mosses, liverworts and hornworts one by one.
INSERT INTO pinv_gbif.cor_vocabulary (term, value, kingdom, class, nomenclature_type, nomenclature_code, reason)
SELECT 'lifeStage', 'Gametophyte', 'Plantae', class, 'STADE_VIE', '21', 'The gametophyte of a bryophyte is what one sees: its thallus.'
FROM unnest(ARRAY['Andreaeobryopsida', 'Andreaeopsida', 'Bryopsida', 'Oedipodiopsida', 'Polytrichopsida', 'Sphagnopsida',
                  'Takakiopsida', 'Tetraphidopsida', 'Haplomitriopsida', 'Jungermanniopsida', 'Marchantiopsida',
                  'Anthocerotopsida', 'Leiosporocerotopsida']) AS class;

-- Reproduction and behaviour are free text at GBIF: short closed lists. A code goes before a default when both are named.
INSERT INTO pinv_gbif.cor_vocabulary (term, value, priority, nomenclature_type, nomenclature_code, reason) VALUES
    ('reproductiveCondition', 'flowering', 10, 'STATUT_BIO', '3', '"Reproduction" covers flowering.'),
    ('reproductiveCondition', 'fruiting', 10, 'STATUT_BIO', '3', '"Reproduction" covers fruiting.'),
    ('reproductiveCondition', 'in flower', 10, 'STATUT_BIO', '3', '"Reproduction" covers flowering.'),
    ('reproductiveCondition', 'in bud', 10, 'STATUT_BIO', '3', '"Reproduction" covers flowering.'),
    ('reproductiveCondition', 'flower budding', 10, 'STATUT_BIO', '3', 'In bud; iNaturalist''s word.'),
    ('reproductiveCondition', 'breeding', 10, 'STATUT_BIO', '3', 'Same meaning.'),
    ('reproductiveCondition', 'nesting', 10, 'STATUT_BIO', '3', 'It breeds.'),
    ('reproductiveCondition', 'pregnant', 10, 'STATUT_BIO', '3', 'It breeds.'),
    ('reproductiveCondition', 'gravid', 10, 'STATUT_BIO', '3', 'It breeds.'),
    ('reproductiveCondition', 'lactating', 10, 'STATUT_BIO', '3', 'It breeds.'),
    ('reproductiveCondition', 'non-reproductive', 0, 'STATUT_BIO', '9', 'Explicit only: it can lower the sensitivity of a record.'),
    ('reproductiveCondition', 'not breeding', 0, 'STATUT_BIO', '9', 'Explicit only: it can lower the sensitivity of a record.'),
    ('reproductiveCondition', 'no evidence of flowering', 0, 'STATUT_BIO', NULL, 'No evidence of flowering is no evidence of its contrary: fruits may be there. iNaturalist''s word.'),
    ('behavior', 'singing', 0, 'OCC_COMPORTEMENT', '18', 'Same meaning.'),
    ('behavior', 'calling', 0, 'OCC_COMPORTEMENT', '18', 'The nearest.'),
    ('behavior', 'foraging', 0, 'OCC_COMPORTEMENT', '8', 'It feeds.'),
    ('behavior', 'hunting', 0, 'OCC_COMPORTEMENT', '8', 'Same meaning.'),
    ('behavior', 'feeding', 0, 'OCC_COMPORTEMENT', '8', 'Same meaning.'),
    ('behavior', 'migrating', 0, 'OCC_COMPORTEMENT', '4', 'Same meaning.'),
    ('behavior', 'flying over', 0, 'OCC_COMPORTEMENT', '10', 'Same meaning.'),
    ('behavior', 'roosting', 0, 'OCC_COMPORTEMENT', '3', 'Same meaning.'),
    ('behavior', 'resting', 0, 'OCC_COMPORTEMENT', '17', 'Same meaning.'),
    ('behavior', 'mating', 0, 'OCC_COMPORTEMENT', '19', 'Same meaning.'),
    ('behavior', 'copulation', 0, 'OCC_COMPORTEMENT', '19', 'Same meaning.'),
    ('behavior', 'nest feeding', 0, 'OCC_COMPORTEMENT', '14', 'It feeds its young.'),
    ('behavior', 'territorial', 0, 'OCC_COMPORTEMENT', '22', 'Same meaning.'),
    ('behavior', 'laying', 0, 'OCC_COMPORTEMENT', '23', 'Same meaning.'),
    ('behavior', 'ovipositing', 0, 'OCC_COMPORTEMENT', '23', 'It lays eggs.'),
    ('behavior', 'wintering', 0, 'OCC_COMPORTEMENT', '9', 'Same meaning.'),
    ('behavior', 'stranded', 0, 'OCC_COMPORTEMENT', '2', 'Same meaning.');

-- The taxon in the region: establishmentMeans, refined by degreeOfEstablishment where it is introduced.
INSERT INTO pinv_gbif.cor_vocabulary (term, value, nomenclature_type, nomenclature_code, reason) VALUES
    ('establishmentMeans', 'native', 'STAT_BIOGEO', '2', 'Same meaning.'),
    ('establishmentMeans', 'nativeReintroduced', 'STAT_BIOGEO', '2', 'Native to the place.'),
    ('establishmentMeans', 'nativeEndemic', 'STAT_BIOGEO', '2', 'Native to the place.'),
    ('establishmentMeans', 'introduced', 'STAT_BIOGEO', '3', 'Same meaning; degreeOfEstablishment refines it.'),
    ('establishmentMeans', 'introducedAssistedColonisation', 'STAT_BIOGEO', '3', 'Introduced; degreeOfEstablishment refines it.'),
    ('establishmentMeans', 'vagrant', 'STAT_BIOGEO', '6', 'Same meaning.'),
    ('establishmentMeans', 'uncertain', 'STAT_BIOGEO', '0', 'Same meaning.');
INSERT INTO pinv_gbif.cor_vocabulary
    (term, value, companion_term, companion_value, priority, nomenclature_type, nomenclature_code, reason)
SELECT 'degreeOfEstablishment', degree.value, 'establishmentMeans', means.value, 10, 'STAT_BIOGEO', degree.code, degree.reason
FROM unnest(ARRAY['introduced', 'introducedAssistedColonisation']) AS means (value),
     (VALUES ('captive', '5', 'Introduced, not established: the SINP counts domestic ones there.'),
             ('cultivated', '5', 'Introduced, not established: the SINP counts domestic ones there.'),
             ('released', '5', 'Introduced, not established.'),
             ('managed', '5', 'Introduced, not established: the SINP counts domestic ones there.'),
             ('unestablished', '5', 'Introduced, not established.'),
             ('casual', '5', 'Introduced, not established.'),
             ('failing', '5', 'Introduced, not established.'),
             ('invasive', '4', 'Introduced and invasive.'),
             ('widespreadInvasive', '4', 'Introduced and invasive.'),
             ('colonising', '4', 'Introduced and spreading.'),
             ('spreading', '4', 'Introduced and spreading.'),
             ('naturalized', '3', 'Introduced and established.'),
             ('established', '3', 'Introduced and established.'),
             ('reproducing', '3', 'Introduced and reproducing.')) AS degree (value, code, reason);
-- The individual: degreeOfEstablishment whatever establishmentMeans says, an individual of an introduced species may live
-- wild. A degree that says nothing of the individual (invasive, casual …) has no rule without its companion: it is unmatched.
INSERT INTO pinv_gbif.cor_vocabulary (term, value, kingdom, nomenclature_type, nomenclature_code, reason) VALUES
    ('degreeOfEstablishment', 'native', NULL, 'NATURALITE', '1', 'It lives wild.'),
    ('degreeOfEstablishment', 'captive', NULL, 'NATURALITE', '2', 'Bred.'),
    ('degreeOfEstablishment', 'cultivated', NULL, 'NATURALITE', '2', 'Grown.'),
    ('degreeOfEstablishment', 'managed', NULL, 'NATURALITE', '2', 'Grown or bred.'),
    ('degreeOfEstablishment', 'released', 'Animalia', 'NATURALITE', '4', 'Approximate: "Féral" is for animals that went wild.'),
    ('degreeOfEstablishment', 'released', 'Plantae', 'NATURALITE', '3', 'Approximate: planted outside of cultivation.'),
    ('degreeOfEstablishment', 'naturalized', 'Plantae', 'NATURALITE', '5', '"Subspontané" is for plants.'),
    ('degreeOfEstablishment', 'established', 'Plantae', 'NATURALITE', '5', '"Subspontané" is for plants.'),
    ('degreeOfEstablishment', 'reproducing', 'Plantae', 'NATURALITE', '5', '"Subspontané" is for plants.'),
    ('degreeOfEstablishment', 'naturalized', NULL, 'NATURALITE', NULL, '"Subspontané" is for plants.'),
    ('degreeOfEstablishment', 'established', NULL, 'NATURALITE', NULL, '"Subspontané" is for plants.'),
    ('degreeOfEstablishment', 'reproducing', NULL, 'NATURALITE', NULL, '"Subspontané" is for plants.');

-- What is counted.
INSERT INTO pinv_gbif.cor_vocabulary (term, value, nomenclature_type, nomenclature_code, reason)
SELECT 'organismQuantityType', counted.value, object.type, object.code, counted.reason
FROM (VALUES ('individuals', 'IND', 'Co', 'As individualCount.'),
             ('stems', 'TIGE', 'NSP', 'Same meaning.'),
             ('shoots', 'TIGE', 'NSP', 'The nearest.'),
             ('tufts', 'TOUF', 'NSP', 'Same meaning.'),
             ('nests', 'NID', 'NSP', 'Same meaning.'),
             ('pairs', 'CPL', 'NSP', 'Same meaning.'),
             ('clutches', 'PON', 'NSP', 'Same meaning.'),
             ('colonies', 'COL', 'NSP', 'Same meaning.'),
             ('flower stalks', 'HAM', 'NSP', 'Same meaning.'),
             ('m2', 'SURF', 'NSP', 'Square metres.'),
             ('m²', 'SURF', 'NSP', 'Square metres.')) AS counted (value, object, way, reason),
     LATERAL (VALUES ('OBJ_DENBR', counted.object), ('TYP_DENBR', counted.way)) AS object (type, code);
-- No counts: such a quantity is kept in additional_data with its type.
INSERT INTO pinv_gbif.cor_vocabulary (term, value, nomenclature_type, nomenclature_code, reason)
SELECT 'organismQuantityType', value, 'OBJ_DENBR', NULL, 'No count.'
FROM unnest(ARRAY['% cover', 'percentage cover', 'Braun-Blanquet', 'Braun-Blanquet scale', 'DNA reads', 'DNA sequence reads',
                  'biomass']) AS value;

-- GBIF's issue flags: https://techdocs.gbif.org/en/data-use/occurrence-issues-and-flags. A record is rejected (issue_flagged)
-- only where its place is not what the observer meant, or where GBIF stopped half-way: dates, taxa, absences and counts have
-- reject reasons of their own. A flag that does not stand here is noted.
CREATE TABLE pinv_gbif.cor_issue (
    issue  text PRIMARY KEY CHECK (issue ~ '^[A-Z][A-Z0-9_]*$'),
    -- ignore: nothing is done; note: kept in additional_data; reject: the record stays out
    action text NOT NULL CHECK (action IN ('ignore', 'note', 'reject')),
    reason text NOT NULL CHECK (btrim(reason) <> '')
);
CREATE TRIGGER cor_issue_revision AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pinv_gbif.cor_issue
    FOR EACH STATEMENT EXECUTE FUNCTION passereau.bump_revision('issue');

INSERT INTO pinv_gbif.cor_issue (issue, action, reason) VALUES
    -- Place.
    ('ZERO_COORDINATE', 'reject', 'The point 0, 0 stands for a missing one.'),
    ('COORDINATE_OUT_OF_RANGE', 'reject', 'No such latitude or longitude.'),
    ('COORDINATE_INVALID', 'reject', 'GBIF could not read the coordinates.'),
    ('COUNTRY_COORDINATE_MISMATCH', 'reject', 'The point lies outside the country that the record names: one of them is wrong, and nobody knows which.'),
    ('PRESUMED_SWAPPED_COORDINATE', 'reject', 'GBIF exchanged latitude and longitude so that the point falls into the country: the place is a guess.'),
    ('PRESUMED_NEGATED_LATITUDE', 'reject', 'GBIF changed the sign of the latitude so that the point falls into the country: the place is a guess.'),
    ('PRESUMED_NEGATED_LONGITUDE', 'reject', 'GBIF changed the sign of the longitude so that the point falls into the country: the place is a guess, and near the meridian of Greenwich, as in France, often a wrong one.'),
    ('COORDINATE_REPROJECTION_FAILED', 'reject', 'The coordinates are not in WGS84 and could not be brought there.'),
    ('COORDINATE_REPROJECTION_SUSPICIOUS', 'reject', 'Bringing the point to WGS84 moved it by more than 0.1 degree, some 10 km.'),
    ('COORDINATE_REPROJECTED', 'ignore', 'The point was brought to WGS84, as it should be.'),
    ('COORDINATE_ROUNDED', 'ignore', 'GBIF rounds to a few decimals, about a metre.'),
    ('GEODETIC_DATUM_ASSUMED_WGS84', 'ignore', 'Nothing was said of the datum; most coordinates without one come from GPS.'),
    ('GEODETIC_DATUM_INVALID', 'note', 'The datum could not be read and WGS84 was assumed: the point may be off by some hundred metres.'),
    ('COORDINATE_UNCERTAINTY_METERS_INVALID', 'note', 'The uncertainty is no plausible number: the precision stays empty.'),
    ('COORDINATE_PRECISION_INVALID', 'note', 'The coordinate precision is no plausible number.'),
    ('COORDINATE_ACCURACY_INVALID', 'note', 'Former flag for an implausible uncertainty.'),
    ('COORDINATE_PRECISION_UNCERTAINTY_MISMATCH', 'note', 'Former flag: uncertainty and precision do not agree.'),
    ('FOOTPRINT_WKT_MISMATCH', 'note', 'The footprint, which is not read, does not hold the point.'),
    ('FOOTPRINT_WKT_INVALID', 'ignore', 'The footprint is not read.'),
    ('FOOTPRINT_SRS_INVALID', 'ignore', 'The footprint is not read.'),
    ('COUNTRY_MISMATCH', 'note', 'The record''s country and country code do not agree.'),
    ('COUNTRY_INVALID', 'note', 'GBIF could not read the country, so it did not check the point against it.'),
    ('COUNTRY_DERIVED_FROM_COORDINATES', 'ignore', 'The country is taken from the point.'),
    ('CONTINENT_COORDINATE_MISMATCH', 'note', 'The continent does not agree with the point; the country, which is checked apart, may.'),
    ('CONTINENT_COUNTRY_MISMATCH', 'note', 'The record''s continent and country do not agree.'),
    ('CONTINENT_INVALID', 'ignore', 'The continent is not read.'),
    ('CONTINENT_DERIVED_FROM_COUNTRY', 'ignore', 'The continent is not read.'),
    ('CONTINENT_DERIVED_FROM_COORDINATES', 'ignore', 'The continent is not read.'),
    ('DEPTH_NOT_METRIC', 'ignore', 'The depth is not read.'),
    ('DEPTH_UNLIKELY', 'ignore', 'The depth is not read.'),
    ('DEPTH_MIN_MAX_SWAPPED', 'ignore', 'The depth is not read.'),
    ('DEPTH_NON_NUMERIC', 'ignore', 'The depth is not read.'),
    ('ELEVATION_NOT_METRIC', 'ignore', 'The altitude is not read.'),
    ('ELEVATION_UNLIKELY', 'ignore', 'The altitude is not read.'),
    ('ELEVATION_MIN_MAX_SWAPPED', 'ignore', 'The altitude is not read.'),
    ('ELEVATION_NON_NUMERIC', 'ignore', 'The altitude is not read.'),
    ('GEOREFERENCED_DATE_INVALID', 'ignore', 'The date of georeferencing is not read.'),
    ('GEOREFERENCED_DATE_UNLIKELY', 'ignore', 'The date of georeferencing is not read.'),
    -- Date. A date that cannot be used has reject reasons of its own (date_missing, date_future, date_too_old).
    ('RECORDED_DATE_MISMATCH', 'note', 'eventDate and year, month, day do not agree: GBIF keeps the part in which they do.'),
    ('RECORDED_DATE_INVALID', 'note', 'The date, or a part of it, could not be read: GBIF keeps the rest.'),
    ('RECORDED_DATE_UNLIKELY', 'note', 'In the future or before 1600: the limits of the platform decide.'),
    ('IDENTIFIED_DATE_INVALID', 'ignore', 'The date of identification does not enter the synthèse.'),
    ('IDENTIFIED_DATE_UNLIKELY', 'ignore', 'The date of identification does not enter the synthèse.'),
    ('MODIFIED_DATE_INVALID', 'ignore', 'The date of modification does not enter the synthèse.'),
    ('MODIFIED_DATE_UNLIKELY', 'ignore', 'The date of modification does not enter the synthèse.'),
    -- Taxon. The way to TAXREF decides, and records it.
    ('TAXON_MATCH_NONE', 'note', 'GBIF knows no such name; the verbatim one may still stand in TAXREF.'),
    ('TAXON_MATCH_HIGHERRANK', 'note', 'GBIF knows a higher taxon only; the verbatim name is tried first.'),
    ('TAXON_MATCH_FUZZY', 'note', 'GBIF knows a name that is written much alike; the verbatim name is tried first.'),
    ('TAXON_MATCH_AGGREGATE', 'note', 'The record is of an aggregate, GBIF''s key of a species.'),
    ('TAXON_MATCH_NAME_AND_ID_AMBIGUOUS', 'note', 'The record''s name and its identifier lead GBIF to different taxa.'),
    ('SCIENTIFIC_NAME_AND_ID_INCONSISTENT', 'note', 'The record''s name is not that of its identifier.'),
    ('TAXON_MATCH_SCIENTIFIC_NAME_ID_IGNORED', 'ignore', 'GBIF matched by name.'),
    ('TAXON_MATCH_TAXON_CONCEPT_ID_IGNORED', 'ignore', 'GBIF matched by name.'),
    ('TAXON_MATCH_TAXON_ID_IGNORED', 'ignore', 'GBIF matched by name.'),
    ('SCIENTIFIC_NAME_ID_NOT_FOUND', 'ignore', 'GBIF matched by name.'),
    ('TAXON_CONCEPT_ID_NOT_FOUND', 'ignore', 'GBIF matched by name.'),
    ('TAXON_ID_NOT_FOUND', 'ignore', 'GBIF matched by name.'),
    -- Presence and count. Absences and counts of zero have reject reasons of their own.
    ('OCCURRENCE_STATUS_UNPARSABLE', 'note', 'GBIF could not read the status, often an abundance, and inferred one.'),
    ('OCCURRENCE_STATUS_INFERRED_FROM_INDIVIDUAL_COUNT', 'ignore', 'A count of zero is an absence, any other a presence.'),
    ('OCCURRENCE_STATUS_INFERRED_FROM_BASIS_OF_RECORD', 'ignore', 'A specimen is a presence.'),
    ('INDIVIDUAL_COUNT_CONFLICTS_WITH_OCCURRENCE_STATUS', 'note', 'A count of zero and a presence, or the contrary: each has its own reject.'),
    ('INDIVIDUAL_COUNT_INVALID', 'note', 'The count is no whole number: it stays empty.'),
    -- The rest of the record.
    ('INTERPRETATION_ERROR', 'reject', 'GBIF stopped in the middle: what is missing, an absence perhaps, is not said.'),
    ('BASIS_OF_RECORD_INVALID', 'note', 'GBIF could not read the basis of record.'),
    ('TYPE_STATUS_INVALID', 'ignore', 'The type status does not enter the synthèse.'),
    ('SUSPECTED_TYPE', 'ignore', 'The type status does not enter the synthèse.'),
    ('MULTIMEDIA_URI_INVALID', 'note', 'A medium cannot be fetched.'),
    ('MULTIMEDIA_DATE_INVALID', 'ignore', 'The date of a medium is not read.'),
    ('REFERENCES_URI_INVALID', 'note', 'The digital proof is no address that opens.'),
    ('AMBIGUOUS_INSTITUTION', 'ignore', 'GBIF''s register of collections is not read.'),
    ('AMBIGUOUS_COLLECTION', 'ignore', 'GBIF''s register of collections is not read.'),
    ('INSTITUTION_MATCH_NONE', 'ignore', 'GBIF''s register of collections is not read.'),
    ('COLLECTION_MATCH_NONE', 'ignore', 'GBIF''s register of collections is not read.'),
    ('INSTITUTION_MATCH_FUZZY', 'ignore', 'GBIF''s register of collections is not read.'),
    ('COLLECTION_MATCH_FUZZY', 'ignore', 'GBIF''s register of collections is not read.'),
    ('INSTITUTION_COLLECTION_MISMATCH', 'ignore', 'GBIF''s register of collections is not read.'),
    ('POSSIBLY_ON_LOAN', 'ignore', 'Former flag of GBIF''s register of collections, which is not read.'),
    ('DIFFERENT_OWNER_INSTITUTION', 'ignore', 'GBIF''s register of collections is not read.');

-- Geological ages: only fossils carry them.
INSERT INTO pinv_gbif.cor_issue (issue, action, reason)
SELECT issue, 'ignore', 'Geological ages are not read.'
FROM unnest(ARRAY[
    'ERA_OR_ERATHEM_INFERRED_FROM_PARENT_RANK', 'PERIOD_OR_SYSTEM_INFERRED_FROM_PARENT_RANK',
    'EPOCH_OR_SERIES_INFERRED_FROM_PARENT_RANK', 'AGE_OR_STAGE_INFERRED_FROM_PARENT_RANK',
    'EON_OR_EONOTHEM_RANK_MISMATCH', 'ERA_OR_ERATHEM_RANK_MISMATCH', 'PERIOD_OR_SYSTEM_RANK_MISMATCH',
    'EPOCH_OR_SERIES_RANK_MISMATCH', 'AGE_OR_STAGE_RANK_MISMATCH',
    'EON_OR_EONOTHEM_INVALID_RANGE', 'ERA_OR_ERATHEM_INVALID_RANGE', 'PERIOD_OR_SYSTEM_INVALID_RANGE',
    'EPOCH_OR_SERIES_INVALID_RANGE', 'AGE_OR_STAGE_INVALID_RANGE',
    'EON_OR_EONOTHEM_AND_ERA_OR_ERATHEM_MISMATCH', 'ERA_OR_ERATHEM_AND_PERIOD_OR_SYSTEM_MISMATCH',
    'PERIOD_OR_SYSTEM_AND_EPOCH_OR_SERIES_MISMATCH', 'EPOCH_OR_SERIES_AND_AGE_OR_STAGE_MISMATCH']) AS issue;
