//! Own data, and the datasets that a subscription with `metadata = create` makes.

use crate::meeting::meet;
use crate::platform::{DATASET, OTHER_DATASET, Platform, Record, code, record};
use passereau_upserter::functions;
use serde_json::{Value, json};
use sqlx::types::Uuid;

/// A dataset that GeoNature does not know.
const NEW: &str = "aaaaaaaa-0000-4000-8000-000000000001";
/// Another one.
const NEWER: &str = "aaaaaaaa-0000-4000-8000-000000000002";
/// Who publishes both.
const PUBLISHER: &str = "bbbbbbbb-0000-4000-8000-000000000001";

/// A platform that lets datasets be made, and knows two that could be.
async fn creating() -> Platform {
    let platform = Platform::new().await;
    platform.decide("one", json!({"metadata": "create"})).await;
    platform.decide("two", json!({"metadata": "create"})).await;
    platform.execute("UPDATE pinv_gbif.setting SET value = '00000000-0000-4000-8000-000000000021' WHERE name = 'acquisition_framework'").await;
    for key in [NEW, NEWER] {
        platform
            .execute(&format!(
                "INSERT INTO pinv_gbif.dataset (dataset_key, title, description, license, doi, citation, contact_organization,
                        provider_organization, persons, publishing_organization_key, publishing_organization, registry_asked_at)
                 VALUES ('{key}', 'Flore des Écrins', 'Un résumé.', 'http://creativecommons.org/licenses/by/4.0/legalcode',
                         '10.15468/abc123', 'Jardin (2026). Flore.', 'Jardin alpin', 'Muséum', 'Ada Byron (Jardin alpin)',
                         '{PUBLISHER}', 'Muséum de la Vallée', now())"
            ))
            .await;
    }
    platform
}

fn of(dataset: &str, gbif_id: i64) -> Record {
    record(gbif_id).with("dataset_key", json!(dataset))
}

async fn made(platform: &Platform) -> i64 {
    platform.count("SELECT count(*) FROM gn_meta.t_datasets WHERE unique_dataset_id::text LIKE 'aaaaaaaa%'").await
}

/// The organisations of a dataset, by the code of their role.
async fn actors(platform: &Platform, key: &str) -> Vec<(String, String)> {
    sqlx::query_as(
        "SELECT n.cd_nomenclature, o.nom_organisme
         FROM gn_meta.t_datasets d
         JOIN gn_meta.cor_dataset_actor a USING (id_dataset)
         JOIN ref_nomenclatures.t_nomenclatures n ON n.id_nomenclature = a.id_nomenclature_actor_role
         JOIN utilisateurs.bib_organismes o ON o.id_organisme = a.id_organism
         WHERE d.unique_dataset_id = $1::uuid ORDER BY 1, 2",
    )
    .bind(key)
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_dataset_is_made_with_its_first_record_as_gbif_describes_it() {
    let platform = creating().await;
    let roles = platform.count("SELECT count(*) FROM utilisateurs.t_roles").await;
    let harvest = platform.land("one", &[of(NEW, 1), of(NEW, 2), record(3)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.rejected), (3, 0));
    assert_eq!(platform.count("SELECT count(*) FROM gn_synthese.v_synthese_for_web_app").await, 3, "they are visible");

    let row: (String, String, String, String, Value) = sqlx::query_as(
        "SELECT d.dataset_name, d.dataset_desc, n.cd_nomenclature, f.unique_acquisition_framework_id::text, d.additional_data
         FROM gn_meta.t_datasets d
         JOIN gn_meta.t_acquisition_frameworks f USING (id_acquisition_framework)
         JOIN ref_nomenclatures.t_nomenclatures n ON n.id_nomenclature = d.id_nomenclature_data_origin
         WHERE d.unique_dataset_id = $1::uuid",
    )
    .bind(NEW)
    .fetch_one(&platform.pool)
    .await
    .unwrap();
    assert_eq!((row.0.as_str(), row.2.as_str()), ("Flore des Écrins", "NSP"));
    assert_eq!(row.3, "00000000-0000-4000-8000-000000000021");
    assert_eq!(
        row.1,
        format!(
            "Un résumé.\n\nGBIF : https://www.gbif.org/dataset/{NEW}\nDOI : https://doi.org/10.15468/abc123\n\
             Licence : http://creativecommons.org/licenses/by/4.0/legalcode\nCitation : Jardin (2026). Flore.\n\
             Contacts : Ada Byron (Jardin alpin)"
        )
    );
    assert_eq!((row.4["doi"].as_str(), row.4["datasetKey"].as_str()), (Some("10.15468/abc123"), Some(NEW)));
    let of_jardin = |code: &str, name: &str| (code.to_owned(), name.to_owned());
    assert_eq!(actors(&platform, NEW).await, [of_jardin("1", "Jardin alpin"), of_jardin("5", "Muséum de la Vallée")]);
    assert_eq!(platform.count("SELECT count(*) FROM utilisateurs.t_roles").await, roles, "people become no accounts");
    assert_eq!(made(&platform).await, 1, "nothing is made without records");

    // The same again writes nothing.
    let before = platform.fingerprint().await;
    let harvest = platform.land("one", &[of(NEW, 1), of(NEW, 2), record(3)]).await;
    assert_eq!(platform.run(harvest).await.unchanged, 3);
    assert_eq!(platform.fingerprint().await, before);
}

#[tokio::test]
async fn organisations_that_geonature_has_are_found_by_key_and_by_name() {
    let platform = creating().await;
    platform
        .execute(&format!(
            "INSERT INTO utilisateurs.bib_organismes (uuid_organisme, nom_organisme) VALUES ('{PUBLISHER}', 'MVAL');
             INSERT INTO utilisateurs.bib_organismes (nom_organisme) VALUES ('JARDIN  ALPIN');
             UPDATE pinv_gbif.dataset SET contact_organization = 'Muséum de la vallée' WHERE dataset_key = '{NEWER}'"
        ))
        .await;
    let organisations = platform.count("SELECT count(*) FROM utilisateurs.bib_organismes").await;
    let harvest = platform.land("one", &[of(NEW, 1), of(NEWER, 2)]).await;
    platform.run(harvest).await;
    let names =
        |list: &[(String, String)]| list.iter().map(|(code, name)| format!("{code} {name}")).collect::<Vec<_>>();
    assert_eq!(names(&actors(&platform, NEW).await), ["1 JARDIN  ALPIN", "5 MVAL"]);
    assert_eq!(names(&actors(&platform, NEWER).await), ["1 MVAL", "5 MVAL"], "the publisher by another spelling");
    assert_eq!(platform.count("SELECT count(*) FROM utilisateurs.bib_organismes").await, organisations);
}

#[tokio::test]
async fn what_people_changed_afterwards_stays() {
    let platform = creating().await;
    let harvest = platform.land("one", &[of(NEW, 1)]).await;
    platform.run(harvest).await;
    platform
        .execute(&format!(
            "UPDATE gn_meta.t_datasets SET dataset_name = 'Notre titre', dataset_desc = 'Notre texte' WHERE unique_dataset_id = '{NEW}';
             DELETE FROM gn_meta.cor_dataset_actor USING gn_meta.t_datasets d
             WHERE d.id_dataset = cor_dataset_actor.id_dataset AND d.unique_dataset_id = '{NEW}';
             UPDATE utilisateurs.bib_organismes SET nom_organisme = 'Le Muséum' WHERE uuid_organisme = '{PUBLISHER}';
             UPDATE pinv_gbif.dataset SET title = 'Flore, deuxième édition'"
        ))
        .await;
    let harvest = platform.land("one", &[of(NEW, 1).with("occurrence_remarks", json!("x")), of(NEW, 2)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.updated), (1, 1));
    let same = format!(
        "SELECT count(*) FROM gn_meta.t_datasets WHERE unique_dataset_id = '{NEW}' AND dataset_name = 'Notre titre' AND dataset_desc = 'Notre texte'"
    );
    assert_eq!(platform.count(&same).await, 1);
    assert!(actors(&platform, NEW).await.is_empty());
    assert_eq!(
        platform.count("SELECT count(*) FROM utilisateurs.bib_organismes WHERE nom_organisme = 'Le Muséum'").await,
        1
    );
}

#[tokio::test]
async fn long_titles_are_cut_and_old_geonatures_take_them_too() {
    let platform = creating().await;
    // GeoNature before 2.16, with the organisations of an old UsersHub.
    platform
        .execute(&format!(
            "ALTER TABLE gn_meta.t_datasets DROP COLUMN additional_data;
             ALTER TABLE utilisateurs.bib_organismes ALTER COLUMN nom_organisme TYPE varchar(100);
             UPDATE pinv_gbif.dataset SET title = repeat('é', 300), description = NULL, doi = NULL, persons = NULL,
                    publishing_organization = repeat('ô', 200), contact_organization = NULL WHERE dataset_key = '{NEW}'"
        ))
        .await;
    let harvest = platform.land("one", &[of(NEW, 1)]).await;
    assert_eq!(platform.run(harvest).await.inserted, 1);
    let cut = format!(
        "SELECT count(*) FROM gn_meta.t_datasets WHERE unique_dataset_id = '{NEW}' AND dataset_name = repeat('é', 255)
             AND dataset_shortname = dataset_name AND dataset_desc LIKE repeat('é', 300) || '%Licence%' AND dataset_desc NOT LIKE '%DOI%'"
    );
    assert_eq!(platform.count(&cut).await, 1);
    let name = "ô".repeat(100);
    assert_eq!(actors(&platform, NEW).await, [("1".to_owned(), name.clone()), ("5".to_owned(), name)]);
}

#[tokio::test]
async fn without_create_an_unknown_dataset_is_rejected_until_somebody_declares_it() {
    let platform = creating().await;
    platform.decide("one", json!({})).await;
    let harvest = platform.land("one", &[of(NEW, 1)]).await;
    assert_eq!(platform.run(harvest).await.rejected, 1);
    assert_eq!(platform.rejects().await, [(1, "dataset_unknown".to_owned())]);
    assert_eq!(made(&platform).await, 0);
}

#[tokio::test]
async fn a_dataset_whose_publisher_nobody_could_be_asked_for_waits() {
    let platform = creating().await;
    platform.execute("UPDATE pinv_gbif.dataset SET registry_asked_at = NULL, publishing_organization_key = NULL").await;
    let harvest = platform.land("one", &[of(NEW, 1)]).await;
    assert_eq!((platform.run(harvest).await.rejected, made(&platform).await), (1, 0));
    assert_eq!(platform.rejects().await, [(1, "dataset_unknown".to_owned())]);
    // The registry knows no such dataset, either: then nobody will ever tell more.
    platform.execute("UPDATE pinv_gbif.dataset SET registry_asked_at = now(), registry_absent = true").await;
    let harvest = platform.land("one", &[of(NEW, 1)]).await;
    assert_eq!((platform.run(harvest).await.inserted, made(&platform).await), (1, 1));
}

#[tokio::test]
async fn a_dataset_of_which_no_record_enters_makes_nothing() {
    let platform = creating().await;
    let organisations = platform.count("SELECT count(*) FROM utilisateurs.bib_organismes").await;
    let uuid = "cccccccc-0000-4000-8000-000000000001";
    let harvest = platform
        .land(
            "one",
            &[
                of(NEW, 1).with("date_start", json!(null)).with("event_date", json!(null)),
                of(NEWER, 2).with("producer_uuid", json!(uuid)),
            ],
        )
        .await;
    assert_eq!(functions::plan(&platform.pool, harvest, 100).await.unwrap().slices, Some(1));
    // After the plan, the same observation comes in through another source.
    platform
        .execute(&format!(
            "INSERT INTO gn_synthese.synthese (unique_id_sinp, id_source, nom_cite, date_min, date_max)
             SELECT '{uuid}', id_source, 'x', now(), now() FROM gn_synthese.t_sources WHERE name_source = 'Import'"
        ))
        .await;
    let applied = functions::apply(&platform.pool, harvest, 0).await.unwrap();
    assert_eq!((applied.inserted, applied.rejected), (0, 2));
    assert_eq!(made(&platform).await, 0);
    assert_eq!(platform.count("SELECT count(*) FROM passereau.made_dataset").await, 0);
    assert_eq!(platform.count("SELECT count(*) FROM utilisateurs.bib_organismes").await, organisations);
    functions::finish(&platform.pool, harvest).await.unwrap();
}

#[tokio::test]
async fn two_slices_that_need_the_same_dataset_make_it_once() {
    let platform = creating().await;
    let first = platform.land("one", &[of(NEW, 1), of(NEWER, 2)]).await;
    let second = platform.land("two", &[of(NEWER, 3), of(NEW, 4)]).await;
    let (ahead, behind) = meet(&platform, first, second).await;
    assert_eq!((ahead.inserted, behind.inserted), (2, 2));
    assert_eq!(made(&platform).await, 2);
    let shared =
        "SELECT count(DISTINCT id_dataset) FROM gn_synthese.synthese WHERE entity_source_pk_value IN ('1', '4')";
    assert_eq!(platform.count(shared).await, 1);
    assert_eq!(
        platform.count("SELECT count(*) FROM utilisateurs.bib_organismes WHERE nom_organisme = 'Jardin alpin'").await,
        1
    );
    assert_eq!(actors(&platform, NEW).await.len(), 2);
}

#[tokio::test]
async fn a_dataset_that_the_first_slice_gives_up_is_made_by_the_second() {
    let platform = creating().await;
    let first = platform.land("one", &[of(NEW, 1)]).await;
    let second = platform.land("two", &[of(NEW, 2)]).await;
    for harvest in [first, second] {
        functions::plan(&platform.pool, harvest, 100).await.unwrap();
    }
    let mut open = platform.pool.begin().await.unwrap();
    functions::apply(&mut *open, first, 0).await.unwrap();
    open.rollback().await.unwrap();
    assert_eq!((made(&platform).await, functions::apply(&platform.pool, second, 0).await.unwrap().inserted), (0, 1));
    assert_eq!(functions::apply(&platform.pool, first, 0).await.unwrap().inserted, 1);
    assert_eq!(made(&platform).await, 1);
}

#[tokio::test]
async fn own_data_do_not_enter_whoever_declares_them() {
    let platform = creating().await;
    platform
        .execute(&format!(
            "UPDATE pinv_gbif.dataset SET publishing_organization_key = '1928bdf0-f5d2-11dc-8c12-b8a03c50a862',
                    publishing_organization = 'PatriNat' WHERE dataset_key = '{NEW}';
             UPDATE pinv_gbif.setting SET value = ' {OTHER_DATASET} ,{NEWER}' WHERE name = 'own_datasets'"
        ))
        .await;
    let harvest = platform.land("one", &[of(NEW, 1), of(NEWER, 2), of(OTHER_DATASET, 3), of(DATASET, 4)]).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.rejected, made(&platform).await), (1, 3, 0));
    let details: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT gbif_id, reason, detail FROM pinv_gbif.reject ORDER BY 1")
            .fetch_all(&platform.pool)
            .await
            .unwrap();
    let expected = [
        (1, "refused_publishers 1928bdf0-f5d2-11dc-8c12-b8a03c50a862 PatriNat"),
        (2, "own_datasets"),
        (3, "own_datasets"),
    ];
    assert_eq!(details, expected.map(|(id, detail)| (id, "own_data".to_owned(), detail.to_owned())));
}

#[tokio::test]
async fn a_setting_that_cannot_be_meant_is_named() {
    let platform = creating().await;
    let refused = async |name: &str, value: Option<&str>, harvest: Uuid| {
        sqlx::query("UPDATE pinv_gbif.setting SET value = $2 WHERE name = $1")
            .bind(name)
            .bind(value)
            .execute(&platform.pool)
            .await
            .unwrap();
        let error = match functions::plan(&platform.pool, harvest, 100).await {
            Ok(_) => functions::apply(&platform.pool, harvest, 0).await.unwrap_err(),
            Err(error) => error,
        };
        (code(&error), error.to_string())
    };
    let harvest = platform.land("one", &[of(NEW, 1)]).await;
    for name in ["refused_publishers", "own_datasets"] {
        let (code, words) = refused(name, Some("1928bdf0-f5d2-11dc-8c12-b8a03c50a862, INPN"), harvest).await;
        assert_eq!(code, "PS001");
        assert!(words.contains(name) && words.contains("\"INPN\""), "{words}");
        platform.execute(&format!("UPDATE pinv_gbif.setting SET value = NULL WHERE name = '{name}'")).await;
    }
    for value in [None, Some("11111111-0000-4000-8000-000000000000"), Some("Cadre GBIF")] {
        let (code, words) = refused("acquisition_framework", value, harvest).await;
        assert_eq!(code, "PS001", "{value:?}");
        assert!(words.contains("acquisition_framework") && words.contains("pinv_gbif.setting"), "{words}");
    }
    assert_eq!(made(&platform).await, 0);
}
