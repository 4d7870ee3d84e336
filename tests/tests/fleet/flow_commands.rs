//! What a data manager asks about an agreement before it is in force, with the program itself and a database.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use passereau_testing::{TestDatabase, seed_sandbox};
use passereau_tests::{agreement, program};
use serde_json::Value;
use tempfile::TempDir;

/// `passereau flow …`, answered in English, with the settings of a database or without.
fn flow(database: Option<&str>, folder: &Path, words: &str) -> Output {
    let mut command = Command::new(program("passereau").unwrap());
    command.arg("flow").args(words.split(' ')).current_dir(folder).stdin(Stdio::null());
    command.env_remove("PASSEREAU_DATABASE_URL").env_remove("LC_ALL").env("LC_ALL", "C.UTF-8");
    if let Some(url) = database {
        command.env("PASSEREAU_DATABASE_URL", url);
    }
    command.output().unwrap()
}

/// Exit code, standard output, standard error.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A folder with an agreement that is right and one that is not.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let right = agreement("atlas", &["csv", "gpkg"]);
    std::fs::write(folder.path().join("right.toml"), &right).unwrap();
    let mut wrong = right;
    for (old, new) in [
        ("\"P1D\"", "\"chaque jour\""),
        ("\"gpkg\"", "\"shapefile\""),
        ("\"everywhere\" }", "\"everywhere\", areas = [{ type = \"DEP\", codes = [\"38\", \"999\"] }] }"),
        ("\"CC0-1.0\"", "\"MIT\""),
    ] {
        assert!(wrong.contains(old), "{old}");
        wrong = wrong.replace(old, new);
    }
    wrong += "sources = { exclude = [\"Nowhere\"] }\nfields = { add = [\"nom_lieux\"], remove = [\"niveau_sensibilite\"] }\n";
    std::fs::write(folder.path().join("wrong.toml"), wrong).unwrap();
    folder
}

#[tokio::test]
async fn flow_check_tells_all_that_is_wrong_at_once_with_its_line_and_what_to_write() {
    let database = TestDatabase::migrated().await;
    seed_sandbox(&database.pool).await.unwrap();
    let folder = folder();
    let (code, out, err) = said(&flow(Some(&database.url), folder.path(), "check wrong.toml"));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    let own = [
        "line 3, column 19: formats[1] is wrong: unknown variant `shapefile`; write one of `csv`, `json`, `geojson`, `geojsonl`, `gpkg`",
        "line 4, column 1: period is wrong: `chaque jour` is no period; write an ISO 8601 duration",
        "line 12, column 19: fields.add[0] `nom_lieux` is no field; did you mean nom_lieu?",
        "line 12, column 43: fields.remove[0] niveau_sensibilite cannot be removed",
    ];
    let platforms = [
        "line 9, column 83: territory.areas[0].codes[1] there is no DEP 999 in ref_geo; write codes as ref_geo.l_areas has them",
        "line 10, column 25: licences.allowed[0] no record can have the licence MIT; write one that",
        "line 11, column 24: sources.exclude[0] there is no source Nowhere; write its name as",
    ];
    for problem in own.iter().chain(&platforms) {
        assert!(err.contains(problem), "{problem}\n{err}");
    }
    assert_eq!(err.matches("\n  ").count(), own.len() + platforms.len(), "nothing else is wrong: {err}");

    // For programs, the same.
    let (code, out, _) = said(&flow(Some(&database.url), folder.path(), "check wrong.toml --json"));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, told["looked_up"].as_bool()), (Some(1), Some(true)), "{out}");
    let problems = told["problems"].as_array().unwrap();
    assert_eq!(problems.len(), own.len() + platforms.len(), "{out}");
    assert!(problems.iter().all(|problem| problem["line"].is_u64() && problem["instead"] != ""), "{out}");

    // A file alone is judged without a database, though one is named.
    for (url, words) in [(None, "check wrong.toml"), (Some(database.url.as_str()), "check wrong.toml --offline")] {
        let (code, _, err) = said(&flow(url, folder.path(), words));
        assert!(code == Some(1) && own.iter().all(|problem| err.contains(problem)), "{err}");
        assert!(!err.contains("DEP 999") && !err.contains("Nowhere"), "{err}");
    }
    let flows: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.flow").fetch_one(&database.pool).await.unwrap();
    assert_eq!(flows, 0, "a check writes nothing");
}

#[tokio::test]
async fn flow_check_says_how_much_of_an_agreement_was_checked() {
    let database = TestDatabase::migrated().await;
    seed_sandbox(&database.pool).await.unwrap();
    let folder = folder();
    let (code, out, err) = said(&flow(Some(&database.url), folder.path(), "check right.toml"));
    assert_eq!((code, out.as_str()), (Some(0), "right.toml is right and the platform knows all that it names\n"));
    assert!(err.contains("passereau flow plan right.toml"), "{err}");
    let (code, out, _) = said(&flow(None, folder.path(), "check right.toml"));
    assert_eq!((code, out.as_str()), (Some(0), "right.toml is right as far as it alone can tell\n"));

    // Statuses that the platform has not are no mistake, and are told of.
    let with_statuses = std::fs::read_to_string(folder.path().join("right.toml")).unwrap() + "statuses = true\n";
    std::fs::write(folder.path().join("right.toml"), with_statuses).unwrap();
    let (code, _, err) = said(&flow(Some(&database.url), folder.path(), "check right.toml"));
    assert!(code == Some(0) && err.contains("the database has no taxonomie.v_bdc_status"), "{err}");
    let (_, out, _) = said(&flow(Some(&database.url), folder.path(), "check right.toml --json"));
    assert!(out.contains("\"lacks\"") && out.contains("v_bdc_status"), "{out}");

    // A database that is not ours, or not yet: what the file says against itself is told all the same.
    let strange = TestDatabase::geonature().await;
    let (code, out, err) = said(&flow(Some(&strange.url), folder.path(), "check right.toml"));
    assert!(code == Some(1) && out.is_empty(), "{out}");
    for words in ["right.toml is right as far as it alone can tell", "passereau migrate", "`--offline`"] {
        assert!(err.contains(words), "{words}: {err}");
    }
    let (code, _, err) = said(&flow(Some(&strange.url), folder.path(), "check wrong.toml"));
    assert_eq!(code, Some(1));
    assert!(err.contains("nothing could be looked up") && err.contains("`shapefile`"), "{err}");
    let (code, _, err) = said(&flow(None, folder.path(), "check absent.toml"));
    assert!(code == Some(1) && err.contains("reading the agreement absent.toml"), "{err}");
}

#[tokio::test]
async fn flow_fields_is_the_dictionary_with_the_words_of_the_platform() {
    let database = TestDatabase::migrated().await;
    let folder = folder();
    sqlx::raw_sql(
        "UPDATE ref_nomenclatures.t_nomenclatures SET label_default = 'Femelle ou reine'
         WHERE id_nomenclature = ref_nomenclatures.get_id_nomenclature('SEXE', '2');
         INSERT INTO passereau.blur_rule VALUES ('nom_lieu', 'DEP', 'keep', 'decided by the platform')",
    )
    .execute(&database.pool)
    .await
    .unwrap();

    let (code, out, err) = said(&flow(Some(&database.url), folder.path(), "fields --lang fr --dialect occtax"));
    assert!(code == Some(0) && err.contains("ne peut être retirée"), "{err}");
    let line = |starts: &str| out.lines().find(|line| line.starts_with(starts)).unwrap_or_default();
    let sex: Vec<&str> = line("sexe ").split_whitespace().collect();
    assert_eq!(sex, ["sexe", "occSexe", "SEXE", "1", "gardée", "Sexe"]);
    assert!(out.lines().any(|line| line.starts_with("   ") && line.contains("Femelle ou reine | ")), "{out}");
    assert!(line("nom_lieu ").contains("vidée (DEP: gardée)"), "{}", line("nom_lieu "));
    assert!(line("niveau_sensibilite ").contains(" 1! "), "{}", line("niveau_sensibilite "));
    assert!(line("– ").contains(" geometrie ") && line("– ").contains("WGS 84"), "{}", line("– "));

    let (_, out, _) = said(&flow(Some(&database.url), folder.path(), "fields --json"));
    let fields: Vec<Value> = serde_json::from_str(&out).unwrap();
    for field in &fields {
        for member in ["name", "column", "values", "fr", "en"] {
            assert!(field[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {field}");
        }
        assert_eq!(field["nomenclature"].is_string(), field["labels"].is_array(), "{field}");
        assert!(field["blurred"]["*"].is_string(), "{field}");
    }
    let named = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
    assert_eq!(named("niveau_sensibilite")["is_required"], true);
    assert_eq!(named("id_synthese")["blurred"]["*"], "empty");
    assert_eq!(fields.iter().filter(|field| field["is_basic"] == true).count(), 40, "the basic preset");

    // Without a database the dictionary alone; as a spreadsheet, only the preset.
    let (code, out, _) = said(&flow(None, folder.path(), "fields --basic --csv"));
    assert_eq!(code, Some(0));
    let rows: Vec<&str> = out.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(rows.len(), 42, "headings, the preset and the geometry: {out}");
    assert_eq!(rows[0], "field;column;values;basic;blurred;definition;labels");
    assert!(rows.contains(&"sexe;sexe;SEXE;1;;Sex;") && !out.contains("nom_lieu"), "{out}");
    assert!(rows[41].starts_with("–;"), "no formula that a spreadsheet is kept from: {out}");
}
