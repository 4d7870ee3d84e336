//! A private RabbitMQ: its own node, ports, folders, user, and its own port mapper (`epmd`), which is a child of the keeper
//! like any other, instead of the daemon that Erlang would leave behind.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use super::{
    process::{Account, Server, free_port},
    tls::Certificate,
    users,
};

/// Longest start: about five seconds on an idle machine with two cores, several times that on a busy one.
const READY_DEADLINE: Duration = Duration::from_secs(120);

/// The wrapper that packages put first in `PATH` changes user and writes into the system's log folder; this is the program
/// behind it.
fn program() -> Result<PathBuf> {
    ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/lib/rabbitmq/bin/rabbitmq-server"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .context("RabbitMQ was not found: run `make setup`")
}

/// How soon an impatient broker takes a delivery back that a consumer holds; half an hour is RabbitMQ's default. It looks every half
/// second instead of every minute (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
const IMPATIENT: &str = "{consumer_timeout, 4000}, {channel_tick_interval, 500}";

/// A private RabbitMQ with its port mapper.
pub(crate) struct RabbitMq {
    program: PathBuf,
    account: Account,
    home: PathBuf,
    password: String,
    /// Password of the users that are not the administrator.
    others: String,
    node: String,
    ports: Ports,
    /// The port of TLS, and the certificate.
    tls: Option<(u16, Certificate)>,
    /// The port of the metrics.
    metrics: Option<u16>,
    /// The mapper and the broker; `None` while they are killed.
    servers: Option<[Server; 2]>,
}

#[derive(Clone, Copy)]
struct Ports {
    amqp: u16,
    distribution: u16,
    mapper: u16,
}

impl Ports {
    fn free() -> Result<Self> {
        Ok(Self { amqp: free_port()?, distribution: free_port()?, mapper: free_port()? })
    }
}

impl RabbitMq {
    /// Starts a broker below `folder`, if wanted with its metrics for Prometheus.
    pub(crate) async fn start(folder: &Path, with_metrics: bool) -> Result<Self> {
        let program = program()?;
        let account = Account::of_package("rabbitmq")?;
        let base = account.folder(&folder.join("rabbitmq"))?;
        let password = uuid::Uuid::new_v4().simple().to_string();
        let others = uuid::Uuid::new_v4().simple().to_string();
        let mut attempt = 1;
        loop {
            let mut rabbitmq = Self {
                program: program.clone(),
                account: account.clone(),
                home: account.folder(&base.join(format!("attempt-{attempt}")))?,
                password: password.clone(),
                others: others.clone(),
                node: format!("passereau-{}@localhost", uuid::Uuid::new_v4().simple()),
                ports: Ports::free()?,
                tls: None,
                metrics: if with_metrics { Some(free_port()?) } else { None },
                servers: None,
            };
            if let Some(certificate) = Certificate::wanted(&rabbitmq.account, &rabbitmq.home)? {
                rabbitmq.tls = Some((free_port()?, certificate));
            }
            rabbitmq.configure("")?;
            match rabbitmq.run().await {
                Ok(()) => return Ok(rabbitmq),
                // A port may have been taken between our look and its bind.
                Err(_) if attempt < 3 => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the broker's settings, with the caller's Erlang terms: what there is no line of `rabbitmq.conf` for.
    fn configure(&self, more: &str) -> Result<()> {
        let Self { account, home, password, others, ports, .. } = self;
        account.file(&home.join("environment"), "")?;
        let plugins = if self.metrics.is_some() { "[rabbitmq_prometheus].\n" } else { "[].\n" };
        account.file(&home.join("enabled_plugins"), plugins)?;
        account.file(&home.join("advanced.config"), &format!("[{{rabbit, [{more}]}}].\n"))?;
        let definitions = home.join("definitions.json");
        account.file(&definitions, &users::definitions(password, others))?;
        account.file(
            &home.join("rabbitmq.conf"),
            &format!(
                "listeners.tcp.local = 127.0.0.1:{amqp}\n\
                 num_acceptors.tcp = 2\n\
                 load_definitions = {definitions}\n\
                 disk_free_limit.absolute = 50MB\n\
                 raft.wal_max_size_bytes = 67108864\n\
                 log.console = true\n\
                 log.console.level = warning\n\
                 log.file = false\n{tls}{metrics}",
                amqp = ports.amqp,
                tls = self.tls_lines(),
                metrics = self.metrics_lines(),
                definitions = definitions.display()
            ),
        )
    }

    /// Lines of the configuration for TLS.
    fn tls_lines(&self) -> String {
        let Some((port, Certificate { certificate, key })) = &self.tls else { return String::new() };
        let (certificate, key) = (certificate.display(), key.display());
        format!(
            "listeners.ssl.local = 127.0.0.1:{port}\nssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n\
             ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n"
        )
    }

    /// Lines of the configuration for the metrics.
    fn metrics_lines(&self) -> String {
        self.metrics
            .map(|port| format!("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {port}\n"))
            .unwrap_or_default()
    }

    async fn run(&mut self) -> Result<()> {
        let Self { account, home, ports, .. } = &*self;
        let mut epmd = account.command(Path::new("epmd"), home, "KILL");
        epmd.args(["-port", &ports.mapper.to_string(), "-address", "127.0.0.1"]);
        let mut mapper = Server::spawn("epmd", epmd, home.join("epmd.log"), Signal::KILL)?;
        let port = ports.mapper;
        let mapped = mapper
            .wait_ready(Duration::from_secs(10), async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok())
            .await;
        let broker = match mapped {
            Ok(()) => self.run_broker().await,
            Err(error) => Err(error),
        };
        match broker {
            Ok(broker) => {
                self.servers = Some([mapper, broker]);
                Ok(())
            }
            Err(error) => {
                mapper.stop().await;
                Err(error)
            }
        }
    }

    async fn run_broker(&self) -> Result<Server> {
        let mut command = self.account.command(&self.program, &self.home, "TERM");
        environment(&mut command, &self.home, &self.node, self.ports.distribution, self.ports.mapper);
        let mut broker = Server::spawn("RabbitMQ", command, self.home.join("rabbitmq.log"), Signal::TERM)?;
        let amqp = self.ports.amqp;
        match broker.wait_ready(READY_DEADLINE, async || speaks_amqp(amqp).await).await {
            Ok(()) => Ok(broker),
            Err(error) => {
                broker.stop().await;
                Err(error)
            }
        }
    }

    /// URL of the broker, as its administrator.
    pub(crate) fn url(&self) -> String {
        format!("amqp://passereau:{}@127.0.0.1:{}/%2f", self.password, self.ports.amqp)
    }

    /// The same over TLS.
    pub(crate) fn tls_url(&self) -> Option<String> {
        let (port, _) = self.tls.as_ref()?;
        Some(format!("amqps://passereau:{}@localhost:{port}/%2f", self.password))
    }

    /// Where the broker shows its metrics.
    pub(crate) fn metrics(&self) -> Option<String> {
        self.metrics.map(|port| format!("127.0.0.1:{port}"))
    }

    /// Password of the users of [`passereau_broker::permissions_for`].
    pub(crate) fn password_of_users(&self) -> String {
        self.others.clone()
    }

    pub(crate) fn running(&mut self) -> Option<&mut [Server; 2]> {
        self.servers.as_mut()
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        let [mapper, broker] = self.servers.take().context("RabbitMQ does not run")?;
        broker.kill().await;
        mapper.kill().await;
        Ok(())
    }

    pub(crate) async fn start_again(&mut self, impatient: bool) -> Result<()> {
        self.configure(if impatient { IMPATIENT } else { "" })?;
        self.run().await
    }

    /// The broker first, the mapper last.
    pub(crate) async fn stop(self) {
        if let Some([mapper, broker]) = self.servers {
            broker.stop().await;
            mapper.stop().await;
        }
    }
}

fn environment(command: &mut Command, home: &Path, node: &str, distribution: u16, mapper_port: u16) {
    command
        .env("RABBITMQ_NODENAME", node)
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("ERL_EPMD_PORT", mapper_port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_BASE", home)
        .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", home.join("log"))
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_CONF_ENV_FILE", home.join("environment"))
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", home.join("advanced.config"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
        .env("RABBITMQ_GENERATED_CONFIG_DIR", home.join("generated"))
        .env("RABBITMQ_PID_FILE", home.join("pid"))
        // Makes the script become the Erlang machine instead of its parent: one process, the one that is signalled.
        .env("RUNNING_UNDER_SYSTEMD", "1")
        // One scheduler and no busy waiting: the machine belongs to what is tested.
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none");
}

/// Whether an AMQP 0-9-1 server answers: it sends a method frame (type 1) after the protocol header.
async fn speaks_amqp(port: u16) -> bool {
    let answer = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.read_u8().await
    };
    matches!(answer.await, Ok(1))
}
