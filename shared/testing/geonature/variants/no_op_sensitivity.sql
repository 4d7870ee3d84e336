-- A 2.17 as the SINP platform of Auvergne-Rhône-Alpes has made it (https://github.com/cbn-alpin/sinp-aura-data): sensitivity comes with
-- the data, in levels of its own, and GeoNature's objects belong to a role of their own.

-- The triggers are there and enabled; their functions do nothing. A row that says nothing of its sensitivity keeps NULL, which hides it
-- from everybody who may only see blurred data.
CREATE OR REPLACE FUNCTION gn_synthese.fct_tri_calculate_sensitivity_on_each_statement() RETURNS trigger
    LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END; $$;
CREATE OR REPLACE FUNCTION gn_synthese.fct_tri_update_sensitivity_on_each_row() RETURNS trigger
    LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END; $$;

-- Levels by grid. The national ones stay, frozen; "no diffusion" is 2.8 besides 4.
UPDATE ref_nomenclatures.t_nomenclatures SET statut = 'Gelé'
 WHERE id_type = ref_nomenclatures.get_id_nomenclature_type('SENSIBILITE') AND cd_nomenclature IN ('1', '2', '3', '4');
INSERT INTO ref_nomenclatures.t_nomenclatures
    (id_type, cd_nomenclature, mnemonique, label_default, label_fr, source, statut, id_broader, hierarchy, active)
SELECT t.id_type, level.code, level.label, level.label, level.label, 'SINP AURA', 'Validé',
       ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '2'), lpad(t.id_type::text, 3, '0') || '.002.' || level.code, true
  FROM ref_nomenclatures.bib_nomenclatures_types t,
       (VALUES ('2.1', 'Maille 1 km'), ('2.2', 'Maille 2 km'), ('2.3', 'Maille 5 km'), ('2.4', 'Maille 10 km'), ('2.5', 'Maille 20 km'),
               ('2.6', 'Maille 50 km'), ('2.7', 'Maille 70 km'), ('2.8', 'Aucune diffusion')) AS level (code, label)
 WHERE t.mnemonique = 'SENSIBILITE';

DELETE FROM gn_sensitivity.cor_sensitivity_area_type;
INSERT INTO gn_sensitivity.cor_sensitivity_area_type (id_nomenclature_sensitivity, id_area_type)
SELECT ref_nomenclatures.get_id_nomenclature('SENSIBILITE', level.code), ref_geo.get_id_area_type(level.area_type)
  FROM (VALUES ('1', 'M5'), ('2', 'M5'), ('3', 'M5'), ('2.1', 'M1'), ('2.2', 'M2'), ('2.3', 'M5'), ('2.4', 'M10'), ('2.5', 'M20'),
               ('2.6', 'M50'), ('2.7', 'M50')) AS level (code, area_type);

-- The rules speak of the new levels, so that GeoNature's own function, which still works when somebody calls it, answers them.
UPDATE gn_sensitivity.t_sensitivity_rules r
   SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', level.after)
  FROM (VALUES ('1', '2.3'), ('2', '2.4'), ('3', '2.6'), ('4', '2.8')) AS level (before, after)
 WHERE r.id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', level.before);
REFRESH MATERIALIZED VIEW gn_sensitivity.t_sensitivity_rules_cd_ref;

-- The owner. A role belongs to the server, so another database may have made it already. It cannot connect: whoever installs
-- connects as an administrator, whoever harvests as a role that owns nothing.
DO $role$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'geonatadmin') THEN
        CREATE ROLE geonatadmin NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- somebody else made it between the two statements
END;
$role$;

DO $owner$
DECLARE
    geonature CONSTANT name[] := ARRAY['utilisateurs', 'ref_nomenclatures', 'ref_geo', 'taxonomie', 'gn_commons', 'gn_meta',
                                       'gn_sensitivity', 'gn_imports', 'ref_habitats', 'gn_synthese'];
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER SCHEMA %I OWNER TO geonatadmin', name) FROM unnest(geonature) AS s (name)
        UNION ALL
        -- A sequence that belongs to a column changes hands with its table.
        SELECT format('ALTER %s %s OWNER TO geonatadmin',
                      CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
          FROM pg_class c
         WHERE (c.relnamespace::regnamespace::name = ANY (geonature) OR c.oid = 'public.alembic_version'::regclass)
           AND (c.relkind IN ('r', 'v', 'm')
                OR c.relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend d
                                                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')))
        UNION ALL
        SELECT format('ALTER FUNCTION %s OWNER TO geonatadmin', p.oid::regprocedure)
          FROM pg_proc p
         WHERE p.pronamespace::regnamespace::name = ANY (geonature) OR p.oid = 'public.fct_trg_meta_dates_change()'::regprocedure
    LOOP
        EXECUTE statement;
    END LOOP;
END;
$owner$;
