-- What a GeoNature database holds of the tables that a harvest touches, one line an object: relation, kind, name, definition, separated
-- by tabs. Catalogue only: no row of data is read. 2.17.tsv is its answer for GeoNature 2.17; on a database of one's own:
--
--   psql -Atqf catalogue.sql geonature2db | diff 2.17.tsv -
--
-- The empty search_path makes PostgreSQL print every name with its schema, as pg_dump does.
BEGIN READ ONLY;
SET LOCAL search_path = '';

WITH relation (position, name, id) AS (
    SELECT position, name, to_regclass(name)
      FROM unnest(ARRAY[
               'gn_synthese.synthese', 'gn_synthese.t_sources', 'gn_synthese.cor_area_synthese', 'gn_synthese.cor_observer_synthese',
               'gn_synthese.t_log_synthese', 'gn_synthese.defaults_nomenclatures_value', 'gn_synthese.v_synthese_for_web_app',
               'gn_meta.t_datasets', 'gn_meta.t_acquisition_frameworks', 'gn_meta.cor_dataset_actor',
               'gn_meta.cor_acquisition_framework_actor', 'gn_meta.cor_dataset_territory',
               'utilisateurs.bib_organismes',
               'gn_commons.bib_tables_location', 'gn_commons.t_medias', 'gn_commons.t_validations', 'gn_commons.t_history_actions',
               'gn_commons.t_modules', 'gn_commons.t_parameters',
               'ref_geo.bib_areas_types', 'ref_geo.l_areas',
               'taxonomie.taxref', 'taxonomie.taxref_liens', 'taxonomie.t_meta_taxref',
               'ref_nomenclatures.bib_nomenclatures_types', 'ref_nomenclatures.t_nomenclatures',
               'ref_nomenclatures.defaults_nomenclatures_value',
               'gn_sensitivity.t_sensitivity_rules', 'gn_sensitivity.cor_sensitivity_area', 'gn_sensitivity.cor_sensitivity_criteria',
               'gn_sensitivity.cor_sensitivity_area_type', 'gn_sensitivity.t_sensitivity_rules_cd_ref'
           ]) WITH ORDINALITY AS listed (name, position)
), routine (position, name) AS (
    SELECT 1000 + position, name
      FROM unnest(ARRAY[
               'gn_synthese.get_default_nomenclature_value', 'gn_synthese.update_sensitivity',
               'gn_sensitivity.get_id_nomenclature_sensitivity',
               'ref_nomenclatures.get_id_nomenclature_type', 'ref_nomenclatures.get_id_nomenclature',
               'ref_nomenclatures.get_cd_nomenclature', 'ref_nomenclatures.get_default_nomenclature_value',
               'ref_nomenclatures.check_nomenclature_type_by_mnemonique',
               'ref_geo.get_id_area_type', 'taxonomie.find_cdref', 'gn_commons.get_default_parameter', 'gn_commons.role_is_group',
               'gn_commons.get_table_location_id'
           ]) WITH ORDINALITY AS listed (name, position)
), line (position, rank, place, relation, kind, name, definition) AS (
    SELECT r.position, 1, a.attnum::integer, r.name, 'column', a.attname::text,
           concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                     'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
      FROM relation r
      JOIN pg_attribute a ON a.attrelid = r.id AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    UNION ALL
    SELECT r.position, 2, kind.place, r.name, kind.name, c.conname::text, pg_get_constraintdef(c.oid)
      FROM relation r
      JOIN pg_constraint c ON c.conrelid = r.id
      JOIN (VALUES ('p', 1, 'primary key'), ('u', 2, 'unique'), ('f', 3, 'foreign key'), ('c', 4, 'check')) AS kind (letter, place, name)
        ON kind.letter = c.contype::text
    UNION ALL
    SELECT r.position, 3, 0, r.name, 'index', c.relname::text,
           regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .* (USING .*)$', '\1\2')
      FROM relation r JOIN pg_index i ON i.indrelid = r.id JOIN pg_class c ON c.oid = i.indexrelid
    UNION ALL
    -- Event, columns and level stand in the definition; what is not enabled as usual says so.
    SELECT r.position, 4, 0, r.name, 'trigger', t.tgname::text,
           concat_ws(' ', regexp_replace(pg_get_triggerdef(t.oid), '^CREATE TRIGGER \S+ ', ''), 'enabled: ' || nullif(t.tgenabled::text, 'O'))
      FROM relation r JOIN pg_trigger t ON t.tgrelid = r.id AND NOT t.tgisinternal
    UNION ALL
    SELECT r.position, 5, 0, r.name, 'function', format('(%s)', pg_get_function_arguments(p.oid)),
           concat_ws(' ', pg_get_function_result(p.oid), l.lanname, CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END)
      FROM routine r
      JOIN pg_proc p ON format('%s.%s', p.pronamespace::regnamespace, p.proname) = r.name
      JOIN pg_language l ON l.oid = p.prolang
)
SELECT concat_ws(E'\t', relation, kind, name, definition) AS line
  FROM line
 ORDER BY position, rank, place, name COLLATE "C";

ROLLBACK;
