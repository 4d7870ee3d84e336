//! Why a gateway cannot start or go on.

use std::net::SocketAddr;

use passereau_database::DatabaseError;
use passereau_store::StoreError;
use passereau_telemetry::ServeError;

/// Why a gateway cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The address for partners.
    #[error(
        "flows cannot be served on {address}: {source}; another process may hold the port: set PASSEREAU_GATEWAY_LISTEN to a free one"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Metrics and health.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The system's signals.
    #[error("listening for SIGTERM: {0}")]
    Signal(std::io::Error),
}
