//! The process that keeps the servers: see [`super`] for its life.

use std::{fs, io::Write, os::unix::fs::PermissionsExt};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::{Addresses, Wanted, postgres, process::Server, rabbitmq};

/// Starts the wanted servers, prints their [`Addresses`] as one line of JSON, and keeps them until standard input closes or a
/// signal asks for the end.
///
/// It must run on the main thread of a single-threaded runtime: the kernel's parent death signal follows the thread that
/// started the server.
///
/// # Errors
/// When a server does not start, or ends before it is asked to. What had started is stopped by then.
pub async fn keep(wanted: Wanted) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("passereau-platform-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .context("making the folder of the private servers")?;
    let mut servers = Vec::new();
    let kept = tokio::select! {
        kept = start_and_wait(wanted, folder.path(), &mut servers) => kept,
        () = asked_to_stop() => Ok(()),
    };
    // The last one started goes first; the broker's port mapper, started before it, after it.
    while let Some(server) = servers.pop() {
        server.stop().await;
    }
    kept?;
    folder.close().context("erasing the folder of the private servers")
}

async fn start_and_wait(wanted: Wanted, folder: &std::path::Path, servers: &mut Vec<Server>) -> Result<()> {
    let database = async {
        match wanted.database {
            true => postgres::start(folder).await.map(Some),
            false => Ok(None),
        }
    };
    let broker = async {
        match wanted.broker {
            true => rabbitmq::start(folder).await.map(Some),
            false => Ok(None),
        }
    };
    let (database, broker) = tokio::join!(database, broker);
    let mut addresses = Addresses::default();
    // Whatever started is pushed before an error of the other one is returned: the caller stops it.
    let database = database.map(|started| {
        if let Some((server, url)) = started {
            servers.push(server);
            addresses.database_url = Some(url);
        }
    });
    let broker = broker.map(|started| {
        if let Some(started) = started {
            servers.push(started.mapper);
            servers.push(started.server);
            addresses.amqp_url = Some(started.url);
            addresses.amqp_password = Some(started.password);
            addresses.amqps_url = started.tls_url;
        }
    });
    database?;
    broker?;

    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", serde_json::to_string(&addresses)?).context("telling where the servers are")?;
    output.flush()?;
    drop(output);

    let mut ends: Vec<_> = servers.iter_mut().map(|server| Box::pin(server.ended())).collect();
    let first = std::future::poll_fn(|context| {
        for end in &mut ends {
            if let std::task::Poll::Ready(reason) = end.as_mut().poll(context) {
                return std::task::Poll::Ready(reason);
            }
        }
        std::task::Poll::Pending
    })
    .await;
    bail!("{first}")
}

/// Ends when standard input closes or a signal arrives.
async fn asked_to_stop() {
    let signalled = async {
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
    };
    tokio::select! {
        () = super::input_closed() => {}
        () = signalled => {}
    }
}
