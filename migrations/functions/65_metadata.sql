-- Metadata: datasets that may not enter, and the datasets of gn_meta that `metadata = create` makes.
--
-- A dataset is made once, from what pinv_gbif.dataset knows of it (EML of the archive, GBIF's registry), and never changed
-- again: titles, descriptions and actors that people correct in GeoNature stay. It is made in the transaction of the first
-- slice that needs it and goes with that transaction when no record of it enters. The order of a slice:
--   apply_metadata   before anything is written: makes what is missing, and gives the plan its id_dataset
--   settle_metadata  after the last row: takes empty datasets back, gives the others their actors
--
-- Locks: two slices that need the same missing dataset wait for each other at its row, taken in the order of the key and
-- before any row of the synthèse; two that need a missing organisation at an advisory lock, taken after the last row. So
-- nobody waits for a slice that waits for him.
--
-- Cost: nothing but one range scan of the plan once all datasets exist; a new dataset takes some milliseconds.
--
-- Fails with PS001 when a setting is wrong or missing, and the words name it. `create` needs rights that a harvest does not
-- (`passereau install --role passereau --with-metadata`): new rows in gn_meta.t_datasets, gn_meta.cor_dataset_actor and
-- utilisateurs.bib_organismes, and to delete the dataset of which no record entered.
SET check_function_bodies = off;

-- A setting that is a list of UUIDs.
CREATE OR REPLACE FUNCTION passereau.setting_uuids(of_name text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    item text;
    keys uuid[] := '{}';
BEGIN
    FOREACH item IN ARRAY passereau.setting_list(of_name) LOOP
        IF item !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
            RAISE EXCEPTION 'the setting % holds "%", which is no UUID: correct it in pinv_gbif.setting', of_name, item
                USING ERRCODE = 'PS001', HINT = 'A list of UUIDs, separated by commas, such as 1928bdf0-f5d2-11dc-8c12-b8a03c50a862.';
        END IF;
        keys := keys || item::uuid;
    END LOOP;
    RETURN keys;
END $$;

-- Datasets that are own data: published by this very platform, or by a publisher whose data come another way. One row each.
DROP FUNCTION IF EXISTS passereau.refused_datasets();
CREATE FUNCTION passereau.refused_datasets() RETURNS TABLE (dataset_key uuid, detail text) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (refused.key) refused.key, refused.detail
    FROM (SELECT own.key, 'own_datasets' AS detail
          FROM unnest(passereau.setting_uuids('own_datasets')) AS own (key)
          UNION ALL
          SELECT d.dataset_key, concat_ws(' ', 'refused_publishers', publisher.key, d.publishing_organization)
          FROM unnest(passereau.setting_uuids('refused_publishers')) AS publisher (key)
          JOIN pinv_gbif.dataset d ON d.publishing_organization_key = publisher.key) refused
    ORDER BY refused.key, refused.detail
$$;

-- Datasets that `metadata = create` may make: those with a title whose publisher the registry has been asked for. While it
-- is away nobody can tell whether a new dataset is own data, and its records wait.
DROP FUNCTION IF EXISTS passereau.creatable_datasets();
CREATE FUNCTION passereau.creatable_datasets() RETURNS TABLE (dataset_key uuid) LANGUAGE sql STABLE AS $$
    SELECT d.dataset_key FROM pinv_gbif.dataset d WHERE d.title IS NOT NULL AND d.registry_asked_at IS NOT NULL
$$;

-- The acquisition framework that receives new datasets.
CREATE OR REPLACE FUNCTION passereau.acquisition_framework() RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    keys      CONSTANT uuid[] := passereau.setting_uuids('acquisition_framework');
    framework integer;
BEGIN
    IF cardinality(keys) <> 1 THEN
        RAISE EXCEPTION 'new datasets need one acquisition framework: set acquisition_framework in pinv_gbif.setting to its unique_acquisition_framework_id (% are given)', cardinality(keys)
            USING ERRCODE = 'PS001', HINT = 'SELECT unique_acquisition_framework_id, acquisition_framework_name FROM gn_meta.t_acquisition_frameworks; shows those that exist.';
    END IF;
    SELECT f.id_acquisition_framework INTO framework
    FROM gn_meta.t_acquisition_frameworks f WHERE f.unique_acquisition_framework_id = keys[1];
    IF framework IS NULL THEN
        RAISE EXCEPTION 'gn_meta.t_acquisition_frameworks holds no framework %: correct acquisition_framework in pinv_gbif.setting', keys[1]
            USING ERRCODE = 'PS001', HINT = 'SELECT unique_acquisition_framework_id, acquisition_framework_name FROM gn_meta.t_acquisition_frameworks; shows those that exist.';
    END IF;
    RETURN framework;
END $$;

-- Gives the records of a range their dataset, made now where it is missing. A record whose dataset may not be made keeps
-- none, and apply_recheck rejects it.
DROP FUNCTION IF EXISTS passereau.apply_metadata(uuid, bigint, bigint);
CREATE FUNCTION passereau.apply_metadata(of_harvest uuid, first_id bigint, last_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    missing uuid[];
BEGIN
    EXECUTE $sql$
        SELECT array_agg(DISTINCT p.dataset_key)
        FROM passereau.plan p
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3
          AND p.action IN ('insert', 'update', 'rekey', 'adopt') AND p.id_dataset IS NULL
    $sql$ INTO missing USING of_harvest, first_id, last_id;
    IF missing IS NULL THEN
        RETURN;
    END IF;

    PERFORM passereau.make_datasets(of_harvest, missing);
    EXECUTE $sql$
        UPDATE passereau.plan p SET id_dataset = d.id_dataset
        FROM gn_meta.t_datasets d
        WHERE p.harvest_id = $1 AND p.gbif_id BETWEEN $2 AND $3
          AND p.action IN ('insert', 'update', 'rekey', 'adopt') AND p.id_dataset IS NULL
          AND d.unique_dataset_id = p.dataset_key
    $sql$ USING of_harvest, first_id, last_id;
END $$;

-- Makes those of the datasets that GeoNature does not know and that may be made. Of two slices with the same one, the
-- second waits here and then finds it.
CREATE OR REPLACE FUNCTION passereau.make_datasets(of_harvest uuid, keys uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted    uuid[];
    framework integer;
    has_data  boolean;
BEGIN
    SELECT array_agg(c.dataset_key) INTO wanted
    FROM passereau.creatable_datasets() c
    WHERE c.dataset_key = ANY (keys)
      AND NOT EXISTS (SELECT FROM gn_meta.t_datasets d WHERE d.unique_dataset_id = c.dataset_key)
      AND NOT EXISTS (SELECT FROM passereau.refused_datasets() r WHERE r.dataset_key = c.dataset_key);
    IF wanted IS NULL THEN
        RETURN;
    END IF;
    framework := passereau.acquisition_framework();
    -- GeoNature 2.16 and later.
    has_data := EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = 'gn_meta.t_datasets'::regclass AND a.attname = 'additional_data' AND NOT a.attisdropped);

    -- The conflict is with whoever makes the same dataset now: its key is the only unique value, so no target is named. GBIF
    -- tells nothing about sea and land: neither is excluded.
    EXECUTE format($sql$
        WITH made AS (
            INSERT INTO gn_meta.t_datasets (
                unique_dataset_id, id_acquisition_framework, dataset_name, dataset_shortname, dataset_desc, marine_domain,
                terrestrial_domain, id_nomenclature_data_origin%s)
            SELECT d.dataset_key, $1, left(d.title, 255), left(d.title, 255), passereau.dataset_description(d), true, true,
                   COALESCE(passereau.nomenclature('DS_PUBLIQUE', 'NSP'),
                            ref_nomenclatures.get_default_nomenclature_value('DS_PUBLIQUE'))%s
            FROM pinv_gbif.dataset d
            WHERE d.dataset_key = ANY ($2)
            ORDER BY d.dataset_key
            ON CONFLICT DO NOTHING
            RETURNING id_dataset, unique_dataset_id
        )
        INSERT INTO passereau.made_dataset (id_dataset, dataset_key, harvest_id, open_in)
        SELECT m.id_dataset, m.unique_dataset_id, $3, pg_current_xact_id() FROM made m
        ON CONFLICT (id_dataset) DO UPDATE
        SET dataset_key = excluded.dataset_key, harvest_id = excluded.harvest_id, made_at = now(), open_in = excluded.open_in
    $sql$, CASE WHEN has_data THEN ', additional_data' END,
           CASE WHEN has_data THEN ', passereau.dataset_additional_data(d)' END)
    USING framework, wanted, of_harvest;
END $$;

-- What a person reads in GeoNature: the abstract, then what has no column there.
CREATE OR REPLACE FUNCTION passereau.dataset_description(d pinv_gbif.dataset) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws(E'\n\n', COALESCE(d.description, d.title),
                     concat_ws(E'\n', 'GBIF : https://www.gbif.org/dataset/' || d.dataset_key,
                               'DOI : https://doi.org/' || d.doi, 'Licence : ' || d.license,
                               'Citation : ' || d.citation, 'Contacts : ' || d.persons))
$$;

-- The same for programs, where the column exists.
CREATE OR REPLACE FUNCTION passereau.dataset_additional_data(d pinv_gbif.dataset) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'datasetKey', d.dataset_key, 'doi', d.doi, 'license', d.license, 'citation', d.citation, 'persons', d.persons,
        'publishingOrganizationKey', d.publishing_organization_key))
$$;

-- The end of a slice: datasets that this very transaction made and of which no record was written go again, and the others
-- get their actors. A dataset that nobody else can see yet has its rows from this slice alone.
DROP FUNCTION IF EXISTS passereau.settle_metadata(uuid, bigint, bigint);
CREATE FUNCTION passereau.settle_metadata(of_harvest uuid, first_id bigint, last_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    this CONSTANT xid8 := pg_current_xact_id();
BEGIN
    IF NOT EXISTS (SELECT FROM passereau.made_dataset m WHERE m.open_in = this) THEN
        RETURN;
    END IF;
    EXECUTE $sql$
        WITH empty AS (
            DELETE FROM passereau.made_dataset m
            WHERE m.open_in = $4
              AND NOT EXISTS (SELECT FROM passereau.written w
                              WHERE w.gbif_id BETWEEN $2 AND $3 AND w.harvest_id = $1 AND w.dataset_key = m.dataset_key)
            RETURNING m.id_dataset
        )
        DELETE FROM gn_meta.t_datasets d USING empty WHERE d.id_dataset = empty.id_dataset
    $sql$ USING of_harvest, first_id, last_id, this;
    PERFORM passereau.add_actors();
    UPDATE passereau.made_dataset m SET open_in = NULL WHERE m.open_in = this;
END $$;

-- A name without accents, case, punctuation and repeated spaces: "Muséum d’Histoire  naturelle" and "MUSEUM D'HISTOIRE
-- NATURELLE" are one organisation.
CREATE OR REPLACE FUNCTION passereau.plain_name(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT btrim(regexp_replace(
               lower(regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g')),
               '[[:space:][:punct:]\u2010-\u2015\u2018\u2019\u201c\u201d]+', ' ', 'g'))
$$;

-- The actors that the datasets of this transaction want, each with the organisation of GeoNature that it is, where there is
-- one: by the publisher's key, then by name. ROLE_ACTEUR 1 is the main contact, 5 the provider. Where the EML document names
-- no organisation for a role, the other one stands for it; people stand in the description.
DROP FUNCTION IF EXISTS passereau.wanted_actors();
CREATE FUNCTION passereau.wanted_actors()
RETURNS TABLE (id_dataset integer, code text, key uuid, name text, plain text, id_organisme integer) LANGUAGE sql STABLE AS $$
    WITH dataset AS (
        SELECT m.id_dataset, COALESCE(d.publishing_organization, d.provider_organization, d.contact_organization) AS provider,
               COALESCE(d.contact_organization, d.publishing_organization, d.provider_organization) AS contact,
               CASE WHEN d.publishing_organization IS NOT NULL THEN d.publishing_organization_key END AS publisher_key
        FROM passereau.made_dataset m
        JOIN pinv_gbif.dataset d ON d.dataset_key = m.dataset_key
        WHERE m.open_in = pg_current_xact_id()
    ), wanted AS (
        SELECT d.id_dataset, '5' AS code, d.publisher_key AS key, d.provider AS name FROM dataset d
        UNION ALL
        SELECT d.id_dataset, '1',
               CASE WHEN passereau.plain_name(d.contact) = passereau.plain_name(d.provider) THEN d.publisher_key END, d.contact
        FROM dataset d
    ), named AS MATERIALIZED (
        SELECT w.id_dataset, w.code, w.key, f.name, passereau.plain_name(f.name) AS plain
        FROM wanted w CROSS JOIN LATERAL passereau.fitting_name(w.name) AS f (name)
        WHERE w.name IS NOT NULL
    ), known AS MATERIALIZED (
        SELECT passereau.plain_name(o.nom_organisme) AS plain, min(o.id_organisme) AS id_organisme
        FROM utilisateurs.bib_organismes o GROUP BY 1
    )
    SELECT n.id_dataset, n.code, n.key, n.name, n.plain, COALESCE(published.id_organisme, known.id_organisme)
    FROM named n
    LEFT JOIN utilisateurs.bib_organismes published ON published.uuid_organisme = n.key
    LEFT JOIN known ON known.plain = n.plain
$$;

-- A name as long as GeoNature's column is: 100, 255 or 500 characters, by its version.
CREATE OR REPLACE FUNCTION passereau.fitting_name(name text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT left(name, COALESCE((SELECT a.atttypmod - 4 FROM pg_attribute a
                                WHERE a.attrelid = 'utilisateurs.bib_organismes'::regclass AND a.attname = 'nom_organisme'
                                  AND a.atttypmod > 4), length(name)))
$$;

-- Organisations are only added. The lock lets the second of two slices find what the first one adds.
CREATE OR REPLACE FUNCTION passereau.add_actors() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM passereau.wanted_actors() w WHERE w.id_organisme IS NULL) THEN
        PERFORM pg_advisory_xact_lock(hashtext('passereau.organisations'));
        INSERT INTO utilisateurs.bib_organismes (uuid_organisme, nom_organisme)
        SELECT COALESCE(o.key, gen_random_uuid()), o.name
        FROM (SELECT DISTINCT ON (w.plain) w.key, w.name
              FROM passereau.wanted_actors() w WHERE w.id_organisme IS NULL
              ORDER BY w.plain, w.key) o
        ON CONFLICT DO NOTHING;
    END IF;
    INSERT INTO gn_meta.cor_dataset_actor (id_dataset, id_organism, id_nomenclature_actor_role)
    SELECT w.id_dataset, w.id_organisme, passereau.nomenclature('ROLE_ACTEUR', w.code)
    FROM passereau.wanted_actors() w
    WHERE w.id_organisme IS NOT NULL AND passereau.nomenclature('ROLE_ACTEUR', w.code) IS NOT NULL
    ON CONFLICT DO NOTHING;
END $$;

RESET check_function_bodies;
