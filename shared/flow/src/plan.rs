//! What a flow would deliver now.
//!
//! Everything is read in one snapshot that nothing is written from. An agreement that is not in force gets a row of its own for it,
//! under a name that no flow has; the transaction then becomes read-only, and is rolled back in any case.

use std::time::Duration;

use futures_util::TryStreamExt;
use passereau_gate::{Field, Query, Tally};
use rand::RngCore;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, types::Json};

use crate::{Agreement, Document, Flow, FlowError, Format, registry};

/// Rows that are read to estimate the size of all.
const SAMPLED: u32 = 1_000;

/// What planning may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest time of each statement.
    pub statement_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { statement_timeout: Duration::from_secs(300) }
    }
}

/// Which of the records that stay are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Withheld {
    /// As in the manifest: in a territory none whose place may not be told. The plan can be shown to the partner.
    #[default]
    Told,
    /// All that meet the territory, for the platform's own eyes: of a small one the count tells where a record is.
    All,
}

/// What a flow would deliver now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Name of the flow.
    pub flow: String,
    /// Rows that leave.
    pub rows: i64,
    /// Of them, at their own place.
    pub exact: i64,
    /// Of them, as an area.
    pub blurred: i64,
    /// Records that are asked for and stay, as far as they are counted.
    pub withheld: i64,
    /// Whether that is all of them. In a territory it is not ([`Withheld::Told`]).
    pub counts_all_withheld: bool,
    /// Records by level, licence and what becomes of them.
    pub tally: Vec<Tally>,
    /// The columns, in the dialect of the files.
    pub columns: Vec<&'static str>,
    /// About how large each file is.
    pub files: Vec<Estimate>,
}

/// About how large a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Its format.
    pub format: Format,
    /// Its bytes, from a sample of the rows; right within a half or so.
    pub size_bytes: i64,
}

/// What an agreement would deliver, whether it is in force or not.
///
/// # Errors
/// All that is wrong with the agreement, or the database, whose time is limited.
pub async fn plan(pool: &PgPool, document: &Document, limits: Limits, withheld: Withheld) -> Result<Plan, FlowError> {
    let territory = registry::resolved(pool, document).await?;
    // Its row begins with that version.
    run(pool, &document.agreement, 1, Some(territory), limits, withheld).await
}

/// What a flow would deliver as it is in force.
///
/// # Errors
/// The database, whose time is limited.
pub async fn plan_applied(pool: &PgPool, flow: &Flow, limits: Limits, withheld: Withheld) -> Result<Plan, FlowError> {
    run(pool, &flow.agreement, flow.version, None, limits, withheld).await
}

/// `territory`: that of an agreement without a row of its own.
async fn run(
    pool: &PgPool,
    agreement: &Agreement,
    version: i32,
    territory: Option<Option<Vec<u8>>>,
    limits: Limits,
    withheld: Withheld,
) -> Result<Plan, FlowError> {
    let doing = || FlowError::database(format!("planning flow {}", agreement.name));
    // Of its own: a sample that is broken off leaves a connection that nobody else can use.
    let mut connection = pool.acquire().await.map_err(doing())?.detach();
    let planned = in_snapshot(&mut connection, agreement, version, territory, limits, withheld).await;
    let closed = connection.close_hard().await;
    let plan = planned.map_err(doing())?;
    closed.map_err(doing())?;
    Ok(plan)
}

async fn in_snapshot(
    connection: &mut PgConnection,
    agreement: &Agreement,
    version: i32,
    territory: Option<Option<Vec<u8>>>,
    limits: Limits,
    withheld: Withheld,
) -> Result<Plan, sqlx::Error> {
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ").execute(&mut *connection).await?;
    sqlx::query("SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', '10s', true)")
        .bind(limits.statement_timeout.as_millis().to_string())
        .execute(&mut *connection)
        .await?;
    let mut selection = agreement.selection(version);
    if let Some(territory) = territory {
        selection.flow = a_row(connection, agreement, territory).await?;
    }
    sqlx::query("SELECT set_config('transaction_read_only', 'on', true)").execute(&mut *connection).await?;
    let query = Query::new(selection, agreement.fields());
    query.begin(connection).await?;
    let counts_all_withheld = withheld == Withheld::All || !agreement.territory.has_shape();
    let tally = match withheld {
        Withheld::Told => query.tally(connection).await?,
        Withheld::All => query.tally_of_all(connection).await?,
    };
    let count = |outcome: &str| tally.iter().filter(|row| row.outcome == outcome).map(|row| row.records).sum::<i64>();
    let (exact, blurred, withheld) = (count("exact"), count("area"), count("withheld"));
    let exact_row = if exact == 0 { 0 } else { row_bytes(connection, query.exact_rows(i32::MIN, SAMPLED)).await? };
    // Last: it may be broken off.
    let blurred_row = if blurred == 0 { 0 } else { row_bytes(connection, query.blurred_rows()).await? };
    let text_bytes = exact * exact_row + blurred * blurred_row;
    let columns: Vec<&'static str> =
        query.fields().iter().map(|field| field.name_in(agreement.fields.dialect)).collect();
    let files = agreement.formats.iter().map(|format| Estimate {
        format: *format,
        size_bytes: text_bytes + (exact + blurred) * overhead(*format, query.fields(), &columns),
    });
    let files = files.collect();
    let flow = agreement.name.clone();
    Ok(Plan { flow, rows: exact + blurred, exact, blurred, withheld, counts_all_withheld, tally, columns, files })
}

/// A row for an agreement that is not in force. It is never committed.
async fn a_row(
    connection: &mut PgConnection,
    agreement: &Agreement,
    territory: Option<Vec<u8>>,
) -> Result<String, sqlx::Error> {
    let name = format!("plan-{:016x}", rand::rng().next_u64());
    let mut key = [0_u8; 32];
    rand::rng().fill_bytes(&mut key);
    sqlx::query(
        "INSERT INTO passereau.flow (name, agreement, territory, key) VALUES ($1, $2, ST_GeomFromEWKB($3), $4)",
    )
    .bind(&name)
    .bind(Json(agreement))
    .bind(territory)
    .bind(&key[..])
    .execute(connection)
    .await?;
    Ok(name)
}

/// Mean size of the first rows of a `COPY`.
async fn row_bytes(connection: &mut PgConnection, copy: AssertSqlSafe<String>) -> Result<i64, sqlx::Error> {
    let mut rows = connection.copy_out_raw(&copy.0).await?;
    let (mut bytes, mut lines) = (0_usize, 0_usize);
    while let Some(chunk) = rows.try_next().await? {
        bytes += chunk.len();
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        if lines >= SAMPLED as usize {
            break;
        }
    }
    Ok(i64::try_from(bytes.checked_div(lines).unwrap_or(0)).unwrap_or(i64::MAX))
}

/// What a format writes around the values of a row.
fn overhead(format: Format, fields: &[&'static Field], columns: &[&str]) -> i64 {
    let names: usize = columns.iter().map(|name| name.len() + "\"\":,".len()).sum();
    let bytes = match format {
        Format::Csv => 0,
        Format::Json => names,
        Format::GeoJson | Format::GeoJsonSeq => names + 100,
        // Header of the row, of the geometry, and the entry of the R-tree.
        Format::GeoPackage => fields.len() + 100,
    };
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
