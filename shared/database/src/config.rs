//! Settings of the pool, and opening it.

use std::{path::PathBuf, time::Duration};

use log::LevelFilter;
use passereau_secret::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

use crate::DatabaseError;

/// Where the database is.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// PostgreSQL URL of GeoNature's database, such as `postgres://passereau:password@localhost/geonature2db`.
    #[arg(
        id = "database_url",
        long = "database-url",
        env = "PASSEREAU_DATABASE_URL",
        hide_env_values = true,
        required_unless_present = "database_url_file"
    )]
    pub url: Option<SecretString>,
    /// File that holds the URL, instead of the URL itself.
    #[arg(
        id = "database_url_file",
        long = "database-url-file",
        env = "PASSEREAU_DATABASE_URL_FILE",
        value_name = "FILE"
    )]
    pub url_file: Option<PathBuf>,
    /// File with the certificates (PEM) of the authority that signed the server's: the connection is then encrypted, and the server must prove
    /// that it is the host of the URL. Without it the URL's `sslmode` decides.
    #[arg(id = "database_ca_file", long = "database-ca-file", env = "PASSEREAU_DATABASE_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Most connections that one process opens.
    #[arg(long = "database-connections", env = "PASSEREAU_DATABASE_CONNECTIONS", default_value_t = CONNECTIONS)]
    pub connections: u32,
}

const CONNECTIONS: u32 = 8;
/// How long a statement waits for a connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl DatabaseConfig {
    /// The defaults, for a database at `url`.
    #[must_use]
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self { url: Some(url.into()), url_file: None, ca_file: None, connections: CONNECTIONS }
    }

    fn options(&self) -> Result<PgConnectOptions, DatabaseError> {
        let url = passereau_secret::require("PASSEREAU_DATABASE_URL", self.url.as_ref(), self.url_file.as_deref())?;
        let options: PgConnectOptions = url.expose_secret().parse().map_err(|_| DatabaseError::Url)?;
        let Some(file) = self.ca_file.as_ref().filter(|file| !file.as_os_str().is_empty()) else { return Ok(options) };
        // Read here, where somebody is there to be told; the pool would say it at each connection.
        let certificates =
            std::fs::read(file).map_err(|source| DatabaseError::Authority { file: file.clone(), source })?;
        Ok(options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert_from_pem(certificates))
    }
}

/// Opens the pool, without waiting for the server: a worker that starts before PostgreSQL waits for it where it can tell
/// why (readiness), not in its constructor.
///
/// # Errors
/// [`DatabaseError::Secret`] when there is no URL, [`DatabaseError::Url`] when it cannot be one (it is never repeated, it may hold a password),
/// [`DatabaseError::Authority`] when the certificates cannot be read.
pub fn connect(config: &DatabaseConfig) -> Result<PgPool, DatabaseError> {
    // A slice may take a minute: only what takes longer is worth a warning.
    let options = config.options()?.log_slow_statements(LevelFilter::Warn, Duration::from_secs(60));
    Ok(PgPoolOptions::new().max_connections(config.connections).acquire_timeout(PATIENCE).connect_lazy_with(options))
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn parse(words: &[&str]) -> Result<DatabaseConfig, clap::Error> {
        let command = DatabaseConfig::augment_args(Command::new("worker"));
        DatabaseConfig::from_arg_matches(&command.try_get_matches_from([&["worker"], words].concat())?)
    }

    #[test]
    fn the_url_or_its_file_is_asked_for() {
        assert!(parse(&["--database-url", "postgres://a@b/c"]).is_ok());
        assert!(parse(&["--database-url-file", "/run/secrets/database"]).is_ok());
    }

    #[test]
    fn nothing_of_a_url_is_shown() {
        let config = parse(&["--database-url", "postgres://hermine:opensesame@b/c"]).expect("parsed");
        assert!(!format!("{config:?}").contains("sesame"));
        let error = connect(&DatabaseConfig::new("opensesame")).expect_err("no URL");
        assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_named_at_once() {
        let ca_file = Some("/nowhere/ca.pem".into());
        let config = DatabaseConfig { ca_file, ..DatabaseConfig::new("postgres://a@b/c") };
        let error = connect(&config).expect_err("refused").to_string();
        assert!(error.contains("PASSEREAU_DATABASE_CA_FILE") && error.contains("/nowhere/ca.pem"), "{error}");
    }
}
