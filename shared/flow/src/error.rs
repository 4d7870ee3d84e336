//! Why something was not done to a flow.

use std::path::PathBuf;

use crate::{Problem, in_lines};

/// Why something was not done to a flow.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The file is not there, or not a text.
    #[error("reading the agreement {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The agreement is not right: all its problems.
    #[error("the agreement is not right:\n{}", in_lines(.0))]
    Problems(Vec<Problem>),
    /// No flow has this name.
    #[error("there is no flow {0}; `passereau flow list` shows those that there are")]
    Unknown(String),
    /// It is not allowed, or makes no sense now; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// The database.
    #[error("{doing}: {source}{}", remedy(source))]
    Database {
        /// What was being done, and to what.
        doing: String,
        /// What it said.
        source: sqlx::Error,
    },
}

impl FlowError {
    /// For `map_err`: names what was being done.
    pub(crate) fn database(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let doing = doing.into();
        |source| Self::Database { doing, source }
    }
}

/// What to do about a refusal of the database, where that is known. It is one of PostgreSQL's insufficient_privilege.
fn remedy(source: &sqlx::Error) -> &'static str {
    match source.as_database_error().and_then(|refusal| refusal.code()).as_deref() {
        Some("42501") => "; `passereau install --exporter-role ROLE`, run as administrator, grants what a flow reads",
        _ => "",
    }
}
