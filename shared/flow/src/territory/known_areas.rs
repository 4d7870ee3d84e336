//! Areas of `ref_geo` by their codes.

use sqlx::PgConnection;

use super::Ewkb;
use crate::{Areas, problem::Found};

/// The union of the areas, or each code that is not known.
pub(super) async fn resolve(
    connection: &mut PgConnection,
    areas: &[Areas],
) -> Result<Result<Ewkb, Vec<Found>>, sqlx::Error> {
    let entries = || {
        areas
            .iter()
            .enumerate()
            .flat_map(|(index, areas)| areas.codes.iter().enumerate().map(move |(at, code)| (index, at, areas, code)))
    };
    let keys: Vec<String> = entries().map(|(index, at, ..)| format!("territory.areas[{index}].codes[{at}]")).collect();
    let types: Vec<&str> = entries().map(|(_, _, areas, _)| areas.area_type.as_str()).collect();
    let codes: Vec<&str> = entries().map(|(.., code)| code.as_str()).collect();
    let unknown: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
        "SELECT wanted.key, wanted.type, wanted.code,
                (SELECT string_agg(example.area_code, ', ') FROM (SELECT a.area_code FROM ref_geo.l_areas a WHERE a.id_type = ty.id_type
                                                               ORDER BY a.area_code LIMIT 3) example)
         FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY wanted (key, type, code, place)
         LEFT JOIN ref_geo.bib_areas_types ty ON ty.type_code = wanted.type
         WHERE NOT EXISTS (SELECT FROM ref_geo.l_areas a WHERE a.id_type = ty.id_type AND a.area_code = wanted.code AND a.geom IS NOT NULL)
         ORDER BY wanted.place",
    )
    .bind(&keys)
    .bind(&types)
    .bind(&codes)
    .fetch_all(&mut *connection)
    .await?;
    if !unknown.is_empty() {
        let found = unknown.into_iter().map(|(key, area_type, code, like)| {
            let instead = match like {
                Some(like) => format!("write codes as ref_geo.l_areas has them; those of {area_type} look like {like}"),
                None => format!("write a type that has areas: `SELECT type_code FROM ref_geo.bib_areas_types` shows them; {area_type} has none"),
            };
            Found::new(key, format!("there is no {area_type} {code} in ref_geo"), instead)
        });
        return Ok(Err(found.collect()));
    }
    let union = sqlx::query_scalar(
        "SELECT ST_AsEWKB(ST_Normalize(ST_Multi(ST_UnaryUnion(ST_Collect(ST_MakeValid(a.geom) ORDER BY a.id_area)))))
         FROM ref_geo.l_areas a JOIN ref_geo.bib_areas_types ty ON ty.id_type = a.id_type
         WHERE (ty.type_code, a.area_code) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
    )
    .bind(&types)
    .bind(&codes)
    .fetch_one(connection)
    .await?;
    Ok(Ok(union))
}
