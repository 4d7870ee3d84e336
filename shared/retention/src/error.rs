//! What can go wrong.

use passereau_store::StoreError;

use crate::Kind;

/// Why something was not looked at or not taken away.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// PostgreSQL refused or was away.
    #[error("{doing} failed: {source}; it is tried again by the next run, or now with `passereau retention run`")]
    Database {
        /// What was being done.
        doing: String,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
    /// The store did.
    #[error(
        "taking away what has expired ({kind}) stopped at the store: {source}; it is tried again by the next run, or now with `passereau retention run`"
    )]
    Store {
        /// What was to go.
        kind: Kind,
        /// What the store said.
        source: StoreError,
    },
    /// Another process is at it.
    #[error("another process is taking away what has expired; `passereau retention plan` shows it once it has ended")]
    Busy,
}

impl RetentionError {
    pub(crate) fn database(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let doing = doing.into();
        |source| Self::Database { doing, source }
    }
}
