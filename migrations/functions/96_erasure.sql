-- Where a person is named: what `passereau privacy erase` shows before it does anything, and goes through when it does.
--
-- A name is found as 15_names.sql says. Values that only come near it, and sentences that hold it, are told apart and never
-- changed: a person decides about them.
--
-- Cost, read-only, measured as in 15_names.sql: every distinct value once, 0.12 ms each; free text 0.03 ms each. Locks: none.
-- Fails with PS004 when a name is none, or several. No message of these functions repeats a name: messages end up in logs.
SET check_function_bodies = off;

-- The digests of names, each of one person or account.
CREATE OR REPLACE FUNCTION passereau.erasure_digests(names text[]) RETURNS bytea[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    FOR place IN 1 .. cardinality(names) LOOP
        IF length(passereau.name_normal(names[place])) < 3 THEN
            RAISE EXCEPTION 'name % is too short to be told from others: it needs three letters or digits at least', place
                USING ERRCODE = 'PS004';
        END IF;
        IF names[place] ~* '[;|&+/·\n\r]|\s(et|and)\s' THEN
            RAISE EXCEPTION 'name % is a list: give each person by an option of its own', place USING ERRCODE = 'PS004';
        END IF;
    END LOOP;
    RETURN ARRAY(SELECT DISTINCT passereau.name_digest(n.name, s.salt) FROM unnest(names) n (name), passereau.erasure_salt s);
END $$;

-- The columns of our own tables in which people are named.
CREATE OR REPLACE FUNCTION passereau.own_names() RETURNS TABLE (place text, of_table text, of_column text)
LANGUAGE sql STABLE AS $$
    SELECT 'landed', format('pinv_gbif.%s', t.relname), c.of_column::text
    FROM pinv_gbif.generation g
    CROSS JOIN passereau.landed_names(g.id) c
    JOIN pg_class t ON t.oid = c.of_table
    WHERE g.state <> 'dropped'
    UNION ALL
    VALUES ('copied by hand', 'pinv_gbif.manual_occurrence', 'recorded_by'),
           ('copied by hand', 'pinv_gbif.manual_occurrence', 'identified_by'),
           ('planned', 'passereau.plan', 'observers'), ('planned', 'passereau.plan', 'determiner'),
           ('planned', 'passereau.plan', 'additional_data.rightsHolder'),
           ('planned', 'passereau.plan', 'told.observers.here'), ('planned', 'passereau.plan', 'told.observers.gbif'),
           ('planned', 'passereau.plan', 'told.determiner.here'), ('planned', 'passereau.plan', 'told.determiner.gbif'),
           ('planned', 'passereau.plan', 'told.additional_data.here.rightsHolder'),
           ('planned', 'passereau.plan', 'told.additional_data.gbif.rightsHolder'),
           ('accounts', 'pinv_gbif.cor_login_inaturalist', 'login'),
           ('edited locally', 'pinv_gbif.edited_locally', 'content.observers.here'),
           ('edited locally', 'pinv_gbif.edited_locally', 'content.observers.gbif'),
           ('edited locally', 'pinv_gbif.edited_locally', 'content.determiner.here'),
           ('edited locally', 'pinv_gbif.edited_locally', 'content.determiner.gbif'),
           ('edited locally', 'pinv_gbif.edited_locally', 'content.additional_data.here.rightsHolder'),
           ('edited locally', 'pinv_gbif.edited_locally', 'content.additional_data.gbif.rightsHolder'),
           ('deleted rows', 'passereau.deleted', 'content.observers'), ('deleted rows', 'passereau.deleted', 'content.determiner'),
           ('deleted rows', 'passereau.deleted', 'content.additional_data.rightsHolder')
$$;

-- A compared additional_data (passereau.both_values) is a text, which may be cut and then is no JSON: whole is the value of its
-- key rightsHolder all the same. The text, and the key within it.
CREATE OR REPLACE FUNCTION passereau.text_of_holder(of_column text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_match(of_column, '^((?:told|content)\.additional_data\.(?:here|gbif))\.rightsHolder$')
$$;
CREATE OR REPLACE FUNCTION passereau.holder_literal(content text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT substring(content from '"rightsHolder": ("(?:[^"\\]|\\.)*")')
$$;
CREATE OR REPLACE FUNCTION passereau.holder_in(content text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT passereau.holder_literal(content)::jsonb #>> '{}'
$$;

-- How a value is read: a column, or a path in a JSON column.
CREATE OR REPLACE FUNCTION passereau.value_of(of_column text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN passereau.text_of_holder(of_column) IS NOT NULL
                THEN format('passereau.holder_in(%s)', passereau.value_of((passereau.text_of_holder(of_column))[1]))
                WHEN position('.' IN of_column) = 0 THEN format('t.%I', of_column)
                ELSE format('(t.%I #>> %L)', split_part(of_column, '.', 1), (string_to_array(of_column, '.'))[2:]) END
$$;

-- Rows of the synthèse that we write, `t` being the synthèse: those of our source, and those adopted from another one once we have
-- written them. A plan remembers a row of another source that it found by its proof, whether or not it may ever write it.
CREATE OR REPLACE FUNCTION passereau.is_ours() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT format('(t.id_source = %s OR EXISTS (SELECT FROM passereau.written w WHERE w.id_synthese = t.id_synthese AND w.adopted
                                                         AND w.written_key <> uuid_nil()))',
                  COALESCE((SELECT s.id_source FROM gn_synthese.t_sources s WHERE s.name_source = 'GBIF'), -1))
$$;

-- Each value that holds one of the names, with what it becomes, and in how many rows it stands. `ours` is false for what others
-- brought, which is told and not touched: rows of the synthèse of another source, media that somebody attached to our
-- observations, and the procedure's table that was put aside (92_adopt.sql).
CREATE OR REPLACE FUNCTION passereau.named_values(digests bytea[])
RETURNS TABLE (place text, of_table text, of_column text, value text, without text, records bigint, ours boolean)
LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    salt   bytea := (SELECT s.salt FROM passereau.erasure_salt s);
    source record;
BEGIN
    FOR source IN
        SELECT 'synthese' AS place, 'gn_synthese.synthese' AS of_table, c AS of_column, 'gn_synthese.synthese t' AS rows,
               passereau.is_ours() AS ours
        FROM unnest(ARRAY['observers', 'determiner', 'additional_data.rightsHolder']) c
        UNION ALL
        SELECT 'media', 'gn_commons.t_medias', c,
               'gn_commons.t_medias t JOIN passereau.media k ON k.id_media = t.id_media AND k.unique_id_media = t.unique_id_media',
               'true'
        FROM unnest(ARRAY['author', 'title_fr', 'description_fr']) c
        -- A platform without media need not let us read them.
        WHERE EXISTS (SELECT FROM passereau.media)
        UNION ALL
        SELECT 'media', 'gn_commons.t_medias', c,
               '(SELECT m.author, m.title_fr, m.description_fr FROM gn_commons.t_medias m
                 WHERE EXISTS (SELECT FROM passereau.written w WHERE w.unique_id_sinp = m.uuid_attached_row)
                   AND NOT EXISTS (SELECT FROM passereau.media k WHERE k.id_media = m.id_media AND k.unique_id_media = m.unique_id_media)) t',
               'false'
        FROM unnest(ARRAY['author', 'title_fr', 'description_fr']) c
        WHERE has_table_privilege('gn_commons.t_medias', 'SELECT')
        UNION ALL
        SELECT 'procedure', 'pinv_gbif.adopted_gbif_data', a.attname::text, 'pinv_gbif.adopted_gbif_data t', 'false'
        FROM pg_attribute a
        WHERE a.attrelid = to_regclass('pinv_gbif.adopted_gbif_data') AND a.attname IN ('recorded_by', 'identified_by')
          AND has_table_privilege(a.attrelid, 'SELECT')
        UNION ALL
        SELECT 'deleted rows', 'passereau.deleted', 'media.' || c,
               '(SELECT m.media FROM passereau.deleted d CROSS JOIN LATERAL jsonb_array_elements(d.media) m (media)) t', 'true'
        FROM unnest(ARRAY['author', 'title_fr', 'description_fr']) c
        UNION ALL
        SELECT o.place, o.of_table, o.of_column, o.of_table || ' t', 'true' FROM passereau.own_names() o
    LOOP
        RETURN QUERY EXECUTE format($sql$
            SELECT $3, $4, $5, f.value, f.without, f.records, f.ours
            FROM (SELECT d.value, passereau.without_names(d.value, $1, $2) AS without, d.records, d.ours
                  FROM (SELECT %1$s::text AS value, %2$s AS ours, count(*) AS records
                        FROM %3$s WHERE %1$s IS NOT NULL GROUP BY 1, 2) d
                  OFFSET 0) f
            WHERE f.without IS DISTINCT FROM f.value
            ORDER BY f.value COLLATE "C"
        $sql$, passereau.value_of(source.of_column), source.ours, source.rows)
            USING digests, salt, source.place, source.of_table, source.of_column;
    END LOOP;
END $$;

-- How a name may stand in a text, as the words of passereau.name_words: in any order that only turns it round; with `initials`,
-- one word may be cut to its first letter.
CREATE OR REPLACE FUNCTION passereau.name_forms(names text[], initials boolean) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(DISTINCT ' ' || array_to_string(f.words[turn + 1:] || f.words[:turn], ' ') || ' ')
    FROM unnest(names) n (name)
    CROSS JOIN LATERAL (SELECT string_to_array(btrim(passereau.name_words(n.name)), ' ') AS words) w
    CROSS JOIN LATERAL generate_series(0, CASE WHEN initials AND cardinality(w.words) > 1 THEN cardinality(w.words) ELSE 0 END) cut
    CROSS JOIN LATERAL (SELECT ARRAY(SELECT CASE WHEN place = cut THEN left(word, 1) ELSE word END
                                     FROM unnest(w.words) WITH ORDINALITY u (word, place) ORDER BY place) AS words) f
    CROSS JOIN LATERAL generate_series(0, cardinality(f.words) - 1) turn
$$;

CREATE OR REPLACE FUNCTION passereau.mentions(value text, forms text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM unnest(forms) form WHERE position(form IN w.words) > 0)
    FROM (SELECT passereau.name_words(value) AS words OFFSET 0) w
$$;

-- Texts that hold a name, or a list in which somebody comes near it, and that nothing changes: to be looked at by a person.
-- `example` is the key of one row; of an account, its name.
CREATE OR REPLACE FUNCTION passereau.named_texts(names text[], digests bytea[])
RETURNS TABLE (of_table text, of_column text, records bigint, example text)
LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    salt   bytea := (SELECT s.salt FROM passereau.erasure_salt s);
    source record;
BEGIN
    FOR source IN
        SELECT 'gn_synthese.synthese' AS of_table, c AS of_column, 'gn_synthese.synthese t' AS rows, 't.id_synthese' AS key,
               passereau.is_ours() AS condition, c IN ('observers', 'determiner') AS is_list
        FROM unnest(ARRAY['observers', 'determiner', 'comment_description', 'place_name', 'non_digital_proof']) c
        UNION ALL
        SELECT 'gn_commons.t_medias', c,
               'gn_commons.t_medias t JOIN passereau.media k ON k.id_media = t.id_media AND k.unique_id_media = t.unique_id_media',
               't.id_media', 'true', c = 'author'
        FROM unnest(ARRAY['author', 'title_fr', 'description_fr']) c WHERE EXISTS (SELECT FROM passereau.media)
        UNION ALL
        SELECT 'pinv_gbif.occurrence', c, 'pinv_gbif.occurrence t', 't.gbif_id', 'true', c IN ('recorded_by', 'identified_by', 'rights_holder')
        FROM unnest(ARRAY['recorded_by', 'identified_by', 'rights_holder', 'occurrence_remarks', 'verbatim_locality']) c
        UNION ALL
        SELECT 'pinv_gbif.multimedia', c, 'pinv_gbif.multimedia t', 't.gbif_id', 'true', c IN ('creator', 'rights_holder')
        FROM unnest(ARRAY['creator', 'rights_holder', 'title']) c
        UNION ALL
        SELECT 'pinv_gbif.dataset', 'persons', 'pinv_gbif.dataset t', 't.dataset_key', 'true', false
    LOOP
        RETURN QUERY EXECUTE format($sql$
            SELECT $4, $5, count(*), min(f.key::text)
            FROM (SELECT %2$s AS key FROM %3$s
                  WHERE t.%1$I IS NOT NULL AND %4$s AND passereau.mentions(t.%1$I, $1)
                    AND passereau.without_names(t.%1$I, $2, $3) IS NOT DISTINCT FROM t.%1$I) f
            HAVING count(*) > 0
        $sql$, source.of_column, source.key, source.rows, source.condition)
            USING passereau.name_forms(names, source.is_list), digests, salt, source.of_table, source.of_column;
    END LOOP;

    -- Accounts under whose observations the name stands alone: the same person's, in all likelihood.
    RETURN QUERY
    SELECT 'pinv_gbif.cor_login_inaturalist', 'login', count(*), a.login
    FROM (SELECT DISTINCT i.id_inaturalist, i.login, o.recorded_by
          FROM pinv_gbif.cor_login_inaturalist i
          JOIN pinv_gbif.occurrence o ON o.inaturalist_id = i.id_inaturalist AND o.dataset_key = passereau.inaturalist_dataset()
          WHERE i.login IS NOT NULL AND o.recorded_by IS NOT NULL) a
    JOIN (SELECT d.recorded_by FROM (SELECT DISTINCT o.recorded_by FROM pinv_gbif.occurrence o WHERE o.recorded_by IS NOT NULL) d
          WHERE passereau.without_names(d.recorded_by, digests, salt) IS NULL) n ON n.recorded_by = a.recorded_by
    WHERE passereau.without_names(a.login, digests, salt) IS NOT NULL
    GROUP BY a.login;
END $$;

-- Archives that hold a name that is suppressed, and that no harvest needs any more: what GBIF still publishes comes with each
-- download. `passereau privacy sweep` deletes them.
CREATE OR REPLACE FUNCTION passereau.archives_to_sweep() RETURNS TABLE (archive_key text)
LANGUAGE sql STABLE AS $$
    SELECT h.archive_key
    FROM passereau.harvest h
    LEFT JOIN pinv_gbif.generation g ON g.harvest_id = h.id
    WHERE h.archive_key IS NOT NULL AND h.archive_erased_at IS NULL
    GROUP BY h.archive_key
    HAVING bool_or(g.suppressed > 0) AND bool_and(h.state NOT IN ('fetching', 'loading'))
    ORDER BY h.archive_key
$$;

RESET check_function_bodies;
