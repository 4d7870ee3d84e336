//! The file alone.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use passereau_flow::{Agreement, Document, Format, Problem, in_lines};
use passereau_gate::{Field, REQUIRED, Sensitive};

use crate::support::{and, document, now, parse, with};

/// The only problem of a text.
fn only(text: &str) -> Problem {
    let problems = parse(text).unwrap_err();
    assert_eq!(problems.len(), 1, "{}", in_lines(&problems));
    problems.into_iter().next().unwrap()
}

#[test]
fn the_least_agreement_is_right_and_blurs() {
    let agreement = document(&with(&[])).agreement;
    assert_eq!(agreement.sensitive, Sensitive::Blurred);
    assert_eq!((agreement.keep, agreement.statuses, agreement.time_zone.as_str()), (3, false, "Europe/Paris"));
    assert_eq!(agreement.expression(), "P1M");
    let selection = agreement.selection(1);
    assert!(!selection.has_territory && !selection.has_taxa());
    assert_eq!(selection.licences, ["CC-BY-4.0"]);
}

#[test]
fn each_problem_is_named_with_its_key_and_what_to_write() {
    for (text, key, problem, instead) in [
        (with(&[("name = \"atlas\"", "name = \"Atlas Isère\"")]), "name", "is no name", "small letters"),
        (with(&[("structure = \"Association\"", "")]), "structure", "missing", "write the name of the structure"),
        (with(&[("camille@example.org", "camille")]), "technical_manager.email", "no address", "name@example.org"),
        (with(&[("studies = [{ name = \"Atlas\", nature = \"atlas\" }]", "")]), "studies", "missing", "[[studies]]"),
        (with(&[(", nature = \"atlas\"", "")]), "studies[0].nature", "missing", "management of a site"),
        (with(&[("description = \"Isère\"", "")]), "territory.description", "missing", "in words"),
        (
            with(&[("\"Isère\"", "\"Isère\", areas = [{ type = \"DEP\" }]")]),
            "territory.areas[0].codes",
            "missing",
            "codes",
        ),
        (with(&[("\"Isère\"", "\"Isère\", file = \"a.kml\"")]), "territory.file", "extension", ".gpkg"),
        (with(&[("\"Isère\"", "\"Isère\", file = \"../a.wkt\"")]), "territory.file", "leaves", "beside the agreement"),
        (
            with(&[("\"Isère\"", "\"Isère\", file = \"a.wkt\", areas = [{ type = \"DEP\", codes = [\"38\"] }]")]),
            "territory.file",
            "beside territory.areas",
            "keep one",
        ),
        (with(&[("formats = [\"csv\"]", "")]), "formats", "missing", "geojsonl"),
        (with(&[("[\"csv\"]", "[\"csv\", \"shp\"]")]), "formats[1]", "unknown variant `shp`", "geojsonl"),
        (with(&[("[\"csv\"]", "[\"csv\", \"csv\"]")]), "formats[1]", "twice", "take one"),
        (with(&[("period = \"P1M\"", "")]), "period", "missing", "P1M"),
        (with(&[("\"P1M\"", "\"monthly\"")]), "period", "`monthly` is no period", "P1D"),
        (with(&[("ends_on = 2030-12-31", "")]), "ends_on", "missing", "2027-12-31"),
        (with(&[("2030-12-31", "2026-11-28")]), "ends_on", "has passed", "later day"),
        (with(&[("2030-12-31", "\"31/12/2030\"")]), "ends_on", "is wrong", "YYYY-MM-DD"),
        (with(&[("[\"CC-BY-4.0\"]", "[]")]), "licences.allowed", "nothing could leave", "etalab-2.0"),
        (with(&[("[\"CC-BY-4.0\"]", "[\"CC BY 4.0\"]")]), "licences.allowed[0]", "no name of SPDX", "CC-BY-4.0"),
        (with(&[("[\"CC-BY-4.0\"]", "[\"CC-BY-4.0\"], own = \"etalab-2.0\"")]), "licences.own", "not among", "add it"),
        (with(&[("in_return = \"records\"", "in_return = \" \"")]), "in_return", "empty", "in return"),
        (
            and("statuses = true\nfields = { remove = [\"cd_ref\"] }"),
            "statuses",
            "needs the column cd_ref",
            "keep cd_ref",
        ),
        (and("keep = 0"), "keep", "0 versions", "1 to 100"),
        (and("csv = { separator = \"x\" }"), "csv.separator", "no separator", "\";\""),
        (and("time_zone = \"Paris\""), "time_zone", "no time zone", "Europe/Paris"),
        (and("schedule = \"daily\""), "schedule", "neither a period nor a cron expression", "five cron fields"),
        (and("schedule = \"0 3 30 2 *\""), "schedule", "never comes", "0 3 L * *"),
        (and("schedule = \"0 3 1 1 *\""), "schedule", "longer than the period P1M", "longer period"),
        (and("fields = { remove = [\"niveau_sensibilite\"] }"), "fields.remove[0]", "cannot be removed", "take it out"),
        (and("fields = { remove = [\"clause_rediffusion\"] }"), "fields.remove[0]", "cannot be removed", "take it out"),
        (and("fields = { add = [\"altitudeMin\"] }"), "fields.add[0]", "is no field", "write alti_min"),
        (and("fields = { add = [\"nom_lieux\"] }"), "fields.add[0]", "is no field", "did you mean nom_lieu?"),
        (
            and("fields = { add = [\"nom_lieu\"], remove = [\"nom_lieu\"] }"),
            "fields.remove[0]",
            "added and removed",
            "keep",
        ),
        (
            and("sources = { include = [\"GBIF\"], exclude = [\"GBIF\"] }"),
            "sources.exclude[0]",
            "included and excluded",
            "keep",
        ),
        (and("datasets = { include = [\"x\"] }"), "datasets.include[0]", "UUID", "write"),
        (and("sensitive = \"precise\""), "authorisation", "is missing", "reference, signatory"),
        (and("sensitive = \"exact\""), "sensitive", "unknown variant `exact`", "blurred"),
        (
            and("authorisation = { reference = \"A\", signatory = \"B\", ends_on = 2030-01-01 }"),
            "authorisation",
            "has no effect",
            "precise",
        ),
        (
            and(
                "sensitive = \"precise\"\nauthorisation = { reference = \"A\", signatory = \"B\", ends_on = 2026-01-01 }",
            ),
            "authorisation.ends_on",
            "has passed",
            "new authorisation",
        ),
        (and("sensitiv = \"precise\""), "sensitiv", "unknown field", "`sensitive`"),
        (with(&[("email =", "mail =")]), "technical_manager.mail", "unknown field", "`email`"),
    ] {
        let problems = parse(&text).unwrap_err();
        let shown = in_lines(&problems);
        let found = problems.iter().find(|found| found.key == key).unwrap_or_else(|| panic!("{key}: {shown}"));
        assert!(found.problem.contains(problem), "{problem}: {shown}");
        assert!(found.instead.contains(instead), "{instead}: {shown}");
        assert!(!found.instead.is_empty());
    }
}

#[test]
fn all_problems_are_reported_at_once_each_with_its_place() {
    let text = "name = \"atlas\"\nstructure = 7\nformats = [\"csv\", \"xls\", \"shp\"]\nperiod = \"often\"\nends_on = 2020-01-01\n\
                colour = \"red\"\n[technical_manager]\nname = \"Camille\"\nmail = \"c@example.org\"\n[fields]\nremove = [\n  \"sexe\",\n  \"niveau_sensibilite\",\n]\n";
    let problems = parse(text).unwrap_err();
    let places: Vec<_> =
        problems.iter().map(|found| (found.line.unwrap_or(0), found.column.unwrap_or(0), found.key.as_str())).collect();
    for expected in [
        (2, 1, "structure"),
        (3, 19, "formats[1]"),
        (3, 26, "formats[2]"),
        (4, 1, "period"),
        (5, 1, "ends_on"),
        (6, 1, "colour"),
        (7, 2, "technical_manager.email"),
        (9, 1, "technical_manager.mail"),
        (13, 3, "fields.remove[1]"),
    ] {
        assert!(places.contains(&expected), "{expected:?} is not in {places:?}");
    }
    for missing in ["studies", "territory.description", "licences.allowed", "in_return"] {
        assert!(places.contains(&(0, 0, missing)), "{missing} is not in {places:?}");
    }
    assert_eq!(problems.len(), 13, "{}", in_lines(&problems));
}

#[test]
fn a_list_whose_only_entry_is_none_is_not_missing_as_well() {
    assert_eq!(only(&with(&[("[\"csv\"]", "[\"shp\"]")])).key, "formats[0]");
}

#[test]
fn what_is_no_toml_is_said_with_its_line() {
    let problem = only("name = \"atlas\"\nstructure = Association naturaliste\n");
    assert_eq!(problem.line, Some(2));
    assert!(problem.to_string().contains("this is no TOML"), "{problem}");
}

#[test]
fn a_mark_of_windows_editors_is_no_problem_and_a_date_may_stand_between_quotes() {
    assert!(parse(&format!("\u{feff}{}", with(&[("2030-12-31", "\"2030-12-31\"")]))).is_ok());
}

#[test]
fn the_fields_are_the_preset_plus_minus_in_the_order_of_the_dictionary() {
    let agreement =
        document(&and("fields = { add = [\"nom_lieu\", \"alti_min\"], remove = [\"sexe\"], dialect = \"occtax\" }"))
            .agreement;
    let names: Vec<&str> = agreement.fields().iter().map(|field| field.name).collect();
    assert!(names.contains(&"nom_lieu") && names.contains(&"alti_min") && !names.contains(&"sexe"));
    let all: Vec<&str> = Field::all().iter().map(|field| field.name).collect();
    assert!(names.iter().map(|name| all.iter().position(|one| one == name)).is_sorted());
    // Whatever a row of the table says that no file could.
    let mut broken = agreement;
    broken.fields.remove = all.iter().map(ToString::to_string).collect();
    assert_eq!(broken.fields().iter().map(|field| field.name).collect::<Vec<_>>(), REQUIRED);
}

#[test]
fn an_agreement_is_the_same_after_the_database() {
    let agreement = document(&and("taxa = { cd_ref = [1, 2] }\nschedule = \"0 3 * * *\"")).agreement;
    let stored = serde_json::to_value(&agreement).unwrap();
    assert_eq!(serde_json::from_value::<Agreement>(stored).unwrap(), agreement);
}

#[test]
fn a_log_of_an_agreement_names_nobody_at_the_partner() {
    let shown = format!("{:?}", document(&with(&[])));
    assert!(!shown.contains("Camille") && !shown.contains("camille"), "{shown}");
}

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[test]
fn the_example_of_the_documents_is_right_and_stands_in_them() {
    let document = Document::read(&docs().join("examples/flow.toml"), now()).unwrap();
    assert_eq!(document.agreement.formats, [Format::Csv, Format::GeoJson, Format::GeoPackage]);
    assert!(document.agreement.csv.options().byte_order_mark);
    let example = fs::read_to_string(docs().join("examples/flow.toml")).unwrap();
    for page in ["flows.md", "flux.md"] {
        let text = fs::read_to_string(docs().join(page)).unwrap();
        assert!(
            text.contains(&format!("```toml\n{example}```")),
            "{page} shows another example than docs/examples/flow.toml"
        );
    }
}

/// Each trap that is listed has its test, and each such test is listed.
#[test]
fn the_listed_traps_are_those_that_have_a_test() {
    let names = |text: &str, before: &str| -> BTreeSet<String> {
        let ends = |part: &str| {
            part.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(part.len())
        };
        text.split(before)
            .skip(1)
            .map(|part| part[..ends(part)].to_owned())
            .filter(|name| name.starts_with("trap_"))
            .collect()
    };
    let listed = names(&fs::read_to_string(docs().join("security.md")).unwrap(), "`");
    let mut tested = BTreeSet::new();
    for tests in [
        "shared/gate/tests/gate",
        "services/exporter/tests/exporter",
        "services/gateway/tests/gateway",
        "services/scheduler/tests/scheduler",
    ] {
        tested.extend(names(&fs::read_to_string(docs().join("..").join(tests).join("traps.rs")).unwrap(), "async fn "));
    }
    assert_eq!(listed, tested);
    assert!(listed.len() >= 15);
}

/// `UPDATE_CONTRACTS=1` writes the file; otherwise a difference fails: what editors check files by never drifts from what we read.
#[test]
fn the_published_schema_is_that_of_the_agreement() {
    let path = docs().join("flows/agreement.schema.json");
    let text = serde_json::to_string_pretty(&schemars::schema_for!(Agreement)).unwrap() + "\n";
    if std::env::var_os("UPDATE_CONTRACTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, text, "{} is stale: run with UPDATE_CONTRACTS=1 and review", path.display());
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(schema["properties"]["ends_on"].get("default").is_none(), "a required key has no default");
    assert_eq!(schema["properties"]["keep"]["default"], 3);
}
