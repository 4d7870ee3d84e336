//! Why a landing failed.

use passereau_dwca::ArchiveError;

/// A landing that cannot go on. What was committed before stays, and the next attempt goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandingError {
    /// The archive cannot be read.
    #[error("landing generation {generation}: {source}")]
    Archive {
        /// The generation.
        generation: i64,
        /// What is wrong with the archive.
        source: ArchiveError,
    },

    /// PostgreSQL refused or was away.
    #[error("landing generation {generation}, {doing}: {source}")]
    Database {
        /// The generation.
        generation: i64,
        /// What was being done.
        doing: &'static str,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },

    /// There is no such generation, or it was dropped.
    #[error("generation {generation} cannot be landed, it is {state}; submit the harvest again")]
    NotLoading {
        /// The generation.
        generation: i64,
        /// Its state, or "missing".
        state: String,
    },

    /// Another process took the work over; what this one did last was not committed.
    #[error("generation {generation} is being landed by another process; this copy of the work is dropped")]
    ClaimLost {
        /// The generation.
        generation: i64,
    },

    /// PostgreSQL stored another number of rows than it was sent.
    #[error(
        "generation {generation}: {sent} rows were sent and {stored} stored; look for triggers or rules on pinv_gbif"
    )]
    RowsLost {
        /// The generation.
        generation: i64,
        /// Rows that were sent.
        sent: u64,
        /// Rows that PostgreSQL says it stored.
        stored: u64,
    },

    /// A thread of the pipeline panicked.
    #[error("landing generation {generation}: a thread stopped ({source}); this is a fault of the loader, report it")]
    Thread {
        /// The generation.
        generation: i64,
        /// How it stopped.
        source: tokio::task::JoinError,
    },
}

impl LandingError {
    /// Whether the same landing can succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Archive { source, .. } => source.is_transient(),
            Self::Database { source, .. } => is_transient(source),
            Self::ClaimLost { .. } | Self::Thread { .. } => true,
            Self::NotLoading { .. } | Self::RowsLost { .. } => false,
        }
    }
}

/// Connection lost, server full or stopping, serialisation: PostgreSQL's classes 08, 40, 53, 55 and 57
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(refusal) => refusal
            .code()
            .is_some_and(|code| ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class))),
        _ => false,
    }
}
