//! Datasets, from the documents of an archive and the registry's answers to rows of GeoNature.

use passereau_contracts::{HarvestRequest, Metadata, SubscriptionSettings};
use passereau_harvest::State;
use passereau_sandbox::Route;
use passereau_sandbox::seeds::{ALL_DATASETS, NATIONAL, UNKNOWN_DATASET};

use crate::prepared::{RECORDS, SOON, fleet, generated, of_archive};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_may_makes_the_datasets_it_needs_and_leaves_own_data_out() {
    let (_folder, archive) = generated(RECORDS);
    let fleet = fleet(archive.clone()).await;
    let pool = fleet.database.pool.clone();
    sqlx::query(
        "UPDATE pinv_gbif.setting SET value = (SELECT min(unique_acquisition_framework_id::text) FROM gn_meta.t_acquisition_frameworks)
         WHERE name = 'acquisition_framework'",
    )
    .execute(&pool)
    .await
    .unwrap();
    let settings = SubscriptionSettings { metadata: Some(Metadata::Create), ..SubscriptionSettings::default() };
    let request = HarvestRequest { settings: Some(settings), ..of_archive(fleet.put_archive(&archive).unwrap()) };
    let harvest = fleet.submit(&request).await.unwrap();
    let harvest = fleet.ended(harvest, SOON).await;
    assert_eq!(harvest.state, State::Completed, "{:?}", harvest.reason);

    let made: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT d.dataset_name, o.nom_organisme, (SELECT count(*) FROM gn_synthese.synthese s WHERE s.id_dataset = d.id_dataset)
         FROM passereau.made_dataset m
         JOIN gn_meta.t_datasets d USING (id_dataset)
         JOIN gn_meta.cor_dataset_actor a USING (id_dataset)
         JOIN utilisateurs.bib_organismes o ON o.id_organisme = a.id_organism
         WHERE a.id_nomenclature_actor_role = ref_nomenclatures.get_id_nomenclature('ROLE_ACTEUR', '5')",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let [(title, publisher, records)] = made.as_slice() else { panic!("one dataset was unknown: {made:?}") };
    assert_eq!((title.as_str(), publisher.as_str()), (UNKNOWN_DATASET.title, UNKNOWN_DATASET.publisher));
    assert!(*records > 0);
    let rejects: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT reason, dataset_key::text FROM pinv_gbif.reject WHERE reason IN ('own_data', 'dataset_unknown')",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(rejects, [("own_data".to_owned(), NATIONAL.key.to_owned())], "the registry told who publishes it");
    assert_eq!(fleet.sandbox.calls(Route::Dataset), ALL_DATASETS.len() as u64);
    fleet.stop().await.unwrap();
}
