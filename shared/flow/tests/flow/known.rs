//! What an agreement names and the platform does not know.

#![allow(clippy::unwrap_used, reason = "tests")]

use passereau_flow::{apply, look_up};
use passereau_testing::seed_sandbox;

use crate::support::{and, database, document, now, with};

#[tokio::test]
async fn unknown_sources_datasets_taxa_and_licences_are_named_at_once() {
    let database = database().await;
    seed_sandbox(&database.pool).await.unwrap();
    sqlx::query("INSERT INTO gn_synthese.t_sources (name_source) VALUES ('GBIF')")
        .execute(&database.pool)
        .await
        .unwrap();
    let text = and("taxa = { regne = [\"Animalia\", \"Animaux\"], cd_ref = [999999999] }\nsources = { exclude = [\"GBIF\", \"Gbif\"] }\n\
                    datasets = { include = [\"00000000-0000-4000-8000-000000000000\"] }")
        .replace("[\"CC-BY-4.0\"]", "[\"CC-BY-4.0\", \"MIT\"]");
    let said = apply(&database.pool, &document(&text), "Anne", now()).await.unwrap_err().to_string();
    for problem in [
        "taxa.regne[1] TAXREF has no regne Animaux",
        "taxa.cd_ref[0] TAXREF has no cd_ref 999999999",
        "sources.exclude[1] there is no source Gbif",
        "datasets.include[0] there is no dataset 00000000",
        "licences.allowed[1] no record can have the licence MIT",
    ] {
        assert!(said.contains(problem), "{problem}: {said}");
    }
    assert!(!said.contains("Animalia") && !said.contains("source GBIF;"), "{said}");
}

#[tokio::test]
async fn a_synonym_is_answered_with_its_accepted_name() {
    let database = database().await;
    seed_sandbox(&database.pool).await.unwrap();
    let (synonym, accepted): (i32, i32) =
        sqlx::query_as("UPDATE taxonomie.taxref SET cd_ref = other.cd_ref FROM (SELECT max(cd_ref) AS cd_ref FROM taxonomie.taxref) other
                        WHERE cd_nom = (SELECT min(cd_nom) FROM taxonomie.taxref) RETURNING cd_nom, taxref.cd_ref")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    let text = with(&[("period", &format!("taxa = {{ cd_ref = [{synonym}] }}\nperiod"))]);
    let said = apply(&database.pool, &document(&text), "Anne", now()).await.unwrap_err().to_string();
    assert!(said.contains(&format!("{synonym} is a synonym in TAXREF; write {accepted}, its accepted name")), "{said}");
}

/// What `passereau flow check` does where a database is at hand.
#[tokio::test]
async fn looking_up_tells_of_areas_and_names_together_and_writes_nothing() {
    let database = database().await;
    seed_sandbox(&database.pool).await.unwrap();
    let text = with(&[("\"Isère\" }", "\"Isère\", areas = [{ type = \"DEP\", codes = [\"38\", \"999\"] }] }")])
        + "datasets = { exclude = [\"00000000-0000-4000-8000-000000000000\"] }\nsources = { include = [\"Nowhere\"] }\n";
    let said = look_up(&database.pool, &document(&text)).await.unwrap_err().to_string();
    for problem in [
        "there is no DEP 999 in ref_geo",
        "datasets.exclude[0] there is no dataset",
        "sources.include[0] there is no source Nowhere",
    ] {
        assert!(said.contains(problem), "{problem}: {said}");
    }
    assert!(!said.contains("DEP 38 "), "{said}");
    look_up(&database.pool, &document(&with(&[]))).await.unwrap();
    let flows: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.flow").fetch_one(&database.pool).await.unwrap();
    assert_eq!(flows, 0);
}
