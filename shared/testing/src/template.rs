//! The GeoNature-shaped templates: each made once per server and content, when first asked for, then cloned.
//!
//! A name ends with a digest of everything the template is made of (SQL, taxa, datasets), so that a changed file makes a new one.
//! It is built under an advisory lock and another name, and renamed when whole: a template that exists is complete. A variant is
//! built from a copy of the 2.17 template.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgPoolOptions};
use url::Url;

use crate::Variant;

/// Beginning of the names of databases that tests make, followed by the second of their creation.
pub(crate) const TEST_PREFIX: &str = "passereau_test_";

/// A test database older than this was left behind by a run that was killed.
const LEFTOVER_AGE: Duration = Duration::from_secs(3 * 3600);

/// The files in the order in which they are applied.
const FILES: &[(&str, &str)] = &[
    ("00_extensions", include_str!("../geonature/00_extensions.sql")),
    ("01_utilisateurs", include_str!("../geonature/01_utilisateurs.sql")),
    ("02_ref_nomenclatures", include_str!("../geonature/02_ref_nomenclatures.sql")),
    ("03_ref_geo", include_str!("../geonature/03_ref_geo.sql")),
    ("04_taxonomie", include_str!("../geonature/04_taxonomie.sql")),
    ("05_gn_commons", include_str!("../geonature/05_gn_commons.sql")),
    ("06_gn_meta", include_str!("../geonature/06_gn_meta.sql")),
    ("07_gn_sensitivity", include_str!("../geonature/07_gn_sensitivity.sql")),
    ("08_gn_imports_ref_habitats", include_str!("../geonature/08_gn_imports_ref_habitats.sql")),
    ("09_gn_synthese", include_str!("../geonature/09_gn_synthese.sql")),
    ("10_gn_synthese_triggers", include_str!("../geonature/10_gn_synthese_triggers.sql")),
    ("11_seed_nomenclatures", include_str!("../geonature/11_seed_nomenclatures.sql")),
    ("12_seed_reference", include_str!("../geonature/12_seed_reference.sql")),
    ("13_seed_areas", include_str!("../geonature/13_seed_areas.sql")),
    ("14_seed_metadata", include_str!("../geonature/14_seed_metadata.sql")),
];

/// Sources of the Rust part of the seeds: they decide the content as much as the SQL does.
const SEEDING: &[&str] = &[include_str!("seeds.rs"), include_str!("taxref.rs")];

fn template_name(variant: Variant) -> String {
    let mut digest = Sha256::new();
    for (name, sql) in FILES.iter().chain(variant.files()) {
        digest.update(name);
        digest.update(sql);
    }
    for source in SEEDING {
        digest.update(source);
    }
    digest.update(format!("{:?}", passereau_sandbox::taxa::taxa()));
    digest.update(format!("{:?}", passereau_sandbox::seeds::KNOWN_DATASETS));
    let digest = digest.finalize();
    let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("passereau_template_{short}")
}

/// The same server and credentials, another database.
pub(crate) fn with_database(admin_url: &str, name: &str) -> Result<String> {
    let mut url = Url::parse(admin_url).context("the PostgreSQL URL is not a URL")?;
    url.set_path(name);
    Ok(url.into())
}

/// Makes database `name` as a copy of the seeded GeoNature-shaped database and returns its URL. The template is made first
/// when the server does not have it yet (seconds); a copy takes a fraction of a second.
///
/// # Errors
/// When the server cannot be reached, lacks PostGIS, refuses the creation, or already has a database of that name.
pub async fn create_geonature(admin_url: &str, name: &str, variant: Variant) -> Result<String> {
    let mut admin =
        PgConnection::connect(admin_url).await.context("connecting to the PostgreSQL server as its administrator")?;
    let template = template_name(variant);
    if !exists(&mut admin, &template).await? {
        // Session lock, so that a second process waits here and then finds the template.
        sqlx::query("SELECT pg_advisory_lock(hashtext('passereau.template'))").execute(&mut admin).await?;
        drop_leftovers(&mut admin).await?;
        for needed in [Variant::V2_17, variant] {
            if !exists(&mut admin, &template_name(needed)).await? {
                build(&mut admin, admin_url, needed).await?;
            }
        }
        sqlx::query("SELECT pg_advisory_unlock(hashtext('passereau.template'))").execute(&mut admin).await?;
    }
    execute(&mut admin, format!("CREATE DATABASE {} TEMPLATE {}", quoted(name), quoted(&template)))
        .await
        .with_context(|| format!("creating database {name} from its template"))?;
    admin.close().await?;
    with_database(admin_url, name)
}

/// Whether the server has a database of that name.
///
/// # Errors
/// When the server cannot be reached.
pub async fn database_exists(admin_url: &str, name: &str) -> Result<bool> {
    let mut admin =
        PgConnection::connect(admin_url).await.context("connecting to the PostgreSQL server as its administrator")?;
    let found = exists(&mut admin, name).await?;
    admin.close().await?;
    Ok(found)
}

async fn build(admin: &mut PgConnection, admin_url: &str, variant: Variant) -> Result<()> {
    let template = template_name(variant);
    let building = format!("{template}_building");
    let (origin, files) = match variant {
        Variant::V2_17 => ("template0".to_owned(), FILES),
        _ => (template_name(Variant::V2_17), variant.files()),
    };
    execute(admin, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&building))).await?;
    execute(admin, format!("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'", quoted(&building), quoted(&origin)))
        .await?;
    // One connection: no other session may be open when the database is renamed.
    let pool = PgPoolOptions::new().max_connections(1).connect(&with_database(admin_url, &building)?).await?;
    let mut tx = pool.begin().await?;
    for (name, sql) in files {
        sqlx::raw_sql(*sql)
            .execute(&mut *tx)
            .await
            .with_context(|| format!("applying geonature/{name}.sql (is PostGIS installed? `make setup`)"))?;
    }
    tx.commit().await?;
    if variant == Variant::V2_17 {
        crate::seed_sandbox(&pool).await?;
    }
    sqlx::raw_sql("VACUUM ANALYZE").execute(&pool).await?;
    pool.close().await;
    execute(admin, format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true", quoted(&building)))
        .await?;
    execute(admin, format!("ALTER DATABASE {} RENAME TO {}", quoted(&building), quoted(&template))).await
}

/// Drops what killed runs left on a server that outlives them: databases, then the workers' roles that had rights in them.
async fn drop_leftovers(admin: &mut PgConnection) -> Result<()> {
    for name in leftovers(admin, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)").await? {
        drop_database(admin, &name).await?;
    }
    for name in leftovers(admin, "SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)").await? {
        drop_role(admin, &name).await?;
    }
    Ok(())
}

/// Of the names that a query finds by [`TEST_PREFIX`], those that are too old to be in use.
async fn leftovers(admin: &mut PgConnection, query: &'static str) -> Result<Vec<String>> {
    let names: Vec<String> = sqlx::query_scalar(query).bind(TEST_PREFIX).fetch_all(&mut *admin).await?;
    let oldest = now_s().saturating_sub(LEFTOVER_AGE.as_secs());
    let old = |name: &String| {
        let made: Option<u64> = name[TEST_PREFIX.len()..].split('_').next().and_then(|second| second.parse().ok());
        made.is_some_and(|second| second < oldest)
    };
    Ok(names.into_iter().filter(old).collect())
}

/// Makes a role that may connect and nothing else.
pub(crate) async fn create_role(admin: &mut PgConnection, name: &str, password: &str) -> Result<()> {
    execute(admin, format!("CREATE ROLE {} LOGIN PASSWORD '{}'", quoted(name), password.replace('\'', "''"))).await
}

/// Copies a database that nobody is connected to.
pub(crate) async fn copy_database(admin: &mut PgConnection, name: &str, origin: &str) -> Result<()> {
    execute(admin, format!("CREATE DATABASE {} TEMPLATE {}", quoted(name), quoted(origin)))
        .await
        .with_context(|| format!("copying database {origin} to {name}"))
}

/// Drops a role that has rights in no database any more; not an error when it is gone.
pub(crate) async fn drop_role(admin: &mut PgConnection, name: &str) -> Result<()> {
    execute(admin, format!("DROP ROLE IF EXISTS {}", quoted(name))).await
}

/// Drops a database whoever is connected to it; not an error when it is gone.
pub(crate) async fn drop_database(admin: &mut PgConnection, name: &str) -> Result<()> {
    execute(admin, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))).await
}

/// A name for a database that a test owns.
pub(crate) fn test_name() -> String {
    format!("{TEST_PREFIX}{}_{}", now_s(), &uuid::Uuid::new_v4().simple().to_string()[..12])
}

async fn exists(admin: &mut PgConnection, name: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(admin)
        .await?)
}

/// Statements about databases take no parameters; every name passes through [`quoted`].
async fn execute(admin: &mut PgConnection, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(admin).await?;
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn every_file_of_the_folder_is_applied_in_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("geonature");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
            .filter(|name| name.ends_with(".sql"))
            .collect();
        let listed: Vec<String> = super::FILES.iter().map(|(name, _)| format!("{name}.sql")).collect();
        assert_eq!(files.into_iter().collect::<Vec<_>>(), listed);
    }
}
