//! What a delivery holds, and when there is a new one.

use std::collections::BTreeMap;

use passereau_testing::{SOON, wait_until};
use serde_json::Value;

use crate::platform::{Platform, SECRET};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_five_files_with_a_manifest_that_says_what_they_hold() {
    let mut platform = Platform::new().await;
    platform.run().await;
    assert_eq!(platform.deliver().await, ("delivered".into(), None));
    let manifest = platform.manifest().await;
    assert_eq!(manifest.rows, 13);
    let outcomes: BTreeMap<_, _> =
        manifest.delivered.iter().map(|tally| ((&*tally.outcome, tally.area_type.as_deref()), tally.records)).collect();
    assert_eq!(outcomes, BTreeMap::from([(("exact", None), 10), (("area", Some("M10")), 3)]));
    let withheld: Vec<_> = manifest.withheld.iter().map(|tally| (tally.reason.as_deref(), tally.records)).collect();
    assert_eq!(withheld, [(Some("no_diffusion"), 1)]);
    assert_eq!(manifest.licences, BTreeMap::from([("CC-BY-4.0".to_owned(), 13)]));
    assert_eq!(manifest.taxref_version.as_deref(), Some("18"));
    let names: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["csv", "csv.gz", "geojson", "geojson.gz", "geojsonl", "geojsonl.gz", "gpkg", "json", "json.gz"]);
    for file in manifest.files.values() {
        assert_eq!(platform.read(&file.key).len() as u64, file.size_bytes, "{}", file.key);
    }
    let beside: Value =
        serde_json::from_slice(&platform.read(&format!("flows/atlas/{}/manifest.json", manifest.version))).unwrap();
    assert_eq!(beside["rows"], 13);

    let text = String::from_utf8(platform.read(&manifest.files["csv"].key)).unwrap();
    assert_eq!(text.lines().count(), 14, "a header and thirteen rows");
    let header: Vec<&str> = text.lines().next().unwrap().split(';').collect();
    for column in ["niveau_sensibilite", "clause_rediffusion", "geometrie_wkt_4326"] {
        assert!(header.contains(&column), "{column} is not in {header:?}");
    }
    let explained: Vec<&str> = manifest.fields.iter().map(|field| &*field.name).collect();
    assert_eq!(explained, header, "the manifest explains every column, that of the geometry too");
    // In a GeoPackage it is no text: its index bears the name that GIS give it.
    let geopackage = platform.read(&manifest.files["gpkg"].key);
    assert!(geopackage.windows(16).any(|bytes| bytes == b"rtree_atlas_geom"));
    let features: Value = serde_json::from_slice(&platform.read(&manifest.files["geojson"].key)).unwrap();
    let kinds: Vec<&str> =
        features["features"].as_array().unwrap().iter().map(|f| f["geometry"]["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "Point").count(), 10);
    assert_eq!(kinds.iter().filter(|kind| **kind == "MultiPolygon" || **kind == "Polygon").count(), 3);
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_the_store_names_the_place_of_a_sensitive_record() {
    let mut platform = Platform::new().await;
    // Only sensitive ones are left, so that every trace of the place is theirs.
    sqlx::query("DELETE FROM gn_synthese.synthese WHERE id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '0')")
        .execute(platform.pool())
        .await
        .unwrap();
    let (wkb, x): (String, String) = sqlx::query_as(
        "SELECT encode(substring(ST_AsBinary(the_geom_4326) FROM 6), 'hex'), left(ST_X(the_geom_4326)::text, 8) FROM gn_synthese.synthese LIMIT 1",
    )
    .fetch_one(platform.pool())
    .await
    .unwrap();
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    assert_eq!(platform.manifest().await.rows, 3);
    let objects = platform.objects("");
    assert!(objects.len() >= 10, "{objects:?}");
    for key in objects.iter().filter(|key| !key.ends_with(".gz")) {
        let bytes = platform.read(key);
        let text = String::from_utf8_lossy(&bytes);
        for secret in [SECRET, &wkb, &x] {
            assert!(!text.contains(secret), "{key} holds {secret}");
        }
    }
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_says_the_same_makes_no_version_and_one_that_differs_does() {
    let mut platform = Platform::new().await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let first = platform.manifest().await;
    assert_eq!(platform.deliver().await.0, "unchanged");
    assert_eq!(platform.manifest().await.version, first.version, "its ETags stay");
    // A level that rises withdraws the record from the next delivery, though nothing else of it has changed.
    sqlx::query(
        "UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '4')
         WHERE id_synthese = (SELECT min(id_synthese) FROM gn_synthese.synthese)",
    )
    .execute(platform.pool())
    .await
    .unwrap();
    assert_eq!(platform.deliver().await.0, "delivered");
    let second = platform.manifest().await;
    assert_eq!((second.rows, second.withheld[0].records), (12, 2));
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_versions_are_kept_as_agreed_and_no_part_is_left() {
    let mut platform = Platform::new().await;
    platform.run().await;
    for _ in 0..4 {
        platform.records(1, "0").await;
        assert_eq!(platform.deliver().await.0, "delivered");
    }
    let exporter = passereau_exporter::Exporter::new(&platform.config()).unwrap();
    passereau_runner::Worker::look_out(&exporter, platform.pool()).await.unwrap();
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT folder FROM passereau.delivery WHERE erased_at IS NULL ORDER BY folder")
            .fetch_all(platform.pool())
            .await
            .unwrap();
    assert_eq!(kept.len(), 2);
    let objects = platform.objects("");
    assert_eq!(objects.len(), 2 * 10, "{objects:#?}");
    for key in objects {
        assert!(kept.iter().any(|folder| key.starts_with(&format!("flows/atlas/{folder}/"))), "{key}");
    }
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_that_may_not_be_delivered_says_why_and_keeps_its_version() {
    let mut platform = Platform::new().await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let first = platform.manifest().await;
    passereau_flow::suspend(platform.pool(), "atlas", "the partner has moved", chrono::Utc::now()).await.unwrap();
    let (state, reason) = platform.deliver().await;
    assert_eq!(state, "failed");
    assert!(reason.unwrap().contains("the partner has moved"));
    assert_eq!(platform.manifest().await.version, first.version);
    passereau_flow::resume(platform.pool(), "atlas", chrono::Utc::now()).await.unwrap();
    platform
        .apply_with(
            "licences =",
            "sensitive = \"precise\"\nauthorisation = { reference = \"A-1\", signatory = \"DREAL\", ends_on = 2098-12-31 }\nlicences =",
        )
        .await;
    let (state, reason) = platform.deliver().await;
    assert_eq!(state, "failed");
    assert!(reason.unwrap().contains("passereau flow approve"));
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_flow_is_a_dead_letter_that_says_so() {
    let mut platform = Platform::new().await;
    platform.run().await;
    platform.bench.send(&passereau_contracts::FlowDeliver { flow: "nowhere".into() }).await;
    assert!(platform.bench.dead_letter().await.contains("there is no flow nowhere"));
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_of_the_delivered_taxa_are_a_file_beside_the_others() {
    let mut platform = Platform::new().await;
    sqlx::raw_sql(
        "CREATE VIEW taxonomie.v_bdc_status AS
         SELECT 4001 + n * 10 AS cd_nom, 4001 + n * 10 AS cd_ref, 'PN' AS cd_type_statut, 'Protection nationale' AS lb_type_statut,
                'Protection' AS regroupement_type, 'NO3' AS code_statut, 'Article 3' AS label_statut, ''::text AS rq_statut, 'TERFXFR' AS cd_sig,
                'État'::text AS niveau_admin, 'Arrêté du 29 octobre 2009'::text AS full_citation, 'https://inpn.mnhn.fr'::text AS doc_url
         FROM generate_series(0, 1) n",
    )
    .execute(platform.pool())
    .await
    .unwrap();
    platform
        .apply_with("keep = 2", "keep = 2\nstatuses = true\ncsv = { separator = \"|\", byte_order_mark = true }")
        .await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let manifest = platform.manifest().await;
    let text = String::from_utf8(platform.read(&manifest.files["statuts.csv"].key)).unwrap();
    assert_eq!(
        text,
        "\u{feff}cd_ref|cd_nom|cd_type_statut|lb_type_statut|regroupement_type|code_statut|label_statut|rq_statut|cd_sig|niveau_admin|full_citation|doc_url\r\n\
         4001|4001|PN|Protection nationale|Protection|NO3|Article 3||TERFXFR|État|Arrêté du 29 octobre 2009|https://inpn.mnhn.fr\r\n",
        "the header and the one taxon that was delivered, as the agreement wants its CSV files"
    );
    assert_eq!(platform.deliver().await.0, "unchanged");
    // Another list, and a text that a spreadsheet would compute.
    sqlx::raw_sql(
        "CREATE OR REPLACE VIEW taxonomie.v_bdc_status AS
         SELECT 4001 AS cd_nom, 4001 AS cd_ref, 'LRR' AS cd_type_statut, 'Liste rouge régionale' AS lb_type_statut, 'Liste rouge' AS regroupement_type,
                'VU' AS code_statut, 'Vulnérable' AS label_statut, '=1+1'::text AS rq_statut, 'INSEER84' AS cd_sig,
                'Région'::text AS niveau_admin, NULL::text AS full_citation, NULL::text AS doc_url",
    )
    .execute(platform.pool())
    .await
    .unwrap();
    assert_eq!(platform.deliver().await.0, "delivered", "a new red list makes a new version");
    let manifest = platform.manifest().await;
    let text = String::from_utf8(platform.read(&manifest.files["statuts.csv"].key)).unwrap();
    assert!(text.ends_with("|VU|Vulnérable|'=1+1|INSEER84|Région||\r\n"), "{text}");
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_changes_during_a_delivery_is_followed_by_a_delivery_of_its_own() {
    let mut platform = Platform::new().await;
    // A delivery of version 1 that nobody works on any more.
    sqlx::query("INSERT INTO passereau.delivery (id, flow, flow_version, state, read_at) VALUES (gen_random_uuid(), 'atlas', 1, 'reading', now())")
        .execute(platform.pool())
        .await
        .unwrap();
    platform.apply_with("P1M", "P1W").await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let states = wait_until("both", SOON, async || {
        let states = platform.events().await;
        (states.len() == 2 && states[1] == "delivered").then_some(states)
    })
    .await;
    assert_eq!(states, ["failed", "delivered"]);
    assert_eq!(platform.manifest().await.agreement_version, 2);
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_takes_longer_than_a_handling_is_made_over_several_and_says_the_same() {
    let mut platform = Platform::new().await;
    platform.run_short().await;
    assert_eq!(platform.deliver().await, ("delivered".into(), None));
    let manifest = platform.manifest().await;
    assert_eq!((manifest.rows, manifest.files.len()), (13, 9));
    for file in manifest.files.values() {
        assert_eq!(platform.read(&file.key).len() as u64, file.size_bytes, "{}", file.key);
    }
    let text = String::from_utf8(platform.read(&manifest.files["csv"].key)).unwrap();
    assert_eq!(text.lines().count(), 14, "a header and thirteen rows");
    // Four parts (the blurred rows, and ten exact ones by four) and five formats, each begun in a handling that did not wait for it.
    let handlings = platform.handlings().await;
    assert!(handlings >= 8, "{handlings} handlings");
    platform.bench.finish().await;
}
