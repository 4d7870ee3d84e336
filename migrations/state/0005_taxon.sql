-- The taxonomist's answers: which name of TAXREF a name of GBIF stands for, where neither links nor names tell, or tell wrong.
-- docs/taxa.md says how to ask and how to answer.

CREATE TABLE pinv_gbif.cor_taxon (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- GBIF's taxonKey, the name, or both: then both must be the record's. The name is scientificName, or
    -- verbatimScientificName where GBIF is in doubt.
    taxon_key       text,
    scientific_name text,
    -- NULL: records of this name never enter, for the reason in `note`. No foreign key: a TAXREF update must not fail here.
    cd_nom          integer,
    note            text,
    author          text NOT NULL DEFAULT current_user,
    answered_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT answers_something CHECK (COALESCE(taxon_key, scientific_name, '') <> ''),
    -- Key 0 is GBIF's word for every name that it does not know.
    CONSTRAINT key_0_needs_a_name CHECK (taxon_key <> '0' OR scientific_name IS NOT NULL),
    CONSTRAINT never_has_a_reason CHECK (cd_nom IS NOT NULL OR COALESCE(btrim(note), '') <> '')
);
CREATE UNIQUE INDEX cor_taxon_question ON pinv_gbif.cor_taxon (COALESCE(taxon_key, ''), COALESCE(scientific_name, ''));

CREATE TRIGGER cor_taxon_revision AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pinv_gbif.cor_taxon
    FOR EACH STATEMENT EXECUTE FUNCTION passereau.bump_revision('taxon');
