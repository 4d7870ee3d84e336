-- Names: when two writings are one person, and how one person is taken out of a list of several.
--
-- Two names are the same when they have the same words in any order, whatever their case, accents, dots, hyphens and
-- apostrophes: "Jean-Pierre Dupont", "DUPONT Jean Pierre" and "Dupont, Jean‑Pierre" are one, "J. Dupont" is another. What
-- stands in brackets ("Jean Dupont (LPO)") and the formulas of copyright are no part of a name.
--
-- A list is cut at ; | & + / · line ends, " et ", " and "; and at commas, where two writings are told apart: an even number of
-- items is read as "LAST, First, LAST, First" when two neighbours make the name, any number as names of their own when one
-- item does. A name is only ever compared as a whole, so a name within another one never matches.
--
-- Known limits, told in docs/privacy.en.md: "J. Dupont" is not found for "Jean Dupont" (it is somebody else as well), a name
-- within a sentence is not found (free text is reported, not edited), and two people of one name are one. Letters outside ASCII
-- and without an accent to drop (Cyrillic, say) are compared in lower case as far as the database's locale knows them.
--
-- Cost, measured on 20,000 records with 41,000 distinct values (2 cores, a load of 9): 0.1 ms a distinct value while there is
-- something to suppress, with one name as with a hundred; 2 ms a generation otherwise. Locks: see suppress_names.
SET check_function_bodies = off;

-- A text as lower-case words without accents, separated and surrounded by single spaces. The underscore is a letter: it stands
-- in names of accounts, and jean_dupont is an account, not Jean Dupont.
CREATE OR REPLACE FUNCTION passereau.name_words(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ' ' || btrim(regexp_replace(
        CASE WHEN octet_length(value) = length(value) THEN lower(value)
             ELSE replace(replace(replace(replace(regexp_replace(lower(normalize(value, NFKD)), '[\u0300-\u036f]', '', 'g'),
                                                  'œ', 'oe'), 'æ', 'ae'), 'ø', 'o'), 'ß', 'ss') END,
        '[^[:alnum:]_]+', ' ', 'g')) || ' '
$$;

-- What is compared: the words in order, without what stands in brackets and formulas of copyright. Empty when nothing is left.
CREATE OR REPLACE FUNCTION passereau.name_normal(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    words text;
BEGIN
    IF value ~* '[][()]|copyright|reserved|réservés' THEN
        words := passereau.name_words(regexp_replace(
            value, '\([^()]*\)|\[[^][]*\]|\mcopyright\M|\m(some|all|no) rights reserved\M|\mtous droits réservés\M', ' ', 'gi'));
    END IF;
    -- A name that stands in brackets itself is all there is.
    IF words IS NULL OR words = '  ' THEN
        words := passereau.name_words(value);
    END IF;
    RETURN (SELECT COALESCE(string_agg(word, ' ' ORDER BY word COLLATE "C"), '')
            FROM unnest(string_to_array(btrim(words), ' ')) word WHERE word <> '');
END $$;

CREATE OR REPLACE FUNCTION passereau.name_digest(value text, salt bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    normal CONSTANT text := passereau.name_normal(value);
BEGIN
    RETURN CASE WHEN normal <> '' THEN sha256(salt || convert_to(normal, 'UTF8')) END;
END $$;

-- One part of a list that has no separator but commas, without the names; NULL when nothing is left.
CREATE OR REPLACE FUNCTION passereau.part_without_names(part text, digests bytea[], salt bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    items text[];
    kept  text[] := '{}';
    place integer := 1;
BEGIN
    IF passereau.name_digest(part, salt) = ANY (digests) THEN
        RETURN NULL;
    END IF;
    items := string_to_array(part, ',');
    IF cardinality(items) < 2 THEN
        RETURN part;
    END IF;
    WHILE place <= cardinality(items) LOOP
        IF cardinality(items) % 2 = 0 AND place % 2 = 1
           AND passereau.name_digest(items[place] || ' ' || items[place + 1], salt) = ANY (digests) THEN
            place := place + 2;
        ELSIF passereau.name_digest(items[place], salt) = ANY (digests) THEN
            place := place + 1;
        ELSE
            kept := kept || items[place];
            place := place + 1;
        END IF;
    END LOOP;
    IF cardinality(kept) = cardinality(items) THEN
        RETURN part;
    END IF;
    RETURN NULLIF(btrim(array_to_string(kept, ',')), '');
END $$;

-- A value without the names whose digests are given. What does not hold one is returned as it is, byte by byte; of a list the
-- other names stay in their order and writing; NULL when nobody is left.
CREATE OR REPLACE FUNCTION passereau.without_names(value text, digests bytea[], salt bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    separator CONSTANT text := '\s*[;|&+/·\n\r]+\s*|\s+(?:et|and)\s+';
    parts      text[];
    separators text[];
    part       text;
    result     text;
    before     integer;     -- the place of the last part that was kept
    changed    boolean := false;
BEGIN
    IF value IS NULL OR cardinality(digests) = 0 THEN
        RETURN value;
    END IF;
    -- The whole first: the name of an account, or of an organisation, may hold what is a separator elsewhere.
    IF passereau.name_digest(value, salt) = ANY (digests) THEN
        RETURN NULL;
    END IF;
    -- Most values are one name.
    IF value !~* '[,;|&+/·\n\r]|\s(et|and)\s' THEN
        RETURN value;
    END IF;
    parts := regexp_split_to_array(value, separator, 'i');
    SELECT COALESCE(array_agg(m.matched[1] ORDER BY m.place), '{}') INTO separators
    FROM regexp_matches(value, '(' || separator || ')', 'gi') WITH ORDINALITY AS m (matched, place);
    FOR place IN 1 .. cardinality(parts) LOOP
        part := passereau.part_without_names(parts[place], digests, salt);
        changed := changed OR part IS DISTINCT FROM parts[place];
        IF part IS NOT NULL THEN
            result := CASE WHEN before IS NULL THEN part ELSE result || separators[before] || part END;
            before := place;
        END IF;
    END LOOP;
    RETURN CASE WHEN changed THEN NULLIF(btrim(result), '') ELSE value END;
END $$;

-- All that is to be suppressed here: NULL when there is nothing.
CREATE OR REPLACE FUNCTION passereau.erased_names(OUT digests bytea[], OUT salt bytea)
LANGUAGE sql STABLE AS $$
    SELECT array_agg(e.digest), (SELECT s.salt FROM passereau.erasure_salt s) FROM passereau.erasure e HAVING count(*) > 0
$$;

-- A value without the names that are to be suppressed; for what comes one by one.
CREATE OR REPLACE FUNCTION passereau.without_erased_names(value text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN e.digests IS NULL THEN value ELSE passereau.without_names(value, e.digests, e.salt) END
    FROM passereau.erased_names() e
$$;

-- Takes the names that are to be suppressed out of a column of a table; returns how many rows changed. Each distinct value is
-- looked at once.
CREATE OR REPLACE FUNCTION passereau.suppress_in(of_table regclass, of_column name, digests bytea[], salt bytea) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    suppressed bigint;
BEGIN
    EXECUTE format($sql$
        WITH shown AS MATERIALIZED (
            SELECT d.value, passereau.without_names(d.value, $1, $2) AS without
            FROM (SELECT DISTINCT %2$I AS value FROM %1$s WHERE %2$I IS NOT NULL) d
            OFFSET 0
        )
        UPDATE %1$s t SET %2$I = s.without FROM shown s WHERE t.%2$I = s.value AND s.without IS DISTINCT FROM s.value
    $sql$, of_table, of_column) USING digests, salt;
    GET DIAGNOSTICS suppressed = ROW_COUNT;
    RETURN suppressed;
END $$;

-- The columns of a generation in which people are named.
CREATE OR REPLACE FUNCTION passereau.landed_names(of_generation bigint) RETURNS TABLE (of_table regclass, of_column name)
LANGUAGE sql STABLE AS $$
    SELECT to_regclass(format('pinv_gbif.%s_%s', c.stem, of_generation)), c.of_column::name
    FROM (VALUES ('occurrence', 'recorded_by'), ('occurrence', 'identified_by'), ('occurrence', 'rights_holder'),
                 ('multimedia', 'creator'), ('multimedia', 'rights_holder'), ('multimedia', 'title')) c (stem, of_column)
    WHERE to_regclass(format('pinv_gbif.%s_%s', c.stem, of_generation)) IS NOT NULL
$$;

-- Takes them out of a whole generation before anybody reads it, and returns how many values changed. content_hash stays that of what was published: a record from
-- which a name was taken is not another record, and the next archive gives the same hash.
--
-- Lock: passereau.erasure against new rows until the caller's commit. An erasure that comes meanwhile waits, and then meets this
-- generation among those it goes through: a name falls between the two in no order of events.
CREATE OR REPLACE FUNCTION passereau.suppress_names(of_generation bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    erased record;
BEGIN
    LOCK TABLE passereau.erasure IN SHARE MODE;
    SELECT * INTO erased FROM passereau.erased_names();
    IF erased.digests IS NULL THEN
        RETURN 0;
    END IF;
    RETURN (SELECT COALESCE(sum(passereau.suppress_in(c.of_table, c.of_column, erased.digests, erased.salt)), 0)
            FROM passereau.landed_names(of_generation) c);
END $$;

-- As in state/0002_generations.sql; the names first, while the table has no key that an update would have to keep up.
CREATE OR REPLACE FUNCTION pinv_gbif.complete_generation(generation bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pinv_gbif.generation g SET suppressed = passereau.suppress_names(g.id) WHERE g.id = complete_generation.generation;
    EXECUTE format('ALTER TABLE pinv_gbif.occurrence_%1$s
                        ADD CONSTRAINT occurrence_%1$s_pkey PRIMARY KEY (gbif_id),
                        ADD CONSTRAINT occurrence_%1$s_generation CHECK (generation_id = %1$s)', generation);
    EXECUTE format('ALTER TABLE pinv_gbif.multimedia_%1$s
                        ADD CONSTRAINT multimedia_%1$s_generation CHECK (generation_id = %1$s)', generation);
    EXECUTE format('CREATE INDEX multimedia_%1$s_gbif_id ON pinv_gbif.multimedia_%1$s (gbif_id)', generation);
    EXECUTE format('ALTER TABLE pinv_gbif.occurrence ATTACH PARTITION pinv_gbif.occurrence_%1$s FOR VALUES IN (%1$s)', generation);
    EXECUTE format('ALTER TABLE pinv_gbif.multimedia ATTACH PARTITION pinv_gbif.multimedia_%1$s FOR VALUES IN (%1$s)', generation);
    -- The age of the data, for whoever watches; the table is in memory still.
    EXECUTE format('UPDATE pinv_gbif.generation g
                    SET newest_at = (SELECT max(o.date_start) FROM pinv_gbif.occurrence_%1$s o
                                     WHERE o.date_start <= now() AT TIME ZONE ''UTC'') AT TIME ZONE ''UTC''
                    WHERE g.id = %1$s', generation);
END $$;

RESET check_function_bodies;
