//! Where a flow is: areas of `ref_geo`, or the surfaces of a file, as one geometry in the SRID of the synthèse.
//!
//! A file is judged before anything is computed with it: its size, the number of its points, whether its coordinates can be what it says.
//! PostGIS makes it valid, joins its surfaces and transforms them; so no other library decides what a geometry is.

pub(crate) mod file;
mod geojson;
mod geopackage;
mod known_areas;
mod shapefile;
mod wkt;

use std::path::Path;

use sqlx::{PgConnection, PgPool};

use crate::{Agreement, FlowError, problem::Found};
use file::{Crs, Encoding, Shapes};

/// More points are not the border of a territory, or one that should be simplified first.
const MOST_POINTS: i64 = 1_000_000;

/// A geometry as PostGIS' EWKB.
pub(crate) type Ewkb = Vec<u8>;

/// The territory of an agreement, none for everywhere; or what is wrong with it. `folder` is where its file is.
pub(crate) async fn resolve(
    pool: &PgPool,
    agreement: &Agreement,
    folder: &Path,
) -> Result<Result<Option<Ewkb>, Vec<Found>>, FlowError> {
    let territory = &agreement.territory;
    let doing = || FlowError::database(format!("resolving the territory of flow {}", agreement.name));
    if let Some(name) = &territory.file {
        let path = folder.join(name);
        // Files of megabytes are read and inflated: not on a thread that serves others.
        let read = tokio::task::spawn_blocking(move || file::read(&path)).await;
        let read = read.unwrap_or_else(|panicked| Err(Found::new("", format!("could not be read: {panicked}"), "")));
        return match read {
            Err(found) => Ok(Err(vec![Found { key: "territory.file".to_owned(), ..found }])),
            Ok(shapes) => surfaces(pool, &shapes).await.map(|made| made.map(Some).map_err(|found| vec![found])),
        };
    }
    if territory.areas.is_empty() {
        return Ok(Ok(None));
    }
    let mut connection = pool.acquire().await.map_err(doing())?;
    known_areas::resolve(&mut connection, &territory.areas).await.map(|made| made.map(Some)).map_err(doing())
}

/// What is wrong with a file, unless it is the database that failed.
async fn surfaces(pool: &PgPool, shapes: &Shapes) -> Result<Result<Ewkb, Found>, FlowError> {
    let doing = || FlowError::database("reading the territory's file with PostGIS");
    let mut tx = pool.begin().await.map_err(doing())?;
    sqlx::query("SELECT set_config('transaction_read_only', 'on', true), set_config('statement_timeout', '60s', true)")
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    let wrong = |problem: String, instead: &str| Found::new("territory.file", problem, instead);
    let made = match judge(&mut tx, shapes).await {
        Ok(Some(found)) => Ok(Err(found)),
        Ok(None) => union(&mut tx, shapes).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => Ok(made),
        // A text that PostGIS does not understand; the transaction has ended with it.
        Err(sqlx::Error::Database(refusal)) => {
            let problem = format!("is not understood by PostGIS: {}", refusal.message());
            Ok(Err(wrong(problem, "write the file anew from a GIS, in WGS 84 (EPSG:4326)")))
        }
        Err(error) => Err(doing()(error)),
    }
}

/// SQL of a geometry that `part` holds.
fn geometry(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Wkb => "ST_GeomFromWKB(part)",
        Encoding::Wkt => "ST_GeomFromText(convert_from(part, 'UTF8'))",
        Encoding::GeoJson => "ST_GeomFromGeoJSON(convert_from(part, 'UTF8'))",
    }
}

/// What is wrong with the geometries as they stand.
async fn judge(connection: &mut PgConnection, shapes: &Shapes) -> Result<Option<Found>, sqlx::Error> {
    let sql = format!(
        "SELECT COALESCE(sum(ST_NPoints(g)), 0)::bigint, count(*) FILTER (WHERE ST_Dimension(g) = 2),
                COALESCE(bool_and(ST_XMin(g) >= -180 AND ST_XMax(g) <= 180 AND ST_YMin(g) >= -90 AND ST_YMax(g) <= 90), true)
         FROM (SELECT {} AS g FROM unnest($1::bytea[]) AS part) given",
        geometry(shapes.encoding)
    );
    let (points, surfaces, are_degrees): (i64, i64, bool) =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&shapes.parts).fetch_one(connection).await?;
    let wrong = |problem: String, instead: &str| Some(Found::new("territory.file", problem, instead));
    Ok(if points > MOST_POINTS {
        wrong(format!("has {points} points, more than {MOST_POINTS}"), "simplify its borders first")
    } else if surfaces == 0 {
        wrong("holds no surface".to_owned(), "give polygons: the territory is what they cover")
    } else if shapes.crs == Crs::WGS_84 && !are_degrees {
        wrong(
            "has coordinates that are no degrees, and names no other system of coordinates".to_owned(),
            "write the file in WGS 84 (EPSG:4326), or with its system (.prj, GeoPackage, SRID=2154;POLYGON…)",
        )
    } else {
        None
    })
}

async fn union(connection: &mut PgConnection, shapes: &Shapes) -> Result<Result<Ewkb, Found>, sqlx::Error> {
    let (from, transformed) = match &shapes.crs {
        Crs::Srid(srid) => (srid.to_string(), "ST_Transform(ST_SetSRID(g, $2::integer), srid)"),
        Crs::Definition(text) => (text.clone(), "ST_Transform(ST_SetSRID(g, 0), $2::text, srid)"),
    };
    let sql = format!(
        "WITH local AS MATERIALIZED (SELECT Find_SRID('gn_synthese', 'synthese', 'the_geom_local') AS srid),
         given AS (SELECT ST_MakeValid(ST_Force2D({geometry})) AS g FROM unnest($1::bytea[]) AS part),
         there AS (SELECT ST_MakeValid({transformed}) AS g FROM given, local),
         made AS MATERIALIZED (SELECT ST_Multi(ST_UnaryUnion(ST_Collect(ST_CollectionExtract(g, 3)))) AS g FROM there)
         SELECT ST_AsEWKB(ST_Normalize(g)),
                NOT ST_IsEmpty(g) AND ST_XMax(g) < 'Infinity' AND ST_YMax(g) < 'Infinity'
                AND EXISTS (SELECT FROM ref_geo.l_areas a WHERE a.geom && g)
         FROM made",
        geometry = geometry(shapes.encoding),
    );
    let (made, is_here): (Option<Vec<u8>>, Option<bool>) =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&shapes.parts).bind(from).fetch_one(connection).await?;
    match (made, is_here) {
        (Some(made), Some(true)) => Ok(Ok(made)),
        _ => {
            let problem = "lies outside every area that the platform knows";
            let instead = "see whether its system of coordinates is right and longitude comes before latitude";
            Ok(Err(Found::new("territory.file", problem, instead)))
        }
    }
}
