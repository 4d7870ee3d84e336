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

/// A broker that runs.
pub(crate) struct Started {
    /// Its port mapper, to be stopped after it.
    pub mapper: Server,
    /// Itself.
    pub server: Server,
    /// Its URL.
    pub url: String,
    /// The same over TLS.
    pub tls_url: Option<String>,
    /// Password of its other users.
    pub password: String,
}

/// Starts a broker below `folder`.
pub(crate) async fn start(folder: &Path) -> Result<Started> {
    let program = program()?;
    let account = Account::of_package("rabbitmq")?;
    let home = account.folder(&folder.join("rabbitmq"))?;
    let password = uuid::Uuid::new_v4().simple().to_string();
    let others = uuid::Uuid::new_v4().simple().to_string();
    let definitions = users::definitions(&password, &others);
    let mut attempt = 1;
    loop {
        let ports = [free_port()?, free_port()?, free_port()?];
        let tls = match Certificate::wanted(&account, &home)? {
            Some(certificate) => Some((free_port()?, certificate)),
            None => None,
        };
        let settings = Settings { definitions: &definitions, tls: tls.as_ref() };
        let started = attempt_start(&program, &account, &home, &settings, ports, attempt).await;
        match started {
            Ok((mapper, server)) => {
                let url = format!("amqp://passereau:{password}@127.0.0.1:{}/%2f", ports[0]);
                let tls_url = tls.map(|(port, _)| format!("amqps://passereau:{password}@localhost:{port}/%2f"));
                return Ok(Started { mapper, server, url, tls_url, password: others });
            }
            // A port may have been taken between our look and its bind.
            Err(_) if attempt < 3 => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

struct Settings<'a> {
    definitions: &'a str,
    tls: Option<&'a (u16, Certificate)>,
}

impl Settings<'_> {
    /// Lines of the configuration for TLS.
    fn tls_lines(&self) -> String {
        let Some((port, Certificate { certificate, key })) = self.tls else { return String::new() };
        let (certificate, key) = (certificate.display(), key.display());
        format!(
            "listeners.ssl.local = 127.0.0.1:{port}\nssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n\
             ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n"
        )
    }
}

async fn attempt_start(
    program: &Path,
    account: &Account,
    home: &Path,
    settings: &Settings<'_>,
    [amqp, distribution, mapper_port]: [u16; 3],
    attempt: u32,
) -> Result<(Server, Server)> {
    let home = account.folder(&home.join(format!("attempt-{attempt}")))?;
    let node = format!("passereau-{}@localhost", uuid::Uuid::new_v4().simple());
    account.file(&home.join("environment"), "")?;
    account.file(&home.join("enabled_plugins"), "[].\n")?;
    let definitions_file = home.join("definitions.json");
    account.file(&definitions_file, settings.definitions)?;
    account.file(
        &home.join("rabbitmq.conf"),
        &format!(
            "listeners.tcp.local = 127.0.0.1:{amqp}\n\
             num_acceptors.tcp = 2\n\
             load_definitions = {}\n\
             disk_free_limit.absolute = 50MB\n\
             raft.wal_max_size_bytes = 67108864\n\
             log.console = true\n\
             log.console.level = warning\n\
             log.file = false\n{}",
            definitions_file.display(),
            settings.tls_lines()
        ),
    )?;

    let mut epmd = account.command(Path::new("epmd"), &home, "KILL");
    epmd.args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"]);
    let mut mapper = Server::spawn("epmd", epmd, home.join("epmd.log"), Signal::KILL)?;
    mapper
        .wait_ready(Duration::from_secs(10), async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, mapper_port)).await.is_ok()
        })
        .await?;

    let mut command = account.command(program, &home, "TERM");
    environment(&mut command, &home, &node, distribution, mapper_port);
    let started = async {
        let mut server = Server::spawn("RabbitMQ", command, home.join("rabbitmq.log"), Signal::TERM)?;
        match server.wait_ready(READY_DEADLINE, async || speaks_amqp(amqp).await).await {
            Ok(()) => Ok(server),
            Err(error) => {
                server.stop().await;
                Err(error)
            }
        }
    }
    .await;
    match started {
        Ok(server) => Ok((mapper, server)),
        Err(error) => {
            mapper.stop().await;
            Err(error)
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
