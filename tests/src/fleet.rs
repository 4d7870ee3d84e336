//! Six worker processes that share nothing but RabbitMQ, PostgreSQL and an object store.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use passereau_broker::{Broker, BrokerConfig, Exchange, Outgoing, dead_queue_name, queue_name};
use passereau_contracts::{HarvestRequest, Message, WORKERS};
use passereau_harvest::Harvest;
use passereau_http::{SANDBOX_HOSTS, SANDBOX_NETWORKS};
use passereau_sandbox::{Sandbox, SandboxConfig};
use passereau_testing::{Roles, TestDatabase, Variant, amqp_url, amqp_url_of, broker_prefix, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use uuid::Uuid;

use crate::{peak_kib, program};

/// The subscription that tests and the demonstration harvest.
pub const SUBSCRIPTION: &str = "aura-all";

/// The datasets that [`query`] asks for.
pub const QUERY_DATASETS: [&str; 1] = [passereau_sandbox::seeds::INATURALIST_DATASET_KEY];

/// Workers that a harvest does not meet.
pub const FLOW_WORKERS: [&str; 2] = ["exporter", "scheduler"];

/// What differs from fleet to fleet.
#[derive(Debug, Default)]
pub struct FleetConfig {
    /// The stand-in services.
    pub sandbox: SandboxConfig,
    /// Further settings of the workers, over those that every fleet has.
    pub environment: Vec<(&'static str, String)>,
    /// Which GeoNature; the newest by default.
    pub variant: Option<Variant>,
    /// All workers in one process (`passereau up`) instead of one process each.
    pub in_one_process: bool,
    /// Processes of each worker; one by default.
    pub copies: Option<usize>,
    /// Workers that are not started with the others ([`Fleet::start_worker`]).
    pub absent: Vec<&'static str>,
    /// A database that is prepared already, and its roles.
    pub prepared: Option<(TestDatabase, Roles)>,
    /// Settings of single workers, over all others.
    pub environment_of: Vec<(&'static str, Vec<(&'static str, String)>)>,
    /// Whether the workers of flows and schedules ([`FLOW_WORKERS`]) are started as well.
    pub with_flows: bool,
    /// Whether the test hears the events ([`Fleet::heard`]). Its queue is made before the workers start, so that it hears the first one.
    pub listens: bool,
    /// Where the workers find RabbitMQ, if not where the test does: a proxy in front of it.
    pub amqp_url: Option<String>,
}

impl FleetConfig {
    /// A fleet whose sandbox hands out these archives.
    #[must_use]
    pub fn handing_out(archives: Vec<PathBuf>) -> Self {
        Self { sandbox: SandboxConfig { archives, ..SandboxConfig::default() }, ..Self::default() }
    }
}

/// A running fleet. Dropping it kills the workers; [`Fleet::stop`] ends them in good order.
#[derive(Debug)]
pub struct Fleet {
    /// The database of GeoNature.
    pub database: TestDatabase,
    /// The stand-in services.
    pub sandbox: Sandbox,
    /// The roles that workers and commands connect as: they own nothing of GeoNature and have what `install` has granted.
    pub roles: Roles,
    /// Connection for publishing as other systems do.
    pub broker: Broker,
    folder: TempDir,
    environment: Vec<(String, String)>,
    /// Names of what a test has set itself.
    own_settings: Vec<&'static str>,
    environment_of: Vec<(&'static str, Vec<(&'static str, String)>)>,
    workers: Vec<Process>,
}

/// A running process of workers, and how to start it again.
#[derive(Debug)]
struct Process {
    worker: &'static str,
    /// Which of the processes of this worker, from 0: each has a log of its own.
    copy: usize,
    program: String,
    args: Vec<String>,
    child: Child,
}

/// A GeoNature database with everything of ours installed, to be copied for one fleet after another.
#[derive(Debug)]
pub struct Prepared(Fleet);

impl Prepared {
    /// Prepares one as its administrator would. The archive is for the sandbox of its own, which hands out at least one.
    ///
    /// # Errors
    /// As [`Fleet::start`].
    pub async fn new(archive: &Path) -> anyhow::Result<Self> {
        let fleet = Fleet::prepare(FleetConfig::handing_out(vec![archive.to_owned()])).await?;
        fleet.install().await?;
        Ok(Self(fleet))
    }

    /// A copy for one fleet.
    pub async fn copy(&self) -> (TestDatabase, Roles) {
        let copy = self.0.database.copy().await;
        let roles = self.0.roles.in_copy(&copy);
        (copy, roles)
    }
}

impl Fleet {
    /// Prepares a GeoNature database as its administrator would, then starts the workers.
    ///
    /// # Errors
    /// A server is missing, a program is not built, or a command of the preparation fails; its words are in the error.
    pub async fn start(config: FleetConfig) -> anyhow::Result<Self> {
        let in_one_process = config.in_one_process;
        let (copies, is_prepared, listens) = (config.copies.unwrap_or(1), config.prepared.is_some(), config.listens);
        let mut absent = config.absent.clone();
        if !config.with_flows {
            absent.extend(FLOW_WORKERS);
        }
        let mut fleet = Self::prepare(config).await?;
        if !is_prepared {
            fleet.install().await?;
        }
        fleet.run_command(&["topology", "apply"]).await?;
        if listens {
            fleet.listen().await?;
        }
        if in_one_process {
            fleet.spawn("passereau", "passereau", &["up"])?;
        } else {
            let present = WORKERS.iter().map(|worker| worker.worker).filter(|worker| !absent.contains(worker));
            for worker in present.cycle().take(copies * (WORKERS.len() - absent.len())) {
                fleet.start_worker(worker)?;
            }
        }
        Ok(fleet)
    }

    /// As the database's administrator, for the roles of the fleet; everything else as one of them.
    async fn install(&self) -> anyhow::Result<()> {
        let Roles { state, writer, reader, exporter, gateway } = &self.roles;
        let roles = ["--state-role", &state.name, "--role", &writer.name, "--reader", &reader.name];
        let parts = ["--exporter-role", &exporter.name, "--gateway-role", &gateway.name];
        let with = ["--with-metadata", "--with-media", "--with-removal"];
        let install = [&["install"][..], &roles, &parts, &with, &["--database-url", &self.database.url]].concat();
        for args in [&install[..], &["migrate"]] {
            self.run_command(args).await?;
        }
        Ok(())
    }

    async fn prepare(config: FleetConfig) -> anyhow::Result<Self> {
        passereau_broker::install_crypto();
        let (database, roles) = match config.prepared {
            Some(prepared) => prepared,
            None => {
                let database = TestDatabase::variant(config.variant.unwrap_or(Variant::V2_17)).await;
                let roles = database.roles().await;
                (database, roles)
            }
        };
        let folder = tempfile::tempdir().context("making the fleet's folder")?;
        for name in ["store", "scratch", "logs"] {
            fs::create_dir(folder.path().join(name)).context("making the fleet's folders")?;
        }
        let (user, password) = (config.sandbox.user.clone(), config.sandbox.password.clone());
        let sandbox = Sandbox::start(config.sandbox).await?;
        let prefix = broker_prefix();
        let amqp = amqp_url();
        let broker = Broker::connect(&BrokerConfig::new(amqp.clone()).with_prefix(prefix.clone()), "fleet").await?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut environment: Vec<(String, String)> = [
            ("PASSEREAU_DATABASE_URL", roles.writer.url.clone()),
            ("PASSEREAU_AMQP_URL", amqp),
            ("PASSEREAU_AMQP_PREFIX", prefix),
            ("PASSEREAU_STORE_URL", format!("file://{}", path("store"))),
            ("PASSEREAU_SCRATCH_DIR", path("scratch")),
            ("PASSEREAU_GBIF_URL", sandbox.gbif_url.clone()),
            ("PASSEREAU_GBIF_USER", user),
            ("PASSEREAU_GBIF_PASSWORD", password),
            ("PASSEREAU_INATURALIST_URL", sandbox.inaturalist_url.clone()),
            ("PASSEREAU_USER_AGENT", "passereau-tests/0.1 (test@example.org)".to_owned()),
            ("PASSEREAU_HTTP_HOSTS", SANDBOX_HOSTS.to_owned()),
            ("PASSEREAU_HTTP_PRIVATE_NETWORKS", SANDBOX_NETWORKS.to_owned()),
            ("PASSEREAU_HTTP_LISTEN", "127.0.0.1:0".to_owned()),
            ("PASSEREAU_LOG_FORMAT", "json".to_owned()),
            // The stand-ins answer at once; waiting for them as for GBIF would only slow the tests down.
            ("PASSEREAU_INATURALIST_INTERVAL_S", "0.02".to_owned()),
            ("PASSEREAU_GBIF_REGISTRY_INTERVAL_S", "0.005".to_owned()),
            ("PASSEREAU_POLL_FIRST_S", "0.2".to_owned()),
            ("PASSEREAU_POLL_LONGEST_S", "1".to_owned()),
            ("PASSEREAU_RETRY_INITIAL_MS", "50".to_owned()),
            ("PASSEREAU_RETRY_MAX_MS", "500".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let through_proxy = config.amqp_url.map(|url| ("PASSEREAU_AMQP_URL", url));
        let own: Vec<(&'static str, String)> = config.environment.into_iter().chain(through_proxy).collect();
        let own_settings = own.iter().map(|(name, _)| *name).collect();
        environment.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let environment_of = config.environment_of;
        Ok(Self {
            database,
            roles,
            sandbox,
            broker,
            folder,
            environment,
            own_settings,
            environment_of,
            workers: Vec::new(),
        })
    }

    /// Starts one more process of a worker.
    ///
    /// # Errors
    /// Its program is not built, or cannot be started.
    pub fn start_worker(&mut self, worker: &'static str) -> anyhow::Result<()> {
        self.spawn(worker, &format!("passereau-{worker}"), &[])
    }

    /// Starts a process of workers. Its log goes into the fleet's folder.
    fn spawn(&mut self, worker: &'static str, name: &str, args: &[&str]) -> anyhow::Result<()> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let copy = self.workers.iter().filter(|process| process.worker == worker).count();
        let child = self.child(worker, copy, name, &args)?;
        self.workers.push(Process { worker, copy, program: name.to_owned(), args, child });
        Ok(())
    }

    fn child(&self, worker: &'static str, copy: usize, name: &str, args: &[String]) -> anyhow::Result<Child> {
        let log = self.log_path(worker, copy);
        let log = File::options().create(true).append(true).open(&log).context("opening a worker's log")?;
        let own = self.environment_of.iter().filter(|(of, _)| *of == worker).flat_map(|(_, settings)| settings.clone());
        tokio::process::Command::new(program(name)?)
            .args(args)
            .envs(self.environment.clone())
            .envs(self.identity(worker, args.first().map(String::as_str)))
            .envs(own)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting the {worker}"))
    }

    /// Starts the processes again that have ended, as an orchestrator would; gives how many there were.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn restart_ended(&mut self) -> anyhow::Result<usize> {
        let mut restarted = 0;
        for index in 0..self.workers.len() {
            if self.workers[index].child.try_wait()?.is_some() {
                let Process { worker, copy, program, args, .. } = &self.workers[index];
                let child = self.child(worker, *copy, program, args)?;
                self.workers[index].child = child;
                restarted += 1;
            }
        }
        Ok(restarted)
    }

    /// The most memory that the process of each worker has had, in KiB.
    ///
    /// # Errors
    /// One has ended.
    pub fn peaks_kib(&self) -> anyhow::Result<Vec<(&'static str, u64)>> {
        let peak = |process: &Process| Ok((process.worker, peak_kib(process.child.id().context("it has ended")?)?));
        self.workers.iter().map(peak).collect()
    }

    /// Kills every process (SIGKILL); [`Fleet::restart_ended`] starts them again.
    ///
    /// # Errors
    /// One cannot be killed.
    pub async fn kill_all(&mut self) -> anyhow::Result<()> {
        for process in &mut self.workers {
            process.child.kill().await.with_context(|| format!("killing the {}", process.worker))?;
        }
        Ok(())
    }

    /// Asks one process after the other to end, and starts it again once it has: a rolling restart. Gives how many there were.
    ///
    /// # Errors
    /// One does not end with 0 within its grace, or cannot be started again.
    pub async fn restart_rolling(&mut self) -> anyhow::Result<usize> {
        for index in 0..self.workers.len() {
            let worker = self.workers[index].worker;
            let status =
                terminate(&mut self.workers[index].child).await.with_context(|| format!("ending the {worker}"))?;
            ensure!(status.success(), "the {worker} ended with {status}:\n{}", self.log_tail(worker));
            self.restart_ended()?;
        }
        Ok(self.workers.len())
    }

    /// Runs the command `passereau` in the fleet's environment.
    ///
    /// # Errors
    /// The program cannot be started.
    pub async fn command(&self, args: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(program("passereau")?);
        command
            .args(args)
            .envs(self.environment.clone())
            .envs(self.identity("passereau", args.first().copied()))
            .stdin(Stdio::null());
        Ok(tokio::process::Command::from(command).output().await?)
    }

    /// The same, and its standard output; an exit code other than 0 is an error with what the command said.
    ///
    /// # Errors
    /// As [`Fleet::command`], and when the command fails.
    pub async fn run_command(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.command(args).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "passereau {}: {}\n{said}", args.join(" "), output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// As whom a program connects: each worker as its own user of the broker, only who writes the synthèse as the role that may, and who makes and serves
    /// deliveries as roles of their own. Settings of a test's own win.
    fn identity(&self, worker: &str, verb: Option<&str>) -> Vec<(&'static str, String)> {
        let (role, user) = match (worker, verb) {
            ("passereau", Some("up")) => (&self.roles.writer, "up"),
            ("passereau", Some("migrate")) => (&self.roles.state, "client"),
            ("passereau", Some("topology")) => (&self.roles.writer, "topology"),
            ("passereau", _) => (&self.roles.writer, "client"),
            ("upserter", _) => (&self.roles.writer, worker),
            ("exporter", _) => (&self.roles.exporter, worker),
            // It does not connect to the broker.
            ("gateway", _) => (&self.roles.gateway, worker),
            (worker, _) => (&self.roles.state, worker),
        };
        let given = [("PASSEREAU_DATABASE_URL", role.url.clone()), ("PASSEREAU_AMQP_URL", amqp_url_of(user))];
        given.into_iter().filter(|(name, _)| !self.own_settings.contains(name)).collect()
    }

    /// Settings of the workers, for processes that a test starts itself.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The folder of the object store.
    #[must_use]
    pub fn store_folder(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Puts an archive into the store, under `archives/` and its file name; returns its object key.
    ///
    /// # Errors
    /// The file cannot be copied.
    pub fn put_archive(&self, archive: &Path) -> anyhow::Result<String> {
        let name = archive.file_name().and_then(|name| name.to_str()).context("the archive has no name")?;
        let folder = self.store_folder().join("archives");
        fs::create_dir_all(&folder)?;
        fs::copy(archive, folder.join(name)).with_context(|| format!("copying {}", archive.display()))?;
        Ok(format!("archives/{name}"))
    }

    /// Publishes a body to the work exchange as a foreign client would, with an identity but no header.
    ///
    /// # Errors
    /// No queue took it.
    pub async fn publish(&self, kind: &str, body: Vec<u8>) -> anyhow::Result<Uuid> {
        let message_id = Uuid::now_v7();
        self.publish_as(message_id, kind, body).await?;
        Ok(message_id)
    }

    /// The same with an identity that the caller gives.
    ///
    /// # Errors
    /// No queue took it.
    pub async fn publish_as(&self, message_id: Uuid, kind: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let message = Outgoing {
            message_id,
            exchange: Exchange::Work,
            routing_key: kind.to_owned(),
            kind: kind.to_owned(),
            version: 1,
            correlation_id: None,
            headers: Default::default(),
            body,
            mandatory: true,
        };
        for (_, answer) in self.broker.publisher().publish(vec![message]).await {
            answer.with_context(|| format!("publishing {kind}"))?;
        }
        Ok(())
    }

    /// Publishes a body without a `message_id`, as the simplest of foreign clients does: through Debian's Python.
    ///
    /// # Errors
    /// Python or its `pika` is missing (`make setup` installs both), or the broker refuses.
    pub async fn publish_anonymously(&self, kind: &str, body: &[u8]) -> anyhow::Result<()> {
        const SCRIPT: &str = "import os, pika, sys\n\
            connection = pika.BlockingConnection(pika.URLParameters(os.environ['PASSEREAU_AMQP_URL']))\n\
            exchange = os.environ['PASSEREAU_AMQP_PREFIX'] + 'passereau.work'\n\
            connection.channel().basic_publish(exchange, sys.argv[1], sys.argv[2].encode())\n\
            connection.close()";
        let body = std::str::from_utf8(body).context("the body is no text")?;
        let mut python = tokio::process::Command::new("/usr/bin/python3");
        python.args(["-c", SCRIPT, kind, body]).envs(self.environment.clone()).stdin(Stdio::null());
        let output = python.output().await.context("starting /usr/bin/python3")?;
        ensure!(output.status.success(), "publishing with pika: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Asks for a harvest by message; its id is that of the message.
    ///
    /// # Errors
    /// No queue took it.
    pub async fn submit(&self, request: &HarvestRequest) -> anyhow::Result<Uuid> {
        self.publish(HarvestRequest::KIND, serde_json::to_vec(request)?).await
    }

    /// The harvest as it stands, once it was accepted.
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn harvest(&self, id: Uuid) -> anyhow::Result<Option<Harvest>> {
        Ok(passereau_harvest::find(&self.database.pool, id).await?)
    }

    /// Waits until a harvest has ended, in whatever way.
    ///
    /// # Panics
    /// When it does not end within `deadline`.
    pub async fn ended(&self, id: Uuid, deadline: Duration) -> Harvest {
        wait_until("the end of the harvest", deadline, async || {
            self.harvest(id).await.ok().flatten().filter(|harvest| !harvest.state.is_alive())
        })
        .await
    }

    /// Waits for a dead letter of a message, and returns its reason and error.
    ///
    /// # Panics
    /// When none comes within `deadline`.
    pub async fn dead_letter(&self, message_id: Uuid, deadline: Duration) -> (String, String) {
        wait_until("the dead letter", deadline, async || {
            sqlx::query_as("SELECT reason, error FROM passereau.dead_letter WHERE message_id = $1")
                .bind(message_id)
                .fetch_optional(&self.database.pool)
                .await
                .ok()
                .flatten()
        })
        .await
    }

    /// Asks every worker to end and waits for it; all must end in good order.
    ///
    /// # Errors
    /// A worker did not end with 0 within its grace.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.end_workers().await?;
        passereau_broker::topology::delete(&self.broker, &fleet_topology(self.broker.prefix())).await?;
        self.broker.close().await;
        Ok(())
    }

    /// Ends the workers alone: what they held without an acknowledgement is back in its queue then.
    ///
    /// # Errors
    /// A worker did not end with 0 within its grace.
    pub async fn end_workers(&mut self) -> anyhow::Result<()> {
        for index in 0..self.workers.len() {
            let worker = self.workers[index].worker;
            let status =
                terminate(&mut self.workers[index].child).await.with_context(|| format!("ending the {worker}"))?;
            if !status.success() {
                bail!("the {worker} ended with {status}:\n{}", self.log_tail(worker));
            }
        }
        Ok(())
    }

    /// Messages in the queue of a worker that nobody has taken.
    ///
    /// # Errors
    /// Those of the broker.
    pub async fn waiting(&self, worker: &str) -> anyhow::Result<u32> {
        Ok(passereau_broker::topology::waiting(&self.broker, &queue_name(self.broker.prefix(), worker)).await?)
    }

    /// Messages in the dead queue.
    ///
    /// # Errors
    /// Those of the broker.
    pub async fn waiting_dead(&self) -> anyhow::Result<u32> {
        Ok(passereau_broker::topology::waiting(&self.broker, &dead_queue_name(self.broker.prefix())).await?)
    }

    /// Deletes the queue of a worker, with the messages in it.
    ///
    /// # Errors
    /// Those of the broker.
    pub async fn delete_queue(&self, worker: &str) -> anyhow::Result<()> {
        Ok(passereau_broker::topology::delete_queue(&self.broker, &queue_name(self.broker.prefix(), worker)).await?)
    }

    fn log_path(&self, worker: &str, copy: usize) -> PathBuf {
        self.folder.path().join("logs").join(format!("{worker}.{copy}.log"))
    }

    /// Everything that each process of a worker has logged.
    #[must_use]
    pub fn logs(&self, worker: &str) -> Vec<String> {
        (0..).map_while(|copy| fs::read_to_string(self.log_path(worker, copy)).ok()).collect()
    }

    /// Everything a worker has logged.
    #[must_use]
    pub fn log(&self, worker: &str) -> String {
        self.logs(worker).concat()
    }

    fn log_tail(&self, worker: &str) -> String {
        let log = self.log(worker);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for Process { worker, .. } in &self.workers {
                eprintln!("--- the {worker}'s last words:\n{}", self.log_tail(worker));
            }
        }
    }
}

fn fleet_topology(prefix: &str) -> passereau_broker::Topology {
    let workers: Vec<(&str, &[&str])> = WORKERS.iter().map(|worker| (worker.worker, worker.kinds)).collect();
    passereau_broker::Topology::new(prefix, &workers)
}

/// SIGTERM, then a bounded wait.
async fn terminate(child: &mut Child) -> anyhow::Result<ExitStatus> {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    }
    tokio::time::timeout(Duration::from_secs(40), child.wait())
        .await
        .context("it did not end within 40 s")?
        .map_err(Into::into)
}

/// A query like the procedure's, for an account and the sandbox's iNaturalist dataset.
#[must_use]
pub fn query(account: &str) -> Value {
    json!({
        "creator": account,
        "notificationAddresses": ["test@example.org"],
        "sendNotification": false,
        "format": "DWCA",
        "predicate": {"type": "and", "predicates": [
            {"type": "equals", "key": "HAS_COORDINATE", "value": "True"},
            {"type": "equals", "key": "HAS_GEOSPATIAL_ISSUE", "value": "False"},
            {"type": "equals", "key": "GADM_GID", "value": "FRA.1_1"},
            {"type": "in", "key": "DATASET_KEY", "values": QUERY_DATASETS},
            {"type": "in", "key": "PHYLUM_KEY", "values": ["42", "52", "54"]}
        ]}
    })
}
