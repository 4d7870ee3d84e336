//! What a handler returns.

use std::time::Duration;

use passereau_contracts::Message;
use passereau_telemetry::Metrics;
use serde_json::Value;
use sqlx::{
    Postgres, Transaction,
    postgres::{PgDatabaseError, PgSeverity},
};

/// The result of a handler: done, or a reason to stop.
pub type Outcome = Result<Done, Stop>;

/// A message that follows from the work, to be sent once its transaction has committed.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    pub kind: &'static str,
    pub version: u16,
    pub body: Value,
}

/// What is told once the work has committed.
type Told = Box<dyn FnOnce(&Metrics) + Send>;

/// The work is done (or part of it, with the wish to come again).
pub struct Done {
    pub(crate) tx: Option<Transaction<'static, Postgres>>,
    pub(crate) next: Vec<Next>,
    pub(crate) again: Option<(Duration, String)>,
    pub(crate) told: Vec<Told>,
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Done")
            .field("tx", &self.tx)
            .field("next", &self.next)
            .field("again", &self.again)
            .field("told", &self.told.len())
            .finish()
    }
}

impl Done {
    /// There was nothing to do: the message came late.
    #[must_use]
    pub fn nothing() -> Self {
        Self { tx: None, next: Vec::new(), again: None, told: Vec::new() }
    }

    /// The effects stand in the transaction of [`crate::Context::begin`].
    #[must_use]
    pub fn with(tx: Transaction<'static, Postgres>) -> Self {
        Self { tx: Some(tx), next: Vec::new(), again: None, told: Vec::new() }
    }

    /// Sends a message along the harvest's way, after the commit.
    ///
    /// # Errors
    /// The message does not serialise, which no message of the contracts does.
    pub fn send<M: Message>(mut self, message: &M) -> Result<Self, Stop> {
        let body = serde_json::to_value(message)
            .map_err(|error| Stop::reject(format!("writing a {} message: {error}; this is a defect", M::KIND)))?;
        self.next.push(Next { kind: M::KIND, version: M::VERSION, body });
        Ok(self)
    }

    /// Counts what the work came to, once it has committed: what is rolled back and done again counts once.
    #[must_use]
    pub fn count(mut self, tell: impl FnOnce(&Metrics) + Send + 'static) -> Self {
        self.told.push(Box::new(tell));
        self
    }

    /// Part of the work is done: commits the effects and brings the same message again after a while, with a fresh budget
    /// of attempts.
    #[must_use]
    pub fn again(mut self, after: Duration, because: impl Into<String>) -> Self {
        self.again = Some((after, because.into()));
        self
    }
}

/// How long a copy leaves the work to another one before it looks again.
const BUSY_FOR: Duration = Duration::from_secs(5);

/// Why a handler stopped.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Not yet: come again, at no cost.
    #[error("not yet: {because}")]
    Snooze {
        /// When to come again, from now.
        after: Duration,
        /// What is being waited for.
        because: String,
    },
    /// Another copy is at it: this very message comes again later, unless that copy has handled it by then.
    ///
    /// No snooze: what comes again after a snooze is a new message, and the inbox takes the old one for handled. So the copy that
    /// does the work would find its message handled, drop the work, and the next two copies would do the same to each other.
    #[error("{because}")]
    Busy {
        /// When to come again, from now.
        after: Duration,
        /// What is being worked on.
        because: String,
    },
    /// It failed for a reason that may pass: come again with one attempt spent.
    #[error("{error}")]
    Retry {
        /// What was being done and what went wrong.
        error: String,
        /// When the other side asked to be left alone for longer than the runner would wait.
        after: Option<Duration>,
    },
    /// It can never succeed: a dead letter, and the harvest has failed.
    #[error("{reason}")]
    Reject {
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// The inbox knows the message: somebody else has done the work.
    #[error("the message was handled before")]
    Duplicate,
    /// The harvest is cancelled: there is nothing left to do, and nothing may be written.
    #[error("the harvest is cancelled")]
    Cancelled,
    /// PostgreSQL is away: the delivery waits for it, at no cost.
    #[error("PostgreSQL does not answer: {0}")]
    DatabaseAbsent(String),
}

impl Stop {
    /// Come again later.
    pub fn snooze(after: Duration, because: impl Into<String>) -> Self {
        Self::Snooze { after, because: because.into() }
    }

    /// Leave it to the copy that is at it.
    pub fn busy(because: impl Into<String>) -> Self {
        Self::Busy { after: BUSY_FOR, because: because.into() }
    }

    /// Try again later.
    pub fn retry(error: impl ToString) -> Self {
        Self::Retry { error: error.to_string(), after: None }
    }

    /// Try again, not before `after` where the other side said so.
    pub fn retry_after(error: impl ToString, after: Option<Duration>) -> Self {
        Self::Retry { error: error.to_string(), after }
    }

    /// Give up.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject { reason: reason.into() }
    }
}

/// Whether an error means that the server is away rather than that the statement is wrong. A fatal error ended the session or
/// never let it begin, so it says nothing of any statement: a shutdown, too many connections, a database that takes none for
/// now. Of those, only what waiting does not mend is not waited for: a wrong password or role, a database that does not exist or
/// may not be connected to, and a session that was ended because of what we did with it (25P03, idle in a transaction). A server that
/// only reads (a standby, 25006) or whose disk is full (53100) is as good as away. Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>; severities:
/// <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-SEVERITY-LEVELS>.
#[must_use]
pub fn is_database_absent(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            if code.starts_with("28") || matches!(&*code, "3D000" | "42501" | "25P03") {
                return false;
            }
            let fatal = database
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic));
            fatal
                || code.starts_with("08")
                || matches!(&*code, "57P01" | "57P02" | "57P03" | "53300" | "25006" | "53100")
        }
        _ => false,
    }
}

/// Whether a refusal of one of the runner's own statements, which are not wrong, passes: a conflict (class 40), a lack of resources (53),
/// something in use (55), a statement that was cancelled or took too long (57014).
pub(crate) fn passes(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    is_database_absent(error) || ["40", "53", "55"].iter().any(|class| code.starts_with(class)) || code == "57014"
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        if is_database_absent(&error) {
            return Self::DatabaseAbsent(error.to_string());
        }
        Self::Retry { error: format!("PostgreSQL: {error}"), after: None }
    }
}
