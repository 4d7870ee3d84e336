//! `passereau vocabulary unmatched`: values that no rule of `pinv_gbif.cor_vocabulary` knows.

use std::fmt::Write;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use passereau_database::DatabaseConfig;
use sqlx::PgPool;

use super::{open, show};

/// The mapping from GBIF's words to nomenclatures.
#[derive(Debug, Subcommand)]
pub enum Vocabulary {
    /// Values of a subscription's current generation that no rule knows, as tab-separated lines, the most frequent first.
    Unmatched(Unmatched),
}

/// Whose values.
#[derive(Args, Debug)]
pub struct Unmatched {
    /// Name of the subscription.
    subscription: String,
    #[command(flatten)]
    database: DatabaseConfig,
}

impl Vocabulary {
    /// Does what was asked.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Unmatched(unmatched) => unmatched.run().await,
        }
    }
}

impl Unmatched {
    async fn run(self) -> anyhow::Result<()> {
        let pool = open(&self.database).await?;
        let generation = current_generation(&pool, &self.subscription).await?;
        let values: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT term, value, records FROM passereau.unmatched_values($1) ORDER BY records DESC, term, value",
        )
        .bind(generation)
        .fetch_all(&pool)
        .await
        .context("counting the unmatched values")?;
        let mut text = "records\tterm\tvalue\n".to_owned();
        for (term, value, records) in values {
            writeln!(text, "{records}\t{term}\t{}", value.replace(['\t', '\n', '\r'], " "))?;
        }
        show(&text)
    }
}

async fn current_generation(pool: &PgPool, subscription: &str) -> anyhow::Result<i64> {
    let current: Option<Option<i64>> =
        sqlx::query_scalar("SELECT current_generation FROM passereau.subscription WHERE name = $1")
            .bind(subscription)
            .fetch_optional(pool)
            .await?;
    match current {
        Some(Some(generation)) => Ok(generation),
        Some(None) => bail!("subscription {subscription} has no completed harvest yet"),
        None => bail!("there is no subscription {subscription}; `passereau harvest list` names them"),
    }
}
