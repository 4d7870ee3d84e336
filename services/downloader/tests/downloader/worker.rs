//! The whole worker: an `archive.fetch` message goes in, an archive and an `archive.load` message come out.

use std::collections::BTreeMap;
use std::time::Duration;

use passereau_broker::{Broker, BrokerConfig, Consumer, Settled, queue_name, topology};
use passereau_contracts::{ArchiveFetch, Message};
use passereau_database::DatabaseConfig;
use passereau_database::outbox::{Exchange, OutboxRow, enqueue};
use passereau_downloader::{Downloader, DownloaderConfig, FetchConfig};
use passereau_gbif::GbifConfig;
use passereau_harvest::{Harvest, NewHarvest, State, find, start};
use passereau_runner::{Process, ProcessConfig, RetryConfig, fleet_topology, replay_dead};
use passereau_store::{ObjectKey, Store};
use passereau_telemetry::{HttpListenConfig, ListenAddress, LogConfig};
use passereau_testing::{TestDatabase, amqp_url, broker_prefix, wait_until};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fetch::{archive, http, store};
use crate::file_host::{Asked, Fault, FileHost, KEY};

const SOON: Duration = Duration::from_secs(30);

struct Fleet {
    database: TestDatabase,
    broker: Broker,
    prefix: String,
    host: FileHost,
    store: Store,
    harvest_id: Uuid,
    shutdown: CancellationToken,
    process: JoinHandle<()>,
    _folder: TempDir,
}

impl Fleet {
    /// A downloader, and one harvest that waits for it.
    async fn start(host: FileHost, announced_bytes: Option<i64>, fetch: FetchConfig) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), host, announced_bytes, fetch).await
    }

    /// The same with a store that holds something already.
    async fn start_in(folder: TempDir, host: FileHost, announced_bytes: Option<i64>, fetch: FetchConfig) -> Self {
        Self::go_on(folder, host, announced_bytes, fetch, Uuid::now_v7(), None).await
    }

    /// The same with a harvest whose archive of so many bytes was fetched and `verified` in an earlier delivery.
    async fn go_on(
        folder: TempDir,
        host: FileHost,
        announced_bytes: Option<i64>,
        fetch: FetchConfig,
        harvest_id: Uuid,
        verified_bytes: Option<i64>,
    ) -> Self {
        let database = TestDatabase::migrated().await;
        let prefix = broker_prefix();
        let config = BrokerConfig { prefix: prefix.clone(), ..BrokerConfig::new(amqp_url()) };
        passereau_broker::install_crypto();
        let broker = Broker::connect(&config, "test").await.unwrap();
        topology::apply(&broker, &fleet_topology(&prefix)).await.unwrap();

        let mut tx = database.pool.begin().await.unwrap();
        let new = NewHarvest {
            settings: None,
            id: harvest_id,
            subscription: Some("test".to_owned()),
            request: serde_json::json!({ "download_key": KEY }),
            digest: "digest".to_owned(),
            state: State::Fetching,
            account: None,
            download_key: Some(KEY.to_owned()),
            archive_key: None,
            joins: false,
            plan_only: false,
        };
        start(&mut tx, &new).await.unwrap();
        sqlx::query(
            "INSERT INTO passereau.download (harvest_id, account, body, key, size_bytes) VALUES ($1, '', '{}', $2, $3)",
        )
        .bind(harvest_id)
        .bind(KEY)
        .bind(announced_bytes)
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO passereau.fetch (harvest_id, size_bytes, part_bytes, verified) SELECT $1, size, size, true
             FROM unnest($2::bigint[]) AS size",
        )
        .bind(harvest_id)
        .bind(Vec::from_iter(verified_bytes))
        .execute(&mut *tx)
        .await
        .unwrap();
        let row = OutboxRow {
            id: Uuid::now_v7(),
            exchange: Exchange::Work,
            routing_key: ArchiveFetch::KIND.to_owned(),
            version: 1,
            body: serde_json::to_value(ArchiveFetch { harvest_id }).unwrap(),
            raw: None,
            headers: BTreeMap::new(),
            harvest_id: Some(harvest_id),
            attempt: 0,
            due_at: None,
        };
        enqueue(&mut tx, &[row]).await.unwrap();
        tx.commit().await.unwrap();

        let worker = DownloaderConfig {
            store: store(&folder),
            http: http(),
            gbif: GbifConfig::new(host.base.parse().unwrap(), "somebody", "secret"),
            limits: passereau_dwca::Limits::default(),
            fetch,
        };
        let process = ProcessConfig {
            database: DatabaseConfig { connections: 4, ..DatabaseConfig::new(database.url.clone()) },
            broker: config,
            http: HttpListenConfig { listen: ListenAddress::Off },
            log: LogConfig::default(),
            retry: RetryConfig { initial_ms: 20, max_ms: 50 },
            concurrency: 1,
            grace_seconds: 10,
            resend_seconds: 600,
            silent_seconds: 300,
            state_read_seconds: 15,
        };
        let mut running = Process::start("downloader", &process).await.unwrap();
        running.work(Downloader::new(&worker).unwrap());
        let shutdown = running.shutdown();
        let process = tokio::spawn(async move { running.run().await.unwrap() });
        let store = Store::open(&worker.store).unwrap();
        Self { database, broker, prefix, host, store, harvest_id, shutdown, process, _folder: folder }
    }

    async fn harvest(&self) -> Harvest {
        find(&self.database.pool, self.harvest_id).await.unwrap().unwrap()
    }

    async fn harvest_in(&self, state: State) -> Harvest {
        let what = format!("the harvest {state}");
        wait_until(&what, SOON, async || Some(self.harvest().await).filter(|harvest| harvest.state == state)).await
    }

    async fn next_of(&self, worker: &str) -> String {
        let mut consumer: Consumer = self.broker.consumer(queue_name(&self.prefix, worker), 1);
        let delivery = tokio::time::timeout(SOON, consumer.next()).await.unwrap().unwrap();
        let kind = delivery.message.kind.clone().unwrap_or_default();
        assert!(matches!(delivery.ack().await, Settled::Done));
        kind
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.process.await.unwrap();
        topology::delete(&self.broker, &fleet_topology(&self.prefix)).await.unwrap();
        self.broker.close().await;
    }
}

fn small_parts() -> FetchConfig {
    FetchConfig { fetch_part_bytes: 1_000, ..FetchConfig::default() }
}

#[tokio::test]
async fn a_finished_download_becomes_an_archive_and_the_loader_is_told() {
    let body = archive();
    let size = i64::try_from(body.len()).unwrap();
    let host = FileHost::start(body).await;
    // One broken connection and one busy server on the way: attempts, not failures.
    host.set(|script| script.faults.extend([Fault::Cut(10), Fault::Status(503, &[])]));
    let fleet = Fleet::start(host, Some(size), small_parts()).await;
    let harvest = fleet.harvest_in(State::Loading).await;
    assert_eq!(fleet.next_of("loader").await, "archive.load");
    let key = ObjectKey::parse(&format!("archives/{KEY}.zip")).unwrap();
    assert_eq!(harvest.archive_key.as_deref(), Some(key.as_str()));
    assert_eq!(harvest.archive_bytes, Some(size));
    let stored = fleet.store.digest(&key).await.unwrap();
    assert_eq!(harvest.archive_sha256, Some(stored.sha256));
    assert_eq!(fleet.store.list("").await.unwrap(), [(key, stored.size_bytes)], "the parts are gone");
    assert!(fleet.host.asked().iter().all(|asked: &Asked| !asked.authorized), "credentials stay at GBIF's API");
    fleet.stop().await;
}

#[tokio::test]
async fn a_corrupt_archive_is_fetched_twice_and_then_named() {
    let mut body = archive();
    body[500] ^= 1;
    let fleet = Fleet::start(FileHost::start(body).await, None, FetchConfig::default()).await;
    let harvest = fleet.harvest_in(State::Failed).await;
    let reason = harvest.reason.unwrap();
    assert!(reason.contains("corrupt, fetched twice") && reason.contains("changed predicate"), "{reason}");
    assert_eq!(fleet.host.asked().len(), 2);
    assert_eq!(fleet.store.list("archives").await.unwrap(), [], "a corrupt archive is never visible");
    let (dead, id): (String, Uuid) =
        sqlx::query_as("SELECT reason, id FROM passereau.dead_letter").fetch_one(&fleet.database.pool).await.unwrap();
    assert_eq!(dead, "rejected");
    // The server was mended: a replay fetches what is there now, not what was.
    fleet.host.set(|script| script.body = archive());
    replay_dead(&fleet.database.pool, id).await.unwrap();
    fleet.harvest_in(State::Loading).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_waited_for_at_no_cost() {
    let host = FileHost::start(archive()).await;
    host.set(|script| script.gbif_status = 404);
    let fleet = Fleet::start(host, None, FetchConfig::default()).await;
    let pool = fleet.database.pool.clone();
    let (attempt, wait_s): (i32, f64) = wait_until("the snoozed message", SOON, async || {
        sqlx::query_as(
            "SELECT attempt, extract(epoch FROM due_at - now())::double precision FROM passereau.outbox WHERE due_at > now()",
        )
        .fetch_optional(&pool)
        .await
        .unwrap()
    })
    .await;
    assert_eq!(attempt, 0);
    assert!((20.0..=31.0).contains(&wait_s), "{wait_s}");
    assert_eq!(fleet.harvest().await.state, State::Fetching);
    fleet.stop().await;
}

#[tokio::test]
async fn a_file_that_never_comes_or_was_erased_fails_the_harvest_with_advice() {
    let impatient = FetchConfig { fetch_patience_s: 0, ..FetchConfig::default() };
    for (status, advice) in [(404, "check the key"), (410, "submit the request again")] {
        let host = FileHost::start(archive()).await;
        host.set(|script| script.gbif_status = status);
        let fleet = Fleet::start(host, None, impatient.clone()).await;
        let reason = fleet.harvest_in(State::Failed).await.reason.unwrap();
        assert!(reason.contains(advice) && reason.contains("GBIF's words"), "{reason}");
        fleet.stop().await;
    }
}

#[tokio::test]
async fn an_archive_without_room_waits_at_no_cost_and_no_byte_is_asked_for() {
    let body = archive();
    let size = i64::try_from(body.len()).unwrap();
    let full = FetchConfig { fetch_reserve_bytes: u64::MAX, ..FetchConfig::default() };
    let fleet = Fleet::start(FileHost::start(body).await, Some(size), full).await;
    let pool = fleet.database.pool.clone();
    let (attempt, wait_s): (i32, f64) = wait_until("the snoozed message", SOON, async || {
        sqlx::query_as(
            "SELECT attempt, extract(epoch FROM due_at - now())::double precision FROM passereau.outbox WHERE due_at > now()",
        )
        .fetch_optional(&pool)
        .await
        .unwrap()
    })
    .await;
    assert_eq!(attempt, 0);
    assert!((600.0..=901.0).contains(&wait_s), "{wait_s}");
    assert_eq!(fleet.host.asked(), []);
    assert_eq!(fleet.store.list("").await.unwrap(), []);
    assert_eq!(fleet.harvest().await.state, State::Fetching);
    fleet.stop().await;
}

/// As after a kill between the moment the archive became visible and the commit that says so.
#[tokio::test]
async fn an_archive_that_is_there_already_is_not_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let before = Store::open(&store(&folder)).unwrap();
    let key = ObjectKey::parse(&format!("archives/{KEY}.zip")).unwrap();
    let path = folder.path().join("archive.zip");
    std::fs::write(&path, archive()).unwrap();
    let stored = before.put_file(&key, &path).await.unwrap();
    let fleet = Fleet::start_in(folder, FileHost::start(archive()).await, None, FetchConfig::default()).await;
    let harvest = fleet.harvest_in(State::Loading).await;
    assert_eq!(harvest.archive_sha256, Some(stored.sha256));
    assert_eq!(fleet.host.asked(), []);
    fleet.stop().await;
}

/// GBIF cuts long transfers again and again (<https://github.com/gbif/portal-feedback/issues/3086>).
#[tokio::test]
async fn more_cuts_than_attempts_do_not_matter_while_parts_come() {
    let body = archive();
    let parts = body.len().div_ceil(100);
    let host = FileHost::start(body.clone()).await;
    let fine = Fault::Replace(body, "\"a\"");
    host.set(|script| script.faults.extend((0..9).flat_map(|_| [fine.clone(), Fault::Cut(10)])));
    let many = FetchConfig { fetch_part_bytes: 100, ..FetchConfig::default() };
    let fleet = Fleet::start(host, None, many).await;
    fleet.harvest_in(State::Loading).await;
    assert_eq!(fleet.host.asked().len(), parts + 9);
    let (handled, dead): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM passereau.inbox), (SELECT count(*) FROM passereau.dead_letter)")
            .fetch_one(&fleet.database.pool)
            .await
            .unwrap();
    assert_eq!((handled, dead), (10, 0), "each cut ended a delivery");
    fleet.stop().await;
}

/// The second file is the first one that is corrupt.
#[tokio::test]
async fn a_file_that_changed_and_then_is_corrupt_is_still_fetched_again() {
    let good = archive();
    let mut damaged = good.clone();
    damaged[500] ^= 1;
    let parts = good.len().div_ceil(1_000);
    let host = FileHost::start(good.clone()).await;
    host.set(|script| {
        script.faults.push_back(Fault::Replace(good.clone(), "\"a\""));
        // One answer that tells of the change, then every part of the new file.
        script.faults.extend(std::iter::repeat_n(Fault::Replace(damaged, "\"b\""), 1 + parts));
        script.faults.push_back(Fault::Replace(good, "\"c\""));
    });
    let fleet = Fleet::start(host, None, small_parts()).await;
    fleet.harvest_in(State::Loading).await;
    assert_eq!(fleet.host.asked().len(), 2 + 2 * parts);
    fleet.stop().await;
}

/// As after a delivery that ended between the check and the archive: neither GBIF nor the check is needed again.
#[tokio::test]
async fn what_was_fetched_and_checked_is_only_published() {
    let folder = tempfile::tempdir().unwrap();
    let before = Store::open(&store(&folder)).unwrap();
    let harvest_id = Uuid::now_v7();
    let path = folder.path().join("part");
    std::fs::write(&path, b"no zip: a second check would refuse it").unwrap();
    let part = before.put_file(&ObjectKey::parse(&format!("parts/{harvest_id}/000000")).unwrap(), &path).await.unwrap();
    let host = FileHost::start(archive()).await;
    host.set(|script| script.gbif_status = 410);
    let size = i64::try_from(part.size_bytes).unwrap();
    let fleet = Fleet::go_on(folder, host, None, FetchConfig::default(), harvest_id, Some(size)).await;
    let harvest = fleet.harvest_in(State::Loading).await;
    assert_eq!(harvest.archive_sha256, Some(part.sha256));
    let left = fleet.store.list("").await.unwrap();
    assert_eq!(left.len(), 1, "the parts are gone: {left:?}");
    fleet.stop().await;
}
