//! `passereau harvest reconvert`.

use anyhow::{Context, bail};
use clap::Args;
use passereau_database::DatabaseConfig;

use super::{open, show};

/// Converts the current generation of a subscription again: records that waited enter if their cause is gone, rows that come
/// out otherwise are updated. The upserters do it by themselves when they see a reason; this is for the reasons that they do
/// not see, such as new links to GBIF in the same version of TAXREF.
#[derive(Args, Debug)]
pub struct Reconvert {
    /// Name of the subscription.
    subscription: String,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Reconvert {
    /// Starts the harvest and prints its id.
    ///
    /// # Errors
    /// The subscription has nothing to convert, or a harvest of it is on its way.
    pub async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let mut tx = pool.begin().await?;
        let started = passereau_harvest::reconvert(&mut tx, &self.subscription, "asked for by hand")
            .await
            .with_context(|| format!("starting the reconversion of {}", self.subscription))?;
        tx.commit().await?;
        let Some(id) = started else {
            bail!(
                "subscription {} has no completed harvest, or one that is on its way: see `passereau harvest list`",
                self.subscription
            );
        };
        show(&format!("{id}\n"))?;
        eprintln!("started; follow it with `passereau harvest show {id}`");
        Ok(())
    }
}
