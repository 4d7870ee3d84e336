-- Reports: why records are rejected, and where each observation comes from.
--
-- Cost: each view reads what its question needs, nothing is kept. Locks: none.
SET check_function_bodies = off;

-- The closed list of reasons to reject; docs/rejects.md is made from it. Written again at each migration.
--
-- waits: what is missing is neither in the record nor a decision of anybody's (a dataset, a name of TAXREF, an answer of
-- iNaturalist, the day itself); as soon as it comes, the record enters by itself, from the generation that is there. Any
-- other reject is as its publisher made it, or as the platform has decided: a setting that is changed lets it enter from the
-- same generation too, but nothing is expected to come.
INSERT INTO pinv_gbif.bib_reject_reason AS known (reason, waits, fr, to_do_fr, en, to_do_en) VALUES
('dataset_unknown', true,
 'GeoNature ne connaît pas le jeu de données : aucun gn_meta.t_datasets.unique_dataset_id n''est égal à sa datasetKey.',
 'Créer le jeu de données dans GeoNature avec pour UUID la datasetKey du GBIF, ou choisir metadata = create pour l''abonnement. Les données entrent ensuite d''elles-mêmes.',
 'GeoNature does not know the dataset: no gn_meta.t_datasets.unique_dataset_id equals its datasetKey.',
 'Create the dataset in GeoNature with GBIF''s datasetKey as its UUID, or choose metadata = create for the subscription. The records then enter by themselves.'),
('own_data', false,
 'Le jeu de données est publié par cette plateforme même, ou par un organisme que la plateforme refuse : ces données y sont déjà, ou y arrivent par une autre voie.',
 'Rien. Les réglages own_datasets et refused_publishers (pinv_gbif.setting) disent ce qui est refusé.',
 'The dataset is published by this very platform, or by a publisher that the platform refuses: its data are here already, or come another way.',
 'Nothing. The settings own_datasets and refused_publishers (pinv_gbif.setting) say what is refused.'),
('occurrence_absent', false,
 'occurrenceStatus est ABSENT : le taxon a été cherché et n''a pas été trouvé.',
 'Rien, sauf si la plateforme veut aussi les absences : ajouter absent au réglage accept de l''abonnement. Elles sont alors écrites comme absences, jamais comme présences.',
 'occurrenceStatus is ABSENT: the taxon was looked for and not found.',
 'Nothing, unless the platform wants absences too: add absent to the subscription''s setting accept. They are then written as absences, never as presences.'),
('fossil_specimen', false,
 'Un spécimen fossile : son âge est géologique, ce n''est pas une observation du taxon vivant.',
 'Rien. Le réglage accept de l''abonnement peut contenir fossil_specimen.',
 'A fossil specimen: its age is geological, and it is no observation of the living taxon.',
 'Nothing. The subscription''s setting accept may hold fossil_specimen.'),
('living_specimen', false,
 'Un spécimen vivant en collection (zoo, jardin botanique) : le lieu est celui du détenteur.',
 'Rien. Le réglage accept de l''abonnement peut contenir living_specimen.',
 'A living specimen in a collection (zoo, botanical garden): the place is the holder''s.',
 'Nothing. The subscription''s setting accept may hold living_specimen.'),
('count_zero', false,
 'La donnée dit que le taxon est présent, avec un effectif de 0 : elle se contredit.',
 'Interroger le producteur du jeu de données. Pour prendre ces données comme des présences sans effectif, ajouter count_zero au réglage accept de l''abonnement.',
 'The record says present with a count of 0: it contradicts itself.',
 'Ask the dataset''s publisher. To take them as presences without a count, add count_zero to the subscription''s setting accept.'),
('date_missing', false,
 'La donnée n''a pas de date (eventDate vide).',
 'Rien ici : c''est au producteur de compléter la donnée ; elle entre à la moisson qui suit.',
 'The record has no date (eventDate is empty).',
 'Nothing here: its publisher has to complete the record, which enters with the harvest after that.'),
('date_unreadable', false,
 'eventDate n''est pas une date, ou sa fin précède son début.',
 'Rien ici : c''est au producteur de corriger la donnée ; elle entre à la moisson qui suit.',
 'eventDate is no date, or its end is before its start.',
 'Nothing here: its publisher has to correct the record, which enters with the harvest after that.'),
('date_future', true,
 'La date est dans le futur.',
 'Rien : la donnée entre d''elle-même une fois le jour venu. Une date lointaine est une erreur à signaler au producteur.',
 'The date lies in the future.',
 'Nothing: the record enters by itself once the day has come. A date far ahead is an error to tell the publisher.'),
('date_too_old', false,
 'La date précède la plus ancienne que la plateforme accepte (1900 par défaut).',
 'Rien, ou changer le réglage oldest_date (pinv_gbif.setting).',
 'The date is before the oldest that the platform accepts (1900 by default).',
 'Nothing, or change the setting oldest_date (pinv_gbif.setting).'),
('interval_too_long', false,
 'L''intervalle de dates est plus long que ce que l''abonnement accepte.',
 'Rien, ou changer le réglage longest_interval_days de l''abonnement.',
 'The interval of dates is longer than the subscription accepts.',
 'Nothing, or change the subscription''s setting longest_interval_days.'),
('coordinates_missing', false,
 'La donnée n''a pas de latitude ou pas de longitude lisible.',
 'Rien ici : c''est au producteur de compléter la donnée. Le prédicat HAS_COORDINATE = true évite de la télécharger.',
 'The record has no latitude or no longitude that can be read.',
 'Nothing here: its publisher has to complete the record. The predicate HAS_COORDINATE = true spares downloading it.'),
('coordinates_invalid', false,
 'Les coordonnées sortent de ±90 et ±180 degrés, ou la projection locale ne peut pas les représenter.',
 'Rien ici : c''est au producteur de corriger la donnée.',
 'The coordinates are outside ±90 and ±180 degrees, or the local projection cannot hold them.',
 'Nothing here: its publisher has to correct the record.'),
('outside_territory', false,
 'Le point est hors de toutes les zones actives du territoire de la plateforme.',
 'Rien, ou revoir le réglage territory_area_types (pinv_gbif.setting) et les zones de ref_geo.l_areas ; ou restreindre le prédicat (GADM_GID, geometry).',
 'The point is outside every enabled area of the platform''s territory.',
 'Nothing, or look at the setting territory_area_types (pinv_gbif.setting) and at the areas of ref_geo.l_areas; or narrow the predicate (GADM_GID, geometry).'),
('too_imprecise', false,
 'L''incertitude de la position dépasse celle que l''abonnement accepte, ou n''est pas donnée : sans valeur, une position n''est pas précise.',
 'Rien, ou changer le réglage max_uncertainty_m de l''abonnement ; unknown_uncertainty dans son réglage accept laisse passer les positions sans incertitude.',
 'The position''s uncertainty is above what the subscription accepts, or is not given: without a value a position is not precise.',
 'Nothing, or change the subscription''s setting max_uncertainty_m; unknown_uncertainty in its setting accept lets positions without an uncertainty pass.'),
('obscured', false,
 'iNaturalist a flouté la position : le point est tiré au hasard dans une maille de 0,2 degré.',
 'Rien, ou choisir obscured = cell pour l''abonnement : la donnée entre alors avec la maille entière, jamais avec le point.',
 'iNaturalist has obscured the position: the point is drawn at random in a cell of 0.2 degree.',
 'Nothing, or choose obscured = cell for the subscription: the record then enters with the whole cell, never with the point.'),
('issue_flagged', false,
 'Le GBIF signale sur la donnée une anomalie que la plateforme refuse ; le détail la nomme.',
 'Rien, ou revoir ce que pinv_gbif.cor_issue décide pour cette anomalie.',
 'GBIF has flagged the record with an issue that the platform refuses; the detail names it.',
 'Nothing, or look again at what pinv_gbif.cor_issue decides about this issue.'),
('taxon_unmatched', true,
 'Aucun nom de TAXREF ne correspond au taxon du GBIF.',
 'Remettre à un taxonomiste la feuille de passereau taxon unmatched ABONNEMENT --csv, puis reprendre ses réponses avec passereau taxon import (ou les inscrire dans pinv_gbif.cor_taxon). Les données entrent ensuite d''elles-mêmes, comme après une mise à jour de TAXREF.',
 'No name of TAXREF matches GBIF''s taxon.',
 'Hand a taxonomist the sheet of passereau taxon unmatched SUBSCRIPTION --csv, then take over the answers with passereau taxon import (or enter them in pinv_gbif.cor_taxon). The records then enter by themselves, as they do after an update of TAXREF.'),
('taxon_refused', false,
 'Un taxonomiste a répondu que les données de ce nom n''entrent jamais ; le détail donne sa raison.',
 'Rien, ou corriger la réponse dans pinv_gbif.cor_taxon (passereau taxon answer).',
 'A taxonomist has answered that records of this name never enter; the detail gives the reason.',
 'Nothing, or correct the answer in pinv_gbif.cor_taxon (passereau taxon answer).'),
('uuid_pending', true,
 'iNaturalist n''a pas encore donné l''UUID de l''observation, ou a répondu une seule fois qu''il ne la connaît pas.',
 'Rien : elle entre d''elle-même dès que la réponse est là. Sans accès réseau, remplir pinv_gbif.cor_uuid_inaturalist.',
 'iNaturalist has not given the observation''s UUID yet, or has said only once that it does not know it.',
 'Nothing: it enters by itself as soon as the answer is there. Without a network, fill pinv_gbif.cor_uuid_inaturalist.'),
('uuid_absent', false,
 'iNaturalist a répondu deux fois, à sept jours d''écart au moins, qu''il ne connaît pas l''observation : elle a sans doute été retirée.',
 'Rien, ou choisir uuid_absent = generate pour l''abonnement : un UUID est alors tiré de son adresse au GBIF.',
 'iNaturalist has said twice, at least seven days apart, that it does not know the observation: it was probably taken down.',
 'Nothing, or choose uuid_absent = generate for the subscription: a UUID is then made from its address at GBIF.'),
('uuid_duplicate', false,
 'Une autre donnée publiée au GBIF porte le même UUID et est déjà entrée ; le détail donne l''UUID.',
 'Signaler le doublon au producteur, ou au GBIF quand deux jeux de données portent la même observation.',
 'Another record published at GBIF has the same UUID and has entered already; the detail gives the UUID.',
 'Tell the publisher of the duplicate, or GBIF when two datasets hold the same observation.'),
('uuid_changed', false,
 'La donnée a été écrite sous un UUID, et son producteur lui donne maintenant celui d''une autre donnée qui est écrite : elle est laissée comme elle était, car validations et médias tiennent à l''UUID.',
 'Comparer les deux données au GBIF et prévenir le producteur.',
 'The record was written under one UUID, and its producer now gives it that of another record that is written: it is left as it was, because validations and media hang on the UUID.',
 'Look at both records at GBIF and tell the producer.'),
('already_present', false,
 'L''observation est déjà dans la synthèse : son UUID y est sous une autre source, ou plusieurs lignes portent l''observation (pinv_gbif.not_adopted).',
 'Rien, ou choisir already_present = update pour l''abonnement : la ligne existante est alors tenue à jour, sa source reste.',
 'The observation stands in the synthèse already: its UUID does under another source, or several rows stand for it (pinv_gbif.not_adopted).',
 'Nothing, or choose already_present = update for the subscription: the row that is there is then kept up to date, its source stays.')
ON CONFLICT (reason) DO UPDATE
SET waits = excluded.waits, fr = excluded.fr, to_do_fr = excluded.to_do_fr, en = excluded.en, to_do_en = excluded.to_do_en;

-- Title of a dataset: GBIF's, else GeoNature's name of it. A function and no join in a view: a view that names GeoNature's
-- tables would stand in the way of GeoNature's own migrations.
CREATE OR REPLACE FUNCTION passereau.dataset_title(of_key uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT COALESCE((SELECT d.title FROM pinv_gbif.dataset d WHERE d.dataset_key = of_key),
                    (SELECT g.dataset_name FROM gn_meta.t_datasets g WHERE g.unique_dataset_id = of_key))
$$;

-- The rejects that each subscription has now. Ask for one: WHERE subscription = '…'.
CREATE OR REPLACE VIEW pinv_gbif.v_reject_by_reason AS
SELECT r.subscription, r.reason, r.records, b.waits, b.fr, b.to_do_fr, b.en, b.to_do_en
FROM (SELECT r.subscription, r.reason, count(*) AS records FROM pinv_gbif.reject r GROUP BY r.subscription, r.reason) r
JOIN pinv_gbif.bib_reject_reason b ON b.reason = r.reason;

-- The name is that of one of the records, where its generation still stands.
CREATE OR REPLACE VIEW pinv_gbif.v_reject_by_taxon AS
SELECT r.subscription, r.taxon_key, o.scientific_name, r.reason, r.records
FROM (SELECT r.subscription, r.taxon_key, r.reason, count(*) AS records, max(r.gbif_id) AS example
      FROM pinv_gbif.reject r GROUP BY r.subscription, r.taxon_key, r.reason) r
LEFT JOIN LATERAL (SELECT COALESCE(o.scientific_name, o.verbatim_scientific_name) AS scientific_name
                   FROM pinv_gbif.reject e
                   JOIN passereau.harvest h ON h.id = e.harvest_id
                   JOIN pinv_gbif.occurrence o ON o.generation_id = h.generation_id AND o.gbif_id = e.gbif_id
                   WHERE e.subscription = r.subscription AND e.gbif_id = r.example
                   LIMIT 1) o ON true;

CREATE OR REPLACE VIEW pinv_gbif.v_reject_by_dataset AS
SELECT r.subscription, r.dataset_key, passereau.dataset_title(r.dataset_key) AS title, r.reason, r.records
FROM (SELECT r.subscription, r.dataset_key, r.reason, count(*) AS records
      FROM pinv_gbif.reject r GROUP BY r.subscription, r.dataset_key, r.reason) r;

-- From each observation of the synthèse to what is to be cited for it. What the row itself says (additional_data) stands
-- when its generation is gone; the harvest is the one that wrote the row last. A licence that the record does not give is its
-- dataset's. A function in a view, as dataset_title: PostgreSQL sees through both, so that one observation costs 0.1 ms.
CREATE OR REPLACE FUNCTION passereau.provenance()
RETURNS TABLE (id_synthese integer, unique_id_sinp uuid, gbif_id bigint, occurrence_url text, dataset_key uuid,
               dataset_title text, dataset_doi text, dataset_citation text, license text, rights_holder text,
               download_key text, download_doi text, archive_sha256 text, harvest_id uuid, subscription text,
               taxon_path text, written_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT s.id_synthese, s.unique_id_sinp, w.gbif_id, 'https://www.gbif.org/occurrence/' || w.gbif_id, w.dataset_key,
           COALESCE(d.title, g.dataset_name), d.doi, d.citation,
           COALESCE(s.additional_data ->> 'license', d.license), s.additional_data ->> 'rightsHolder',
           -- One download whole: the harvest's, or what the row says where the harvest is gone.
           CASE WHEN h.id IS NULL THEN s.additional_data ->> 'downloadKey' ELSE h.download_key END,
           CASE WHEN h.id IS NULL THEN s.additional_data ->> 'downloadDoi' ELSE h.doi END,
           CASE WHEN h.id IS NULL THEN s.additional_data ->> 'archiveSha256' ELSE h.archive_sha256 END, w.harvest_id, h.subscription,
           w.taxon_path, w.written_at
    FROM passereau.written w
    JOIN gn_synthese.synthese s ON s.id_synthese = w.id_synthese
    LEFT JOIN passereau.harvest h ON h.id = w.harvest_id
    LEFT JOIN pinv_gbif.dataset d ON d.dataset_key = w.dataset_key
    LEFT JOIN gn_meta.t_datasets g ON g.unique_dataset_id = w.dataset_key
$$;
CREATE OR REPLACE VIEW pinv_gbif.v_provenance AS SELECT * FROM passereau.provenance();

-- The citation of a harvest's download, word for word as GBIF's GET /v1/occurrence/download/{key}/citation gives it (gbif/registry,
-- BaseDownloadResource.java); NULL without a DOI. The date is that of the download; where nobody knows it, of the harvest.
CREATE OR REPLACE FUNCTION passereau.citation(of_harvest uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT 'GBIF.org (' || to_char(COALESCE(made.at, h.created_at) AT TIME ZONE 'UTC', 'FMDD FMMonth YYYY')
           || ') GBIF Occurrence Download https://doi.org/' || h.doi
    FROM passereau.harvest h
    -- A reconversion has the download of another harvest.
    CROSS JOIN LATERAL (SELECT min(COALESCE(d.created_at, d.asked_at)) AS at
                        FROM passereau.download d WHERE d.key = h.download_key) made
    WHERE h.id = of_harvest
$$;

-- The datasets behind a harvest, with how many of their records stand in the synthèse: those of its generation, or, when that
-- is gone, those that the harvest wrote and no later one has changed. The licence is that of the records.
CREATE OR REPLACE FUNCTION passereau.cited_datasets(of_harvest uuid)
RETURNS TABLE (dataset_key uuid, title text, doi text, citation text, license text, records bigint)
LANGUAGE sql STABLE AS $$
    WITH generation AS (
        SELECT g.id
        FROM passereau.harvest h
        JOIN pinv_gbif.generation g ON g.id = h.generation_id AND g.state IN ('landed', 'current')
        WHERE h.id = of_harvest
    ), cited AS (
        SELECT w.dataset_key, w.id_synthese
        FROM pinv_gbif.occurrence o
        JOIN passereau.written w ON w.gbif_id = o.gbif_id
        WHERE o.generation_id = (SELECT g.id FROM generation g)
        UNION ALL
        SELECT w.dataset_key, w.id_synthese
        FROM passereau.written w
        WHERE w.harvest_id = of_harvest AND NOT EXISTS (SELECT FROM generation)
    ), counted AS (
        SELECT c.dataset_key, count(*) AS records,
               string_agg(DISTINCT s.additional_data ->> 'license', ', ' ORDER BY s.additional_data ->> 'license') AS license
        FROM cited c
        JOIN gn_synthese.synthese s ON s.id_synthese = c.id_synthese
        GROUP BY c.dataset_key
    )
    SELECT c.dataset_key, passereau.dataset_title(c.dataset_key), d.doi, d.citation, COALESCE(c.license, d.license), c.records
    FROM counted c
    LEFT JOIN pinv_gbif.dataset d ON d.dataset_key = c.dataset_key
    ORDER BY c.records DESC, c.dataset_key
$$;

RESET check_function_bodies;
