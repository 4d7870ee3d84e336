//! What an agreement names and the platform does not know.

#![allow(clippy::unwrap_used, reason = "tests")]

use passereau_flow::{Draft, apply};
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
    let said = looked_up(&database.pool, &text).await;
    for problem in [
        "there is no DEP 999 in ref_geo",
        "datasets.exclude[0] there is no dataset",
        "sources.include[0] there is no source Nowhere",
    ] {
        assert!(said.contains(problem), "{problem}: {said}");
    }
    assert!(!said.contains("DEP 38 "), "{said}");
    assert_eq!(looked_up(&database.pool, &with(&[])).await, "");
    let flows: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.flow").fetch_one(&database.pool).await.unwrap();
    assert_eq!(flows, 0);
}

/// A file whose mistakes are its own is looked up as well: whoever mends it does so once.
#[tokio::test]
async fn what_a_file_names_is_looked_up_though_the_file_is_wrong() {
    let database = database().await;
    seed_sandbox(&database.pool).await.unwrap();
    let text = with(&[
        ("\"P1M\"", "\"monthly\""),
        ("[\"CC-BY-4.0\"] }", "[\"CC-BY-4.0\", \"MIT\"] }\nstatut = true"),
        ("\"Isère\" }", "\"Isère\", file = \"absent.wkt\" }"),
    ]) + "taxa = { regne = [7, \"Animaux\"], ordre = [\"Oiseaux\"] }\nsources = { include = [\"Nowhere\"] }\n";
    let said = looked_up(&database.pool, &text).await;
    let expected = [
        "period is wrong",
        "territory.file absent.wkt",
        "licences.allowed[1] no record can have the licence MIT",
        "statut is wrong",
        "taxa.regne[0] is wrong",
        "taxa.ordre[0] TAXREF has no ordre Oiseaux",
        "sources.include[0] there is no source Nowhere",
    ];
    for problem in expected {
        assert!(said.contains(problem), "{problem}: {said}");
    }
    // In the order of the file; of the list that lost an element, whose others stand elsewhere now, nothing more; nothing twice.
    assert_eq!(said.lines().count(), expected.len(), "{said}");
    assert!(said.find("period") < said.find("territory.file") && said.find("MIT") < said.find("Nowhere"), "{said}");
    // What is no TOML names nothing.
    assert!(looked_up(&database.pool, "name = ").await.contains("no TOML"));
}

#[tokio::test]
async fn statuses_that_the_platform_has_not_are_told_of() {
    let database = database().await;
    let lacks = async |text: &str| passereau_flow::lacks(&database.pool, &document(text).agreement).await.unwrap();
    assert!(lacks(&with(&[])).await.is_empty());
    let told = lacks(&and("statuses = true")).await;
    assert!(told.len() == 1 && told[0].contains("the database has no taxonomie.v_bdc_status"), "{told:?}");
    sqlx::query("CREATE VIEW taxonomie.v_bdc_status AS SELECT 1 AS cd_ref").execute(&database.pool).await.unwrap();
    assert!(lacks(&and("statuses = true")).await.is_empty());
}

/// All that is wrong with a text, its own problems and those of the platform.
async fn looked_up(pool: &sqlx::PgPool, text: &str) -> String {
    let mut draft = Draft::parse(text, std::path::PathBuf::new(), now());
    draft.read_territory();
    draft.look_up(pool).await.unwrap();
    passereau_flow::in_lines(draft.problems())
}
