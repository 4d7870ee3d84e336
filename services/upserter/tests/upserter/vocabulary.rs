//! What GBIF's words become in the nomenclatures of an instance, and what its issue flags do.

use crate::platform::{DATASET, OTHER_DATASET, Platform, Record, code, record};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};

/// Column of `vocabulary_of` and mnemonic of its nomenclature.
const COLUMNS: [(&str, &str); 13] = [
    ("id_nomenclature_obs_technique", "METH_OBS"),
    ("id_nomenclature_bio_status", "STATUT_BIO"),
    ("id_nomenclature_bio_condition", "ETA_BIO"),
    ("id_nomenclature_naturalness", "NATURALITE"),
    ("id_nomenclature_life_stage", "STADE_VIE"),
    ("id_nomenclature_sex", "SEXE"),
    ("id_nomenclature_observation_status", "STATUT_OBS"),
    ("id_nomenclature_source_status", "STATUT_SOURCE"),
    ("id_nomenclature_behaviour", "OCC_COMPORTEMENT"),
    ("id_nomenclature_biogeo_status", "STAT_BIOGEO"),
    ("id_nomenclature_determination_method", "METH_DETERMIN"),
    ("id_nomenclature_obj_count", "OBJ_DENBR"),
    ("id_nomenclature_type_count", "TYP_DENBR"),
];

/// Darwin Core term and landed column.
const TERMS: [(&str, &str); 11] = [
    ("occurrenceStatus", "occurrence_status"),
    ("basisOfRecord", "basis_of_record"),
    ("vitality", "vitality"),
    ("sex", "sex"),
    ("lifeStage", "life_stage"),
    ("reproductiveCondition", "reproductive_condition"),
    ("behavior", "behavior"),
    ("establishmentMeans", "establishment_means"),
    ("degreeOfEstablishment", "degree_of_establishment"),
    ("organismQuantityType", "organism_quantity_type"),
    ("mediaType", "media_type"),
];

fn column_of(term: &str) -> &'static str {
    TERMS.iter().find(|(name, _)| *name == term).map(|(_, column)| *column).unwrap()
}

/// A record with these columns, and nothing else that a rule looks at.
fn saying(gbif_id: i64, columns: Value) -> Record {
    let bare = record(gbif_id).with("occurrence_status", json!(null)).with("basis_of_record", json!(null));
    columns.as_object().unwrap().iter().fold(bare, |record, (column, value)| record.with(column, value.clone()))
}

/// What became of one record: the codes that are not the instance's default, by mnemonic, and what was unmatched.
#[derive(Debug)]
struct Meant {
    codes: serde_json::Map<String, Value>,
    unmatched: Option<Value>,
}

impl Meant {
    fn code(&self, mnemonic: &str) -> Option<&str> {
        self.codes.get(mnemonic).and_then(Value::as_str)
    }
}

/// Lands the records and asks for all of them, in the order of their keys: one answer for each.
async fn meanings(platform: &Platform, records: &[Record]) -> Vec<Meant> {
    let harvest = platform.land("vocabulary", records).await;
    let codes = COLUMNS
        .map(|(column, mnemonic)| format!("'{mnemonic}', ref_nomenclatures.get_cd_nomenclature(v.{column})"))
        .join(", ");
    let rows: Vec<(Value, Option<Value>)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT jsonb_strip_nulls(jsonb_build_object({codes})), v.unmatched
         FROM passereau.harvest h
         JOIN pinv_gbif.occurrence o ON o.generation_id = h.generation_id
         LEFT JOIN passereau.vocabulary_of(h.generation_id, 0, 1000000) v ON v.terms_key = passereau.terms_key(o)
         WHERE h.id = $1 ORDER BY o.gbif_id"
    )))
    .bind(harvest)
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    platform.execute("UPDATE passereau.harvest SET state = 'completed'").await;
    assert_eq!(rows.len(), records.len(), "one answer for each record");
    rows.into_iter().map(|(codes, unmatched)| Meant { codes: codes.as_object().unwrap().clone(), unmatched }).collect()
}

async fn meaning(platform: &Platform, columns: Value) -> Meant {
    meanings(platform, &[saying(1, columns)]).await.remove(0)
}

/// A record that a rule applies to, with the rule's id as key.
fn example_of(rule: &PgRow) -> Record {
    let term: String = rule.get("term");
    let mut columns = json!({});
    for condition in ["dataset_key", "basis_of_record", "kingdom", "class", "order"] {
        if let Some(value) = rule.get::<Option<String>, _>(condition) {
            columns[condition] = json!(value);
        }
    }
    if let Some(companion) = rule.get::<Option<String>, _>("companion_term") {
        columns[column_of(&companion)] = json!(rule.get::<String, _>("companion_value"));
    }
    columns[column_of(&term)] = json!(rule.get::<Option<String>, _>("value").filter(|value| !value.is_empty()));
    saying(rule.get::<i32, _>("id").into(), columns)
}

async fn rules(platform: &Platform) -> Vec<PgRow> {
    sqlx::query(
        r#"SELECT id, term, value, dataset_key::text AS dataset_key, basis_of_record, kingdom, class, "order",
                  companion_term, companion_value, nomenclature_type, nomenclature_code
           FROM pinv_gbif.cor_vocabulary ORDER BY id"#,
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn each_rule_of_the_table_leads_to_its_code() {
    let platform = Platform::new().await;
    assert_eq!(platform.count("SELECT count(*) FROM passereau.unresolved_vocabulary()").await, 0);
    platform.execute("UPDATE pinv_gbif.cor_vocabulary SET active = true").await;
    let rules = rules(&platform).await;
    assert!(rules.len() > 180, "{} rules", rules.len());

    let examples: Vec<Record> = rules.iter().map(example_of).collect();
    for (rule, meant) in rules.iter().zip(meanings(&platform, &examples).await) {
        let (term, value): (String, Option<String>) = (rule.get("term"), rule.get("value"));
        let mnemonic: String = rule.get("nomenclature_type");
        let expected: Option<String> = rule.get("nomenclature_code");
        assert_eq!(meant.code(&mnemonic), expected.as_deref(), "{term} {value:?} → {mnemonic}: {meant:?}");
        assert_eq!(meant.unmatched, None, "{term} {value:?}");
    }
}

#[tokio::test]
async fn words_mean_what_the_standard_says_of_them() {
    let platform = Platform::new().await;
    let cases = [
        // An absence is no presence, and an empty status is.
        (json!({"occurrence_status": "ABSENT"}), "STATUT_OBS", Some("No")),
        (json!({"occurrence_status": "PRESENT"}), "STATUT_OBS", Some("Pr")),
        (json!({}), "STATUT_OBS", Some("Pr")),
        // How it was noticed is unknown, whatever the basis.
        (json!({"basis_of_record": "HUMAN_OBSERVATION"}), "METH_OBS", Some("21")),
        (json!({"basis_of_record": "MACHINE_OBSERVATION", "media_type": "Sound"}), "METH_OBS", Some("21")),
        (json!({"basis_of_record": "PRESERVED_SPECIMEN"}), "STATUT_SOURCE", Some("Co")),
        (json!({"basis_of_record": "PRESERVED_SPECIMEN"}), "METH_DETERMIN", None),
        (json!({"basis_of_record": "PRESERVED_SPECIMEN"}), "ETA_BIO", None),
        (json!({"basis_of_record": "MATERIAL_SAMPLE"}), "STATUT_SOURCE", Some("NSP")),
        (json!({"basis_of_record": "LITERATURE"}), "STATUT_SOURCE", Some("Li")),
        (
            json!({"basis_of_record": "HUMAN_OBSERVATION", "dataset_key": "14d5676a-2c54-4f94-9023-1e8dcd822aa0"}),
            "METH_DETERMIN",
            Some("7"),
        ),
        // GBIF's nymph is a larva; pupae are named by order.
        (json!({"life_stage": "Nymph", "order": "Orthoptera"}), "STADE_VIE", Some("6")),
        (json!({"life_stage": "Pupa", "order": "Coleoptera"}), "STADE_VIE", Some("13")),
        (json!({"life_stage": "Pupa", "order": "Lepidoptera"}), "STADE_VIE", Some("12")),
        (json!({"life_stage": "Pupa", "order": "DIPTERA"}), "STADE_VIE", Some("14")),
        (json!({"life_stage": "Gametophyte", "kingdom": "Plantae", "class": "Bryopsida"}), "STADE_VIE", Some("21")),
        (json!({"life_stage": "Gametophyte", "kingdom": "Plantae", "class": "Polypodiopsida"}), "STADE_VIE", None),
        // A flowering plant reproduces, its stage is not told.
        (json!({"life_stage": "Flowering", "kingdom": "Plantae"}), "STATUT_BIO", Some("3")),
        (json!({"life_stage": "Fruiting", "kingdom": "Plantae"}), "STADE_VIE", None),
        (json!({"life_stage": "Vegetative", "kingdom": "Plantae"}), "STATUT_BIO", Some("13")),
        (json!({"life_stage": "Vegetative", "kingdom": "Fungi"}), "STATUT_BIO", None),
        // The region and the individual are two things.
        (json!({"establishment_means": "Introduced"}), "STAT_BIOGEO", Some("3")),
        (json!({"establishment_means": "Introduced", "degree_of_establishment": "Captive"}), "STAT_BIOGEO", Some("5")),
        (json!({"establishment_means": "Introduced", "degree_of_establishment": "Captive"}), "NATURALITE", Some("2")),
        (
            json!({"establishment_means": "IntroducedAssistedColonisation", "degree_of_establishment": "WidespreadInvasive"}),
            "STAT_BIOGEO",
            Some("4"),
        ),
        (json!({"establishment_means": "Native", "degree_of_establishment": "Invasive"}), "STAT_BIOGEO", Some("2")),
        (json!({"degree_of_establishment": "Invasive"}), "STAT_BIOGEO", None),
        (json!({"degree_of_establishment": "Released", "kingdom": "Animalia"}), "NATURALITE", Some("4")),
        (json!({"degree_of_establishment": "Released", "kingdom": "Plantae"}), "NATURALITE", Some("3")),
        (json!({"degree_of_establishment": "Naturalized", "kingdom": "Plantae"}), "NATURALITE", Some("5")),
        (json!({"degree_of_establishment": "Naturalized", "kingdom": "Animalia"}), "NATURALITE", None),
        // What is counted, and how.
        (json!({"organism_quantity_type": "flower stalks"}), "OBJ_DENBR", Some("HAM")),
        (json!({"organism_quantity_type": "individuals"}), "TYP_DENBR", Some("Co")),
        (json!({"organism_quantity_type": "DNA sequence reads"}), "OBJ_DENBR", None),
    ];
    let records: Vec<Record> = cases.iter().zip(1..).map(|((columns, ..), id)| saying(id, columns.clone())).collect();
    for ((columns, mnemonic, expected), meant) in cases.iter().zip(meanings(&platform, &records).await) {
        assert_eq!(meant.code(mnemonic), *expected, "{columns} → {mnemonic}: {meant:?}");
    }
}

#[tokio::test]
async fn a_word_is_known_in_each_way_of_writing_it() {
    let platform = Platform::new().await;
    for word in ["WIDESPREAD_INVASIVE", "WidespreadInvasive", "widespread invasive", " widespread-invasive "] {
        let meant =
            meaning(&platform, json!({"establishment_means": "INTRODUCED", "degree_of_establishment": word})).await;
        assert_eq!((meant.code("STAT_BIOGEO"), &meant.unmatched), (Some("4"), &None), "{word}");
    }
}

#[tokio::test]
async fn what_no_rule_knows_stays_the_default_is_kept_and_counted() {
    let platform = Platform::new().await;
    let odd = |id, stage: &str| saying(id, json!({"life_stage": stage, "sex": "Male"}));
    let records =
        [odd(1, "Third instar"), odd(2, "THIRD_INSTAR"), odd(3, "Polyploid"), odd(4, "Adult"), odd(5, "Vegetative")];
    let meant = meanings(&platform, &records).await;
    assert_eq!(meant[0].unmatched, Some(json!({"lifeStage": "Third instar"})));
    assert_eq!((meant[0].code("STADE_VIE"), meant[0].code("SEXE")), (None, Some("3")));
    assert_eq!(meant[3].unmatched, None);
    assert_eq!(meant[4].unmatched, Some(json!({"lifeStage": "Vegetative"})), "the rule is for plants");

    let counted: Vec<(String, i64)> = sqlx::query_as(
        "SELECT term || ' ' || lower(value), records FROM passereau.harvest h, passereau.unmatched_values(h.generation_id)",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    let expected = [("lifeStage third instar", 2), ("lifeStage polyploid", 1), ("lifeStage vegetative", 1)];
    assert_eq!(counted.len(), 3, "{counted:?}");
    assert!(counted[0].0.starts_with("lifeStage third") && counted[0].1 == 2, "{counted:?}");
    for (value, records) in &expected[1..] {
        assert!(counted.contains(&(value.to_string(), *records)), "{counted:?}");
    }
}

#[tokio::test]
async fn a_list_means_what_its_parts_mean_and_only_unknown_parts_are_kept() {
    let platform = Platform::new().await;
    let meant = meanings(
        &platform,
        &[
            saying(1, json!({"behavior": "basking; singing | foraging, sulking"})),
            saying(2, json!({"reproductive_condition": "no evidence of flowering|flowering"})),
            saying(3, json!({"reproductive_condition": "not breeding; gravid"})),
            saying(4, json!({"life_stage": "Flowering", "reproductive_condition": "no evidence of flowering"})),
            saying(5, json!({"life_stage": "Adult;Larva"})),
        ],
    )
    .await;
    assert_eq!(meant[0].code("OCC_COMPORTEMENT"), Some("18"), "the first that is known");
    assert_eq!(meant[0].unmatched, Some(json!({"behavior": "basking|sulking"})));
    assert_eq!((meant[1].code("STATUT_BIO"), &meant[1].unmatched), (Some("3"), &None));
    assert_eq!(meant[2].code("STATUT_BIO"), Some("3"), "what may lower the sensitivity gives way");
    assert_eq!(meant[3].code("STATUT_BIO"), Some("3"), "a code goes before a default");
    assert_eq!(meant[4].unmatched, Some(json!({"lifeStage": "Adult;Larva"})), "a life stage is no list");
}

#[tokio::test]
async fn a_code_that_the_instance_lacks_leaves_the_default_and_is_reported() {
    let platform = Platform::new().await;
    platform
        .execute(
            "UPDATE ref_nomenclatures.t_nomenclatures SET active = false
             WHERE id_nomenclature = ref_nomenclatures.get_id_nomenclature('STADE_VIE', '8');
             UPDATE ref_nomenclatures.t_nomenclatures SET cd_nomenclature = 'gone'
             WHERE id_nomenclature = ref_nomenclatures.get_id_nomenclature('OBJ_DENBR', 'SURF')",
        )
        .await;
    let meant = meanings(
        &platform,
        &[saying(1, json!({"life_stage": "Tadpole"})), saying(2, json!({"organism_quantity_type": "m2"}))],
    )
    .await;
    assert_eq!((meant[0].code("STADE_VIE"), &meant[0].unmatched), (None, &Some(json!({"lifeStage": "Tadpole"}))));
    assert_eq!((meant[1].code("OBJ_DENBR"), &meant[1].unmatched), (None, &Some(json!({"organismQuantityType": "m2"}))));

    let reported: Vec<(String, String, String, i64)> =
        sqlx::query_as("SELECT * FROM passereau.unresolved_vocabulary()").fetch_all(&platform.pool).await.unwrap();
    let of = |mnemonic: &str, code: &str, problem: &str, rules| {
        (mnemonic.to_owned(), code.to_owned(), problem.to_owned(), rules)
    };
    assert_eq!(reported, [of("OBJ_DENBR", "SURF", "missing", 2), of("STADE_VIE", "8", "inactive", 1)]);
}

#[tokio::test]
async fn an_edit_of_the_table_decides() {
    let platform = Platform::new().await;
    let eggs = json!({"life_stage": "Egg", "kingdom": "Animalia"});
    assert_eq!(meaning(&platform, eggs.clone()).await.code("STADE_VIE"), Some("9"));

    // The more conditions, the stronger.
    let rule = |priority: i32, dataset: &str, kingdom: &str, code: &str| {
        format!(
            "INSERT INTO pinv_gbif.cor_vocabulary (term, value, dataset_key, kingdom, priority, nomenclature_type, nomenclature_code, reason)
             VALUES ('lifeStage', 'egg', {dataset}, {kingdom}, {priority}, 'STADE_VIE', {code}, 'a test')"
        )
    };
    let dataset = format!("'{DATASET}'");
    platform.execute(&rule(0, &dataset, "NULL", "'20'")).await;
    assert_eq!(meaning(&platform, eggs.clone()).await.code("STADE_VIE"), Some("20"));
    platform.execute(&rule(0, &format!("'{OTHER_DATASET}'"), "'Animalia'", "'19'")).await;
    assert_eq!(meaning(&platform, eggs.clone()).await.code("STADE_VIE"), Some("20"), "another dataset's rule");
    // Priority goes before conditions, and a rule may lead back to the default.
    platform.execute(&rule(5, "NULL", "'animalia'", "NULL")).await;
    let meant = meaning(&platform, eggs.clone()).await;
    assert_eq!((meant.code("STADE_VIE"), &meant.unmatched), (None, &None));

    platform.execute("UPDATE pinv_gbif.cor_vocabulary SET active = false WHERE value_key = 'egg'").await;
    assert_eq!(meaning(&platform, eggs).await.unmatched, Some(json!({"lifeStage": "Egg"})));

    // The suggestions of the table wait to be switched on.
    let heard = json!({"basis_of_record": "MACHINE_OBSERVATION", "media_type": "StillImage;Sound"});
    assert_eq!(meaning(&platform, heard.clone()).await.code("METH_OBS"), Some("21"));
    platform.execute("UPDATE pinv_gbif.cor_vocabulary SET active = true WHERE companion_value = 'Sound'").await;
    let meant = meaning(&platform, heard).await;
    assert_eq!((meant.code("METH_OBS"), &meant.unmatched), (Some("1"), &None));
}

#[tokio::test]
async fn each_edit_of_the_two_tables_is_a_new_revision() {
    let platform = Platform::new().await;
    for (name, edits) in [
        (
            "vocabulary",
            [
                "INSERT INTO pinv_gbif.cor_vocabulary (term, value, nomenclature_type, nomenclature_code, reason) VALUES ('sex', 'both', 'SEXE', '5', 'a test')",
                "UPDATE pinv_gbif.cor_vocabulary SET active = false WHERE value = 'both'",
                "DELETE FROM pinv_gbif.cor_vocabulary WHERE value = 'both'",
            ],
        ),
        (
            "issue",
            [
                "INSERT INTO pinv_gbif.cor_issue VALUES ('BRAND_NEW', 'note', 'a test')",
                "UPDATE pinv_gbif.cor_issue SET action = 'reject' WHERE issue = 'BRAND_NEW'",
                "DELETE FROM pinv_gbif.cor_issue WHERE issue = 'BRAND_NEW'",
            ],
        ),
    ] {
        for edit in edits {
            let number = format!("SELECT number FROM passereau.revision WHERE name = '{name}'");
            let before = platform.count(&number).await;
            platform.execute(edit).await;
            assert!(platform.count(&number).await > before, "{edit}");
        }
    }
}

#[tokio::test]
async fn an_edit_that_makes_no_sense_is_refused() {
    let platform = Platform::new().await;
    let check = "23514";
    for (columns, values, expected) in [
        ("term, value, nomenclature_type", "'colour', 'red', 'SEXE'", check),
        ("term, value, nomenclature_type", "'sex', 'x', 'SENSIBILITE'", check),
        ("term, value, nomenclature_type", "'sex', ' - ', 'SEXE'", check),
        ("term, value, nomenclature_type, nomenclature_code", "'sex', 'x', 'SEXE', ''", check),
        ("term, value, nomenclature_type, kingdom", "'sex', 'x', 'SEXE', ' '", check),
        ("term, value, nomenclature_type, companion_term", "'sex', 'x', 'SEXE', 'lifeStage'", check),
        ("term, value, nomenclature_type, companion_value", "'sex', 'x', 'SEXE', 'Adult'", check),
        ("term, value, nomenclature_type, companion_term, companion_value", "'sex', 'x', 'SEXE', 'sex', 'y'", check),
        ("term, value, nomenclature_type", "'behavior', 'singing; feeding', 'OCC_COMPORTEMENT'", check),
        // The rule for male stands, whatever its code and its spelling.
        ("term, value, nomenclature_type, nomenclature_code", "'sex', 'MALE', 'SEXE', '2'", "23505"),
        ("term, value, nomenclature_type, kingdom", "'lifeStage', 'vegetative', 'STATUT_BIO', 'PLANTAE'", "23505"),
    ] {
        let sql = format!("INSERT INTO pinv_gbif.cor_vocabulary ({columns}, reason) VALUES ({values}, 'a test')");
        let error = sqlx::query(AssertSqlSafe(sql.clone())).execute(&platform.pool).await.expect_err(&sql);
        assert_eq!(code(&error), expected, "{sql}: {error}");
    }
}

#[tokio::test]
async fn an_identifier_is_always_of_its_own_nomenclature() {
    let platform = Platform::new().await;
    platform.execute("UPDATE pinv_gbif.cor_vocabulary SET active = true").await;
    let words: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT term, value FROM pinv_gbif.cor_vocabulary WHERE value <> ''
         UNION SELECT DISTINCT term, 'never heard of' FROM pinv_gbif.cor_vocabulary ORDER BY 1, 2",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    // Any word of each term beside any word of the others, three terms in four filled: the same mixture on each run.
    let mut state = 20_261_123_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let records: Vec<Record> = (1..=1500)
        .map(|id| {
            let mut columns = json!({
                "kingdom": (["Animalia", "Plantae", "Fungi"][draw(3)]),
                "order": (["Diptera", "Lepidoptera", "Asterales"][draw(3)]),
                "class": (["Insecta", "Bryopsida"][draw(2)]),
            });
            for (term, column) in TERMS {
                let known: Vec<&String> =
                    words.iter().filter(|(name, _)| name == term).map(|(_, value)| value).collect();
                if !known.is_empty() && draw(4) > 0 {
                    columns[column] = json!(known[draw(known.len())]);
                }
            }
            saying(id, columns)
        })
        .collect();
    platform.land("vocabulary", &records).await;
    for (column, mnemonic) in COLUMNS {
        let (filled, wrong): (i64, i64) = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT count(v.{column}), count(*) FILTER (WHERE t.mnemonique IS DISTINCT FROM '{mnemonic}' AND v.{column} IS NOT NULL)
             FROM passereau.harvest h, passereau.vocabulary_of(h.generation_id, 0, 1000000) v
             LEFT JOIN ref_nomenclatures.t_nomenclatures n ON n.id_nomenclature = v.{column}
             LEFT JOIN ref_nomenclatures.bib_nomenclatures_types t ON t.id_type = n.id_type"
        )))
        .fetch_one(&platform.pool)
        .await
        .unwrap();
        assert!(filled > 0, "{column} is met");
        assert_eq!(wrong, 0, "{column}");
    }
}

#[tokio::test]
async fn records_share_a_key_if_nothing_that_a_rule_sees_tells_them_apart() {
    let platform = Platform::new().await;
    let columns = TERMS.map(|(_, column)| column).into_iter().chain(["kingdom", "class", "order"]);
    let mut records = vec![saying(1, json!({})), saying(2, json!({"recorded_by": "Somebody", "catalog_number": "7"}))];
    records.extend(columns.zip(3..).map(|(column, id)| saying(id, json!({ column: "x" }))));
    records.push(saying(17, json!({"dataset_key": OTHER_DATASET})));
    platform.land("vocabulary", &records).await;

    let keys = "SELECT count(DISTINCT passereau.terms_key(o)) FROM pinv_gbif.occurrence o";
    assert_eq!(platform.count(keys).await, 16, "17 records, of which two differ by nothing that matters");
    let answers = |after, upto| {
        format!(
            "SELECT count(v.*) FROM passereau.harvest h, passereau.vocabulary_of(h.generation_id, {after}, {upto}) v"
        )
    };
    assert_eq!(platform.count(&answers(0, 17)).await, 16);
    assert_eq!(platform.count(&answers(2, 5)).await, 3, "only the records of the chunk");
}

#[tokio::test]
async fn flags_reject_are_noted_or_ignored_as_the_table_says() {
    let platform = Platform::new().await;
    let flagged = [
        "ZERO_COORDINATE",
        "COORDINATE_ROUNDED;PRESUMED_SWAPPED_COORDINATE;TAXON_MATCH_FUZZY;COUNTRY_COORDINATE_MISMATCH",
        "GEODETIC_DATUM_ASSUMED_WGS84;INSTITUTION_MATCH_NONE",
        "RECORDED_DATE_MISMATCH;SOMETHING_OF_NEXT_YEAR;TAXON_MATCH_HIGHERRANK",
    ];
    let mut records: Vec<Record> =
        flagged.iter().zip(1..).map(|(flags, id)| record(id).with("issue", json!(flags))).collect();
    records.push(record(5).with("issue", json!(flagged[0])));
    records.push(record(6));
    let harvest = platform.land("vocabulary", &records).await;

    let answers = || async {
        sqlx::query_as::<_, (String, Option<String>, Option<Vec<String>>)>(
            "SELECT i.* FROM passereau.harvest h, passereau.issues_of(h.generation_id, 0, 100) i
             WHERE h.id = $1 ORDER BY array_position($2, i.issue)",
        )
        .bind(harvest)
        .bind(flagged)
        .fetch_all(&platform.pool)
        .await
        .unwrap()
    };
    let of = |issue: &str, rejected: Option<&str>, noted: Option<&[&str]>| {
        (
            issue.to_owned(),
            rejected.map(str::to_owned),
            noted.map(|flags| flags.iter().map(|flag| flag.to_string()).collect::<Vec<_>>()),
        )
    };
    assert_eq!(
        answers().await,
        [
            of(flagged[0], Some("ZERO_COORDINATE"), None),
            of(
                flagged[1],
                Some("PRESUMED_SWAPPED_COORDINATE;COUNTRY_COORDINATE_MISMATCH"),
                Some(&["TAXON_MATCH_FUZZY"])
            ),
            of(flagged[2], None, None),
            of(flagged[3], None, Some(&["RECORDED_DATE_MISMATCH", "SOMETHING_OF_NEXT_YEAR", "TAXON_MATCH_HIGHERRANK"])),
        ]
    );

    platform.execute("UPDATE pinv_gbif.cor_issue SET action = 'note' WHERE issue = 'ZERO_COORDINATE'").await;
    assert_eq!(answers().await[0], of(flagged[0], None, Some(&["ZERO_COORDINATE"])));
}

/// One table for each term, and one for each action.
async fn tables(platform: &Platform) -> String {
    let mut text = String::new();
    let rules: Vec<(String, String)> = sqlx::query_as(
        r#"SELECT r.term, concat_ws(' | ', '',
                  CASE WHEN r.value IS NULL THEN '*any or none*' WHEN r.value = '' THEN '*empty*' ELSE r.value END
                      || CASE WHEN r.active THEN '' ELSE ' *(off)*' END,
                  concat_ws(', ', 'datasetKey ' || r.dataset_key, 'basisOfRecord ' || r.basis_of_record, 'kingdom ' || r.kingdom,
                            'class ' || r.class, 'order ' || r."order", r.companion_term || ' ' || r.companion_value),
                  format('`%s` %s', r.nomenclature_type, COALESCE(r.nomenclature_code || ' ' || n.label_default, 'default')),
                  r.reason, '')
           FROM pinv_gbif.cor_vocabulary r
           LEFT JOIN ref_nomenclatures.t_nomenclatures n
                  ON n.id_nomenclature = passereau.nomenclature(r.nomenclature_type, r.nomenclature_code)
           ORDER BY min(r.id) OVER (PARTITION BY r.term), r.id"#,
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap();
    let mut term = String::new();
    for (of_term, row) in rules {
        if of_term != term {
            text +=
                &format!("\n### {of_term}\n\n| value | where | nomenclature | reason |\n| --- | --- | --- | --- |\n");
            term = of_term;
        }
        text += &format!("{}\n", row.trim());
    }
    for action in ["reject", "note", "ignore"] {
        text += &format!("\n### {action}\n\n| flag | reason |\n| --- | --- |\n");
        let flags: Vec<(String, String)> =
            sqlx::query_as("SELECT issue, reason FROM pinv_gbif.cor_issue WHERE action = $1 ORDER BY issue")
                .bind(action)
                .fetch_all(&platform.pool)
                .await
                .unwrap();
        for (flag, reason) in flags {
            text += &format!("| `{flag}` | {reason} |\n");
        }
    }
    text
}

/// `UPDATE_DOCS=1` writes what stands below the mark.
#[tokio::test]
async fn the_document_shows_the_two_tables() {
    const MARK: &str = "<!-- Below: the tables as they are shipped, written by a test with UPDATE_DOCS=1. -->\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/vocabulary.md");
    let committed = std::fs::read_to_string(&path).unwrap();
    let (prose, shown) = committed.split_once(MARK).expect("the mark");
    let tables = tables(&Platform::new().await).await;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{prose}{MARK}{tables}")).unwrap();
        return;
    }
    assert_eq!(shown, tables, "{} is stale: run with UPDATE_DOCS=1 and review", path.display());
}
