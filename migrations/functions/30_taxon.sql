-- Taxon: which name of TAXREF (cd_nom) a record's name of GBIF is. What leads nowhere is a reject (taxon_unmatched), never a
-- guess; docs/taxa.md tells how a taxonomist answers.
--
-- Ways, in the order in which they are tried; the code is kept as taxon_path:
--   answer            pinv_gbif.cor_taxon, by name (and key); "never: …" when it is that records do not enter
--   verbatimName      only where GBIF is in doubt: the observer's name is a name of TAXREF, with its author; or without
--                     one, when a single accepted taxon of the kingdom bears it
--   answer            pinv_gbif.cor_taxon, by key alone
--   taxonKey          link of TAXREF to GBIF's key (taxonomie.taxref_liens: ct_name = 'GBIF', ct_sp_id is the key as text)
--   scientificName    GBIF's name, with its author, is a name of TAXREF
--   acceptedTaxonKey  the link of the accepted name
--   speciesKey        the link of the species, for names below the species only
-- GBIF is in doubt when it flagged TAXON_MATCH_HIGHERRANK, _FUZZY or _NONE, or knows no key: its key and its name are then
-- those of a higher taxon or a guess, so the observer's name comes first, and an answer by key does not outrank it.
--
-- One key may have several cd_nom: the accepted name (cd_nom = cd_ref) first, then the name written like GBIF's, then the
-- lowest. A name that leads to two accepted taxa leads nowhere. The kingdom must agree wherever both sides give one; a cd_nom
-- that the local taxref does not hold is no match. The cd_nom of a synonym stays: GeoNature groups by cd_ref.
--
-- Names are compared exactly but for white space and the year (GBIF cites botanists without one, TAXREF "L., 1753"). The
-- case counts: "Aus Bus" is a genus and its author, "Aus bus" a species.
--
-- Cost, reviewed with EXPLAIN (ANALYZE) on 700,000 names, 2,000,000 links, 200,000 records of 5,000 names (2 cores, a load of 4):
--   name_key      1.6 µs a record, of which MD5 and UUID are half
--   matched_taxa  0.4 s a chunk when every name has an answer or a link: half of it finds the distinct names, the rest
--                 searches the links by the index (ct_name, ct_sp_id) of `passereau install`. 0.2 s more to look up 800
--                 names in taxref, one pass, made only when something is left to look up; 0.3 s more without that index.
--   unmatched_taxa  1 to 2 s for 600 names, one pass over taxref.
-- Locks: none. Fails only where a table is missing, which passereau.destination() tells before. A key that is no number (those
-- of the Catalogue of Life) is a text like another and finds nothing.
SET check_function_bodies = off;

CREATE OR REPLACE FUNCTION passereau.clean_name(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT NULLIF(btrim(regexp_replace(name, '[\s\u00a0]+', ' ', 'g')), '') $$;

-- Whether GBIF is in doubt about the name. Key 0 is "incertae sedis", the answer to every unknown name. Issues are names
-- between semicolons; strpos spares the regular expression to most records.
CREATE OR REPLACE FUNCTION passereau.doubtful_name(taxon_key text, issue text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(taxon_key, '0') = '0'
        OR COALESCE(strpos(issue, 'TAXON_MATCH_') > 0
                    AND issue ~ '(^|;)TAXON_MATCH_(HIGHERRANK|FUZZY|NONE)(;|$)', false)
$$;

-- Everything that decides the match, in one value. `||`, not concat(): only an IMMUTABLE expression is inlined here, and this
-- is computed for every record of every plan.
CREATE OR REPLACE FUNCTION passereau.name_key(taxon_key text, accepted_taxon_key text, species_key text, scientific_name text,
                                              verbatim_scientific_name text, accepted_scientific_name text,
                                              kingdom text, taxon_rank text, doubtful boolean)
RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT md5(COALESCE(taxon_key, '') || '|' || COALESCE(accepted_taxon_key, '') || '|' || COALESCE(species_key, '') || '|'
               || COALESCE(scientific_name, '') || '|' || COALESCE(verbatim_scientific_name, '') || '|'
               || COALESCE(accepted_scientific_name, '') || '|' || COALESCE(kingdom, '') || '|' || COALESCE(taxon_rank, '')
               || CASE WHEN doubtful THEN '|?' ELSE '|' END)::uuid
$$;
CREATE OR REPLACE FUNCTION passereau.name_key(o pinv_gbif.occurrence) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT passereau.name_key(o.taxon_key, o.accepted_taxon_key, o.species_key, o.scientific_name, o.verbatim_scientific_name,
                              o.accepted_scientific_name, o.kingdom, o.taxon_rank,
                              passereau.doubtful_name(o.taxon_key, o.issue))
$$;

-- The name that a taxonomist is asked about, and answers by.
CREATE OR REPLACE FUNCTION passereau.asked_name(scientific_name text, verbatim_scientific_name text, doubtful boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT passereau.clean_name(CASE WHEN doubtful THEN COALESCE(verbatim_scientific_name, scientific_name)
                                     ELSE COALESCE(scientific_name, verbatim_scientific_name) END)
$$;

-- The taxonomist's answers that hold: one whose cd_nom this TAXREF lacks is asked again.
CREATE OR REPLACE FUNCTION passereau.taxon_answers() RETURNS TABLE (taxon_key text, name text, cd_nom integer, path text)
LANGUAGE sql STABLE AS $$
    SELECT a.taxon_key, passereau.clean_name(a.scientific_name), a.cd_nom,
           CASE WHEN a.cd_nom IS NULL THEN 'never: ' || a.note ELSE 'answer' END
    FROM pinv_gbif.cor_taxon a
    WHERE a.cd_nom IS NULL OR EXISTS (SELECT FROM taxonomie.taxref t WHERE t.cd_nom = a.cd_nom)
$$;

-- The same name may stand for an animal and a plant (Morus: the gannets, the mulberries). GBIF and TAXREF draw the limits of
-- Chromista and Protozoa differently against plants and fungi, never against animals or bacteria. TAXREF follows the several
-- kingdoms of viruses (Orthornavirae …), GBIF has one.
CREATE OR REPLACE FUNCTION passereau.kingdoms_agree(of_gbif text, of_taxref text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(of_gbif, '') IN ('', 'incertae sedis', of_taxref)
        OR COALESCE(of_taxref, '') = ''
        OR (of_gbif = 'Viruses' AND of_taxref LIKE '%virae')
        OR (of_gbif IN ('Chromista', 'Protozoa') AND of_taxref IN ('Chromista', 'Protozoa', 'Plantae', 'Fungi'))
        OR (of_gbif IN ('Plantae', 'Fungi') AND of_taxref IN ('Chromista', 'Protozoa'))
$$;

-- Whether `name` is a name of TAXREF as it is written there, with its author or without.
CREATE OR REPLACE FUNCTION passereau.same_name(name text, lb_nom text, nom_complet text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT name IN (lb_nom, nom_complet, regexp_replace(nom_complet, ', \d{4}$', '')) $$;

-- The names of TAXREF that are written like one of `names`. taxref has no index on its names: what is looked for is hashed, so
-- that one pass is enough, and no pass is made for nothing. A name with its author begins with the name without, so the
-- beginnings of each name are looked for; no name of TAXREF has more than eight words.
CREATE OR REPLACE FUNCTION passereau.taxa_named(names text[])
RETURNS TABLE (name text, cd_nom integer, cd_ref integer, regne text, with_author boolean)
LANGUAGE plpgsql STABLE ROWS 100 AS $$
#variable_conflict use_column
BEGIN
    IF COALESCE(cardinality(names), 0) = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH beginning AS MATERIALIZED (
        SELECT w.name, array_to_string(w.words[:l.length], ' ') AS lb_nom
        FROM (SELECT n.name, string_to_array(n.name, ' ') AS words FROM unnest(names) n (name)) w
        JOIN (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) l (length) ON l.length <= cardinality(w.words)
    ), found AS MATERIALIZED (
        SELECT t.cd_nom, COALESCE(t.cd_ref, t.cd_nom) AS cd_ref, t.regne::text AS regne, t.lb_nom, t.nom_complet
        FROM taxonomie.taxref t
        WHERE t.lb_nom IN (SELECT b.lb_nom FROM beginning b)
    )
    SELECT b.name, f.cd_nom, f.cd_ref, f.regne, b.name <> f.lb_nom
    FROM beginning b
    JOIN found f ON f.lb_nom = b.lb_nom
    WHERE passereau.same_name(b.name, f.lb_nom, f.nom_complet);
END $$;

-- The names of a chunk that have a match, one row each. A cd_nom of NULL is the taxonomist's "never", with the reason in the path.
-- PL/pgSQL and ROWS, so that the caller's plan expects some thousand names and hashes them.
DROP FUNCTION IF EXISTS passereau.matched_taxa(bigint, bigint, bigint);
CREATE FUNCTION passereau.matched_taxa(of_generation bigint, after_id bigint, upto_id bigint)
RETURNS TABLE (name_key uuid, cd_nom integer, taxon_path text)
LANGUAGE plpgsql STABLE ROWS 5000 SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH name AS MATERIALIZED (
        SELECT passereau.name_key(n.taxon_key, n.accepted_taxon_key, n.species_key, n.scientific_name, n.verbatim_scientific_name,
                                  n.accepted_scientific_name, n.kingdom, n.taxon_rank, n.doubtful) AS name_key,
               n.taxon_key, n.accepted_taxon_key, n.accepted_scientific_name, n.kingdom, n.doubtful,
               CASE WHEN n.taxon_rank IN ('SUBSPECIES', 'VARIETY', 'SUBVARIETY', 'FORM', 'SUBFORM', 'FORMA_SPECIALIS', 'CONVARIETY',
                                          'INFRASPECIFIC_NAME', 'INFRASUBSPECIFIC_NAME', 'ABERRATION', 'MORPH', 'NATIO', 'PROLES',
                                          'CULTIVAR', 'CULTIVAR_GROUP', 'GREX', 'STRAIN')
                    THEN n.species_key END AS species_key,
               passereau.clean_name(n.scientific_name) AS scientific_name,
               passereau.asked_name(n.scientific_name, n.verbatim_scientific_name, n.doubtful) AS asked
        FROM (SELECT DISTINCT o.taxon_key, o.accepted_taxon_key, o.species_key, o.scientific_name, o.verbatim_scientific_name,
                     o.accepted_scientific_name, o.kingdom, o.taxon_rank,
                     passereau.doubtful_name(o.taxon_key, o.issue) AS doubtful
              FROM pinv_gbif.occurrence o
              WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id) n
    ), answer AS MATERIALIZED (
        SELECT * FROM passereau.taxon_answers()
    ), told AS MATERIALIZED (
        -- By answers and by keys. `way` is the place in the order above.
        SELECT n.name_key, CASE WHEN a.name IS NULL THEN 5 ELSE 1 END AS way, a.path, a.cd_nom,
               true AS accepted, true AS same
        FROM name n JOIN answer a ON a.taxon_key = n.taxon_key
        WHERE a.name IS NULL OR a.name = n.asked
        UNION ALL
        SELECT n.name_key, 2, a.path, a.cd_nom, true, true
        FROM name n JOIN answer a ON a.name = n.asked
        WHERE a.taxon_key IS NULL
        UNION ALL
        SELECT n.name_key, k.way, k.path, t.cd_nom,
               COALESCE(t.cd_nom = t.cd_ref, false), COALESCE(passereau.same_name(k.name, t.lb_nom, t.nom_complet), false)
        FROM name n
        CROSS JOIN LATERAL (VALUES
            (6, 'taxonKey', n.taxon_key, n.scientific_name),
            (8, 'acceptedTaxonKey', NULLIF(n.accepted_taxon_key, n.taxon_key), passereau.clean_name(n.accepted_scientific_name)),
            (9, 'speciesKey', NULLIF(n.species_key, n.accepted_taxon_key), NULL)) k (way, path, key, name)
        JOIN taxonomie.taxref_liens l ON l.ct_name = 'GBIF' AND l.ct_sp_id = k.key
        JOIN taxonomie.taxref t ON t.cd_nom = l.cd_nom
        WHERE passereau.kingdoms_agree(n.kingdom, t.regne)
    ), asked AS MATERIALIZED (
        -- Names to look up: only where nothing better has answered.
        SELECT n.name_key, n.kingdom, w.way, w.name
        FROM name n
        LEFT JOIN (SELECT t.name_key, min(t.way) AS way FROM told t GROUP BY t.name_key) best ON best.name_key = n.name_key
        CROSS JOIN LATERAL (VALUES (3, CASE WHEN n.doubtful THEN n.asked END), (7, n.scientific_name)) w (way, name)
        WHERE w.name IS NOT NULL AND (best.way IS NULL OR best.way > w.way)
    ), named AS (
        SELECT a.name_key, CASE WHEN t.with_author THEN a.way ELSE 4 END AS way, t.cd_nom, t.cd_ref
        FROM passereau.taxa_named((SELECT array_agg(DISTINCT a.name) FROM asked a)) t
        JOIN asked a ON a.name = t.name
        WHERE (t.with_author OR a.way = 3) AND passereau.kingdoms_agree(a.kingdom, t.regne)
    ), candidate AS (
        SELECT * FROM told
        UNION ALL
        SELECT n.name_key, n.way, CASE n.way WHEN 7 THEN 'scientificName' ELSE 'verbatimName' END,
               COALESCE(min(n.cd_nom) FILTER (WHERE n.cd_nom = n.cd_ref), min(n.cd_nom)), true, true
        FROM named n GROUP BY n.name_key, n.way HAVING min(n.cd_ref) = max(n.cd_ref)
    )
    SELECT DISTINCT ON (c.name_key) c.name_key, c.cd_nom, c.path
    FROM candidate c
    ORDER BY c.name_key, c.way, c.accepted DESC, c.same DESC, c.cd_nom;
END $$;

-- GBIF keys of the taxa of a rank and a kingdom, as a predicate of a download wants them (the published procedure's query). A
-- taxon of which no name has a link stands there with gbif_key NULL.
CREATE OR REPLACE FUNCTION passereau.taxon_keys(of_rank text, of_regne text, excluded_phyla text[])
RETURNS TABLE (cd_nom integer, name text, gbif_key text)
LANGUAGE sql STABLE AS $$
    WITH taxon AS MATERIALIZED (
        SELECT t.cd_nom, t.cd_ref, t.nom_complet
        FROM taxonomie.taxref t
        WHERE t.id_rang = of_rank AND t.regne = of_regne AND COALESCE(t.phylum, '') <> ALL (excluded_phyla)
    ), linked AS MATERIALIZED (
        SELECT DISTINCT t.cd_nom, t.cd_ref, t.nom_complet, l.ct_sp_id
        FROM taxon t
        JOIN taxonomie.taxref_liens l ON l.cd_nom = t.cd_nom AND l.ct_name = 'GBIF'
    )
    SELECT l.cd_nom, l.nom_complet, l.ct_sp_id FROM linked l
    UNION ALL
    SELECT t.cd_nom, t.nom_complet, NULL
    FROM taxon t
    WHERE t.cd_nom = t.cd_ref AND NOT EXISTS (SELECT FROM linked l WHERE l.cd_ref = t.cd_ref)
    ORDER BY 2, 1, 3
$$;

-- Names of TAXREF near to names that found none, one of a taxon and three at most, nearest first. `how` is 1 for the same name
-- but for its author (the canonical name: a proposal only, another author may mean another taxon), else the similarity of
-- trigrams (pg_trgm, which TaxHub requires too). Another kingdom comes last.
--
-- Comparing a name with 700,000 others takes a second. So only names are compared that share the genus, or the epithet but for
-- its Latin ending (rtrim: albus, alba and album leave alb): most misspellings and new combinations are among them, and one
-- pass over taxref finds them for all names together.
CREATE OR REPLACE FUNCTION passereau.taxa_near(names text[], kingdoms text[])
RETURNS TABLE (name text, kingdom text, cd_nom integer, nom_complet text, regne text, how real)
LANGUAGE plpgsql STABLE ROWS 1000 SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        -- Without subgenus and author: the first word, and the words in small letters that follow it, but for "de", "ex" …
        SELECT n.name, n.kingdom,
               substring(regexp_replace(n.name, ' \([^)]*\)(?= [a-z])', '')
                         FROM '^[^ ]+(?: (?!(?:and|auct|d|da|de|del|der|des|di|du|et|ex|in|van|von|zu)\M)[a-z×][^ ]*)*') AS canonical
        FROM unnest(names, kingdoms) n (name, kingdom)
    ), word AS MATERIALIZED (
        SELECT a.*, split_part(a.canonical, ' ', 1) AS genus,
               NULLIF(rtrim(split_part(a.canonical, ' ', 2), 'aeimsu'), '') AS stem
        FROM asked a
    ), beside AS MATERIALIZED (
        SELECT t.*
        FROM (SELECT t.cd_nom, COALESCE(t.cd_ref, t.cd_nom) AS cd_ref, t.lb_nom, t.nom_complet, t.regne,
                     split_part(t.lb_nom, ' ', 1) AS genus, rtrim(split_part(t.lb_nom, ' ', 2), 'aeimsu') AS stem
              FROM taxonomie.taxref t) t
        WHERE t.genus IN (SELECT w.genus FROM word w) OR t.stem IN (SELECT w.stem FROM word w WHERE w.stem IS NOT NULL)
    ), near AS (
        SELECT w.name, w.kingdom, b.cd_nom, b.cd_ref, b.nom_complet, b.regne,
               CASE WHEN b.lb_nom = w.canonical THEN 1 ELSE similarity(b.lb_nom, w.canonical) END::real AS how,
               passereau.kingdoms_agree(w.kingdom, b.regne) AS agrees
        FROM (SELECT w.*, b.cd_nom FROM word w JOIN beside b ON b.genus = w.genus
              UNION
              SELECT w.*, b.cd_nom FROM word w JOIN beside b ON b.stem = w.stem) w
        JOIN beside b ON b.cd_nom = w.cd_nom
    ), taxon AS (
        SELECT DISTINCT ON (n.name, n.kingdom, n.cd_ref) n.*
        FROM near n WHERE n.how >= 0.3
        ORDER BY n.name, n.kingdom, n.cd_ref, n.how DESC, (n.cd_nom = n.cd_ref) DESC, n.cd_nom
    ), ranked AS (
        SELECT t.*, row_number() OVER (PARTITION BY t.name, t.kingdom
                                       ORDER BY (t.how = 1) DESC, t.agrees DESC, t.how DESC, t.cd_nom) AS place
        FROM taxon t
    )
    SELECT r.name, r.kingdom, r.cd_nom, r.nom_complet::text, r.regne::text, r.how
    FROM ranked r WHERE r.place <= 3
    ORDER BY r.name, r.kingdom, r.place;
END $$;

-- The questions to a taxonomist: names of records that the subscription's last harvest rejected as taxon_unmatched and that
-- have no answer yet, those of most records first. Where GBIF is in doubt a question is the observer's name,
-- verbatim_scientific_name; elsewhere that is NULL, because one answer by key serves all spellings.
-- proposals: [{"cd_nom": …, "name": …, "regne": …, "how": 1 = same name, else similarity}], see taxa_near.
CREATE OR REPLACE FUNCTION passereau.unmatched_taxa(of_subscription text)
RETURNS TABLE (taxon_key text, scientific_name text, verbatim_scientific_name text, kingdom text, taxon_rank text, records bigint,
               proposals jsonb)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    generation bigint := (SELECT s.current_generation FROM passereau.subscription s WHERE s.name = of_subscription);
BEGIN
    RETURN QUERY
    WITH question AS MATERIALIZED (
        SELECT o.taxon_key, o.scientific_name,
               CASE WHEN d.doubtful THEN o.verbatim_scientific_name END AS verbatim_scientific_name, o.kingdom, o.taxon_rank,
               passereau.asked_name(o.scientific_name, CASE WHEN d.doubtful OR o.scientific_name IS NULL
                                                            THEN o.verbatim_scientific_name END, d.doubtful) AS asked,
               count(*) AS records
        FROM pinv_gbif.reject r
        JOIN pinv_gbif.occurrence o ON o.generation_id = generation AND o.gbif_id = r.gbif_id
        CROSS JOIN LATERAL (SELECT passereau.doubtful_name(o.taxon_key, o.issue) AS doubtful) d
        WHERE r.subscription = of_subscription AND r.reason = 'taxon_unmatched'
        GROUP BY 1, 2, 3, 4, 5, 6
    ), answer AS MATERIALIZED (
        SELECT * FROM passereau.taxon_answers()
    ), open AS MATERIALIZED (
        SELECT q.* FROM question q
        WHERE NOT EXISTS (SELECT FROM answer a
                          WHERE (a.taxon_key IS NULL OR a.taxon_key = q.taxon_key) AND (a.name IS NULL OR a.name = q.asked))
    ), near AS (
        SELECT n.name, n.kingdom,
               jsonb_agg(jsonb_build_object('cd_nom', n.cd_nom, 'name', n.nom_complet, 'regne', n.regne, 'how', n.how)) AS proposals
        FROM (SELECT array_agg(o.asked) AS names, array_agg(COALESCE(o.kingdom, '')) AS kingdoms
              FROM (SELECT DISTINCT q.asked, q.kingdom FROM open q WHERE q.asked IS NOT NULL) o) x
        CROSS JOIN LATERAL passereau.taxa_near(x.names, x.kingdoms) n
        GROUP BY n.name, n.kingdom
    )
    SELECT q.taxon_key, q.scientific_name, q.verbatim_scientific_name, q.kingdom, q.taxon_rank, q.records,
           COALESCE(n.proposals, '[]')
    FROM open q
    LEFT JOIN near n ON n.name = q.asked AND n.kingdom = COALESCE(q.kingdom, '')
    ORDER BY q.records DESC, q.scientific_name, q.verbatim_scientific_name, q.taxon_key;
END $$;

RESET check_function_bodies;
