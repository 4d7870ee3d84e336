//! A platform with a few records, and what its flow says of them.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use passereau_gate::{Field, Query, Selection, Tally, rows};
use passereau_testing::{SeedTaxon, TestDatabase, seed_dataset, seed_taxa};
use serde_json::{Value, json};
use sqlx::Acquire;
use uuid::Uuid;

/// In mesh M10 E090N650 (900 to 910 km, 6500 to 6510 km), M5 E0900N6500, a commune of 900 to 912 km and department 38.
pub const INSIDE: &str = "SRID=2154;POINT(903000 6503000)";
pub const M10: &str = "10kmL93E090N650";
/// The box of that mesh.
pub const MESH: &str =
    "SRID=2154;POLYGON((900000 6500000,910000 6500000,910000 6510000,900000 6510000,900000 6500000))";
/// A site of two kilometres around [`INSIDE`].
pub const SITE: &str =
    "SRID=2154;POLYGON((902000 6502000,904000 6502000,904000 6504000,902000 6504000,902000 6502000))";

pub const DATASET: Uuid = Uuid::from_u128(0x4000_8000_0000_0000_0001);
pub const KEY: [u8; 32] = [7; 32];

/// Names of taxa of the seeds: an insect and a bird.
pub const INSECT: i32 = 65_133;
pub const BIRD: i32 = 4_001;

#[derive(Debug)]
pub struct Platform {
    pub database: TestDatabase,
}

/// What a flow gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub exact: String,
    pub blurred: String,
    pub tally: Vec<Tally>,
    fields: Vec<&'static str>,
}

/// A row of it.
#[derive(Clone, Debug)]
pub struct Left {
    pub id_synthese: Option<i32>,
    pub id: Option<String>,
    pub geometry: Option<String>,
    pub level: String,
    pub area_type: Option<String>,
    pub licence: String,
    pub harvest: Option<String>,
    pub values: BTreeMap<&'static str, Option<String>>,
}

impl Left {
    pub fn value(&self, field: &str) -> Option<&str> {
        self.values.get(field).expect("field").as_deref()
    }
}

impl Output {
    fn read(&self, text: &str) -> Vec<Left> {
        rows(text, self.fields.len())
            .map(|row| {
                let row = row.expect("row");
                let values = self.fields.iter().copied().zip(row.values().map(|value| value.map(Into::into))).collect();
                Left {
                    id_synthese: row.id_synthese,
                    id: row.id.map(str::to_owned),
                    geometry: row.geometry.map(str::to_owned),
                    level: row.level.to_string(),
                    area_type: row.area_type.clone().map(Into::into),
                    licence: row.licence.to_string(),
                    harvest: row.harvest.map(str::to_owned),
                    values,
                }
            })
            .collect()
    }

    pub fn exact(&self) -> Vec<Left> {
        self.read(&self.exact)
    }

    pub fn blurred(&self) -> Vec<Left> {
        self.read(&self.blurred)
    }

    /// The only row of all, which leaves as an area.
    pub fn one_blurred(&self) -> Left {
        assert_eq!(self.exact, "");
        let mut rows = self.blurred();
        assert_eq!(rows.len(), 1, "{rows:#?}");
        rows.remove(0)
    }

    /// The only row of all, which leaves exactly.
    pub fn one_exact(&self) -> Left {
        assert_eq!(self.blurred, "");
        let mut rows = self.exact();
        assert_eq!(rows.len(), 1, "{rows:#?}");
        rows.remove(0)
    }

    /// Nothing left; how many were withheld for each reason.
    pub fn withheld(&self) -> Vec<(String, i64)> {
        assert_eq!((self.exact.as_str(), self.blurred.as_str()), ("", ""));
        assert!(self.tally.iter().all(|row| row.outcome == "withheld"), "{:#?}", self.tally);
        self.tally.iter().map(|row| (row.reason.clone().expect("reason"), row.records)).collect()
    }

    /// Records of an outcome.
    pub fn count(&self, outcome: &str) -> i64 {
        self.tally.iter().filter(|row| row.outcome == outcome).map(|row| row.records).sum()
    }
}

/// A selection of flow `atlas`, everywhere.
pub fn everything() -> Selection {
    Selection {
        flow: "atlas".into(),
        version: 1,
        licences: ["CC0-1.0", "CC-BY-4.0"].map(str::to_owned).into(),
        own_licence: Some("CC-BY-4.0".into()),
        ..Selection::default()
    }
}

/// The same in its territory.
pub fn in_territory() -> Selection {
    Selection { has_territory: true, ..everything() }
}

impl Platform {
    pub async fn new() -> Self {
        let database = TestDatabase::migrated().await;
        let taxon = |cd_nom: i32, name: &str, class: &str, order: &str, family: &str| SeedTaxon {
            gbif_key: cd_nom.to_string(),
            scientific_name: format!("{name} (Linnaeus, 1758)"),
            canonical_name: name.into(),
            kingdom: "Animalia".into(),
            phylum: "Chordata".into(),
            class: class.into(),
            order: order.into(),
            family: family.into(),
            rank: "SPECIES".into(),
            cd_nom,
            cd_ref: cd_nom,
            ..SeedTaxon::default()
        };
        let taxa = [
            taxon(INSECT, "Libellula depressa", "Insecta", "Odonata", "Libellulidae"),
            taxon(BIRD, "Erithacus rubecula", "Aves", "Passeriformes", "Muscicapidae"),
        ];
        seed_taxa(&database.pool, &taxa).await.expect("taxa");
        seed_dataset(&database.pool, DATASET, "Étude de la mare aux fées").await.expect("dataset");
        let platform = Self { database };
        platform
            .execute(
                "INSERT INTO gn_synthese.t_sources (name_source) SELECT 'GBIF'
                 WHERE NOT EXISTS (SELECT FROM gn_synthese.t_sources WHERE name_source = 'GBIF')",
            )
            .await;
        platform.flow("atlas", None).await;
        platform
    }

    pub async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.database.pool).await.expect(sql);
    }

    /// Makes a flow, or changes its territory.
    pub async fn flow(&self, name: &str, territory: Option<&str>) {
        sqlx::query(
            "INSERT INTO passereau.flow (name, agreement, territory, key, applied_by) VALUES ($1, '{}', $2::geometry, $3, 'test')
             ON CONFLICT (name) DO UPDATE SET territory = EXCLUDED.territory",
        )
        .bind(name)
        .bind(territory)
        .bind(&KEY[..])
        .execute(&self.database.pool)
        .await
        .expect("flow");
    }

    /// A level or a wish beside those of the standard.
    pub async fn nomenclature(&self, of: &str, code: &str, label: Option<&str>) {
        sqlx::query(
            "INSERT INTO ref_nomenclatures.t_nomenclatures (id_type, cd_nomenclature, mnemonique, label_default, label_fr, source, statut, hierarchy, active)
             SELECT id_type, $2, 'x', COALESCE($3, ''), $3, 'test', 'Validé', '999.' || $2, true FROM ref_nomenclatures.bib_nomenclatures_types WHERE mnemonique = $1",
        )
        .bind(of)
        .bind(code)
        .bind(label)
        .execute(&self.database.pool)
        .await
        .expect("nomenclature");
    }

    /// A record of this level (none: NULL) with these columns beside what every record has.
    pub async fn record(&self, level: Option<&str>, columns: Value) -> i32 {
        self.wished(level, None, columns).await
    }

    /// A record of this level and wish.
    pub async fn wished(&self, level: Option<&str>, wish: Option<&str>, columns: Value) -> i32 {
        let mut record = json!({
            "unique_id_sinp": Uuid::new_v4(), "the_geom_local": INSIDE, "cd_nom": INSECT, "nom_cite": "Libellule déprimée",
            "date_min": "2026-05-03T10:20:30", "date_max": "2026-05-03T10:20:30", "observers": "Camille Dupont"
        });
        let all = record.as_object_mut().expect("object");
        let source = columns.get("source").and_then(Value::as_str).unwrap_or("Import").to_owned();
        all.extend(columns.as_object().expect("object").clone().into_iter().filter(|(name, _)| name != "source"));
        let names = all.keys().cloned().collect::<Vec<_>>().join(", ");
        let sql = format!(
            "INSERT INTO gn_synthese.synthese ({names}, id_source, id_dataset, the_geom_4326)
             SELECT {names}, (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = $2),
                    (SELECT id_dataset FROM gn_meta.t_datasets WHERE unique_dataset_id = $3), ST_Transform(the_geom_local, 4326)
             FROM jsonb_populate_record(NULL::gn_synthese.synthese, $1) RETURNING id_synthese"
        );
        let id: i32 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(record)
            .bind(source)
            .bind(DATASET)
            .fetch_one(&self.database.pool)
            .await
            .expect("record");
        // What GeoNature has computed from its rules gives way to what the test says.
        sqlx::query(
            "UPDATE gn_synthese.synthese SET id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', $2),
                    id_nomenclature_diffusion_level = ref_nomenclatures.get_id_nomenclature('NIV_PRECIS', $3) WHERE id_synthese = $1",
        )
        .bind(id)
        .bind(level)
        .bind(wish)
        .execute(&self.database.pool)
        .await
        .expect("level");
        id
    }

    /// All that a selection gives, with every field.
    pub async fn gate(&self, selection: &Selection) -> Output {
        self.gate_with(selection, Field::all().iter().collect()).await.expect("gate")
    }

    pub async fn gate_with(&self, selection: &Selection, fields: Vec<&'static Field>) -> Result<Output, sqlx::Error> {
        let query = Query::new(selection.clone(), fields);
        let mut connection = self.database.pool.acquire().await?;
        let mut tx = connection.begin().await?;
        query.begin(&mut tx).await?;
        let names = query.fields().iter().map(|field| field.name).collect();
        let exact = copy(&mut tx, &query.exact_rows(i32::MIN, 1_000_000).0).await?;
        let blurred = copy(&mut tx, &query.blurred_rows().0).await?;
        let tally = query.tally(&mut tx).await?;
        Ok(Output { exact, blurred, tally, fields: names })
    }
}

pub async fn copy(connection: &mut sqlx::PgConnection, sql: &str) -> Result<String, sqlx::Error> {
    let mut text = Vec::new();
    let mut stream = connection.copy_out_raw(sql).await?;
    while let Some(chunk) = stream.try_next().await? {
        text.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(text).expect("UTF-8"))
}
