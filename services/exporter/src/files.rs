//! Makes the files of a delivery from its parts, and puts them into the store.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use passereau_formats::CsvOptions;
use passereau_gate::Field;
use passereau_runner::Stop;
use passereau_store::{ObjectKey, Store, StoreError, Stored};
use sqlx::PgPool;
use tempfile::TempPath;
use tokio_util::sync::CancellationToken;

use crate::{
    error::ExportError,
    ledger::{self, Delivery},
    manifest::FileEntry,
    part, publish,
    scratch::Scratch,
    statuses,
    write::{self, OpenPart, Shape},
};

/// Files by extension.
pub(crate) type Made = BTreeMap<String, FileEntry>;

/// Where files are made and put.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub store: Store,
    pub scratch: Arc<Scratch>,
}

impl Files {
    /// One format: the file, and beside a text its gzip.
    pub(crate) async fn format(
        self,
        pool: PgPool,
        delivery: Delivery,
        shape: Shape,
        stop: CancellationToken,
    ) -> Result<Made, ExportError> {
        let (flow, format) = (&delivery.flow, shape.format);
        let parts = self.parts(&pool, &delivery).await?;
        let (path, gz) = (self.scratch_path(flow)?, self.scratch_path(flow)?);
        let read = delivery.rows;
        let (path, gz) =
            blocking(flow, move || {
                let written = write::write(&shape, parts, &path, &stop)?;
                if i64::try_from(written) != Ok(read) {
                    return Err(ExportError::Rows { flow: shape.flow, format, written, read });
                }
                if format.is_text() {
                    passereau_formats::gzip(&path, &gz, || !stop.is_cancelled()).map_err(|source| {
                        ExportError::Format { flow: shape.flow, record: None, source: Box::new(source) }
                    })?;
                }
                Ok((path, gz))
            })
            .await?;
        let extension = format.extension();
        let mut files = Made::new();
        files.insert(extension.to_owned(), self.put(&delivery, extension, &path).await?);
        if format.is_text() {
            let extension = format!("{extension}.gz");
            files.insert(extension.clone(), self.put(&delivery, &extension, &gz).await?);
        }
        Ok(files)
    }

    /// The statuses of the taxa in the rows, read within a time.
    pub(crate) async fn statuses(
        self,
        pool: PgPool,
        delivery: Delivery,
        fields: Vec<&'static Field>,
        csv: CsvOptions,
        longest: Duration,
        stop: CancellationToken,
    ) -> Result<Made, ExportError> {
        let parts = self.parts(&pool, &delivery).await?;
        let flow = delivery.flow.clone();
        let taxa = blocking(&delivery.flow, move || statuses::taxa(&flow, &fields, parts, &stop)).await?;
        let mut tx = pool.begin().await?;
        part::limit(&mut tx, longest).await?;
        let path = self.scratch_path(&delivery.flow)?;
        statuses::write(&mut tx, &path, csv, &delivery.flow, taxa).await?;
        tx.rollback().await?;
        let file = self.put(&delivery, statuses::EXTENSION, &path).await?;
        Ok(Made::from([(statuses::EXTENSION.to_owned(), file)]))
    }

    async fn put(&self, delivery: &Delivery, extension: &str, path: &Path) -> Result<FileEntry, ExportError> {
        let key = key(delivery, extension)?;
        let stored = self.store.put_file(&key, path).await;
        Ok(entry(
            &key,
            stored.map_err(|source| ExportError::Store { flow: delivery.flow.clone(), source: Box::new(source) })?,
        ))
    }

    /// The parts, open.
    async fn parts(&self, pool: &PgPool, delivery: &Delivery) -> Result<Vec<OpenPart>, ExportError> {
        let mut open = Vec::new();
        for part in ledger::parts(pool, delivery.id).await? {
            let broken = |problem: String| ExportError::Part { flow: delivery.flow.clone(), part: part.part, problem };
            let key = ObjectKey::parse(&part.object_key).map_err(|error| broken(error.to_string()))?;
            let file = self.store.open_seekable(&key).await.map_err(|error| match error {
                lost @ StoreError::NotFound { .. } => broken(lost.to_string()),
                source => ExportError::Store { flow: delivery.flow.clone(), source: Box::new(source) },
            })?;
            open.push(OpenPart { part: part.part, file, sha256: part.sha256 });
        }
        Ok(open)
    }

    fn scratch_path(&self, flow: &str) -> Result<TempPath, ExportError> {
        self.scratch.path().map_err(|source| ExportError::Scratch { flow: flow.to_owned(), source })
    }
}

fn key(delivery: &Delivery, extension: &str) -> Result<ObjectKey, ExportError> {
    let folder = delivery.folder.as_deref().unwrap_or_default();
    publish::key(&delivery.flow, folder, &format!("{}.{extension}", delivery.flow))
}

fn entry(key: &ObjectKey, stored: Stored) -> FileEntry {
    FileEntry { key: key.to_string(), size_bytes: stored.size_bytes, sha256: stored.sha256 }
}

/// Runs what blocks beside the others.
async fn blocking<T: Send + 'static>(
    flow: &str,
    work: impl FnOnce() -> Result<T, ExportError> + Send + 'static,
) -> Result<T, ExportError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Stop::retry(format!("making a file of flow {flow}: {error}")).into()),
    }
}
