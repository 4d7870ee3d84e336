//! Who may fetch a flow: tokens, one or more for each partner and flow.
//!
//! A token is `psr_` and 256 random bits in hexadecimal. The database has its SHA-256 alone; of 256 random bits a slower digest would hide
//! nothing more. Looking a digest up takes a time that says nothing of a token: whoever varies a token varies all of its digest.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use passereau_secret::SecretString;
use rand::RngCore;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::FlowError;

const PREFIX: &str = "psr_";
const DIGITS: usize = 64;

/// A token that was made. Its text is nowhere else.
#[derive(Debug)]
pub struct Created {
    /// By which it is listed and revoked.
    pub id: Uuid,
    /// What the partner sends.
    pub text: SecretString,
}

/// A token as the registry has it: without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Token {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// The flow that it opens.
    pub flow: String,
    /// Whose it is, in words.
    pub partner: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: Option<String>,
    /// Until when it opens.
    pub expires_at: Option<DateTime<Utc>>,
    /// Since when it opens no more.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it last opened, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl Token {
    /// Whether it opens its flow at a moment.
    #[must_use]
    pub fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Makes a token of a flow for a partner. With `expires_at` it opens until then.
///
/// # Errors
/// No partner, no such flow, or the database.
pub async fn create(
    pool: &PgPool,
    flow: &str,
    partner: &str,
    expires_at: Option<DateTime<Utc>>,
    by: Option<&str>,
) -> Result<Created, FlowError> {
    if partner.trim().is_empty() {
        return Err(FlowError::Refused("a token belongs to a partner: name them".to_owned()));
    }
    let mut random = [0_u8; DIGITS / 2];
    rand::rng().fill_bytes(&mut random);
    let mut text = String::with_capacity(PREFIX.len() + DIGITS);
    text.push_str(PREFIX);
    for byte in random {
        // Writing into a text never fails.
        let _ = write!(text, "{byte:02x}");
    }
    let id = Uuid::now_v7();
    let made = sqlx::query(
        "INSERT INTO passereau.flow_token (id, flow, partner, digest, expires_at, created_by)
         SELECT $1, f.name, $3, $4, $5, COALESCE($6, current_user) FROM passereau.flow f WHERE f.name = $2",
    )
    .bind(id)
    .bind(flow)
    .bind(partner.trim())
    .bind(digest(&text))
    .bind(expires_at)
    .bind(by)
    .execute(pool)
    .await
    .map_err(FlowError::database(format!("making a token of flow {flow}")))?;
    match made.rows_affected() {
        0 => Err(FlowError::Unknown(flow.to_owned())),
        _ => Ok(Created { id, text: text.into() }),
    }
}

const COLUMNS: &str = "id, flow, partner, created_at, created_by, expires_at, revoked_at, last_used_at";

/// All tokens, those that were revoked too; of one flow, or of every flow.
///
/// # Errors
/// Those of the database.
pub async fn list(pool: &PgPool, flow: Option<&str>) -> Result<Vec<Token>, FlowError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM passereau.flow_token WHERE $1::text IS NULL OR flow = $1 ORDER BY flow, created_at"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(flow)
        .fetch_all(pool)
        .await
        .map_err(FlowError::database("listing tokens"))
}

/// Revokes a token for good. Returns it as it was before: one that was revoked already keeps its date. None: there is no such token.
///
/// # Errors
/// Those of the database.
pub async fn revoke(pool: &PgPool, id: Uuid, now: DateTime<Utc>) -> Result<Option<Token>, FlowError> {
    let doing = || FlowError::database(format!("revoking token {id}"));
    let mut tx = pool.begin().await.map_err(doing())?;
    let sql = format!("SELECT {COLUMNS} FROM passereau.flow_token WHERE id = $1 FOR UPDATE");
    let before = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *tx).await.map_err(doing())?;
    sqlx::query("UPDATE passereau.flow_token SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    tx.commit().await.map_err(doing())?;
    Ok(before)
}

/// The token that a request for a flow presents, if it opens that flow now. Why it does not is not told: whoever asks may be anybody.
///
/// # Errors
/// Those of the database; they hold nothing of the token.
pub async fn verify(
    pool: &PgPool,
    flow: &str,
    presented: &str,
    now: DateTime<Utc>,
) -> Result<Option<Token>, FlowError> {
    if !has_form(presented) {
        return Ok(None);
    }
    let doing = || FlowError::database(format!("looking up a token of flow {flow}"));
    let sql = format!("SELECT {COLUMNS} FROM passereau.flow_token WHERE digest = $1");
    let found: Option<Token> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(digest(presented)).fetch_optional(pool).await.map_err(doing())?;
    let Some(token) = found.filter(|token| token.flow == flow && token.is_valid(now)) else { return Ok(None) };
    // Not for each of a thousand range requests.
    if token.last_used_at.is_none_or(|used| used < now - chrono::TimeDelta::minutes(1)) {
        sqlx::query(
            "UPDATE passereau.flow_token SET last_used_at = $2
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2 - interval '1 minute')",
        )
        .bind(token.id)
        .bind(now)
        .execute(pool)
        .await
        .map_err(doing())?;
    }
    Ok(Some(token))
}

fn has_form(presented: &str) -> bool {
    presented
        .strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == DIGITS && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}
