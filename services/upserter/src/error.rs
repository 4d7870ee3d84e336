//! What an error of the SQL functions means for the message.

use std::time::Duration;

use passereau_runner::Stop;

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|database| database.code().map(|code| code.into_owned()))
}

/// Whether PostgreSQL ended the statement for the time it took (query_canceled).
pub(crate) fn took_too_long(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("57014")
}

/// Class PS is ours and never gets better by itself. `lock_not_available` comes from `passereau.finish` while somebody
/// reads the generations, and from a slice or a plan that waits for another session's lock:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(crate) fn stop(error: sqlx::Error) -> Stop {
    match code(&error).as_deref() {
        Some(code) if code.starts_with("PS") => Stop::reject(
            error.as_database_error().map_or_else(|| error.to_string(), |database| database.message().to_owned()),
        ),
        Some("55P03") => {
            tracing::warn!(%error, "another session holds a lock that is needed, tried again in 10 s");
            Stop::snooze(Duration::from_secs(10), "another session reads or writes what is to be changed")
        }
        _ => error.into(),
    }
}
