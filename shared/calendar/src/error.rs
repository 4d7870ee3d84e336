//! What is wrong with an expression or a zone, and what would be right.

/// Why a recurrence is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecurrenceError {
    /// It looks like neither form.
    #[error(
        "`{0}` is neither a period nor a cron expression; write an ISO 8601 period such as P1D, P1W, P1M or PT6H, \
         or five cron fields such as `0 3 1 * *` (at 3:00 on the first of each month)"
    )]
    Neither(String),
    /// It begins as a period does.
    #[error(
        "`{text}` is no period: {why}; write an ISO 8601 duration of whole units such as P1D (a day), P1W, P1M, P3M, P1Y, PT6H or P1DT12H"
    )]
    Period {
        /// The expression, shortened.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It has five fields or was meant to.
    #[error(
        "`{text}` is no cron expression: {why}; write the five fields minute, hour, day of the month, month, day of the week, \
         such as `0 3 1 * *` (at 3:00 on the first of each month) or `30 2 * * MON` (at 2:30 on Mondays)"
    )]
    Cron {
        /// The expression, shortened.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such day.
    #[error(
        "`{0}` never comes: no month of any year has such a day; `0 3 L * *` is 3:00 on the last day of each month"
    )]
    Never(String),
    /// No zone of that name.
    #[error(
        "`{0}` is no time zone; write a name of the IANA database such as Europe/Paris, Indian/Reunion, America/Cayenne or UTC"
    )]
    Zone(String),
}

/// What is shown of a text that somebody wrote.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}
