//! Why an erasure did not come to its end.

use passereau_store::StoreError;

/// An erasure, or its plan, failed. No message repeats a name.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// PostgreSQL refused a step.
    #[error("{doing}; what was erased before stays erased, call again to go on")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What PostgreSQL said.
        #[source]
        source: sqlx::Error,
    },
    /// The store cannot be used.
    #[error("{doing} {key} of the store; call again once the store answers")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Key of the archive.
        key: String,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// The name comes back as fast as it goes.
    #[error(
        "after {passes} passes the name still stands in {left}: something writes it again; let the harvests end \
         (`passereau harvest list`), then call again"
    )]
    Unending {
        /// How often everything was gone through.
        passes: u32,
        /// A place in which it stands.
        left: String,
    },
}

impl ErasureError {
    /// For `map_err`: PostgreSQL refused what was being done.
    pub(crate) fn database(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}
