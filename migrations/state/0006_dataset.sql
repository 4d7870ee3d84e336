-- What is known of GBIF's datasets: from the EML documents of archives and from GBIF's registry.

CREATE TABLE pinv_gbif.dataset (
    dataset_key  uuid PRIMARY KEY,
    title        text,
    description  text,
    -- the address of the licence, or its words where the publisher gives no address
    license      text,
    -- bare: 10.15468/ab3s5x
    doi          text,
    citation     text,
    type         text,
    modified     timestamptz,
    -- the publisher has withdrawn it; GBIF keeps its description
    withdrawn    boolean NOT NULL DEFAULT false,
    -- the publisher, by GBIF's key: what decides whether the data are the platform's own
    publishing_organization_key uuid,
    publishing_organization     text,
    -- organisations by name, as the EML document gives them
    contact_organization        text,
    provider_organization       text,
    -- people are text: they become no accounts of GeoNature
    persons      text,
    -- when the document of an archive was read last, and when the registry answered last
    eml_read_at       timestamptz,
    registry_asked_at timestamptz,
    -- the registry answered that it knows no such dataset
    registry_absent   boolean NOT NULL DEFAULT false
);

-- A batch of the stage 'enrich' holds either iNaturalist's ids or the keys of datasets that the registry is to be asked for.
ALTER TABLE passereau.slice ADD COLUMN dataset_keys uuid[];

-- Datasets of gn_meta.t_datasets that Passereau made, each for the first record that needed it. What became of them since
-- is their administrators' business.
CREATE TABLE passereau.made_dataset (
    id_dataset  integer PRIMARY KEY,
    dataset_key uuid NOT NULL,
    harvest_id  uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    -- the transaction that made it and has not settled it; NULL from then on
    open_in     xid8
);
CREATE INDEX made_dataset_open ON passereau.made_dataset (open_in) WHERE open_in IS NOT NULL;
