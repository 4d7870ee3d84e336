//! Putting agreements in force, and holding flows up.
//!
//! Invariants. Whoever changes a flow holds the lock of its name, and whoever decides something by its standing shares it ([`crate::find_held`]). A schedule runs only while its flow may be
//! delivered; that it runs is no permission: each delivery looks at [`crate::Flow::standing`].

use chrono::{DateTime, Utc};
use passereau_gate::Sensitive;
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, types::Json};

use crate::{Agreement, Document, Flow, FlowError, Standing, find, known, problem::Found, territory};

/// What applying an agreement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "applied", rename_all = "snake_case")]
pub enum Applied {
    /// A flow that there was not: version 1.
    Created,
    /// A new version.
    Changed {
        /// Its number.
        version: i32,
    },
    /// Nothing: the version in force says the same.
    Unchanged {
        /// Its number.
        version: i32,
    },
}

/// Whether holding up or letting go did anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It did.
    Done,
    /// It was so already.
    Already,
}

/// Why a document was not resolved.
pub(crate) enum Unresolved {
    /// All that the platform does not know.
    Found(Vec<Found>),
    /// The database.
    Failed(FlowError),
}

impl From<FlowError> for Unresolved {
    fn from(error: FlowError) -> Self {
        Self::Failed(error)
    }
}

/// What only the database can tell of a document: its territory.
pub(crate) async fn resolve(pool: &PgPool, document: &Document) -> Result<Option<territory::Ewkb>, Unresolved> {
    let agreement = &document.agreement;
    let doing = || FlowError::database(format!("looking up what flow {} names", agreement.name));
    let mut connection = pool.acquire().await.map_err(doing())?;
    let mut found = known::problems(&mut connection, agreement).await.map_err(doing())?;
    drop(connection);
    match territory::resolve(pool, agreement, &document.folder).await? {
        Ok(territory) if found.is_empty() => return Ok(territory),
        Ok(_) => {}
        Err(problems) => found.extend(problems),
    }
    Err(Unresolved::Found(found))
}

/// The same of a document that is to be used: what is not known stands against it.
pub(crate) async fn resolved(pool: &PgPool, document: &Document) -> Result<Option<territory::Ewkb>, FlowError> {
    resolve(pool, document).await.map_err(|unresolved| match unresolved {
        Unresolved::Found(found) => FlowError::Problems(document.locate(found)),
        Unresolved::Failed(error) => error,
    })
}

/// Puts an agreement in force. `by` is who does it.
///
/// # Errors
/// All that is wrong with the agreement, an empty `by`, or the database.
pub async fn apply(pool: &PgPool, document: &Document, by: &str, now: DateTime<Utc>) -> Result<Applied, FlowError> {
    let by = person(by)?;
    let territory = resolved(pool, document).await?;
    let agreement = &document.agreement;
    let doing = || FlowError::database(format!("applying flow {}", agreement.name));
    let mut tx = pool.begin().await.map_err(doing())?;
    let applied = put(&mut tx, agreement, territory.as_deref(), &by, now).await.map_err(doing())?;
    tx.commit().await.map_err(doing())?;
    Ok(applied)
}

async fn put(
    tx: &mut PgConnection,
    agreement: &Agreement,
    territory: Option<&[u8]>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Applied, sqlx::Error> {
    let name = &agreement.name;
    lock(tx, name).await?;
    let standing: Option<(i32, Json<serde_json::Value>, bool, bool)> = sqlx::query_as(
        "SELECT version, agreement, territory IS NOT DISTINCT FROM ST_GeomFromEWKB($2), suspended_at IS NOT NULL
         FROM passereau.flow WHERE name = $1 FOR UPDATE",
    )
    .bind(name)
    .bind(territory)
    .fetch_optional(&mut *tx)
    .await?;
    // An agreement that this program can no longer read is another one.
    let same = |stored: &serde_json::Value| Agreement::deserialize(stored).is_ok_and(|stored| stored == *agreement);
    let (applied, version, suspended) = match standing {
        Some((version, Json(stored), true, _)) if same(&stored) => return Ok(Applied::Unchanged { version }),
        Some((version, _, _, suspended)) => (Applied::Changed { version: version + 1 }, version + 1, suspended),
        None => (Applied::Created, 1, false),
    };
    // The key is made once: the names of blurred records stay the same from version to version.
    let mut key = [0_u8; 32];
    rand::rng().fill_bytes(&mut key);
    sqlx::query(
        "INSERT INTO passereau.flow AS f (name, agreement, version, territory, key, applied_at, applied_by)
         VALUES ($1, $2, $3, ST_GeomFromEWKB($4), $5, $6, $7)
         ON CONFLICT (name) DO UPDATE
         SET agreement = excluded.agreement, version = excluded.version, territory = excluded.territory, applied_at = excluded.applied_at,
             applied_by = excluded.applied_by, approved_version = NULL, approved_by = NULL, approved_at = NULL",
    )
    .bind(name)
    .bind(Json(agreement))
    .bind(version)
    .bind(territory)
    .bind(&key[..])
    .bind(now)
    .bind(by)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO passereau.flow_version (flow, version, agreement, territory, applied_at, applied_by)
         VALUES ($1, $2, $3, ST_GeomFromEWKB($4), $5, $6)",
    )
    .bind(name)
    .bind(version)
    .bind(Json(agreement))
    .bind(territory)
    .bind(now)
    .bind(by)
    .execute(&mut *tx)
    .await?;
    let runs = !suspended && agreement.sensitive != Sensitive::Precise;
    schedule(tx, agreement, runs, now).await?;
    Ok(applied)
}

/// The schedule of a flow. What has changed is delivered soon: a period begins now, a cron expression at its next time.
async fn schedule(
    tx: &mut PgConnection,
    agreement: &Agreement,
    runs: bool,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO passereau.schedule (name, expression, time_zone, next_at, suspended_at, anchor_at)
         VALUES ('flow:' || $1, $2, $3, $4, CASE WHEN NOT $5 THEN $6 END, $6)
         ON CONFLICT (name) DO UPDATE SET expression = excluded.expression, time_zone = excluded.time_zone, next_at = excluded.next_at,
             suspended_at = excluded.suspended_at, suspended_because = NULL, anchor_at = excluded.anchor_at",
    )
    .bind(&agreement.name)
    .bind(agreement.expression())
    .bind(&agreement.time_zone)
    .bind(agreement.first_after(now))
    .bind(runs)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Allows sensitive records at their precision in the version in force, as a second person. With `version`, only if that is the one.
/// Returns the version.
///
/// # Errors
/// The flow needs no approval, has one, is out of its authorisation, is of another version, or `by` is who applied it; the database.
pub async fn approve(
    pool: &PgPool,
    name: &str,
    by: &str,
    version: Option<i32>,
    now: DateTime<Utc>,
) -> Result<i32, FlowError> {
    let by = person(by)?;
    let doing = || FlowError::database(format!("approving flow {name}"));
    let mut tx = pool.begin().await.map_err(doing())?;
    let flow = held(&mut tx, name).await?;
    approvable(&flow, &by, version, now)?;
    for sql in [
        "UPDATE passereau.flow SET approved_version = $2, approved_by = $3, approved_at = $4 WHERE name = $1",
        "UPDATE passereau.flow_version SET approved_by = $3, approved_at = $4 WHERE flow = $1 AND version = $2",
    ] {
        sqlx::query(sql).bind(name).bind(flow.version).bind(&by).bind(now).execute(&mut *tx).await.map_err(doing())?;
    }
    schedule(&mut tx, &flow.agreement, flow.suspended_at.is_none(), now).await.map_err(doing())?;
    tx.commit().await.map_err(doing())?;
    Ok(flow.version)
}

/// Whether a person may approve a flow now.
fn approvable(flow: &Flow, by: &str, version: Option<i32>, now: DateTime<Utc>) -> Result<(), FlowError> {
    let (name, in_force) = (&flow.name, flow.version);
    let refused = |text: String| Err(FlowError::Refused(text));
    if flow.agreement.sensitive != Sensitive::Precise {
        let sensitive = flow.agreement.sensitive.as_str();
        return refused(format!("flow {name} needs no approval: its sensitive records are {sensitive}"));
    }
    if version.is_some_and(|version| version != in_force) {
        return refused(format!(
            "version {in_force} of flow {name} is in force; look at it with `passereau flow show {name}`"
        ));
    }
    let applied_by = flow.applied_by.as_deref().unwrap_or_default();
    if folded(applied_by) == folded(by) {
        return refused(format!(
            "{applied_by} applied version {in_force} of flow {name}: a second person must approve it"
        ));
    }
    if flow.approved_version == Some(in_force) {
        let approved_by = flow.approved_by.as_deref().unwrap_or_default();
        return refused(format!("version {in_force} of flow {name} is approved already, by {approved_by}"));
    }
    match flow.standing(now) {
        standing @ (Standing::Ended { .. } | Standing::AuthorisationEnded { .. }) => {
            refused(format!("flow {name} cannot be approved: {standing}"))
        }
        Standing::Active | Standing::AwaitsApproval | Standing::Suspended { .. } => Ok(()),
    }
}

/// Delivers nothing more until the flow is resumed. What was delivered can still be fetched.
///
/// # Errors
/// No reason, no such flow, or the database.
pub async fn suspend(pool: &PgPool, name: &str, because: &str, now: DateTime<Utc>) -> Result<Changed, FlowError> {
    if because.trim().is_empty() {
        return Err(FlowError::Refused(format!("flow {name} is suspended for a reason: say it")));
    }
    let doing = || FlowError::database(format!("suspending flow {name}"));
    let mut tx = pool.begin().await.map_err(doing())?;
    if held(&mut tx, name).await?.suspended_at.is_some() {
        return Ok(Changed::Already);
    }
    sqlx::query("UPDATE passereau.flow SET suspended_at = $2, suspended_because = $3 WHERE name = $1")
        .bind(name)
        .bind(now)
        .bind(because.trim())
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    sqlx::query("UPDATE passereau.schedule SET suspended_at = $2 WHERE name = 'flow:' || $1 AND suspended_at IS NULL")
        .bind(name)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    tx.commit().await.map_err(doing())?;
    Ok(Changed::Done)
}

/// Lets a suspended flow go on.
///
/// # Errors
/// No such flow, or the database.
pub async fn resume(pool: &PgPool, name: &str, now: DateTime<Utc>) -> Result<Changed, FlowError> {
    let doing = || FlowError::database(format!("resuming flow {name}"));
    let mut tx = pool.begin().await.map_err(doing())?;
    let mut flow = held(&mut tx, name).await?;
    if flow.suspended_at.take().is_none() {
        return Ok(Changed::Already);
    }
    sqlx::query("UPDATE passereau.flow SET suspended_at = NULL, suspended_because = NULL WHERE name = $1")
        .bind(name)
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    let runs = flow.standing(now) != Standing::AwaitsApproval;
    schedule(&mut tx, &flow.agreement, runs, now).await.map_err(doing())?;
    tx.commit().await.map_err(doing())?;
    Ok(Changed::Done)
}

/// Takes the lock of a name until the transaction ends.
async fn lock(tx: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('passereau.flow:' || $1, 0))")
        .bind(name)
        .execute(tx)
        .await
        .map(|_| ())
}

/// A flow that nobody else changes until the transaction ends.
async fn held(tx: &mut PgConnection, name: &str) -> Result<Flow, FlowError> {
    lock(tx, name).await.map_err(FlowError::database(format!("holding flow {name}")))?;
    sqlx::query("SELECT FROM passereau.flow WHERE name = $1 FOR UPDATE")
        .bind(name)
        .execute(&mut *tx)
        .await
        .map_err(FlowError::database(format!("holding flow {name}")))?;
    find(&mut *tx, name).await?.ok_or_else(|| FlowError::Unknown(name.to_owned()))
}

/// Who does something: a name with single spaces.
fn person(by: &str) -> Result<String, FlowError> {
    let name = by.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() { Err(FlowError::Refused("nobody is named; say who does it".to_owned())) } else { Ok(name) }
}

/// A name as it is compared.
fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
