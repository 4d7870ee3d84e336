//! `docs/destination.md` against what the functions do: each landed column is changed, and what changes in the row is compared
//! with the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::platform::{OTHER_DATASET, Platform, Record, record};

/// Columns that tell what a record is, not what it says: [`crate::identity`] and the loader's tests are theirs.
const OF_THE_RECORD: [&str; 4] = ["gbif_id", "content_hash", "inaturalist_id", "producer_uuid"];
/// Columns of the synthèse that differ from row to row whatever the record says.
const OF_THE_ROW: [&str; 6] = [
    "id_synthese",
    "unique_id_sinp",
    "entity_source_pk_value",
    "meta_create_date",
    "meta_update_date",
    "id_nomenclature_sensitivity",
];

/// The table of the document: landed column → destinations.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/destination.md");
    let text = std::fs::read_to_string(path).unwrap();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            (quoted(cells[1]).remove(0), quoted(cells[3]).into_iter().collect())
        })
        .collect()
}

/// Pairs of records that differ in one column: the column, what both say besides, the value of the second.
fn cases() -> Vec<(&'static str, Value, Value)> {
    let none = || json!({});
    let specimen = || json!({"basis_of_record": "PRESERVED_SPECIMEN"});
    vec![
        ("date_start", json!({"date_end": "2021-06-01T00:00:00"}), json!("2021-04-30T00:00:00")),
        ("date_end", none(), json!("2021-06-02T00:00:00")),
        ("modified", none(), json!("2021-06-01T00:00:00")),
        ("references", none(), json!("https://example.org/2")),
        ("references", json!({"basis_of_record": "MATERIAL_CITATION"}), json!("https://example.org/2")),
        ("references", json!({"media_type": "StillImage"}), Value::Null),
        ("basis_of_record", none(), json!("MATERIAL_CITATION")),
        ("basis_of_record", json!({"catalog_number": "A1"}), json!("PRESERVED_SPECIMEN")),
        ("occurrence_id", none(), json!("x")),
        ("recorded_by", none(), json!("Zoé")),
        ("individual_count", none(), json!(5)),
        ("individual_count", none(), Value::Null),
        ("sex", none(), json!("MALE")),
        ("sex", none(), json!("gynandromorph of sorts")),
        ("reproductive_condition", none(), json!("known and nothing")),
        ("behavior", none(), json!("known and nothing")),
        ("vitality", none(), json!("known and nothing")),
        ("establishment_means", none(), json!("known and nothing")),
        ("degree_of_establishment", none(), json!("known and nothing")),
        ("sex", none(), json!("Other")),
        ("life_stage", none(), json!("Embryo")),
        ("life_stage", none(), json!("Adult")),
        ("life_stage", none(), json!("Flowering")),
        ("life_stage", none(), json!("a stage of its own")),
        ("reproductive_condition", none(), json!("breeding")),
        ("reproductive_condition", none(), json!("a condition of its own")),
        ("caste", none(), json!("worker")),
        ("behavior", none(), json!("singing")),
        ("behavior", none(), json!("a behaviour of its own")),
        ("vitality", none(), json!("dead")),
        ("vitality", none(), json!("a vitality of its own")),
        ("occurrence_status", none(), json!("ABSENT")),
        ("occurrence_remarks", none(), json!("vue")),
        ("event_date", none(), json!("2021-05-01T00:00:00")),
        ("verbatim_locality", none(), json!("Meylan")),
        ("decimal_latitude", none(), json!(45.2)),
        ("decimal_longitude", none(), json!(5.8)),
        ("coordinate_uncertainty_in_meters", none(), json!(2000.0)),
        ("identified_by", none(), json!("Zoé")),
        ("scientific_name", none(), json!("Parus major L.")),
        ("scientific_name", json!({"verbatim_scientific_name": null}), json!("Parus major L.")),
        ("dataset_key", none(), json!(OTHER_DATASET)),
        ("issue", none(), json!("COUNTRY_MISMATCH")),
        ("taxon_key", none(), json!("71")),
        ("taxon_key", json!({"accepted_taxon_key": "9705453"}), json!("0")),
        ("verbatim_scientific_name", none(), json!("Mésange")),
        ("catalog_number", none(), json!("A1")),
        ("catalog_number", specimen(), json!("A1")),
        ("license", none(), json!("CC0_1_0")),
        ("rights_holder", none(), json!("Zoé")),
        ("information_withheld", none(), json!("Coordinates hidden")),
        ("data_generalizations", none(), json!("Coordinates rounded to 10 km")),
        ("kingdom", none(), json!("Animalia")),
        ("class", none(), json!("Aves")),
        ("order", none(), json!("Passeriformes")),
        ("accepted_taxon_key", none(), json!("9705453")),
        ("species_key", none(), json!("9705453")),
        ("accepted_scientific_name", none(), json!("Parus major Linnaeus, 1758")),
        ("taxon_rank", none(), json!("SPECIES")),
        ("establishment_means", none(), json!("native")),
        ("establishment_means", none(), json!("means of its own")),
        ("degree_of_establishment", json!({"establishment_means": "introduced"}), json!("invasive")),
        ("degree_of_establishment", none(), json!("captive")),
        ("degree_of_establishment", none(), json!("a degree of its own")),
        ("organism_quantity", json!({"individual_count": null, "organism_quantity_type": "individuals"}), json!("3")),
        ("organism_quantity", json!({"individual_count": null, "organism_quantity_type": "nests"}), json!("some")),
        ("organism_quantity_type", json!({"individual_count": null, "organism_quantity": "3"}), json!("individuals")),
        (
            "organism_quantity_type",
            json!({"individual_count": null, "organism_quantity": "3"}),
            json!("something else"),
        ),
        ("date_identified", none(), json!("2022")),
        ("event_time", none(), json!("12:00")),
        ("institution_code", none(), json!("MNHN")),
        ("institution_code", specimen(), json!("MNHN")),
        ("collection_code", none(), json!("P")),
        ("collection_code", specimen(), json!("P")),
        ("coordinate_precision", none(), json!(0.01)),
        ("identification_verification_status", none(), json!("verified")),
        ("dataset_name", none(), json!("Oiseaux")),
        ("dataset_name", json!({"basis_of_record": "MATERIAL_CITATION", "references": null}), json!("Oiseaux")),
        ("last_interpreted", none(), json!("2026-01-01T00:00:00Z")),
        ("media_type", none(), json!("StillImage")),
    ]
}

fn with_all(record: Record, columns: &Value) -> Record {
    columns.as_object().unwrap().iter().fold(record, |record, (column, value)| record.with(column, value.clone()))
}

/// A row as names and values, the keys of `additional_data` among them.
fn flattened(row: &Map<String, Value>) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for (column, value) in row.iter().filter(|(column, _)| !OF_THE_ROW.contains(&column.as_str())) {
        match (column.as_str(), value) {
            ("additional_data", Value::Object(keys)) => {
                flat.extend(keys.iter().map(|(key, value)| (format!("additional_data.{key}"), value.clone())));
            }
            _ => {
                flat.insert(column.clone(), value.clone());
            }
        }
    }
    flat
}

#[tokio::test]
async fn every_landed_column_goes_where_the_document_says() {
    let platform = Platform::new().await;
    platform
        .execute(
            "INSERT INTO taxonomie.taxref (cd_nom, cd_ref, lb_nom, nom_complet) VALUES (800071, 800071, 'Aus bus', 'Aus bus L.');
             INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES ('GBIF', 'x', 800071, '71');
             INSERT INTO pinv_gbif.cor_vocabulary (term, value, nomenclature_type, reason) VALUES
                 ('behavior', 'known and nothing', 'OCC_COMPORTEMENT', 'for this test'),
                 ('reproductiveCondition', 'known and nothing', 'STATUT_BIO', 'for this test'),
                 ('vitality', 'known and nothing', 'ETA_BIO', 'for this test'),
                 ('establishmentMeans', 'known and nothing', 'STAT_BIOGEO', 'for this test'),
                 ('degreeOfEstablishment', 'known and nothing', 'NATURALITE', 'for this test')",
        )
        .await;
    platform.decide("one", json!({"accept": ["absent"]})).await;
    let cases = cases();
    let mut records = Vec::new();
    for (place, (column, context, value)) in (0..).zip(&cases) {
        let base = with_all(record(1), context)
            .with("references", context.get("references").cloned().unwrap_or(json!("https://example.org/1")));
        let numbered = |record: Record, id: i64| record.with("gbif_id", json!(id));
        records.push(numbered(base.clone(), 2 * place + 1));
        records.push(numbered(base.with(column, value.clone()), 2 * place + 2));
    }
    let harvest = platform.land("one", &records).await;
    let counts = platform.run(harvest).await;
    assert_eq!(counts.inserted, counts.landed, "{:?}", platform.rejects().await);

    let rows: Vec<Value> =
        sqlx::query_scalar("SELECT to_jsonb(s) FROM gn_synthese.synthese s ORDER BY entity_source_pk_value::bigint")
            .fetch_all(&platform.pool)
            .await
            .unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((column, _, _), pair) in cases.iter().zip(rows.chunks(2)) {
        let (before, after) = (flattened(pair[0].as_object().unwrap()), flattened(pair[1].as_object().unwrap()));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned();
        found.entry((*column).to_owned()).or_default().extend(changed);
    }
    let mut documented = documented();
    for column in OF_THE_RECORD {
        documented.remove(column).unwrap();
    }
    for (column, destinations) in &documented {
        assert_eq!(found.get(column), Some(destinations), "{column}");
    }
    assert_eq!(found.len(), documented.len());

    // An update takes our keys away before it writes them anew: one that is not in the list would stay for ever.
    let ours: BTreeSet<String> = sqlx::query_scalar("SELECT unnest(passereau.additional_data_keys())")
        .fetch_all(&platform.pool)
        .await
        .unwrap()
        .into_iter()
        .collect();
    let kept = documented.values().flatten().filter_map(|name| name.strip_prefix("additional_data."));
    assert_eq!(kept.filter(|key| !ours.contains(*key)).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[tokio::test]
async fn no_landed_column_is_missing_from_the_document() {
    let platform = Platform::new().await;
    let landed: BTreeSet<String> = sqlx::query_scalar(
        "SELECT column_name::text FROM information_schema.columns
         WHERE table_schema = 'pinv_gbif' AND table_name = 'occurrence' AND column_name <> 'generation_id'",
    )
    .fetch_all(&platform.pool)
    .await
    .unwrap()
    .into_iter()
    .collect();
    assert_eq!(documented().into_keys().collect::<BTreeSet<_>>(), landed);
}
