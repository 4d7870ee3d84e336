//! A process with one real worker, against a sandbox, its own database and its own corner of the broker. Used by the tests
//! of the workers that talk to GBIF or iNaturalist.

#![expect(clippy::unwrap_used, reason = "a test helper: the failure is the test's")]

use clap::Parser;
use passereau_broker::{Broker, Exchange, Outgoing, topology};
use passereau_contracts::Message;
use passereau_harvest::{Harvest, NewHarvest, Started, State};
use passereau_runner::{Process, ProcessConfig, Worker, fleet_topology};
use passereau_sandbox::generate::{GenerateOptions, generate};
use passereau_sandbox::{Pace, Sandbox, SandboxConfig};
use serde_json::Value;
use sqlx::PgPool;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{TestDatabase, amqp_url, broker_prefix, wait_until};

/// Long enough for two loaded cores; nothing is ever waited out in full.
pub const SOON: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    process: ProcessConfig,
}

/// The surroundings of one test. Its functions panic where a test cannot go on.
#[derive(Debug)]
pub struct WorkerBench {
    /// Its database.
    pub database: TestDatabase,
    /// Its GBIF and iNaturalist.
    pub sandbox: Sandbox,
    broker: Broker,
    config: ProcessConfig,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    /// Holds the archive; it goes away with the bench, in whichever way the test ends.
    _folder: TempDir,
}

impl WorkerBench {
    /// A sandbox with one small archive; no worker yet.
    pub async fn new() -> Self {
        Self::on(TestDatabase::migrated().await).await
    }

    /// The same over a database that a test has prepared.
    pub async fn on(database: TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("archive.zip");
        let file = archive.clone();
        tokio::task::spawn_blocking(move || generate(&GenerateOptions { records: 50, seed: 1, revision: 1 }, &file))
            .await
            .unwrap()
            .unwrap();
        let sandbox = SandboxConfig {
            archives: vec![archive],
            pace: Pace::Polls { preparing: 2, running: 1 },
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(sandbox).await.unwrap();
        let prefix = broker_prefix();
        let amqp_url = amqp_url();
        let arguments = [
            "test",
            "--database-url",
            &database.url,
            "--amqp-url",
            &amqp_url,
            "--amqp-prefix",
            &prefix,
            "--http-listen",
            "127.0.0.1:0",
            "--retry-initial-ms",
            "5",
            "--concurrency",
            "1",
        ];
        let config = Cli::parse_from(arguments).process;
        passereau_broker::install_crypto();
        let broker = Broker::connect(&config.broker, "test").await.unwrap();
        topology::apply(&broker, &fleet_topology(&prefix)).await.unwrap();
        Self { database, sandbox, broker, config, running: None, _folder: folder }
    }

    /// Starts the worker's process.
    pub async fn run<W: Worker>(&mut self, worker: W) {
        let mut process = Process::start(W::NAME, &self.config).await.unwrap();
        process.work(worker);
        let shutdown = process.shutdown();
        let task = tokio::spawn(async move { process.run().await.unwrap() });
        self.running = Some((shutdown, task));
    }

    /// Ends the worker in good order and cleans up.
    pub async fn finish(mut self) {
        if let Some((shutdown, task)) = self.running.take() {
            shutdown.cancel();
            task.await.unwrap();
        }
        topology::delete(&self.broker, &fleet_topology(self.broker.prefix())).await.unwrap();
        self.broker.close().await;
    }

    /// Connections to its database.
    pub fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// What the names of its exchanges and queues begin with.
    pub fn prefix(&self) -> &str {
        self.broker.prefix()
    }

    /// Sends a message as the relay does; gives its id.
    pub async fn send<M: Message>(&self, message: &M) -> Uuid {
        self.send_body(M::KIND, serde_json::to_value(message).unwrap()).await
    }

    /// Sends a body under a kind; gives the message's id.
    pub async fn send_body(&self, kind: &str, body: Value) -> Uuid {
        let message_id = Uuid::now_v7();
        let outgoing = Outgoing {
            message_id,
            exchange: Exchange::Work,
            routing_key: kind.into(),
            kind: kind.into(),
            version: 1,
            correlation_id: None,
            headers: Default::default(),
            body: serde_json::to_vec(&body).unwrap(),
            mandatory: true,
        };
        note_as_sent(self.pool(), &outgoing).await;
        for (_, answer) in self.broker.publisher().publish(vec![outgoing]).await {
            answer.unwrap();
        }
        message_id
    }

    /// Makes a harvest in some state, without a worker.
    pub async fn harvest(&self, state: State, download_key: Option<&str>, account: Option<&str>) -> Uuid {
        let id = Uuid::now_v7();
        let new = NewHarvest {
            settings: None,
            id,
            subscription: None,
            request: serde_json::json!({}),
            digest: id.to_string(),
            joins: false,
            plan_only: false,
            state,
            account: account.map(Into::into),
            download_key: download_key.map(Into::into),
            archive_key: None,
        };
        let mut tx = self.pool().begin().await.unwrap();
        assert_eq!(passereau_harvest::start(&mut tx, &new).await.unwrap(), Started::New(id));
        tx.commit().await.unwrap();
        id
    }

    /// A harvest as it stands.
    pub async fn find(&self, id: Uuid) -> Option<Harvest> {
        passereau_harvest::find(self.pool(), id).await.unwrap()
    }

    /// Waits until a harvest is in this state.
    pub async fn reaches(&self, id: Uuid, state: State) -> Harvest {
        wait_until(&format!("harvest {state}"), SOON, async || {
            self.find(id).await.filter(|harvest| harvest.state == state)
        })
        .await
    }

    /// Waits for a dead letter; its error.
    pub async fn dead_letter(&self) -> String {
        wait_until("a dead letter", SOON, async || {
            sqlx::query_scalar("SELECT error FROM passereau.dead_letter").fetch_optional(self.pool()).await.unwrap()
        })
        .await
    }

    /// Waits until a message of this kind waits with a date at least so many seconds ahead.
    pub async fn waits(&self, kind: &str, seconds: f64) {
        wait_until(&format!("{kind} waiting"), SOON, async || {
            sqlx::query_scalar::<_, bool>(
                "SELECT true FROM passereau.outbox
                 WHERE routing_key = $1 AND due_at > now() + make_interval(secs => $2) LIMIT 1",
            )
            .bind(kind)
            .bind(seconds)
            .fetch_optional(self.pool())
            .await
            .unwrap()
        })
        .await;
    }
}

/// Leaves behind what the relay does when it publishes a message: the sign that it is ours. Too young to be taken for lost.
///
/// # Panics
/// When PostgreSQL refuses it.
pub async fn note_as_sent(pool: &PgPool, message: &Outgoing) {
    sqlx::query(
        "INSERT INTO passereau.sent (id, routing_key, version, body, raw, headers, harvest_id, attempt, sent_at)
         VALUES ($1, $2, $3, 'null', $4, '{}', $5, 0, now() + interval '1 hour') ON CONFLICT (id) DO NOTHING",
    )
    .bind(message.message_id)
    .bind(&message.routing_key)
    .bind(i32::from(message.version))
    .bind(&message.body)
    .bind(message.correlation_id)
    .execute(pool)
    .await
    .unwrap();
}
