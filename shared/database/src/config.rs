//! Settings of the pool, and opening it.

use std::time::Duration;

use log::LevelFilter;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::DatabaseError;

/// Where the database is.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// PostgreSQL URL of GeoNature's database, such as `postgres://passereau@localhost/geonature2db`.
    #[arg(id = "database_url", long = "database-url", env = "PASSEREAU_DATABASE_URL", hide_env_values = true)]
    pub url: SecretString,
    /// Most connections that one process opens.
    #[arg(long = "database-connections", env = "PASSEREAU_DATABASE_CONNECTIONS", default_value_t = 8)]
    pub connections: u32,
}

/// Opens the pool, without waiting for the server: a worker that starts before PostgreSQL waits for it where it can tell
/// why (readiness), not in its constructor.
///
/// # Errors
/// [`DatabaseError::Url`] when the URL cannot be one; it is never repeated, it may hold a password.
pub fn connect(config: &DatabaseConfig) -> Result<PgPool, DatabaseError> {
    // A slice may take a minute: only what takes longer is worth a warning.
    let options: PgConnectOptions = config.url.expose_secret().parse().map_err(|_| DatabaseError::Url)?;
    let options = options.log_slow_statements(LevelFilter::Warn, Duration::from_secs(60));
    Ok(PgPoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options))
}
