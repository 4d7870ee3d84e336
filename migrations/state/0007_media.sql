-- Media: what GBIF says of them, and the link between what is landed and gn_commons.t_medias.

-- Title and rights of a media, for its title and description in GeoNature.
ALTER TABLE pinv_gbif.multimedia
    ADD COLUMN title text,
    ADD COLUMN rights_holder text;

-- The media that a harvest brought in, one row for each address of a record. It is what tells our media from a person's, and
-- leads to t_medias by its primary key: that table has no index on the observation and no unique key but its own.
CREATE TABLE passereau.media (
    -- A record that GBIF gave a new gbifID takes its media along. A row of passereau.written can only go once its media are
    -- gone.
    gbif_id         bigint NOT NULL REFERENCES passereau.written (gbif_id) ON UPDATE CASCADE,
    -- `identifier` as landed, else `references`; its digest, because an address may be too long for an index
    address         text NOT NULL,
    address_key     uuid NOT NULL,
    -- both as they were given at the insertion
    unique_id_media uuid NOT NULL,
    -- NULL: left out, because the address is longer than GeoNature's 255 characters, or is no web address
    id_media        integer,
    -- of the columns that were written
    content_hash    uuid NOT NULL,
    PRIMARY KEY (gbif_id, address_key)
);
