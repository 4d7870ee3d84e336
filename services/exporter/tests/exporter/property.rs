//! The property, at the store: another exact point within its area, with all that depends on the point, changes no byte of a blurred delivery,
//! whatever its format and territory; and what stays leaves no trace in any file, nor in the manifest.
//!
//! The records, the opinion of what becomes of them and their move are those of the gate's own test.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::Read,
    path::Path,
};

use passereau_contracts::FlowDeliver;
use rusqlite::Connection;
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    move_points::{MOVE, OPINION, PLANT, RECORDS, SETUP, run},
    platform::Platform,
};

const RECORDS_OF_A_RUN: i64 = 10_000;

/// Flows of the run and their territories: everywhere; one that cuts areas of every type; one that holds a department, and so what is blurred
/// within; a site smaller than any area; one that misses them all.
const FLOWS: [(&str, Option<&str>); 5] = [
    ("everywhere", None),
    ("cut", Some("SRID=2154;POLYGON((858000 6447000,943000 6451000,931000 6537000,861000 6522000,858000 6447000))")),
    ("held", Some("SRID=2154;POLYGON((840000 6430000,945000 6430000,945000 6535000,840000 6535000,840000 6430000))")),
    ("site", Some("SRID=2154;POLYGON((901000 6501000,903500 6501000,903500 6503500,901000 6503500,901000 6501000))")),
    ("missed", Some("SRID=2154;POLYGON((610000 6330000,640000 6330000,640000 6360000,610000 6360000,610000 6330000))")),
];

/// GBIF, datasets that its records cite, and a harvest for each round: nothing but records that do not leave exactly comes from the later one.
const HARVESTS: &str = r"
    INSERT INTO gn_synthese.t_sources (name_source) VALUES ('GBIF');
    INSERT INTO pinv_gbif.dataset (dataset_key, title, citation) SELECT md5('ZQ' || n)::uuid, 'ZQ99999999', 'ZQ99999999 citation ' || n FROM generate_series(0, 1) n;
    INSERT INTO passereau.subscription (name, request) VALUES ('test', '{}');
    INSERT INTO passereau.harvest (id, subscription, state, request, request_digest, created_at)
    SELECT md5('harvest' || n)::uuid, 'test', 'completed', '{}', 'x', '2026-05-01' FROM generate_series(0, 1) n;
    INSERT INTO passereau.download (harvest_id, account, body, doi) SELECT md5('harvest' || n)::uuid, 'x', '{}', '10.15468/dl.zq' || n FROM generate_series(0, 1) n";

/// What a harvest wrote of the records that GBIF brought and that a round has planted.
const WRITTEN: &str = "
    INSERT INTO passereau.written (gbif_id, id_synthese, unique_id_sinp, cd_nom, written_key, place_hash, taxon_hash, rest_hash, harvest_id)
    SELECT s.entity_source_pk_value::bigint, s.id_synthese, u, s.cd_nom, u, md5(ST_AsText(s.the_geom_local))::uuid, u, u, md5('harvest' || $1)::uuid
    FROM test.subject t JOIN gn_synthese.synthese s ON s.id_synthese = t.id_synthese JOIN gn_synthese.t_sources x ON x.id_source = s.id_source AND x.name_source = 'GBIF',
         LATERAL (SELECT COALESCE(s.unique_id_sinp, md5('none' || t.n)::uuid) AS u) v
    WHERE s.the_geom_local IS NOT NULL AND s.entity_source_pk_value ~ '^[0-9]+$' AND right(s.entity_source_pk_value, 1) = $1::text AND t.kind IS NOT DISTINCT FROM $2";

fn agreement(flow: &str, has_territory: bool) -> String {
    let fields: Vec<String> = passereau_gate::Field::all()
        .iter()
        .filter(|field| !field.is_basic)
        .map(|field| format!("\"{}\"", field.name))
        .collect();
    let file = if has_territory { format!(", file = \"{flow}.wkt\"") } else { String::new() };
    format!(
        r#"
name = "{flow}"
structure = "Association"
formats = ["csv", "json", "geojson", "geojsonl", "gpkg"]
period = "P1M"
ends_on = 2099-12-31
in_return = "records"
technical_manager = {{ name = "Camille", email = "camille@example.org" }}
studies = [{{ name = "Atlas", nature = "atlas" }}]
territory = {{ description = "Isère"{file} }}
fields = {{ preset = "basic", add = [{fields}] }}
licences = {{ allowed = ["CC0-1.0", "CC-BY-4.0"], own = "CC-BY-4.0" }}
"#,
        fields = fields.join(", ")
    )
}

/// The files of a version with its manifest, by extension.
type Files = BTreeMap<String, Vec<u8>>;

/// Delivers a flow as if it were the first time, at the same moment and under the same id.
async fn delivered(platform: &Platform, position: usize, flow: &str) -> Files {
    let id = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0000 + position as u128);
    sqlx::query(
        "WITH parts AS (DELETE FROM passereau.delivery_part WHERE delivery_id = $1)
         DELETE FROM passereau.delivery WHERE id = $1",
    )
    .bind(id)
    .execute(platform.pool())
    .await
    .unwrap();
    let _ = std::fs::remove_dir_all(platform.store_folder().join("flows").join(flow));
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "CREATE OR REPLACE FUNCTION the_same_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN NEW.id := '{id}'; NEW.read_at := '2026-06-01 03:00:00+00'; RETURN NEW; END $$;
         CREATE OR REPLACE TRIGGER the_same_delivery BEFORE INSERT ON passereau.delivery FOR EACH ROW EXECUTE FUNCTION the_same_delivery()"
    )))
    .execute(platform.pool())
    .await
    .unwrap();
    platform.bench.send(&FlowDeliver { flow: flow.into() }).await;
    assert_eq!(platform.ended(id).await, ("delivered".into(), None), "{flow}");
    let keys = platform.objects(&format!("flows/{flow}"));
    let name = |key: &str| key.rsplit('/').next().unwrap().trim_start_matches(&format!("{flow}.")).to_owned();
    keys.iter().map(|key| (name(key), platform.read(key))).collect()
}

async fn all_delivered(platform: &Platform) -> Vec<Files> {
    let mut all = Vec::new();
    for (position, (flow, _)) in FLOWS.into_iter().enumerate() {
        all.push(delivered(platform, position, flow).await);
    }
    all
}

#[derive(Debug, FromRow)]
struct Subject {
    n: i64,
    id_synthese: i32,
    unique_id_sinp: Option<Uuid>,
    unique_id_sinp_grp: Uuid,
    entity_source_pk_value: String,
    /// None of a corner of meshes, which is no secret.
    place: Option<Vec<u8>>,
    leaves_exactly: bool,
}

async fn subjects(platform: &Platform) -> Vec<Subject> {
    sqlx::query_as(
        "SELECT t.n, t.id_synthese, s.unique_id_sinp, s.unique_id_sinp_grp, s.entity_source_pk_value,
                CASE WHEN ST_GeometryType(s.the_geom_4326) = 'ST_Point' AND ST_X(s.the_geom_local)::numeric % 1000 <> 0 THEN substring(ST_AsBinary(s.the_geom_4326, 'NDR') FROM 6) END AS place,
                t.outcome = 'exact' AND CASE WHEN NULLIF(btrim(s.additional_data ->> 'license'), 'null') IS NULL THEN x.name_source <> 'GBIF'
                                             ELSE s.additional_data ->> 'license' IN ('CC0_1_0', 'CC_BY_4_0') END AS leaves_exactly
         FROM test.subject t JOIN gn_synthese.synthese s ON s.id_synthese = t.id_synthese JOIN gn_synthese.t_sources x ON x.id_source = s.id_source",
    )
    .fetch_all(platform.pool())
    .await
    .unwrap()
}

/// What must be in no file: identifiers and places of the records that do not leave exactly.
struct Secrets {
    subjects: Vec<Subject>,
    exact: HashSet<i64>,
    /// UUIDs as files write them.
    uuids: HashMap<Vec<u8>, i64>,
    /// Numbers of ten digits: what a source calls the record.
    numbers: HashMap<Vec<u8>, i64>,
    /// Coordinates as a GeoPackage holds them.
    places: HashMap<Vec<u8>, i64>,
}

impl Secrets {
    fn of(subjects: Vec<Subject>) -> Self {
        let exact = subjects.iter().filter(|subject| subject.leaves_exactly).map(|subject| subject.n).collect();
        let mut secrets = Self {
            exact,
            uuids: HashMap::new(),
            numbers: HashMap::new(),
            places: HashMap::new(),
            subjects: Vec::new(),
        };
        // A place that a record leaves exactly from is no secret.
        let open: HashSet<_> = subjects
            .iter()
            .filter(|subject| subject.leaves_exactly)
            .filter_map(|subject| subject.place.clone())
            .collect();
        for subject in subjects.iter().filter(|subject| !subject.leaves_exactly) {
            for uuid in subject.unique_id_sinp.into_iter().chain([subject.unique_id_sinp_grp]) {
                secrets.uuids.insert(uuid.to_string().into_bytes(), subject.n);
            }
            if subject.entity_source_pk_value.len() == 10 {
                secrets.numbers.insert(subject.entity_source_pk_value.clone().into_bytes(), subject.n);
            }
            secrets
                .places
                .extend(subject.place.clone().filter(|place| !open.contains(place)).map(|place| (place, subject.n)));
        }
        assert!(secrets.uuids.len() > 10_000 && secrets.numbers.len() > 2_000 && secrets.places.len() > 4_000);
        secrets.subjects = subjects;
        secrets
    }

    /// Looks at each byte of a file.
    fn are_not_in(&self, name: &str, bytes: &[u8]) {
        let found = |what: &str, number: i64| panic!("{name} holds the {what} of record {number}");
        let mut digits = 0;
        for (position, byte) in bytes.iter().enumerate() {
            digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
            if digits >= 10
                && let Some(number) = self.numbers.get(&bytes[position - 9..=position])
            {
                found("source's number", *number);
            }
            match byte {
                // A UUID has its first hyphen after eight digits.
                b'-' if position >= 8 => {
                    if let Some(number) = bytes.get(position - 8..position + 28).and_then(|text| self.uuids.get(text)) {
                        found("UUID", *number);
                    }
                }
                b'Z' if bytes.get(position + 1) == Some(&b'Q') => {
                    let text = bytes.get(position + 2..position + 10).and_then(|text| std::str::from_utf8(text).ok());
                    if let Some(number) = text.and_then(|text| text.parse::<i64>().ok())
                        && number != 99_999_999
                        && !self.exact.contains(&number)
                    {
                        found("text", number);
                    }
                }
                // Longitudes are of a few degrees, east or west: the last byte of the number says so.
                0x40 | 0x3f | 0xc0 | 0xbf if name.ends_with("gpkg") && position >= 7 => {
                    if let Some(number) = bytes.get(position - 7..position + 9).and_then(|text| self.places.get(text)) {
                        found("place", *number);
                    }
                }
                _ => {}
            }
        }
    }

    /// Ids of the synthèse are small numbers: only whole values count.
    fn are_no_rows_of(&self, flow: &str, files: &Files) -> (i64, i64) {
        let exact: HashMap<i64, &Subject> = self
            .subjects
            .iter()
            .filter(|subject| subject.leaves_exactly)
            .map(|subject| (i64::from(subject.id_synthese), subject))
            .collect();
        let (mut left, mut blurred) = (0_i64, 0_i64);
        for line in std::str::from_utf8(&files["geojsonl"]).unwrap().lines() {
            let feature: serde_json::Value = serde_json::from_str(line).unwrap();
            let properties = &feature["properties"];
            match properties["id_synthese"].as_i64() {
                Some(id) => {
                    assert!(exact.contains_key(&id), "{flow}: record {id} leaves exactly");
                    left += 1;
                }
                None => {
                    assert_ne!(feature["geometry"]["type"], "Point", "{flow}: {line}");
                    assert!(
                        properties["rattachement_code"].is_string() && properties["floutage_dee"] == "Oui",
                        "{flow}: {line}"
                    );
                    blurred += 1;
                }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gpkg");
        std::fs::write(&path, &files["gpkg"]).unwrap();
        assert_eq!(in_geopackage(&path, flow), (left, blurred), "{flow}");
        (left, blurred)
    }
}

fn in_geopackage(path: &Path, table: &str) -> (i64, i64) {
    let sql = format!("SELECT count(id_synthese), count(*) - count(id_synthese) FROM \"{table}\"");
    let count = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    Connection::open(path).unwrap().query_row(&sql, [], count).unwrap()
}

/// What is compressed is the file beside it, so that a look at that one is enough.
fn is_compressed(files: &Files, name: &str) {
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(files[name].as_slice()).read_to_end(&mut text).unwrap();
    assert!(text == files[name.trim_end_matches(".gz")], "{name}");
}

async fn setting(seed: u64) -> Platform {
    let mut platform = Platform::empty().await;
    for sql in [SETUP, HARVESTS] {
        sqlx::raw_sql(sql).execute(platform.pool()).await.unwrap();
    }
    for (flow, territory) in FLOWS {
        if let Some(territory) = territory {
            std::fs::write(platform.folder.path().join(format!("{flow}.wkt")), territory).unwrap();
        }
        platform.apply(&agreement(flow, territory.is_some())).await;
    }
    for first in (1..=RECORDS_OF_A_RUN).step_by(1000) {
        run(platform.pool(), seed, RECORDS, first, None).await;
    }
    assert_eq!(run(platform.pool(), seed, PLANT, 0, None).await, RECORDS_OF_A_RUN as u64);
    assert!(run(platform.pool(), seed, WRITTEN, 0, None).await > 1_000);
    sqlx::raw_sql(OPINION).execute(platform.pool()).await.unwrap();
    sqlx::raw_sql("ANALYZE gn_synthese.synthese; ANALYZE gn_synthese.cor_area_synthese; ANALYZE passereau.written")
        .execute(platform.pool())
        .await
        .unwrap();
    platform.run_in_parts_of(2_000).await;
    platform
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_point_within_its_area_changes_no_byte_of_any_file() {
    // Another seed for each run: the message of a failure names it, and this variable brings it back.
    let seed = std::env::var("PASSEREAU_GATE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(rand::random::<u64>);
    println!("PASSEREAU_GATE_SEED={seed}");
    let platform = setting(seed).await;
    let before = all_delivered(&platform).await;
    let secrets = Secrets::of(subjects(&platform).await);
    let mut rows = BTreeMap::new();
    for ((flow, _), files) in FLOWS.iter().zip(&before) {
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        let expected = [
            "csv",
            "csv.gz",
            "geojson",
            "geojson.gz",
            "geojsonl",
            "geojsonl.gz",
            "gpkg",
            "json",
            "json.gz",
            "manifest.json",
        ];
        assert_eq!(names, expected, "{flow}");
        for (name, bytes) in files {
            if name.ends_with(".gz") {
                is_compressed(files, name);
            } else {
                secrets.are_not_in(&format!("{flow}.{name}"), bytes);
            }
        }
        rows.insert(*flow, secrets.are_no_rows_of(flow, files));
    }
    assert_eq!(rows["everywhere"].0, secrets.exact.len() as i64, "all that may leave exactly does");
    assert!(rows["everywhere"].1 > 1_000 && rows["held"].1 > 100 && rows["cut"].1 > 10, "{rows:?}");
    assert!(rows["site"].1 == 0 && rows["missed"] == (0, 0), "{rows:?}");
    let manifest: serde_json::Value = serde_json::from_slice(&before[0]["manifest.json"]).unwrap();
    assert_eq!(manifest["citations"].as_array().unwrap().len(), 1, "of the harvest that exact rows came from");

    // Everything that does not leave exactly moves, and a later harvest brings what GBIF has of it.
    for kind in ["level", "wish", "withheld"] {
        let moved = run(platform.pool(), seed, MOVE, 1, Some(kind)).await;
        assert!(moved > 300, "{moved} of kind {kind}");
        assert_eq!(run(platform.pool(), seed, PLANT, 1, Some(kind)).await, moved);
        assert!(run(platform.pool(), seed, WRITTEN, 1, Some(kind)).await > 20, "{kind}");
    }
    let after = all_delivered(&platform).await;
    for (((flow, _), before), after) in FLOWS.iter().zip(&before).zip(&after) {
        for (name, bytes) in before {
            assert!(*bytes == after[name], "seed {seed}, {flow}.{name}: {}", difference(bytes, &after[name]));
        }
        assert_eq!(before.len(), after.len(), "{flow}");
    }
    platform.bench.finish().await;
}

/// Where two files begin to differ, with what stands around.
fn difference(before: &[u8], after: &[u8]) -> String {
    let at = before.iter().zip(after).position(|(before, after)| before != after).unwrap_or_default();
    let around =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..bytes.len().min(at + 80)]).into_owned();
    format!("{} and {} bytes, at {at} {:?} and {:?}", before.len(), after.len(), around(before), around(after))
}
