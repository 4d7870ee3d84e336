-- The gate: up to which precision a row of the synthèse may leave, and whether its licence lets it.
--
-- The tables of state/0018_gate.sql decide; whatever they do not know does not leave. The queries of shared/gate (rows that leave
-- exactly, rows that leave as an area, and why the others do not) are made of these functions and of nothing else.
--
-- Functions and no views: a view of ours on a table of GeoNature would stand in the way of its migrations.
--
-- Cost: small sets that are hashed once, and expressions that PostgreSQL inlines. Locks: none.
SET check_function_bodies = off;

-- Levels by the id that the synthèse holds. A level without a label does not leave either: the partner could not be told what it is.
CREATE OR REPLACE FUNCTION passereau.gate_level() RETURNS TABLE (id_nomenclature integer, code text, label text, "precision" text, area_type text)
LANGUAGE sql STABLE AS $$
SELECT n.id_nomenclature, n.cd_nomenclature::text AS code, n.label_default::text AS label,
       CASE WHEN n.label_default ~ '[[:alnum:]]' THEN COALESCE(l.precision, 'unknown') ELSE 'unknown' END AS precision, l.area_type
FROM ref_nomenclatures.t_nomenclatures n
JOIN ref_nomenclatures.bib_nomenclatures_types t ON t.id_type = n.id_type AND t.mnemonique = 'SENSIBILITE'
LEFT JOIN passereau.sensitivity_level l ON l.code = btrim(n.cd_nomenclature)
$$;

-- The producers' wishes by the id that the synthèse holds.
CREATE OR REPLACE FUNCTION passereau.gate_wish() RETURNS TABLE (id_nomenclature integer, "precision" text, area_type text)
LANGUAGE sql STABLE AS $$
SELECT n.id_nomenclature, COALESCE(w.precision, 'unknown') AS precision, w.area_type
FROM ref_nomenclatures.t_nomenclatures n
JOIN ref_nomenclatures.bib_nomenclatures_types t ON t.id_type = n.id_type AND t.mnemonique = 'NIV_PRECIS'
LEFT JOIN passereau.diffusion_wish w ON w.code = btrim(n.cd_nomenclature)
$$;

-- exact, area or none. `sensitive` is what the flow does with sensitive records: blurred, excluded or precise. By the standard the wish
-- concerns records that are not sensitive (PnX-SI/GeoNature issue 1711); "no diffusion", said by the level or by the producer, holds in every
-- flow: a sensitive record is never less protected than one that is not.
CREATE OR REPLACE FUNCTION passereau.gate_precision(sensitive text, level text, wish_id integer, wish text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE level
        WHEN 'exact' THEN CASE WHEN wish_id IS NULL THEN 'exact' WHEN wish IN ('exact', 'area') THEN wish ELSE 'none' END
        WHEN 'area' THEN CASE WHEN wish = 'none' THEN 'none'
                              ELSE CASE sensitive WHEN 'blurred' THEN 'area' WHEN 'precise' THEN 'exact' ELSE 'none' END END
        ELSE 'none' END
$$;

-- Why a row does not leave, where gate_precision says none.
CREATE OR REPLACE FUNCTION passereau.gate_reason(level text, wish text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE level
        WHEN 'exact' THEN CASE WHEN wish = 'none' THEN 'wish_none' ELSE 'wish_unknown' END
        WHEN 'area' THEN CASE WHEN wish = 'none' THEN 'wish_none' ELSE 'sensitive_excluded' END
        WHEN 'none' THEN 'no_diffusion'
        ELSE 'level_unknown' END
$$;

-- The type of area that a row leaves as, where gate_precision says area.
CREATE OR REPLACE FUNCTION passereau.gate_area_type(level text, level_area_type text, wish_area_type text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN level = 'exact' THEN wish_area_type ELSE level_area_type END $$;

-- A licence as table passereau.licence spells it. A letter that is not ASCII stays, and makes a licence that nobody knows.
CREATE OR REPLACE FUNCTION passereau.licence_spelling(written text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(lower(regexp_replace(written, '^\s*https?://(www\.)?', '', 'i')), '[\s[:punct:]]', '', 'g')
$$;

-- People, where a blurred record names them: Latin letters and what stands between names, whatever the locale of the database. Writers put
-- coordinates, ids, links and accounts beside names; then the whole text is emptied.
CREATE OR REPLACE FUNCTION passereau.gate_names(written text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(written) <= 250 AND written ~ '^[A-Za-z\u00c0-\u024f\u1e00-\u1eff .,;''\u2019()&+|\u2010-\u2014-]+$'
                     AND written !~* 'www\.' THEN written END
$$;

-- The version of TAXREF, where a row's text is one and nothing else.
CREATE OR REPLACE FUNCTION passereau.gate_taxref(written text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN written ~* '^\s*(taxref\s*)?v?\.?\s*[0-9]{1,2}(\.[0-9])?\s*$' THEN written END
$$;

-- The name that a record has in one flow when it leaves as an area: the same in every delivery, another one in every flow, and nothing that
-- could be looked up elsewhere. `flow_key` is the flow's own secret.
CREATE OR REPLACE FUNCTION passereau.pseudonym(flow_key bytea, of_uuid uuid, of_id_synthese integer) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    -- Version 8 and variant of RFC 9562.
    SELECT (substr(h, 1, 12) || '8' || substr(h, 14, 3) || '8' || substr(h, 18, 15))::uuid
    FROM encode(sha256(flow_key || convert_to(COALESCE(of_uuid::text, of_id_synthese::text), 'UTF8') || flow_key), 'hex') AS h
$$;

-- What the current transaction selects, as JSON; the delivery sets it before its queries (set_config, transaction only).
CREATE OR REPLACE FUNCTION passereau.selection() RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT NULLIF(current_setting('passereau.selection', true), '')::jsonb
$$;

-- A list of it; empty when it is absent.
CREATE OR REPLACE FUNCTION passereau.selected(of_key text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg(value), '{}') FROM jsonb_array_elements_text(passereau.selection() -> of_key) AS value
$$;

-- What becomes of each column when its record leaves as an area, by type of area; a column that is not in the object is emptied.
CREATE OR REPLACE FUNCTION passereau.gate_rules() RETURNS TABLE (area_type text, treatments jsonb) LANGUAGE sql STABLE AS $$
SELECT t.type_code::text AS area_type, jsonb_object_agg(f.field, f.treatment) AS treatments
FROM ref_geo.bib_areas_types t
CROSS JOIN LATERAL (SELECT DISTINCT ON (r.field) r.field, r.treatment FROM passereau.blur_rule r
                    WHERE r.area_type IN (t.type_code, '*') ORDER BY r.field, r.area_type = '*') f
GROUP BY t.type_code
$$;
