//! Why a lookup brought no UUIDs.

use crate::page::PageProblem;
use passereau_http::HttpError;
use std::time::Duration;

/// A lookup failed as a whole: of its ids nothing is known, neither found nor absent.
#[derive(Debug, thiserror::Error)]
pub enum InaturalistError {
    /// A batch of no ids would ask for the whole site.
    #[error("a lookup needs at least one id: iNaturalist reads an empty list as no filter at all")]
    NoIds,
    /// More ids than fit on one page.
    #[error("a lookup takes at most {most} ids, not {given}: the others would be missing from the answer")]
    TooManyIds {
        /// How many were given.
        given: usize,
        /// How many one page holds.
        most: usize,
    },
    /// Ids are positive.
    #[error("{0} is no id of an iNaturalist observation")]
    BadId(i64),
    /// The base address cannot be used.
    #[error("PASSEREAU_INATURALIST_URL is wrong: {0}")]
    BaseUrl(&'static str),
    /// The base address may not be called.
    #[error("PASSEREAU_INATURALIST_URL cannot be used")]
    Base(#[source] HttpError),
    /// No answer, or none that can be read.
    #[error("iNaturalist: looking up {ids} observations")]
    Http {
        /// How many ids were asked.
        ids: usize,
        /// What happened.
        #[source]
        source: HttpError,
    },
    /// Too many calls (429). The front server says so in HTML and without a `Retry-After`.
    #[error("iNaturalist asks to slow down (429); check that no other program shares this address")]
    SlowDown {
        /// How long to wait: what the server said, and at least a minute, the smallest window it counts in.
        retry_after: Duration,
    },
    /// A trouble of iNaturalist's own, or planned maintenance (5xx).
    #[error("iNaturalist is not available ({status}): {excerpt}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// How long, if the server said.
        retry_after: Option<Duration>,
        /// The beginning of its words.
        excerpt: String,
    },
    /// iNaturalist does not understand the question (400, 422): a fault of ours.
    #[error("iNaturalist refuses the question ({status}): {excerpt}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The beginning of its words.
        excerpt: String,
    },
    /// iNaturalist answers nothing of the kind here: it blocks our address (401, 403), or nothing is at this one (404 and
    /// the other statuses).
    #[error(
        "iNaturalist turns us away ({status}): {excerpt}; check PASSEREAU_INATURALIST_URL, and ask help@inaturalist.org \
         whether this address is blocked"
    )]
    Blocked {
        /// The HTTP status.
        status: u16,
        /// The beginning of its words.
        excerpt: String,
    },
    /// The page is cut: it holds fewer observations than were found.
    #[error("iNaturalist found {total} observations but sent {sent}")]
    Truncated {
        /// `total_results` of the answer.
        total: u64,
        /// Observations on the page.
        sent: u64,
    },
    /// More observations were found than asked for: the filter was not understood.
    #[error("iNaturalist found {total} observations for {asked} ids; it did not read the filter")]
    Unfiltered {
        /// `total_results` of the answer.
        total: u64,
        /// How many ids were asked.
        asked: u64,
    },
}

impl From<PageProblem> for InaturalistError {
    fn from(problem: PageProblem) -> Self {
        match problem {
            PageProblem::Truncated { total, sent } => Self::Truncated { total, sent },
            PageProblem::Unfiltered { total, asked } => Self::Unfiltered { total, asked },
        }
    }
}

impl InaturalistError {
    /// Whether the same lookup may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http { source, .. } => source.is_transient(),
            Self::SlowDown { .. } | Self::Unavailable { .. } | Self::Truncated { .. } => true,
            Self::NoIds
            | Self::TooManyIds { .. }
            | Self::BadId(_)
            | Self::BaseUrl(_)
            | Self::Base(_)
            | Self::Refused { .. }
            | Self::Blocked { .. }
            | Self::Unfiltered { .. } => false,
        }
    }

    /// Whether the fault is ours (the question, a setting), not the service's or the network's: then no lookup can succeed,
    /// and nothing is known of iNaturalist.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::NoIds
            | Self::TooManyIds { .. }
            | Self::BadId(_)
            | Self::BaseUrl(_)
            | Self::Base(_)
            | Self::Refused { .. } => true,
            Self::Http { source, .. } => {
                matches!(source, HttpError::UserAgent(_) | HttpError::Build(_) | HttpError::BadUrl { .. })
            }
            Self::SlowDown { .. }
            | Self::Unavailable { .. }
            | Self::Blocked { .. }
            | Self::Truncated { .. }
            | Self::Unfiltered { .. } => false,
        }
    }

    /// Whether the call never reached the service, which therefore has not counted it.
    pub fn never_arrived(&self) -> bool {
        matches!(self, Self::Http { source: HttpError::Connect { .. } | HttpError::Inside { .. }, .. })
    }

    /// How long to wait, if the server said or a rule of its own asks for it.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::SlowDown { retry_after } => Some(*retry_after),
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Http { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
