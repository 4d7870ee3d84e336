//! Writing an observation as a harvest would, and taking everything back.
//!
//! Where the platform has rules of sensitivity, the observation is of a sensitive taxon, at a place and on a day of its rule, so
//! that a level of 0 is a finding. The caller rolls its transaction back; what stays is one number of each sequence.

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use super::attempt::{Answer, attempt};
use crate::SOURCE_NAME;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What.
    pub doing: &'static str,
    /// How it went.
    pub outcome: Answer<()>,
}

/// Code of a level of `SENSIBILITE`; `None` is NULL: no level at all.
pub type Level = Option<String>;

/// What the triggers made of the observation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its sensitivity after the insertion.
    pub inserted: Level,
    /// Its sensitivity after an update that emptied it and named a date; nothing when the update was refused.
    pub updated: Option<Level>,
    /// What GeoNature's own function answers for it; nothing when it was refused.
    pub computed: Option<Level>,
    /// Areas that it was attached to.
    pub areas: i64,
    /// Whether it lies in an enabled area.
    pub in_an_area: bool,
    /// Whether taxon, place and day are those of a rule.
    pub sensitive: bool,
    /// `meta_v_taxref` where the writer names no version.
    pub default_taxref: Option<String>,
}

/// Everything that was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// In the order in which it was tried.
    pub steps: Vec<Step>,
    /// What became of the observation; nothing when it could not be written or read back.
    pub written: Option<Written>,
}

impl Probe {
    /// Keeps the outcome and hands the value on.
    fn took<T>(&mut self, doing: &'static str, answer: Answer<T>) -> Option<T> {
        let (outcome, value) = match answer {
            Ok(value) => (Ok(()), Some(value)),
            Err(refusal) => (Err(refusal), None),
        };
        self.steps.push(Step { doing, outcome });
        value
    }
}

/// What the observation is made of.
#[derive(Default)]
struct Sample {
    cd_nom: Option<i32>,
    /// Local geometry as EWKB in hexadecimal.
    place: Option<String>,
    day: Option<String>,
    sensitive: bool,
}

/// A taxon with a rule, in an area and on a day of it. Taxa whose rules have further criteria are left out: an observation that
/// tells no behaviour may not meet them. One rule is chosen before any geometry is looked at: there may be a hundred thousand.
const SENSITIVE: &str = "
    WITH rule AS MATERIALIZED (
        SELECT r.cd_ref, r.id_sensitivity, r.date_min
          FROM gn_sensitivity.t_sensitivity_rules_cd_ref r
         WHERE r.active AND to_char(r.date_min, 'MMDD') <= to_char(r.date_max, 'MMDD')
           AND r.id_nomenclature_sensitivity <> ref_nomenclatures.get_id_nomenclature('SENSIBILITE', '0')
           AND r.cd_ref IN (SELECT t.cd_nom FROM taxonomie.taxref t)
           AND (r.id_sensitivity NOT IN (SELECT c.id_sensitivity FROM gn_sensitivity.cor_sensitivity_area c
                                          WHERE c.id_sensitivity IS NOT NULL)
                OR r.id_sensitivity IN (SELECT c.id_sensitivity FROM gn_sensitivity.cor_sensitivity_area c
                                          JOIN ref_geo.l_areas l ON l.id_area = c.id_area
                                         WHERE l.enable AND l.geom IS NOT NULL))
           AND r.cd_ref NOT IN (SELECT o.cd_ref FROM gn_sensitivity.cor_sensitivity_criteria c
                                  JOIN gn_sensitivity.t_sensitivity_rules_cd_ref o ON o.id_sensitivity = c.id_sensitivity
                                 WHERE o.cd_ref IS NOT NULL)
         ORDER BY r.cd_ref, r.id_sensitivity LIMIT 1)
    SELECT r.cd_ref,
           (SELECT ST_PointOnSurface(l.geom)::text
              FROM gn_sensitivity.cor_sensitivity_area c JOIN ref_geo.l_areas l ON l.id_area = c.id_area
             WHERE c.id_sensitivity = r.id_sensitivity AND l.enable AND l.geom IS NOT NULL
             ORDER BY l.id_area LIMIT 1),
           (r.date_min + make_interval(years => (date_part('year', now()) - date_part('year', r.date_min))::int))::date::text
      FROM rule r";

/// Tries what a harvest does.
///
/// # Errors
/// A connection that is lost.
pub(super) async fn observation(connection: &mut PgConnection) -> Result<Probe, sqlx::Error> {
    let mut probe = Probe::default();
    let sample = sample(connection, &mut probe).await?;
    let dataset = attempt(connection, async |c| {
        sqlx::query_scalar::<_, Option<i32>>("SELECT min(id_dataset) FROM gn_meta.t_datasets").fetch_one(c).await
    });
    let dataset = probe.took("choosing a dataset", dataset.await?).flatten();

    // Columns with a default are left out, so that every default acts.
    let insert = attempt(connection, async |c| {
        sqlx::query_scalar::<_, i32>(
            "INSERT INTO gn_synthese.synthese
                 (unique_id_sinp, id_source, entity_source_pk_value, id_dataset, cd_nom, nom_cite, date_min, date_max,
                  the_geom_local, the_geom_4326, the_geom_point, last_action)
             SELECT gen_random_uuid(), s.id_source, 'passereau check', $1, $2, 'passereau check', $3::date, $3::date,
                    $4::geometry, ST_Transform($4::geometry, 4326), ST_Transform($4::geometry, 4326), 'I'
               FROM gn_synthese.t_sources s ORDER BY (s.name_source = $5) DESC LIMIT 1
             RETURNING id_synthese",
        )
        .bind(dataset)
        .bind(sample.cd_nom)
        .bind(sample.day.as_deref().unwrap_or("2020-01-01"))
        .bind(&sample.place)
        .bind(SOURCE_NAME)
        .fetch_optional(c)
        .await
    });
    let Some(Some(id)) = probe.took("inserting an observation", insert.await?) else {
        return Ok(probe);
    };
    read_back(connection, &mut probe, id, sample.sensitive).await?;
    let changes = [
        ("changing its place", "the_geom_local = the_geom_local, the_geom_4326 = the_geom_4326"),
        ("changing its day", "date_min = date_min, date_max = date_max, id_nomenclature_sensitivity = NULL"),
        ("changing its name", "nom_cite = 'passereau check, changed', last_action = 'U'"),
    ];
    for (doing, set) in changes {
        let sql = format!("UPDATE gn_synthese.synthese SET {set} WHERE id_synthese = {id}");
        let changed = execute(connection, sql).await?;
        probe.took(doing, changed);
    }
    let level = level(connection, "id_nomenclature_sensitivity", id).await?;
    if let (Ok(level), Some(written)) = (level, &mut probe.written) {
        written.updated = Some(level);
    }
    let areas = format!("DELETE FROM gn_synthese.cor_area_synthese WHERE id_synthese = {id}");
    let detached = execute(connection, areas).await?;
    probe.took("detaching it from areas", detached);
    let deleted = execute(connection, format!("DELETE FROM gn_synthese.synthese WHERE id_synthese = {id}")).await?;
    probe.took("deleting it", deleted);
    Ok(probe)
}

/// The sensitive sample where there is one, filled up with any name and any place.
async fn sample(connection: &mut PgConnection, probe: &mut Probe) -> Result<Sample, sqlx::Error> {
    type Found = (i32, Option<String>, Option<String>);
    let found = attempt(connection, async |c| sqlx::query_as::<_, Found>(SENSITIVE).fetch_optional(c).await).await?;
    let mut sample = match probe.took("choosing a sensitive taxon", found).flatten() {
        Some((cd_nom, place, day)) => Sample { cd_nom: Some(cd_nom), place, day, sensitive: true },
        None => Sample::default(),
    };
    if sample.cd_nom.is_none() {
        let any = attempt(connection, async |c| {
            sqlx::query_scalar("SELECT min(cd_nom) FROM taxonomie.taxref").fetch_one(c).await
        });
        sample.cd_nom = probe.took("choosing a taxon", any.await?).flatten();
    }
    if sample.place.is_none() {
        let any = attempt(connection, async |c| {
            sqlx::query_scalar(
                "SELECT ST_PointOnSurface(geom)::text FROM ref_geo.l_areas WHERE enable AND geom IS NOT NULL LIMIT 1",
            )
            .fetch_optional(c)
            .await
        });
        sample.place = probe.took("choosing a place", any.await?).flatten();
    }
    Ok(sample)
}

async fn read_back(
    connection: &mut PgConnection,
    probe: &mut Probe,
    id: i32,
    sensitive: bool,
) -> Result<(), sqlx::Error> {
    let inserted = level(connection, "id_nomenclature_sensitivity", id).await?;
    let seen = attempt(connection, async |c| {
        sqlx::query_as::<_, (i64, bool, Option<String>)>(
            "SELECT (SELECT count(*) FROM gn_synthese.cor_area_synthese a WHERE a.id_synthese = s.id_synthese),
                    EXISTS (SELECT FROM ref_geo.l_areas l WHERE l.enable AND ST_Intersects(l.geom, s.the_geom_local)),
                    s.meta_v_taxref
               FROM gn_synthese.synthese s WHERE s.id_synthese = $1",
        )
        .bind(id)
        .fetch_one(c)
        .await
    });
    let seen = seen.await?;
    let computed = level(
        connection,
        "gn_sensitivity.get_id_nomenclature_sensitivity(s.date_min::date, taxonomie.find_cdref(s.cd_nom), s.the_geom_local,
             jsonb_build_object('STATUT_BIO', s.id_nomenclature_bio_status, 'OCC_COMPORTEMENT', s.id_nomenclature_behaviour))",
        id,
    );
    let computed = computed.await?.ok();
    let seen = probe.took("reading its areas", seen);
    if let (Some(inserted), Some((areas, in_an_area, default_taxref))) = (probe.took("reading it", inserted), seen) {
        let updated = None;
        probe.written = Some(Written { inserted, updated, computed, areas, in_an_area, sensitive, default_taxref });
    }
    Ok(())
}

/// The code of a level that an expression over the observation gives.
async fn level(connection: &mut PgConnection, of: &str, id: i32) -> Result<Answer<Level>, sqlx::Error> {
    let sql = format!(
        "SELECT ref_nomenclatures.get_cd_nomenclature({of}) FROM gn_synthese.synthese s WHERE id_synthese = {id}"
    );
    attempt(connection, async |c| sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(c).await).await
}

async fn execute(connection: &mut PgConnection, sql: String) -> Result<Answer<()>, sqlx::Error> {
    attempt(connection, async |c| sqlx::raw_sql(AssertSqlSafe(sql)).execute(c).await.map(|_| ())).await
}

/// Tries what a subscription with `metadata = create` does.
///
/// # Errors
/// A connection that is lost.
pub(super) async fn metadata(connection: &mut PgConnection) -> Result<Probe, sqlx::Error> {
    let mut probe = Probe::default();
    let framework = attempt(connection, async |c| {
        sqlx::query_scalar::<_, Option<i32>>(
            "SELECT min(id_acquisition_framework) FROM gn_meta.t_acquisition_frameworks",
        )
        .fetch_one(c)
        .await
    });
    let framework = probe.took("choosing an acquisition framework", framework.await?).flatten();
    let organism = attempt(connection, async |c| {
        sqlx::query_scalar::<_, i32>(
            "INSERT INTO utilisateurs.bib_organismes (nom_organisme) VALUES ('passereau check ' || gen_random_uuid())
             RETURNING id_organisme",
        )
        .fetch_one(c)
        .await
    });
    let organism = probe.took("making an organisation", organism.await?);
    let dataset = attempt(connection, async |c| {
        sqlx::query_scalar::<_, i32>(
            "INSERT INTO gn_meta.t_datasets
                 (unique_dataset_id, id_acquisition_framework, dataset_name, dataset_shortname, dataset_desc, marine_domain,
                  terrestrial_domain)
             VALUES (gen_random_uuid(), $1, 'passereau check', 'passereau check', 'passereau check', false, true)
             RETURNING id_dataset",
        )
        .bind(framework)
        .fetch_one(c)
        .await
    });
    // Without any framework there is nothing to hang a dataset on: another finding says so.
    if framework.is_none() {
        return Ok(probe);
    }
    if let (Some(dataset), Some(organism)) = (probe.took("making a dataset", dataset.await?), organism) {
        let actor = execute(
            connection,
            format!(
                "INSERT INTO gn_meta.cor_dataset_actor (id_dataset, id_organism, id_nomenclature_actor_role)
                 VALUES ({dataset}, {organism}, ref_nomenclatures.get_id_nomenclature('ROLE_ACTEUR', '1'))"
            ),
        );
        let actor = actor.await?;
        probe.took("naming its actor", actor);
        let gone = execute(connection, format!("DELETE FROM gn_meta.t_datasets WHERE id_dataset = {dataset}")).await?;
        probe.took("taking the dataset back", gone);
    }
    Ok(probe)
}

/// Tries what a subscription with `media = true` does. A media without a licence is a web page (3), so every platform needs it.
///
/// # Errors
/// A connection that is lost.
pub(super) async fn media(connection: &mut PgConnection) -> Result<Probe, sqlx::Error> {
    let mut probe = Probe::default();
    let insert = attempt(connection, async |c| {
        sqlx::query_scalar::<_, i32>(
            "INSERT INTO gn_commons.t_medias (id_nomenclature_media_type, id_table_location, uuid_attached_row, media_url)
             SELECT passereau.nomenclature('TYPE_MEDIA', '3'), l.id_table_location, gen_random_uuid(),
                    'https://www.gbif.org'
               FROM gn_commons.bib_tables_location l
              ORDER BY (l.schema_name, l.table_name) = ('gn_synthese', 'synthese') DESC LIMIT 1
             RETURNING id_media",
        )
        .fetch_optional(c)
        .await
    });
    if let Some(Some(id)) = probe.took("inserting a media", insert.await?) {
        let changed =
            execute(connection, format!("UPDATE gn_commons.t_medias SET title_fr = '' WHERE id_media = {id}"));
        let changed = changed.await?;
        probe.took("changing it", changed);
        let deleted = execute(connection, format!("DELETE FROM gn_commons.t_medias WHERE id_media = {id}")).await?;
        probe.took("deleting it", deleted);
    }
    Ok(probe)
}
