//! A database whose workers have a role of their own, with no right but what the installation granted.

use passereau_geonature::{
    Wanted,
    check::{Finding, Survey, findings, survey},
    install,
};
use passereau_testing::{TestDatabase, Variant};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};

/// A GeoNature with a role for the workers.
pub struct Worker {
    pub database: TestDatabase,
    pub role: String,
    url: String,
}

impl Worker {
    /// The role exists and may do nothing yet.
    pub async fn without_rights(variant: Variant) -> Self {
        let database = TestDatabase::variant(variant).await;
        let role = database.worker().await;
        Self { database, role: role.name, url: role.url }
    }

    /// Installed by the administrator, migrated by the role itself.
    pub async fn installed(variant: Variant, wanted: Wanted) -> Self {
        let worker = Self::without_rights(variant).await;
        let wanted = Wanted { role: Some(worker.role.clone()), ..wanted };
        install(&worker.database.pool, &wanted).await.expect("installed");
        passereau_database::migrate(&worker.pool().await).await.expect("migrated by the role");
        worker
    }

    /// A new connection as the role. The defaults of the synthèse are declared IMMUTABLE: a connection that has written before
    /// remembers them, and would not notice that it may no longer read them.
    pub async fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(2).connect(&self.url).await.expect("connected as the role")
    }

    pub async fn survey(&self) -> Survey {
        let pool = self.pool().await;
        let facts = survey(&pool).await.expect("surveyed");
        pool.close().await;
        facts
    }

    pub async fn findings(&self) -> Vec<Finding> {
        findings(&self.survey().await)
    }

    /// As the administrator.
    pub async fn execute(&self, sql: impl Into<String>) {
        execute(&self.database.pool, sql).await;
    }
}

pub async fn execute(pool: &PgPool, sql: impl Into<String>) {
    let sql: String = sql.into();
    sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(pool).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
}
