//! One budget for the whole fleet: how soon a service may be called again, and how often in a day.
//!
//! The pace is a row, not a timer in a process: eight workers together keep it as one would, and the use of the day
//! survives restarts. Days are UTC days.

use std::time::Duration;

use sqlx::PgConnection;

/// The limits of a service.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Least time between two calls.
    pub interval: Duration,
    /// Most calls in a UTC day.
    pub per_day: u32,
    /// How far ahead a turn may be taken: the caller waits that long at most with its delivery in hand.
    pub horizon: Duration,
}

/// The answer to a wish to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Call after this wait; the turn is taken.
    After(Duration),
    /// Ask again after this time; nothing is taken.
    NotBefore(Duration),
}

/// Takes a turn at a service, in the order of asking. The turn counts as used from the commit on, whether or not the call
/// is made: a crash costs one call of the budget and never breaks it.
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
    let (wait_seconds, used, to_midnight): (f64, i32, f64) = sqlx::query_as(
        "SELECT greatest(extract(epoch FROM next_at - clock_timestamp())::float8, 0),
                CASE WHEN day = (clock_timestamp() AT TIME ZONE 'UTC')::date THEN used ELSE 0 END,
                extract(epoch FROM (date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') + interval '1 day')
                                   - (clock_timestamp() AT TIME ZONE 'UTC'))::float8
         FROM passereau.pace WHERE name = $1 FOR UPDATE",
    )
    .bind(name)
    .fetch_one(&mut *connection)
    .await?;
    if i64::from(used) >= i64::from(limits.per_day) {
        return Ok(Turn::NotBefore(Duration::from_secs_f64(to_midnight.max(1.0))));
    }
    let wait = Duration::from_secs_f64(wait_seconds);
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
    Ok(Turn::After(wait))
}

/// Puts off everybody's next call, because the service asked for it.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn put_off(connection: &mut PgConnection, name: &str, pause: Duration) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE passereau.pace
         SET next_at = greatest(next_at, clock_timestamp() + make_interval(secs => $2)) WHERE name = $1",
    )
    .bind(name)
    .bind(pause.as_secs_f64())
    .execute(connection)
    .await?;
    Ok(())
}
