//! A database that one test owns.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};

use url::Url;

use crate::{
    Variant, database_url,
    template::{copy_database, create_geonature, create_role, drop_database, drop_role, test_name, with_database},
};

/// A PostgreSQL role that owns nothing and has no right but to connect, as an administrator makes it for the workers.
#[derive(Debug)]
pub struct WorkerRole {
    /// Its name.
    pub name: String,
    /// URL of the test's database with this role's name and password.
    pub url: String,
}

/// The roles of a platform that keeps them apart; none has a right yet.
#[derive(Debug)]
pub struct Roles {
    /// Will own our schemas.
    pub state: WorkerRole,
    /// Will write the synthèse.
    pub writer: WorkerRole,
    /// Will read our schemas.
    pub reader: WorkerRole,
    /// Will make deliveries.
    pub exporter: WorkerRole,
    /// Will serve them.
    pub gateway: WorkerRole,
}

impl Roles {
    /// The same roles in a copy of their database.
    ///
    /// # Panics
    /// As [`WorkerRole::in_copy`].
    #[must_use]
    pub fn in_copy(&self, copy: &TestDatabase) -> Self {
        Self {
            state: self.state.in_copy(copy),
            writer: self.writer.in_copy(copy),
            reader: self.reader.in_copy(copy),
            exporter: self.exporter.in_copy(copy),
            gateway: self.gateway.in_copy(copy),
        }
    }
}

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
    is_copy: bool,
}

impl TestDatabase {
    /// A GeoNature database as its administrators know it: without anything of ours.
    ///
    /// # Panics
    /// When the server is missing or refuses; the message says what to run.
    pub async fn geonature() -> Self {
        Self::variant(Variant::V2_17).await
    }

    /// The same of another version, or rebuilt as some platforms have done.
    ///
    /// # Panics
    /// As [`TestDatabase::geonature`].
    pub async fn variant(variant: Variant) -> Self {
        let admin_url = database_url();
        let name = test_name();
        let url = match create_geonature(&admin_url, &name, variant).await {
            Ok(url) => url,
            Err(error) => fail("making a test database", &error),
        };
        let pool =
            PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(20)).connect(&url).await;
        match pool {
            Ok(pool) => Self { url, pool, admin_url, name, is_copy: false },
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

    /// A copy of this database as it stands, for a test of its own. The first call ends the connections to this one: PostgreSQL
    /// copies no database that is in use.
    ///
    /// # Panics
    /// As [`TestDatabase::geonature`].
    pub async fn copy(&self) -> Self {
        self.pool.close().await;
        let name = test_name();
        let made = async {
            let mut admin = PgConnection::connect(&self.admin_url).await?;
            copy_database(&mut admin, &name, &self.name).await?;
            let url = with_database(&self.admin_url, &name)?;
            let pool =
                PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(20)).connect(&url).await?;
            anyhow::Ok(Self { url, pool, admin_url: self.admin_url.clone(), name, is_copy: true })
        };
        match made.await {
            Ok(copy) => copy,
            Err(error) => fail("copying a test database", &error),
        }
    }

    /// Makes the role that workers connect as. It may do what `passereau install --role` lets it do afterwards, and is dropped
    /// with the database. Once per database.
    ///
    /// # Panics
    /// When the server refuses; the message says what.
    pub async fn worker(&self) -> WorkerRole {
        self.role("worker").await
    }

    /// The same for a platform that keeps its roles apart. Once per database, and not beside [`TestDatabase::worker`].
    ///
    /// # Panics
    /// As [`TestDatabase::worker`].
    pub async fn roles(&self) -> Roles {
        let [state, writer, reader, exporter, gateway] = ROLES;
        Roles {
            state: self.role(state).await,
            writer: self.role(writer).await,
            reader: self.role(reader).await,
            exporter: self.role(exporter).await,
            gateway: self.role(gateway).await,
        }
    }

    async fn role(&self, kind: &str) -> WorkerRole {
        let role = role_name(&self.name, kind);
        let password = uuid::Uuid::new_v4().simple().to_string();
        let made = async {
            let mut admin = PgConnection::connect(&self.admin_url).await?;
            create_role(&mut admin, &role, &password).await?;
            let mut url = Url::parse(&self.url)?;
            // An error says that the URL has no host: then nobody could have connected.
            let credentials = url.set_username(&role).and_then(|()| url.set_password(Some(&password)));
            credentials.map_err(|()| anyhow::anyhow!("the URL of the test database takes no user"))?;
            anyhow::Ok(url.into())
        };
        match made.await {
            Ok(url) => WorkerRole { name: role, url },
            Err(error) => fail("making a worker's role", &error),
        }
    }
}

impl WorkerRole {
    /// The same role in a copy of its database.
    ///
    /// # Panics
    /// When the URL of the copy is none.
    #[must_use]
    pub fn in_copy(&self, copy: &TestDatabase) -> Self {
        match with_database(&self.url, &copy.name) {
            Ok(url) => Self { name: self.name.clone(), url },
            Err(error) => fail("naming the copy of a test database", &error),
        }
    }
}

/// Owner of the state, writer of the synthèse, reader, exporter, gateway.
const ROLES: [&str; 5] = ["state", "worker", "reader", "exporter", "gateway"];

/// Name of a role of a test database: it tells when it was made, as the database's name does.
fn role_name(database: &str, kind: &str) -> String {
    format!("{database}_{kind}")
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // The original of copies goes with the servers of its program: its role still has rights in the copies.
        if crate::has_own_servers() && !self.is_copy {
            return;
        }
        let (admin_url, is_copy) = (std::mem::take(&mut self.admin_url), self.is_copy);
        let name = std::mem::take(&mut self.name);
        // A thread with its own runtime: a test's runtime may be single-threaded, or already on its way down.
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            let drop = async {
                let mut admin = PgConnection::connect(&admin_url).await?;
                drop_database(&mut admin, &name).await?;
                for kind in ROLES {
                    drop_role(&mut admin, &role_name(&name, kind)).await?;
                }
                anyhow::Ok(())
            };
            let outcome = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), drop).await });
            if !is_copy && !matches!(outcome, Ok(Ok(()))) {
                eprintln!("test database {name} was not dropped: {outcome:?}");
            }
        });
        // PostgreSQL drops after a checkpoint, which takes seconds; a copy's role is its original's.
        if !self.is_copy && dropping.join().is_err() {
            eprintln!("the thread that drops a test database panicked");
        }
    }
}

#[expect(clippy::panic, reason = "a test without its database cannot go on")]
fn fail(doing: &str, error: &anyhow::Error) -> ! {
    panic!("{doing}: {error:#}")
}
