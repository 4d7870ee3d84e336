//! One budget for the whole fleet: how soon a service may be called again, how often in a day, and whether it is worth it.
//!
//! The pace is a row, not a timer in a process: eight workers together keep it as one would, and the use of the day
//! survives restarts. Days are UTC days.
//!
//! After some *failures in a row* the service *rests*: nobody calls it, and the callers do without ([`Turn::Resting`]). The
//! first turn after the rest is a trial: it succeeds and ends the row, or it fails and the service rests again.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

/// The limits of a service.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Least time between two calls.
    pub interval: Duration,
    /// Most calls in a UTC day.
    pub per_day: u32,
    /// How far ahead a turn may be taken: the caller waits that long at most with its delivery in hand.
    pub horizon: Duration,
    /// Failures in a row after which the service rests.
    pub most_failures: i32,
    /// How long it rests.
    pub rest: Duration,
}

/// The answer to a wish to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The turn is taken.
    After {
        /// Call after this wait.
        wait: Duration,
        /// The failures in a row so far; [`failed`] wants to know them.
        failures: i32,
    },
    /// Ask again after this time; nothing is taken.
    NotBefore(Duration),
    /// The service has failed too often in a row: do without it; nothing is taken.
    Resting,
}

/// Takes a turn at a service, in the order of asking. The turn counts as used from the commit on, whether or not the call
/// is made: a crash costs one call of the budget and never breaks it. Only [`failed`] gives it back.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn take(connection: &mut PgConnection, name: &str, limits: &Limits) -> Result<Turn, sqlx::Error> {
    sqlx::query(
        "INSERT INTO passereau.pace (name, next_at, day, used)
         VALUES ($1, now(), (now() AT TIME ZONE 'UTC')::date, 0) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name)
    .execute(&mut *connection)
    .await?;
    // clock_timestamp(), because the row lock may have been waited for.
    let (wait_seconds, used, to_midnight, failures): (f64, i32, f64, i32) = sqlx::query_as(
        "SELECT greatest(extract(epoch FROM next_at - clock_timestamp())::float8, 0),
                CASE WHEN day = (clock_timestamp() AT TIME ZONE 'UTC')::date THEN used ELSE 0 END,
                extract(epoch FROM (date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') + interval '1 day')
                                   - (clock_timestamp() AT TIME ZONE 'UTC'))::float8,
                failures
         FROM passereau.pace WHERE name = $1 FOR UPDATE",
    )
    .bind(name)
    .fetch_one(&mut *connection)
    .await?;
    let wait = Duration::from_secs_f64(wait_seconds);
    // Before the use of the day: who is to do without the service does not wait for midnight to hear of it.
    if failures >= limits.most_failures && wait > limits.horizon {
        return Ok(Turn::Resting);
    }
    if i64::from(used) >= i64::from(limits.per_day) {
        return Ok(Turn::NotBefore(Duration::from_secs_f64(to_midnight.max(1.0))));
    }
    if wait > limits.horizon {
        return Ok(Turn::NotBefore(wait));
    }
    sqlx::query(
        "UPDATE passereau.pace
         SET next_at = greatest(next_at, clock_timestamp()) + make_interval(secs => $2),
             day = (clock_timestamp() AT TIME ZONE 'UTC')::date, used = $3
         WHERE name = $1",
    )
    .bind(name)
    .bind(limits.interval.as_secs_f64())
    .bind(used + 1)
    .execute(connection)
    .await?;
    Ok(Turn::After { wait, failures })
}

/// A call that failed, by the service's fault or the network's.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// The failures in a row that [`Turn::After`] told.
    pub failures: i32,
    /// How long the service asked to be left alone.
    pub asked: Option<Duration>,
    /// Whether the call never reached the service: then it does not count into the use of the day.
    pub never_arrived: bool,
}

/// Counts a failure and puts everybody's next call off: by twice as much each time, and by [`Limits::rest`] from the last
/// of the row on. Calls that were under way together count as one failure: a short trouble that meets the whole fleet
/// is still one. Gives the failures in a row.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn failed(
    connection: &mut PgConnection,
    name: &str,
    limits: &Limits,
    failure: &Failure,
) -> Result<i32, sqlx::Error> {
    // The turn goes back to the day it was taken from; one taken just before midnight is lost.
    sqlx::query_scalar(
        "UPDATE passereau.pace
         SET failures = failures + (failures = $2)::integer,
             used = used - ($3 AND used > 0 AND day = (clock_timestamp() AT TIME ZONE 'UTC')::date)::integer,
             next_at = greatest(next_at, clock_timestamp() + make_interval(secs => greatest($4::float8,
                 CASE WHEN failures <> $2 THEN 0
                      WHEN failures + 1 >= $5 THEN $6::float8
                      ELSE least($6::float8, $7::float8 * power(2::float8, least(failures + 1, 30))) END)))
         WHERE name = $1
         RETURNING failures",
    )
    .bind(name)
    .bind(failure.failures)
    .bind(failure.never_arrived)
    .bind(failure.asked.unwrap_or_default().as_secs_f64())
    .bind(limits.most_failures)
    .bind(limits.rest.as_secs_f64())
    .bind(limits.interval.as_secs_f64())
    .fetch_optional(connection)
    .await
    .map(|failures: Option<i32>| failures.unwrap_or(0))
}

/// Calls of today (UTC) that are used up.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn used_today(pool: &PgPool, name: &str) -> Result<u32, sqlx::Error> {
    let used: Option<i32> = sqlx::query_scalar(
        "SELECT used FROM passereau.pace WHERE name = $1 AND day = (clock_timestamp() AT TIME ZONE 'UTC')::date",
    )
    .bind(name)
    .fetch_optional(pool)
    .await?;
    Ok(used.and_then(|used| u32::try_from(used).ok()).unwrap_or(0))
}

/// Ends a row of failures.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn succeeded(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    // Mostly there is nothing to end, and the row that everybody takes turns at is left alone.
    sqlx::query("UPDATE passereau.pace SET failures = 0 WHERE name = $1 AND failures > 0")
        .bind(name)
        .execute(connection)
        .await?;
    Ok(())
}
