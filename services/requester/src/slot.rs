//! Places at GBIF: how many downloads an account has unfinished.
//!
//! Counted from the states of harvests. A counter of its own would leak a place with every crash.
//!
//! How many there are is a setting, until GBIF refuses one (420: somebody else uses the account, or GBIF is full). Then the account has
//! *lowered* places, for the whole fleet: as many as it has downloads at that moment, for [`FULL_WAIT`](crate::answer::FULL_WAIT). Afterwards one harvest
//! at a time tries one place more; where GBIF takes it, that place is back. A refusal of an hour ago is forgotten.

use passereau_harvest::{State, advance};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// The answer to a wish for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the harvest's.
    Taken,
    /// All of so many are taken.
    NoneOf(i32),
}

/// Takes a place for a harvest in state *requested*. One asks at a time for each account. A harvest that is
/// *requesting* already (its message came again, or its dead letter was replayed) waits only for downloads that are being made and for
/// those that stand before it: if all waited for each other, none would ever go on.
pub(crate) async fn take(pool: &PgPool, harvest_id: Uuid, account: &str, places: u32) -> Result<Place, sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('passereau.gbif.places'), hashtext($1))")
        .bind(account)
        .execute(&mut *tx)
        .await?;
    // clock_timestamp(), because the lock may have been waited for.
    let (taken, places): (i64, i32) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM passereau.harvest other JOIN passereau.harvest own ON own.id = $2
                 WHERE other.account = $1 AND other.id <> own.id
                   AND (other.state = 'preparing'
                        OR other.state = 'requesting'
                           AND (own.state <> 'requesting' OR (other.created_at, other.id) < (own.created_at, own.id)))),
                LEAST($3, (SELECT lowered.places + (lowered.until <= clock_timestamp())::integer
                           FROM passereau.gbif_places lowered
                           WHERE lowered.account = $1 AND lowered.until > clock_timestamp() - interval '1 hour'))",
    )
    .bind(account)
    .bind(harvest_id)
    .bind(i32::try_from(places).unwrap_or(i32::MAX))
    .fetch_one(&mut *tx)
    .await?;
    if taken >= i64::from(places) {
        return Ok(Place::NoneOf(places));
    }
    // Already in state *requesting*: another copy of the message took the place, and the claim decides who goes on.
    advance(&mut tx, harvest_id, State::Requested, State::Requesting).await?;
    tx.commit().await?;
    Ok(Place::Taken)
}

/// Places that an account has, and how many are taken.
pub(crate) async fn count(pool: &PgPool, account: &str, places: u32) -> Result<(i32, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT LEAST($2, (SELECT lowered.places + (lowered.until <= clock_timestamp())::integer FROM passereau.gbif_places lowered
                           WHERE lowered.account = $1 AND lowered.until > clock_timestamp() - interval '1 hour')),
                (SELECT count(*) FROM passereau.harvest WHERE account = $1 AND state IN ('requesting', 'preparing'))",
    )
    .bind(account)
    .bind(i32::try_from(places).unwrap_or(i32::MAX))
    .fetch_one(pool)
    .await
}

/// Remembers that GBIF refused a place to this harvest: nobody of the fleet asks for more than the account has now, for `wait`.
pub(crate) async fn lower(
    connection: &mut PgConnection,
    harvest_id: Uuid,
    account: &str,
    wait: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO passereau.gbif_places (account, places, until)
         SELECT $1, count(*), clock_timestamp() + make_interval(secs => $3)
         FROM passereau.harvest other LEFT JOIN passereau.download d ON d.harvest_id = other.id
         WHERE other.account = $1 AND other.id <> $2
           AND (other.state = 'preparing' OR other.state = 'requesting' AND d.key IS NOT NULL)
         ON CONFLICT (account) DO UPDATE SET places = excluded.places, until = excluded.until",
    )
    .bind(account)
    .bind(harvest_id)
    .bind(wait.as_secs_f64())
    .execute(connection)
    .await?;
    Ok(())
}

/// GBIF has taken a request: if it was one place more than the lowered ones, that one is back.
pub(crate) async fn raise(pool: &PgPool, account: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.gbif_places SET places = places + 1 WHERE account = $1 AND until <= now()")
        .bind(account)
        .execute(pool)
        .await?;
    Ok(())
}

/// Gives the place back: nothing was made at GBIF.
pub(crate) async fn give_back(connection: &mut PgConnection, harvest_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE passereau.download SET asked_at = NULL WHERE harvest_id = $1")
        .bind(harvest_id)
        .execute(&mut *connection)
        .await?;
    advance(connection, harvest_id, State::Requesting, State::Requested).await?;
    Ok(())
}
