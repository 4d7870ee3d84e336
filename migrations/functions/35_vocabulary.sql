-- Vocabulary: from the words of a record to the nomenclatures of this instance, by the rules of pinv_gbif.cor_vocabulary, and
-- from its issue flags to what pinv_gbif.cor_issue says of them. Nothing is guessed: a value that no active rule knows keeps
-- the instance's default and is handed back as unmatched.
--
-- Both work on what is distinct in a chunk, not on its records, and are joined to them by terms_key(o) and by o.issue.
--
-- Cost, reviewed with EXPLAIN (ANALYZE) in a chunk of 200,000, with and without statistics (2 cores, a load of 5; two
-- thirds of it on a quiet machine):
--   terms_key      0.003 ms a record, an md5; paid once more where the answers are joined to the records
--   vocabulary_of  0.007 ms a record for 58,000 keys that are 1,900 situations: half of it the keys, a quarter their sort, the
--                  situations 0.1 s. 0.02 ms when one record in five says something of its own (21,000 situations).
--   issues_of      0.0004 ms a record
-- unmatched_values is a report: some seconds.
--
-- Locks: none. They fail on nothing that a record holds.
SET check_function_bodies = off;

-- The identifier that a code has in this instance; NULL where the instance has no such code, or has switched it off.
CREATE OR REPLACE FUNCTION passereau.nomenclature(type text, code text) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT n.id_nomenclature
    FROM ref_nomenclatures.t_nomenclatures n
    JOIN ref_nomenclatures.bib_nomenclatures_types t ON t.id_type = n.id_type
    WHERE t.mnemonique = nomenclature.type AND n.cd_nomenclature = nomenclature.code AND n.active
$$;

-- Codes that active rules lead to and that are of no use here: `passereau check` prints them.
CREATE OR REPLACE FUNCTION passereau.unresolved_vocabulary()
RETURNS TABLE (nomenclature_type text, nomenclature_code text, problem text, rules bigint)
LANGUAGE sql STABLE AS $$
    SELECT r.nomenclature_type, r.nomenclature_code,
           CASE WHEN ref_nomenclatures.get_id_nomenclature(r.nomenclature_type, r.nomenclature_code) IS NULL
                THEN 'missing' ELSE 'inactive' END,
           count(*)
    FROM pinv_gbif.cor_vocabulary r
    WHERE r.active AND r.nomenclature_code IS NOT NULL
      AND passereau.nomenclature(r.nomenclature_type, r.nomenclature_code) IS NULL
    GROUP BY r.nomenclature_type, r.nomenclature_code
    ORDER BY r.nomenclature_type, r.nomenclature_code
$$;

-- All that a rule can look at, and nothing else: records with one key have one answer. Every column that vocabulary_of reads
-- stands here. Written so that it is inlined: no concat_ws, which is not IMMUTABLE.
CREATE OR REPLACE FUNCTION passereau.terms_key(o pinv_gbif.occurrence) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT md5(COALESCE(o.dataset_key::text, '')
               || E'\n' || COALESCE(o.basis_of_record, '') || E'\n' || COALESCE(o.kingdom, '')
               || E'\n' || COALESCE(o.class, '') || E'\n' || COALESCE(o."order", '')
               || E'\n' || COALESCE(o.occurrence_status, '') || E'\n' || COALESCE(o.vitality, '')
               || E'\n' || COALESCE(o.sex, '') || E'\n' || COALESCE(o.life_stage, '')
               || E'\n' || COALESCE(o.reproductive_condition, '') || E'\n' || COALESCE(o.behavior, '')
               || E'\n' || COALESCE(o.establishment_means, '') || E'\n' || COALESCE(o.degree_of_establishment, '')
               || E'\n' || COALESCE(o.organism_quantity_type, '') || E'\n' || COALESCE(o.media_type, ''))::uuid
$$;

-- The values that a term holds: free text and media come as lists, GBIF joins with ; and iNaturalist with |.
CREATE OR REPLACE FUNCTION passereau.term_values(term text, value text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN term IN ('reproductiveCondition', 'behavior', 'mediaType')
                THEN regexp_split_to_array(value, '[|;,]') ELSE ARRAY[value] END
$$;

-- One row for each distinct terms_key of the chunk. For each nomenclature one rule wins, of those that apply to the record and
-- whose code is active in this instance: the highest priority, then the one with most conditions, then a code before a
-- default, then the value that stands first in its list, then the oldest rule. NULL is the instance's default.
--
-- unmatched holds, by term, the values of the record that no active rule knows, and those whose rule leads only to a code
-- that this instance lacks; in a list only these parts, joined by |. NULL when there are none.
--
-- No plain SQL function, which would become part of the caller's query: a chunk of which PostgreSQL has no statistics yet looks
-- like five records, and the nested loops that follow took seconds for 1,500 records. None of GeoNature's triggers runs in here.
DROP FUNCTION IF EXISTS passereau.vocabulary_of(bigint, bigint, bigint);
DROP FUNCTION IF EXISTS passereau.vocabulary_of(bigint, bigint, bigint, bigint[]);
CREATE FUNCTION passereau.vocabulary_of(of_generation bigint, after_id bigint, upto_id bigint, only_ids bigint[] DEFAULT NULL)
RETURNS TABLE (terms_key uuid,
               id_nomenclature_obs_technique integer, id_nomenclature_bio_status integer,
               id_nomenclature_bio_condition integer, id_nomenclature_naturalness integer,
               id_nomenclature_life_stage integer, id_nomenclature_sex integer,
               id_nomenclature_observation_status integer, id_nomenclature_source_status integer,
               id_nomenclature_behaviour integer, id_nomenclature_biogeo_status integer,
               id_nomenclature_determination_method integer, id_nomenclature_obj_count integer,
               id_nomenclature_type_count integer, unmatched jsonb)
LANGUAGE plpgsql STABLE ROWS 20000
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET jit = off SET work_mem = '128MB'
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH rule AS MATERIALIZED (
        SELECT r.id, r.term, COALESCE(r.value_key, E'\n') AS word, r.priority, r.conditions, r.dataset_key,
               passereau.vocabulary_key(r.basis_of_record) AS basis_of_record, passereau.vocabulary_key(r.kingdom) AS kingdom,
               passereau.vocabulary_key(r.class) AS class, passereau.vocabulary_key(r."order") AS "order",
               r.companion_term, passereau.vocabulary_key(r.companion_value) AS companion_word, r.nomenclature_type,
               n.id_nomenclature, r.nomenclature_code IS NULL OR n.id_nomenclature IS NOT NULL AS resolved
        FROM pinv_gbif.cor_vocabulary r,
             LATERAL (SELECT passereau.nomenclature(r.nomenclature_type, r.nomenclature_code)) AS n (id_nomenclature)
        WHERE r.active
    ), combination AS (    -- one record of each key; no more than the key and the sort are paid for every record
        SELECT DISTINCT ON (passereau.terms_key(o)) passereau.terms_key(o) AS terms_key, o.dataset_key, o.basis_of_record, o.kingdom,
               o.class, o."order", o.occurrence_status, o.vitality, o.sex, o.life_stage, o.reproductive_condition, o.behavior,
               o.establishment_means, o.degree_of_establishment, o.organism_quantity_type, o.media_type
        FROM pinv_gbif.occurrence o
        WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id
          AND (only_ids IS NULL OR o.gbif_id = ANY (only_ids))
    ), situation AS MATERIALIZED (    -- combinations that no rule tells apart: far fewer, all the rest is done on them
        SELECT row_number() OVER () AS id, array_agg(c.terms_key) AS keys,
               k.dataset_key, k.basis_of_record, k.kingdom, k.class, k."order",
               jsonb_build_object(
                   'occurrenceStatus', c.occurrence_status, 'basisOfRecord', c.basis_of_record, 'vitality', c.vitality,
                   'sex', c.sex, 'lifeStage', c.life_stage, 'reproductiveCondition', c.reproductive_condition, 'behavior', c.behavior,
                   'establishmentMeans', c.establishment_means, 'degreeOfEstablishment', c.degree_of_establishment,
                   'organismQuantityType', c.organism_quantity_type, 'mediaType', c.media_type) AS terms
        FROM combination c,
             LATERAL (SELECT passereau.vocabulary_key(c.basis_of_record), passereau.vocabulary_key(c.kingdom),
                             passereau.vocabulary_key(c.class), passereau.vocabulary_key(c."order")
                     ) AS w (basis_of_record, kingdom, class, "order"),
             LATERAL (SELECT CASE WHEN c.dataset_key IN (SELECT r.dataset_key FROM rule r) THEN c.dataset_key END,
                             CASE WHEN w.basis_of_record IN (SELECT r.basis_of_record FROM rule r) THEN w.basis_of_record END,
                             CASE WHEN w.kingdom IN (SELECT r.kingdom FROM rule r) THEN w.kingdom END,
                             CASE WHEN w.class IN (SELECT r.class FROM rule r) THEN w.class END,
                             CASE WHEN w."order" IN (SELECT r."order" FROM rule r) THEN w."order" END
                     ) AS k (dataset_key, basis_of_record, kingdom, class, "order")
        GROUP BY k.dataset_key, k.basis_of_record, k.kingdom, k.class, k."order", c.occurrence_status, c.basis_of_record,
                 c.vitality, c.sex, c.life_stage, c.reproductive_condition, c.behavior, c.establishment_means, c.degree_of_establishment,
                 c.organism_quantity_type, c.media_type
    ), said AS MATERIALIZED (    -- position 0 is met by the rules for any value; no value holds a line feed
        SELECT s.id, t.term, v.position, v.value, passereau.vocabulary_key(v.value) AS word
        FROM situation s, jsonb_each_text(s.terms) AS t (term, value),
             unnest(passereau.term_values(t.term, COALESCE(t.value, ''))) WITH ORDINALITY AS v (value, position)
        UNION ALL
        SELECT s.id, t.term, 0, NULL, E'\n' FROM situation s, jsonb_object_keys(s.terms) AS t (term)
    ), applied AS MATERIALIZED (    -- rules that apply to what is said; one row without a rule where there is none
        SELECT t.id, t.term, t.position, t.value, t.word, r.nomenclature_type, r.id_nomenclature, r.resolved,
               r.priority, r.conditions, r.id AS rule
        FROM said t
        JOIN situation s ON s.id = t.id
        LEFT JOIN rule r ON r.term = t.term AND r.word = t.word
              AND (r.dataset_key IS NULL OR r.dataset_key = s.dataset_key)
              AND (r.basis_of_record IS NULL OR r.basis_of_record = s.basis_of_record)
              AND (r.kingdom IS NULL OR r.kingdom = s.kingdom)
              AND (r.class IS NULL OR r.class = s.class)
              AND (r."order" IS NULL OR r."order" = s."order")
              AND (r.companion_term IS NULL OR EXISTS (
                      SELECT FROM unnest(passereau.term_values(r.companion_term, s.terms ->> r.companion_term)) AS companion (value)
                      WHERE passereau.vocabulary_key(companion.value) = r.companion_word))
    ), won AS (
        SELECT DISTINCT ON (a.id, a.nomenclature_type) a.id, a.nomenclature_type, a.id_nomenclature
        FROM applied a
        WHERE a.resolved
        ORDER BY a.id, a.nomenclature_type, a.priority DESC, a.conditions DESC,
                 (a.id_nomenclature IS NULL), NULLIF(a.position, 0), a.rule
    ), meant AS (
        SELECT w.id,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'METH_OBS') AS obs_technique,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'STATUT_BIO') AS bio_status,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'ETA_BIO') AS bio_condition,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'NATURALITE') AS naturalness,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'STADE_VIE') AS life_stage,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'SEXE') AS sex,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'STATUT_OBS') AS observation_status,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'STATUT_SOURCE') AS source_status,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'OCC_COMPORTEMENT') AS behaviour,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'STAT_BIOGEO') AS biogeo_status,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'METH_DETERMIN') AS determination_method,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'OBJ_DENBR') AS obj_count,
               max(w.id_nomenclature) FILTER (WHERE w.nomenclature_type = 'TYP_DENBR') AS type_count
        FROM won w
        GROUP BY w.id
    ), unknown AS (    -- media are no vocabulary
        SELECT a.id, a.term, a.position, min(btrim(a.value)) AS value
        FROM applied a
        WHERE a.position > 0 AND a.word <> '' AND a.term <> 'mediaType'
        GROUP BY a.id, a.term, a.position
        HAVING bool_and(a.resolved) IS NOT TRUE
    ), unmatched AS (
        SELECT t.id, jsonb_object_agg(t.term, t.value) AS terms
        FROM (SELECT u.id, u.term, string_agg(u.value, '|' ORDER BY u.position) AS value FROM unknown u GROUP BY u.id, u.term) t
        GROUP BY t.id
    )
    SELECT k.terms_key, m.obs_technique, m.bio_status, m.bio_condition, m.naturalness, m.life_stage, m.sex,
           m.observation_status, m.source_status, m.behaviour, m.biogeo_status, m.determination_method, m.obj_count, m.type_count,
           u.terms
    FROM situation s
    LEFT JOIN meant m ON m.id = s.id
    LEFT JOIN unmatched u ON u.id = s.id
    CROSS JOIN unnest(s.keys) AS k (terms_key);
END $$;

-- What a data manager may want a rule for: the unmatched values of a generation, most frequent first. Ways of writing one
-- value are counted together.
DROP FUNCTION IF EXISTS passereau.unmatched_values(bigint);
CREATE FUNCTION passereau.unmatched_values(of_generation bigint) RETURNS TABLE (term text, value text, records bigint)
LANGUAGE sql STABLE AS $$
    WITH counted AS (
        SELECT passereau.terms_key(o) AS terms_key, count(*) AS records
        FROM pinv_gbif.occurrence o WHERE o.generation_id = of_generation GROUP BY 1
    )
    SELECT t.term, min(v.value), sum(c.records)::bigint AS records
    FROM passereau.vocabulary_of(of_generation, '-9223372036854775808', '9223372036854775807') r
    JOIN counted c ON c.terms_key = r.terms_key,
         jsonb_each_text(r.unmatched) AS t (term, value),
         unnest(passereau.term_values(t.term, t.value)) AS v (value)
    GROUP BY t.term, passereau.vocabulary_key(v.value)
    ORDER BY 3 DESC, 1, 2
$$;

-- One row for each distinct text of flags in the chunk: those that refuse the record, and those that are to be noted, in GBIF's
-- order. A flag that pinv_gbif.cor_issue does not know is noted: GBIF makes new ones. Not plain SQL, as above.
DROP FUNCTION IF EXISTS passereau.issues_of(bigint, bigint, bigint);
DROP FUNCTION IF EXISTS passereau.issues_of(bigint, bigint, bigint, bigint[]);
CREATE FUNCTION passereau.issues_of(of_generation bigint, after_id bigint, upto_id bigint, only_ids bigint[] DEFAULT NULL)
RETURNS TABLE (issue text, rejected_by text, noted text[])
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH flagged AS MATERIALIZED (
        SELECT DISTINCT o.issue
        FROM pinv_gbif.occurrence o
        WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id AND o.issue IS NOT NULL
          AND (only_ids IS NULL OR o.gbif_id = ANY (only_ids))
    ), one AS (
        SELECT f.issue, upper(btrim(flag)) AS flag, position
        FROM flagged f, unnest(string_to_array(f.issue, ';')) WITH ORDINALITY AS parts (flag, position)
    )
    SELECT o.issue,
           string_agg(o.flag, ';' ORDER BY o.position) FILTER (WHERE c.action = 'reject'),
           array_agg(o.flag ORDER BY o.position) FILTER (WHERE c.action IS NULL OR c.action = 'note')
    FROM one o
    LEFT JOIN pinv_gbif.cor_issue c ON c.issue = o.flag
    WHERE o.flag <> ''
    GROUP BY o.issue;
END $$;

RESET check_function_bodies;
