//! The SQL functions, as Rust calls them. What they do is written at the head of their files in `migrations/functions`.

use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

/// What one chunk of a plan came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Planned {
    /// No record is left; the slices are cut.
    pub done: bool,
    /// How many slices there are, once done.
    pub slices: Option<i32>,
    /// Records that the chunk found new, changed, rejected or kept.
    pub planned: i32,
    /// Records that the chunk looked at.
    pub read: i32,
}

/// What one slice came to, in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Applied {
    /// It had been applied before; the counts are those of then.
    pub already: bool,
    /// Rows that entered the synthèse.
    pub inserted: i32,
    /// Rows of the synthèse that changed.
    pub updated: i32,
    /// Records that cannot enter, with a reason each in `pinv_gbif.reject`.
    pub rejected: i32,
    /// Records left as they are in the synthèse.
    pub kept: i32,
    /// Slices still to be applied; whoever gets 0 sends the next stage.
    pub slices_left: i32,
}

/// Plans the next chunk of a harvest.
///
/// # Errors
/// Those of PostgreSQL; class PS is explained in `10_destination.sql`.
pub async fn plan(executor: impl PgExecutor<'_>, harvest_id: Uuid, max_records: i32) -> Result<Planned, sqlx::Error> {
    sqlx::query_as("SELECT done, slices, planned, read FROM passereau.plan($1, $2)")
        .bind(harvest_id)
        .bind(max_records)
        .fetch_one(executor)
        .await
}

/// Why a complete plan waits for a person, in words; `None` when it may be applied at once.
///
/// # Errors
/// As [`plan`].
pub async fn awaits_approval(executor: impl PgExecutor<'_>, harvest_id: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT passereau.awaits_approval($1)").bind(harvest_id).fetch_one(executor).await
}

/// Why a plan is out of date, in words; `None` when it can be applied as it is.
///
/// # Errors
/// As [`plan`].
pub async fn plan_out_of_date(executor: impl PgExecutor<'_>, harvest_id: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT passereau.plan_out_of_date($1)").bind(harvest_id).fetch_one(executor).await
}

/// Throws a plan away, to be made anew; it will wait for approval, and says why it was made anew.
///
/// # Errors
/// As [`plan`].
pub async fn renew_plan(executor: impl PgExecutor<'_>, harvest_id: Uuid, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT passereau.renew_plan($1, $2)").bind(harvest_id).bind(why).execute(executor).await.map(|_| ())
}

/// Applies a slice; a second call changes nothing.
///
/// # Errors
/// As [`plan`].
pub async fn apply(executor: impl PgExecutor<'_>, harvest_id: Uuid, slice: i32) -> Result<Applied, sqlx::Error> {
    sqlx::query_as("SELECT already, inserted, updated, rejected, kept, slices_left FROM passereau.apply($1, $2)")
        .bind(harvest_id)
        .bind(slice)
        .fetch_one(executor)
        .await
}

/// What metrics tell of a slice beside [`Applied`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Records that no current generation holds any more.
    pub vanished: i32,
    /// Rejects by reason.
    pub rejects: Vec<(String, i64)>,
}

/// Tells a slice that was applied in the same transaction by reason: the rejects of its range that this harvest has written.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn beside(connection: &mut PgConnection, harvest_id: Uuid, slice: i32) -> Result<Beside, sqlx::Error> {
    let vanished: Option<i32> = sqlx::query_scalar(
        "SELECT vanished FROM passereau.slice WHERE harvest_id = $1 AND stage = 'upsert' AND ordinal = $2",
    )
    .bind(harvest_id)
    .bind(slice)
    .fetch_optional(&mut *connection)
    .await?;
    let rejects = sqlx::query_as(
        "SELECT r.reason, count(*)
         FROM passereau.harvest h
         JOIN passereau.slice s ON s.harvest_id = h.id AND s.stage = 'upsert' AND s.ordinal = $2
         JOIN pinv_gbif.reject r ON r.subscription = h.subscription AND r.gbif_id BETWEEN s.first_gbif_id AND s.last_gbif_id
                                AND r.harvest_id = h.id
         WHERE h.id = $1 GROUP BY r.reason",
    )
    .bind(harvest_id)
    .bind(slice)
    .fetch_all(connection)
    .await?;
    Ok(Beside { vanished: vanished.unwrap_or(0), rejects })
}

/// Checks the sums and makes the generation current; a second call changes nothing.
///
/// # Errors
/// As [`plan`]; PS003 when a sum does not hold, with every figure.
pub async fn finish(executor: impl PgExecutor<'_>, harvest_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT passereau.finish($1)").bind(harvest_id).execute(executor).await.map(|_| ())
}

/// Takes from obscured positions the areas that GeoNature has given back to them since its areas changed; returns how many.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn trim_areas(executor: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT passereau.trim_areas()").fetch_one(executor).await
}

/// What keeps a slice from being applied now.
#[derive(Clone, Copy, Debug, PartialEq, FromRow)]
pub struct Gate {
    /// Seconds until the platform's hours begin; `None` in them.
    pub opens_in_seconds: Option<f64>,
    /// It is larger than one that has turned out to take too long.
    pub is_too_large: bool,
}

/// Asks whether a slice may be applied now; `None` when there is no such slice.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn gate(executor: impl PgExecutor<'_>, harvest_id: Uuid, slice: i32) -> Result<Option<Gate>, sqlx::Error> {
    sqlx::query_as(
        "SELECT extract(epoch FROM passereau.upsert_opens_at() - now())::float8 AS opens_in_seconds,
                s.done_at IS NULL AND s.records > coalesce(h.slice_limit, s.records) AS is_too_large
         FROM passereau.harvest h JOIN passereau.slice s ON s.harvest_id = h.id AND s.stage = 'upsert' AND s.ordinal = $2
         WHERE h.id = $1",
    )
    .bind(harvest_id)
    .bind(slice)
    .fetch_optional(executor)
    .await
}

/// Cuts a slice in two; gives the number of the second half, `None` when there is nothing to cut.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn split_slice(
    executor: impl PgExecutor<'_>,
    harvest_id: Uuid,
    slice: i32,
) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar("SELECT passereau.split_slice($1, $2)").bind(harvest_id).bind(slice).fetch_one(executor).await
}
