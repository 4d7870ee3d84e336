-- Observers: how a record names people, by the setting `observers` of the subscriptions that hold it.
--
--   name   (the default) as GBIF publishes them
--   login  the name of the observer's account at iNaturalist, which iNaturalist itself shows; of
--          other datasets, and of other people, nobody
--   none   nobody
--
-- It concerns the observer, the determiner, the holder of the rights and the author of media. A record that several current
-- generations hold is written as the strictest of them wants it (none, then login, then name), whoever harvests: two
-- subscriptions would write over each other for ever, and who asked for discretion gets it.
--
-- Cost: nothing while every subscription says `name`: a look at the subscriptions. Else an index lookup a record. Locks: none.
SET check_function_bodies = off;

-- The current generations of other subscriptions that name people less than these settings do. `login` says that they let the
-- account be named.
CREATE OR REPLACE FUNCTION passereau.stricter_subscriptions(settings jsonb, of_subscription text)
RETURNS TABLE (name text, generation_id bigint, login boolean)
LANGUAGE sql STABLE AS $$
    SELECT s.name, s.current_generation, s.settings ->> 'observers' = 'login'
    FROM passereau.subscription s
    WHERE s.name <> of_subscription AND s.current_generation IS NOT NULL
      AND CASE s.settings ->> 'observers'
              WHEN 'none' THEN stricter_subscriptions.settings ->> 'observers' IS DISTINCT FROM 'none'
              WHEN 'login' THEN COALESCE(stricter_subscriptions.settings ->> 'observers', 'name') = 'name'
              ELSE false
          END
$$;

-- The records of a chunk whose people are not named as published, with the account that may be; a record that is not returned
-- names them. The account of an observation that iNaturalist was not asked about yet is nobody until it was; where the observer
-- asked to be forgotten (the landed name is empty) the account is not told either.
CREATE OR REPLACE FUNCTION passereau.hidden_names(of_generation bigint, after_id bigint, upto_id bigint, settings jsonb)
RETURNS TABLE (gbif_id bigint, login text)
LANGUAGE sql STABLE AS $$
    SELECT h.gbif_id, CASE WHEN h.login THEN a.login END
    FROM (SELECT c.gbif_id, bool_and(c.login) AS login, max(c.inaturalist_id) AS inaturalist_id
          FROM (SELECT o.gbif_id, settings ->> 'observers' = 'login' AND o.recorded_by IS NOT NULL AS login, o.inaturalist_id
                FROM pinv_gbif.occurrence o
                WHERE settings ->> 'observers' IN ('login', 'none')
                  AND o.generation_id = of_generation AND o.gbif_id > after_id AND o.gbif_id <= upto_id
                UNION ALL
                SELECT o.gbif_id, s.login AND o.recorded_by IS NOT NULL, o.inaturalist_id
                FROM passereau.stricter_subscriptions(
                         settings, (SELECT g.subscription FROM pinv_gbif.generation g WHERE g.id = of_generation)) s
                -- One generation after the other, so that only its partition is read.
                CROSS JOIN LATERAL (SELECT o.gbif_id, o.inaturalist_id, o.recorded_by FROM pinv_gbif.occurrence o
                                    WHERE o.generation_id = s.generation_id AND o.gbif_id > after_id AND o.gbif_id <= upto_id
                                    OFFSET 0) o) c
          GROUP BY c.gbif_id) h
    LEFT JOIN pinv_gbif.cor_login_inaturalist a ON h.login AND a.id_inaturalist = h.inaturalist_id
$$;

-- A digest that also tells whether people are named, and as whom; the digest itself where they are as published, so that the
-- setting costs nobody anything who does not use it.
CREATE OR REPLACE FUNCTION passereau.hidden_digest(digest uuid, hidden boolean, login text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN hidden THEN md5(digest::text || ' ' || COALESCE(login, ''))::uuid ELSE digest END
$$;

RESET check_function_bodies;
