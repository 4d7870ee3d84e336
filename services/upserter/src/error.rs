//! What an error of the SQL functions means for the message.

use std::time::Duration;

use passereau_runner::Stop;

/// Class PS is ours and never gets better by itself. `lock_not_available` comes from `passereau.finish` while somebody
/// reads the generations: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(crate) fn stop(error: sqlx::Error) -> Stop {
    let code = error.as_database_error().and_then(|database| database.code().map(|code| code.into_owned()));
    match code.as_deref() {
        Some(code) if code.starts_with("PS") => Stop::reject(
            error.as_database_error().map_or_else(|| error.to_string(), |database| database.message().to_owned()),
        ),
        Some("55P03") => {
            Stop::snooze(Duration::from_secs(10), "somebody reads the generations that are to be replaced")
        }
        _ => error.into(),
    }
}
