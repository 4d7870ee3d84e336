//! From GBIF's names to those of TAXREF: each way, what it must not do, and the taxonomist's answers.

use serde_json::{Value, json};
use sqlx::types::Uuid;

use crate::platform::{Platform, Record, record};

/// A platform with names of TAXREF and GBIF's links to some of them.
async fn platform() -> Platform {
    let platform = Platform::new().await;
    platform
        .execute(
            "INSERT INTO taxonomie.taxref (cd_nom, cd_ref, id_rang, regne, lb_nom, nom_complet) VALUES
                 (800001, 800001, 'ES', 'Animalia', 'Aus bus', 'Aus bus Linnaeus, 1758'),
                 (800002, 800001, 'ES', 'Animalia', 'Aus vetus', 'Aus vetus Müller, 1776'),
                 (800003, 800003, 'GN', 'Animalia', 'Aus', 'Aus Linnaeus, 1758'),
                 (800004, 800004, 'ES', 'Plantae', 'Planta alba', 'Planta alba L., 1753'),
                 (800005, 800005, 'GN', 'Animalia', 'Morus', 'Morus Vieillot, 1816'),
                 (800006, 800006, 'GN', 'Plantae', 'Morus', 'Morus L., 1753'),
                 (800007, 800007, 'ES', 'Animalia', 'Twice used', 'Twice used Smith, 1900'),
                 (800008, 800008, 'ES', 'Animalia', 'Twice used', 'Twice used Jones, 1950'),
                 (800009, 800009, 'ES', 'Chromista', 'Alga brunnea', 'Alga brunnea Kützing, 1843'),
                 (800010, 800010, 'ES', 'Orthornavirae', 'Virus aliquod', 'Virus aliquod');
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES
                 ('GBIF', 'x', 800001, '71'), ('GBIF', 'x', 800002, '72'), ('GBIF', 'x', 800003, '73'),
                 ('GBIF', 'x', 800006, '76'), ('GBIF', 'x', 800009, '79'), ('GBIF', 'x', 800010, '80'),
                 ('Other', 'x', 800001, '99')",
        )
        .await;
    platform
}

/// A record of this name, without links of the defaults.
fn named(gbif_id: i64, key: &str, name: &str) -> Record {
    record(gbif_id)
        .with("taxon_key", json!(key))
        .with("scientific_name", json!(name))
        .with("verbatim_scientific_name", json!(null))
        .with("kingdom", json!("Animalia"))
        .with("taxon_rank", json!("SPECIES"))
}

/// A record that GBIF was in doubt about.
fn doubtful(gbif_id: i64, issue: &str, key: &str, name: &str, verbatim: &str) -> Record {
    named(gbif_id, key, name).with("issue", json!(issue)).with("verbatim_scientific_name", json!(verbatim))
}

/// What the records of a landed harvest are matched with: gbif_id, cd_nom and path of those with a match.
async fn matches(platform: &Platform, harvest: Uuid) -> Vec<(i64, Option<i32>, String)> {
    sqlx::query_as(
        "SELECT o.gbif_id, m.cd_nom, m.taxon_path
         FROM passereau.harvest h
         JOIN pinv_gbif.occurrence o ON o.generation_id = h.generation_id
         JOIN passereau.matched_taxa(h.generation_id, -1, 9223372036854775807) m ON m.name_key = passereau.name_key(o)
         WHERE h.id = $1 ORDER BY o.gbif_id",
    )
    .bind(harvest)
    .fetch_all(&platform.pool)
    .await
    .unwrap()
}

async fn land(platform: &Platform, records: &[Record]) -> Vec<(i64, Option<i32>, String)> {
    let harvest = platform.land("one", records).await;
    matches(platform, harvest).await
}

fn found(gbif_id: i64, cd_nom: i32, path: &str) -> (i64, Option<i32>, String) {
    (gbif_id, Some(cd_nom), path.to_owned())
}

#[tokio::test]
async fn each_way_to_a_name_is_told() {
    let platform = platform().await;
    let subspecies = |id, rank: &str| {
        named(id, "1", "Aus bus novus X, 1900").with("species_key", json!("71")).with("taxon_rank", json!(rank))
    };
    let matched = land(
        &platform,
        &[
            named(1, "71", "whatever GBIF calls it"),
            named(2, "1", "Aus bus Linnaeus, 1758"),
            named(3, "1", " Aus  bus\u{a0}Linnaeus, 1758"),
            named(4, "1", "Planta alba L.").with("kingdom", json!("Plantae")),
            named(5, "1", "Aus cus X, 1900").with("accepted_taxon_key", json!("72")),
            subspecies(6, "SUBSPECIES"),
            subspecies(7, "SPECIES"),
            named(8, "99", "Link of another reference"),
            // Without its author a name is a proposal; another case is another name: a genus and its author.
            named(9, "1", "Aus bus"),
            named(10, "1", "aus bus linnaeus, 1758"),
            named(11, "1", "Aus bus Smith, 1758"),
            named(12, "5WZLF", "A key of the Catalogue of Life"),
            named(13, "", "Aus bus Linnaeus, 1758").with("taxon_key", json!(null)),
            named(14, "", "x").with("taxon_key", json!(null)).with("scientific_name", json!(null)),
        ],
    )
    .await;
    assert_eq!(
        matched,
        [
            found(1, 800_001, "taxonKey"),
            found(2, 800_001, "scientificName"),
            found(3, 800_001, "scientificName"),
            found(4, 800_004, "scientificName"),
            found(5, 800_002, "acceptedTaxonKey"),
            found(6, 800_001, "speciesKey"),
            found(13, 800_001, "verbatimName"),
        ]
    );
}

#[tokio::test]
async fn one_key_with_several_names_has_a_rule() {
    let platform = Platform::new().await;
    platform
        .execute(
            "INSERT INTO taxonomie.taxref (cd_nom, cd_ref, lb_nom, nom_complet) VALUES
                 (800005, 800005, 'Aus bus', 'Aus bus L., 1758'), (800001, 800005, 'Aus cus', 'Aus cus L., 1758'),
                 (800010, 800005, 'Aus dus', 'Aus dus L., 1758'), (800011, 800005, 'Aus eus', 'Aus eus L., 1758'),
                 (800012, 800005, 'Aus fus', 'Aus fus L., 1758');
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES
                 ('GBIF', 'x', 800005, '71'), ('GBIF', 'x', 800001, '71'),
                 ('GBIF', 'x', 800010, '72'), ('GBIF', 'x', 800011, '72'), ('GBIF', 'x', 800012, '72'),
                 ('Other', 'x', 700001, '73')",
        )
        .await;
    let matched = land(
        &platform,
        &[
            named(1, "71", "Aus cus L., 1758"),
            named(2, "72", "Aus eus L., 1758"),
            named(3, "72", "Aus fus"),
            named(4, "72", "Zus zus"),
            named(5, "72", "Zus zus").with("scientific_name", json!(null)),
            named(6, "73", "Zus zus"),
            named(7, "74", "Zus zus")
                .with("accepted_taxon_key", json!("72"))
                .with("accepted_scientific_name", json!("Aus eus L.")),
        ],
    )
    .await;
    let names: Vec<_> = matched.iter().map(|(id, cd_nom, _)| (*id, cd_nom.unwrap())).collect();
    assert_eq!(names, [(1, 800_005), (2, 800_011), (3, 800_012), (4, 800_010), (5, 800_010), (7, 800_011)]);
}

#[tokio::test]
async fn the_kingdom_must_agree() {
    let platform = platform().await;
    let of = |record: Record, kingdom: Value| record.with("kingdom", kingdom);
    let matched = land(
        &platform,
        &[
            of(named(1, "76", "Morus"), json!("Plantae")),
            of(named(2, "76", "Morus"), json!("Animalia")),
            of(named(3, "76", "Morus"), json!(null)),
            of(named(4, "76", "Morus"), json!("incertae sedis")),
            of(doubtful(5, "TAXON_MATCH_FUZZY", "1", "Moris", "Morus"), json!("Animalia")),
            of(doubtful(6, "TAXON_MATCH_FUZZY", "1", "Moris", "Morus"), json!("Plantae")),
            // Two accepted taxa bear the name and nothing tells which.
            of(doubtful(7, "TAXON_MATCH_FUZZY", "1", "Moris", "Morus"), json!(null)),
            of(doubtful(8, "TAXON_MATCH_FUZZY", "1", "Moris", "Morus L."), json!(null)),
            // The limits of Chromista are drawn differently, those of animals are not.
            of(named(9, "79", "Alga brunnea"), json!("Plantae")),
            of(named(10, "79", "Alga brunnea"), json!("Animalia")),
            of(named(11, "80", "Virus aliquod"), json!("Viruses")),
            of(named(12, "80", "Virus aliquod"), json!("Bacteria")),
        ],
    )
    .await;
    assert_eq!(
        matched,
        [
            found(1, 800_006, "taxonKey"),
            found(3, 800_006, "taxonKey"),
            found(4, 800_006, "taxonKey"),
            found(5, 800_005, "verbatimName"),
            found(6, 800_006, "verbatimName"),
            found(8, 800_006, "verbatimName"),
            found(9, 800_009, "taxonKey"),
            found(11, 800_010, "taxonKey"),
        ]
    );
    platform.execute("UPDATE taxonomie.taxref SET regne = NULL WHERE cd_nom = 800006").await;
    let other = platform.land("two", &[of(named(1, "76", "Morus"), json!("Animalia"))]).await;
    assert_eq!(
        matches(&platform, other).await,
        [found(1, 800_006, "taxonKey")],
        "where TAXREF gives no kingdom there is none to check"
    );
}

#[tokio::test]
async fn where_gbif_is_in_doubt_the_observers_name_comes_first() {
    let platform = platform().await;
    let higher = "COORDINATE_ROUNDED;TAXON_MATCH_HIGHERRANK";
    let matched = land(
        &platform,
        &[
            doubtful(1, higher, "73", "Aus Linnaeus, 1758", "Aus vetus"),
            doubtful(
                2,
                "TAXON_MATCH_FUZZY;CONTINENT_INVALID",
                "71",
                "Aus bus Linnaeus, 1758",
                "Aus vetus Müller, 1776",
            ),
            doubtful(3, "TAXON_MATCH_NONE", "0", "incertae sedis", "Aus vetus")
                .with("kingdom", json!("incertae sedis")),
            // Nothing like it in TAXREF: what GBIF made of it.
            doubtful(4, higher, "73", "Aus Linnaeus, 1758", "Aus ignotus"),
            doubtful(5, higher, "1", "Aus Linnaeus, 1758", "Aus ignotus"),
            doubtful(6, "TAXON_MATCH_NONE", "0", "incertae sedis", "Aus ignotus"),
            // Two accepted taxa bear the name; with its author it is one of them.
            doubtful(7, higher, "73", "Aus Linnaeus, 1758", "Twice used"),
            doubtful(8, higher, "73", "Aus Linnaeus, 1758", "Twice used Jones, 1950"),
            // GBIF is sure.
            named(9, "71", "Aus bus Linnaeus, 1758").with("verbatim_scientific_name", json!("Aus vetus")),
            doubtful(10, "NO_TAXON_MATCH_FUZZY;TAXON_MATCH_FUZZY_NOT", "71", "Aus bus Linnaeus, 1758", "Aus vetus"),
        ],
    )
    .await;
    assert_eq!(
        matched,
        [
            found(1, 800_002, "verbatimName"),
            found(2, 800_002, "verbatimName"),
            found(3, 800_002, "verbatimName"),
            found(4, 800_003, "taxonKey"),
            found(5, 800_003, "scientificName"),
            found(7, 800_003, "taxonKey"),
            found(8, 800_008, "verbatimName"),
            found(9, 800_001, "taxonKey"),
            found(10, 800_001, "taxonKey"),
        ]
    );
}

#[tokio::test]
async fn a_synonym_enters_as_it_was_observed_and_its_way_is_kept() {
    let platform = platform().await;
    let harvest = platform.land("one", &[named(1, "72", "Aus vetus Müller, 1776")]).await;
    assert_eq!(platform.run(harvest).await.inserted, 1);
    let written: (i32, i32, String) = sqlx::query_as(
        "SELECT s.cd_nom, taxonomie.find_cdref(s.cd_nom), w.taxon_path
         FROM gn_synthese.synthese s JOIN passereau.written w USING (id_synthese)",
    )
    .fetch_one(&platform.pool)
    .await
    .unwrap();
    assert_eq!(written, (800_002, 800_001, "taxonKey".to_owned()));
}

#[tokio::test]
async fn a_name_that_taxref_lacks_is_no_match() {
    let platform = platform().await;
    platform
        .execute(
            "ALTER TABLE taxonomie.taxref_liens DROP CONSTRAINT taxref_liens_cd_nom_fkey;
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES ('GBIF', 'x', 1, '81');
             INSERT INTO pinv_gbif.cor_taxon (taxon_key, cd_nom) VALUES ('81', 2), ('71', 2)",
        )
        .await;
    let matched = land(&platform, &[named(1, "81", "Aus ignotus"), named(2, "71", "Aus bus")]).await;
    assert_eq!(matched, [found(2, 800_001, "taxonKey")], "an answer that cannot be used is none");
}

#[tokio::test]
async fn an_answer_wins() {
    let platform = platform().await;
    platform
        .execute(
            "INSERT INTO pinv_gbif.cor_taxon (taxon_key, scientific_name, cd_nom, note) VALUES
                 ('71', NULL, 800009, 'whatever the kingdom'), ('72', NULL, NULL, 'an aquarium fish'),
                 (NULL, 'Aus  ignotus', 800002, NULL), ('75', 'Aus ignotus', 800007, NULL),
                 ('73', NULL, 800005, NULL)",
        )
        .await;
    let higher = "TAXON_MATCH_HIGHERRANK";
    let genus = "Aus Linnaeus, 1758";
    let records = [
        named(1, "71", "Aus bus Linnaeus, 1758"),
        named(2, "72", "Aus vetus Müller, 1776"),
        named(3, "1", "Aus ignotus"),
        named(4, "75", "Aus ignotus"),
        // By name, it is the observer's name that is asked about; by key alone, GBIF's guess comes after the observer's name.
        doubtful(5, higher, "73", genus, "Aus ignotus"),
        doubtful(6, higher, "73", genus, "Aus vetus"),
        doubtful(7, higher, "73", genus, "Aus incertus"),
        doubtful(8, higher, "73", "Aus ignotus", "Aus vetus"),
    ];
    let harvest = platform.land("one", &records).await;
    assert_eq!(
        matches(&platform, harvest).await,
        [
            found(1, 800_009, "answer"),
            (2, None, "never: an aquarium fish".to_owned()),
            found(3, 800_002, "answer"),
            found(4, 800_007, "answer"),
            found(5, 800_002, "answer"),
            found(6, 800_002, "verbatimName"),
            found(7, 800_005, "answer"),
            found(8, 800_002, "verbatimName"),
        ]
    );

    // Never means never, and nobody is asked again.
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.rejected), (7, 1));
    let reject: (i64, String, Option<String>) =
        sqlx::query_as("SELECT gbif_id, reason, detail FROM pinv_gbif.reject").fetch_one(&platform.pool).await.unwrap();
    assert_eq!((reject.0, reject.1.as_str()), (2, "taxon_refused"));
    assert_eq!(reject.2.as_deref(), Some("never: an aquarium fish"), "the taxonomist's note explains it");
    assert_eq!(questions(&platform).await, json!([]));
}

#[tokio::test]
async fn an_answer_must_answer_something() {
    let platform = platform().await;
    let refused = [
        "(NULL, NULL, 800001, NULL)",
        "('', NULL, 800001, NULL)",
        "('0', NULL, 800001, NULL)",
        "('71', NULL, NULL, NULL)",
        "('71', NULL, NULL, ' ')",
    ];
    for values in refused {
        let answer =
            format!("INSERT INTO pinv_gbif.cor_taxon (taxon_key, scientific_name, cd_nom, note) VALUES {values}");
        let outcome = sqlx::raw_sql(sqlx::AssertSqlSafe(answer)).execute(&platform.pool).await;
        assert_eq!(outcome.map_err(|error| crate::platform::code(&error)).err().as_deref(), Some("23514"), "{values}");
    }
    platform
        .execute("INSERT INTO pinv_gbif.cor_taxon (taxon_key, scientific_name, cd_nom) VALUES ('0', 'Aus', 800001)")
        .await;
}

/// What the taxonomist is asked, as JSON.
async fn questions(platform: &Platform) -> Value {
    sqlx::query_scalar("SELECT COALESCE(jsonb_agg(to_jsonb(q)), '[]') FROM passereau.unmatched_taxa('one') q")
        .fetch_one(&platform.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_taxonomist_is_asked_each_name_once_and_the_answer_lets_its_records_enter() {
    let platform = platform().await;
    let records = [
        named(1, "1", "Aus bus Smith, 1900").with("verbatim_scientific_name", json!("Aus bus")),
        named(2, "1", "Aus bus Smith, 1900").with("verbatim_scientific_name", json!("A. bus")),
        named(3, "2", "Ausus veta X, 1900"),
        doubtful(4, "TAXON_MATCH_NONE", "0", "incertae sedis", "Auss buss L.").with("kingdom", json!("incertae sedis")),
        doubtful(5, "TAXON_MATCH_NONE", "0", "incertae sedis", "Nihil simile").with("kingdom", json!("incertae sedis")),
        named(6, "71", "Aus bus Linnaeus, 1758"),
    ];
    let harvest = platform.land("one", &records).await;
    let counts = platform.run(harvest).await;
    assert_eq!((counts.inserted, counts.rejected), (1, 5), "a proposal is never an answer");

    let asked = questions(&platform).await;
    let question = |at: usize| {
        let question = &asked[at];
        (
            question["taxon_key"].as_str().unwrap(),
            question["scientific_name"].as_str().unwrap(),
            question["verbatim_scientific_name"].as_str(),
            question["records"].as_i64().unwrap(),
            question["proposals"]
                .as_array()
                .unwrap()
                .iter()
                .map(|near| near["cd_nom"].as_i64().unwrap())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(asked.as_array().unwrap().len(), 4, "{asked:#}");
    assert_eq!(question(0), ("1", "Aus bus Smith, 1900", None, 2, vec![800_001, 800_003]));
    assert_eq!(asked[0]["proposals"][0]["how"], 1.0, "the same name but for its author");
    assert_eq!(asked[0]["proposals"][0]["name"], "Aus bus Linnaeus, 1758");
    assert_eq!(question(1), ("2", "Ausus veta X, 1900", None, 1, vec![800_002]));
    assert_eq!(question(2), ("0", "incertae sedis", Some("Auss buss L."), 1, vec![800_001]));
    assert_eq!(question(3).2, Some("Nihil simile"));

    platform
        .execute(
            "INSERT INTO pinv_gbif.cor_taxon (taxon_key, scientific_name, cd_nom, note) VALUES
                 ('1', NULL, 800001, NULL), ('0', 'Auss buss L.', 800001, NULL), ('0', 'Nihil simile', NULL, 'no taxon'),
                 ('2', NULL, 5, 'a cd_nom that TAXREF lacks')",
        )
        .await;
    let left = questions(&platform).await;
    assert_eq!(left.as_array().unwrap().len(), 1, "{left:#}");
    assert_eq!(left[0]["scientific_name"], "Ausus veta X, 1900");

    let entered = platform.look_out().await;
    let (counts, why) = &entered[0];
    assert_eq!(
        (counts.inserted, counts.unchanged, counts.rejected, why.as_str()),
        (3, 1, 2, "a taxonomist has answered")
    );
}

#[tokio::test]
async fn proposals_are_near_in_genus_or_epithet_and_of_one_taxon_each() {
    let platform = platform().await;
    platform
        .execute(
            "INSERT INTO taxonomie.taxref (cd_nom, cd_ref, regne, lb_nom, nom_complet) VALUES
                 (810001, 810001, 'Animalia', 'Xyanistes zaeruleus', 'Xyanistes zaeruleus (Linnaeus, 1758)'),
                 (810002, 810001, 'Animalia', 'Xarus zaeruleus', 'Xarus zaeruleus Linnaeus, 1758'),
                 (810003, 810003, 'Plantae', 'Xarus zaerulea', 'Xarus zaerulea L., 1753'),
                 (810004, 810004, 'Animalia', 'Xarus', 'Xarus Linnaeus, 1758'),
                 (810005, 810005, 'Animalia', 'Xorvus corax', 'Xorvus corax Linnaeus, 1758')",
        )
        .await;
    let near: Vec<(String, i32)> = sqlx::query_as("SELECT name, cd_nom FROM passereau.taxa_near($1, $2)")
        .bind(vec!["Xarus (Xyanistes) zaerulea de Vries, 1900", "Xarvs zaeruleus", "Xambystoma mexicanum"])
        .bind(vec!["Animalia", "", ""])
        .fetch_all(&platform.pool)
        .await
        .unwrap();
    let of = |name: &str| {
        near.iter().filter(|(asked, _)| asked.starts_with(name)).map(|(_, cd_nom)| *cd_nom).collect::<Vec<_>>()
    };
    // The same name of another kingdom is shown all the same: it may be why the link was refused.
    assert_eq!(of("Xarus"), [810_003, 810_002, 810_004]);
    assert_eq!(of("Xarvs"), [810_002, 810_003]);
    assert_eq!(of("Xambystoma"), [0; 0]);
}

#[tokio::test]
async fn keys_of_a_rank_are_those_of_the_procedures_query() {
    let platform = platform().await;
    platform
        .execute(
            "DELETE FROM taxonomie.taxref_liens;
             UPDATE taxonomie.taxref SET id_rang = 'ES' WHERE id_rang = 'PH';
             INSERT INTO taxonomie.taxref (cd_nom, cd_ref, id_rang, regne, phylum, lb_nom, nom_complet) VALUES
                 (820001, 820001, 'PH', 'Animalia', 'Arthropoda', 'Arthropoda', 'Arthropoda'),
                 (820002, 820002, 'PH', 'Animalia', 'Mollusca', 'Mollusca', 'Mollusca'),
                 (820003, 820003, 'PH', 'Animalia', 'Chordata', 'Chordata', 'Chordata'),
                 (820004, 820004, 'PH', 'Plantae', 'Bryophyta', 'Bryophyta', 'Bryophyta'),
                 (820005, 820005, 'PH', 'Animalia', 'Sine', 'Sine', 'Sine'),
                 (820006, 820001, 'PH', 'Animalia', 'Arthropoda', 'Articulata', 'Articulata'),
                 (820007, 820007, 'CL', 'Animalia', 'Arthropoda', 'Insecta', 'Insecta');
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES
                 ('GBIF', 'x', 820001, '54'), ('GBIF', 'x', 820002, '52'), ('GBIF', 'x', 820003, '44'),
                 ('GBIF', 'x', 820004, '35'), ('GBIF', 'x', 820007, '216'), ('Other', 'x', 820005, '7')",
        )
        .await;
    let keys: Vec<(i32, String, Option<String>)> =
        sqlx::query_as("SELECT * FROM passereau.taxon_keys('PH', 'Animalia', '{Chordata}')")
            .fetch_all(&platform.pool)
            .await
            .unwrap();
    let keys: Vec<_> = keys.iter().map(|(cd_nom, name, key)| (*cd_nom, name.as_str(), key.as_deref())).collect();
    assert_eq!(
        keys,
        [(820_001, "Arthropoda", Some("54")), (820_002, "Mollusca", Some("52")), (820_005, "Sine", None)],
        "a synonym without a link is no taxon without a link"
    );
}

#[tokio::test]
async fn the_key_of_a_name_is_computed_inline_and_tells_names_apart() {
    let platform = platform().await;
    let same = [named(1, "71", "Aus bus"), named(2, "71", "Aus bus").with("recorded_by", json!("somebody"))];
    let mut others = vec![named(10, "72", "Aus bus"), named(11, "71", "Aus cus")];
    for column in [
        "accepted_taxon_key",
        "species_key",
        "verbatim_scientific_name",
        "accepted_scientific_name",
        "kingdom",
        "taxon_rank",
    ] {
        others.push(named(20 + i64::try_from(others.len()).unwrap(), "71", "Aus bus").with(column, json!("71")));
    }
    others.push(named(40, "71", "Aus bus").with("issue", json!("TAXON_MATCH_FUZZY")));
    let records: Vec<Record> = same.into_iter().chain(others.clone()).collect();
    platform.land("one", &records).await;
    let distinct = platform.count("SELECT count(DISTINCT passereau.name_key(o)) FROM pinv_gbif.occurrence o").await;
    assert_eq!(distinct, 1 + i64::try_from(others.len()).unwrap());

    let plan: Vec<String> =
        sqlx::query_scalar("EXPLAIN (VERBOSE) SELECT passereau.name_key(o) FROM pinv_gbif.occurrence o")
            .fetch_all(&platform.pool)
            .await
            .unwrap();
    assert!(plan.iter().any(|line| line.contains("md5(")), "a call for each record costs many times more: {plan:#?}");
}
