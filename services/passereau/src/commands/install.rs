//! `passereau install`.

use clap::Args;
use passereau_database::DatabaseConfig;
use passereau_geonature::{detect, install, script};

/// Prepares GeoNature's database: the source "GBIF", the unique index that the upsert needs, two indexes that make it fast,
/// and rights for the workers' role. Everything is additive and can be repeated.
#[derive(Args, Debug)]
pub struct Install {
    /// Print the SQL for the database's administrator instead of running it.
    #[arg(long)]
    print_sql: bool,
    /// Role that the workers connect as; without it no rights are granted.
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Install {
    /// Runs or prints the script.
    ///
    /// # Errors
    /// The database is no GeoNature, or refuses a statement.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = passereau_database::connect(&self.database)?;
        if self.print_sql {
            print!("{}", script(&detect(&pool).await?, self.role.as_deref()));
            return Ok(());
        }
        let ready = install(&pool, self.role.as_deref()).await?;
        ready.ready()?;
        println!("source GBIF is {}; the synthèse is ready for harvests", ready.source()?);
        Ok(())
    }
}
