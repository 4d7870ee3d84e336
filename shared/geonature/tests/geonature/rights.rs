//! The list of rights is neither too short nor too long.

use std::{collections::BTreeSet, fs, path::Path};

use passereau_geonature::{
    Feature, Part, Right, Wanted,
    check::{Severity, findings},
    detect, install, part_rights, rights,
};
use passereau_testing::{TestDatabase, Variant};

use crate::worker::Worker;

/// Each right alone is taken away: the survey meets a refusal (the right is needed), and the check names it with the statement
/// that gives it back. With all of them, nothing is refused (no right is missing from the list).
#[tokio::test]
async fn a_role_without_one_of_its_rights_is_told_which_one_and_how_to_get_it_back() {
    let worker = Worker::installed(Variant::V2_17, Wanted { metadata: true, media: true, ..Wanted::default() }).await;
    worker
        .execute(
            "INSERT INTO passereau.subscription (name, request, settings)
             VALUES ('all', '{}', '{\"metadata\": \"create\", \"media\": true}')",
        )
        .await;
    worker
        .execute(
            "UPDATE pinv_gbif.setting SET value = '00000000-0000-4000-8000-000000000021' WHERE name = 'acquisition_framework'",
        )
        .await;
    let survey = worker.survey().await;
    assert!(!survey.lacks_a_right(), "{survey:#?}");
    let needed = survey.rights.len();
    assert!(needed > 50 && survey.rights.iter().all(|right| right.held));

    for held in survey.rights {
        let right = held.right;
        worker.execute(right.revoke(&worker.role)).await;
        let survey = worker.survey().await;
        // Only `passereau migrate` makes schemas; it says so itself.
        assert!(survey.lacks_a_right() || right.kind == "DATABASE", "nothing needs {right:?}");
        let findings = findings(&survey);
        let grant = right.grant(&worker.role);
        let named = findings.iter().filter(|finding| finding.run.as_ref() == Some(&grant)).collect::<Vec<_>>();
        let [finding] = named.as_slice() else { panic!("{right:?} is not named once: {findings:#?}") };
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.found.contains(right.privilege) && finding.found.contains(&right.name), "{finding:?}");
        worker.execute(grant).await;
    }
    assert!(!worker.survey().await.lacks_a_right());
}

#[tokio::test]
async fn without_the_right_to_make_schemas_a_role_cannot_migrate() {
    let worker = Worker::without_rights(Variant::V2_17).await;
    let refused = passereau_database::migrate(&worker.pool().await).await.expect_err("refused");
    assert!(format!("{refused:?}").contains("42501"), "{refused:?}");
    // It says who has to do what, and in whose name.
    let said = refused.to_string();
    assert!(said.contains("passereau install --role") && said.contains("passereau migrate"), "{said}");
}

#[tokio::test]
async fn the_documentation_lists_every_right() {
    let database = TestDatabase::geonature().await;
    let catalogue = detect(&database.pool).await.expect("detected").catalogue;
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/check.md")).expect("page");
    let rows: Vec<Vec<&str>> =
        page.lines().map(|line| line.split('|').collect()).filter(|row: &Vec<_>| row.len() == 5).collect();
    let features = [Feature::Harvest, Feature::Metadata, Feature::Media, Feature::Removal, Feature::Adoption];
    for right in features.into_iter().flat_map(|of| rights(&catalogue, of)) {
        let (privilege, name) = (format!("`{}`", right.privilege), format!("`{}`", right.name));
        let listed =
            rows.iter().any(|row| row[2].contains(&privilege) && (row[3].contains(&name) || right.kind == "DATABASE"));
        assert!(listed, "{right:?}");
    }
}

/// A page shows each right of the two parts in the SQL or the table of its own, and their rights on GeoNature are for reading.
#[tokio::test]
async fn the_rights_of_exporter_and_gateway_are_documented_and_write_nothing_of_geonatures() {
    let database = TestDatabase::migrated().await;
    install(&database.pool, &with_parts(&database).await).await.expect("installed");
    let catalogue = detect(&database.pool).await.expect("detected").catalogue;
    // A table that is not there is not granted: those of ours must be, of GeoNature's the statuses of taxa may lack.
    for (part, page, tables) in [(Part::Exporter, "security.md", 33), (Part::Gateway, "gateway.md", 7)] {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)).expect("page");
        let rights = part_rights(&catalogue, part);
        let named: BTreeSet<&str> =
            rights.iter().filter(|right| right.kind == "TABLE").map(|right| right.name.as_str()).collect();
        assert!(named.len() >= tables, "{part:?}: {named:?}");
        for right in rights {
            let ours = right.name.starts_with("passereau") || right.name.starts_with("pinv_gbif");
            assert!(ours || matches!(right.privilege, "SELECT" | "USAGE"), "{right:?}");
            let (kind, column) = right.privilege.split_once(" (").unwrap_or((right.privilege, ""));
            let named = text.lines().any(|line| line.contains(&right.name))
                && [kind, column.trim_end_matches(')')].iter().all(|word| text.contains(*word));
            assert!(named, "{page}: {right:?}");
        }
    }
}

/// Whoever plans a flow must be able to tell that the statuses of taxa are there.
#[tokio::test]
async fn with_an_exporter_the_writer_reads_what_only_the_fields_of_a_flow_need() {
    let database = TestDatabase::migrated().await;
    sqlx::query("CREATE VIEW taxonomie.v_bdc_status AS SELECT 1 AS cd_ref")
        .execute(&database.pool)
        .await
        .expect("view");
    let roles = database.roles().await;
    let (writer, exporter) = (roles.writer.name, roles.exporter.name);
    let wanted = Wanted { role: Some(writer.clone()), exporter_role: Some(exporter.clone()), ..Wanted::default() };
    install(&database.pool, &wanted).await.expect("installed");
    for role in [writer, exporter] {
        for table in ["taxonomie.v_bdc_status", "ref_habitats.habref", "gn_meta.t_acquisition_frameworks"] {
            let may: bool = sqlx::query_scalar("SELECT has_table_privilege($1, $2, 'SELECT')")
                .bind(&role)
                .bind(table)
                .fetch_one(&database.pool)
                .await
                .expect("asked");
            assert!(may, "{role} may not read {table}");
        }
    }
}

async fn with_parts(database: &TestDatabase) -> Wanted {
    let roles = database.roles().await;
    Wanted { exporter_role: Some(roles.exporter.name), gateway_role: Some(roles.gateway.name), ..Wanted::default() }
}

/// Reads the functions of our schemas as text: every table of GeoNature that one names is granted for what the function does to it,
/// and nothing is granted that neither a function nor a trigger of GeoNature touches.
#[tokio::test]
async fn what_our_functions_do_to_geonatures_tables_is_granted() {
    let database = TestDatabase::geonature().await;
    let catalogue = detect(&database.pool).await.expect("detected").catalogue;
    let granted = |features: &[Feature]| -> BTreeSet<(&'static str, String)> {
        let all = features.iter().flat_map(|feature| rights(&catalogue, *feature));
        // A right on columns is for a check of GeoNature, not for us.
        all.filter(|right| right.kind == "TABLE" && !right.privilege.contains('('))
            .map(|Right { privilege, name, .. }| (privilege, name))
            .collect()
    };
    let mut files: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/functions"))
        .expect("folder")
        .collect();
    files.sort_by_key(|file| file.as_ref().expect("entry").path());
    let mut touched = BTreeSet::new();
    for file in files {
        let path = file.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let allowed = match name.as_str() {
            "65_metadata.sql" => granted(&[Feature::Harvest, Feature::Metadata]),
            // An erasure touches media where there are any.
            "75_media.sql" | "96_erasure.sql" | "97_erase.sql" => granted(&[Feature::Harvest, Feature::Media]),
            "92_adopt.sql" => granted(&[Feature::Harvest, Feature::Adoption]),
            "61_vanished.sql" | "73_vanished.sql" => granted(&[Feature::Harvest, Feature::Removal]),
            _ => granted(&[Feature::Harvest]),
        };
        for (privilege, table) in statements(&fs::read_to_string(&path).expect("text")) {
            if catalogue.has(&table) {
                assert!(allowed.contains(&(privilege, table.clone())), "{name}: {privilege} on {table} is not granted");
                touched.insert(table);
            }
        }
    }
    // Touched in the role's name by GeoNature's own triggers, checks and defaults; the test above shows that they are.
    let by_geonature = [
        "gn_commons.t_history_actions",
        "gn_commons.t_parameters",
        "gn_sensitivity.cor_sensitivity_area",
        "gn_sensitivity.cor_sensitivity_criteria",
        "gn_sensitivity.t_sensitivity_rules_cd_ref",
        "gn_synthese.cor_area_synthese",
        "gn_synthese.defaults_nomenclatures_value",
        "gn_synthese.t_log_synthese",
        "ref_nomenclatures.bib_nomenclatures_types",
        "ref_nomenclatures.defaults_nomenclatures_value",
        "ref_nomenclatures.t_nomenclatures",
        "utilisateurs.bib_organismes",
    ];
    for (privilege, table) in
        granted(&[Feature::Harvest, Feature::Metadata, Feature::Media, Feature::Removal, Feature::Adoption])
    {
        assert!(
            touched.contains(&table) || by_geonature.contains(&table.as_str()),
            "nobody needs {privilege} on {table}"
        );
    }
}

/// What statements do to which `schema.table`, as far as words tell.
fn statements(sql: &str) -> Vec<(&'static str, String)> {
    let code: String =
        sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let words: Vec<&str> =
        code.split(|c: char| c.is_whitespace() || "(),;'\"".contains(c)).filter(|word| !word.is_empty()).collect();
    let before = |at: usize, back: usize| at.checked_sub(back).map_or("", |place| words[place]);
    let privilege = |at: usize| match (before(at, 2), before(at, 1)) {
        ("INSERT", "INTO") => "INSERT",
        ("DELETE", "FROM") => "DELETE",
        (_, "UPDATE") => "UPDATE",
        _ => "SELECT",
    };
    let table = |word: &str| word.split("::").next().unwrap_or_default().trim_end_matches('.').to_owned();
    words
        .iter()
        .enumerate()
        .filter(|(_, word)| word.contains('.'))
        .map(|(at, word)| (privilege(at), table(word)))
        .collect()
}
