-- Media: from GBIF's multimedia table to gn_commons.t_medias, for subscriptions with media = true (the default is false).
--
-- A media of GeoNature belongs to the observation whose unique_id_sinp is its uuid_attached_row. Of a landed row:
--   media_url    the file (`identifier`) when the media has a licence; without one the media stays a link to its page
--                (`references`, else `identifier`): nobody has allowed to show it elsewhere
--   type         TYPE_MEDIA: 2 photo, 5 audio, 6 video, by GBIF's type, else by its format; a link is 3, web page, as is a
--                file of another type, or of a type whose value is not active on this platform
--   title_fr     its title, else the name that the record cites: GeoNature shows an empty one as "null"
--   author       `creator`, cut at 100 characters; the title is cut at 255. Where the observers' names are hidden
--                (45_observers.sql) it is the account or nobody, and a file whose licence asks for the name stays a link
--   description_fr  licence, rights holder, and GBIF as the place it comes from
-- An address of more than 255 characters, or that is no http address, is left out: its row in passereau.media has no
-- id_media. An address that stands twice with one record enters once.
--
-- unique_id_media is UUIDv5 (RFC 9562, URL namespace) of https://www.gbif.org/occurrence/<gbifID>#<address>.
--
-- People's edits: a media that somebody deleted in GeoNature does not come back while GBIF holds it (its row in
-- passereau.media tells that it was there); is_public is never named again after the insertion; the columns above are
-- written again only when they change at GBIF. Media that passereau.media does not hold are a person's and are left alone.
-- A media goes when its record loses it, unless media is false by then: nothing is touched without it.
--
-- GeoNature's own trigger writes each media into gn_commons.t_history_actions, several times its volume.
--
-- Cost of a slice of 10,000 records with 20,000 media, beside 520,000 media in t_medias, with and without statistics of the
-- tables (EXPLAIN (ANALYZE), 2 cores):
--   new        2.4 s: 0.35 s to make them, the rest is t_medias with GeoNature's history, checks and keys
--   changed    2.9 s
--   lost       1.6 s
--   unchanged  1.1 s: the media to be are made three times, once for each of the three statements
--   no media   0.03 s
-- t_medias is only ever joined by its primary key. media_of() takes 0.007 ms a media.
--
-- Fails with PS001 when gn_commons.bib_tables_location has no row for the synthèse, or TYPE_MEDIA has no active value 3.
--
-- Locks: rows of t_medias that change or go. Two harvests that meet the same record do not meet here: the first one holds its
-- row of passereau.written.
SET check_function_bodies = off;

-- An address that a browser opens, else NULL. Others, javascript: among them, would end up in a link of GeoNature.
CREATE OR REPLACE FUNCTION passereau.web_address(address text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN btrim(address) ~* '^https?://[^[:space:]"<>]+$' THEN btrim(address) END
$$;

-- Whether a text names a licence to use. `license` of a media is free text, where publishers also write "All rights
-- reserved" or the name of the holder: what is not recognised is no licence.
CREATE OR REPLACE FUNCTION passereau.is_licence(licence text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(licence ~* 'creative ?commons|\mcc[-_ ]?(by|0|zero)|public ?domain|domaine public|etalab|licen[cs]e ouverte|open government licen[cs]e'
                    AND licence !~* '^\s*(no|not)\M', false)
$$;

-- Whether a licence asks for no name: CC0 and the public domain mark (https://creativecommons.org/public-domain/).
CREATE OR REPLACE FUNCTION passereau.is_public_domain(licence text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(licence ~* 'publicdomain|public ?domain|domaine public|\mcc[-_ ]?(0|zero)', false)
$$;

-- One row for each record of a chunk that has media. The hash does not depend on their order, and media_url neither: the
-- first address in the order of bytes, pictures before the rest.
CREATE OR REPLACE FUNCTION passereau.media_of(of_generation bigint, after_id bigint, upto_id bigint)
RETURNS TABLE (gbif_id bigint, media_hash uuid, media_url text)
LANGUAGE sql STABLE AS $$
    SELECT m.gbif_id, md5(array_agg(DISTINCT m.row_hash)::text)::uuid,
           COALESCE(min(m.url) FILTER (WHERE m.picture), min(m.url))
    FROM (SELECT r.gbif_id, lower(r.type) = 'stillimage' OR (r.type IS NULL AND r.format ILIKE 'image/%') AS picture,
                 COALESCE(passereau.web_address(r.identifier), passereau.web_address(r."references")) COLLATE "C" AS url,
                 md5(ROW (r.type, r.format, r.identifier, r."references", r.license, r.creator, r.title, r.rights_holder)::text)::uuid
                     AS row_hash
          FROM pinv_gbif.multimedia r
          WHERE r.generation_id = of_generation AND r.gbif_id > after_id AND r.gbif_id <= upto_id
          OFFSET 0) m    -- each value is computed once
    GROUP BY m.gbif_id
$$;

-- The media that the records written by a harvest in a range are to have. media_url is NULL for what is left out.
CREATE OR REPLACE FUNCTION passereau.wanted_media(of_harvest uuid, of_generation bigint, first_id bigint, last_id bigint)
RETURNS TABLE (gbif_id bigint, unique_id_sinp uuid, address text, address_key uuid, media_url text, id_nomenclature_media_type integer,
               title text, author text, description text, content_hash uuid)
LANGUAGE sql STABLE AS $$
    WITH kind AS MATERIALIZED (
        SELECT k.code, COALESCE(passereau.nomenclature('TYPE_MEDIA', k.code), passereau.nomenclature('TYPE_MEDIA', '3')) AS id
        FROM unnest(ARRAY['2', '3', '5', '6']) k (code)
    ), landed AS (
        -- Of two rows with one address, the one with the licence.
        SELECT DISTINCT ON (r.gbif_id, a.address)
               r.gbif_id, a.address, f.file,
               COALESCE(f.file, passereau.web_address(r."references"), passereau.web_address(r.identifier)) AS url,
               lower(COALESCE(r.type, r.format)) AS kind, r.title, p.creator, r.license, p.rights_holder,
               COALESCE(o.verbatim_scientific_name, o.scientific_name) AS name
        FROM pinv_gbif.multimedia r
        JOIN pinv_gbif.occurrence o ON o.generation_id = of_generation AND o.gbif_id = r.gbif_id
        LEFT JOIN passereau.hidden_names(of_generation, first_id - 1, last_id,
                                         (SELECT h.settings FROM passereau.harvest h WHERE h.id = of_harvest)) n ON n.gbif_id = r.gbif_id
        -- Whom the record does not name, its media do not name either: the observer by the account, others not at all.
        CROSS JOIN LATERAL (
            SELECT CASE WHEN n.gbif_id IS NULL THEN r.creator WHEN r.creator = o.recorded_by THEN n.login END AS creator,
                   CASE WHEN n.gbif_id IS NULL THEN r.rights_holder WHEN r.rights_holder = o.recorded_by THEN n.login END
                       AS rights_holder
            OFFSET 0) p
        CROSS JOIN LATERAL (SELECT COALESCE(NULLIF(btrim(r.identifier), ''), NULLIF(btrim(r."references"), '')) AS address OFFSET 0) a
        -- A file that is shown without its author breaks a licence that asks for the name: the page that tells it is linked.
        CROSS JOIN LATERAL (SELECT CASE WHEN passereau.is_licence(r.license)
                                             AND (n.gbif_id IS NULL OR p.creator IS NOT NULL OR p.rights_holder IS NOT NULL
                                                  OR passereau.is_public_domain(r.license))
                                        THEN passereau.web_address(r.identifier) END AS file
                            OFFSET 0) f
        WHERE r.generation_id = of_generation AND r.gbif_id BETWEEN first_id AND last_id AND a.address IS NOT NULL
        ORDER BY r.gbif_id, a.address, f.file IS NULL, ROW (r.*)::text
    ), converted AS (
        SELECT l.gbif_id, w.unique_id_sinp, l.address,
               CASE WHEN length(l.url) <= 255 THEN l.url END AS media_url,
               k.id AS id_nomenclature_media_type,
               left(COALESCE(l.title, l.name), 255) AS title,
               left(l.creator, 100) AS author,
               concat_ws(' · ', l.license, l.rights_holder, 'GBIF') AS description
        FROM landed l
        JOIN passereau.written w ON w.gbif_id = l.gbif_id AND w.harvest_id = of_harvest
        JOIN kind k ON k.code = CASE WHEN l.file IS NULL THEN '3'
                                     WHEN l.kind = 'stillimage' OR l.kind LIKE 'image/%' THEN '2'
                                     WHEN l.kind = 'sound' OR l.kind LIKE 'audio/%' THEN '5'
                                     WHEN l.kind = 'movingimage' OR l.kind LIKE 'video/%' THEN '6'
                                     ELSE '3' END
        OFFSET 0
    )
    SELECT c.gbif_id, c.unique_id_sinp, c.address, md5(c.address)::uuid, c.media_url, c.id_nomenclature_media_type, c.title, c.author,
           c.description,
           md5(ROW (c.media_url, c.id_nomenclature_media_type, c.title, c.author, c.description)::text)::uuid
    FROM converted c
$$;

-- Called by apply() once the rows of a slice are written. Called again, it changes nothing.
CREATE OR REPLACE FUNCTION passereau.apply_media(of_harvest uuid, first_id bigint, last_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    generation bigint;
    location   integer;
BEGIN
    SELECT h.generation_id INTO generation
    FROM passereau.harvest h WHERE h.id = of_harvest AND (h.settings ->> 'media')::boolean;
    IF generation IS NULL THEN
        RETURN;
    END IF;
    SELECT l.id_table_location INTO location
    FROM gn_commons.bib_tables_location l WHERE l.schema_name = 'gn_synthese' AND l.table_name = 'synthese';
    IF location IS NULL THEN
        RAISE EXCEPTION 'gn_commons.bib_tables_location has no row for gn_synthese.synthese, which the media of harvest % need: run `passereau install --role passereau --with-media`',
                of_harvest
            USING ERRCODE = 'PS001', HINT = '`passereau install --role passereau --with-media --print-sql` prints the statements for an administrator.';
    END IF;
    IF passereau.nomenclature('TYPE_MEDIA', '3') IS NULL THEN
        RAISE EXCEPTION 'TYPE_MEDIA has no active value 3 (web page), which the media of harvest % need: activate it in GeoNature''s nomenclatures, or set media of the subscription to false',
                of_harvest
            USING ERRCODE = 'PS001';
    END IF;

    PERFORM passereau.apply_media_lost(of_harvest, generation, first_id, last_id);
    PERFORM passereau.apply_media_changed(of_harvest, generation, first_id, last_id);
    PERFORM passereau.apply_media_new(of_harvest, generation, first_id, last_id, location);
END $$;

-- What a record no longer has goes; so does what is to be left out from now on, or no longer, which then enters as new.
-- Statements are planned anew for each slice, as in 70_apply.sql. NOT IN, over columns that are never NULL, because it is
-- answered from one hash: NOT EXISTS made the wanted media again for each row, 30 s a slice.
CREATE OR REPLACE FUNCTION passereau.apply_media_lost(of_harvest uuid, of_generation bigint, first_id bigint, last_id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $sql$
        WITH lost AS (
            DELETE FROM passereau.media k
            USING passereau.written w
            WHERE k.gbif_id BETWEEN $3 AND $4 AND w.gbif_id = k.gbif_id AND w.harvest_id = $1
              AND (k.gbif_id, k.address_key, k.id_media IS NULL) NOT IN (
                  SELECT m.gbif_id, m.address_key, m.media_url IS NULL FROM passereau.wanted_media($1, $2, $3, $4) m)
            RETURNING k.id_media, k.unique_id_media
        )
        DELETE FROM gn_commons.t_medias t USING lost l
        WHERE t.id_media = l.id_media AND t.unique_id_media = l.unique_id_media
    $sql$ USING of_harvest, of_generation, first_id, last_id;
END $$;

CREATE OR REPLACE FUNCTION passereau.apply_media_changed(of_harvest uuid, of_generation bigint, first_id bigint, last_id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $sql$
        WITH changed AS (
            UPDATE passereau.media k SET content_hash = m.content_hash
            FROM passereau.wanted_media($1, $2, $3, $4) m
            WHERE k.gbif_id = m.gbif_id AND k.address_key = m.address_key AND k.content_hash <> m.content_hash
            RETURNING k.id_media, k.unique_id_media, m.media_url, m.id_nomenclature_media_type, m.title, m.author, m.description
        )
        UPDATE gn_commons.t_medias t
        SET media_url = c.media_url, id_nomenclature_media_type = c.id_nomenclature_media_type, title_fr = c.title,
            author = c.author, description_fr = c.description
        FROM changed c
        WHERE t.id_media = c.id_media AND t.unique_id_media = c.unique_id_media
    $sql$ USING of_harvest, of_generation, first_id, last_id;
END $$;

-- The numbers are taken from t_medias' own sequence beforehand: what the INSERT returns would have to be joined to what it was
-- made from, and PostgreSQL, which takes either for one row, compared each with each, 28 s a slice.
CREATE OR REPLACE FUNCTION passereau.apply_media_new(of_harvest uuid, of_generation bigint, first_id bigint, last_id bigint,
                                                     location integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $sql$
        WITH missing AS MATERIALIZED (
            SELECT m.*, CASE WHEN m.media_url IS NOT NULL THEN nextval($6) END AS id_media,
                   uuid_generate_v5(uuid_ns_url(), 'https://www.gbif.org/occurrence/' || m.gbif_id || '#' || m.address)
                       AS unique_id_media
            FROM passereau.wanted_media($1, $2, $3, $4) m
            WHERE NOT EXISTS (SELECT FROM passereau.media k WHERE k.gbif_id = m.gbif_id AND k.address_key = m.address_key)
        ), entered AS (
            INSERT INTO gn_commons.t_medias (id_media, unique_id_media, id_nomenclature_media_type, id_table_location,
                                             uuid_attached_row, title_fr, media_url, author, description_fr, is_public)
            SELECT m.id_media, m.unique_id_media, m.id_nomenclature_media_type, $5, m.unique_id_sinp, m.title, m.media_url, m.author,
                   m.description, true
            FROM missing m
            WHERE m.id_media IS NOT NULL
        )
        INSERT INTO passereau.media (gbif_id, address, address_key, unique_id_media, id_media, content_hash)
        SELECT m.gbif_id, m.address, m.address_key, m.unique_id_media, m.id_media, m.content_hash
        FROM missing m
    $sql$ USING of_harvest, of_generation, first_id, last_id, location,
                pg_get_serial_sequence('gn_commons.t_medias', 'id_media')::regclass;
END $$;

RESET check_function_bodies;
