-- The tables of the published procedure, run by hand before Passereau came, are put aside under names of their own: ours have
-- theirs. Nothing is copied and nothing is lost; views that somebody has built on them follow the tables, functions and queries
-- that name them find ours. `passereau install` runs this as the database's administrator, `passereau migrate` once more as the
-- workers' role, for a role that owns the tables itself. What is ours is recognised by pinv_gbif.generation, and left alone.
-- Locks: the three tables, for a moment; after ten seconds of waiting it gives up.
DO $aside$
DECLARE
    found record;
BEGIN
    IF EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'pinv_gbif' AND c.relname = 'generation') THEN
        RETURN;
    END IF;
    PERFORM set_config('lock_timeout', '10s', true);
    FOR found IN
        SELECT c.relname, a.aside,
               CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind
        FROM (VALUES ('tmp_gbif_data', 'adopted_gbif_data'), ('cor_multimedia', 'adopted_multimedia'),
                     ('cor_uuid_inaturalist', 'adopted_uuid_inaturalist')) a (name, aside)
        JOIN pg_class c ON c.relname = a.name AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'pinv_gbif'
    LOOP
        EXECUTE format('ALTER %s pinv_gbif.%I RENAME TO %I', found.kind, found.relname, found.aside);
    END LOOP;
    -- A function or procedure without arguments would be called in place of ours.
    FOR found IN
        SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'pinv_gbif'
        WHERE p.proname = 'upsert_gbif_data'
    LOOP
        EXECUTE format('ALTER ROUTINE pinv_gbif.upsert_gbif_data(%s) RENAME TO adopted_upsert_gbif_data', found.arguments);
    END LOOP;
END $aside$;
