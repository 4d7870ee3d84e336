//! One server process: started as an unprivileged user, tied to this process's life, awaited, stopped.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

/// Time between two looks at a server that starts.
const INTERVAL: Duration = Duration::from_millis(50);
/// Longest wait for a server that was asked to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// The user a server runs as: the one of its package when we are root, else ourselves.
#[derive(Clone, Debug)]
pub(crate) struct Account(Option<(String, u32, u32)>);

impl Account {
    /// The account `user`, if this process may and must change to it.
    pub(crate) fn of_package(user: &str) -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        let number = |flag: &str| -> Result<u32> {
            let answer = std::process::Command::new("id").args([flag, user]).output().context("running id")?;
            String::from_utf8_lossy(&answer.stdout)
                .trim()
                .parse()
                .with_context(|| format!("there is no user {user}: its package is not installed, run `make setup`"))
        };
        Ok(Self(Some((user.to_owned(), number("-u")?, number("-g")?))))
    }

    /// A new folder that belongs to this account alone.
    pub(crate) fn folder(&self, path: &Path) -> Result<PathBuf> {
        fs::DirBuilder::new().mode(0o700).create(path).with_context(|| format!("making folder {}", path.display()))?;
        self.own(path)?;
        Ok(path.to_owned())
    }

    /// Writes a file that belongs to this account.
    pub(crate) fn file(&self, path: &Path, content: &str) -> Result<()> {
        fs::write(path, content).with_context(|| format!("writing {}", path.display()))?;
        self.own(path)
    }

    fn own(&self, path: &Path) -> Result<()> {
        if let Some((user, uid, gid)) = &self.0 {
            chown(path, Some(*uid), Some(*gid)).with_context(|| format!("giving {} to {user}", path.display()))?;
        }
        Ok(())
    }

    /// A command that runs `program` as this account, in an environment of its own and in `folder`. `death` is the signal the
    /// kernel sends it when this process dies.
    pub(crate) fn command(&self, program: &Path, folder: &Path, death: &str) -> Command {
        let mut command = Command::new("setpriv");
        if let Some((_, uid, gid)) = &self.0 {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        command.arg(format!("--pdeathsig={death}")).arg("--").arg(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into()))
            .env("HOME", folder)
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir(folder)
            .stdin(Stdio::null());
        command
    }
}

/// A port that nobody listened on a moment ago. Somebody else may take it before the server does: the caller tries again.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    pid: Pid,
    log: PathBuf,
    stop: Signal,
}

impl Server {
    /// Starts `command` with its output in `log`; `stop` is the signal that ends it.
    pub(crate) fn spawn(name: &'static str, mut command: Command, log: PathBuf, stop: Signal) -> Result<Self> {
        let output = fs::File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let child = command
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own, so that helpers it leaves behind are found at the end.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name} (is setpriv of util-linux there?)"))?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .with_context(|| format!("{name} ended at once"))?;
        Ok(Self { name, child, pid, log, stop })
    }

    /// Polls `ready` until it says yes, or fails with the end of the log when the server ends or `deadline` passes.
    pub(crate) async fn wait_ready(&mut self, deadline: Duration, mut ready: impl AsyncFnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended while it started ({status}):\n{}", self.name, self.log_end());
            }
            // A server that accepts and then keeps silent must not hold us beyond the deadline.
            if timeout(Duration::from_secs(5), ready()).await.unwrap_or(false) {
                return Ok(());
            }
            if start.elapsed() > deadline {
                bail!("{} was not ready within {deadline:?}:\n{}", self.name, self.log_end());
            }
            sleep(INTERVAL).await;
        }
    }

    /// Waits until the server ends by itself, and says so.
    pub(crate) async fn ended(&mut self) -> String {
        let status = self.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        format!("{} ended ({status}):\n{}", self.name, self.log_end())
    }

    /// Ends the server and every process that it has started, at once.
    pub(crate) async fn kill(mut self) {
        let _gone = kill_process_group(self.pid, Signal::KILL);
        drop(self.child.wait().await);
    }

    /// Asks the server to stop, insists after a while, and sweeps its process group.
    pub(crate) async fn stop(mut self) {
        // Errors of signals here mean "already gone", which is what is wanted.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone = kill_process(self.pid, self.stop);
            if timeout(STOP_DEADLINE, self.child.wait()).await.is_err() {
                let _gone = kill_process(self.pid, Signal::KILL);
                drop(self.child.wait().await);
            }
        }
        let _gone = kill_process_group(self.pid, Signal::KILL);
    }

    fn log_end(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(2000)..]).into_owned()
    }
}
