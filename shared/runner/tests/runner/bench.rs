//! A process with one worker whose outcomes the test decides.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use passereau_broker::{Broker, Exchange, Outgoing, topology};
use passereau_contracts::{ArchiveLoad, LoaderTask, Message};
use passereau_harvest::{NewHarvest, Started, State};
use passereau_runner::{Context, Done, Outcome, Process, ProcessConfig, Stop, Worker, fleet_topology};
use passereau_telemetry::{Metrics, RecordOutcome, Stage, catalogue};
use passereau_testing::{TestDatabase, wait_until};
use serde_json::json;
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for two loaded cores; nothing is ever waited out in full.
pub const SOON: Duration = Duration::from_secs(30);

/// What the worker does with a delivery.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes its effect.
    Work,
    Snooze(Duration),
    Retry(&'static str),
    Reject(&'static str),
    Panic,
    /// Waits for the shutdown, then comes back at a boundary.
    UntilShutdown,
    /// Waits until the test lets it go on, then writes its effect.
    UntilReleased,
    /// The same while it keeps other copies out.
    ClaimedUntilReleased,
}

/// The worker under test. It takes the loader's queue.
#[derive(Clone, Default)]
pub struct Probe {
    pub steps: Arc<Mutex<VecDeque<Step>>>,
    pub attempts: Arc<Mutex<Vec<i32>>>,
    pub started: Arc<Notify>,
    pub released: Arc<Notify>,
    pub max_attempts: Arc<AtomicI32>,
    /// The harvest whose every message breaks the handler.
    pub poison: Arc<Mutex<Option<Uuid>>>,
}

impl Worker for Probe {
    const NAME: &'static str = "loader";
    type Task = LoaderTask;

    fn max_attempts(&self) -> i32 {
        self.max_attempts.load(Ordering::Relaxed)
    }

    fn observes(&self) -> bool {
        true
    }

    async fn observe(&self, pool: &PgPool, metrics: &Metrics) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let effects: i32 = sqlx::query_scalar("SELECT count(*)::integer FROM effect").fetch_one(pool).await?;
        metrics.show_one(&catalogue::UPSERT_OPEN, f64::from(effects));
        Ok(())
    }

    async fn handle(&self, context: &Context, task: LoaderTask) -> Outcome {
        self.attempts.lock().unwrap().push(context.attempt());
        self.started.notify_one();
        let poisoned = *self.poison.lock().unwrap() == Some(task.0.harvest_id);
        assert!(!poisoned, "this message is poison");
        let step = self.steps.lock().unwrap().pop_front().unwrap_or(Step::Work);
        let mut claim = None;
        match step {
            Step::Work => {}
            Step::Snooze(after) => return Err(Stop::snooze(after, "the test says so")),
            Step::Retry(error) => return Err(Stop::retry(error)),
            Step::Reject(reason) => return Err(Stop::reject(reason)),
            Step::Panic => panic!("out of cheese"),
            Step::UntilReleased => self.released.notified().await,
            Step::ClaimedUntilReleased => {
                claim = Some(context.claim(&format!("test {}", task.0.harvest_id)).await?);
                self.released.notified().await;
            }
            Step::UntilShutdown => {
                context.shutdown().cancelled().await;
                return Err(Stop::snooze(Duration::ZERO, "shutdown"));
            }
        }
        let mut tx = context.begin().await?;
        if let Some(claim) = claim {
            claim.release(&mut tx).await?;
        }
        sqlx::query("INSERT INTO effect VALUES ($1)").bind(task.0.harvest_id).execute(&mut *tx).await?;
        Ok(Done::with(tx).count(|metrics| metrics.records(Stage::Landed, RecordOutcome::Landed, 10)))
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    process: ProcessConfig,
}

/// A fleet of one worker.
pub struct Bench {
    pub database: TestDatabase,
    pub probe: Probe,
    pub broker: Broker,
    pub config: ProcessConfig,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    http: Option<SocketAddr>,
}

impl Bench {
    pub async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::start_with(steps, |_| ()).await
    }

    /// With other settings. A message that was sent counts as handled by somebody for ten minutes unless a test says otherwise: its second
    /// copy would take a step that is meant for another message.
    pub async fn start_with(steps: impl IntoIterator<Item = Step>, adjust: impl FnOnce(&mut ProcessConfig)) -> Self {
        let database = TestDatabase::migrated().await;
        sqlx::query("CREATE TABLE effect (harvest_id uuid)").execute(&database.pool).await.unwrap();
        let prefix = passereau_testing::broker_prefix();
        let mut config = Cli::parse_from([
            "test",
            "--database-url",
            &database.url,
            "--amqp-url",
            &passereau_testing::amqp_url(),
            "--amqp-prefix",
            &prefix,
            "--http-listen",
            "127.0.0.1:0",
            "--retry-initial-ms",
            "5",
            "--concurrency",
            "2",
            "--silent-seconds",
            "1",
            "--state-read-seconds",
            "1",
            "--amqp-reconnect-min-delay-ms",
            "10",
            "--amqp-reconnect-max-delay-ms",
            "100",
        ])
        .process;
        passereau_broker::install_crypto();
        let broker = Broker::connect(&config.broker, "test").await.unwrap();
        topology::apply(&broker, &fleet_topology(&prefix)).await.unwrap();
        // The test's own connection is not adjusted: it reaches RabbitMQ also where its process does not.
        adjust(&mut config);
        let probe = Probe::default();
        probe.max_attempts.store(3, Ordering::Relaxed);
        probe.steps.lock().unwrap().extend(steps);
        let mut bench = Self { database, probe, broker, config, running: None, http: None };
        bench.run().await;
        bench
    }

    /// Starts the process (again).
    pub async fn run(&mut self) {
        let mut process = Process::start("loader", &self.config).await.unwrap();
        process.work(self.probe.clone());
        self.http = process.http_address();
        let shutdown = process.shutdown();
        let task = tokio::spawn(async move { process.run().await.unwrap() });
        self.running = Some((shutdown, task));
    }

    /// Ends the process as SIGTERM does.
    pub async fn stop(&mut self) {
        if let Some((shutdown, task)) = self.running.take() {
            shutdown.cancel();
            task.await.unwrap();
        }
    }

    pub async fn finish(mut self) {
        self.stop().await;
        topology::delete(&self.broker, &fleet_topology(self.broker.prefix())).await.unwrap();
        self.broker.close().await;
    }

    /// A harvest that is loading.
    pub async fn harvest(&self) -> Uuid {
        self.harvest_of(None).await
    }

    /// The same, of a subscription.
    pub async fn harvest_of(&self, subscription: Option<&str>) -> Uuid {
        let id = Uuid::now_v7();
        let new = NewHarvest {
            settings: None,
            id,
            subscription: subscription.map(Into::into),
            request: json!({"archive": "archives/test.zip"}),
            digest: id.to_string(),
            joins: false,
            plan_only: false,
            state: State::Loading,
            account: None,
            download_key: None,
            archive_key: Some("archives/test.zip".into()),
        };
        let mut tx = self.database.pool.begin().await.unwrap();
        assert_eq!(passereau_harvest::start(&mut tx, &new).await.unwrap(), Started::New(id));
        tx.commit().await.unwrap();
        id
    }

    pub fn message(&self, harvest_id: Uuid) -> Outgoing {
        Outgoing {
            message_id: Uuid::now_v7(),
            exchange: Exchange::Work,
            routing_key: ArchiveLoad::KIND.into(),
            kind: ArchiveLoad::KIND.into(),
            version: 1,
            correlation_id: Some(harvest_id),
            headers: Default::default(),
            body: serde_json::to_vec(&ArchiveLoad { harvest_id }).unwrap(),
            mandatory: true,
        }
    }

    /// Publishes as the relay does.
    pub async fn publish(&self, message: Outgoing) {
        passereau_testing::note_as_sent(&self.database.pool, &message).await;
        self.publish_as_stranger(message).await;
    }

    /// Publishes past the outbox, as anyone may who has the broker's password.
    pub async fn publish_as_stranger(&self, message: Outgoing) {
        for (_, answer) in self.broker.publisher().publish(vec![message]).await {
            answer.unwrap();
        }
    }

    /// What `/readyz` answers: the whole response.
    pub async fn readyz(&self) -> String {
        self.asked("/readyz").await
    }

    pub async fn healthz(&self) -> String {
        self.asked("/healthz").await
    }

    /// What `/metrics` shows: the whole response.
    pub async fn metrics(&self) -> String {
        self.asked("/metrics").await
    }

    async fn asked(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.http.unwrap()).await.unwrap();
        let question = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub async fn effects(&self, harvest_id: Uuid) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM effect WHERE harvest_id = $1")
            .bind(harvest_id)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    pub async fn worked(&self, harvest_id: Uuid) {
        wait_until("the effect", SOON, async || (self.effects(harvest_id).await > 0).then_some(())).await;
    }

    /// Waits for the dead letter of a harvest; its reason and error.
    pub async fn dead_letter(&self, harvest_id: Option<Uuid>) -> (Uuid, String, String) {
        wait_until("a dead letter", SOON, async || {
            sqlx::query_as(
                "SELECT id, reason, error FROM passereau.dead_letter
                 WHERE harvest_id IS NOT DISTINCT FROM $1 AND state = 'waiting'",
            )
            .bind(harvest_id)
            .fetch_optional(&self.database.pool)
            .await
            .unwrap()
        })
        .await
    }

    pub async fn state(&self, harvest_id: Uuid) -> State {
        passereau_harvest::find(&self.database.pool, harvest_id).await.unwrap().unwrap().state
    }

    pub fn attempts(&self) -> Vec<i32> {
        self.probe.attempts.lock().unwrap().clone()
    }
}
