-- Reconversion: the current generation of a subscription, planned and applied once more without another download.
--
-- Records that waited enter by themselves that way: when a taxonomist has answered or TAXREF is new, when GeoNature knows a
-- dataset, when iNaturalist has answered, when a setting or a mapping was edited. Records of which nothing changed cost as
-- little as in any second harvest.
SET check_function_bodies = off;

-- Subscriptions whose current generation would come out otherwise today, with the reason in words; none of which a
-- harvest is alive or has failed last. At most one reason each, the first in this order.
--
-- Cost: a few rows for each subscription; of the rejects only those that wait for a dataset or for iNaturalist, by an index.
CREATE OR REPLACE FUNCTION passereau.due_reconversions() RETURNS TABLE (subscription text, why text)
LANGUAGE sql STABLE AS $$
    SELECT s.name, due.why
    FROM passereau.subscription s
    JOIN pinv_gbif.generation g ON g.id = s.current_generation AND g.state = 'current'
    CROSS JOIN (SELECT d.taxref_version, passereau.platform_digest(d.srid) AS digest FROM passereau.destination() d OFFSET 0) destination
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN s.converted_digest IS DISTINCT FROM passereau.conversion_digest(s.settings, destination.digest, s.name)
                THEN 'settings, vocabulary or conversion have changed'
            WHEN s.taxref_version IS DISTINCT FROM destination.taxref_version THEN 'TAXREF has another version'
            WHEN s.taxon_revision IS DISTINCT FROM (SELECT r.number FROM passereau.revision r WHERE r.name = 'taxon')
                THEN 'a taxonomist has answered'
            WHEN EXISTS (SELECT FROM pinv_gbif.reject r JOIN gn_meta.t_datasets d ON d.unique_dataset_id = r.dataset_key
                         WHERE r.subscription = s.name AND r.reason = 'dataset_unknown')
                THEN 'GeoNature knows a dataset that was unknown'
            WHEN s.settings ->> 'metadata' = 'create'
                 AND EXISTS (SELECT FROM pinv_gbif.reject r
                             JOIN passereau.creatable_datasets() c ON c.dataset_key = r.dataset_key
                             WHERE r.subscription = s.name AND r.reason = 'dataset_unknown')
                THEN 'a dataset can be made now'
            WHEN s.settings ->> 'metadata' = 'create' AND s.converted_at < now() - interval '1 day'
                 AND EXISTS (SELECT FROM pinv_gbif.reject r
                             LEFT JOIN pinv_gbif.dataset d ON d.dataset_key = r.dataset_key
                             WHERE r.subscription = s.name AND r.reason = 'dataset_unknown' AND r.dataset_key IS NOT NULL
                               AND d.registry_asked_at IS NULL)
                THEN 'GBIF''s registry is to be asked again'
            WHEN EXISTS (SELECT FROM pinv_gbif.reject r
                         JOIN pinv_gbif.occurrence o ON o.generation_id = g.id AND o.gbif_id = r.gbif_id
                         LEFT JOIN pinv_gbif.cor_uuid_inaturalist i ON i.id_inaturalist = o.inaturalist_id
                         WHERE r.subscription = s.name AND r.reason = 'uuid_pending'
                           AND (i.uuid IS NOT NULL OR passereau.is_absent(i.absent_since, i.asked_at)))
                THEN 'iNaturalist has answered'
            WHEN EXISTS (SELECT FROM pinv_gbif.reject r
                         JOIN pinv_gbif.occurrence o ON o.generation_id = g.id AND o.gbif_id = r.gbif_id
                         WHERE r.subscription = s.name AND r.reason = 'date_future'
                           AND NOT passereau.lies_ahead(o.date_start, o.date_end))
                THEN 'a day that lay ahead has come'
            -- A question that got no answer is asked again after a day, an absent observation after a week.
            WHEN EXISTS (SELECT FROM pinv_gbif.reject r
                         JOIN pinv_gbif.occurrence o ON o.generation_id = g.id AND o.gbif_id = r.gbif_id
                         LEFT JOIN pinv_gbif.cor_uuid_inaturalist i ON i.id_inaturalist = o.inaturalist_id
                         WHERE r.subscription = s.name AND r.reason = 'uuid_pending' AND s.converted_at < now() - interval '1 day'
                           AND (i.asked_at IS NULL OR i.asked_at < now() - interval '7 days'))
                THEN 'iNaturalist is to be asked again'
        END AS why
        OFFSET 0) due
    WHERE due.why IS NOT NULL
      AND NOT EXISTS (SELECT FROM passereau.harvest h
                      WHERE h.subscription = s.name AND h.state NOT IN ('completed', 'failed', 'cancelled'))
      -- What failed fails again until somebody has mended it: replayed or harvested anew.
      -- A download that failed or was cancelled says nothing about the generation that there is; a reconversion that somebody
      -- cancelled does: it does not come back by itself.
      AND (SELECT h.state FROM passereau.harvest h
           WHERE h.subscription = s.name AND h.generation_id IS NOT NULL
             AND (h.state <> 'cancelled' OR h.origin = 'reconvert')
           ORDER BY h.created_at DESC LIMIT 1) = 'completed'
    ORDER BY s.name
$$;

-- Makes the harvest that converts a subscription's current generation again; it starts in `planning` (`enriching` is the
-- caller's business). Returns NULL when the subscription has no current generation, or a harvest alive.
-- The download, its DOI and the archive are those of the harvest that brought the generation.
DROP FUNCTION IF EXISTS passereau.reconvert(text, uuid, text);
CREATE OR REPLACE FUNCTION passereau.reconvert(of_subscription text, of_harvest uuid, of_origin text DEFAULT 'reconvert',
                                               of_cause text DEFAULT NULL)
RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO passereau.harvest (id, subscription, state, origin, cause, request, request_digest, settings, generation_id, account,
                                   download_key, doi, archive_key, archive_sha256, archive_bytes, expected_records,
                                   read, landed, duplicate, malformed)
    SELECT of_harvest, s.name, 'planning', of_origin, of_cause, s.request, 'reconvert ' || s.name, s.settings, g.id, b.account,
           b.download_key, b.doi, b.archive_key, b.archive_sha256, b.archive_bytes, b.expected_records,
           g.read, g.landed, g.duplicate, g.malformed
    FROM passereau.subscription s
    JOIN pinv_gbif.generation g ON g.id = s.current_generation AND g.state = 'current'
    LEFT JOIN passereau.harvest b ON b.id = g.harvest_id
    WHERE s.name = of_subscription
    ON CONFLICT (subscription) WHERE state NOT IN ('completed', 'failed', 'cancelled') DO NOTHING
    RETURNING id
$$;

RESET check_function_bodies;
