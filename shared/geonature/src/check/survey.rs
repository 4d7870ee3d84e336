//! Reading the facts, as the role that asks.

use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{
    adoption,
    attempt::{Answer, attempt},
    ours::{Ours, ours},
    probe::{self, Probe},
};
use crate::{
    Catalogue, Feature, GeoNatureError, Right, Source,
    catalogue::{SCHEMAS, catalogue},
    detect, rights,
};

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Whether PostgreSQL refuses it nothing: its rights tell nothing of the workers'.
    pub superuser: bool,
    /// Whether it finds PostGIS without naming its schema. Triggers of GeoNature name it without.
    pub finds_postgis: bool,
    /// Functions in GeoNature's schemas that it may not call. Everybody may, unless somebody took the right away.
    pub forbidden_functions: Vec<String>,
}

/// A right and whether the role has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldRight {
    /// The right.
    pub right: Right,
    /// Whether the role has it, in its own name or by a role it belongs to.
    pub held: bool,
}

/// Observations of the source GBIF that GeoNature stores and does not show, by the column that is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Invisible {
    /// `cd_nom`.
    pub taxon: i64,
    /// `id_dataset`.
    pub dataset: i64,
    /// `id_nomenclature_sensitivity`: hidden from users who see blurred data.
    pub sensitivity: i64,
}

/// The facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Who asks.
    pub role: Role,
    /// What the catalogue holds.
    pub catalogue: Catalogue,
    /// Local system of coordinates (EPSG code) as `Find_SRID` gives it.
    pub srid: Answer<i32>,
    /// The source GBIF.
    pub source: Answer<Option<Source>>,
    /// Rows of `taxref_liens` that lead to GBIF; 0 where the table is not there.
    pub links: Answer<i64>,
    /// Loaded version of TAXREF.
    pub taxref: Answer<Option<i32>>,
    /// The rights that the role needs for what its subscriptions do.
    pub rights: Vec<HeldRight>,
    /// An observation written and taken back.
    pub probe: Probe,
    /// Observations that nobody sees.
    pub invisible: Answer<Invisible>,
    /// What our own schemas hold; the reason when they cannot be read.
    pub ours: Result<Ours, String>,
}

impl Survey {
    /// Whether anything was refused for want of a right.
    pub fn lacks_a_right(&self) -> bool {
        let steps = [Some(&self.probe), self.ours.as_ref().ok().and_then(|ours| ours.metadata_probe.as_ref())];
        let media = self.ours.as_ref().ok().and_then(|ours| ours.media_probe.as_ref());
        let probes = steps.into_iter().chain([media]).flatten();
        let refused = probes.flat_map(|probe| &probe.steps).filter_map(|step| step.outcome.as_ref().err());
        let read = [
            self.srid.as_ref().err(),
            self.source.as_ref().err(),
            self.links.as_ref().err(),
            self.taxref.as_ref().err(),
            self.invisible.as_ref().err(),
        ];
        let ours = self.ours.as_ref().ok().into_iter().flat_map(Ours::refusals);
        refused.chain(read.into_iter().flatten()).chain(ours).any(super::Refusal::is_a_right)
    }
}

/// Surveys the database as the role of the pool. Reads, writes one observation, and rolls everything back.
///
/// # Errors
/// [`GeoNatureError::NotGeoNature`] and [`GeoNatureError::TooOld`] where there is nothing to survey, [`GeoNatureError::Read`] when the
/// connection is lost.
pub async fn survey(pool: &PgPool) -> Result<Survey, GeoNatureError> {
    let lost = |source| GeoNatureError::Read { doing: "surveying it", source };
    let migrated = passereau_database::check_migrated(pool).await.map_err(|error| error.to_string());
    let mut tx = pool.begin().await.map_err(lost)?;
    let catalogue = catalogue(&mut tx).await?;
    let facts = facts(&mut tx, catalogue, migrated).await.map_err(lost)?;
    tx.rollback().await.map_err(lost)?;
    Ok(facts)
}

async fn facts(
    connection: &mut PgConnection,
    catalogue: Catalogue,
    migrated: Result<(), String>,
) -> Result<Survey, sqlx::Error> {
    // Somebody's long lock is a refusal, not a reason to wait for ever.
    sqlx::raw_sql("SET LOCAL lock_timeout = '10s'").execute(&mut *connection).await?;
    let role = role(connection).await?;
    let srid = attempt(connection, async |c| {
        sqlx::query_scalar("SELECT Find_SRID('gn_synthese', 'synthese', 'the_geom_local')").fetch_one(c).await
    });
    let srid = srid.await?;
    let source = attempt(connection, async |c| detect::source(c).await).await?;
    let links = if catalogue.has("taxonomie.taxref_liens") {
        attempt(connection, async |c| detect::gbif_links(c).await).await?
    } else {
        Ok(0)
    };
    let taxref = if catalogue.has("taxonomie.t_meta_taxref") {
        let version = attempt(connection, async |c| {
            sqlx::query_scalar(
                "SELECT max(version) FROM taxonomie.t_meta_taxref WHERE lower(referencial_name) = 'taxref'",
            )
            .fetch_one(c)
            .await
        });
        version.await?
    } else {
        Ok(None)
    };
    let source_id = source.as_ref().ok().and_then(Option::as_ref).map(|source| source.id);
    let invisible = attempt(connection, async |c| invisible(c, source_id).await).await?;
    let probe = probe::observation(connection).await?;
    let ours = match migrated {
        Ok(()) => Ok(ours(connection).await?),
        Err(reason) => Err(reason),
    };
    let mut wanted = rights(&catalogue, Feature::Harvest);
    if let Ok(ours) = &ours {
        if !ours.creating.is_empty() {
            wanted.extend(rights(&catalogue, Feature::Metadata));
        }
        if !ours.with_media.is_empty() {
            wanted.extend(rights(&catalogue, Feature::Media));
        }
        if !ours.removing.is_empty() {
            wanted.extend(rights(&catalogue, Feature::Removal));
        }
        if ours.adoption.as_ref().is_ok_and(adoption::Adoption::moves) {
            wanted.extend(rights(&catalogue, Feature::Adoption));
        }
    }
    let rights = held(connection, &role.name, wanted).await?;
    Ok(Survey { role, catalogue, srid, source, links, taxref, rights, probe, invisible, ours })
}

async fn role(connection: &mut PgConnection) -> Result<Role, sqlx::Error> {
    let (name, superuser, finds_postgis, forbidden_functions): (String, bool, bool, Vec<String>) = sqlx::query_as(
        "SELECT current_user::text, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
                EXISTS (SELECT FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                         WHERE e.extname = 'postgis' AND n.nspname = ANY (current_schemas(false))),
                ARRAY(SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                       WHERE n.nspname = ANY ($1) AND NOT has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1)",
    )
    .bind(SCHEMAS.iter().map(|schema| (*schema).to_owned()).chain(["public".to_owned()]).collect::<Vec<_>>())
    .fetch_one(connection)
    .await?;
    Ok(Role { name, superuser, finds_postgis, forbidden_functions })
}

async fn invisible(connection: &mut PgConnection, source_id: Option<i32>) -> Result<Invisible, sqlx::Error> {
    let (taxon, dataset, sensitivity) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE cd_nom IS NULL), count(*) FILTER (WHERE id_dataset IS NULL),
                count(*) FILTER (WHERE id_nomenclature_sensitivity IS NULL)
           FROM gn_synthese.synthese
          WHERE id_source = $1 AND (cd_nom IS NULL OR id_dataset IS NULL OR id_nomenclature_sensitivity IS NULL)",
    )
    .bind(source_id)
    .fetch_one(connection)
    .await?;
    Ok(Invisible { taxon, dataset, sensitivity })
}

/// Looks each right of a role up by the object's number: by its name, PostgreSQL would refuse who may not use the schema.
pub(super) async fn held(
    connection: &mut PgConnection,
    role: &str,
    rights: Vec<Right>,
) -> Result<Vec<HeldRight>, sqlx::Error> {
    let privilege =
        |right: &Right| right.privilege.split_once(" (").map_or(right.privilege, |(kind, _)| kind).to_owned();
    let column =
        |right: &Right| right.privilege.split_once(" (").map(|(_, column)| column.trim_end_matches(')').to_owned());
    let held: Vec<bool> = sqlx::query_scalar(
        "SELECT COALESCE(CASE kind
                    WHEN 'DATABASE' THEN has_database_privilege($5::name, current_database(), privilege)
                    WHEN 'SCHEMA' THEN (SELECT has_schema_privilege($5::name, n.oid, privilege) FROM pg_namespace n WHERE n.nspname = name)
                    ELSE (SELECT CASE WHEN kind = 'SEQUENCE' THEN has_sequence_privilege($5::name, c.oid, privilege)
                                      WHEN col IS NOT NULL THEN has_column_privilege($5::name, c.oid, col, privilege)
                                      ELSE has_table_privilege($5::name, c.oid, privilege) END
                            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                           WHERE quote_ident(n.nspname) || '.' || quote_ident(c.relname) = name)
                END, false)
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS t (kind, name, privilege, col, n)
          ORDER BY n",
    )
    .bind(rights.iter().map(|right| right.kind).collect::<Vec<_>>())
    .bind(rights.iter().map(|right| right.name.clone()).collect::<Vec<_>>())
    .bind(rights.iter().map(privilege).collect::<Vec<_>>())
    .bind(rights.iter().map(column).collect::<Vec<_>>())
    .bind(role)
    .fetch_all(connection)
    .await?;
    Ok(rights.into_iter().zip(held).map(|(right, held)| HeldRight { right, held }).collect())
}
