//! The companion file of the statuses of a delivery's taxa: protection, red lists, regulation.
//!
//! They come from `taxonomie.v_bdc_status`, where the database has it (TaxHub 1.9 and later,
//! <https://github.com/PnX-SI/TaxHub>, data/scripts for the base of knowledge of statuses). Only taxa with a row in the delivery are looked up.
//! It is a CSV as the agreement wants its CSV files.

use std::{collections::BTreeSet, path::Path};

use futures_util::TryStreamExt;
use passereau_formats::{Column, CsvOptions, FormatError, Kind};
use passereau_gate::Field;
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    error::ExportError,
    write::{OpenPart, for_each_row},
};

/// Extension of the file, after the flow's name.
pub(crate) const EXTENSION: &str = "statuts.csv";

/// The columns, and whether they are numbers.
const COLUMNS: [(&str, bool); 12] = [
    ("cd_ref", true),
    ("cd_nom", true),
    ("cd_type_statut", false),
    ("lb_type_statut", false),
    ("regroupement_type", false),
    ("code_statut", false),
    ("label_statut", false),
    ("rq_statut", false),
    ("cd_sig", false),
    ("niveau_admin", false),
    ("full_citation", false),
    ("doc_url", false),
];

/// Rows that differ nowhere but in what is not read are the same: any order of theirs makes the same file.
const STATUSES: &str = "
    SELECT b.cd_ref::text, b.cd_nom::text, b.cd_type_statut::text, b.lb_type_statut::text, b.regroupement_type::text, b.code_statut::text,
           b.label_statut::text, b.rq_statut::text, b.cd_sig::text, b.niveau_admin::text, b.full_citation::text, b.doc_url::text
    FROM taxonomie.v_bdc_status b
    WHERE b.cd_ref = ANY ($1)
    ORDER BY b.cd_ref, 3, 9, 6, b.cd_nom, 4, 5, 7, 8, 10, 11, 12";

/// Rows that are written at a time.
const BATCH: usize = 500;

type Values = Vec<Option<String>>;

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
    parts: Vec<OpenPart>,
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

/// Writes the file at a path.
pub(crate) async fn write(
    connection: &mut PgConnection,
    path: &Path,
    csv: CsvOptions,
    flow: &str,
    taxa: BTreeSet<i32>,
) -> Result<(), ExportError> {
    let (send, receive) = mpsc::channel(2);
    let path = path.to_owned();
    let written = tokio::task::spawn_blocking(move || write_all(&path, &csv, receive));
    let read = read_all(connection, taxa, send).await;
    // The writer has its end when the reader's is dropped. Its error comes first: the reader only finds it gone.
    let written = written.await.map_err(|error| std::io::Error::other(error.to_string()));
    written
        .map_err(|source| ExportError::Scratch { flow: flow.to_owned(), source })?
        .map_err(|source| ExportError::Format { flow: flow.to_owned(), record: None, source: Box::new(source) })?;
    read
}

async fn read_all(
    connection: &mut PgConnection,
    taxa: BTreeSet<i32>,
    send: mpsc::Sender<Vec<Values>>,
) -> Result<(), ExportError> {
    let taxa: Vec<i32> = taxa.into_iter().collect();
    let rows = sqlx::query(STATUSES).bind(taxa).fetch(connection).try_chunks(BATCH);
    let mut rows = std::pin::pin!(rows);
    while let Some(batch) = rows.try_next().await.map_err(|error| error.1)? {
        let values = batch.iter().map(|row| (0..COLUMNS.len()).map(|index| row.try_get(index)).collect());
        if send.send(values.collect::<Result<_, sqlx::Error>>()?).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn write_all(path: &Path, csv: &CsvOptions, mut receive: mpsc::Receiver<Vec<Values>>) -> Result<(), FormatError> {
    let columns = COLUMNS.map(|(name, is_number)| Column {
        name: name.to_owned(),
        kind: if is_number { Kind::Integer } else { Kind::Text },
        definition: String::new(),
    });
    let mut table = passereau_formats::open_table(path, &columns, csv)?;
    while let Some(batch) = receive.blocking_recv() {
        for values in batch {
            let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
            table.row(&passereau_formats::Row { id: None, geometry: None, values: &values })?;
        }
    }
    table.finish().map(|_| ())
}
