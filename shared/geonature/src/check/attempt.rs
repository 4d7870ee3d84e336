//! Asking without breaking: each question stands in its own savepoint.

use serde::Serialize;
use sqlx::{Connection, PgConnection, postgres::PgDatabaseError};

/// PostgreSQL's answer, or its refusal.
pub type Answer<T> = Result<T, Refusal>;

/// A statement that PostgreSQL did not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// SQLSTATE; none when the answer could not be understood.
    pub code: Option<String>,
    /// PostgreSQL's words, in the language of the server.
    pub message: String,
    /// The function in which it happened, innermost first.
    pub context: Option<String>,
}

impl Refusal {
    /// Whether a right lacks.
    pub fn is_a_right(&self) -> bool {
        self.code.as_deref() == Some("42501")
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match self.context.as_deref().and_then(|context| context.lines().next()) {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// Asks in a savepoint of the open transaction. What was written stays when the answer is good, and goes with a refusal.
///
/// # Errors
/// A connection that is lost.
pub(super) async fn attempt<T>(
    connection: &mut PgConnection,
    question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<Answer<T>, sqlx::Error> {
    let mut savepoint = connection.begin().await?;
    match question(&mut *savepoint).await {
        Ok(value) => {
            savepoint.commit().await?;
            Ok(Ok(value))
        }
        Err(error) => {
            let refusal = refusal(error)?;
            savepoint.rollback().await?;
            Ok(Err(refusal))
        }
    }
}

/// What leaves the connection usable is a refusal.
fn refusal(error: sqlx::Error) -> Result<Refusal, sqlx::Error> {
    match error {
        sqlx::Error::Database(refused) => {
            // Class 57P is the end of the session.
            if refused.code().is_some_and(|code| code.starts_with("57P")) {
                return Err(sqlx::Error::Database(refused));
            }
            let context = refused.try_downcast_ref::<PgDatabaseError>().and_then(|error| error.r#where());
            Ok(Refusal {
                code: refused.code().map(|code| code.into_owned()),
                message: refused.message().to_owned(),
                context: context.map(str::to_owned),
            })
        }
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::Decode(_) => Ok(Refusal { code: None, message: error.to_string(), context: None }),
        lost => Err(lost),
    }
}
