-- One acquisition framework, for the datasets that tests and the demonstration add, and iNaturalist's research-grade observations
-- under the key GBIF knows them by (https://www.gbif.org/dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7).

INSERT INTO gn_meta.t_acquisition_frameworks
    (unique_acquisition_framework_id, acquisition_framework_name, acquisition_framework_desc, acquisition_framework_start_date)
VALUES ('00000000-0000-4000-8000-000000000021', 'Données du GBIF', 'Observations publiées par l''intermédiaire du GBIF', '2020-01-01');

-- id_dataset is arbitrary on purpose: a dataset is found by its UUID.
SELECT setval('gn_meta.t_datasets_id_dataset_seq', 40);

INSERT INTO gn_meta.t_datasets
    (unique_dataset_id, id_acquisition_framework, dataset_name, dataset_shortname, dataset_desc, marine_domain, terrestrial_domain,
     id_nomenclature_data_origin)
SELECT '50c9509d-22c7-4a22-a47d-8c48425ef4a7', id_acquisition_framework, 'iNaturalist Research-grade Observations', 'iNaturalist',
       'Observations d''iNaturalist de niveau recherche', true, true, ref_nomenclatures.get_id_nomenclature('DS_PUBLIQUE', 'NSP')
  FROM gn_meta.t_acquisition_frameworks;

INSERT INTO gn_meta.cor_dataset_actor (id_dataset, id_organism, id_nomenclature_actor_role)
SELECT d.id_dataset, o.id_organisme, ref_nomenclatures.get_id_nomenclature('ROLE_ACTEUR', r.code)
  FROM gn_meta.t_datasets d, utilisateurs.bib_organismes o, (VALUES ('1'), ('5')) AS r (code)
 WHERE o.nom_organisme LIKE 'Pôle%';
