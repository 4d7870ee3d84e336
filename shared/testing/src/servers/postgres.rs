//! A private PostgreSQL: a cluster in a temporary folder, reached by password on the loopback interface only.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use sqlx::{Connection, PgConnection};

use super::{
    process::{Account, Server, free_port},
    tls::Certificate,
};

/// Longest start: an empty cluster takes about a second.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Folder of the PostgreSQL programs: the newest packaged version that has PostGIS, else whatever `PATH` finds.
fn programs() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let postgis = Path::new("/usr/share/postgresql").join(entry.file_name()).join("extension/postgis.control");
            let bin = entry.path().join("bin");
            (postgis.exists() && bin.join("initdb").exists()).then_some((version, bin))
        })
        .collect();
    versions.sort();
    if let Some((_, bin)) = versions.pop() {
        return Ok(bin);
    }
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .context("no PostgreSQL server programs with PostGIS were found: run `make setup`")
}

/// A private PostgreSQL.
pub(crate) struct Postgres {
    programs: PathBuf,
    account: Account,
    home: PathBuf,
    password: String,
    port: u16,
    tls: Option<Certificate>,
    /// `None` while it is killed.
    server: Option<Server>,
}

impl Postgres {
    /// Makes a cluster below `folder` and starts its server.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let programs = programs()?;
        let account = Account::of_package("postgres")?;
        let home = account.folder(&folder.join("postgres"))?;
        let password = uuid::Uuid::new_v4().simple().to_string();
        let password_file = home.join("password");
        account.file(&password_file, &password)?;

        let mut initdb = account.command(&programs.join("initdb"), &home, "KILL");
        initdb
            .args([
                "--username=passereau",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            ])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(format!("--pgdata={}", home.join("data").display()));
        let made = initdb.output().await.context("running initdb")?;
        if !made.status.success() {
            bail!("initdb failed ({}):\n{}", made.status, String::from_utf8_lossy(&made.stderr));
        }
        let tls = Certificate::wanted(&account, &home)?;
        let mut postgres = Self { programs, account, home, password, port: 0, tls, server: None };
        let mut attempt = 1;
        loop {
            postgres.port = free_port()?;
            match postgres.run().await {
                Ok(()) => return Ok(postgres),
                // The port may have been taken between our look and its bind.
                Err(_) if attempt < 3 => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn run(&mut self) -> Result<()> {
        let mut command = self.account.command(&self.programs.join("postgres"), &self.home, "INT");
        command.arg("-D").arg(self.home.join("data")).arg("-p").arg(self.port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            // No socket file: its path would be too long for the kernel in a deep temporary folder.
            "unix_socket_directories=",
            "shared_buffers=256MB",
            "max_connections=200",
            "max_wal_size=4GB",
            "checkpoint_timeout=15min",
            "fsync=on",
            "timezone=UTC",
        ] {
            command.arg("-c").arg(setting);
        }
        if let Some(tls) = &self.tls {
            command.args(["-c", "ssl=on"]);
            command.arg("-c").arg(format!("ssl_cert_file={}", tls.certificate.display()));
            command.arg("-c").arg(format!("ssl_key_file={}", tls.key.display()));
        }
        // The cluster is thrown away, so it need not be checkpointed: SIGQUIT is PostgreSQL's immediate shutdown.
        let mut server = Server::spawn("PostgreSQL", command, self.home.join("postgres.log"), Signal::QUIT)?;
        let url = self.url();
        let ready = server
            .wait_ready(READY_DEADLINE, async || match PgConnection::connect(&url).await {
                Ok(connection) => connection.close().await.is_ok(),
                Err(_) => false,
            })
            .await;
        match ready {
            Ok(()) => {
                self.server = Some(server);
                Ok(())
            }
            Err(error) => {
                server.stop().await;
                Err(error)
            }
        }
    }

    /// URL of the server, as its superuser.
    pub(crate) fn url(&self) -> String {
        format!("postgres://passereau:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    pub(crate) fn running(&mut self) -> Option<&mut Server> {
        self.server.as_mut()
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.server.take().context("PostgreSQL does not run")?.kill().await;
        Ok(())
    }

    pub(crate) async fn start_again(&mut self) -> Result<()> {
        let mut attempt = 1;
        loop {
            match self.run().await {
                // The killed server's processes may hold its shared memory for another moment.
                Err(_) if attempt < 5 => attempt += 1,
                started => return started,
            }
        }
    }

    pub(crate) async fn stop(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}
