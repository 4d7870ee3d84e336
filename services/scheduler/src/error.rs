//! What can go wrong with a schedule.

use passereau_calendar::RecurrenceError;
use passereau_contracts::RequestProblem;

use crate::Subject;

/// Why something was not done with a schedule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The name.
    #[error(
        "`{0}` names nothing that is done again and again; write subscription:NAME, flow:NAME or retention (`passereau schedule list` shows all)"
    )]
    Name(String),
    /// No such row.
    #[error(
        "there is no schedule {0}; `passereau schedule list` shows those that there are, `passereau schedule set` makes one"
    )]
    Unknown(Subject),
    /// Expression or zone.
    #[error("when {subject} is done: {source}")]
    Recurrence {
        /// Whose.
        subject: Subject,
        /// What is wrong.
        source: RecurrenceError,
    },
    /// It comes no more.
    #[error("{0} does not come again before the end of time; set another time with `passereau schedule set`")]
    Over(Subject),
    /// A request is missing or too much.
    #[error("{subject}: {why}")]
    Request {
        /// Whose.
        subject: Subject,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A flow's agreement says when.
    #[error(
        "when {0} is delivered stands in its agreement, which would overrule what is said here: change the file and apply it with \
         `passereau flow apply`, or use `passereau flow suspend` and `passereau flow resume`"
    )]
    Agreed(Subject),
    /// PostgreSQL refused or was away.
    #[error("{doing} failed: {source}; nothing has changed, do it again")]
    Database {
        /// What was being done.
        doing: String,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
}

impl ScheduleError {
    pub(crate) fn database(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let doing = doing.into();
        |source| Self::Database { doing, source }
    }

    pub(crate) fn recurrence(subject: &Subject) -> impl FnOnce(RecurrenceError) -> Self {
        let subject = subject.clone();
        |source| Self::Recurrence { subject, source }
    }

    pub(crate) fn problems(subject: &Subject, problems: &[RequestProblem]) -> Self {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self::Request {
            subject: subject.clone(),
            why: format!("its request is not right: {}; mend it with `passereau schedule set`", problems.join("; ")),
        }
    }
}
