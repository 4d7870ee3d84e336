//! SIGKILL at any moment: the version that can be fetched is whole, and the delivery goes on.

use std::process::Stdio;

use passereau_contracts::FlowDeliver;
use passereau_testing::{SOON, amqp_url, wait_until};
use tokio::process::{Child, Command};

use crate::platform::Platform;

impl Platform {
    fn spawn(&self) -> Child {
        let config = self.config();
        Command::new(env!("CARGO_BIN_EXE_passereau-exporter"))
            .args(["--database-url", &self.bench.database.url, "--amqp-url", &amqp_url()])
            .args(["--amqp-prefix", self.bench.prefix(), "--http-listen", "127.0.0.1:0", "--export-part-rows", "1"])
            .args(["--store-url", &config.store.url, "--scratch-dir"])
            .arg(&config.store.scratch)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// The version that can be fetched, if there is one: every file that its row names is there and whole.
    async fn assert_whole(&self) {
        let files: Vec<(String, i64, String)> = sqlx::query_as(
            "SELECT f.value ->> 'key', (f.value ->> 'size_bytes')::bigint, f.value ->> 'sha256'
             FROM passereau.delivery d, jsonb_each(d.files) f WHERE d.state = 'delivered' AND d.erased_at IS NULL",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        for (key, size_bytes, sha256) in files {
            let bytes = self.read(&key);
            assert_eq!(bytes.len() as i64, size_bytes, "{key}");
            assert_eq!(sha256_of(&bytes), sha256, "{key}");
        }
    }
}

/// After so many kills the delivery may end.
const MOST_KILLS: u32 = 5;

fn sha256_of(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exporter_killed_after_each_step_ends_its_delivery_and_no_reader_sees_a_part_of_it() {
    let platform = Platform::new().await;
    platform.apply_with("\"csv\", \"json\", \"geojson\", \"geojsonl\", \"gpkg\"", "\"csv\", \"gpkg\"").await;
    // Many short steps, so that a kill meets one wherever the machine's speed puts it.
    platform.records(40, "0").await;
    // None of them so short that all are done before the test has looked often enough.
    let slow = "CREATE FUNCTION public.be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
                CREATE TRIGGER be_slow BEFORE UPDATE ON passereau.delivery
                    FOR EACH ROW EXECUTE FUNCTION public.be_slow()";
    sqlx::raw_sql(slow).execute(platform.pool()).await.unwrap();
    let id = platform.bench.send(&FlowDeliver { flow: "atlas".into() }).await;
    let mut seen = (0, 0);
    let mut kills = 0;
    let mut exporter = platform.spawn();
    let state = wait_until("the end of the delivery", SOON * 10, async || {
        platform.assert_whole().await;
        let row: Option<(String, i32, i64)> = sqlx::query_as(
            "SELECT state, parts, (SELECT count(*) FROM jsonb_object_keys(files)) FROM passereau.delivery WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(platform.pool())
        .await
        .unwrap();
        let (state, parts, files) = row?;
        if state == "delivered" {
            return Some(state);
        }
        // A step was done since the last kill.
        if (parts, files) != seen && kills < MOST_KILLS {
            seen = (parts, files);
            exporter.start_kill().unwrap();
            exporter.wait().await.unwrap();
            kills += 1;
            // The claim of the killed one runs out by itself; the test need not wait for it.
            sqlx::query("UPDATE passereau.claim SET expires_at = '-infinity'").execute(platform.pool()).await.unwrap();
            exporter = platform.spawn();
        }
        None
    })
    .await;
    assert_eq!(state, "delivered");
    assert_eq!(kills, MOST_KILLS, "the delivery ended before it could be disturbed so often");
    platform.assert_whole().await;
    let manifest = platform.manifest().await;
    assert_eq!(manifest.rows, 53);
    let text = String::from_utf8(platform.read(&manifest.files["csv"].key)).unwrap();
    assert_eq!(text.lines().count(), 54, "no row is missing and none is there twice");
    drop(exporter);
    platform.bench.finish().await;
}
