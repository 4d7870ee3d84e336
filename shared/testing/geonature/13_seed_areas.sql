-- An Auvergne-Rhône-Alpes of rectangles in Lambert-93, which covers longitudes 2.0 to 7.2 and latitudes 44.1 to 46.9: the region, its twelve
-- departments near their true places, communes of 12 km, grids of 50, 20, 10 and 5 km. Codes have the form of the true ones. The 20 km
-- grid is finer than the cell of 0.2 degree in which iNaturalist hides a position, the 50 km grid is coarser. The grids of 2 and
-- 1 km have their types and no area: 200,000 polygons would make a template slow.
-- Neighbours share their border, so that a point on it belongs to both, as with the true ones.

INSERT INTO ref_geo.bib_areas_types (type_name, type_code, type_desc, ref_name, size_hierarchy) VALUES
    ('Régions', 'REG', 'Type région', 'IGN admin_express', 200000),
    ('Départements', 'DEP', 'Type département', 'IGN admin_express', 75000),
    ('Communes', 'COM', 'Type commune', 'IGN admin_express', 5000),
    ('Mailles50*50', 'M50', 'Type maille INPN 50*50km', NULL, 50000),
    ('Mailles20*20', 'M20', 'Type maille INPN 20*20km', NULL, 20000),
    ('Mailles10*10', 'M10', 'Type maille INPN 10*10km', NULL, 10000),
    ('Mailles5*5', 'M5', 'Type maille INPN 5*5km', NULL, 5000),
    ('Mailles2*2', 'M2', 'Type maille INPN 2*2km', NULL, 2000),
    ('Mailles1*1', 'M1', 'Type maille INPN 1*1km', NULL, 1000),
    ('ZNIEFF1', 'ZNIEFF1', 'ZNIEFF de type 1', NULL, NULL),
    ('ZNIEFF2', 'ZNIEFF2', 'ZNIEFF de type 2', NULL, NULL),
    ('Zones de protection spéciale', 'ZPS', 'Natura 2000, directive oiseaux', NULL, NULL),
    ('Sites d''importance communautaire', 'SIC', 'Natura 2000, directive habitats', NULL, NULL);

CREATE FUNCTION pg_temp.rectangle(x_min integer, y_min integer, x_max integer, y_max integer) RETURNS public.geometry
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ST_Multi(ST_MakeEnvelope(x_min, y_min, x_max, y_max, 2154)) $$;

-- Bounds in kilometres.
CREATE TEMPORARY TABLE seed_area (type text, code text, name text, west integer, south integer, east integer, north integer)
    ON COMMIT DROP;
INSERT INTO seed_area VALUES
    ('REG', '84', 'Auvergne-Rhône-Alpes', 600, 6320, 1050, 6680),
    ('DEP', '15', 'Cantal', 600, 6320, 720, 6440), ('DEP', '43', 'Haute-Loire', 720, 6320, 800, 6440),
    ('DEP', '07', 'Ardèche', 800, 6320, 850, 6440), ('DEP', '26', 'Drôme', 850, 6320, 1050, 6440),
    ('DEP', '63', 'Puy-de-Dôme', 600, 6440, 770, 6530), ('DEP', '69', 'Rhône', 770, 6440, 850, 6530),
    ('DEP', '38', 'Isère', 850, 6440, 940, 6530), ('DEP', '73', 'Savoie', 940, 6440, 1050, 6530),
    ('DEP', '03', 'Allier', 600, 6530, 760, 6680), ('DEP', '42', 'Loire', 760, 6530, 830, 6680),
    ('DEP', '01', 'Ain', 830, 6530, 930, 6680), ('DEP', '74', 'Haute-Savoie', 930, 6530, 1050, 6680);

INSERT INTO seed_area
SELECT 'COM', code, 'Commune ' || code, x, y, x + 12, y + 12
  FROM (SELECT d.code || lpad((row_number() OVER (PARTITION BY d.code ORDER BY y DESC, x))::text, 3, '0') AS code, x, y
          FROM generate_series(600, 1038, 12) x, generate_series(6320, 6668, 12) y
          JOIN LATERAL (SELECT s.code FROM seed_area s
                         WHERE s.type = 'DEP' AND x + 6 >= s.west AND x + 6 < s.east AND y + 6 >= s.south AND y + 6 < s.north) d ON true
       ) communes;

INSERT INTO seed_area
SELECT grid.type, format('%skmL93E%sN%s', grid.size, lpad((x / 10)::text, 3, '0'), y / 10),
       format('E%sN%s', lpad((x / 10)::text, 3, '0'), y / 10), x, y, x + grid.size, y + grid.size
  FROM (VALUES ('M50', 50), ('M20', 20)) AS grid (type, size),
       generate_series(600, 1049, grid.size) x, generate_series(6320 - 6320 % grid.size, 6679, grid.size) y;
INSERT INTO seed_area
SELECT 'M10', format('10kmL93E%sN%s', lpad((x / 10)::text, 3, '0'), y / 10), format('E%sN%s', lpad((x / 10)::text, 3, '0'), y / 10),
       x, y, x + 10, y + 10
  FROM generate_series(600, 1040, 10) x, generate_series(6320, 6670, 10) y;
INSERT INTO seed_area
SELECT 'M5', format('5kmL93E%sN%s', lpad(x::text, 4, '0'), y), format('E%sN%s', lpad(x::text, 4, '0'), y), x, y, x + 5, y + 5
  FROM generate_series(600, 1045, 5) x, generate_series(6320, 6675, 5) y;

INSERT INTO ref_geo.l_areas (id_type, area_code, area_name, geom, centroid, source, enable)
SELECT ref_geo.get_id_area_type(type), code, name, g.geom, ST_Centroid(g.geom), 'Passereau, formes simplifiées', true
  FROM seed_area,
       LATERAL (SELECT pg_temp.rectangle(west * 1000, south * 1000, east * 1000, north * 1000) AS geom) g
 ORDER BY array_position(ARRAY['REG', 'DEP', 'COM', 'M50', 'M20', 'M10', 'M5'], type), code;

INSERT INTO gn_sensitivity.cor_sensitivity_area_type (id_nomenclature_sensitivity, id_area_type) VALUES
    (ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '1'), ref_geo.get_id_area_type('COM')),
    (ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '2'), ref_geo.get_id_area_type('M10')),
    (ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '3'), ref_geo.get_id_area_type('DEP'));

DROP FUNCTION pg_temp.rectangle(integer, integer, integer, integer);
