//! Finding out, by reading only, what this GeoNature is and what it lacks.

use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use crate::{Catalogue, GeoNatureError, SOURCE_NAME, UpsertIndex, catalogue::catalogue};

/// The row of `gn_synthese.t_sources` that is GBIF's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// `id_source`.
    pub id: i32,
    /// `url_source`: GeoNature appends `/` and the key to make a link.
    pub url: Option<String>,
}

/// What [`detect`] has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// What the catalogue holds.
    pub catalogue: Catalogue,
    /// The source GBIF; `None` when it is not declared, or when this role may not see it.
    pub source: Option<Source>,
    /// Rows of `taxref_liens` that lead to GBIF; `None` when this role may not read it.
    pub gbif_links: Option<i64>,
    /// Whether `gn_commons.bib_tables_location` knows the synthèse, which media are attached by; `None` when this role may not
    /// read it.
    pub has_location: Option<bool>,
}

impl Detected {
    /// `id_source` of GBIF.
    ///
    /// # Errors
    /// [`GeoNatureError::NoSource`], which names the command that declares it.
    pub fn source(&self) -> Result<i32, GeoNatureError> {
        self.source.as_ref().map(|source| source.id).ok_or(GeoNatureError::NoSource)
    }

    /// A usable unique index; never one that is invalid, such as a failed `CREATE INDEX CONCURRENTLY` leaves behind.
    pub fn upsert_index(&self) -> Option<UpsertIndex> {
        self.catalogue.upsert_index(self.source.as_ref().map(|source| source.id))
    }

    /// The first thing that keeps a harvest from being written, if any.
    ///
    /// # Errors
    /// One variant for each thing that can be missing, with its cure.
    pub fn ready(&self) -> Result<(), GeoNatureError> {
        let source_id = self.source()?;
        if self.upsert_index().is_none() {
            return Err(GeoNatureError::NoUpsertIndex { source_id });
        }
        if !self.catalogue.has("taxonomie.taxref_liens") {
            return Err(GeoNatureError::TooOld {
                missing: "taxonomie.taxref_liens",
                since: "GeoNature 2.16 (TaxHub 2.2)",
            });
        }
        if self.gbif_links == Some(0) {
            return Err(GeoNatureError::NoGbifLinks);
        }
        Ok(())
    }
}

/// Reads what this GeoNature is. Changes nothing. A role without rights may call it too: what it may not read is unknown then.
///
/// # Errors
/// [`GeoNatureError::NotGeoNature`] when a table is missing, [`GeoNatureError::TooOld`] before 2.10, [`GeoNatureError::Read`] when
/// PostgreSQL cannot be asked.
pub async fn detect(pool: &PgPool) -> Result<Detected, GeoNatureError> {
    let mut connection = pool.acquire().await.map_err(|source| GeoNatureError::Read { doing: "connecting", source })?;
    let catalogue = catalogue(&mut connection).await?;
    let source = unless_refused("the source GBIF", source(&mut connection).await)?.flatten();
    let gbif_links = if catalogue.has("taxonomie.taxref_liens") {
        unless_refused("links from TAXREF to GBIF", gbif_links(&mut connection).await)?
    } else {
        Some(0)
    };
    let has_location = unless_refused("tables that media are attached to", has_location(&mut connection).await)?;
    Ok(Detected { catalogue, source, gbif_links, has_location })
}

/// `None` for what this role may not read (42501).
fn unless_refused<T>(doing: &'static str, answer: Result<T, sqlx::Error>) -> Result<Option<T>, GeoNatureError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some("42501") => Ok(None),
        Err(source) => Err(GeoNatureError::Read { doing, source }),
    }
}

pub(crate) async fn source(connection: &mut PgConnection) -> Result<Option<Source>, sqlx::Error> {
    let row: Option<(i32, Option<String>)> =
        sqlx::query_as("SELECT id_source, url_source FROM gn_synthese.t_sources WHERE name_source = $1")
            .bind(SOURCE_NAME)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(id, url)| Source { id, url }))
}

pub(crate) async fn gbif_links(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM taxonomie.taxref_liens WHERE ct_name = 'GBIF'").fetch_one(connection).await
}

pub(crate) async fn has_location(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM gn_commons.bib_tables_location
                         WHERE schema_name = 'gn_synthese' AND table_name = 'synthese')",
    )
    .fetch_one(connection)
    .await
}
