//! Private servers: a PostgreSQL and a RabbitMQ that live as long as the process that asked for them.
//!
//! Terms. The *keeper* is a process of its own, the same program called again: it starts the servers, prints where they are
//! as one line of JSON, and stops them when its standard input closes. The *lifeline* is the other end of that input, held by
//! whoever started the keeper: when that process ends, however it ends, the kernel closes the lifeline.
//!
//! Invariants. Every port, folder and node name is the platform's own, so that two run side by side; everything lies in one
//! temporary folder, which the keeper erases. Should the keeper itself be killed, the kernel signals the servers (parent
//! death signal); only the folder stays then. When the caller is root the servers run as the users of their packages,
//! because PostgreSQL refuses to run as root.
//!
//! Failure. A server that does not come up within its deadline is reported with the end of its log.

pub mod keeper;
mod postgres;
mod process;
mod rabbitmq;
mod tls;
mod users;

use std::{io::BufRead, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc,
    time::timeout,
};

/// Which servers are wanted.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Start a PostgreSQL.
    #[arg(long)]
    pub database: bool,
    /// Start a RabbitMQ.
    #[arg(long)]
    pub broker: bool,
    /// Let that RabbitMQ show its metrics to Prometheus; they cost it a plugin, so only who reads them asks.
    #[arg(long)]
    pub broker_metrics: bool,
}

impl Wanted {
    /// What the environment does not already point at.
    pub fn from_environment() -> Self {
        let missing = |variable| std::env::var_os(variable).is_none_or(|value| value.is_empty());
        Self { database: missing(crate::DATABASE_URL), broker: missing(crate::AMQP_URL), broker_metrics: false }
    }
}

/// Where the servers of a platform are; `None` for one that was not asked for.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Addresses {
    /// URL of PostgreSQL, as its superuser.
    pub database_url: Option<String>,
    /// URL of RabbitMQ, as its administrator.
    pub amqp_url: Option<String>,
    /// Password of RabbitMQ's other users: those of [`passereau_broker::permissions_for`], for the prefixes of tests.
    pub amqp_password: Option<String>,
    /// URL of RabbitMQ over TLS, as its administrator, where [`crate::TLS_FOLDER`] is set.
    pub amqps_url: Option<String>,
    /// `address:port` where RabbitMQ shows its metrics, where that was asked for.
    pub broker_metrics: Option<String>,
}

impl Addresses {
    /// The variables to set for programs that use these servers.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            (crate::DATABASE_URL, self.database_url.as_deref()),
            (crate::AMQP_URL, self.amqp_url.as_deref()),
            (crate::AMQP_PASSWORD, self.amqp_password.as_deref()),
            (crate::AMQPS_URL, self.amqps_url.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Running servers. Dropping it closes the lifeline; [`Platform::stop`] also waits until everything is gone.
pub struct Platform {
    /// Where the servers are.
    pub addresses: Addresses,
    keeper: Option<Child>,
    // Held apart from the child, whose `wait` would close it.
    lifeline: Option<ChildStdin>,
    answers: Option<Lines<BufReader<ChildStdout>>>,
}

/// One of the servers of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// PostgreSQL.
    Database,
    /// RabbitMQ.
    Broker,
}

impl Which {
    fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Broker => "broker",
        }
    }
}

/// Longest start of both servers on a busy small machine.
const START_DEADLINE: Duration = Duration::from_secs(180);
/// Longest end of both servers.
const STOP_DEADLINE: Duration = Duration::from_secs(60);

impl Platform {
    /// Starts a keeper: `program keep` with the wanted servers, where `program` is one that calls [`keeper::keep`].
    ///
    /// # Errors
    /// When the keeper cannot be started, or a server does not come up; its own words are on standard error by then.
    pub async fn start(program: &Path, wanted: Wanted) -> Result<Self> {
        if !wanted.database && !wanted.broker {
            return Ok(Self { addresses: Addresses::default(), keeper: None, lifeline: None, answers: None });
        }
        let mut command = Command::new(program);
        command.arg("keep");
        if wanted.database {
            command.arg("--database");
        }
        if wanted.broker {
            command.arg("--broker");
        }
        if wanted.broker_metrics {
            command.arg("--broker-metrics");
        }
        let mut keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Out of the terminal's foreground group: Ctrl-C is for the command, the servers outlive it.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting the keeper of the private servers ({})", program.display()))?;
        let stdout = keeper.stdout.take().context("the keeper has no output")?;
        let lifeline = keeper.stdin.take();
        let mut answers = BufReader::new(stdout).lines();
        let line = timeout(START_DEADLINE, answers.next_line()).await;
        match line {
            Ok(Ok(Some(line))) => Ok(Self {
                addresses: serde_json::from_str(&line).context("the keeper's answer is not the expected JSON")?,
                keeper: Some(keeper),
                lifeline,
                answers: Some(answers),
            }),
            Ok(Ok(None)) => {
                bail!("the private servers did not start; the reason is above (`make setup` installs what is missing)")
            }
            Ok(Err(error)) => Err(error).context("reading the keeper's answer"),
            Err(_) => bail!("the private servers did not start within {START_DEADLINE:?}"),
        }
    }

    /// Ends a server as a power cut would: SIGKILL for all its processes.
    ///
    /// # Errors
    /// When this platform does not keep that server, or the keeper has ended.
    pub async fn kill(&mut self, which: Which) -> Result<()> {
        self.order(&format!("kill {}", which.word())).await
    }

    /// Starts a killed server again, with what it had written, on its port.
    ///
    /// # Errors
    /// As [`Platform::kill`], and when the server does not come up.
    pub async fn start_again(&mut self, which: Which) -> Result<()> {
        self.order(&format!("start {}", which.word())).await
    }

    /// The same for RabbitMQ, which from now on takes a delivery back from a consumer that has held it for four seconds, as it does
    /// after half an hour by default.
    ///
    /// # Errors
    /// As [`Platform::start_again`].
    pub async fn start_impatient_broker(&mut self) -> Result<()> {
        self.order("start impatient broker").await
    }

    async fn order(&mut self, order: &str) -> Result<()> {
        let (Some(lifeline), Some(answers)) = (&mut self.lifeline, &mut self.answers) else {
            bail!("`{order}`: these servers are somebody else's");
        };
        lifeline.write_all(format!("{order}\n").as_bytes()).await.with_context(|| format!("ordering `{order}`"))?;
        match timeout(START_DEADLINE, answers.next_line()).await {
            Ok(Ok(Some(answer))) if answer == order => Ok(()),
            other => bail!("`{order}` was not carried out; the reason is above ({other:?})"),
        }
    }

    /// Waits until the keeper ends by itself, which it only does when a server has failed. Never returns without servers.
    pub async fn failed(&mut self) {
        match &mut self.keeper {
            // An error of `wait` says that there is no keeper to wait for: the same to the caller.
            Some(keeper) => drop(keeper.wait().await),
            None => std::future::pending().await,
        }
    }

    /// Closes the lifeline and waits until the servers and their folder are gone.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub async fn stop(mut self) -> Result<()> {
        let Some(mut keeper) = self.keeper.take() else {
            return Ok(());
        };
        drop(self.lifeline.take());
        timeout(STOP_DEADLINE, keeper.wait())
            .await
            .with_context(|| format!("the private servers did not stop within {STOP_DEADLINE:?}"))?
            .context("waiting for the keeper of the private servers")?;
        Ok(())
    }
}

/// Ends when standard input closes, whatever arrives on it before.
pub async fn input_closed() {
    let mut lines = input_lines();
    while lines.recv().await.is_some() {}
}

/// The lines of standard input; `None` once it is closed. An input that cannot be read is as good as closed.
fn input_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    // A plain thread, left behind at the end: a runtime would wait for its read, which may never return.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
