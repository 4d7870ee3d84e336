//! The handler: a delivery, step by step.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use passereau_contracts::ExporterTask;
use passereau_flow::{Flow, Standing};
use passereau_gate::Query;
use passereau_runner::{Claim, Context, Done, Outcome, Stop, Worker};
use passereau_store::{Store, StoreError};
use passereau_telemetry::{DeliveryOutcome, Leaving, Metrics, Moved, spans::database};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    config::{ExportConfig, ExporterConfig},
    error::ExportError,
    files::{Files, Made},
    ledger::{self, Delivery, StoredPart},
    making::Making,
    part::{self, Which},
    publish,
    scratch::Scratch,
    statuses, tidy,
    write::{self, Shape},
};

/// Time between two looks at what deliveries have left.
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// When a message looks again whether the delivery of another one has ended.
const NEXT_AFTER: Duration = Duration::from_secs(10);
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

/// What became of the steps of one handling.
enum Worked {
    /// The message comes again for the rest.
    Paused,
    /// There are no more steps.
    Finished(Delivery, Finish),
    /// A step did not succeed.
    Failed(Delivery, ExportError),
}

/// What became of the end of a delivery.
enum Ended {
    /// It is written down.
    Done(Box<Done>),
    /// Nothing was: the flow is another one than a moment ago.
    Changed(Claim),
}

impl Ended {
    fn failed(tx: Transaction<'static, Postgres>, flow: &str) -> Self {
        let flow = flow.to_owned();
        Self::Done(Box::new(Done::with(tx).count(move |metrics| metrics.delivered(&flow, DeliveryOutcome::Failed))))
    }
}

impl Exporter {
    /// Opens the store.
    ///
    /// # Errors
    /// The store or the scratch folder cannot be opened; the error names the setting.
    pub fn new(config: &ExporterConfig) -> Result<Self, StoreError> {
        let store = Store::open(&config.store)?;
        let scratch = Scratch::open(&config.store.scratch)
            .map_err(|source| StoreError::Scratch { folder: config.store.scratch.clone(), source })?;
        Ok(Self {
            files: Files { store, scratch: Arc::new(scratch) },
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
        let mut claim = context.claim(&format!("flow {name}")).await?;
        let (mut steps, mut has_begun_again) = (0, false);
        loop {
            let Some(flow) = passereau_flow::find(context.pool(), name)
                .await
                .map_err(|error| ExportError::from(error).into_stop())?
            else {
                return Err(Stop::reject(format!(
                    "there is no flow {name}; `passereau flow list` shows those that there are"
                )));
            };
            if !flow.standing(Utc::now()).is_active() {
                match self.refuse(context, claim, &flow).await? {
                    Ended::Done(done) => return Ok(*done),
                    Ended::Changed(held) => claim = held,
                }
                continue;
            }
            context.metrics().delivering(&flow.name);
            let taken_up = self.taken_up(context, &claim, &flow).await?;
            let query = Query::new(flow.agreement.selection(flow.version), flow.agreement.fields());
            let work = Work { context, claim: &claim, flow: &flow, query: &query };
            match self.work_on(&work, taken_up.id, &mut steps).await? {
                Worked::Paused => break,
                Worked::Finished(delivery, finish) => {
                    match self.finish(context, claim, &flow, &delivery, finish).await? {
                        Ended::Done(done) => return Ok(*done),
                        Ended::Changed(held) => claim = held,
                    }
                }
                // The flow is found again, with what is in force now, and what follows another version is given up.
                Worked::Failed(_, ExportError::Changed { .. }) => {}
                Worked::Failed(delivery, error) if error.is_of_the_parts() && !has_begun_again => {
                    has_begun_again = true;
                    let reason = format!("{error}; a delivery with rows that are read again follows");
                    self.begin(context, &claim, &flow, Some((&delivery, &reason))).await?;
                }
                Worked::Failed(delivery, error) if error.is_final() => {
                    return self.failed(context, claim, &delivery, &error.to_string()).await;
                }
                Worked::Failed(_, error) => return Err(error.into_stop()),
            }
        }
        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        Ok(Done::with(tx).again(Duration::ZERO, "the delivery goes on"))
    }

    /// Steps of one delivery, until it ends or the handling must.
    async fn work_on(&self, work: &Work<'_>, id: Uuid, steps: &mut u32) -> Result<Worked, Stop> {
        let (context, name) = (work.context, &work.flow.name);
        loop {
            // Read again after each step: what is written down is what counts.
            let alive = ledger::alive(context.pool(), name).await?;
            let Some(delivery) = alive.filter(|delivery| delivery.id == id) else {
                return Err(Stop::retry(format!("the delivery of flow {name} is gone; it is looked at again")));
            };
            if delivery.is_old {
                return Ok(Worked::Failed(delivery, ExportError::Old { flow: name.clone() }));
            }
            // The first step of a handling always fits: whatever the limits, a delivery gets on.
            if context.must_pause() || (*steps > 0 && !self.fits(context, &delivery)) {
                return Ok(Worked::Paused);
            }
            *steps += 1;
            match self.step(work, &delivery).await {
                Ok(Next::Step) => {}
                Ok(Next::Later) => return Ok(Worked::Paused),
                Ok(Next::Finish(finish)) => return Ok(Worked::Finished(delivery, finish)),
                Err(error) => return Ok(Worked::Failed(delivery, error)),
            }
        }
    }

    /// Whether the longest next step would end before the runner wants its message back.
    fn fits(&self, context: &Context, delivery: &Delivery) -> bool {
        delivery.state != "reading" || Instant::now() + self.longest_snapshot() <= context.deadline()
    }

    fn longest_snapshot(&self) -> Duration {
        Duration::from_secs(self.config.export_snapshot_s.into())
    }

    /// The delivery that this message has asked for, or a new one. One of another message is waited for, unless nothing can come of it any more.
    async fn taken_up(&self, context: &Context, claim: &Claim, flow: &Flow) -> Result<Delivery, Stop> {
        let Some(alive) = ledger::alive(context.pool(), &flow.name).await? else {
            return self.begin(context, claim, flow, None).await;
        };
        let given_up = if alive.flow_version != flow.version {
            "the agreement has changed meanwhile; a delivery of the new version follows".to_owned()
        } else if alive.is_old {
            format!(
                "{}; a delivery with rows that are read again follows",
                ExportError::Old { flow: flow.name.clone() }
            )
        } else if alive.asked_by == context.message_id() {
            ledger::worked_on(context.pool(), alive.id).await?;
            return Ok(alive);
        } else if alive.is_idle {
            "its message has not come again; another one's delivery follows".to_owned()
        } else {
            let because =
                format!("delivery {} of flow {} is being made, the next one comes after it", alive.id, flow.name);
            return Err(Stop::snooze(NEXT_AFTER, because));
        };
        self.begin(context, claim, flow, Some((&alive, &given_up))).await
    }

    /// Begins a delivery, in the transaction that gives another one up: the message has one that goes on, or none, at any time.
    async fn begin(
        &self,
        context: &Context,
        claim: &Claim,
        flow: &Flow,
        instead_of: Option<(&Delivery, &str)>,
    ) -> Result<Delivery, Stop> {
        let mut tx = context.begin_early().await?;
        claim.check(&mut tx).await?;
        if let Some((old, reason)) = instead_of {
            tracing::warn!(flow = flow.name, delivery_id = %old.id, reason, "the delivery is given up");
            ledger::fail(&mut tx, old, reason).await?;
        }
        let delivery = ledger::begin(&mut tx, context.message_id(), &flow.name, flow.version).await?;
        tx.commit().await?;
        Ok(delivery)
    }

    async fn step(&self, work: &Work<'_>, delivery: &Delivery) -> Result<Next, ExportError> {
        match delivery.state.as_str() {
            "reading" => self.read_part(work, delivery).await,
            _ => self.write_file(work, delivery).await,
        }
    }

    /// Reads the next part; after the last one files follow.
    async fn read_part(&self, work: &Work<'_>, delivery: &Delivery) -> Result<Next, ExportError> {
        let limit = self.config.export_part_rows.get();
        let which = delivery.cursor.map_or(Which::Blurred, |after| Which::Exact { after, limit });
        let mut summary = delivery.tally.clone().unwrap_or_default();
        let key = publish::part_key(delivery, delivery.parts)?;
        let until = Instant::now() + self.longest_snapshot();
        let read = async {
            let longest = self.longest_snapshot();
            let mut connection = part::snapshot(work.context.pool(), work.query, &delivery.flow, longest).await?;
            if which == Which::Blurred {
                summary.withheld = work.query.tally(&mut connection).await?;
                summary.withheld.retain(|tally| tally.outcome == "withheld");
                // Both statements share the time of one snapshot.
                part::limit(&mut connection, until.saturating_duration_since(Instant::now())).await?;
            }
            let store = &self.files.store;
            let read =
                part::read(&mut connection, store, work.query, which, &key, &delivery.flow, &mut summary).await?;
            // All of it was read: the server is told goodbye.
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a connection could not be closed");
            }
            Ok(read)
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
        ledger::write_next(
            &mut tx,
            delivery.id,
            &digest,
            &publish::folder(delivery.read_at.unwrap_or_default(), delivery.id),
        )
        .await?;
        tx.commit().await?;
        Ok(Next::Step)
    }

    /// Writes the next file; after the last one the manifest. The statuses come first: whether they have changed decides whether the others are made.
    async fn write_file(&self, work: &Work<'_>, delivery: &Delivery) -> Result<Next, ExportError> {
        let (pool, agreement) = (work.context.pool(), &work.flow.agreement);
        let lacks_statuses = agreement.statuses && !delivery.files.contains_key(statuses::EXTENSION);
        if lacks_statuses && statuses::are_known(pool).await? {
            let (files, pool, of) = (self.files.clone(), pool.clone(), delivery.clone());
            let (fields, longest) = (work.query.fields().to_vec(), self.longest_snapshot());
            let csv = agreement.csv.options();
            return self
                .made(work, delivery, statuses::EXTENSION, |stop| files.statuses(pool, of, fields, csv, longest, stop))
                .await;
        }
        if lacks_statuses && delivery.files.is_empty() {
            tracing::warn!(
                flow = delivery.flow,
                "the delivery goes without its file of statuses: taxonomie.v_bdc_status is not there, or this role may not read it (`passereau install --exporter-role`)"
            );
        }
        if publish::is_current(pool, &self.files.store, delivery).await? {
            return Ok(Next::Finish(Finish::Unchanged));
        }
        let missing = agreement.formats.iter().find(|format| !delivery.files.contains_key(format.extension()));
        if let Some(format) = missing {
            let shape = Shape {
                format: *format,
                layer: write::layer(work.flow, delivery, work.query.fields(), *format),
                csv: agreement.csv.options(),
                fields: work.query.fields().len(),
                flow: delivery.flow.clone(),
            };
            let (files, pool, of) = (self.files.clone(), pool.clone(), delivery.clone());
            return self.made(work, delivery, format.extension(), |stop| files.format(pool, of, shape, stop)).await;
        }
        let manifest = publish::manifest(pool, work.flow, delivery, work.query.fields()).await?;
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
        work.context.metrics().bytes(Moved::Exported, files.values().map(|file| file.size_bytes).sum());
        let mut tx = work.context.begin_early().await?;
        work.claim.check(&mut tx).await?;
        ledger::note_files(&mut tx, delivery.id, &files).await?;
        tx.commit().await?;
        Ok(Next::Step)
    }

    /// Ends a delivery whose files are there. Whether it may be published is asked again, of the flow as nobody changes it until then.
    async fn finish(
        &self,
        context: &Context,
        claim: Claim,
        flow: &Flow,
        delivery: &Delivery,
        finish: Finish,
    ) -> Result<Ended, Stop> {
        if let Finish::Delivered(manifest) = &finish {
            publish::store_manifest(&self.files.store, manifest).await.map_err(ExportError::into_stop)?;
        }
        let mut tx = context.begin().await?;
        let now = held(&mut tx, &flow.name).await?;
        if now.version != flow.version {
            return Ok(Ended::Changed(claim));
        }
        claim.release(&mut tx).await?;
        let standing = now.standing(Utc::now());
        if !standing.is_active() {
            refused(&mut tx, &now, &standing, delivery).await?;
            return Ok(Ended::failed(tx, &flow.name));
        }
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
        let done = Done::with(tx).count(move |metrics| finish.tell(metrics, &name));
        Ok(Ended::Done(Box::new(done)))
    }

    /// Ends what a flow that may not be delivered has: the delivery of whatever message, and that of this one.
    async fn refuse(&self, context: &Context, claim: Claim, flow: &Flow) -> Result<Ended, Stop> {
        let alive = ledger::alive(context.pool(), &flow.name).await?;
        let mut tx = context.begin().await?;
        let now = held(&mut tx, &flow.name).await?;
        let standing = now.standing(Utc::now());
        if standing.is_active() {
            return Ok(Ended::Changed(claim));
        }
        claim.release(&mut tx).await?;
        let asked_by = context.message_id();
        if let Some(alive) = &alive {
            refused(&mut tx, &now, &standing, alive).await?;
        }
        if alive.is_none_or(|alive| alive.asked_by != asked_by) {
            let own = ledger::begin(&mut tx, asked_by, &now.name, now.version).await?;
            refused(&mut tx, &now, &standing, &own).await?;
        }
        Ok(Ended::failed(tx, &flow.name))
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

    fn too_slow(&self, error: ExportError, flow: &str) -> ExportError {
        let seconds = self.config.export_snapshot_s;
        match error {
            ExportError::Cancelled(_) => ExportError::TooSlow { flow: flow.to_owned(), seconds },
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

/// A flow that nobody changes until the transaction ends.
async fn held(tx: &mut PgConnection, name: &str) -> Result<Flow, Stop> {
    let found = passereau_flow::find_held(tx, name).await.map_err(|error| ExportError::from(error).into_stop())?;
    found.ok_or_else(|| Stop::retry(format!("flow {name} is gone; it is looked at again")))
}

/// Ends a delivery of a flow that may not be delivered. One that has ended is not asked for again, until an agreement with a later end is applied.
async fn refused(
    tx: &mut PgConnection,
    flow: &Flow,
    standing: &Standing,
    delivery: &Delivery,
) -> Result<(), sqlx::Error> {
    tracing::warn!(flow = flow.name, %standing, "the flow is not delivered");
    ledger::fail(tx, delivery, &format!("flow {} is not delivered: {standing}", flow.name)).await?;
    if matches!(standing, Standing::Ended { .. } | Standing::AuthorisationEnded { .. }) {
        ledger::suspend_schedule(tx, &flow.name, &standing.to_string()).await?;
    }
    Ok(())
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
        for name in tidy::untidy(pool).await? {
            let Ok(Some(claim)) = Claim::take(pool, &format!("flow {name}")).await else { continue };
            if let Err(error) = tidy::tidy(pool, &self.files.store, &name).await {
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
