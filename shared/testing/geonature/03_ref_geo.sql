-- Areas: region, departments, communes, grids. The local system of coordinates is Lambert-93 (2154), to be asked of the database
-- with Find_SRID('gn_synthese', 'synthese', 'the_geom_local').

CREATE SCHEMA ref_geo;

CREATE TABLE ref_geo.bib_areas_types (
    id_type serial NOT NULL,
    type_name varchar(200) NOT NULL,
    type_code varchar(25) NOT NULL,
    type_desc text,
    ref_name varchar(200),
    ref_version integer,
    num_version varchar(50),
    size_hierarchy integer,
    CONSTRAINT pk_bib_areas_types PRIMARY KEY (id_type),
    CONSTRAINT unique_bib_areas_types_type_code UNIQUE (type_code)
);
COMMENT ON COLUMN ref_geo.bib_areas_types.size_hierarchy IS 'Typical size in metres';

CREATE TABLE ref_geo.l_areas (
    id_area integer NOT NULL,
    id_type integer NOT NULL,
    area_name varchar(250),
    area_code varchar(25),
    geom public.geometry(MultiPolygon,2154),
    centroid public.geometry(Point,2154),
    source varchar(250),
    comment text,
    enable boolean DEFAULT true NOT NULL,
    additional_data jsonb,
    meta_create_date timestamp without time zone,
    meta_update_date timestamp without time zone,
    geom_4326 public.geometry(MultiPolygon,4326),
    description text,
    CONSTRAINT pk_l_areas PRIMARY KEY (id_area),
    CONSTRAINT unique_id_type_area_code UNIQUE (id_type, area_code),
    CONSTRAINT fk_l_areas_id_type FOREIGN KEY (id_type) REFERENCES ref_geo.bib_areas_types (id_type) ON UPDATE CASCADE,
    CONSTRAINT enforce_geotype_l_areas_centroid CHECK (public.geometrytype(centroid) = 'POINT'::text OR centroid IS NULL),
    CONSTRAINT enforce_geotype_l_areas_geom CHECK (public.geometrytype(geom) = 'MULTIPOLYGON'::text OR geom IS NULL),
    CONSTRAINT enforce_srid_l_areas_centroid CHECK (public.st_srid(centroid) = 2154),
    CONSTRAINT enforce_srid_l_areas_geom CHECK (public.st_srid(geom) = 2154)
);
ALTER TABLE ONLY ref_geo.l_areas ALTER COLUMN geom SET STORAGE EXTERNAL;
CREATE SEQUENCE ref_geo.l_areas_id_area_seq OWNED BY ref_geo.l_areas.id_area;
ALTER TABLE ONLY ref_geo.l_areas ALTER COLUMN id_area SET DEFAULT nextval('ref_geo.l_areas_id_area_seq'::regclass);

CREATE INDEX index_l_areas_geom ON ref_geo.l_areas USING gist (geom);
CREATE INDEX index_l_areas_centroid ON ref_geo.l_areas USING gist (centroid);
CREATE INDEX idx_l_areas_geom_4326 ON ref_geo.l_areas USING gist (geom_4326);

CREATE FUNCTION ref_geo.get_id_area_type(mytype varchar) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found_type integer;
BEGIN
    SELECT INTO found_type id_type FROM ref_geo.bib_areas_types WHERE type_code = mytype;
    RETURN found_type;
END;
$$;

-- Keeps the two geometries of an area together: whichever is given alone makes the other.
CREATE FUNCTION ref_geo.fct_tri_transform_geom() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    from_geom boolean;
    from_4326 boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        from_geom = NEW.geom IS NOT NULL AND NEW.geom_4326 IS NULL;
        from_4326 = NEW.geom IS NULL AND NEW.geom_4326 IS NOT NULL;
    ELSE
        from_4326 = NEW.geom_4326 IS NOT NULL
            AND ((OLD.geom IS NOT DISTINCT FROM NEW.geom AND OLD.geom_4326 IS DISTINCT FROM NEW.geom_4326)
                 OR (NEW.geom IS NULL AND OLD.geom IS NOT NULL));
        from_geom = NOT from_4326 AND NEW.geom IS NOT NULL
            AND ((OLD.geom_4326 IS NOT DISTINCT FROM NEW.geom_4326 AND OLD.geom IS DISTINCT FROM NEW.geom)
                 OR (NEW.geom_4326 IS NULL AND OLD.geom_4326 IS NOT NULL));
    END IF;
    IF from_4326 THEN
        NEW.geom = public.ST_Transform(NEW.geom_4326, public.Find_SRID('ref_geo', 'l_areas', 'geom'));
    ELSIF from_geom THEN
        NEW.geom_4326 = public.ST_Transform(NEW.geom, 4326);
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER tri_transform_geom_insert BEFORE INSERT ON ref_geo.l_areas
    FOR EACH ROW EXECUTE FUNCTION ref_geo.fct_tri_transform_geom();
CREATE TRIGGER tri_transform_geom_update BEFORE UPDATE ON ref_geo.l_areas
    FOR EACH ROW EXECUTE FUNCTION ref_geo.fct_tri_transform_geom();
CREATE TRIGGER tri_meta_dates_change_l_areas BEFORE INSERT OR UPDATE ON ref_geo.l_areas
    FOR EACH ROW EXECUTE FUNCTION public.fct_trg_meta_dates_change();
