-- Erasing: a name out of everything that is ours, a bounded number of rows a call, so that nobody waits for long.
--
-- First the digest is recorded (begin_erasure): from that commit on nothing that is landed holds the name again. Then
-- erase_slice takes the values of passereau.named_values out of one column, slice by slice, until a call changes nothing.
-- A call that is interrupted is undone; what is called again goes on with what is left, and once more changes nothing.
--
-- The synthèse: observers, determiner and our key rightsHolder of additional_data; no costly trigger looks at these columns. Rows
-- of another source are never named. What a person put there is taken out as well, where it holds the name: the duty does not
-- ask who wrote it.
-- What we remember of a row follows it, so that the erasure is no edit of a person's and the next harvest writes nothing:
--   passereau.written.columns   where the column was as we had left it
--   passereau.media.content_hash   where the media was as we had left it
--   passereau.written.written_key, media_hash   where the row was made from exactly these media
-- content_hash of what is landed stays: it is the hash of what was published.
--
-- Cost: that of an update of the rest group (71_write.sql) of as many rows. A column without an index is read once a slice.
-- Locks: those of passereau.written in the order of gbif_id first, then the rows of the slice in that of their key, as in
-- 71_write.sql.
SET check_function_bodies = off;

-- Records the names, and returns how many were not recorded before. `reference` is the platform's own number of the request.
CREATE OR REPLACE FUNCTION passereau.begin_erasure(digests bytea[], of_reference text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    recorded bigint;
BEGIN
    -- Waits for generations that are about to be read (passereau.suppress_names), in the order of the key.
    INSERT INTO passereau.erasure (digest, reference)
    SELECT d.digest, of_reference FROM unnest(digests) d (digest) ORDER BY d.digest
    ON CONFLICT (digest) DO NOTHING;
    GET DIAGNOSTICS recorded = ROW_COUNT;
    -- The samples of plans are only examples: those that name people are not searched, they go.
    UPDATE passereau.harvest h SET plan_summary = passereau.without_people(h.plan_summary)
    WHERE h.plan_summary IS DISTINCT FROM passereau.without_people(h.plan_summary);
    RETURN recorded;
END $$;

-- A plan's summary without the samples of columns in which people are named.
CREATE OR REPLACE FUNCTION passereau.without_people(summary jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    place record;
BEGIN
    FOR place IN SELECT ARRAY[k, c, 'samples'] AS path
                 FROM unnest(ARRAY['fields', 'edited', 'validated']) k, unnest(ARRAY['observers', 'determiner', 'additional_data', 'validator']) c LOOP
        IF summary #> place.path IS NOT NULL THEN
            summary := jsonb_set(summary, place.path, '[]');
        END IF;
    END LOOP;
    RETURN summary;
END $$;

-- Every place was gone through. The counts of several calls add up.
CREATE OR REPLACE FUNCTION passereau.end_erasure(digests bytea[], counted jsonb) RETURNS void
LANGUAGE sql AS $$
    UPDATE passereau.erasure e
    SET erased_at = COALESCE(e.erased_at, now()),
        counts = (SELECT COALESCE(jsonb_object_agg(c.place, c.changed), '{}')
                  FROM (SELECT b.key AS place, sum(b.value::bigint) AS changed
                        FROM (SELECT * FROM jsonb_each_text(e.counts) UNION ALL SELECT * FROM jsonb_each_text(counted)) b
                        GROUP BY b.key) c)
    WHERE e.digest = ANY (digests)
$$;

-- One slice of one column: rows with one of the values `shown` get the value of the same place in `replacement`. Returns how
-- many rows changed; 0 when none is left.
CREATE OR REPLACE FUNCTION passereau.erase_slice(of_table text, of_column text, shown text[], replacement text[], max_rows integer)
RETURNS integer LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    changed integer;
BEGIN
    CASE
        WHEN of_table = 'gn_synthese.synthese' THEN
            RETURN passereau.erase_in_synthese(of_column, shown, replacement, max_rows);
        WHEN of_table = 'gn_commons.t_medias' THEN
            RETURN passereau.erase_in_media(of_column, shown, replacement, max_rows);
        WHEN of_table = 'passereau.deleted' AND of_column LIKE 'media.%' THEN
            RETURN passereau.erase_in_deleted_media(split_part(of_column, '.', 2), shown, replacement, max_rows);
        WHEN of_table ~ '^pinv_gbif\.multimedia_[0-9]+$' THEN
            RETURN passereau.erase_in_multimedia(substring(of_table from '[0-9]+$')::bigint, of_column, shown, replacement, max_rows);
        ELSE
            -- Dropped meanwhile, with all that it held.
            IF to_regclass(of_table) IS NULL THEN
                RETURN 0;
            END IF;
            EXECUTE format($sql$
                UPDATE %1$s t SET %2$s
                FROM unnest($1, $2) n (shown, replacement)
                WHERE %3$s = n.shown
                  AND t.ctid = ANY (ARRAY(SELECT t.ctid FROM %1$s t WHERE %3$s = ANY ($1) LIMIT $3 FOR UPDATE))
            $sql$, to_regclass(of_table), passereau.erased_value(of_column), passereau.value_of(of_column))
                USING shown, replacement, max_rows;
            GET DIAGNOSTICS changed = ROW_COUNT;
            RETURN changed;
    END CASE;
END $$;

-- How a value is replaced by n.replacement: a column, or a key of a JSON column, which goes when nothing is left.
CREATE OR REPLACE FUNCTION passereau.erased_value(of_column text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN passereau.text_of_holder(of_column) IS NOT NULL
                THEN format('%1$I = jsonb_set(t.%1$I, %2$L, to_jsonb(passereau.with_holder(t.%1$I #>> %2$L, n.replacement)))',
                            split_part(of_column, '.', 1),
                            (string_to_array((passereau.text_of_holder(of_column))[1], '.'))[2:])
                WHEN position('.' IN of_column) = 0 THEN format('%I = n.replacement', of_column)
                ELSE format('%1$I = CASE WHEN n.replacement IS NULL THEN t.%1$I #- %2$L
                                         ELSE jsonb_set(t.%1$I, %2$L, to_jsonb(n.replacement)) END',
                            split_part(of_column, '.', 1), (string_to_array(of_column, '.'))[2:]) END
$$;

-- A compared additional_data with another holder of the rights, or with none.
CREATE OR REPLACE FUNCTION passereau.with_holder(content text, holder text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT replace(content, '"rightsHolder": ' || passereau.holder_literal(content),
                   '"rightsHolder": ' || COALESCE(to_jsonb(holder)::text, 'null'))
$$;

-- Media of rows that were deleted are kept with them, each as it stood.
CREATE OR REPLACE FUNCTION passereau.erase_in_deleted_media(of_key text, shown text[], replacement text[], max_rows integer)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    changed integer;
BEGIN
    UPDATE passereau.deleted d
    SET media = (SELECT jsonb_agg(CASE WHEN n.shown IS NULL THEN m.content
                                       ELSE m.content || jsonb_build_object(of_key, n.replacement) END ORDER BY m.place)
                 FROM jsonb_array_elements(d.media) WITH ORDINALITY m (content, place)
                 LEFT JOIN unnest(shown, replacement) n (shown, replacement) ON n.shown = m.content ->> of_key)
    WHERE d.ctid = ANY (ARRAY(SELECT t.ctid FROM passereau.deleted t
                              WHERE EXISTS (SELECT FROM jsonb_array_elements(t.media) m WHERE m ->> of_key = ANY (shown))
                              LIMIT max_rows FOR UPDATE));
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

CREATE OR REPLACE FUNCTION passereau.erase_in_synthese(of_column text, shown text[], replacement text[], max_rows integer)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    rows    integer[];
    before  jsonb;
    changed integer;
BEGIN
    EXECUTE format('SELECT array_agg(p.id_synthese) FROM (SELECT t.id_synthese FROM gn_synthese.synthese t
                    WHERE %s = ANY ($1) AND %s ORDER BY t.id_synthese LIMIT $2) p',
                   passereau.value_of(of_column), passereau.is_ours())
        INTO rows USING shown, max_rows;
    IF rows IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM FROM passereau.written w WHERE w.id_synthese = ANY (rows) ORDER BY w.gbif_id FOR UPDATE OF w;
    -- What a person writes between the look and the update would be taken for what we had left.
    PERFORM FROM gn_synthese.synthese s WHERE s.id_synthese = ANY (rows) ORDER BY s.id_synthese FOR NO KEY UPDATE OF s;
    SELECT jsonb_object_agg(s.id_synthese, to_jsonb(passereau.row_hashes(s))) INTO before
    FROM gn_synthese.synthese s WHERE s.id_synthese = ANY (rows);

    EXECUTE format($sql$
        UPDATE gn_synthese.synthese t SET %s, last_action = 'U'
        FROM unnest($1, $2) n (shown, replacement)
        WHERE t.id_synthese = ANY ($3) AND %s = n.shown
    $sql$, passereau.erased_value(of_column), passereau.value_of(of_column)) USING shown, replacement, rows;
    GET DIAGNOSTICS changed = ROW_COUNT;

    -- A column that a person had changed before goes on being theirs.
    UPDATE passereau.written w
    SET columns = ARRAY(SELECT CASE WHEN w.columns[c.place] IS NOT DISTINCT FROM (before -> s.id_synthese::text ->> (c.place - 1)::integer)::integer
                                    THEN c.hash ELSE w.columns[c.place] END
                        FROM unnest(passereau.row_hashes(s)) WITH ORDINALITY c (hash, place) ORDER BY c.place)
    FROM gn_synthese.synthese s
    WHERE s.id_synthese = ANY (rows) AND w.id_synthese = s.id_synthese AND w.columns IS NOT NULL;
    RETURN changed;
END $$;

CREATE OR REPLACE FUNCTION passereau.erase_in_media(of_column text, shown text[], replacement text[], max_rows integer)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    rows    integer[];
    ours    integer[];      -- those among them that stand as we had left them
    changed integer;
BEGIN
    EXECUTE format('SELECT array_agg(p.id_media) FROM (SELECT t.id_media FROM gn_commons.t_medias t
                    JOIN passereau.media k ON k.id_media = t.id_media AND k.unique_id_media = t.unique_id_media
                    WHERE %s = ANY ($1) ORDER BY t.id_media LIMIT $2) p', passereau.value_of(of_column))
        INTO rows USING shown, max_rows;
    IF rows IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM FROM gn_commons.t_medias t WHERE t.id_media = ANY (rows) ORDER BY t.id_media FOR NO KEY UPDATE OF t;
    SELECT array_agg(t.id_media) INTO ours
    FROM gn_commons.t_medias t
    JOIN passereau.media k ON k.id_media = t.id_media
    WHERE t.id_media = ANY (rows)
      AND k.content_hash = md5(ROW (t.media_url, t.id_nomenclature_media_type, t.title_fr, t.author, t.description_fr)::text)::uuid;
    EXECUTE format($sql$
        UPDATE gn_commons.t_medias t SET %s
        FROM unnest($1, $2) n (shown, replacement)
        WHERE t.id_media = ANY ($3) AND %s = n.shown
    $sql$,
        -- A title is never left empty, see 75_media.sql.
        CASE of_column WHEN 'title_fr'
             THEN 'title_fr = COALESCE(n.replacement, (SELECT left(s.nom_cite, 255) FROM gn_synthese.synthese s
                                                      WHERE s.unique_id_sinp = t.uuid_attached_row))'
             ELSE passereau.erased_value(of_column) END,
        passereau.value_of(of_column)) USING shown, replacement, rows;
    GET DIAGNOSTICS changed = ROW_COUNT;
    UPDATE passereau.media k
    SET content_hash = md5(ROW (t.media_url, t.id_nomenclature_media_type, t.title_fr, t.author, t.description_fr)::text)::uuid
    FROM gn_commons.t_medias t
    WHERE t.id_media = ANY (ours) AND k.id_media = t.id_media;
    RETURN changed;
END $$;

-- The media of a generation are part of the key of the rows that are made from it.
CREATE OR REPLACE FUNCTION passereau.erase_in_multimedia(of_generation bigint, of_column text, shown text[], replacement text[],
                                                         max_rows integer)
RETURNS integer LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    subscribed jsonb;       -- the settings, where the generation is a current one that brings media
    digest     uuid;
    ids        bigint[];
    in_step    bigint[];    -- records whose row was made from exactly what is landed
    changed    integer;
BEGIN
    IF to_regclass(format('pinv_gbif.multimedia_%s', of_generation)) IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('SELECT array_agg(p.gbif_id) FROM (SELECT DISTINCT t.gbif_id FROM pinv_gbif.multimedia_%s t
                    WHERE t.%I = ANY ($1) ORDER BY 1 LIMIT $2) p', of_generation, of_column)
        INTO ids USING shown, max_rows;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    SELECT s.settings, passereau.platform_digest(d.srid) INTO subscribed, digest
    FROM pinv_gbif.generation g
    JOIN passereau.subscription s ON s.name = g.subscription
    CROSS JOIN passereau.destination() d
    WHERE g.id = of_generation AND g.state = 'current' AND (s.settings ->> 'media')::boolean;
    IF subscribed IS NOT NULL THEN
        PERFORM FROM passereau.written w WHERE w.gbif_id = ANY (ids) ORDER BY w.gbif_id FOR UPDATE OF w;
        SELECT array_agg(k.gbif_id) INTO in_step
        FROM passereau.keyed(of_generation, ids[1] - 1, ids[cardinality(ids)], subscribed, digest, ids) k
        WHERE k.last_key = k.key;
    END IF;

    EXECUTE format($sql$
        UPDATE pinv_gbif.multimedia_%1$s t SET %2$I = n.replacement
        FROM unnest($1, $2) n (shown, replacement)
        WHERE t.gbif_id = ANY ($3) AND t.%2$I = n.shown
    $sql$, of_generation, of_column) USING shown, replacement, ids;
    GET DIAGNOSTICS changed = ROW_COUNT;

    IF in_step IS NOT NULL THEN
        UPDATE passereau.written w SET written_key = k.key, media_hash = k.media_hash
        FROM passereau.keyed(of_generation, ids[1] - 1, ids[cardinality(ids)], subscribed, digest, in_step) k
        WHERE w.gbif_id = k.gbif_id;
    END IF;
    RETURN changed;
END $$;

RESET check_function_bodies;
