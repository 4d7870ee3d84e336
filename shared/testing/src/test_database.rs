//! A database that one test owns.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};

use crate::{
    database_url,
    template::{create_geonature, drop_database, test_name},
};

/// A private copy of the seeded GeoNature-shaped database, dropped with this value (best effort: what a killed test leaves is
/// dropped by a later run).
#[derive(Debug)]
pub struct TestDatabase {
    /// URL of this database.
    pub url: String,
    /// Connections to it.
    pub pool: PgPool,
    admin_url: String,
    name: String,
}

impl TestDatabase {
    /// A GeoNature database as its administrators know it: without anything of ours.
    ///
    /// # Panics
    /// When the server is missing or refuses; the message says what to run.
    pub async fn geonature() -> Self {
        let admin_url = database_url();
        let name = test_name();
        let url = match create_geonature(&admin_url, &name).await {
            Ok(url) => url,
            Err(error) => fail("making a test database", &error),
        };
        let pool =
            PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(20)).connect(&url).await;
        match pool {
            Ok(pool) => Self { url, pool, admin_url, name },
            Err(error) => fail("connecting to a test database", &error.into()),
        }
    }

    /// The same, with our schemas `passereau` and `pinv_gbif` in it.
    ///
    /// # Panics
    /// As [`TestDatabase::geonature`], and when a migration fails.
    pub async fn migrated() -> Self {
        let database = Self::geonature().await;
        match passereau_database::migrate(&database.pool).await {
            Ok(()) => database,
            Err(error) => fail("migrating a test database", &error.into()),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let admin_url = std::mem::take(&mut self.admin_url);
        let name = std::mem::take(&mut self.name);
        // A thread with its own runtime: a test's runtime may be single-threaded, or already on its way down.
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            let drop = async {
                let mut admin = PgConnection::connect(&admin_url).await?;
                drop_database(&mut admin, &name).await
            };
            let outcome = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), drop).await });
            if !matches!(outcome, Ok(Ok(()))) {
                eprintln!("test database {name} was not dropped: {outcome:?}");
            }
        });
        if dropping.join().is_err() {
            eprintln!("the thread that drops a test database panicked");
        }
    }
}

#[expect(clippy::panic, reason = "a test without its database cannot go on")]
fn fail(doing: &str, error: &anyhow::Error) -> ! {
    panic!("{doing}: {error:#}")
}
