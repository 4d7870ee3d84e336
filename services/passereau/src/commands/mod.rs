//! One file for each verb.

use passereau_database::{DatabaseConfig, check_migrated, connect};
use sqlx::PgPool;

pub mod check;
pub mod cite;
pub mod dead;
pub mod harvest;
pub mod install;
pub mod migrate;
pub mod reconvert;
pub mod rejects;
pub mod submit;
pub mod taxon;
pub mod taxon_keys;
mod taxon_sheet;
pub mod topology;
pub mod up;
pub mod vocabulary;

/// Connects to a database that is as new as this program.
async fn open(config: &DatabaseConfig) -> anyhow::Result<PgPool> {
    let pool = connect(config)?;
    check_migrated(&pool).await?;
    Ok(pool)
}
