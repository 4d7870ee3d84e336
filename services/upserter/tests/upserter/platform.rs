//! A platform with our source and index, and records landed by hand.

use std::ops::Deref;

use passereau_testing::TestDatabase;
use passereau_upserter::functions;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, types::Uuid};

/// A dataset that GeoNature knows.
pub const DATASET: &str = "00000000-0000-4000-8000-00000000d001";
/// Another one.
pub const OTHER_DATASET: &str = "00000000-0000-4000-8000-00000000d002";

/// The dataset of iNaturalist at GBIF, which GeoNature knows.
pub const INATURALIST: &str = "50c9509d-22c7-4a22-a47d-8c48425ef4a7";

/// A record to land.
#[derive(Clone)]
pub struct Record {
    columns: Value,
    unhashed: Value,
}

impl Record {
    /// Sets a column.
    pub fn with(mut self, column: &str, value: Value) -> Self {
        self.columns[column] = value;
        self
    }

    /// Sets a column that is no part of the content.
    pub fn with_unhashed(mut self, column: &str, value: Value) -> Self {
        self.unhashed[column] = value;
        self
    }
}

/// A record that enters.
pub fn record(gbif_id: i64) -> Record {
    Record {
        columns: json!({
            "gbif_id": gbif_id, "date_start": "2021-05-01T00:00:00", "event_date": "2021-05-01",
            "references": format!("https://www.gbif.org/occurrence/{gbif_id}"), "basis_of_record": "HUMAN_OBSERVATION",
            "recorded_by": "A. Nonyme", "identified_by": "B. Nonyme", "individual_count": 4,
            "occurrence_status": "PRESENT", "verbatim_locality": "Grenoble", "decimal_latitude": 45.18,
            "decimal_longitude": 5.72, "coordinate_uncertainty_in_meters": 12.5, "scientific_name": "Parus major Linnaeus, 1758",
            "dataset_key": DATASET, "taxon_key": "9705453", "verbatim_scientific_name": "Parus major", "license": "CC_BY_4_0",
        }),
        unhashed: json!({}),
    }
}

/// What a harvest came to.
#[derive(Debug, sqlx::FromRow)]
pub struct Counts {
    pub landed: i64,
    pub inserted: i64,
    pub updated: i64,
    pub unchanged: i64,
    pub rejected: i64,
    pub kept: i64,
    pub vanished: i64,
}

/// A GeoNature that `passereau install` has prepared.
pub struct Platform {
    database: TestDatabase,
}

impl Deref for Platform {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.database
    }
}

impl Platform {
    /// A database that is prepared already.
    pub fn of(database: TestDatabase) -> Self {
        Self { database }
    }

    pub async fn new() -> Self {
        let platform = Self { database: TestDatabase::migrated().await };
        platform
            .execute(
                "INSERT INTO gn_synthese.t_sources (name_source, url_source)
                 VALUES ('GBIF', 'https://www.gbif.org/occurrence') ON CONFLICT DO NOTHING;
                 DO $$ BEGIN EXECUTE (SELECT format('CREATE UNIQUE INDEX of_gbif ON gn_synthese.synthese
                     (id_source, entity_source_pk_value) WHERE id_source = %s', id_source)
                     FROM gn_synthese.t_sources WHERE name_source = 'GBIF'); END $$;
                 INSERT INTO taxonomie.taxref (cd_nom, cd_ref, lb_nom, nom_complet)
                 VALUES (700001, 700001, 'Parus major', 'Parus major Linnaeus, 1758');
                 INSERT INTO taxonomie.taxref_liens (ct_name, ct_type, cd_nom, ct_sp_id) VALUES ('GBIF', 'x', 700001, '9705453')",
            )
            .await;
        for key in [DATASET, OTHER_DATASET] {
            passereau_testing::seed_dataset(&platform.pool, key.parse().unwrap(), key).await.unwrap();
        }
        platform
    }

    /// The database alone, for a worker's process.
    pub fn into_database(self) -> TestDatabase {
        self.database
    }

    pub async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.unwrap();
    }

    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.pool).await.unwrap()
    }

    /// What the settings of a request do, for the subscription's next harvests.
    pub async fn decide(&self, subscription: &str, settings: Value) {
        sqlx::query(
            "INSERT INTO passereau.subscription (name, request, settings) VALUES ($1, '{}', $2)
             ON CONFLICT (name) DO UPDATE SET settings = excluded.settings",
        )
        .bind(subscription)
        .bind(settings)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// What the upserter does when it looks out: converts what is due again, and returns it with the reasons.
    pub async fn look_out(&self) -> Vec<(Counts, String)> {
        let mut done = Vec::new();
        for due in passereau_harvest::due_reconversions(&self.pool).await.unwrap() {
            let mut tx = self.pool.begin().await.unwrap();
            let harvest = passereau_harvest::reconvert(&mut tx, &due.subscription, &due.why).await.unwrap().unwrap();
            tx.commit().await.unwrap();
            done.push((self.run(harvest).await, due.why));
        }
        done
    }

    /// The rejects there are, as (gbif_id, reason).
    pub async fn rejects(&self) -> Vec<(i64, String)> {
        sqlx::query_as("SELECT gbif_id, reason FROM pinv_gbif.reject ORDER BY 1").fetch_all(&self.pool).await.unwrap()
    }

    /// What the loader does: a generation with these records, and a harvest that is to be planned.
    pub async fn land(&self, subscription: &str, records: &[Record]) -> Uuid {
        let harvest = Uuid::new_v4();
        let columns: Vec<Value> = records.iter().map(|record| record.columns.clone()).collect();
        let unhashed: Vec<Value> = records.iter().map(|record| record.unhashed.clone()).collect();
        sqlx::query("INSERT INTO passereau.subscription (name, request) VALUES ($1, '{}') ON CONFLICT DO NOTHING")
            .bind(subscription)
            .execute(&self.pool)
            .await
            .unwrap();
        let generation: i64 = sqlx::query_scalar(
            "INSERT INTO pinv_gbif.generation (subscription, harvest_id, archive_key, state, read, landed)
             VALUES ($1, $2, 'key', 'landed', $3, $3) RETURNING id",
        )
        .bind(subscription)
        .bind(harvest)
        .bind(i64::try_from(records.len()).unwrap())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO passereau.harvest (id, subscription, state, request, request_digest, settings, generation_id, read, landed)
             SELECT g.harvest_id, g.subscription, 'planning', '{}', '', s.settings, g.id, g.read, g.landed
             FROM pinv_gbif.generation g JOIN passereau.subscription s ON s.name = g.subscription WHERE g.id = $1",
        )
        .bind(generation)
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query("SELECT pinv_gbif.begin_generation($1)").bind(generation).execute(&self.pool).await.unwrap();
        sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO pinv_gbif.occurrence_{generation}
             SELECT r.* FROM unnest($1::jsonb[], $2::jsonb[]) AS t (columns, unhashed),
                  jsonb_populate_record(NULL::pinv_gbif.occurrence, t.columns || t.unhashed
                      || jsonb_build_object('generation_id', {generation}, 'content_hash', md5(t.columns::text))) r"
        )))
        .bind(columns)
        .bind(unhashed)
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query("SELECT pinv_gbif.complete_generation($1)").bind(generation).execute(&self.pool).await.unwrap();
        harvest
    }

    /// The same from a download that GBIF says is whole: only then can records vanish. `predicate` is what was asked.
    pub async fn land_whole(&self, subscription: &str, predicate: &str, records: &[Record]) -> Uuid {
        let harvest = self.land(subscription, records).await;
        sqlx::query("UPDATE pinv_gbif.generation SET complete = true WHERE harvest_id = $1")
            .bind(harvest)
            .execute(&self.pool)
            .await
            .unwrap();
        sqlx::query("UPDATE passereau.harvest SET request = $2 WHERE id = $1")
            .bind(harvest)
            .bind(json!({"query": {"predicate": {"type": "equals", "key": "DATASET_KEY", "value": predicate}}}))
            .execute(&self.pool)
            .await
            .unwrap();
        harvest
    }

    /// The same from a download that was cut short.
    pub async fn land_cut(&self, subscription: &str, predicate: &str, records: &[Record]) -> Uuid {
        let harvest = self.land_whole(subscription, predicate, records).await;
        sqlx::query("UPDATE pinv_gbif.generation SET complete = false WHERE harvest_id = $1")
            .bind(harvest)
            .execute(&self.pool)
            .await
            .unwrap();
        harvest
    }

    /// Plans a harvest whole; why it waits for approval, if it does.
    pub async fn plan(&self, harvest: Uuid) -> Option<String> {
        while !functions::plan(&self.pool, harvest, 1000).await.unwrap().done {}
        functions::awaits_approval(&self.pool, harvest).await.unwrap()
    }

    /// What the plan of a harvest is, for people.
    pub async fn summary(&self, harvest: Uuid) -> Value {
        sqlx::query_scalar("SELECT plan_summary FROM passereau.harvest WHERE id = $1")
            .bind(harvest)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// One column of the synthèse's row of a record, as text.
    pub async fn value(&self, gbif_id: i64, column: &str) -> Option<String> {
        sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT ({column})::text FROM gn_synthese.synthese WHERE entity_source_pk_value = '{gbif_id}'"
        )))
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The records that stand in the synthèse, in the order of their numbers.
    pub async fn standing(&self) -> Vec<i64> {
        sqlx::query_scalar(
            "SELECT entity_source_pk_value::bigint FROM gn_synthese.synthese WHERE entity_source_pk_value ~ '^[0-9]+$' ORDER BY 1",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    pub async fn run(&self, harvest: Uuid) -> Counts {
        self.run_in_chunks(harvest, 1000).await
    }

    /// From the plan to the end.
    pub async fn run_in_chunks(&self, harvest: Uuid, records: i32) -> Counts {
        let slices = loop {
            let chunk = functions::plan(&self.pool, harvest, records).await.unwrap();
            if chunk.done {
                break chunk.slices.unwrap();
            }
        };
        for slice in 0..slices {
            functions::apply(&self.pool, harvest, slice).await.unwrap();
        }
        functions::finish(&self.pool, harvest).await.unwrap();
        sqlx::query_as(
            "UPDATE passereau.harvest SET state = 'completed' WHERE id = $1
             RETURNING landed, inserted, updated, unchanged, rejected, kept, vanished",
        )
        .bind(harvest)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// Changes with every row version of the synthèse and of its areas.
    pub async fn fingerprint(&self) -> String {
        sqlx::query_scalar(
            "SELECT (SELECT string_agg(xmin::text || ctid::text, ' ' ORDER BY id_synthese) FROM gn_synthese.synthese)
                 || (SELECT COALESCE(string_agg(xmin::text || ctid::text, ' ' ORDER BY id_synthese, id_area), '') FROM gn_synthese.cor_area_synthese)",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The row versions of the areas of each record.
    pub async fn areas(&self) -> Vec<(String, String)> {
        let areas: Vec<(String, String)> = sqlx::query_as(
            "SELECT s.entity_source_pk_value, string_agg(c.xmin::text || ':' || c.id_area, ' ' ORDER BY c.id_area)
             FROM gn_synthese.synthese s JOIN gn_synthese.cor_area_synthese c USING (id_synthese) GROUP BY 1 ORDER BY 1",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        assert!(!areas.is_empty(), "the seeded areas cover the records");
        areas
    }

    /// The permanent identifiers in the synthèse, by gbif_id.
    pub async fn uuids(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT unique_id_sinp::text FROM gn_synthese.synthese ORDER BY entity_source_pk_value::bigint",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

/// SQLSTATE of an error.
pub fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned()).unwrap_or_default()
}
