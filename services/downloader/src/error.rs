//! Why an archive was not fetched, and what that means for the message.

use std::error::Error;
use std::time::Duration;

use passereau_dwca::ArchiveError;
use passereau_gbif::GbifError;
use passereau_http::HttpError;
use passereau_runner::Stop;
use passereau_store::StoreError;

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
        "the archive needs {needed_bytes} bytes in {place} and {free_bytes} are free; make room, or move PASSEREAU_STORE_URL or PASSEREAU_SCRATCH_DIR to a larger disk"
    )]
    NoRoom {
        /// Where.
        place: &'static str,
        /// Bytes still needed.
        needed_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
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
    /// A stream that broke is an error of the network, not of the store.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Input { key, source } => match source.downcast::<HttpError>() {
                Ok(http) => Self::Http(*http),
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
            Self::Nonsense { .. } | Self::NoRoom { .. } => true,
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

    /// What the runner does with the message.
    #[must_use]
    pub fn into_stop(self) -> Stop {
        match self {
            Self::Stop(stop) => stop,
            error if error.is_transient() => {
                let after = error.retry_after();
                Stop::retry_after(error, after)
            }
            error => Stop::reject(error.to_string()),
        }
    }
}

/// An error with its reasons, which some errors keep out of their own text.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let reason = source.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        next = source.source();
    }
    text
}
