//! `passereau migrate`.

use clap::Args;
use passereau_database::DatabaseConfig;

use super::show;

/// Creates or updates our schemas, and grants the roles of the exporter and the gateway, where they have their own, what they need there. Touches nothing
/// of GeoNature's.
#[derive(Args, Debug)]
pub struct Migrate {
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Migrate {
    /// Applies what is missing.
    ///
    /// # Errors
    /// The migration at fault, or the rights that could not be granted.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = passereau_database::connect(&self.database)?;
        passereau_database::migrate(&pool).await?;
        let granted = passereau_geonature::grant_parts(&pool).await?;
        show("schemas passereau and pinv_gbif are up to date\n")?;
        for (part, role) in granted {
            show(&format!("role {role} has what the {} needs there\n", part.as_str()))?;
        }
        Ok(())
    }
}
