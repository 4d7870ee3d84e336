-- A database shaped like a GeoNature 2.17 (TaxHub 2.3, RefGeo 1.5, Nomenclature 1.6, UsersHub-authentification 3.2), as far as it
-- matters to a program that writes into the Synthèse: the true names, types, constraints, functions, indexes and triggers, and their
-- costs. What a writer never meets (permissions, monitoring, profiles, import mappings) is left out. Written from the public
-- repositories of PnX-SI (https://github.com/PnX-SI/GeoNature and its submodules).
--
-- The files are applied in the order of their names, in one transaction. They hold no random value: two databases made from them
-- are equal but for dates.

CREATE EXTENSION postgis;
CREATE EXTENSION "uuid-ossp";
CREATE EXTENSION ltree;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION unaccent;

-- GeoNature's own migrations are Alembic's; ours never touch this table.
CREATE TABLE public.alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO public.alembic_version VALUES ('a90fa0630ef5');

-- Dates are the database's: whatever a writer supplies for them is lost.
CREATE FUNCTION public.fct_trg_meta_dates_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.meta_create_date = now();
    ELSIF TG_OP = 'UPDATE' THEN
        NEW.meta_update_date = now();
        IF NEW.meta_create_date IS NULL THEN
            NEW.meta_create_date = now();
        END IF;
    END IF;
    RETURN NEW;
END;
$$;
