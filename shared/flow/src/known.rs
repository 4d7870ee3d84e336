//! What only the database can tell of an agreement: whether what it names is there.

use sqlx::{PgConnection, PgPool};

use crate::{Agreement, FlowError, problem::Found};

/// What the agreement asks for and deliveries will go without, as the platform stands: each with what to do. It is no mistake, and another day it may be there.
///
/// # Errors
/// The database.
pub async fn lacks(pool: &PgPool, agreement: &Agreement) -> Result<Vec<String>, FlowError> {
    if !agreement.statuses {
        return Ok(Vec::new());
    }
    let is_readable: Option<bool> = sqlx::query_scalar(
        "SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'taxonomie' AND c.relname = 'v_bdc_status'",
    )
    .fetch_optional(pool)
    .await
    .map_err(FlowError::database("looking for the statuses of taxa"))?;
    let lack = match is_readable {
        Some(true) => return Ok(Vec::new()),
        Some(false) => {
            "statuses: this role may not read taxonomie.v_bdc_status, and a delivery of a role that may not comes without their file; \
             `passereau install --exporter-role ROLE` grants it"
        }
        None => {
            "statuses: the database has no taxonomie.v_bdc_status, and deliveries come without their file; TaxHub brings that view with the base of \
             knowledge of statuses"
        }
    };
    Ok(vec![lack.to_owned()])
}

/// Each source, dataset, taxon and licence that the platform does not know.
pub(crate) async fn problems(connection: &mut PgConnection, agreement: &Agreement) -> Result<Vec<Found>, sqlx::Error> {
    let mut found = Vec::new();
    taxa(connection, agreement, &mut found).await?;
    for (key, list) in
        [("sources.include", &agreement.sources.include), ("sources.exclude", &agreement.sources.exclude)]
    {
        let sql = "SELECT known.name_source::text FROM gn_synthese.t_sources known WHERE known.name_source = ANY ($1)";
        let instead = "write its name as `SELECT name_source FROM gn_synthese.t_sources` shows it";
        unknown(connection, (sql, key, "there is no source", instead), list, &mut found).await?;
    }
    let texts = |list: &[uuid::Uuid]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (key, list) in [
        ("datasets.include", texts(&agreement.datasets.include)),
        ("datasets.exclude", texts(&agreement.datasets.exclude)),
    ] {
        let sql = "SELECT known.unique_dataset_id::text FROM gn_meta.t_datasets known WHERE known.unique_dataset_id::text = ANY ($1)";
        let instead = "write its unique_dataset_id as gn_meta.t_datasets has it";
        unknown(connection, (sql, key, "there is no dataset", instead), &list, &mut found).await?;
    }
    let sql = "SELECT DISTINCT known.licence FROM passereau.licence known WHERE known.licence = ANY ($1)";
    let instead =
        "write one that `SELECT DISTINCT licence FROM passereau.licence` shows, or add its spellings there first";
    unknown(
        connection,
        (sql, "licences.allowed", "no record can have the licence", instead),
        &agreement.licences.allowed,
        &mut found,
    )
    .await?;
    Ok(found)
}

async fn taxa(connection: &mut PgConnection, agreement: &Agreement, found: &mut Vec<Found>) -> Result<(), sqlx::Error> {
    for (name, list) in agreement.taxa.texts() {
        // One scan of TAXREF for each list that is not empty. The columns are those of a list of ours.
        let sql = match name {
            "regne" => "SELECT DISTINCT t.regne::text FROM taxonomie.taxref t WHERE t.regne = ANY ($1)",
            "group1_inpn" => {
                "SELECT DISTINCT t.group1_inpn::text FROM taxonomie.taxref t WHERE t.group1_inpn = ANY ($1)"
            }
            "group2_inpn" => {
                "SELECT DISTINCT t.group2_inpn::text FROM taxonomie.taxref t WHERE t.group2_inpn = ANY ($1)"
            }
            "group3_inpn" => {
                "SELECT DISTINCT t.group3_inpn::text FROM taxonomie.taxref t WHERE t.group3_inpn = ANY ($1)"
            }
            "ordre" => "SELECT DISTINCT t.ordre::text FROM taxonomie.taxref t WHERE t.ordre = ANY ($1)",
            _ => "SELECT DISTINCT t.famille::text FROM taxonomie.taxref t WHERE t.famille = ANY ($1)",
        };
        let what = format!("TAXREF has no {name}");
        let instead = format!("write it as `SELECT DISTINCT {name} FROM taxonomie.taxref` shows it, with its accents");
        unknown(connection, (sql, &format!("taxa.{name}"), &what, &instead), list, found).await?;
    }
    let unknown: Vec<(i64, i32, Option<i32>)> = sqlx::query_as(
        "SELECT wanted.place, wanted.cd, (SELECT t.cd_ref FROM taxonomie.taxref t WHERE t.cd_nom = wanted.cd)
         FROM unnest($1::integer[]) WITH ORDINALITY wanted (cd, place)
         WHERE NOT EXISTS (SELECT FROM taxonomie.taxref t WHERE t.cd_nom = wanted.cd AND t.cd_ref = wanted.cd)
         ORDER BY wanted.place",
    )
    .bind(&agreement.taxa.cd_ref)
    .fetch_all(connection)
    .await?;
    for (place, code, accepted) in unknown {
        let key = format!("taxa.cd_ref[{}]", place - 1);
        found.push(match accepted {
            Some(accepted) => Found::new(
                key,
                format!("{code} is a synonym in TAXREF"),
                format!("write {accepted}, its accepted name"),
            ),
            None => {
                Found::new(key, format!("TAXREF has no cd_ref {code}"), "look the taxon up at https://inpn.mnhn.fr")
            }
        });
    }
    Ok(())
}

/// What `sql` does not give back of a list: the statement, the list's key, what is said of an entry, and what to write instead.
async fn unknown(
    connection: &mut PgConnection,
    (sql, key, what, instead): (&'static str, &str, &str, &str),
    list: &[String],
    found: &mut Vec<Found>,
) -> Result<(), sqlx::Error> {
    if list.is_empty() {
        return Ok(());
    }
    let known: Vec<String> = sqlx::query_scalar(sql).bind(list).fetch_all(connection).await?;
    let missing = list.iter().enumerate().filter(|(_, value)| !known.contains(value));
    found.extend(
        missing.map(|(index, value)| Found::new(format!("{key}[{index}]"), format!("{what} {value}"), instead)),
    );
    Ok(())
}
