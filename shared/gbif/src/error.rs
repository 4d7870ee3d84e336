//! Why a call to GBIF brought nothing a harvest can use.

use passereau_http::HttpError;
use std::time::Duration;

/// A call to GBIF failed.
#[derive(Debug, thiserror::Error)]
pub enum GbifError {
    /// No answer, or none that can be read.
    #[error("GBIF: {doing}")]
    Http {
        /// What was being done.
        doing: &'static str,
        /// What happened.
        #[source]
        source: HttpError,
    },
    /// The account is refused.
    #[error(
        "GBIF refuses the account while {doing} (401): {text}; check PASSEREAU_GBIF_USER and PASSEREAU_GBIF_PASSWORD"
    )]
    Unauthorized {
        /// What was being done.
        doing: &'static str,
        /// GBIF's words.
        text: String,
    },
    /// GBIF asks to slow down (429), or a limit of its own is reached (420).
    #[error("GBIF asks to slow down while {doing} ({status})")]
    SlowDown {
        /// What was being done.
        doing: &'static str,
        /// The HTTP status.
        status: u16,
        /// How long, if GBIF said.
        retry_after: Option<Duration>,
    },
    /// GBIF has a trouble of its own, or maintenance.
    #[error("GBIF is not available while {doing} ({status}): {excerpt}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The HTTP status.
        status: u16,
        /// How long, if GBIF said.
        retry_after: Option<Duration>,
        /// The beginning of GBIF's words.
        excerpt: String,
    },
    /// An answer GBIF's documentation does not announce for this call.
    #[error("GBIF answered {status} while {doing}, which was not expected: {excerpt}")]
    Unexpected {
        /// What was being done.
        doing: &'static str,
        /// The HTTP status.
        status: u16,
        /// The beginning of GBIF's words.
        excerpt: String,
    },
    /// The base address may not be called.
    #[error("the setting PASSEREAU_GBIF_URL is wrong")]
    Base(#[source] HttpError),
    /// The password cannot be had.
    #[error(transparent)]
    Secret(#[from] passereau_secret::SecretError),
    /// A setting is wrong.
    #[error("the setting {setting} is wrong: {reason}")]
    Setting {
        /// Its environment variable.
        setting: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

impl GbifError {
    /// Whether the same call may succeed later without anybody changing anything. A refused account is not: it must be
    /// mended by a person, and asking again may get it blocked.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http { source, .. } => source.is_transient(),
            Self::SlowDown { .. } | Self::Unavailable { .. } => true,
            Self::Unauthorized { .. }
            | Self::Unexpected { .. }
            | Self::Base(_)
            | Self::Secret(_)
            | Self::Setting { .. } => false,
        }
    }

    /// How long GBIF asked us to wait, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http { source, .. } => source.retry_after(),
            Self::SlowDown { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Unauthorized { .. }
            | Self::Unexpected { .. }
            | Self::Base(_)
            | Self::Secret(_)
            | Self::Setting { .. } => None,
        }
    }

    /// Whether GBIF may have acted on the call although we have no answer. After this, look among the account's downloads
    /// before asking again.
    pub fn outcome_is_unknown(&self) -> bool {
        match self {
            Self::Http { source, .. } => source.outcome_is_unknown(),
            Self::Unavailable { .. } | Self::Unexpected { .. } => true,
            Self::Unauthorized { .. }
            | Self::SlowDown { .. }
            | Self::Base(_)
            | Self::Secret(_)
            | Self::Setting { .. } => false,
        }
    }
}
