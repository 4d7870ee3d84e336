//! Places at GBIF: how many downloads an account has unfinished.
//!
//! Counted from the states of harvests. A counter of its own would leak a place with every crash.

use passereau_harvest::{State, advance};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Takes a place for a harvest in state *requested*; `false` when all are taken. One asks at a time for each account. A harvest that is
/// *requesting* already (its message came again, or its dead letter was replayed) waits only for downloads that are being made and for
/// those that stand before it: if all waited for each other, none would ever go on.
pub(crate) async fn take(pool: &PgPool, harvest_id: Uuid, account: &str, places: u32) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('passereau.gbif.places'), hashtext($1))")
        .bind(account)
        .execute(&mut *tx)
        .await?;
    let taken: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM passereau.harvest other JOIN passereau.harvest own ON own.id = $2
         WHERE other.account = $1 AND other.id <> own.id
           AND (other.state = 'preparing'
                OR other.state = 'requesting'
                   AND (own.state <> 'requesting' OR (other.created_at, other.id) < (own.created_at, own.id)))",
    )
    .bind(account)
    .bind(harvest_id)
    .fetch_one(&mut *tx)
    .await?;
    if taken >= i64::from(places) {
        return Ok(false);
    }
    // Already in state *requesting*: another copy of the message took the place, and the claim decides who goes on.
    advance(&mut tx, harvest_id, State::Requested, State::Requesting).await?;
    tx.commit().await?;
    Ok(true)
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
