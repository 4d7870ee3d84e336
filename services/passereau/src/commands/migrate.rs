//! `passereau migrate`.

use clap::Args;
use passereau_database::DatabaseConfig;

use super::show;

/// Creates or updates our schemas. Touches nothing of GeoNature's.
#[derive(Args, Debug)]
pub struct Migrate {
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Migrate {
    /// Applies what is missing.
    ///
    /// # Errors
    /// The migration at fault.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = passereau_database::connect(&self.database)?;
        passereau_database::migrate(&pool).await?;
        show("schemas passereau and pinv_gbif are up to date\n")
    }
}
