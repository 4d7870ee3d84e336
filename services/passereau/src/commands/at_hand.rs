//! A database that a command can do without.

use std::path::PathBuf;

use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_secret::SecretString;
use sqlx::PgPool;

use super::open;

/// Where the database is, if there is one. The settings are those of every command.
#[derive(Args, Debug)]
pub struct AtHand {
    /// PostgreSQL URL of GeoNature's database; without it nothing is looked up.
    #[arg(long, env = "PASSEREAU_DATABASE_URL", hide_env_values = true)]
    database_url: Option<SecretString>,
    /// File that holds the URL, instead of the URL itself.
    #[arg(long, env = "PASSEREAU_DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
    /// File with the certificates (PEM) of the authority that signed the server's.
    #[arg(long, env = "PASSEREAU_DATABASE_CA_FILE", value_name = "FILE")]
    database_ca_file: Option<PathBuf>,
    /// Look nothing up in the database, though its settings are there.
    #[arg(long)]
    offline: bool,
}

impl AtHand {
    /// Opens it, where one is named.
    pub(super) async fn open(&self) -> anyhow::Result<Option<PgPool>> {
        let is_named = self.database_url.is_some() || self.database_url_file.is_some();
        if self.offline || !is_named {
            return Ok(None);
        }
        let config = DatabaseConfig {
            url: self.database_url.clone(),
            url_file: self.database_url_file.clone(),
            ca_file: self.database_ca_file.clone(),
            connections: 2,
        };
        open(&config).await.map(Some)
    }
}
