//! What would be erased, and what a person has to look at.

use passereau_dwca::Limits;
use passereau_store::Store;
use serde::Serialize;
use sqlx::{FromRow, PgPool};

use crate::archives::{Archive, archives};
use crate::error::ErasureError;

/// A value that holds a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct Value {
    /// What the table is to us: `synthese`, `media`, `landed`, `copied by hand`, `planned`, `accounts`.
    pub place: String,
    /// Its table.
    pub of_table: String,
    /// Its column, or a key of a JSON column: `additional_data.rightsHolder`.
    pub of_column: String,
    /// As it stands.
    pub value: String,
    /// What it becomes; nothing when nobody is left.
    pub without: Option<String>,
    /// Rows in which it stands.
    pub records: i64,
    /// Whether it is ours to change; rows of another source are not.
    pub ours: bool,
}

/// A column of texts that hold a name, or come near one, and that nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct Text {
    /// The table.
    pub of_table: String,
    /// The column.
    pub of_column: String,
    /// Rows of which that is true.
    pub records: i64,
    /// The key of one of them: `id_synthese`, `id_media`, gbifID or the dataset's key; of an account, its name.
    pub example: String,
}

/// Everything that is known of a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Whether it is suppressed already.
    pub recorded: bool,
    /// What holds it.
    pub values: Vec<Value>,
    /// What a person has to look at.
    pub texts: Vec<Text>,
    /// Archives of the store that hold it, or could not be read.
    pub archives: Vec<Archive>,
}

impl Plan {
    /// Whether there is nothing to do for us.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.archives.is_empty() && self.values.iter().all(|value| !value.ours)
    }
}

/// Looks for names, each the name of one person or account, in everything we hold, and changes nothing.
///
/// # Errors
/// A name is too short or a list (SQLSTATE PS004); PostgreSQL or the store failed.
pub async fn plan(pool: &PgPool, store: &Store, limits: &Limits, names: &[String]) -> Result<Plan, ErasureError> {
    let digests = digests(pool, names).await?;
    let recorded: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.erasure WHERE digest = ANY ($1)")
        .bind(&digests)
        .fetch_one(pool)
        .await
        .map_err(ErasureError::database("looking whether the name is recorded"))?;
    let texts = sqlx::query_as("SELECT * FROM passereau.named_texts($1, $2)")
        .bind(names)
        .bind(&digests)
        .fetch_all(pool)
        .await
        .map_err(ErasureError::database("looking for texts that hold the name"))?;
    Ok(Plan {
        recorded: recorded == digests.len() as i64,
        values: values(pool, &digests).await?,
        texts,
        archives: archives(pool, store, limits, &digests).await?,
    })
}

/// What stands for the names from here on.
pub(crate) async fn digests(pool: &PgPool, names: &[String]) -> Result<Vec<Vec<u8>>, ErasureError> {
    sqlx::query_scalar("SELECT passereau.erasure_digests($1)")
        .bind(names)
        .fetch_one(pool)
        .await
        .map_err(ErasureError::database("reading the names"))
}

/// Every value that holds one of them.
pub(crate) async fn values(pool: &PgPool, digests: &[Vec<u8>]) -> Result<Vec<Value>, ErasureError> {
    sqlx::query_as("SELECT * FROM passereau.named_values($1)")
        .bind(digests)
        .fetch_all(pool)
        .await
        .map_err(ErasureError::database("looking for the name"))
}
