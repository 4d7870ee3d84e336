-- The destination: what a harvest must know of the GeoNature it writes into.
--
-- Errors raised by the functions of these files carry a SQLSTATE of class PS, so that a program tells them apart:
--   PS001  the database is not ready for the call, or a setting of the platform or of a subscription is not what it may be. The message names which and what
--          to do: an administrator runs `passereau install` where a source, an index or a right is missing, somebody mends the setting where that is wrong
--   PS002  the harvest, its generation, its slice or what an operator names is not in the state that the call needs
--   PS003  the sums of a harvest do not hold: nothing was committed
--   PS004  what is given as the name of a person who wants to be forgotten is none, or several
--
-- Cost: a few catalogue rows, once per call of plan() and apply(). Locks: none.

-- Version of the conversion (50_convert.sql). It is part of passereau.written.written_key: a new version converts every
-- record again, and only those whose columns come out different are written.
CREATE OR REPLACE FUNCTION passereau.conversion_version() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 2 $$;

-- id_source      identifier of the source named GBIF in gn_synthese.t_sources
-- srid           projection of synthese.the_geom_local (GeoNature dropped its local_srid parameter in 2.10)
-- taxref_version written into synthese.meta_v_taxref, whose default stays at the version of the first installation;
--                NULL where TaxHub keeps no version
--
-- The unique index on (id_source, entity_source_pk_value) is found by its definition, whatever its name: GeoNature ships
-- none, the exchange tool GN2PG makes a complete one, `passereau install` a partial one limited to our source.
CREATE OR REPLACE FUNCTION passereau.destination(OUT id_source integer, OUT srid integer, OUT taxref_version text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF to_regclass('gn_synthese.synthese') IS NULL OR to_regclass('gn_synthese.t_sources') IS NULL THEN
        RAISE EXCEPTION 'this database holds no gn_synthese.synthese'
            USING ERRCODE = 'PS001',
                  HINT = 'Point PASSEREAU_DATABASE_URL at the database of GeoNature, then run `passereau install`.';
    END IF;

    -- Without it every plan would end in a bare "relation does not exist".
    IF to_regclass('taxonomie.taxref_liens') IS NULL THEN
        RAISE EXCEPTION 'this database holds no taxonomie.taxref_liens, which leads from GBIF''s keys to TAXREF: upgrade to GeoNature 2.16 or later (TaxHub 2.2), then run `passereau install`'
            USING ERRCODE = 'PS001', HINT = 'TaxHub makes the table when it is upgraded, and fills it when TAXREF is imported.';
    END IF;

    SELECT t.id_source INTO destination.id_source FROM gn_synthese.t_sources t WHERE t.name_source = 'GBIF';
    IF destination.id_source IS NULL THEN
        RAISE EXCEPTION 'no source named GBIF in gn_synthese.t_sources: run `passereau install`'
            USING ERRCODE = 'PS001', HINT = '`passereau install --print-sql` prints the statements for an administrator.';
    END IF;

    IF NOT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = 'gn_synthese.synthese'::regclass
          AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indnkeyatts = 2 AND i.indexprs IS NULL
          AND (SELECT array_agg(a.attname::text ORDER BY a.attname)
               FROM pg_attribute a
               WHERE a.attrelid = i.indrelid AND a.attnum IN (i.indkey[0], i.indkey[1]))
              = ARRAY['entity_source_pk_value', 'id_source']
          AND (i.indpred IS NULL
               OR pg_get_expr(i.indpred, i.indrelid) = format('(id_source = %s)', destination.id_source))
    ) THEN
        RAISE EXCEPTION 'gn_synthese.synthese has no unique index on (id_source, entity_source_pk_value) for source %: run `passereau install`',
                destination.id_source
            USING ERRCODE = 'PS001', HINT = '`passereau install --print-sql` prints the statements for an administrator.';
    END IF;

    srid := Find_SRID('gn_synthese', 'synthese', 'the_geom_local');

    IF to_regclass('taxonomie.t_meta_taxref') IS NOT NULL THEN
        -- The form of GeoNature's own parameter taxref_version, for instance Taxref V18.0.
        SELECT 'Taxref V' || m.version || '.0' INTO taxref_version
        FROM taxonomie.t_meta_taxref m WHERE lower(m.referencial_name) = 'taxref'
        ORDER BY m.update_date DESC NULLS LAST, m.version DESC LIMIT 1;
    END IF;
END $$;
