//! Why an archive was not fetched, and what that means for the message.

use std::time::Duration;

use passereau_dwca::ArchiveError;
use passereau_gbif::GbifError;
use passereau_http::{HttpError, chain};
use passereau_runner::Stop;
use passereau_store::StoreError;

/// How long a server is left alone after a failure that costs no attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a disk without room is looked at again.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Why an archive was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// GBIF did not say where the file is.
    #[error("asking GBIF where the archive is failed: {}", chain(.0))]
    Place(#[source] GbifError),
    /// The file server did not give the bytes.
    #[error("fetching the archive failed: {}", chain(.0))]
    Http(#[source] HttpError),
    /// The file server's answer breaks the rules of HTTP.
    #[error("the file server at {host} sent {what}; a proxy in between may be at fault")]
    Nonsense {
        /// Host of the file server.
        host: String,
        /// What it sent.
        what: String,
    },
    /// Parts or the archive could not be kept.
    #[error("keeping the archive failed: {}", chain(.0))]
    Store(#[source] StoreError),
    /// There is not enough room.
    #[error(
        "the archive needs at least {needed_bytes} bytes in the store, {free_bytes} are free and {reserve_bytes} are left for others; make room \
         (`passereau retention plan` says what has expired), or move PASSEREAU_STORE_URL to a larger disk: the fetch goes on by itself"
    )]
    NoRoom {
        /// Bytes still needed.
        needed_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
        /// Bytes that are left for others.
        reserve_bytes: u64,
    },
    /// The bytes are not those of a whole archive: cut, or damaged on the way or at the server.
    #[error("the archive is corrupt: {reason}")]
    Corrupt {
        /// What is wrong with it.
        reason: String,
    },
    /// The archive is whole, and still cannot be used.
    #[error("the archive cannot be used: {0}")]
    Unusable(#[source] ArchiveError),
    /// The file changed again and again.
    #[error(
        "the file at GBIF changed {restarts} times while it was fetched; wait until it rests, then replay the message"
    )]
    Unsteady {
        /// How often.
        restarts: u32,
    },
    /// The delivery had to end before a step did.
    #[error(
        "{doing} did not end in the time of a delivery; when it never does, the disk or the processor is too slow for an archive of this size"
    )]
    TimeUp {
        /// The step.
        doing: &'static str,
    },
    /// The runner's own reasons to stop.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<HttpError> for FetchError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl From<StoreError> for FetchError {
    /// What came with a stream that broke is the reason, not the store.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Input { key, source } => match source.downcast::<Self>() {
                Ok(reason) => *reason,
                Err(source) => Self::Store(StoreError::Input { key, source }),
            },
            other => Self::Store(other),
        }
    }
}

impl From<ArchiveError> for FetchError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::NotAZip { .. } | ArchiveError::Damaged { .. } => Self::Corrupt { reason: error.to_string() },
            other => Self::Unusable(other),
        }
    }
}

impl FetchError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Place(error) => error.is_transient(),
            Self::Http(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::Nonsense { .. } | Self::NoRoom { .. } | Self::TimeUp { .. } => true,
            Self::Unusable(error) => matches!(error, ArchiveError::Io { .. }),
            Self::Stop(stop) => !matches!(stop, Stop::Reject { .. }),
            Self::Corrupt { .. } | Self::Unsteady { .. } => false,
        }
    }

    /// How long the other side asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Place(error) => error.retry_after(),
            Self::Http(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The same failure of a delivery that did `steps` steps. With any, coming again is free: long transfers are cut every gigabyte or
    /// so, and attempts are there for work that stands still. The runner's own reasons stay what they are.
    #[must_use]
    pub fn after_steps(self, steps: u64) -> Self {
        if steps == 0 || !self.is_transient() || matches!(self, Self::Stop(_) | Self::NoRoom { .. }) {
            return self;
        }
        let after = self.retry_after().unwrap_or(PAUSE);
        Self::Stop(Stop::snooze(after, format!("{steps} steps were done, going on after: {self}")))
    }

    /// What the runner does with the message.
    #[must_use]
    pub fn into_stop(self) -> Stop {
        match self {
            Self::Stop(stop) => stop,
            // Waiting for an administrator is no failure: it costs no attempt, and the harvest goes on once there is room.
            Self::NoRoom { .. } => Stop::snooze(NO_ROOM_PAUSE, self.to_string()),
            error if error.is_transient() => {
                let after = error.retry_after();
                Stop::retry_after(error, after)
            }
            error => Stop::reject(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_standstill_costs_an_attempt() {
        let broken = || FetchError::TimeUp { doing: "checking" };
        assert!(matches!(broken().after_steps(0).into_stop(), Stop::Retry { .. }));
        assert!(matches!(broken().after_steps(1).into_stop(), Stop::Snooze { after: PAUSE, .. }));
        let corrupt = FetchError::Corrupt { reason: "cut".to_owned() };
        assert!(matches!(corrupt.after_steps(9), FetchError::Corrupt { .. }));
        for steps in [0, 9] {
            let full = FetchError::NoRoom { needed_bytes: 2, free_bytes: 1, reserve_bytes: 0 };
            assert!(matches!(full.after_steps(steps).into_stop(), Stop::Snooze { after: NO_ROOM_PAUSE, .. }));
        }
        let retry = FetchError::Stop(Stop::retry("no"));
        assert!(matches!(retry.after_steps(9), FetchError::Stop(Stop::Retry { .. })));
    }
}
