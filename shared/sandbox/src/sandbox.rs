//! The three servers together: GBIF's API, its file server, iNaturalist's API, each on a port of its own.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    downloads::{DownloadStatus, Downloads, Pace},
    files, gbif,
    hosted::Hosted,
    inaturalist::{self, Bucket},
    script::{Host, Ledger, Recorded, Route, Scripted},
    transport,
};

/// What the sandbox is to do.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Where GBIF's API listens; port 0 takes a free one.
    pub gbif_listen: SocketAddr,
    /// Where the file server listens.
    pub files_listen: SocketAddr,
    /// Where iNaturalist's API listens.
    pub inaturalist_listen: SocketAddr,
    /// Name by which the three are reached, and which links and addresses then bear, where it is another than the address listened on: the
    /// name of a container.
    pub public_host: Option<String>,
    /// Archives to hand out; broken files are allowed. See [`Sandbox`] for which answers which request.
    pub archives: Vec<PathBuf>,
    /// The only GBIF account.
    pub user: String,
    /// Its password: invented, for tests and demonstrations, so it need not be hidden.
    pub password: String,
    /// How long downloads take.
    pub pace: Pace,
    /// Unfinished downloads per user.
    pub simultaneous_limit: usize,
    /// Calls a second that iNaturalist allows; `None` for no throttle.
    pub inaturalist_rate: Option<u32>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            gbif_listen: anywhere,
            files_listen: anywhere,
            inaturalist_listen: anywhere,
            public_host: None,
            archives: Vec::new(),
            user: "passereau".to_owned(),
            password: "sandbox".to_owned(),
            pace: Pace::Polls { preparing: 1, running: 1 },
            simultaneous_limit: 3,
            inaturalist_rate: None,
        }
    }
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// No archive was named.
    #[error("the sandbox has no archive to hand out; name at least one with --archive, or make one with `generate`")]
    NoArchive,
    /// A port could not be taken.
    #[error("listening on {address}: {source}; choose another address, or port 0 for any free one")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SandboxConfig,
    pub(crate) clock: Clock,
    pub(crate) archives: Vec<Hosted>,
    pub(crate) downloads: Mutex<Downloads>,
    pub(crate) gbif_url: String,
    pub(crate) files_url: String,
    pub(crate) leaks: AtomicU64,
    pub(crate) hidden: Mutex<HashSet<i64>>,
    pub(crate) bucket: Mutex<Option<Bucket>>,
}

/// A download as tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadSummary {
    /// Key.
    pub key: String,
    /// State now.
    pub status: DownloadStatus,
    /// The archive that it hands out.
    pub archive: PathBuf,
}

/// A running sandbox. Dropping it stops the servers and closes their connections.
///
/// **Which archive answers a request**: downloads take the archives in turn; when the request names `DATASET_KEY` values,
/// only the archives that hold records of one of those datasets take part (if any do). With one archive it is always that.
///
/// Records are counted when the sandbox starts; size, ETag and content are those of the file at each call, so that a test can
/// replace the file while a client fetches it.
#[derive(Debug)]
pub struct Sandbox {
    /// Base address of GBIF's API, without a final slash.
    pub gbif_url: String,
    /// Base address of the file server that downloads redirect to.
    pub files_url: String,
    /// Base address of iNaturalist's API.
    pub inaturalist_url: String,
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    servers: JoinSet<()>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(address: SocketAddr, public_host: Option<&str>) -> Result<(TcpListener, String), SandboxError> {
    let fail = |source| SandboxError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    let url = public_host.map_or_else(|| format!("http://{bound}"), |host| format!("http://{host}:{}", bound.port()));
    Ok((listener, url))
}

impl Sandbox {
    /// Starts the three servers. Can be called any number of times in one process with port 0.
    ///
    /// # Errors
    /// When no archive is named or a port is taken.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        if config.archives.is_empty() {
            return Err(SandboxError::NoArchive);
        }
        let host = config.public_host.as_deref();
        let (gbif_listener, gbif_url) = listen(config.gbif_listen, host).await?;
        let (files_listener, files_url) = listen(config.files_listen, host).await?;
        let (inaturalist_listener, inaturalist_url) = listen(config.inaturalist_listen, host).await?;
        let paths = config.archives.clone();
        let inspected =
            tokio::task::spawn_blocking(move || paths.iter().map(|path| Hosted::inspect(path)).collect::<Vec<_>>());
        // Counting can only fail by a defect in the zip reader; such an archive is hosted uncounted, like a broken one.
        let archives = inspected.await.unwrap_or_else(|_| {
            config.archives.iter().map(|path| Hosted { path: path.clone(), ..Hosted::default() }).collect()
        });
        let shared = Arc::new(Shared {
            bucket: Mutex::new(config.inaturalist_rate.map(Bucket::new)),
            config,
            clock: Clock::start(),
            archives,
            downloads: Mutex::default(),
            gbif_url: gbif_url.clone(),
            files_url: files_url.clone(),
            leaks: AtomicU64::new(0),
            hidden: Mutex::default(),
        });
        let (ledger, stop) = (Arc::new(Ledger::default()), CancellationToken::new());
        let mut servers = JoinSet::new();
        for (listener, host, router) in [
            (gbif_listener, Host::Gbif, gbif::router(Arc::clone(&shared))),
            (files_listener, Host::Files, files::router(Arc::clone(&shared))),
            (inaturalist_listener, Host::Inaturalist, inaturalist::router(Arc::clone(&shared))),
        ] {
            servers.spawn(transport::serve(listener, host, router, Arc::clone(&ledger), stop.clone()));
        }
        Ok(Self { gbif_url, files_url, inaturalist_url, shared, ledger, stop, servers })
    }

    /// Stops the servers and waits until they have.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.servers.join_next().await.is_some() {}
    }

    /// What happens to the next calls of `route`, one script each; afterwards calls are handled as usual.
    pub fn script(&self, route: Route, scripted: impl IntoIterator<Item = Scripted>) {
        self.ledger.script(route, scripted);
    }

    /// Scripts that no call has met yet, over all routes.
    pub fn unplayed_scripts(&self) -> usize {
        self.ledger.unplayed()
    }

    /// Forgets the scripts that no call has met; tells how many there were.
    pub fn forget_scripts(&self) -> usize {
        self.ledger.forget()
    }

    /// Calls that `route` has received, scripted ones included.
    pub fn calls(&self, route: Route) -> u64 {
        self.ledger.calls(route)
    }

    /// The last 1,000 calls of `route`, oldest first.
    pub fn recorded(&self, route: Route) -> Vec<Recorded> {
        self.ledger.recorded(route)
    }

    /// Bodies of the last 1,000 calls of `route`, oldest first.
    pub fn bodies(&self, route: Route) -> Vec<String> {
        self.recorded(route).into_iter().map(|call| call.body).collect()
    }

    /// Calls to the file server that carried an `Authorization` header: must stay 0.
    pub fn credential_leaks(&self) -> u64 {
        self.shared.leaks.load(Ordering::Relaxed)
    }

    /// Moves the sandbox's clock forward: 48 hours end de-duplication, [`Pace::Elapsed`] follows it, the throttle refills.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// All downloads, oldest first.
    pub fn downloads(&self) -> Vec<DownloadSummary> {
        let downloads = self.shared.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        let (pace, now) = (self.shared.config.pace, self.shared.clock.elapsed());
        let summary = downloads.all().iter().map(|download| DownloadSummary {
            key: download.key.clone(),
            status: download.status(pace, now),
            archive: self.shared.archives[download.archive].path.clone(),
        });
        summary.collect()
    }

    /// Puts a download into a state for good. False when the key is unknown.
    pub fn set_status(&self, key: &str, status: DownloadStatus) -> bool {
        self.shared.downloads.lock().unwrap_or_else(PoisonError::into_inner).force(key, status)
    }

    /// Makes an observation unknown, as if it had been deleted.
    pub fn hide_observation(&self, id: i64) {
        self.shared.hidden.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Makes a hidden observation known again (but not one that [`inaturalist::exists`] rules out).
    pub fn show_observation(&self, id: i64) {
        self.shared.hidden.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
