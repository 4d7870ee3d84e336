//! What can go wrong with the database.

use crate::config::PATIENCE;

/// An error of the database, with what was being done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL cannot be parsed. It is not shown, because it may hold a password.
    #[error("PASSEREAU_DATABASE_URL is not a PostgreSQL URL; write postgres://user:password@host:port/database")]
    Url,
    /// The URL cannot be had.
    #[error(transparent)]
    Secret(#[from] passereau_secret::SecretError),
    /// The certificates of the authority cannot be read.
    #[error("PASSEREAU_DATABASE_CA_FILE: {} cannot be read: {source}", file.display())]
    Authority {
        /// The file.
        file: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state's schema is absent or older than this program.
    #[error("the database lacks migration {missing} of schema passereau; run `passereau migrate`")]
    NotMigrated {
        /// Number of the first missing migration.
        missing: i64,
    },
    /// The schemas belong to another role.
    #[error(
        "this role may not read schema passereau: run `passereau migrate` as the role of the workers, which then owns it"
    )]
    NotOurs,
    /// The functions are those of another version of this program.
    #[error(
        "the functions of schemas passereau and pinv_gbif are of another version; run `passereau migrate` of the newer one"
    )]
    OtherFunctions,
    /// A migration could not be applied.
    #[error("applying the migrations of schemas passereau and pinv_gbif: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The role may not make or change our schemas.
    #[error(
        "this role may not make or change the schemas passereau and pinv_gbif. The first time, the database's administrator runs `passereau install --role` \
         with its name (`--state-role` where the upserter has another one), then `passereau migrate` again; afterwards only the role that ran \
         `passereau migrate` first may run it, since it owns them"
    )]
    NoRight {
        /// What was being done.
        source: Box<DatabaseError>,
    },
    /// The tables of the procedure run by hand belong to somebody else.
    #[error(
        "schema pinv_gbif holds tables of the procedure run by hand, which this role may not touch ({source}): the database's \
         administrator runs `passereau install --role` with the name of this role (or what it prints with --print-sql); then run \
         `passereau migrate` again"
    )]
    ByHand {
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
    /// One of the functions could not be applied.
    #[error("applying migrations/functions/{file}: {source}")]
    Function {
        /// The file.
        file: &'static str,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
    /// Any other statement.
    #[error("{doing}: {}", said(source))]
    Statement {
        /// What was being done.
        doing: &'static str,
        /// What PostgreSQL said.
        source: sqlx::Error,
    },
}

/// What PostgreSQL said, or what to look at when it said nothing: the pool tries again for as long as a connection is refused, and then tells of its patience alone.
fn said(source: &sqlx::Error) -> String {
    match source {
        sqlx::Error::PoolTimedOut => format!(
            "PostgreSQL gave no connection within {} s; see that it runs, that host and port of PASSEREAU_DATABASE_URL are its own, and that it has connections left",
            PATIENCE.as_secs()
        ),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_answer_is_told_with_what_to_look_at() {
        let error = DatabaseError::Statement { doing: "reading the flows", source: sqlx::Error::PoolTimedOut };
        let text = error.to_string();
        assert!(text.starts_with("reading the flows: PostgreSQL gave no connection within 10 s"), "{text}");
        assert!(text.contains("PASSEREAU_DATABASE_URL") && !text.contains("pool timed out"), "{text}");
    }
}
