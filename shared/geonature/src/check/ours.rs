//! What our own schemas hold: settings, vocabulary, what subscriptions want.

use serde::Serialize;
use sqlx::{PgConnection, types::Uuid};

use super::{
    Refusal,
    adoption::{self, Adoption},
    attempt::{Answer, attempt},
    probe::{self, Probe},
};
use crate::detect;

/// A code that conversions lead to and that this instance does not offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Unresolved {
    /// Mnemonic of the type, such as `STADE_VIE`.
    pub nomenclature_type: String,
    /// The code.
    pub nomenclature_code: String,
    /// `missing` or `inactive`.
    pub problem: String,
    /// Rules of `pinv_gbif.cor_vocabulary` that lead to it; 0 where a conversion names it itself.
    pub rules: i64,
}

/// A type of area that makes the territory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TerritoryType {
    /// Its code, as the setting names it.
    pub code: String,
    /// Enabled areas of this type.
    pub areas: i64,
}

/// The acquisition framework that receives datasets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Framework {
    /// The setting.
    pub setting: Option<String>,
    /// Whether GeoNature knows it.
    pub known: Answer<bool>,
}

/// What our schemas hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ours {
    /// Setting `sensitivity_when_null`.
    pub sensitivity_when_null: Option<String>,
    /// The function that it names, where it names one: the refusal says what is wrong with it.
    pub sensitivity_function: Answer<()>,
    /// Whether the other settings are what they must be: a day, lists of UUIDs.
    pub settings: Answer<()>,
    /// Codes of our vocabulary and of the conversion that do not resolve.
    pub vocabulary: Answer<Vec<Unresolved>>,
    /// Setting `territory_area_types`, resolved.
    pub territory: Answer<Vec<TerritoryType>>,
    /// Subscriptions that make datasets.
    pub creating: Vec<String>,
    /// Subscriptions that write media.
    pub with_media: Vec<String>,
    /// Subscriptions that delete the rows of vanished records.
    pub removing: Vec<String>,
    /// What was adopted of a platform that ran the procedure by hand.
    pub adoption: Answer<Adoption>,
    /// The acquisition framework, where a subscription makes datasets.
    pub framework: Option<Framework>,
    /// A dataset written and taken back, where a subscription makes datasets.
    pub metadata_probe: Option<Probe>,
    /// Whether media can be attached to observations, where a subscription writes media.
    pub has_location: Option<Answer<bool>>,
    /// A media written and taken back, where a subscription writes media.
    pub media_probe: Option<Probe>,
}

impl Ours {
    pub(super) fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        [
            self.sensitivity_function.as_ref().err(),
            self.settings.as_ref().err(),
            self.vocabulary.as_ref().err(),
            self.territory.as_ref().err(),
            self.adoption.as_ref().err(),
            self.framework.as_ref().and_then(|framework| framework.known.as_ref().err()),
            self.has_location.as_ref().and_then(|known| known.as_ref().err()),
        ]
        .into_iter()
        .flatten()
    }
}

/// The codes of the vocabulary, and those that migrations/functions name themselves: what a point and a cell are, a blurred place,
/// a proof, counted individuals, an absence.
const UNRESOLVED: &str = "
    SELECT nomenclature_type, nomenclature_code, problem, rules FROM passereau.unresolved_vocabulary()
    UNION
    SELECT type, code, CASE WHEN ref_nomenclatures.get_id_nomenclature(type, code) IS NULL THEN 'missing' ELSE 'inactive' END, 0
      FROM (VALUES ('NAT_OBJ_GEO', 'St'), ('NAT_OBJ_GEO', 'In'), ('DEE_FLOU', 'OUI'), ('PREUVE_EXIST', '1'),
                   ('OBJ_DENBR', 'IND'), ('TYP_DENBR', 'Co'), ('STATUT_OBS', 'No')) AS named (type, code)
     WHERE passereau.nomenclature(type, code) IS NULL
     ORDER BY 1, 2, 4";

/// Refuses, in words, what a person has mistyped.
const SETTINGS: &str = "SELECT passereau.setting_date('oldest_date'), passereau.setting_uuids('own_datasets'),
                               passereau.setting_uuids('refused_publishers'),
                               passereau.check_hours(passereau.setting('upsert_hours'), passereau.upsert_time_zone())";

/// Reads what our schemas hold, and tries what subscriptions want.
///
/// # Errors
/// A connection that is lost.
pub(super) async fn ours(connection: &mut PgConnection) -> Result<Ours, sqlx::Error> {
    let choice = setting(connection, "sensitivity_when_null").await?;
    let sensitivity_function = match choice.as_deref() {
        None | Some("stop") => Ok(()),
        Some(choice) => {
            attempt(connection, async |c| {
                sqlx::query("SELECT passereau.sensitivity_function($1)").bind(choice).execute(c).await.map(|_| ())
            })
            .await?
        }
    };
    let settings = attempt(connection, async |c| sqlx::query(SETTINGS).execute(c).await.map(|_| ())).await?;
    let vocabulary = attempt(connection, async |c| sqlx::query_as(UNRESOLVED).fetch_all(c).await);
    let vocabulary = vocabulary.await?;
    let territory = attempt(connection, async |c| territory(c).await).await?;
    let creating = subscriptions(connection, "settings ->> 'metadata' = 'create'").await?;
    let with_media = subscriptions(connection, "(settings ->> 'media')::boolean").await?;
    let removing = subscriptions(connection, "settings ->> 'vanished' = 'delete'").await?;
    let adoption = attempt(connection, async |c| adoption::adoption(c).await).await?;
    let (framework, metadata_probe) = if creating.is_empty() {
        (None, None)
    } else {
        (Some(framework(connection).await?), Some(probe::metadata(connection).await?))
    };
    let (has_location, media_probe) = if with_media.is_empty() {
        (None, None)
    } else {
        let known = attempt(connection, async |c| detect::has_location(c).await).await?;
        (Some(known), Some(probe::media(connection).await?))
    };
    Ok(Ours {
        sensitivity_when_null: choice,
        sensitivity_function,
        settings,
        vocabulary,
        territory,
        creating,
        with_media,
        removing,
        adoption,
        framework,
        metadata_probe,
        has_location,
        media_probe,
    })
}

/// A setting of the platform. Our schemas were read a moment ago: a refusal is no case of its own.
async fn setting(connection: &mut PgConnection, name: &str) -> Result<Option<String>, sqlx::Error> {
    let value =
        attempt(connection, async |c| sqlx::query_scalar("SELECT passereau.setting($1)").bind(name).fetch_one(c).await);
    Ok(value.await?.unwrap_or_default())
}

async fn subscriptions(connection: &mut PgConnection, which: &'static str) -> Result<Vec<String>, sqlx::Error> {
    let sql = format!("SELECT name FROM passereau.subscription WHERE {which} ORDER BY name");
    let named = attempt(connection, async |c| sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(c).await).await?;
    Ok(named.unwrap_or_default())
}

async fn territory(connection: &mut PgConnection) -> Result<Vec<TerritoryType>, sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT code, (SELECT count(*) FROM ref_geo.l_areas a JOIN ref_geo.bib_areas_types t ON t.id_type = a.id_type
                        WHERE t.type_code = code AND a.enable)
           FROM unnest(passereau.setting_list('territory_area_types')) AS code",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(code, areas)| TerritoryType { code, areas }).collect())
}

async fn framework(connection: &mut PgConnection) -> Result<Framework, sqlx::Error> {
    let setting = setting(connection, "acquisition_framework").await?;
    let key = setting.as_deref().and_then(|key| Uuid::try_parse(key).ok());
    let known = attempt(connection, async |c| {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM gn_meta.t_acquisition_frameworks WHERE unique_acquisition_framework_id = $1)",
        )
        .bind(key)
        .fetch_one(c)
        .await
    });
    Ok(Framework { setting, known: known.await? })
}
