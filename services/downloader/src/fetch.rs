//! Fetching a file in parts, so that nothing that was received is asked for twice.
//!
//! Each part is an object of its own, visible only when it came whole. Whoever takes the work up sees from the store what is
//! missing. When the file at the server changes, the parts are dropped and the fetch begins again, a limited number of times.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use passereau_http::{Call, HttpClient, Streamed, Url, Validator};
use passereau_store::{ObjectKey, Store};
use passereau_telemetry::{Metrics, Moved};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::FetchError;
use crate::ledger::{Ledger, Progress};
use crate::parts::{Cutting, Part};
use crate::reply::{Known, Reply, Verdict, judge};
use crate::room::Room;

/// A file that changes more often than this while it is fetched is given up.
const MAX_RESTARTS: u32 = 5;

/// What a part or a step that is on its way may take beyond the deadline. With it the delivery still ends before it was held five minutes.
const OVERTIME: Duration = Duration::from_secs(30);

/// Until when to fetch: a shutdown ends a part in the middle, the deadline ends at a part's boundary.
#[derive(Clone, Debug)]
pub struct Until {
    /// Cancelled when the process is asked to end.
    pub shutdown: CancellationToken,
    /// When to be back.
    pub deadline: Instant,
}

impl Until {
    /// Whether no new part should be begun.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.shutdown.is_cancelled() || Instant::now() >= self.deadline
    }

    /// Whether what is being done has to be broken off.
    pub(crate) fn over(&self) -> bool {
        self.shutdown.is_cancelled() || Instant::now() >= self.deadline + OVERTIME
    }

    async fn cut_off(&self) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = tokio::time::sleep_until(self.deadline + OVERTIME) => {}
        }
    }
}

/// How a fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Every part is in the store.
    Whole(Cutting),
    /// The time was up.
    Paused,
}

/// What became of one part.
enum Step {
    Stored { number: u64, size_bytes: u64 },
    Changed(String),
}

/// Fetches the file of one harvest.
#[derive(Debug)]
pub struct Fetch<'a, L> {
    /// How to reach the server.
    pub http: &'a HttpClient,
    /// Where parts are kept.
    pub store: &'a Store,
    /// How much room there is.
    pub room: &'a Room,
    /// Where progress is kept.
    pub ledger: &'a L,
    /// The harvest, which names the parts.
    pub harvest_id: Uuid,
    /// Size that GBIF's status announced, in bytes.
    pub announced_bytes: Option<u64>,
    /// Size of the parts of a fetch that begins, in bytes.
    pub part_bytes: u64,
    /// Where bytes are counted as they come.
    pub metrics: Option<&'a Metrics>,
}

impl<L: Ledger> Fetch<'_, L> {
    /// How the file is cut, when every part of it is in the store.
    ///
    /// # Errors
    /// The store failed.
    pub async fn whole(&self, progress: &Progress) -> Result<Option<Cutting>, FetchError> {
        let Some(cutting) = cutting(progress) else { return Ok(None) };
        let missing = cutting.first_missing(&self.present().await?);
        Ok(missing.is_none().then_some(cutting))
    }

    /// Fetches what is missing.
    ///
    /// # Errors
    /// [`FetchError`]; what came before the error stays, and counts in [`Progress::steps`].
    pub async fn run(&self, url: &Url, progress: &mut Progress, until: &Until) -> Result<Fetched, FetchError> {
        if progress.known.is_none() {
            // Parts of nobody knows what: left by a process that ended between two steps.
            self.drop_parts().await?;
        }
        if std::mem::take(&mut progress.verified) {
            // A part is missing that was checked once: what replaces it was not.
            self.ledger.save(progress).await?;
        }
        let mut present = self.present().await?;
        // Before GBIF is asked for a byte, where the size is known; a fetch that goes on may find the disk filled by others.
        if let Some(size_bytes) = progress.known.as_ref().map(|known| known.size_bytes).or(self.announced_bytes) {
            self.room.check(size_bytes, present.values().sum())?;
        }
        loop {
            let part = match cutting(progress) {
                None => Part { number: 0, first: 0, last: progress.part_bytes - 1 },
                Some(cutting) => match cutting.first_missing(&present) {
                    None => return Ok(Fetched::Whole(cutting)),
                    Some(part) => part,
                },
            };
            if until.reached() {
                return Ok(Fetched::Paused);
            }
            let step = tokio::select! {
                step = self.part(url, part, progress) => step?,
                () = until.cut_off() => return Ok(Fetched::Paused),
            };
            match step {
                Step::Stored { number, size_bytes } => {
                    present.insert(number, size_bytes);
                    if let Some(metrics) = self.metrics {
                        metrics.bytes(Moved::Fetched, size_bytes);
                    }
                    progress.steps += 1;
                }
                Step::Changed(why) => {
                    tracing::warn!(harvest_id = %self.harvest_id, why, "the archive changed at the server, starting again");
                    if progress.restarts >= MAX_RESTARTS {
                        let restarts = progress.restarts;
                        self.forget(progress).await?;
                        return Err(FetchError::Unsteady { restarts });
                    }
                    progress.restarts += 1;
                    self.begin_anew(progress).await?;
                    present.clear();
                }
            }
        }
    }

    /// Drops what was fetched. The caller has counted why.
    ///
    /// # Errors
    /// The store or the ledger failed.
    pub async fn begin_anew(&self, progress: &mut Progress) -> Result<(), FetchError> {
        self.drop_parts().await?;
        progress.known = None;
        progress.verified = false;
        progress.part_bytes = self.part_bytes;
        Ok(self.ledger.save(progress).await?)
    }

    /// The fetch is given up: what was fetched and counted goes, so that a replay of the dead letter begins as the first call did.
    ///
    /// # Errors
    /// The store or the ledger failed.
    pub async fn forget(&self, progress: &mut Progress) -> Result<(), FetchError> {
        progress.restarts = 0;
        progress.corruptions = 0;
        self.begin_anew(progress).await
    }

    /// Keeps that every part is there and the archive passed its checks.
    ///
    /// # Errors
    /// The ledger failed.
    pub async fn verified(&self, progress: &mut Progress) -> Result<(), FetchError> {
        progress.verified = true;
        self.ledger.save(progress).await?;
        progress.steps += 1;
        Ok(())
    }

    /// Removes the parts.
    ///
    /// # Errors
    /// The store failed.
    pub async fn drop_parts(&self) -> Result<(), FetchError> {
        for (key, _) in self.store.list(&folder(self.harvest_id)).await? {
            self.store.delete(&key).await?;
        }
        Ok(())
    }

    async fn part(&self, url: &Url, part: Part, progress: &mut Progress) -> Result<Step, FetchError> {
        let mut call = Call::get(url.clone()).range(part.first, Some(part.last));
        if let Some(validator) = progress.known.as_ref().and_then(|known| known.validator.clone()) {
            call = call.if_range(&Validator(validator));
        }
        let streamed = self.http.follow(call).await?;
        let reply = reply(&streamed);
        let (size_bytes, body_bytes) = match judge(part, progress.known.as_ref(), &reply) {
            Verdict::Part { size_bytes, body_bytes } => (Some(size_bytes), Some(body_bytes)),
            Verdict::Whole { size_bytes } => {
                progress.part_bytes = size_bytes.unwrap_or(progress.part_bytes);
                (size_bytes, size_bytes)
            }
            Verdict::Changed(why) => return Ok(Step::Changed(why)),
            Verdict::Empty => return Err(FetchError::Corrupt { reason: "the file is empty".to_owned() }),
            Verdict::Nonsense(what) => return Err(FetchError::Nonsense { host: host(streamed.url()), what }),
            Verdict::Refused => return Err(streamed.into_error().await.into()),
        };
        if progress.known.is_none()
            && let Some(size_bytes) = size_bytes
        {
            self.begin(size_bytes, reply.validator.clone(), progress).await?;
        }
        let number = part.number;
        let stored_bytes = self.keep(streamed, number, body_bytes).await?;
        if size_bytes.is_none() {
            // A server that announces no size at all: it is known once everything has come.
            progress.part_bytes = stored_bytes.max(1);
            self.begin(stored_bytes, reply.validator, progress).await?;
        }
        Ok(Step::Stored { number, size_bytes: stored_bytes })
    }

    /// The size is known: is it the right one, and is there room for it?
    async fn begin(
        &self,
        size_bytes: u64,
        validator: Option<String>,
        progress: &mut Progress,
    ) -> Result<(), FetchError> {
        if let Some(announced) = self.announced_bytes
            && announced != size_bytes
        {
            let reason = format!("the file has {size_bytes} bytes and GBIF announced {announced}");
            return Err(FetchError::Corrupt { reason });
        }
        self.room.check(size_bytes, 0)?;
        progress.known = Some(Known { size_bytes, validator });
        Ok(self.ledger.save(progress).await?)
    }

    /// Stores the body as a part, if it has the size it must have.
    async fn keep(&self, streamed: Streamed, number: u64, body_bytes: Option<u64>) -> Result<u64, FetchError> {
        let host = host(streamed.url());
        let key = part_key(self.harvest_id, number)?;
        let nonsense = |what: &str| FetchError::Nonsense { host: host.clone(), what: what.to_owned() };
        // A body that grows beyond what was announced, here or by GBIF, is cut off: it must not fill the disk. One of which nobody
        // knows the size is taken as far as the disk has room for it.
        let most = match body_bytes.or(self.announced_bytes) {
            None => self.room.most()?,
            announced => announced,
        };
        let mut left = most.unwrap_or(u64::MAX);
        let too_long = || match (body_bytes, self.announced_bytes) {
            (Some(_), _) => nonsense("more bytes than announced"),
            (None, Some(announced)) => FetchError::Corrupt {
                reason: format!("the file has more than the {announced} bytes that GBIF announced"),
            },
            (None, None) => self.room.check(most.unwrap_or(u64::MAX).saturating_add(1), 0).err().unwrap_or_else(|| {
                // Others have made room meanwhile.
                nonsense("more bytes than there was room for, without announcing how many")
            }),
        };
        let body = streamed.into_stream().map(|chunk| {
            let chunk = chunk?;
            let size = chunk.len() as u64;
            left = left.checked_sub(size).ok_or_else(too_long)?;
            Ok::<_, FetchError>(chunk)
        });
        let stored = self.store.put_stream(&key, body).await?;
        if body_bytes.is_some_and(|expected| expected != stored.size_bytes) {
            self.store.delete(&key).await?;
            return Err(nonsense("fewer bytes than announced"));
        }
        Ok(stored.size_bytes)
    }

    async fn present(&self) -> Result<BTreeMap<u64, u64>, FetchError> {
        let found = self.store.list(&folder(self.harvest_id)).await?;
        Ok(found
            .into_iter()
            .filter_map(|(key, size)| Some((key.as_str().rsplit_once('/')?.1.parse().ok()?, size)))
            .collect())
    }
}

/// The cutting of a fetch whose file is known.
fn cutting(progress: &Progress) -> Option<Cutting> {
    let known = progress.known.as_ref()?;
    Some(Cutting { size_bytes: known.size_bytes, part_bytes: progress.part_bytes })
}

/// Key of a part.
pub(crate) fn part_key(harvest_id: Uuid, number: u64) -> Result<ObjectKey, FetchError> {
    let text = format!("{}/{number:06}", folder(harvest_id));
    ObjectKey::parse(&text).map_err(|error| passereau_runner::Stop::reject(error.to_string()).into())
}

fn folder(harvest_id: Uuid) -> String {
    format!("parts/{harvest_id}")
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or("?").to_owned()
}

fn reply(streamed: &Streamed) -> Reply {
    Reply {
        status: streamed.status(),
        content_range: streamed.content_range(),
        content_length: streamed.content_length(),
        validator: streamed.validator().map(|validator| validator.0),
    }
}
