//! A platform with a few records and one flow.

use std::{num::NonZeroU32, path::PathBuf};

use passereau_contracts::FlowDeliver;
use passereau_exporter::{ExportConfig, Exporter, ExporterConfig, Manifest};
use passereau_flow::Document;
use passereau_store::StoreConfig;
use passereau_testing::{SOON, SeedTaxon, TestDatabase, WorkerBench, seed_dataset, seed_taxa, wait_until};
use sqlx::{PgPool, types::Json};
use tempfile::TempDir;
use uuid::Uuid;

/// The exact place of the sensitive records, as the files of a flow would write it, and in Lambert 93.
pub const SECRET_PLACE: (&str, &str) = ("903123", "6503456");
/// What a sensitive record's every free text says.
pub const SECRET: &str = "sous le grand chêne du Bois Clair";

const AGREEMENT: &str = r#"
name = "atlas"
structure = "Association"
formats = ["csv", "json", "geojson", "geojsonl", "gpkg"]
period = "P1M"
ends_on = 2099-12-31
in_return = "records"
keep = 2
technical_manager = { name = "Camille", email = "camille@example.org" }
studies = [{ name = "Atlas", nature = "atlas" }]
territory = { description = "Isère" }
licences = { allowed = ["CC-BY-4.0"], own = "CC-BY-4.0" }
"#;

pub struct Platform {
    pub bench: WorkerBench,
    pub folder: TempDir,
}

impl Platform {
    /// Ten records that leave exactly, three that leave as a mesh of ten kilometres, one that does not leave.
    pub async fn new() -> Self {
        let platform = Self::empty().await;
        platform.records(10, "0").await;
        platform.records(3, "2").await;
        platform.records(1, "4").await;
        platform.apply(AGREEMENT).await;
        platform
    }

    /// Two taxa and a dataset.
    pub async fn empty() -> Self {
        let database = TestDatabase::migrated().await;
        let taxon = |cd_nom: i32, name: &str, class: &str, order: &str, family: &str| SeedTaxon {
            gbif_key: cd_nom.to_string(),
            scientific_name: format!("{name} (Linnaeus, 1758)"),
            canonical_name: name.into(),
            kingdom: "Animalia".into(),
            class: class.into(),
            order: order.into(),
            family: family.into(),
            rank: "SPECIES".into(),
            cd_nom,
            cd_ref: cd_nom,
            ..SeedTaxon::default()
        };
        let taxa = [
            taxon(4001, "Erithacus rubecula", "Aves", "Passeriformes", "Muscicapidae"),
            taxon(65133, "Libellula depressa", "Insecta", "Odonata", "Libellulidae"),
        ];
        seed_taxa(&database.pool, &taxa).await.unwrap();
        seed_dataset(&database.pool, Uuid::from_u128(1), "Suivi de la mare").await.unwrap();
        Self { bench: WorkerBench::on(database).await, folder: tempfile::tempdir().unwrap() }
    }

    pub fn pool(&self) -> &PgPool {
        self.bench.pool()
    }

    /// Records of a level, all at one place, with the secret in every text when they are sensitive.
    pub async fn records(&self, count: i32, level: &str) {
        sqlx::query(
            "WITH made AS (
                 INSERT INTO gn_synthese.synthese (unique_id_sinp, id_source, id_dataset, cd_nom, nom_cite, date_min, date_max, observers, place_name,
                     comment_description, digital_proof, the_geom_local, the_geom_4326, altitude_min, altitude_max)
                 SELECT gen_random_uuid(), (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = 'Import'),
                        (SELECT id_dataset FROM gn_meta.t_datasets WHERE unique_dataset_id = $3), 4001, CASE WHEN $2 = '0' THEN 'Rougegorge' ELSE $4 END,
                        '2026-05-03 10:20:30', '2026-05-03 10:20:30', 'Camille Dupont', CASE WHEN $2 = '0' THEN '=1+1' ELSE $4 END, CASE WHEN $2 <> '0' THEN $4 END,
                        CASE WHEN $2 <> '0' THEN $4 END, p.place, ST_Transform(p.place, 4326), 777, 777
                 FROM generate_series(1, $1), (SELECT ST_SetSRID(ST_MakePoint($5::float8, $6::float8), 2154) AS place) p RETURNING id_synthese)
             UPDATE gn_synthese.synthese s SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', $2)
             FROM made WHERE false",
        )
        .bind(count)
        .bind(level)
        .bind(Uuid::from_u128(1))
        .bind(SECRET)
        .bind(SECRET_PLACE.0)
        .bind(SECRET_PLACE.1)
        .execute(self.pool())
        .await
        .unwrap();
        // GeoNature's trigger has given each row the level of the rules: this test gives its own.
        sqlx::query(
            "UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', $1)
             WHERE id_synthese IN (SELECT id_synthese FROM gn_synthese.synthese ORDER BY id_synthese DESC LIMIT $2)",
        )
        .bind(level)
        .bind(i64::from(count))
        .execute(self.pool())
        .await
        .unwrap();
    }

    pub async fn apply(&self, agreement: &str) {
        let document = Document::parse(agreement, self.folder.path().to_owned(), chrono::Utc::now())
            .unwrap_or_else(|problems| panic!("{}", passereau_flow::in_lines(&problems)));
        passereau_flow::apply(self.pool(), &document, "the data manager", chrono::Utc::now()).await.unwrap();
    }

    /// The agreement with a part of it replaced.
    pub async fn apply_with(&self, old: &str, new: &str) {
        assert!(AGREEMENT.contains(old));
        self.apply(&AGREEMENT.replace(old, new)).await;
    }

    pub fn store_folder(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub fn config(&self) -> ExporterConfig {
        ExporterConfig {
            store: StoreConfig::new(
                format!("file://{}", self.store_folder().display()),
                self.folder.path().join("scratch"),
            ),
            export: ExportConfig { export_part_rows: NonZeroU32::new(4).unwrap(), export_snapshot_s: 60 },
        }
    }

    pub async fn run(&mut self) {
        self.run_in_parts_of(4).await;
    }

    pub async fn run_in_parts_of(&mut self, rows: u32) {
        let mut config = self.config();
        config.export.export_part_rows = NonZeroU32::new(rows).unwrap();
        let exporter = Exporter::new(&config).unwrap();
        self.bench.run(exporter).await;
    }

    /// Runs an exporter that waits for no file and reads one part in a handling: whatever is made takes longer than a handling.
    pub async fn run_short(&mut self) {
        let mut config = self.config();
        config.export.export_snapshot_s = 240;
        let exporter = Exporter::new(&config).unwrap().with_longest_wait(std::time::Duration::ZERO);
        self.bench.run(exporter).await;
    }

    /// How often messages were handled.
    pub async fn handlings(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM passereau.inbox WHERE consumer = 'exporter'")
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// Asks for a delivery and waits for its end: state and reason.
    pub async fn deliver(&self) -> (String, Option<String>) {
        let id = self.bench.send(&FlowDeliver { flow: "atlas".into() }).await;
        self.ended(id).await
    }

    pub async fn ended(&self, id: Uuid) -> (String, Option<String>) {
        wait_until("the end of the delivery", SOON, async || {
            sqlx::query_as(
                "SELECT state, reason FROM passereau.delivery WHERE id = $1 AND state NOT IN ('reading', 'writing')",
            )
            .bind(id)
            .fetch_optional(self.pool())
            .await
            .unwrap()
        })
        .await
    }

    /// The manifest of the version that is fetched now.
    pub async fn manifest(&self) -> Manifest {
        let Json(manifest) = sqlx::query_scalar::<_, Json<Manifest>>(
            "SELECT manifest FROM passereau.delivery WHERE state = 'delivered' ORDER BY finished_at DESC LIMIT 1",
        )
        .fetch_one(self.pool())
        .await
        .unwrap();
        manifest
    }

    pub async fn events(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT state FROM passereau.delivery ORDER BY requested_at")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    pub fn read(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.store_folder().join(key)).unwrap()
    }

    /// Keys of all objects below a folder of the store.
    pub fn objects(&self, below: &str) -> Vec<String> {
        fn walk(folder: &std::path::Path, root: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), root, found);
                } else if let Ok(key) = entry.path().strip_prefix(root) {
                    found.push(key.display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.store_folder().join(below), &self.store_folder(), &mut found);
        found.sort();
        found
    }
}
