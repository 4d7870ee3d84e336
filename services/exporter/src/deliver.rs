//! The handler: a delivery, step by step.

use std::time::Duration;

use chrono::Utc;
use passereau_contracts::ExporterTask;
use passereau_flow::Flow;
use passereau_gate::Query;
use passereau_runner::{Claim, Context, Done, Outcome, Stop, Worker};
use passereau_store::{Store, StoreError};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::{ExportConfig, ExporterConfig},
    error::ExportError,
    files::{Files, Made},
    ledger::{self, Delivery, StoredPart},
    making::Making,
    part::{self, Which},
    publish, statuses,
    write::{self, Shape},
};

/// Time between two looks at what deliveries have left.
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// How long one handling waits for one file, if its deadline lets it.
const LONGEST_WAIT: Duration = Duration::from_secs(240);

/// The worker.
#[derive(Debug)]
pub struct Exporter {
    files: Files,
    config: ExportConfig,
    making: Making,
    longest_wait: Duration,
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
    /// The same step, in the next handling of the message.
    Later,
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
            files: Files { store: Store::open(&config.store)?, scratch: config.store.scratch.clone() },
            config: config.export.clone(),
            making: Making::default(),
            longest_wait: LONGEST_WAIT,
        })
    }

    /// Has a handling wait for a file for this long at most. For tests: the runner's deadline is what counts otherwise.
    #[must_use]
    pub fn with_longest_wait(self, longest_wait: Duration) -> Self {
        Self { longest_wait, ..self }
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
        let query = Query::new(flow.agreement.selection(flow.version), flow.agreement.fields());
        let work = Work { context, claim: &claim, flow: &flow, query: &query };
        for steps in 0_u32.. {
            // Read again after each step: what is written down is what counts.
            let Some(delivery) = ledger::alive(context.pool(), name).await? else {
                return Err(Stop::retry(format!("the delivery of flow {name} is gone; it is looked at again")));
            };
            // The first step of a handling always fits: whatever the limits, a delivery gets on.
            if context.must_pause() || (steps > 0 && !self.fits(context, &delivery)) {
                break;
            }
            match self.step(&work, &delivery).await {
                Ok(Next::Step) => {}
                Ok(Next::Later) => break,
                Ok(Next::Finish(finish)) => return self.finish(context, claim, &flow, &delivery, finish).await,
                Err(error) if error.is_final() => {
                    return self.failed(context, claim, &delivery, &error.to_string()).await;
                }
                Err(error) => return Err(error.into_stop()),
            }
        }
        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        Ok(Done::with(tx).again(Duration::ZERO, "the delivery goes on"))
    }

    /// Whether the longest next step would end before the runner wants its message back.
    fn fits(&self, context: &Context, delivery: &Delivery) -> bool {
        delivery.state != "reading" || Instant::now() + self.longest_snapshot() <= context.deadline()
    }

    fn longest_snapshot(&self) -> Duration {
        Duration::from_secs(self.config.export_snapshot_s.into())
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
        let until = Instant::now() + self.longest_snapshot();
        let read = async {
            let mut tx = part::snapshot(work.context.pool(), work.query, self.longest_snapshot()).await?;
            if which == Which::Blurred {
                summary.withheld = work.query.tally(&mut tx).await?;
                summary.withheld.retain(|tally| tally.outcome == "withheld");
                // Both statements share the time of one snapshot.
                part::limit(&mut tx, until.saturating_duration_since(Instant::now())).await?;
            }
            part::read(&mut tx, &self.files.store, work.query, which, &key, &delivery.flow, &mut summary).await
        };
        let read = read.await.map_err(|error| self.too_slow(error, &delivery.flow))?;
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
            let shape = Shape {
                format: *format,
                layer: write::layer(work.flow, delivery, work.query.fields()),
                csv: agreement.csv.options(),
                fields: work.query.fields().len(),
                flow: delivery.flow.clone(),
            };
            let (files, pool, of) = (self.files.clone(), work.context.pool().clone(), delivery.clone());
            return self.made(work, delivery, format.extension(), |stop| files.format(pool, of, shape, stop)).await;
        }
        if agreement.statuses
            && !delivery.files.contains_key(statuses::EXTENSION)
            && statuses::are_known(work.context.pool()).await?
        {
            let (files, pool, of) = (self.files.clone(), work.context.pool().clone(), delivery.clone());
            let (fields, longest) = (work.query.fields().to_vec(), self.longest_snapshot());
            return self
                .made(work, delivery, statuses::EXTENSION, |stop| files.statuses(pool, of, fields, longest, stop))
                .await;
        }
        let manifest = publish::manifest(work.context.pool(), work.flow, delivery, work.query.fields()).await?;
        Ok(Next::Finish(Finish::Delivered(Box::new(manifest))))
    }

    /// Waits for a file, and notes it when it is made.
    async fn made<F>(
        &self,
        work: &Work<'_>,
        delivery: &Delivery,
        extension: &'static str,
        begin: impl FnOnce(CancellationToken) -> F,
    ) -> Result<Next, ExportError>
    where
        F: Future<Output = Result<Made, ExportError>> + Send + 'static,
    {
        let until = work.context.deadline().min(Instant::now() + self.longest_wait);
        let made = self.making.wait((delivery.id, extension), until, work.context.shutdown(), begin).await;
        let Some(made) = made else { return Ok(Next::Later) };
        let files = made.map_err(|error| self.too_slow(error, &delivery.flow))?;
        let mut tx = work.context.begin_early().await?;
        work.claim.check(&mut tx).await?;
        ledger::note_files(&mut tx, delivery.id, &files).await?;
        tx.commit().await?;
        Ok(Next::Step)
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
            publish::store_manifest(&self.files.store, manifest).await.map_err(ExportError::into_stop)?;
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
        Ok(Done::with(tx))
    }

    /// Ends a delivery that a person has to do something about. The message is done: the next one makes a new delivery.
    async fn failed(&self, context: &Context, claim: Claim, delivery: &Delivery, reason: &str) -> Outcome {
        tracing::warn!(flow = delivery.flow, reason, "the delivery has failed");
        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        ledger::fail(&mut tx, delivery, reason).await?;
        Ok(Done::with(tx))
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

impl Worker for Exporter {
    const NAME: &'static str = "exporter";
    type Task = ExporterTask;

    fn looks_out_every(&self) -> Option<Duration> {
        Some(TIDY_EVERY)
    }

    /// Takes away what deliveries have left: parts, and versions beyond those that are kept.
    async fn look_out(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        if !self.making.is_empty() {
            self.making.keep(&ledger::all_alive(pool).await?);
        }
        for name in ledger::untidy(pool).await? {
            let Ok(Some(claim)) = Claim::take(pool, &format!("flow {name}")).await else { continue };
            if let Some(flow) = passereau_flow::find(pool, &name).await.ok().flatten()
                && let Err(error) = publish::tidy(pool, &self.files.store, &flow).await
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
