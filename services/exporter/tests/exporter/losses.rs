//! What is lost, broken or left: parts and files in the store, connections, rows that no file can hold.

use passereau_contracts::FlowDeliver;
use passereau_exporter::Exporter;
use passereau_testing::{SOON, wait_until};
use uuid::Uuid;

use crate::platform::Platform;

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Platform {
    /// Has an exporter look out once.
    pub async fn tidied(&self) {
        let exporter = Exporter::new(&self.config()).unwrap();
        passereau_runner::Worker::look_out(&exporter, self.pool()).await.unwrap();
    }

    /// A delivery whose rows are read, into one part that a test has in the store, or has not.
    async fn read_into(&self, rows: i64, sha256: &str) -> Uuid {
        let id = self.bench.send(&FlowDeliver { flow: "atlas".into() }).await;
        sqlx::query(
            "INSERT INTO passereau.delivery (id, asked_by, flow, flow_version, state, read_at, cursor, rows, parts, digest, folder)
             VALUES ($1, $1, 'atlas', 1, 'writing', now(), 0, $2, 1, 'digest', '20261129T020000Z-0123456789ab')",
        )
        .bind(id)
        .bind(rows)
        .execute(self.pool())
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO passereau.delivery_part VALUES ($1, 0, 'flow-parts/atlas/' || $1 || '/000000', $2, $3)",
        )
        .bind(id)
        .bind(rows)
        .bind(sha256)
        .execute(self.pool())
        .await
        .unwrap();
        id
    }

    /// Something in the store.
    fn put(&self, key: &str) {
        let path = self.store_folder().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    /// Runs, and waits until the delivery has failed for this reason and its message has made another one.
    async fn begins_again(&mut self, id: Uuid, because: &str) {
        self.run().await;
        let (state, reason) = self.ended(id).await;
        assert_eq!(state, "failed");
        let reason = reason.unwrap();
        assert!(reason.contains(because), "{reason}");
        wait_until("the delivery that follows", SOON, async || {
            let delivered: Option<i64> = sqlx::query_scalar(
                "SELECT rows FROM passereau.delivery WHERE asked_by = $1 AND id <> $1 AND state = 'delivered'",
            )
            .bind(id)
            .fetch_optional(self.pool())
            .await
            .unwrap();
            delivered.filter(|rows| *rows == 13)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_whose_part_is_lost_are_read_again() {
    let mut platform = Platform::new().await;
    let id = platform.read_into(13, EMPTY).await;
    platform.begins_again(id, "part 0 of the delivery of flow atlas is not what was read").await;
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_whose_part_is_another_one_are_read_again() {
    let mut platform = Platform::new().await;
    let id = platform.read_into(0, &"0".repeat(64)).await;
    platform.put(&format!("flow-parts/atlas/{id}/000000"));
    platform.begins_again(id, "its SHA-256 is another one").await;
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_other_rows_than_were_read_is_not_published() {
    let mut platform = Platform::new().await;
    let id = platform.read_into(13, EMPTY).await;
    platform.put(&format!("flow-parts/atlas/{id}/000000"));
    platform.begins_again(id, "the csv of flow atlas has 0 rows, but 13 were read").await;
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_were_lost_are_made_again_though_nothing_has_changed() {
    let mut platform = Platform::new().await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    for lost in ["gpkg", "manifest"] {
        let manifest = platform.manifest().await;
        let beside = format!("flows/atlas/{}/manifest.json", manifest.version);
        let key = manifest.files.get(lost).map_or(beside, |file| file.key.clone());
        std::fs::remove_file(platform.store_folder().join(key)).unwrap();
        assert_eq!(platform.deliver().await.0, "delivered", "{lost}");
        assert_ne!(platform.manifest().await.version, manifest.version);
    }
    assert_eq!(platform.deliver().await.0, "unchanged");
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_in_the_store_but_versions_and_what_is_being_made() {
    let mut platform = Platform::new().await;
    platform.run().await;
    assert_eq!(platform.deliver().await.0, "delivered");
    let version = platform.manifest().await.version;
    // A part that was stored and never noted, files of a delivery that failed while they were written, and those of a version that was no longer
    // offered when its exporter was killed.
    for (state, folder, key) in [
        ("failed", "", "flow-parts/atlas/0192aaaa-0000-7000-8000-000000000001/000003"),
        ("failed", "20200101T000000Z-aaaaaaaaaaaa", "flows/atlas/20200101T000000Z-aaaaaaaaaaaa/atlas.csv"),
        ("delivered", "20200101T000000Z-bbbbbbbbbbbb", "flows/atlas/20200101T000000Z-bbbbbbbbbbbb/atlas.csv"),
    ] {
        sqlx::query(
            "INSERT INTO passereau.delivery (id, flow, flow_version, state, folder, finished_at, erased_at)
             VALUES (gen_random_uuid(), 'atlas', 1, $1, NULLIF($2, ''), '2020-01-01', CASE WHEN $1 = 'delivered' THEN now() END)",
        )
        .bind(state)
        .bind(folder)
        .execute(platform.pool())
        .await
        .unwrap();
        platform.put(key);
    }
    // What is being made.
    let being_made: Uuid = sqlx::query_scalar(
        "INSERT INTO passereau.delivery (id, flow, flow_version, state, folder, read_at)
         VALUES (gen_random_uuid(), 'atlas', 1, 'writing', '20261129T020000Z-cccccccccccc', now()) RETURNING id",
    )
    .fetch_one(platform.pool())
    .await
    .unwrap();
    let mut stay =
        [format!("flow-parts/atlas/{being_made}/000000"), "flows/atlas/20261129T020000Z-cccccccccccc/atlas.csv".into()];
    stay.sort();
    stay.iter().for_each(|key| platform.put(key));
    platform.tidied().await;
    let others: Vec<String> =
        platform.objects("").into_iter().filter(|key| !key.starts_with(&format!("flows/atlas/{version}/"))).collect();
    assert_eq!(others, stay);
    assert_eq!(platform.objects(&format!("flows/atlas/{version}")).len(), 10);
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_the_store_does_not_take_leaves_every_connection_in_order() {
    let mut platform = Platform::new().await;
    platform.put("flow-parts");
    platform.run().await;
    let id = platform.bench.send(&FlowDeliver { flow: "atlas".into() }).await;
    let error = platform.bench.dead_letter().await;
    assert!(error.contains("flow-parts"), "{error}");
    std::fs::remove_file(platform.store_folder().join("flow-parts")).unwrap();
    sqlx::query("UPDATE passereau.delivery SET worked_at = now() - interval '31 minutes' WHERE id = $1")
        .bind(id)
        .execute(platform.pool())
        .await
        .unwrap();
    assert_eq!(platform.deliver().await, ("delivered".into(), None));
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_runs_into_its_limit_ends_the_delivery() {
    let mut platform = Platform::new().await;
    let mut config = platform.config();
    config.export.export_snapshot_s = 1;
    let mut tx = platform.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE gn_synthese.synthese").execute(&mut *tx).await.unwrap();
    platform.bench.run(Exporter::new(&config).unwrap()).await;
    let (state, reason) = platform.deliver().await;
    assert_eq!(state, "failed");
    assert!(reason.unwrap().contains("took longer than 1 s"));
    tx.rollback().await.unwrap();
    platform.bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_no_file_can_hold_is_told_by_its_record_and_only_where_that_leaves_exactly() {
    let mut platform = Platform::new().await;
    // A trigger of GeoNature's would give those that change another level.
    sqlx::raw_sql("ALTER TABLE gn_synthese.synthese DISABLE TRIGGER USER").execute(platform.pool()).await.unwrap();
    platform.run().await;
    for (level, is_told) in [("0", true), ("2", false)] {
        let id: i32 = sqlx::query_scalar(
            "UPDATE gn_synthese.synthese SET date_min = '0044-03-15 BC'
             WHERE id_synthese = (SELECT max(id_synthese) FROM gn_synthese.synthese
                                  WHERE id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE', $1))
             RETURNING id_synthese",
        )
        .bind(level)
        .fetch_one(platform.pool())
        .await
        .unwrap();
        let (state, reason) = platform.deliver().await;
        assert_eq!(state, "failed");
        let reason = reason.unwrap();
        assert!(reason.contains("column `date_debut`"), "{reason}");
        assert_eq!(reason.contains(&format!("record {id} of gn_synthese.synthese")), is_told, "{reason}");
        assert!(!reason.contains("0044"), "{reason}");
        sqlx::query("UPDATE gn_synthese.synthese SET date_min = date_max").execute(platform.pool()).await.unwrap();
    }
    platform.bench.finish().await;
}
