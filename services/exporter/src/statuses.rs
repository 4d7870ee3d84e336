//! The companion file of the statuses of a delivery's taxa: protection, red lists, regulation.
//!
//! They come from `taxonomie.v_bdc_status`, where the database has it (TaxHub 1.9 and later,
//! <https://github.com/PnX-SI/TaxHub>, data/scripts for the base of knowledge of statuses). Only taxa with a row in the delivery are looked up.

use std::{collections::BTreeSet, fs::File};

use passereau_gate::Field;
use passereau_store::{ObjectKey, Store, Stored};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::{error::ExportError, write::for_each_row};

/// Extension of the file, after the flow's name.
pub(crate) const EXTENSION: &str = "statuts.csv";

const STATUSES: &str = "COPY (
    SELECT b.cd_ref, b.cd_nom, b.cd_type_statut, b.lb_type_statut, b.regroupement_type, b.code_statut, b.label_statut, b.rq_statut, b.cd_sig,
           b.niveau_admin, b.full_citation, b.doc_url
    FROM taxonomie.v_bdc_status b
    WHERE b.cd_ref IN (SELECT value::integer FROM jsonb_array_elements_text(current_setting('passereau.taxa')::jsonb) AS value)
    ORDER BY b.cd_ref, b.cd_type_statut, b.cd_sig, b.code_statut, b.cd_nom) TO STDOUT (FORMAT csv, HEADER true, DELIMITER ';')";

/// Whether the database knows statuses, and this role may read them.
pub(crate) async fn are_known(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT COALESCE(has_table_privilege(to_regclass('taxonomie.v_bdc_status'), 'SELECT'), false)")
        .fetch_one(pool)
        .await
}

/// The accepted names of the delivered rows. It blocks.
pub(crate) fn taxa(
    flow: &str,
    fields: &[&'static Field],
    parts: Vec<(i32, File)>,
    stop: &CancellationToken,
) -> Result<BTreeSet<i32>, ExportError> {
    let mut taxa = BTreeSet::new();
    let Some(column) = fields.iter().position(|field| field.name == "cd_ref") else { return Ok(taxa) };
    for_each_row(flow, fields.len(), parts, stop, |row| {
        if let Some(cd_ref) = row.values().nth(column).flatten().and_then(|text| text.parse().ok()) {
            taxa.insert(cd_ref);
        }
        Ok(())
    })?;
    Ok(taxa)
}

/// Stores the file.
pub(crate) async fn store(
    connection: &mut PgConnection,
    store: &Store,
    key: &ObjectKey,
    flow: &str,
    taxa: &BTreeSet<i32>,
) -> Result<Stored, ExportError> {
    let list = serde_json::to_string(taxa).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("SELECT set_config('passereau.taxa', $1, true)").bind(list).execute(&mut *connection).await?;
    let rows = connection.copy_out_raw(STATUSES).await?;
    store
        .put_stream(key, rows)
        .await
        .map_err(|source| ExportError::Store { flow: flow.to_owned(), source: Box::new(source) })
}
