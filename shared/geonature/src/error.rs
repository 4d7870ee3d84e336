//! What can be wrong with the GeoNature database.

/// Reading or preparing a GeoNature database has failed.
#[derive(Debug, thiserror::Error)]
pub enum GeoNatureError {
    /// A table that every GeoNature has is not there.
    #[error(
        "this database has no {table}: it is not a GeoNature database, or this user may not see it; check PASSEREAU_DATABASE_URL"
    )]
    NotGeoNature {
        /// The table that was looked for.
        table: &'static str,
    },
    /// GeoNature is there, but too old for what we write.
    #[error("this GeoNature is too old: {missing} is missing, which {since} has brought; upgrade GeoNature")]
    TooOld {
        /// What was looked for.
        missing: &'static str,
        /// The version it came with.
        since: &'static str,
    },
    /// The source is not declared.
    #[error(
        "gn_synthese.t_sources has no source named GBIF: run `passereau install` as the owner of GeoNature's tables"
    )]
    NoSource,
    /// Nothing makes (source, key) unique.
    #[error(
        "gn_synthese.synthese has no valid unique index on (id_source, entity_source_pk_value) for source {source_id}: \
         run `passereau install` as the owner of GeoNature's tables"
    )]
    NoUpsertIndex {
        /// `id_source` of GBIF.
        source_id: i32,
    },
    /// TAXREF has no links to GBIF.
    #[error(
        "taxonomie.taxref_liens holds no link with ct_name = 'GBIF': import TAXREF's links with TaxHub 2.2 or later"
    )]
    NoGbifLinks,
    /// A role to grant rights to is not there.
    #[error(
        "there is no PostgreSQL role {role:?}, which {option} names: correct {option}, or create it (CREATE ROLE {role:?} LOGIN PASSWORD '…'), \
         then run `passereau install` again"
    )]
    NoRole {
        /// The option that named it.
        option: &'static str,
        /// The role that was named.
        role: String,
    },
    /// A part is to have a role, and nobody knows who will own the state.
    #[error(
        "{option} grants rights on our schemas, which are not there yet: name the role that will own them as well, with --role (and --state-role where \
         the upserter has a role of its own)"
    )]
    NoOwner {
        /// The option that names the part's role.
        option: &'static str,
    },
    /// The exporter and the gateway did not get their rights on our tables.
    #[error(
        "the schemas are up to date, but the roles that passereau.part_role names could not be granted their rights on them: run `passereau migrate` as \
         the owner of the schemas, or `passereau install --exporter-role … --gateway-role …` as the database's administrator"
    )]
    Parts {
        /// PostgreSQL's answer.
        source: sqlx::Error,
    },
    /// Somebody else is installing.
    #[error("another `passereau install` is running on this database: wait for its end")]
    Busy,
    /// A statement of the installation was refused.
    #[error("`passereau install`: {doing} was refused; {}", advice(source))]
    Install {
        /// What the statement does.
        doing: &'static str,
        /// PostgreSQL's answer.
        source: sqlx::Error,
    },
    /// The database could not be asked.
    #[error("reading the GeoNature database ({doing}); {}", advice(source))]
    Read {
        /// What was asked.
        doing: &'static str,
        /// PostgreSQL's answer, or the connection's failure.
        source: sqlx::Error,
    },
}

/// What to do about a refusal (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn advice(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|refusal| refusal.code().map(|code| code.into_owned()));
    match code.as_deref() {
        Some("42501") => {
            "this user may not: run `passereau install` with the URL of the database's administrator".to_owned()
        }
        Some("23505") => "the synthèse holds one GBIF key twice for source GBIF: remove the double rows \
                          (SELECT entity_source_pk_value, count(*) … GROUP BY 1 HAVING count(*) > 1), then run it again"
            .to_owned(),
        Some(code) if code.starts_with("28") || code == "3D000" => {
            "check user, password and database in PASSEREAU_DATABASE_URL".to_owned()
        }
        _ => "PostgreSQL's own words follow".to_owned(),
    }
}

impl GeoNatureError {
    /// Whether the same call may succeed later without anybody doing anything: only a lost connection or a server that is not
    /// up may.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Read { source, .. } | Self::Install { source, .. } | Self::Parts { source } => match source {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
                // Class 08 connection, 40 serialisation, 53 resources, 57P shutdown and start-up.
                sqlx::Error::Database(error) => error
                    .code()
                    .is_some_and(|code| ["08", "40", "53", "57P", "55P03"].iter().any(|class| code.starts_with(class))),
                _ => false,
            },
            _ => false,
        }
    }
}
