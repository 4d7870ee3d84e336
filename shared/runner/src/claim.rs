//! Claims: who may do a piece of outside work now.
//!
//! A claim is a row with a time limit and a *fencing token* that grows with each take-over. Its holder renews it in the
//! background; a holder that was stopped loses it after [`LIFETIME`], and finds out when it checks the token in the
//! transaction of its effects ([`Claim::release`]). So two copies may overlap for a moment, but only one can write.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::Stop;

/// How long a claim outlives its holder.
const LIFETIME: Duration = Duration::from_secs(15);

const GIVE_BACK: &str = "UPDATE passereau.claim SET expires_at = '-infinity' WHERE name = $1 AND token = $2";

/// A claim that is held.
#[derive(Debug)]
pub struct Claim {
    name: String,
    token: i64,
    pool: PgPool,
    renewal: JoinHandle<()>,
    given_back: bool,
}

/// Somebody else has taken the claim over: the work of this copy must not be written.
#[derive(Debug, thiserror::Error)]
#[error("the claim on {name} was taken over by another process; this copy of the work is dropped")]
pub struct ClaimLost {
    name: String,
}

impl From<ClaimLost> for Stop {
    /// The other copy does the work; this message comes again and finds it done.
    fn from(lost: ClaimLost) -> Self {
        Self::busy(lost.to_string())
    }
}

impl Claim {
    /// Takes a claim that nobody holds (any more); `None` while somebody does. Handlers use [`crate::Context::claim`].
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn take(pool: &PgPool, name: &str) -> Result<Option<Self>, sqlx::Error> {
        let token: Option<i64> = sqlx::query_scalar(
            "INSERT INTO passereau.claim (name, token, expires_at) VALUES ($1, 1, now() + make_interval(secs => $2))
             ON CONFLICT (name) DO UPDATE SET token = claim.token + 1, expires_at = excluded.expires_at
             WHERE claim.expires_at < now()
             RETURNING token",
        )
        .bind(name)
        .bind(LIFETIME.as_secs_f64())
        .fetch_optional(pool)
        .await?;
        Ok(token.map(|token| Self {
            name: name.to_owned(),
            token,
            pool: pool.clone(),
            renewal: renew(pool.clone(), name.to_owned(), token),
            given_back: false,
        }))
    }

    /// The fencing token, to be checked in intermediate writes.
    #[must_use]
    pub fn token(&self) -> i64 {
        self.token
    }

    /// The name of the claim.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks in a transaction that the claim is still held, and locks it until the commit.
    ///
    /// # Errors
    /// [`Stop::Busy`] when it was taken over; those of PostgreSQL.
    pub async fn check(&self, connection: &mut PgConnection) -> Result<(), Stop> {
        let held: Option<i64> =
            sqlx::query_scalar("SELECT token FROM passereau.claim WHERE name = $1 AND token = $2 FOR UPDATE")
                .bind(&self.name)
                .bind(self.token)
                .fetch_optional(connection)
                .await?;
        held.map(|_| ()).ok_or_else(|| ClaimLost { name: self.name.clone() }.into())
    }

    /// Gives the claim back in the transaction of the effects, which thereby commit only if it was still held. The row
    /// stays, expired, so that the token never starts again from 1 while a stopped holder may wake up.
    ///
    /// # Errors
    /// As [`Claim::check`].
    pub async fn release(mut self, connection: &mut PgConnection) -> Result<(), Stop> {
        let released =
            sqlx::query(GIVE_BACK).bind(&self.name).bind(self.token).execute(connection).await?.rows_affected();
        self.given_back = true;
        if released == 1 { Ok(()) } else { Err(ClaimLost { name: self.name.clone() }.into()) }
    }
}

impl Drop for Claim {
    /// A handler that stopped early gives the claim back at once, so that the next attempt need not wait for its end.
    fn drop(&mut self) {
        self.renewal.abort();
        if self.given_back {
            return;
        }
        let (pool, name, token) = (self.pool.clone(), std::mem::take(&mut self.name), self.token);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let give_back = async move {
                if let Err(error) = sqlx::query(GIVE_BACK).bind(&name).bind(token).execute(&pool).await {
                    tracing::debug!(claim = name, %error, "claim could not be given back, it runs out by itself");
                }
            };
            runtime.spawn(give_back.in_current_span());
        }
    }
}

/// Renews until it is stopped or the claim is somebody else's.
fn renew(pool: PgPool, name: String, token: i64) -> JoinHandle<()> {
    let renewing = async move {
        let mut timer = tokio::time::interval(LIFETIME / 3);
        timer.tick().await;
        loop {
            timer.tick().await;
            let renewed = sqlx::query(
                "UPDATE passereau.claim SET expires_at = now() + make_interval(secs => $3)
                 WHERE name = $1 AND token = $2",
            )
            .bind(&name)
            .bind(token)
            .bind(LIFETIME.as_secs_f64())
            .execute(&pool)
            .await;
            match renewed {
                Ok(result) if result.rows_affected() == 0 => return,
                Ok(_) => {}
                Err(error) => tracing::warn!(claim = name, %error, "claim could not be renewed"),
            }
        }
    };
    tokio::spawn(renewing.in_current_span())
}
