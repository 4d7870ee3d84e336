//! The handler: a delivery, step by step.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::Utc;
use passereau_contracts::ExporterTask;
use passereau_flow::Flow;
use passereau_formats::Format;
use passereau_gate::Query;
use passereau_runner::{Claim, Context, Done, Outcome, Stop, Worker};
use passereau_store::{ObjectKey, Store, StoreError, Stored};
use passereau_telemetry::{DeliveryOutcome, Leaving, Metrics, Moved, spans::database};
use sqlx::PgPool;
use tempfile::TempPath;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    config::{ExportConfig, ExporterConfig},
    error::ExportError,
    ledger::{self, Delivery, StoredPart},
    manifest::FileEntry,
    part::{self, Which},
    publish, statuses,
    write::{self, Shape},
};

/// Time between two looks at what deliveries have left.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// The worker.
#[derive(Debug)]
pub struct Exporter {
    store: Store,
    scratch: PathBuf,
    config: ExportConfig,
}

/// What one handling works with.
struct Work<'a> {
    context: &'a Context,
    claim: &'a Claim,
    flow: &'a Flow,
    query: &'a Query,
}

/// What a step leaves to do.
enum Next {
    /// Another step.
    Step,
    /// The last step was done, and this transaction ends the delivery.
    Finish(Finish),
}

/// How a delivery ends.
enum Finish {
    /// A new version.
    Delivered(Box<crate::Manifest>),
    /// The version before says the same.
    Unchanged,
}

impl Exporter {
    /// Opens the store.
    ///
    /// # Errors
    /// The store cannot be opened; the error names the setting.
    pub fn new(config: &ExporterConfig) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open(&config.store)?,
            scratch: config.store.scratch.clone(),
            config: config.export.clone(),
        })
    }

    async fn deliver(&self, context: &Context, name: &str) -> Outcome {
        if let Some(id) = context.message_id()
            && ledger::has_ended(context.pool(), id).await?
        {
            return Ok(Done::nothing());
        }
        let claim = context.claim(&format!("flow {name}")).await?;
        let Some(flow) =
            passereau_flow::find(context.pool(), name).await.map_err(|error| ExportError::from(error).into_stop())?
        else {
            return Err(Stop::reject(format!(
                "there is no flow {name}; `passereau flow list` shows those that there are"
            )));
        };
        let delivery = self.taken_up(context, &claim, &flow).await?;
        let standing = flow.standing(Utc::now());
        if !standing.is_active() {
            return self.failed(context, claim, &delivery, &format!("flow {name} is not delivered: {standing}")).await;
        }
        let query = Query::new(flow.agreement.selection(), flow.agreement.fields());
        let work = Work { context, claim: &claim, flow: &flow, query: &query };
        loop {
            // Read again after each step: what is written down is what counts.
            let Some(delivery) = ledger::alive(context.pool(), name).await? else {
                return Err(Stop::retry(format!("the delivery of flow {name} is gone; it is looked at again")));
            };
            if context.must_pause() {
                let mut tx = context.begin().await?;
                claim.release(&mut tx).await?;
                return Ok(Done::with(tx).again(Duration::ZERO, "the delivery goes on"));
            }
            match self.step(&work, &delivery).await {
                Ok(Next::Step) => {}
                Ok(Next::Finish(finish)) => return self.finish(context, claim, &flow, &delivery, finish).await,
                Err(error) if error.is_final() => {
                    return self.failed(context, claim, &delivery, &error.to_string()).await;
                }
                Err(error) => return Err(error.into_stop()),
            }
        }
    }

    /// The delivery that is being made, or a new one. One that follows an agreement no longer in force has failed.
    async fn taken_up(&self, context: &Context, claim: &Claim, flow: &Flow) -> Result<Delivery, Stop> {
        let alive = ledger::alive(context.pool(), &flow.name).await?;
        if let Some(delivery) = alive.as_ref().filter(|delivery| delivery.flow_version == flow.version) {
            return Ok(delivery.clone());
        }
        let mut tx = context.begin_early().await?;
        claim.check(&mut tx).await?;
        if let Some(old) = alive {
            ledger::fail(&mut tx, &old, "the agreement has changed meanwhile; a delivery of the new version follows")
                .await?;
        }
        let id = context.message_id().unwrap_or_else(Uuid::now_v7);
        let delivery = ledger::begin(&mut tx, id, &flow.name, flow.version).await?;
        tx.commit().await?;
        Ok(delivery)
    }

    async fn step(&self, work: &Work<'_>, delivery: &Delivery) -> Result<Next, ExportError> {
        match delivery.state.as_str() {
            "reading" => self.read_part(work, delivery).await,
            _ => self.write_file(work, delivery).await,
        }
    }

    /// Reads the next part; after the last one decides whether files are to be written.
    async fn read_part(&self, work: &Work<'_>, delivery: &Delivery) -> Result<Next, ExportError> {
        let limit = self.config.export_part_rows.get();
        let which = delivery.cursor.map_or(Which::Blurred, |after| Which::Exact { after, limit });
        let mut summary = delivery.tally.clone().unwrap_or_default();
        let key = publish::part_key(delivery, delivery.parts)?;
        let longest = Duration::from_secs(self.config.export_snapshot_s.into());
        let read = async {
            let mut tx = part::snapshot(work.context.pool(), work.query, longest).await?;
            if which == Which::Blurred {
                summary.withheld = work.query.tally(&mut tx).await?;
                summary.withheld.retain(|tally| tally.outcome == "withheld");
            }
            part::read(&mut tx, &self.store, work.query, which, &key, &delivery.flow, &mut summary).await
        };
        let read =
            read.instrument(database("read part")).await.map_err(|error| self.too_slow(error, &delivery.flow))?;
        let cursor = read.last_id.or(delivery.cursor).unwrap_or(-1);
        let is_last = which != Which::Blurred && read.rows < i64::from(limit);
        let stored = StoredPart {
            part: delivery.parts,
            object_key: key.to_string(),
            rows: read.rows,
            sha256: read.stored.sha256,
        };
        let references = publish::references(work.context.pool()).await?;
        let current = ledger::current_digest(work.context.pool(), &delivery.flow).await?;
        let mut parts = ledger::parts(work.context.pool(), delivery.id).await?;
        let mut tx = work.context.begin_early().await?;
        work.claim.check(&mut tx).await?;
        ledger::note_part(&mut tx, delivery, &stored, cursor, &summary).await?;
        if !is_last {
            tx.commit().await?;
            return Ok(Next::Step);
        }
        parts.push(stored);
        let digest = publish::digest(work.flow, &parts, &references);
        let is_unchanged = current.as_deref() == Some(&*digest);
        ledger::write_next(
            &mut tx,
            delivery.id,
            &digest,
            &publish::folder(delivery.read_at.unwrap_or_default(), delivery.id),
        )
        .await?;
        tx.commit().await?;
        Ok(if is_unchanged { Next::Finish(Finish::Unchanged) } else { Next::Step })
    }

    /// Writes the next file; after the last one the manifest.
    async fn write_file(&self, work: &Work<'_>, delivery: &Delivery) -> Result<Next, ExportError> {
        let current = ledger::current_digest(work.context.pool(), &delivery.flow).await?;
        if current.is_some() && current == delivery.digest {
            return Ok(Next::Finish(Finish::Unchanged));
        }
        let agreement = &work.flow.agreement;
        let missing = agreement.formats.iter().find(|format| !delivery.files.contains_key(format.extension()));
        if let Some(format) = missing {
            let files = self.file(work, delivery, *format).await?;
            return self.note(work, delivery, files).await;
        }
        if agreement.statuses
            && !delivery.files.contains_key(statuses::EXTENSION)
            && statuses::are_known(work.context.pool()).await?
        {
            let files = self.statuses(work, delivery).await?;
            return self.note(work, delivery, files).await;
        }
        let manifest = publish::manifest(work.context.pool(), work.flow, delivery, work.query.fields()).await?;
        Ok(Next::Finish(Finish::Delivered(Box::new(manifest))))
    }

    async fn note(
        &self,
        work: &Work<'_>,
        delivery: &Delivery,
        files: BTreeMap<String, FileEntry>,
    ) -> Result<Next, ExportError> {
        let mut tx = work.context.begin_early().await?;
        work.claim.check(&mut tx).await?;
        ledger::note_files(&mut tx, delivery.id, &files).await?;
        tx.commit().await?;
        Ok(Next::Step)
    }

    /// One format: the file, and beside a text its gzip.
    async fn file(
        &self,
        work: &Work<'_>,
        delivery: &Delivery,
        format: Format,
    ) -> Result<BTreeMap<String, FileEntry>, ExportError> {
        let flow = &delivery.flow;
        let shape = Shape {
            format,
            layer: write::layer(work.flow, delivery, work.query.fields()),
            csv: work.flow.agreement.csv.options(),
            fields: work.query.fields().len(),
            flow: flow.clone(),
        };
        let parts = self.parts(work, delivery).await?;
        let (path, gz) = (self.scratch_path(flow)?, self.scratch_path(flow)?);
        let (path, gz) = blocking(flow, move || {
            write::write(&shape, parts, &path)?;
            if format.is_text() {
                passereau_formats::gzip(&path, &gz)
                    .map_err(|source| ExportError::Format { flow: shape.flow.clone(), source: Box::new(source) })?;
            }
            Ok((path, gz))
        })
        .await?;
        let extension = format.extension();
        let mut files = BTreeMap::new();
        files.insert(extension.to_owned(), self.put(work, delivery, extension, &path).await?);
        if format.is_text() {
            let extension = format!("{extension}.gz");
            files.insert(extension.clone(), self.put(work, delivery, &extension, &gz).await?);
        }
        Ok(files)
    }

    async fn put(
        &self,
        work: &Work<'_>,
        delivery: &Delivery,
        extension: &str,
        path: &Path,
    ) -> Result<FileEntry, ExportError> {
        let key = self.key(delivery, extension)?;
        let stored = self.store.put_file(&key, path).await;
        let stored =
            stored.map_err(|source| ExportError::Store { flow: delivery.flow.clone(), source: Box::new(source) })?;
        work.context.metrics().bytes(Moved::Exported, stored.size_bytes);
        Ok(entry(&key, stored))
    }

    async fn statuses(&self, work: &Work<'_>, delivery: &Delivery) -> Result<BTreeMap<String, FileEntry>, ExportError> {
        let parts = self.parts(work, delivery).await?;
        let (flow, fields) = (delivery.flow.clone(), work.query.fields().to_vec());
        let taxa = blocking(&delivery.flow, move || statuses::taxa(&flow, &fields, parts)).await?;
        let mut tx = work.context.pool().begin().await?;
        let key = self.key(delivery, statuses::EXTENSION)?;
        let stored = statuses::store(&mut tx, &self.store, &key, &delivery.flow, &taxa).await?;
        Ok(BTreeMap::from([(statuses::EXTENSION.to_owned(), entry(&key, stored))]))
    }

    fn key(&self, delivery: &Delivery, extension: &str) -> Result<ObjectKey, ExportError> {
        let folder = delivery.folder.as_deref().unwrap_or_default();
        publish::key(&delivery.flow, folder, &format!("{}.{extension}", delivery.flow))
    }

    /// The parts, open.
    async fn parts(&self, work: &Work<'_>, delivery: &Delivery) -> Result<Vec<(i32, File)>, ExportError> {
        let mut open = Vec::new();
        for part in ledger::parts(work.context.pool(), delivery.id).await? {
            let broken = |problem: String| ExportError::Part { flow: delivery.flow.clone(), part: part.part, problem };
            let key = ObjectKey::parse(&part.object_key).map_err(|error| broken(error.to_string()))?;
            let file = self.store.open_seekable(&key).await;
            open.push((
                part.part,
                file.map_err(|source| ExportError::Store { flow: delivery.flow.clone(), source: Box::new(source) })?,
            ));
        }
        Ok(open)
    }

    /// A scratch file with a name, which SQLite needs. It goes when it is dropped; what a killed process leaves is taken away at the next start
    /// of one.
    fn scratch_path(&self, flow: &str) -> Result<TempPath, ExportError> {
        tempfile::Builder::new()
            .prefix("passereau-export-")
            .tempfile_in(&self.scratch)
            .map(tempfile::NamedTempFile::into_temp_path)
            .map_err(|source| ExportError::Scratch { flow: flow.to_owned(), source })
    }

    async fn finish(
        &self,
        context: &Context,
        claim: Claim,
        flow: &Flow,
        delivery: &Delivery,
        finish: Finish,
    ) -> Outcome {
        if let Finish::Delivered(manifest) = &finish {
            publish::store_manifest(&self.store, manifest).await.map_err(ExportError::into_stop)?;
        }
        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        match &finish {
            Finish::Delivered(manifest) => {
                ledger::deliver(&mut tx, delivery, manifest).await?;
                tracing::info!(flow = flow.name, rows = manifest.rows, version = manifest.version, "delivered");
            }
            Finish::Unchanged => {
                ledger::unchanged(&mut tx, delivery).await?;
                tracing::info!(flow = flow.name, "nothing has changed since the version before");
            }
        }
        // The version is published when this transaction is; what it replaces is tidied away at the next look out.
        let name = flow.name.clone();
        Ok(Done::with(tx).count(move |metrics| finish.tell(metrics, &name)))
    }

    /// Ends a delivery that a person has to do something about. The message is done: the next one makes a new delivery.
    async fn failed(&self, context: &Context, claim: Claim, delivery: &Delivery, reason: &str) -> Outcome {
        tracing::warn!(flow = delivery.flow, reason, "the delivery has failed");
        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        ledger::fail(&mut tx, delivery, reason).await?;
        let flow = delivery.flow.clone();
        Ok(Done::with(tx).count(move |metrics| metrics.delivered(&flow, DeliveryOutcome::Failed)))
    }

    /// PostgreSQL says 57014 for a statement that ran into its limit.
    fn too_slow(&self, error: ExportError, flow: &str) -> ExportError {
        let seconds = self.config.export_snapshot_s;
        match error {
            ExportError::Stop(Stop::Retry { error, .. }) if error.contains("statement timeout") => {
                ExportError::TooSlow { flow: flow.to_owned(), seconds }
            }
            other => other,
        }
    }
}

impl Finish {
    /// Counts a delivery that is committed.
    fn tell(&self, metrics: &Metrics, flow: &str) {
        let Self::Delivered(manifest) = self else { return metrics.delivered(flow, DeliveryOutcome::Unchanged) };
        metrics.delivered(flow, DeliveryOutcome::Delivered);
        for tally in manifest.delivered.iter().chain(&manifest.withheld) {
            if let Ok(leaving) = tally.outcome.parse::<Leaving>() {
                metrics.delivered_records(flow, leaving, u64::try_from(tally.records).unwrap_or(0));
            }
        }
    }
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

impl Worker for Exporter {
    const NAME: &'static str = "exporter";
    type Task = ExporterTask;

    fn looks_out_every(&self) -> Option<Duration> {
        Some(TIDY_EVERY)
    }

    /// Takes away what deliveries have left: parts, and versions beyond those that are kept.
    async fn look_out(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        for name in ledger::untidy(pool).await? {
            let Ok(Some(claim)) = Claim::take(pool, &format!("flow {name}")).await else { continue };
            if let Some(flow) = passereau_flow::find(pool, &name).await.ok().flatten()
                && let Err(error) = publish::tidy(pool, &self.store, &flow).await
            {
                tracing::warn!(flow = name, %error, "what deliveries have left could not be taken away, the next look tries again");
            }
            drop(claim);
        }
        Ok(())
    }

    async fn handle(&self, context: &Context, ExporterTask(message): ExporterTask) -> Outcome {
        self.deliver(context, &message.flow).await
    }
}
