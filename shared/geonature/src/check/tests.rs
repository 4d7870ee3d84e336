//! What each fact means, from surveys made by hand.

use std::collections::BTreeSet;

use super::{instance::COLUMNS, *};
use crate::{Catalogue, Feature, Right, SOURCE_URL, Source, Trigger};

const TRIGGERS: [&str; 6] = [
    "tri_insert_calculate_sensitivity",
    "tri_insert_cor_area_synthese",
    "tri_log_delete_synthese",
    "tri_meta_dates_change_synthese",
    "tri_update_calculate_sensitivity",
    "tri_update_cor_area_synthese",
];

/// A platform of which there is nothing to say.
fn survey() -> Survey {
    let level = |code: &str| Some(code.to_owned());
    Survey {
        role: Role { name: "worker".into(), finds_postgis: true, ..Role::default() },
        catalogue: Catalogue {
            version: "2.17.0",
            tables: [
                "taxonomie.taxref_liens",
                "gn_sensitivity.t_sensitivity_rules_cd_ref",
                "gn_synthese.t_log_synthese",
            ]
            .map(str::to_owned)
            .into(),
            synthese_columns: COLUMNS.map(str::to_owned).into(),
            triggers: TRIGGERS.map(|name| Trigger { name: name.into(), enabled: true }).into(),
            unique_indexes: vec![("ours".into(), Some("(id_source = 7)".into()))],
            has_links_index: true,
            has_sensitivity_index: true,
            has_media_index: true,
            ..Catalogue::default()
        },
        srid: Ok(2154),
        source: Ok(Some(Source { id: 7, url: Some(SOURCE_URL.into()) })),
        links: Ok(170_000),
        taxref: Ok(Some(18)),
        rights: vec![HeldRight { right: right(), held: true }],
        probe: Probe {
            steps: vec![Step { doing: "inserting an observation", outcome: Ok(()) }],
            written: Some(Written {
                inserted: level("2"),
                updated: Some(level("2")),
                computed: Some(level("2")),
                areas: 9,
                in_an_area: true,
                sensitive: true,
                default_taxref: Some("Taxref V18.0".into()),
            }),
        },
        invisible: Ok(Invisible::default()),
        ours: Ok(Ours {
            sensitivity_when_null: None,
            sensitivity_function: Ok(()),
            settings: Ok(()),
            vocabulary: Ok(Vec::new()),
            territory: Ok(vec![TerritoryType { code: "DEP".into(), areas: 12 }]),
            creating: vec!["birds".into()],
            with_media: vec!["birds".into()],
            removing: Vec::new(),
            adoption: Ok(Adoption::default()),
            framework: Some(Framework { setting: Some("f".into()), known: Ok(true) }),
            metadata_probe: Some(Probe::default()),
            has_location: Some(Ok(true)),
            media_probe: Some(Probe::default()),
        }),
    }
}

fn right() -> Right {
    Right {
        feature: Feature::Harvest,
        doing: "reading areas",
        privilege: "SELECT",
        kind: "TABLE",
        name: "ref_geo.l_areas".into(),
    }
}

fn refusal(code: &str) -> Refusal {
    Refusal { code: Some(code.into()), message: "refused".into(), context: None }
}

/// The findings that a change brings, other than ok, as (about, severity).
fn brought(change: impl FnOnce(&mut Survey)) -> Vec<(&'static str, Severity)> {
    let mut survey = survey();
    change(&mut survey);
    let findings = findings(&survey);
    for finding in &findings {
        let complete = match finding.severity {
            Severity::Ok => true,
            Severity::Note => finding.why.is_some(),
            Severity::Warning | Severity::Error => finding.why.is_some() && finding.run.is_some(),
        };
        assert!(complete, "{finding:?}");
    }
    findings
        .into_iter()
        .filter(|finding| finding.severity > Severity::Ok)
        .map(|finding| (finding.about, finding.severity))
        .collect()
}

fn ours(survey: &mut Survey) -> &mut Ours {
    survey.ours.as_mut().expect("our schemas")
}

fn written(survey: &mut Survey) -> &mut Written {
    survey.probe.written.as_mut().expect("an observation")
}

#[test]
fn of_a_good_platform_there_is_nothing_to_say() {
    assert_eq!(brought(|_| ()), []);
    assert_eq!(worst(&findings(&survey())), Severity::Ok);
}

#[test]
fn each_lack_of_the_instance_is_one_finding() {
    use Severity::{Error, Note, Warning};
    assert_eq!(brought(|s| s.srid = Err(refusal("P0001"))), [("srid", Error)]);
    assert_eq!(brought(|s| s.source = Ok(None)), [("source", Error)]);
    assert_eq!(brought(|s| s.source = Ok(Some(Source { id: 7, url: None }))), [("source", Warning)]);
    assert_eq!(
        brought(|s| s.catalogue.unique_indexes[0].1 = Some("(id_source = 8)".into())),
        [("upsert_index", Error)]
    );
    assert_eq!(brought(|s| s.links = Ok(0)), [("links", Error)]);
    assert_eq!(brought(|s| s.catalogue.tables = BTreeSet::new())[0], ("links", Error));
    assert_eq!(brought(|s| s.catalogue.has_links_index = false), [("links_index", Warning)]);
    assert_eq!(brought(|s| s.catalogue.has_sensitivity_index = false), [("sensitivity_index", Warning)]);
    assert_eq!(brought(|s| s.taxref = Ok(None)), [("taxref", Warning)]);
    assert_eq!(brought(|s| s.taxref = Ok(Some(19))), [("default_taxref", Note)]);
    assert_eq!(brought(|s| s.catalogue.triggers[0].enabled = false), [("triggers", Warning)]);
    assert_eq!(brought(|s| drop(s.catalogue.triggers.remove(5))), [("triggers", Warning)]);
    assert_eq!(brought(|s| s.role.finds_postgis = false), [("search_path", Error)]);
}

#[test]
fn a_geonature_without_a_log_of_deletions_needs_no_trigger_for_it() {
    let brought = brought(|s| {
        s.catalogue.triggers.remove(2);
        s.catalogue.tables.remove("gn_synthese.t_log_synthese");
    });
    assert_eq!(brought, []);
}

#[test]
fn every_column_that_is_written_is_looked_for() {
    for column in COLUMNS {
        let mut survey = survey();
        survey.catalogue.synthese_columns.remove(column);
        let findings = findings(&survey);
        let missing = findings.iter().find(|finding| finding.about == "columns").expect("finding");
        assert!(missing.severity == Severity::Error && missing.found.ends_with(column), "{missing:?}");
    }
}

#[test]
fn a_missing_right_stands_alone_and_explains_what_it_refuses() {
    let lacking = |s: &mut Survey| {
        s.rights[0].held = false;
        s.probe.steps[0].outcome = Err(refusal("42501"));
    };
    assert_eq!(brought(lacking), [("rights", Severity::Error), ("probe", Severity::Note)]);
    // Refused with every known right: what it is stands in PostgreSQL's words only.
    assert_eq!(brought(|s| s.probe.steps[0].outcome = Err(refusal("42501"))), [("probe", Severity::Error)]);
    // No right explains a constraint.
    let broken = |s: &mut Survey| {
        s.rights[0].held = false;
        s.probe.steps[0].outcome = Err(refusal("23514"));
    };
    assert_eq!(brought(broken), [("rights", Severity::Error), ("probe", Severity::Error)]);
}

#[test]
fn a_superuser_is_told_that_rights_were_not_examined() {
    let superuser = |s: &mut Survey| {
        s.role.superuser = true;
        s.rights[0].held = false;
    };
    assert_eq!(brought(superuser), [("rights", Severity::Note)]);
}

#[test]
fn an_empty_sensitivity_demands_a_choice_that_gives_one() {
    use Severity::Error;
    let chosen = |choice: Option<&'static str>, computed: Option<&'static str>| {
        brought(move |s| {
            written(s).inserted = None;
            written(s).computed = Some(computed.map(str::to_owned));
            ours(s).sensitivity_when_null = choice.map(str::to_owned);
        })
    };
    assert_eq!(chosen(None, Some("2")), [("sensitivity", Error)]);
    assert_eq!(chosen(Some("stop"), Some("2")), [("sensitivity", Error)]);
    assert_eq!(chosen(Some("compute"), None), [("sensitivity", Error)]);
    assert_eq!(chosen(Some("compute"), Some("2")), []);
    assert_eq!(chosen(Some("our.function"), None), []);
    // Also where only an update leaves it empty.
    assert_eq!(brought(|s| written(s).updated = Some(None)), [("sensitivity", Error)]);
    // A choice that is wrong is told even where nobody needs it yet.
    let wrong = |s: &mut Survey| ours(s).sensitivity_function = Err(refusal("PS001"));
    assert_eq!(brought(wrong), [("sensitivity_when_null", Error)]);
    let mistyped = |s: &mut Survey| ours(s).settings = Err(refusal("PS001"));
    assert_eq!(brought(mistyped), [("settings", Error)]);
}

#[test]
fn triggers_that_do_not_do_their_work_are_told() {
    assert_eq!(brought(|s| written(s).areas = 0), [("areas", Severity::Warning)]);
    assert_eq!(brought(|s| written(s).inserted = Some("0".into())), [("sensitivity", Severity::Warning)]);
    let without_rule = |level: &'static str| {
        brought(move |s| {
            written(s).sensitive = false;
            written(s).inserted = Some(level.into());
        })
    };
    assert_eq!(without_rule("0"), [("sensitivity", Severity::Note)]);
    assert_eq!(without_rule("2.1"), []);
    assert_eq!(brought(|s| s.probe = Probe::default()), [("probe", Severity::Warning)]);
}

#[test]
fn what_the_platform_has_decided_is_examined() {
    use Severity::{Error, Note, Warning};
    let types = |areas: &'static [i64]| {
        brought(move |s| {
            let of = |areas: &i64| TerritoryType { code: "DEP".into(), areas: *areas };
            ours(s).territory = Ok(areas.iter().map(of).collect());
        })
    };
    assert_eq!(types(&[]), [("territory", Note)]);
    assert_eq!(types(&[0]), [("territory", Error)]);
    assert_eq!(types(&[0, 5]), [("territory", Warning)]);
    let unresolved = Unresolved {
        nomenclature_type: "STADE_VIE".into(),
        nomenclature_code: "7".into(),
        problem: "inactive".into(),
        rules: 2,
    };
    let unresolved = vec![unresolved.clone(), unresolved];
    assert_eq!(brought(|s| ours(s).vocabulary = Ok(unresolved)), [("vocabulary", Warning); 2]);
    assert_eq!(brought(|s| ours(s).has_location = Some(Ok(false))), [("media", Error)]);
    assert_eq!(brought(|s| s.catalogue.has_media_index = false), [("media_index", Warning)]);
    let framework = |setting: Option<&str>| Some(Framework { setting: setting.map(str::to_owned), known: Ok(false) });
    assert_eq!(brought(|s| ours(s).framework = framework(None)), [("framework", Error)]);
    assert_eq!(brought(|s| ours(s).framework = framework(Some("f"))), [("framework", Error)]);
    assert_eq!(brought(|s| s.ours = Err("run `passereau migrate`".into())), [("schemas", Error)]);
}

#[test]
fn what_is_to_be_run_names_the_role_as_a_shell_wants_it() {
    let run = |role: &str, about: &str| {
        let mut survey = survey();
        survey.role.name = role.into();
        survey.srid = Err(refusal("P0001"));
        ours(&mut survey).has_location = Some(Ok(false));
        let of = findings(&survey).into_iter().find(|finding| finding.about == about);
        of.and_then(|finding| finding.run).expect("something to run")
    };
    assert_eq!(run("passereau", "srid"), "passereau install --role passereau");
    assert_eq!(run("l'oiseau bleu", "srid"), r"passereau install --role 'l'\''oiseau bleu'");
    assert_eq!(run("passereau", "media"), "passereau install --role passereau --with-media");
}

#[test]
fn only_a_level_of_a_sensitive_taxon_is_told_as_one() {
    let told = |sensitive: bool| {
        let mut survey = survey();
        written(&mut survey).sensitive = sensitive;
        let found =
            findings(&survey).into_iter().find(|finding| finding.about == "sensitivity").expect("finding").found;
        found.contains("for a sensitive taxon")
    };
    assert!(told(true) && !told(false));
}

#[test]
fn media_and_metadata_that_nobody_wants_are_not_examined() {
    let nobody = |s: &mut Survey| {
        s.catalogue.has_media_index = false;
        let ours = ours(s);
        (ours.creating, ours.with_media) = (Vec::new(), Vec::new());
        (ours.framework, ours.has_location) = (None, None);
    };
    assert_eq!(brought(nobody), [("media", Severity::Note)]);
}

#[test]
fn each_empty_column_of_invisible_rows_is_counted() {
    let rows = Invisible { taxon: 1, dataset: 0, sensitivity: 3 };
    assert_eq!(brought(|s| s.invisible = Ok(rows)), [("invisible", Severity::Warning); 2]);
}

#[test]
fn what_the_procedure_left_is_told_with_what_to_run() {
    let in_the_way = |s: &mut Survey| {
        s.catalogue.by_hand.in_the_way = vec!["tmp_gbif_data (postgres)".into()];
        s.ours = Err("not migrated".into());
    };
    assert_eq!(brought(in_the_way), [("schemas", Severity::Error), ("by_hand", Severity::Error)]);
    let aside = |s: &mut Survey| s.catalogue.by_hand.aside = vec!["adopted_gbif_data".into()];
    assert_eq!(brought(aside), [("adoption", Severity::Note)]);
    let adopted = |change: fn(&mut Adoption)| {
        brought(|s| change(ours(s).adoption.as_mut().expect("adoption"))).into_iter().map(|(_, severity)| severity)
    };
    assert!(adopted(|a| (a.tables, a.adopted) = (true, 5)).eq([]));
    assert!(adopted(|a| a.unmet = 2).eq([Severity::Note]));
    assert!(adopted(|a| (a.refused, a.left_behind) = (1, vec![LeftBehind::default()])).eq([Severity::Warning; 2]));
}
