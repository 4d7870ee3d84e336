//! Requests of the real world: recorded bodies and GBIF's own example jobs, and the problems people make.
#![allow(clippy::unwrap_used, reason = "tests")]

use passereau_gbif::predicate::{Problem, Rules, digest, same_request, validate};
use passereau_gbif::search_keys::BACKBONE;
use passereau_recorded::recorded;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

const DATASET: &str = "50c9509d-22c7-4a22-a47d-8c48425ef4a7";
const CATALOGUE_OF_LIFE: &str = "7ddf754f-d193-4cc9-b351-99906754a03b";

fn rules() -> Rules {
    Rules { creator: "gbif_user".to_owned(), all_datasets: true }
}

fn problems(request: &Value) -> Vec<Problem> {
    validate(request, &rules()).err().unwrap_or_default()
}

/// One leaf as a whole request.
fn with(predicate: Value) -> Value {
    json!({ "predicate": predicate })
}

/// The manual procedure's request, with its account filled in.
fn procedure() -> Value {
    json!({
        "creator": "gbif_user", "notificationAddresses": ["user@example.org"], "sendNotification": true,
        "format": "DWCA",
        "predicate": {"type": "and", "predicates": [
            {"type": "equals", "key": "HAS_COORDINATE", "value": "True"},
            {"type": "equals", "key": "HAS_GEOSPATIAL_ISSUE", "value": "False"},
            {"type": "equals", "key": "GADM_GID", "value": "FRA.1_1"},
            {"type": "in", "key": "DATASET_KEY", "values": [DATASET]},
            {"type": "in", "key": "PHYLUM_KEY", "values": ["42", "52", "54"]}
        ]}
    })
}

/// Every recorded request: those without an entry pass, the others have exactly these problems' places.
#[test]
fn recorded_requests_pass_or_fail_for_their_reasons() {
    let Some(folder) = recorded("gbif/api") else { return };
    let refused: &[(&str, &[&str])] = &[
        ("gbif-failtest-broken-wkt-within-predicate.json", &["$.format", "$.predicate.geometry"]),
        ("gbif-failtest-clockwise-within-predicate.json", &["$.format", "$.predicate.geometry"]),
        ("gbif-failtest-incorrect-property.json", &["$.predicates", "$.format", "$.predicate"]),
        ("gbif-monthly-everything-dwc.json", &["$.creator", "$.checklistKey", "$.predicate"]),
        ("gbif-polygon-with-hole-small.json", &["$.format"]),
        ("gbif-test-download-format-simple-parquet-small.json", &["$.format"]),
        ("gbif-test-download-format-simplecsv-small.json", &["$.format"]),
        ("gbif-test-download-format-specieslist-small.json", &["$.format"]),
        ("gbif-test-download-query-geodistance.json", &["$.format"]),
        ("gbif-test-download-query-like.json", &["$.format"]),
        ("gbif-test-large-within-predicate.json", &["$.format", "$.predicate.predicates[2].geometry"]),
        ("gbif-test-small-within-predicate.json", &["$.format"]),
        ("rgbif-occ_download_10.json", &["$.predicate.checklistKey"]),
        ("rgbif-occ_download_3.json", &["$.format"]),
        ("rgbif-occ_download_4.json", &["$.format"]),
        ("rgbif-occ_download_5.json", &["$.format"]),
        ("rgbif-occ_download_6.json", &["$.format"]),
        ("rgbif-occ_download_7.json", &["$.format"]),
        ("rgbif-occ_download_8.json", &["$.format"]),
        ("rgbif-sql.json", &["$.format", "$.sql", "$.sendNotification"]),
    ];
    let mut seen = 0;
    for entry in folder.join("requests").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        // One is no JSON on purpose; it never gets as far as here.
        let Ok(request) = serde_json::from_str(&text) else {
            assert_eq!(name, "gbif-failtest-broken-json.json");
            continue;
        };
        let found = problems(&request);
        let places: Vec<&str> = found.iter().map(|problem| problem.path.as_str()).collect();
        let expected = refused.iter().find(|(refused, _)| *refused == name).map_or(&[][..], |(_, places)| *places);
        assert_eq!(places, expected, "{name}: {found:#?}");
        seen += 1;
    }
    assert!(seen >= 27, "{seen} requests seen");
}

/// The status of each recorded job echoes the request it was made for.
#[test]
fn recorded_echoes_are_the_requests_that_were_sent() {
    let Some(folder) = recorded("gbif/api") else { return };
    let read =
        |path: String| -> Value { serde_json::from_str(&std::fs::read_to_string(folder.join(path)).unwrap()).unwrap() };
    let keys =
        ["0012150", "0012151", "0012152", "0012244", "0012245", "0012246", "0012308", "0012309", "0012310", "0013630"];
    let asked: Vec<Value> = (1..=10).map(|number| read(format!("requests/rgbif-occ_download_{number}.json"))).collect();
    let echoed: Vec<Value> = (keys.iter())
        .map(|key| read(format!("responses/status-preparing-{key}-260108223611665.json"))["request"].clone())
        .collect();
    for (left, asked) in asked.iter().enumerate() {
        for (right, echoed) in echoed.iter().enumerate() {
            let same = same_request(asked, echoed);
            assert_eq!(same.is_ok(), left == right, "{left} {right}: {same:?}");
        }
    }
}

#[test]
fn the_procedures_request_passes_as_it_is() {
    let strict = Rules { all_datasets: false, ..rules() };
    let query = validate(&procedure(), &strict).unwrap();
    let body = query.body();
    assert_eq!(body["predicate"]["predicates"][0]["value"], "True");
    assert_eq!(body["checklistKey"], BACKBONE);
    assert_eq!(body["predicate"]["predicates"][4]["checklistKey"], BACKBONE);
    assert!(body["predicate"]["predicates"][3].get("checklistKey").is_none());
    assert_eq!((body["creator"].as_str(), body["format"].as_str()), (Some("gbif_user"), Some("DWCA")));
    // What is sent passes again, and stays as it is.
    assert_eq!(validate(body, &strict).unwrap().body(), body);
}

#[test]
fn the_placeholders_of_the_procedure_are_named() {
    let mut request = procedure();
    request["creator"] = json!("USER");
    request["notificationAddresses"] = json!(["EMAIL"]);
    let found = problems(&request);
    let places: Vec<&str> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(places, ["$.creator", "$.notificationAddresses[0]"]);
    assert!(found[0].message.contains("placeholder"), "{found:?}");
}

#[test]
fn every_problem_is_told_at_once() {
    let request = json!({
        "creator": "someone", "format": "SIMPLE_CSV", "colour": 1, "checklistKey": CATALOGUE_OF_LIFE,
        "notification_address": ["a@b.fr"], "notificationAddresses": "a@b.fr", "sendNotification": "true",
        "verbatimExtensions": [1], "type": "EVENT",
        "predicate": {"type": "and", "predicates": [
            {"type": "equals", "key": "taxonKey", "value": "1"},
            {"type": "equals", "key": "YEAR", "value": 2017},
            {"type": "in", "key": "COUNTRY", "values": []},
            {"type": "in", "key": "COUNTRY", "value": "FR"},
            {"type": "isNull", "key": "ELEVATION"},
            {"type": "like", "key": "YEAR", "value": "19*"},
            {"type": "lessThan", "key": "COUNTRY", "value": "FR"},
            {"type": "or", "predicates": []},
            {"type": "less_than", "key": "YEAR", "value": "1"},
            {"type": "isNotNull", "parameter": "GEOMETRY"},
            {"type": "not", "predicate": {"type": "equals", "key": "TAXON_KEY", "value": "1", "checklistKey": CATALOGUE_OF_LIFE}},
            {"type": "geoDistance", "latitude": "91", "longitude": 5, "distance": "far"},
            {"type": "equals", "key": "DATASET_KEY", "value": "iNaturalist", "vaule": "x"},
            {}
        ]}
    });
    let found = validate(&request, &Rules { all_datasets: false, ..rules() }).unwrap_err();
    let places: Vec<&str> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        places,
        [
            "$.colour",
            "$.creator",
            "$.format",
            "$.type",
            "$.notification_address",
            "$.notificationAddresses",
            "$.sendNotification",
            "$.verbatimExtensions[0]",
            "$.checklistKey",
            "$.predicate.predicates[0].key",
            "$.predicate.predicates[1].value",
            "$.predicate.predicates[2].values",
            "$.predicate.predicates[3].value",
            "$.predicate.predicates[4].key",
            "$.predicate.predicates[5].key",
            "$.predicate.predicates[6].key",
            "$.predicate.predicates[7].predicates",
            "$.predicate.predicates[8].type",
            "$.predicate.predicates[9].parameter",
            "$.predicate.predicates[10].predicate.checklistKey",
            "$.predicate.predicates[11].latitude",
            "$.predicate.predicates[11].longitude",
            "$.predicate.predicates[11].distance",
            "$.predicate.predicates[12].vaule",
            "$.predicate.predicates[12].value",
            "$.predicate.predicates[13]",
        ],
        "{found:#?}"
    );
    assert!(found.iter().any(|problem| problem.message.contains("write \"TAXON_KEY\"")), "{found:#?}");
    assert!(found.iter().any(|problem| problem.message.contains("write `lessThan`")), "{found:#?}");
}

#[rstest]
#[case(json!([]), "$")]
#[case(json!({}), "$.predicate")]
#[case(json!({"predicate": null}), "$.predicate")]
#[case(json!({"predicate": {}}), "$.predicate")]
#[case(json!({"predicate": {"type": "and", "predicates": []}}), "$.predicate.predicates")]
fn an_empty_request_is_refused(#[case] request: Value, #[case] place: &str) {
    let found = problems(&request);
    assert_eq!(found.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), [place], "{found:?}");
}

#[rstest]
#[case(json!({"type": "equals", "key": "DATASET_KEY", "value": DATASET}), true)]
#[case(json!({"type": "or", "predicates": [
    {"type": "equals", "key": "DATASET_KEY", "value": DATASET},
    {"type": "and", "predicates": [
        {"type": "equals", "key": "YEAR", "value": "2024"},
        {"type": "in", "key": "DATASET_KEY", "values": [DATASET]}]}]}), true)]
#[case(json!({"type": "or", "predicates": [
    {"type": "equals", "key": "DATASET_KEY", "value": DATASET}, {"type": "equals", "key": "YEAR", "value": "2024"}]}), false)]
#[case(json!({"type": "not", "predicate": {"type": "equals", "key": "DATASET_KEY", "value": DATASET}}), false)]
#[case(json!({"type": "equals", "key": "YEAR", "value": "2024"}), false)]
fn datasets_are_named_or_all_are_wanted(#[case] predicate: Value, #[case] is_named: bool) {
    let strict = validate(&with(predicate.clone()), &Rules { all_datasets: false, ..rules() });
    assert_eq!(strict.is_ok(), is_named, "{strict:?}");
    assert_eq!(problems(&with(predicate)), []);
}

#[rstest]
#[case("POLYGON ((30 10, 40 40, 20 40, 10 20, 30 10))", None)]
#[case("polygon((30 10,40 40,20 40,10 20,30 10))", None)]
#[case("POLYGON ((20 35, 10 30, 10 10, 30 5, 45 20, 20 35), (30 20, 20 15, 20 25, 30 20))", None)]
#[case("POLYGON ((30 10, 10 20, 20 40, 40 40, 30 10))", Some("runs clockwise"))]
#[case("POLYGON ((30 10, 40 40, 20 40, 10 20))", Some("is not closed"))]
#[case("POLYGON ((30 10, 40 40, 30 10))", Some("fewer than four points"))]
#[case("POLYGON ((0 0, 1 1, 2 2, 0 0))", Some("has no area"))]
#[case("POLYGON EMPTY", Some("is empty"))]
#[case("POLYGON ((30 10, 40 40, 20 40", Some("cannot be read"))]
#[case("POLYGON ((45 100, 46 100, 46 101, 45 100))", Some("is not on Earth"))]
#[case("MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))", Some("an `or` of one `within` for each POLYGON"))]
#[case("GEOMETRYCOLLECTION (POINT (1 1))", Some("one simple geometry"))]
#[case("somewhere", Some("is no WKT geometry"))]
#[case("POINT (4.8 45.7)", None)]
fn a_geometry_is_one_anticlockwise_polygon(#[case] wkt: &str, #[case] message: Option<&str>) {
    let found = problems(&with(json!({"type": "within", "geometry": wkt})));
    match message {
        None => assert_eq!(found, []),
        Some(message) => {
            assert!(found.iter().any(|problem| problem.message.contains(message)), "{found:?}");
            assert!(found.iter().all(|problem| problem.path == "$.predicate.geometry"), "{found:?}");
        }
    }
}

/// A circle of `points` points, anticlockwise, its last point being its first.
fn circle(points: usize) -> String {
    let ring: Vec<String> = (0..points)
        .map(|index| (index % (points - 1)) as f64 / (points - 1) as f64 * std::f64::consts::TAU)
        .map(|angle| format!("{} {}", angle.cos(), angle.sin()))
        .collect();
    format!("POLYGON (({}))", ring.join(", "))
}

#[test]
fn limits_hold_to_the_last_item_and_point() {
    let taxa = |count: usize| json!({"type": "in", "key": "TAXON_KEY", "values": vec!["1"; count]});
    let year = json!({"type": "equals", "key": "YEAR", "value": "2024"});
    let both = |count| with(json!({"type": "and", "predicates": [taxa(count), year]}));
    assert_eq!(problems(&both(100_999)), []);
    let found = problems(&both(101_000));
    assert!(found.len() == 1 && found[0].message.contains("has 101001 items"), "{found:?}");

    let places = |last: usize| {
        with(json!({"type": "or", "predicates": [
            {"type": "within", "geometry": circle(9_000)}, {"type": "within", "geometry": circle(last)}]}))
    };
    assert_eq!(problems(&places(1_000)), []);
    let found = problems(&places(1_001));
    assert!(found.len() == 1 && found[0].message.contains("have 10001 points"), "{found:?}");
}

#[test]
fn a_hundred_thousand_wrong_values_make_a_short_report() {
    let found = problems(&with(json!({"type": "in", "key": "YEAR", "values": vec!["soon"; 100_000]})));
    assert_eq!(found.len(), 101);
    assert_eq!(found[7].path, "$.predicate.values[7]");
    assert!(found[100].message.contains("99900 more"), "{:?}", found[100]);
}

#[test]
fn the_digest_tells_requests_apart_and_layouts_not() {
    let query = validate(&procedure(), &rules()).unwrap();
    let mut other_names = procedure();
    let addresses = other_names.as_object_mut().unwrap().remove("notificationAddresses").unwrap();
    other_names["notification_address"] = addresses;
    other_names["checklistKey"] = json!(BACKBONE);
    assert_eq!(validate(&other_names, &rules()).unwrap().digest(), query.digest());
    assert_eq!(digest(query.body()), query.digest());
    let mut other = procedure();
    other["predicate"]["predicates"][4]["values"] = json!(["42", "54", "52"]);
    assert_ne!(validate(&other, &rules()).unwrap().digest(), query.digest());
}

#[test]
fn what_gbif_ignores_when_it_reuses_a_download_is_a_difference() {
    let asked = validate(&procedure(), &rules()).unwrap().into_body();
    // As GBIF echoes to a reader who is not the owner.
    let mut echo = json!({"sendNotification": true, "format": "DWCA", "type": "OCCURRENCE", "verbatimExtensions": [],
        "predicate": asked["predicate"].clone()});
    for leaf in echo["predicate"]["predicates"].as_array_mut().unwrap() {
        leaf["matchCase"] = json!(false);
    }
    assert_eq!(same_request(&asked, &echo), Ok(()));

    let changed = |pointer: &str, value: Value| {
        let mut echo = echo.clone();
        echo["checklistKey"] = json!(BACKBONE);
        *echo.pointer_mut(pointer).unwrap() = value;
        same_request(&asked, &echo).unwrap_err().path
    };
    assert_eq!(changed("/checklistKey", json!(CATALOGUE_OF_LIFE)), "$.checklistKey");
    assert_eq!(changed("/verbatimExtensions", json!(["http://rs.gbif.org/terms/1.0/Image"])), "$.verbatimExtensions");
    assert_eq!(changed("/format", json!("SIMPLE_CSV")), "$.format");
    assert_eq!(changed("/predicate/predicates/0/matchCase", json!(true)), "$.predicate.predicates[0].matchCase");
    assert_eq!(
        changed("/predicate/predicates/4/values", json!(["42", "54", "52"])),
        "$.predicate.predicates[4].values[1]"
    );
    assert_eq!(
        changed("/predicate/predicates/4/checklistKey", json!(CATALOGUE_OF_LIFE)),
        "$.predicate.predicates[4].checklistKey"
    );
}

/// Predicates as people and programs might write them: the right words in any order, and now and then a wrong one.
fn predicates() -> impl Strategy<Value = Value> {
    let word = |words: &'static [&'static str]| proptest::sample::select(words);
    let keys = &["TAXON_KEY", "YEAR", "COUNTRY", "HAS_COORDINATE", "DATASET_KEY", "GEOMETRY", "nonsense"];
    let values = &["1", "2024", "FR", "True", DATASET, "", "POLYGON ((0 0, 1 0, 1 1, 0 0))", "POLYGON ((0 0"];
    let types = &["equals", "in", "like", "lessThan", "isNull", "within", "geoDistance", "range", "x"];
    let leaf = (word(types), word(keys), word(values), any::<bool>()).prop_map(|(kind, key, value, list)| {
        let value = if list { json!([value, value]) } else { json!(value) };
        let (name_of_key, name_of_value) = match kind {
            "in" => ("key", "values"),
            "isNull" => ("parameter", "matchCase"),
            "within" => ("type_of", "geometry"),
            _ => ("key", "value"),
        };
        let mut leaf = json!({"type": kind, name_of_key: key, name_of_value: value});
        if matches!(name_of_key, "type_of" | "parameter") {
            leaf.as_object_mut().unwrap().remove(if name_of_key == "type_of" { "type_of" } else { "matchCase" });
        }
        leaf
    });
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            (prop_oneof![Just("and"), Just("or")], proptest::collection::vec(inner.clone(), 0..4))
                .prop_map(|(kind, list)| json!({"type": kind, "predicates": list})),
            inner.prop_map(|inner| json!({"type": "not", "predicate": inner})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written: a report whose every place exists (or is what is missing), or a body that stays as it is when
    /// it is checked again and that GBIF's echo is recognised by.
    #[test]
    fn any_request_is_reported_or_settled(predicate in predicates(), all_datasets: bool) {
        let rules = Rules { all_datasets, ..rules() };
        match validate(&with(predicate), &rules) {
            Err(problems) => prop_assert!(problems.iter().all(|problem| problem.path.starts_with("$.predicate"))),
            Ok(query) => {
                let again = validate(query.body(), &rules);
                prop_assert_eq!(again.as_ref().map(|query| query.body()), Ok(query.body()));
                prop_assert_eq!(same_request(query.body(), query.body()), Ok(()));
            }
        }
    }
}
