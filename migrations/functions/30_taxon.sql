-- Taxon: from GBIF's backbone key to a name of TAXREF (cd_nom), through taxonomie.taxref_liens (TaxHub 2.2 and later),
-- where ct_name = 'GBIF' and ct_sp_id is the key as text.
--
-- The table is not a function: one key may carry several cd_nom. Rule: the accepted name (cd_nom = cd_ref) first, then the
-- name that is written like the record's scientificName (with or without its author), then the lowest cd_nom. A cd_nom that
-- the local taxref does not hold is no match. The cd_nom of a synonym is kept as it is: GeoNature groups by cd_ref.
--
-- Cost: one pass over the records of the chunk and one over taxref_liens, whose key begins with (ct_name, cd_nom) and
-- cannot be searched by ct_sp_id: about 0.3 s per call on 2 million links, an index on (ct_name, ct_sp_id) spares it.
-- Locks: none.
SET check_function_bodies = off;

-- One row for each pair (taxon_key, scientific_name) that stands in the chunk and has a match.
CREATE OR REPLACE FUNCTION passereau.matched_taxa(of_generation bigint, after_id bigint, upto_id bigint)
RETURNS TABLE (taxon_key text, scientific_name text, cd_nom integer)
LANGUAGE sql STABLE AS $$
    WITH name AS MATERIALIZED (
        SELECT DISTINCT o.taxon_key, o.scientific_name
        FROM pinv_gbif.occurrence o
        WHERE o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id
          AND o.taxon_key IS NOT NULL
    )
    SELECT DISTINCT ON (n.taxon_key, n.scientific_name) n.taxon_key, n.scientific_name, t.cd_nom
    FROM name n
    JOIN taxonomie.taxref_liens l ON l.ct_name = 'GBIF' AND l.ct_sp_id = n.taxon_key
    JOIN taxonomie.taxref t ON t.cd_nom = l.cd_nom
    ORDER BY n.taxon_key, n.scientific_name,
             (t.cd_nom = t.cd_ref) DESC NULLS LAST,
             (n.scientific_name = t.nom_complet OR n.scientific_name = t.lb_nom) DESC NULLS LAST,
             t.cd_nom
$$;

RESET check_function_bodies;
