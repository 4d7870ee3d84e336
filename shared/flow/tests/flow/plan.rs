//! What a flow would deliver.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use passereau_flow::{Limits, Withheld, apply, find, plan, plan_applied};
use passereau_testing::{TestDatabase, seed_sandbox};

use crate::support::{and, database, document, now, with};

/// Five records in Isère: two that are not sensitive, one of level 2, one of level 4, one under a licence that is not allowed; and one in
/// Savoie.
async fn records() -> TestDatabase {
    let database = database().await;
    seed_sandbox(&database.pool).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO gn_synthese.t_sources (name_source) VALUES ('Atlas');
         INSERT INTO gn_synthese.synthese (unique_id_sinp, id_source, id_dataset, cd_nom, nom_cite, date_min, date_max, the_geom_local, the_geom_4326,
                                           the_geom_point, additional_data)
         SELECT gen_random_uuid(), (SELECT id_source FROM gn_synthese.t_sources WHERE name_source = 'Atlas'), (SELECT min(id_dataset) FROM gn_meta.t_datasets),
                (SELECT min(cd_nom) FROM taxonomie.taxref), 'x', '2026-01-01', '2026-01-01', g, ST_Transform(g, 4326), ST_Transform(g, 4326),
                jsonb_build_object('license', r.licence)
         FROM (VALUES (901500, 'CC_BY_4_0'), (902500, 'CC_BY_4_0'), (903500, 'CC_BY_4_0'), (904500, 'CC_BY_4_0'), (905500, 'CC_BY_NC_4_0'), (985500, 'CC_BY_4_0')) r (x, licence),
              LATERAL (SELECT ST_SetSRID(ST_MakePoint(r.x, 6501500), 2154) AS g) place;
         ALTER TABLE gn_synthese.synthese DISABLE TRIGGER USER;
         UPDATE gn_synthese.synthese SET id_nomenclature_diffusion_level = NULL, id_nomenclature_sensitivity = ref_nomenclatures.get_id_nomenclature('SENSIBILITE',
             CASE ST_X(the_geom_local)::integer WHEN 903500 THEN '2' WHEN 904500 THEN '4' ELSE '0' END);
         ALTER TABLE gn_synthese.synthese ENABLE TRIGGER USER;",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    database
}

const ISERE: (&str, &str) = ("\"Isère\"", "\"Isère\", areas = [{ type = \"DEP\", codes = [\"38\"] }]");

#[tokio::test]
async fn a_plan_counts_by_level_what_would_leave_and_writes_nothing() {
    let database = records().await;
    let everywhere = document(&and("fields = { dialect = \"occtax\" }"));
    let planned = plan(&database.pool, &everywhere, Limits::default(), Withheld::Told).await.unwrap();
    assert_eq!((planned.rows, planned.exact, planned.blurred, planned.withheld), (4, 3, 1, 2), "{:?}", planned.tally);
    let reasons: Vec<_> = planned.tally.iter().filter_map(|row| row.reason.as_deref()).collect();
    assert!(reasons.contains(&"no_diffusion") && reasons.contains(&"licence_not_allowed"), "{reasons:?}");
    assert!(planned.tally.iter().any(|row| row.area_type.as_deref() == Some("M10") && row.records == 1));
    assert!(planned.columns.contains(&"cdNom") && planned.columns.contains(&"sensiNiveau"), "{:?}", planned.columns);
    assert!(planned.files[0].size_bytes > 4 * 100, "{:?}", planned.files);

    let here = document(&with(&[ISERE]));
    let planned = plan(&database.pool, &here, Limits::default(), Withheld::Told).await.unwrap();
    assert_eq!((planned.exact, planned.blurred), (2, 1), "{:?}", planned.tally);
    let flows: i64 = sqlx::query_scalar("SELECT count(*) FROM passereau.flow").fetch_one(&database.pool).await.unwrap();
    assert_eq!(flows, 0, "a plan leaves nothing");
}

/// The plan that a partner may see says of a territory only what its deliveries say, and that this is not all; the platform can ask for the rest.
#[tokio::test]
async fn what_stays_in_a_territory_is_counted_for_the_platform_alone() {
    let database = records().await;
    let here = document(&with(&[ISERE]));
    let told = plan(&database.pool, &here, Limits::default(), Withheld::Told).await.unwrap();
    assert_eq!((told.withheld, told.counts_all_withheld), (1, false), "{:?}", told.tally);
    let all = plan(&database.pool, &here, Limits::default(), Withheld::All).await.unwrap();
    assert_eq!((all.exact, all.blurred, all.withheld, all.counts_all_withheld), (2, 1, 2, true), "{:?}", all.tally);
    assert!(all.tally.iter().any(|row| row.reason.as_deref() == Some("no_diffusion") && row.records == 1));
    // A commune holds no mesh of ten kilometres: whoever agrees on it should know what that costs.
    let commune = ("\"Isère\"", "\"Isère\", areas = [{ type = \"M5\", codes = [\"5kmL93E0900N6500\"] }]");
    let small = plan(&database.pool, &document(&with(&[commune])), Limits::default(), Withheld::All).await.unwrap();
    assert_eq!((small.exact, small.blurred, small.withheld), (2, 0, 2), "{:?}", small.tally);
    assert!(small.tally.iter().any(|row| row.reason.as_deref() == Some("area_outside") && row.records == 1));
    let everywhere = plan(&database.pool, &document(&and("")), Limits::default(), Withheld::All).await.unwrap();
    assert_eq!((everywhere.withheld, everywhere.counts_all_withheld), (2, true), "{:?}", everywhere.tally);
}

#[tokio::test]
async fn a_flow_that_is_in_force_is_planned_with_its_own_territory() {
    let database = records().await;
    apply(&database.pool, &document(&with(&[ISERE])), "Anne", now()).await.unwrap();
    let flow = find(&database.pool, "atlas").await.unwrap().unwrap();
    let planned = plan_applied(&database.pool, &flow, Limits::default(), Withheld::Told).await.unwrap();
    assert_eq!((planned.exact, planned.blurred), (2, 1), "{:?}", planned.tally);
}

#[tokio::test]
async fn a_plan_that_takes_too_long_is_given_up() {
    let database = records().await;
    // Nobody reads the synthèse while this lasts.
    let mut tx = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE gn_synthese.synthese").execute(&mut *tx).await.unwrap();
    let limits = Limits { statement_timeout: Duration::from_millis(200) };
    let error = plan(&database.pool, &document(&with(&[])), limits, Withheld::Told).await.unwrap_err().to_string();
    assert!(error.contains("planning flow atlas") && error.contains("statement timeout"), "{error}");
}
