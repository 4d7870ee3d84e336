//! The whole worker: schedules go in, messages come out of the queues; a retention is handled.

use std::{collections::BTreeSet, process::Stdio};

use chrono::{TimeDelta, Utc};
use passereau_broker::{Broker, BrokerConfig, Settled, queue_name, topology};
use passereau_contracts::RetentionRun;
use passereau_runner::fleet_topology;
use passereau_scheduler::{ScheduleConfig, Scheduler, SchedulerConfig};
use passereau_store::{ObjectKey, Store, StoreConfig};
use passereau_testing::{SOON, TestDatabase, WorkerBench, amqp_url, broker_prefix, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::{due, noon, without_retention};

fn config(folder: &TempDir) -> SchedulerConfig {
    let url = format!("file://{}/store", folder.path().display());
    let store = StoreConfig::new(url, folder.path().join("scratch"));
    SchedulerConfig { store, schedule: ScheduleConfig { schedule_look_s: 1 } }
}

/// How long a schedule has been due at [`noon`] that has by the clock of the servers been due for a day and a half. Its next time is then half
/// a day away, whenever the test runs.
fn missed() -> TimeDelta {
    noon() - (Utc::now() - TimeDelta::hours(36))
}

/// Schedulers as processes of their own, and the queues of everyone else.
struct Servers {
    database: TestDatabase,
    broker: Broker,
    prefix: String,
    folder: TempDir,
}

impl Servers {
    async fn start() -> Self {
        let (database, prefix) = (TestDatabase::migrated().await, broker_prefix());
        passereau_broker::install_crypto();
        let config = BrokerConfig { prefix: prefix.clone(), ..BrokerConfig::new(amqp_url()) };
        let broker = Broker::connect(&config, "test").await.unwrap();
        topology::apply(&broker, &fleet_topology(&prefix)).await.unwrap();
        without_retention(&database.pool).await;
        Self { database, broker, prefix, folder: tempfile::tempdir().unwrap() }
    }

    fn spawn(&self) -> Child {
        let config = config(&self.folder);
        Command::new(env!("CARGO_BIN_EXE_passereau-scheduler"))
            .args(["--database-url", &self.database.url, "--amqp-url", &amqp_url(), "--amqp-prefix", &self.prefix])
            .args(["--http-listen", "127.0.0.1:0", "--schedule-look-s", "1", "--store-url", &config.store.url])
            .arg("--scratch-dir")
            .arg(&config.store.scratch)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// The next so many different messages of a worker's queue: id and body.
    async fn received(&self, worker: &str, count: usize) -> Vec<(Uuid, Value)> {
        let mut consumer = self.broker.consumer(queue_name(&self.prefix, worker), 10);
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        while all.len() < count {
            let delivery = tokio::time::timeout(SOON, consumer.next()).await.unwrap().unwrap();
            let id = delivery.message.message_id.as_deref().unwrap().parse::<Uuid>().unwrap();
            let body = serde_json::from_slice(&delivery.message.body).unwrap();
            assert!(matches!(delivery.ack().await, Settled::Done));
            // A relay that is killed between the broker's word and its own commit sends again, under the same id.
            if seen.insert(id) {
                all.push((id, body));
            }
        }
        all
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.unwrap()
    }

    async fn finish(self) {
        topology::delete(&self.broker, &fleet_topology(&self.prefix)).await.unwrap();
        self.broker.close().await;
    }
}

#[tokio::test]
async fn a_subscriptions_harvest_is_asked_for_in_the_requesters_queue() {
    let servers = Servers::start().await;
    due(&servers.database.pool, "subscription:inaturalist", missed()).await;
    let _scheduler = servers.spawn();
    let received = servers.received("requester", 1).await;
    assert_eq!(received[0].1, json!({"subscription": "inaturalist", "archive": "archives/april.zip"}));
    assert_eq!(
        servers
            .count("SELECT count(*) FROM passereau.schedule WHERE last_fired_at IS NOT NULL AND next_at > now()")
            .await,
        1
    );
    servers.finish().await;
}

/// Killed in the middle of firing, three times; then two at once do the rest: each schedule sends one message.
#[tokio::test]
async fn schedulers_that_are_killed_lose_nothing_and_fire_nothing_twice() {
    const SCHEDULES: usize = 300;
    let servers = Servers::start().await;
    for number in 0..SCHEDULES {
        due(&servers.database.pool, &format!("flow:atlas-{number}"), missed()).await;
    }
    let fired = "SELECT count(*) FROM passereau.schedule WHERE last_fired_at IS NOT NULL";
    for _ in 0..3 {
        let before = servers.count(fired).await;
        let mut victim = servers.spawn();
        wait_until("a schedule that fires", SOON, async || {
            let now = servers.count(fired).await;
            (now > before || now == i64::try_from(SCHEDULES).unwrap()).then_some(())
        })
        .await;
        victim.kill().await.unwrap();
    }
    let _both = [servers.spawn(), servers.spawn()];
    let received = servers.received("exporter", SCHEDULES).await;
    let flows: BTreeSet<String> = received.iter().map(|(_, body)| body["flow"].as_str().unwrap().to_owned()).collect();
    assert_eq!(flows.len(), SCHEDULES, "as many flows as ids");
    wait_until("everything sent", SOON, async || {
        (servers.count("SELECT count(*) FROM passereau.outbox").await == 0).then_some(())
    })
    .await;
    assert_eq!(servers.count("SELECT count(*) FROM passereau.schedule WHERE next_at > now()").await, 300);
    servers.finish().await;
}

/// Puts an archive of a harvest that was cancelled so long ago into a store.
async fn expired(bench: &WorkerBench, store: &Store, folder: &TempDir) -> ObjectKey {
    let key = ObjectKey::parse("archives/0000001-200101000000000.zip").unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"12345").unwrap();
    store.put_file(&key, &file).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO passereau.subscription (name, request) VALUES ('old', '{}');
         INSERT INTO passereau.harvest (id, subscription, state, request, request_digest, download_key, finished_at)
         VALUES (gen_random_uuid(), 'old', 'cancelled', '{}', '', '0000001-200101000000000', now() - interval '31 days')",
    )
    .execute(bench.pool())
    .await
    .unwrap();
    key
}

#[tokio::test]
async fn the_retention_takes_away_what_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let store = Store::open(&config.store).unwrap();
    let mut bench = WorkerBench::new().await;
    let key = expired(&bench, &store, &folder).await;
    bench.run(Scheduler::new(&config).unwrap()).await;
    wait_until("the archive gone", SOON, async || store.head(&key).await.unwrap().is_none().then_some(())).await;
    let handled = wait_until("the message handled", SOON, async || {
        sqlx::query_scalar::<_, Uuid>("SELECT message_id FROM passereau.inbox WHERE consumer = 'scheduler'")
            .fetch_optional(bench.pool())
            .await
            .unwrap()
    })
    .await;
    assert_eq!(handled.get_version_num(), 5);
    let runs: Vec<(bool, Option<String>)> =
        sqlx::query_as("SELECT finished_at IS NOT NULL, error FROM passereau.retention_run")
            .fetch_all(bench.pool())
            .await
            .unwrap();
    assert_eq!(runs, [(true, None)]);
    bench.finish().await;
}

/// While somebody runs it by hand the message waits; then it is handled.
#[tokio::test]
async fn a_retention_that_another_process_is_at_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let mut bench = WorkerBench::new().await;
    without_retention(bench.pool()).await;
    sqlx::raw_sql("INSERT INTO passereau.claim VALUES ('retention', 7, now() + interval '1 hour')")
        .execute(bench.pool())
        .await
        .unwrap();
    bench.run(Scheduler::new(&config).unwrap()).await;
    bench.send(&RetentionRun {}).await;
    bench.waits("retention.run", 1.0).await;
    let runs: i64 =
        sqlx::query_scalar("SELECT count(*) FROM passereau.retention_run").fetch_one(bench.pool()).await.unwrap();
    assert_eq!(runs, 0);
    sqlx::raw_sql("UPDATE passereau.claim SET expires_at = '-infinity'; UPDATE passereau.outbox SET due_at = now()")
        .execute(bench.pool())
        .await
        .unwrap();
    wait_until("the run", SOON, async || {
        sqlx::query_scalar::<_, i64>("SELECT id FROM passereau.retention_run WHERE finished_at IS NOT NULL")
            .fetch_optional(bench.pool())
            .await
            .unwrap()
    })
    .await;
    bench.finish().await;
}

/// What is not taken away is named, and tried again an hour later.
#[tokio::test]
async fn a_retention_that_is_not_done_whole_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let mut bench = WorkerBench::new().await;
    sqlx::raw_sql("ALTER FUNCTION passereau.expired_archives(text[]) RENAME TO expired_archives_away")
        .execute(bench.pool())
        .await
        .unwrap();
    let store = Store::open(&config.store).unwrap();
    expired(&bench, &store, &folder).await;
    bench.run(Scheduler::new(&config).unwrap()).await;
    bench.waits("retention.run", TimeDelta::minutes(50).as_seconds_f64()).await;
    let error: String =
        sqlx::query_scalar("SELECT error FROM passereau.retention_run").fetch_one(bench.pool()).await.unwrap();
    assert!(error.contains("expired_archives"), "{error}");
    bench.finish().await;
}
