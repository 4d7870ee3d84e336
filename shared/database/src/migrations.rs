//! Migrations of our two schemas, and the functions that are applied again each time.

use sha2::{Digest, Sha256};
use sqlx::{PgPool, migrate::Migrator};

use crate::DatabaseError;

/// The migrations table is ours; GeoNature's Alembic never sees it.
const TABLE: &str = "passereau.schema_migration";

/// Functions and views in the order in which they depend on each other. A test compares the list with the folder.
const FUNCTIONS: &[(&str, &str)] = &[
    ("05_settings.sql", include_str!("../../../migrations/functions/05_settings.sql")),
    ("10_destination.sql", include_str!("../../../migrations/functions/10_destination.sql")),
    ("15_hours.sql", include_str!("../../../migrations/functions/15_hours.sql")),
    ("15_names.sql", include_str!("../../../migrations/functions/15_names.sql")),
    ("20_identity.sql", include_str!("../../../migrations/functions/20_identity.sql")),
    ("30_taxon.sql", include_str!("../../../migrations/functions/30_taxon.sql")),
    ("35_vocabulary.sql", include_str!("../../../migrations/functions/35_vocabulary.sql")),
    ("40_judge.sql", include_str!("../../../migrations/functions/40_judge.sql")),
    ("45_observers.sql", include_str!("../../../migrations/functions/45_observers.sql")),
    ("50_convert.sql", include_str!("../../../migrations/functions/50_convert.sql")),
    ("55_compare.sql", include_str!("../../../migrations/functions/55_compare.sql")),
    ("60_plan.sql", include_str!("../../../migrations/functions/60_plan.sql")),
    ("61_vanished.sql", include_str!("../../../migrations/functions/61_vanished.sql")),
    ("62_summary.sql", include_str!("../../../migrations/functions/62_summary.sql")),
    ("65_metadata.sql", include_str!("../../../migrations/functions/65_metadata.sql")),
    ("70_apply.sql", include_str!("../../../migrations/functions/70_apply.sql")),
    ("71_write.sql", include_str!("../../../migrations/functions/71_write.sql")),
    ("72_sensitivity.sql", include_str!("../../../migrations/functions/72_sensitivity.sql")),
    ("73_vanished.sql", include_str!("../../../migrations/functions/73_vanished.sql")),
    ("74_split.sql", include_str!("../../../migrations/functions/74_split.sql")),
    ("75_media.sql", include_str!("../../../migrations/functions/75_media.sql")),
    ("80_finish.sql", include_str!("../../../migrations/functions/80_finish.sql")),
    ("85_reconvert.sql", include_str!("../../../migrations/functions/85_reconvert.sql")),
    ("87_cancel.sql", include_str!("../../../migrations/functions/87_cancel.sql")),
    ("88_retention.sql", include_str!("../../../migrations/functions/88_retention.sql")),
    ("90_manual.sql", include_str!("../../../migrations/functions/90_manual.sql")),
    ("92_adopt.sql", include_str!("../../../migrations/functions/92_adopt.sql")),
    ("95_reports.sql", include_str!("../../../migrations/functions/95_reports.sql")),
    ("96_erasure.sql", include_str!("../../../migrations/functions/96_erasure.sql")),
    ("97_erase.sql", include_str!("../../../migrations/functions/97_erase.sql")),
    ("98_gate.sql", include_str!("../../../migrations/functions/98_gate.sql")),
];

/// Puts the tables of the procedure run by hand aside, where they stand in the way of ours; changes nothing elsewhere. One
/// statement, which an administrator may run as well.
pub const SET_ASIDE: &str = include_str!("../../../migrations/adoption/set_aside.sql");

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../../migrations/state");
    migrator.create_schema("passereau");
    migrator.dangerous_set_table_name(TABLE);
    migrator
}

/// Applies what is missing of `migrations/state`, then all of `migrations/functions`; adopts the tables of the procedure run by
/// hand, where there are some. Safe to run by several processes at once and at any time.
///
/// # Errors
/// [`DatabaseError::Migrate`] and [`DatabaseError::Function`], with the file at fault; [`DatabaseError::NoRight`] and [`DatabaseError::ByHand`] where an
/// administrator has to come first.
pub async fn migrate(pool: &PgPool) -> Result<(), DatabaseError> {
    apply(pool).await.map_err(|error| match error {
        error @ DatabaseError::ByHand { .. } => error,
        error if lacks_a_right(&error) => DatabaseError::NoRight { source: Box::new(error) },
        error => error,
    })
}

/// Whether PostgreSQL has refused for want of a right, whatever was being done.
fn lacks_a_right(error: &DatabaseError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let refusal = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
        if refusal.and_then(|refusal| refusal.code()).is_some_and(|code| code == "42501") {
            return true;
        }
        cause = error.source();
    }
    false
}

async fn apply(pool: &PgPool) -> Result<(), DatabaseError> {
    set_aside(pool).await?;
    migrator().run(pool).await?;
    let statement = |source| DatabaseError::Statement { doing: "applying functions", source };
    let mut tx = pool.begin().await.map_err(statement)?;
    // Two processes that replace the same function at once fail with "tuple concurrently updated".
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('passereau.functions'))")
        .execute(&mut *tx)
        .await
        .map_err(statement)?;
    for (file, sql) in FUNCTIONS {
        sqlx::raw_sql(*sql).execute(&mut *tx).await.map_err(|source| DatabaseError::Function { file, source })?;
    }
    sqlx::query("SELECT passereau.adopt_tables()").execute(&mut *tx).await.map_err(refused)?;
    sqlx::query("DELETE FROM passereau.function_set").execute(&mut *tx).await.map_err(statement)?;
    sqlx::query("INSERT INTO passereau.function_set (digest) VALUES ($1)")
        .bind(functions_digest())
        .execute(&mut *tx)
        .await
        .map_err(statement)?;
    tx.commit().await.map_err(statement)
}

async fn set_aside(pool: &PgPool) -> Result<(), DatabaseError> {
    let statement = |source| DatabaseError::Statement { doing: "putting the procedure's tables aside", source };
    let mut tx = pool.begin().await.map_err(statement)?;
    // Of two processes the second one finds them put aside.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('passereau.functions'))")
        .execute(&mut *tx)
        .await
        .map_err(statement)?;
    sqlx::raw_sql(SET_ASIDE).execute(&mut *tx).await.map_err(refused)?;
    tx.commit().await.map_err(statement)
}

/// What this role may not do with the procedure's tables, the administrator does first.
fn refused(source: sqlx::Error) -> DatabaseError {
    match source.as_database_error().and_then(|refusal| refusal.code()) {
        Some(code) if code == "42501" => DatabaseError::ByHand { source },
        _ => DatabaseError::Statement { doing: "adopting the procedure's tables", source },
    }
}

/// SHA-256 over the names and texts of all functions, hexadecimal.
fn functions_digest() -> String {
    let mut digest = Sha256::new();
    for (file, sql) in FUNCTIONS {
        digest.update(file.as_bytes());
        digest.update([0]);
        digest.update(sql.as_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says whether the state is as new as this program, without changing anything.
///
/// # Errors
/// [`DatabaseError::NotMigrated`] names the first missing migration, [`DatabaseError::OtherFunctions`] says that the
/// functions are of another version; [`DatabaseError::Statement`] when PostgreSQL cannot be asked.
pub async fn check_migrated(pool: &PgPool) -> Result<(), DatabaseError> {
    let statement = |source: sqlx::Error| match source.as_database_error().and_then(|refusal| refusal.code()) {
        Some(code) if code == "42501" => DatabaseError::NotOurs,
        _ => DatabaseError::Statement { doing: "reading the applied migrations", source },
    };
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('passereau.schema_migration') IS NOT NULL")
        .fetch_one(pool)
        .await
        .map_err(statement)?;
    let applied: Vec<i64> = if exists {
        sqlx::query_scalar("SELECT version FROM passereau.schema_migration WHERE success")
            .fetch_all(pool)
            .await
            .map_err(statement)?
    } else {
        Vec::new()
    };
    if let Some(migration) = migrator().iter().find(|migration| !applied.contains(&migration.version)) {
        return Err(DatabaseError::NotMigrated { missing: migration.version });
    }
    let functions: Option<String> = sqlx::query_scalar("SELECT digest FROM passereau.function_set")
        .fetch_optional(pool)
        .await
        .map_err(statement)?;
    if functions != Some(functions_digest()) {
        return Err(DatabaseError::OtherFunctions);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::FUNCTIONS;
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn every_file_of_the_functions_folder_is_applied() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/functions");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
            .filter(|name| name.ends_with(".sql"))
            .collect();
        let listed: BTreeSet<String> = FUNCTIONS.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(files, listed);
    }

    #[test]
    fn every_code_that_a_function_raises_is_explained_where_the_codes_are_listed() {
        let (_, list) = FUNCTIONS.iter().find(|(file, _)| *file == "10_destination.sql").expect("the file of the list");
        let explained: BTreeSet<&str> =
            list.lines().filter_map(|line| line.strip_prefix("--   PS")?.get(..3)).collect();
        let raised: BTreeSet<&str> = FUNCTIONS
            .iter()
            .flat_map(|(_, sql)| sql.split("ERRCODE = 'PS").skip(1))
            .filter_map(|rest| rest.get(..3))
            .collect();
        assert_eq!(explained, raised);
    }
}
