-- From 2.14 down to 2.12 (TaxHub 1.11, RefGeo 1.3).

-- 2.14.0 (RefGeo 1.5.1): geom_4326 takes the place of a text in GeoJSON, types of areas know their size.
DROP TRIGGER tri_transform_geom_insert ON ref_geo.l_areas;
DROP TRIGGER tri_transform_geom_update ON ref_geo.l_areas;
DROP FUNCTION ref_geo.fct_tri_transform_geom();
ALTER TABLE ref_geo.l_areas DROP COLUMN geom_4326, ADD COLUMN geojson_4326 varchar;
UPDATE ref_geo.l_areas SET geojson_4326 = public.ST_AsGeoJSON(public.ST_Transform(geom, 4326));
CREATE FUNCTION ref_geo.fct_tri_calculate_geojson() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.geojson_4326 = public.ST_AsGeoJSON(public.ST_Transform(NEW.geom, 4326));
    RETURN NEW;
END;
$$;
CREATE TRIGGER tri_calculate_geojson BEFORE INSERT OR UPDATE OF geom ON ref_geo.l_areas
    FOR EACH ROW EXECUTE FUNCTION ref_geo.fct_tri_calculate_geojson();
ALTER TABLE ref_geo.bib_areas_types DROP COLUMN size_hierarchy;

-- 2.13 (TaxHub 1.12): the version of TAXREF has its table.
DROP TABLE taxonomie.t_meta_taxref;

-- 2.13.1 and 2.14.0: the module and the groups of INPN in the application's view.
DO $view$
DECLARE
    definition text := pg_get_viewdef('gn_synthese.v_synthese_for_web_app'::regclass);
BEGIN
    DROP VIEW gn_synthese.v_synthese_for_web_app;
    EXECUTE 'CREATE VIEW gn_synthese.v_synthese_for_web_app AS '
            || regexp_replace(definition, ',\s+(s\.id_module|t\.group[123]_inpn)\M', '', 'g');
END;
$view$;
