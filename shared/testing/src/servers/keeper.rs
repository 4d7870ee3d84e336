//! The process that keeps the servers: see [`super`] for its life.
//!
//! Lines on its standard input are orders: `kill database` ends a server as a power cut would (SIGKILL for it and all its
//! processes), `start database` starts it again on the same port with what it had written; `broker` likewise. Each order that
//! was carried out is answered with one line.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{Addresses, Wanted, postgres::Postgres, rabbitmq::RabbitMq};

/// The servers of a platform.
#[derive(Default)]
struct Servers {
    database: Option<Postgres>,
    broker: Option<RabbitMq>,
}

impl Servers {
    /// Starts both at the same time. What has started is kept when the other one fails: the caller stops it.
    async fn start(&mut self, wanted: Wanted, folder: &Path) -> Result<Addresses> {
        let database = async {
            match wanted.database {
                true => Postgres::start(folder).await.map(Some),
                false => Ok(None),
            }
        };
        let broker = async {
            match wanted.broker {
                true => RabbitMq::start(folder, wanted.broker_metrics).await.map(Some),
                false => Ok(None),
            }
        };
        let (database, broker) = tokio::join!(database, broker);
        let database = database.map(|started| self.database = started);
        let broker = broker.map(|started| self.broker = started);
        database?;
        broker?;
        Ok(Addresses {
            database_url: self.database.as_ref().map(Postgres::url),
            amqp_url: self.broker.as_ref().map(RabbitMq::url),
            amqp_password: self.broker.as_ref().map(RabbitMq::password_of_users),
            amqps_url: self.broker.as_ref().and_then(RabbitMq::tls_url),
            broker_metrics: self.broker.as_ref().and_then(RabbitMq::metrics),
        })
    }

    async fn stop(self) {
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
        if let Some(database) = self.database {
            database.stop().await;
        }
    }

    /// Carries out one order.
    async fn obey(&mut self, order: &str) -> Result<()> {
        match (order, &mut self.database, &mut self.broker) {
            ("kill database", Some(database), _) => database.kill().await,
            ("start database", Some(database), _) => database.start_again().await,
            ("kill broker", _, Some(broker)) => broker.kill().await,
            ("start broker", _, Some(broker)) => broker.start_again(false).await,
            ("start impatient broker", _, Some(broker)) => broker.start_again(true).await,
            _ => bail!("this keeper cannot `{order}`"),
        }
    }

    /// Waits until a server ends that nobody has killed, and says so.
    async fn failed(&mut self) -> String {
        let database = async {
            match self.database.as_mut().and_then(Postgres::running) {
                Some(server) => server.ended().await,
                None => std::future::pending().await,
            }
        };
        let broker = async {
            match self.broker.as_mut().and_then(RabbitMq::running) {
                Some([mapper, broker]) => tokio::select! {
                    reason = mapper.ended() => reason,
                    reason = broker.ended() => reason,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = database => reason,
            reason = broker => reason,
        }
    }
}

/// Starts the wanted servers, prints their [`Addresses`] as one line of JSON, and keeps them until standard input closes or a
/// signal asks for the end. Lines of standard input are orders (see above).
///
/// It must run on the main thread of a single-threaded runtime: the kernel's parent death signal follows the thread that
/// started the server.
///
/// # Errors
/// When a server does not start, or ends before it is asked to, or an order cannot be carried out. What had started is stopped
/// by then.
pub async fn keep(wanted: Wanted) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("passereau-platform-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .context("making the folder of the private servers")?;
    let mut orders = super::input_lines();
    let mut servers = Servers::default();
    let kept = tokio::select! {
        kept = start_and_obey(&mut servers, wanted, folder.path(), &mut orders) => kept,
        () = signalled() => Ok(()),
    };
    servers.stop().await;
    kept?;
    folder.close().context("erasing the folder of the private servers")
}

async fn start_and_obey(
    servers: &mut Servers,
    wanted: Wanted,
    folder: &Path,
    orders: &mut mpsc::UnboundedReceiver<String>,
) -> Result<()> {
    let addresses = {
        let starting = servers.start(wanted, folder);
        tokio::pin!(starting);
        loop {
            tokio::select! {
                addresses = &mut starting => break addresses?,
                // Nobody orders anything before the addresses are told, but the input may close.
                order = orders.recv() => if order.is_none() { return Ok(()) },
            }
        }
    };
    say(&serde_json::to_string(&addresses)?)?;
    loop {
        let order = tokio::select! {
            order = orders.recv() => order,
            reason = servers.failed() => bail!("{reason}"),
        };
        let Some(order) = order else { return Ok(()) };
        servers.obey(&order).await?;
        say(&order)?;
    }
}

fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").context("answering on standard output")?;
    Ok(output.flush()?)
}

/// Ends when a signal arrives.
async fn signalled() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup())) {
        (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        // Without handlers the lifeline alone decides.
        _ => std::future::pending().await,
    }
}
