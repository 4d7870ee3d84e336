//! Landing: one archive into the two tables of its generation.
//!
//! Rows go into the standalone tables `occurrence_<id>` and `multimedia_<id>` in *parts*. Each part is one transaction of
//! one COPY and the cursor after it, so that a landing that was stopped, by its deadline, a shutdown or a crash, goes on
//! from the last part: it inflates again what lies before, without parsing it. The key is built once all rows are
//! there, which is faster than keeping it up to date, and finds the duplicates. Then both tables become partitions and the
//! generation is `landed`: readers never see half of it.
//!
//! Invariants: `read = landed + duplicate + malformed` at each commit; of two rows with one `gbifID` the one with the newer
//! `lastInterpreted` stays, else the first; memory does not grow with the archive.
//!
//! Fails with [`LandingError`]; nothing of the part that failed stays.

use std::fs::File;
use std::time::Instant;

use passereau_dwca::{Archive, ArchiveError, Table};
use passereau_record::TableKind;
use passereau_record::columns::{Column, LAST_INTERPRETED, MULTIMEDIA_COLUMNS, OCCURRENCE_COLUMNS, resolve};
use passereau_record::copy_binary::{HEADER, TRAILER};
use passereau_telemetry::{Metrics, RecordOutcome, Stage};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::config::LandingConfig;
use crate::error::LandingError;
use crate::generation::{Cursor, Generation, LandedCounts};
use crate::pipeline::{Frame, Pipeline};
use crate::report::{Report, SAMPLES};

/// What to land and for how long.
#[derive(Debug)]
pub struct LandingInput {
    /// The generation, made by [`crate::open_generation`].
    pub generation_id: i64,
    /// The archive itself.
    pub file: File,
    /// Whether `multimedia.txt` is wanted.
    pub multimedia: bool,
    /// When to commit and stop; never when absent.
    pub deadline: Option<Instant>,
    /// Commits and stops when it is cancelled.
    pub cancel: CancellationToken,
    /// The claim under which this is done; every commit checks it.
    pub fence: Option<Fence>,
    /// Settings.
    pub config: LandingConfig,
    /// Where records are counted as they are committed.
    pub metrics: Option<Metrics>,
}

/// A claim's name and token: a row of `passereau.claim` that must still stand when a part is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Name of the claim.
    pub name: String,
    /// The token it was taken with.
    pub token: i64,
}

impl Fence {
    /// Holds the claim until the transaction ends, or fails when another process has it.
    pub(crate) async fn check(&self, connection: &mut PgConnection, generation: i64) -> Result<(), LandingError> {
        let held: Option<i64> =
            sqlx::query_scalar("SELECT token FROM passereau.claim WHERE name = $1 AND token = $2 FOR UPDATE")
                .bind(&self.name)
                .bind(self.token)
                .fetch_optional(connection)
                .await
                .map_err(|source| LandingError::Database { generation, doing: "checking the claim", source })?;
        held.map(|_| ()).ok_or(LandingError::ClaimLost { generation })
    }
}

/// How far a landing came.
#[derive(Clone, Debug, PartialEq)]
pub enum Landed {
    /// The generation is landed.
    Finished {
        /// What was counted.
        counts: LandedCounts,
        /// What is told beside.
        report: Box<Report>,
    },
    /// It was stopped; call again to go on.
    Unfinished {
        /// Where it goes on.
        cursor: Cursor,
    },
}

/// Lands an archive, or goes on landing it. A generation that is already landed is only reported.
pub async fn land(pool: &PgPool, input: LandingInput) -> Result<Landed, LandingError> {
    let id = input.generation_id;
    let database = |doing| move |source| LandingError::Database { generation: id, doing, source };
    let found = Generation::find(pool, id).await.map_err(database("reading where it stands"))?;
    let generation = match found {
        Some(generation) if generation.state == "loading" => generation,
        Some(generation) if generation.state != "dropped" => return Ok(finished(generation)),
        other => {
            let state = other.map_or_else(|| "missing".to_owned(), |generation| generation.state);
            return Err(LandingError::NotLoading { generation: id, state });
        }
    };
    let mut transaction = pool.begin().await.map_err(database("beginning to make its tables"))?;
    hold(&mut transaction, id).await?;
    sqlx::query("SELECT pinv_gbif.begin_generation($1)")
        .bind(id)
        .execute(&mut *transaction)
        .await
        .map_err(database("making its tables"))?;
    transaction.commit().await.map_err(database("making its tables"))?;

    let LandingInput { file, multimedia, deadline, cancel, fence, config, metrics, .. } = input;
    let limits = config.limits.clone();
    let mut archive = tokio::task::spawn_blocking(move || Archive::open(file, limits))
        .await
        .map_err(|source| LandingError::Thread { generation: id, source })?
        .map_err(|source| LandingError::Archive { generation: id, source })?;
    let core = archive.core().clone();
    let extension = archive.multimedia().filter(|_| multimedia).cloned();
    let mut landing = Landing { pool, generation, deadline, cancel, fence, config, metrics };
    landing.describe(&archive, &core, extension.as_ref());

    if !landing.generation.report.occurrence_done {
        match landing.table(archive, TableKind::Occurrence, core).await? {
            Some(given_back) => archive = given_back,
            None => return Ok(Landed::Unfinished { cursor: landing.generation.cursor }),
        }
    }
    if let Some(table) = extension
        && !landing.generation.report.multimedia_done
        && landing.table(archive, TableKind::Multimedia, table).await?.is_none()
    {
        return Ok(Landed::Unfinished { cursor: landing.generation.cursor });
    }
    landing.complete().await?;
    Ok(finished(landing.generation))
}

fn finished(generation: Generation) -> Landed {
    Landed::Finished { counts: generation.counts, report: Box::new(generation.report) }
}

/// A landing under way.
struct Landing<'p> {
    pool: &'p PgPool,
    generation: Generation,
    deadline: Option<Instant>,
    cancel: CancellationToken,
    fence: Option<Fence>,
    config: LandingConfig,
    metrics: Option<Metrics>,
}

impl Landing<'_> {
    /// What has been committed since it was counted last.
    fn tell(&self, after: &LandedCounts, outcomes: &[RecordOutcome]) {
        let Some(metrics) = &self.metrics else { return };
        let before = &self.generation.counts;
        for outcome in outcomes {
            let (before, after) = match outcome {
                RecordOutcome::Read => (before.read, after.read),
                RecordOutcome::Malformed => (before.malformed, after.malformed),
                RecordOutcome::Duplicate => (before.duplicate, after.duplicate),
                // Known at the end alone, once duplicates are gone.
                _ => (0, after.landed),
            };
            metrics.records(Stage::Landed, *outcome, after.saturating_sub(before));
        }
    }

    fn database(&self, doing: &'static str) -> impl FnOnce(sqlx::Error) -> LandingError + use<> {
        let generation = self.generation.id;
        move |source| LandingError::Database { generation, doing, source }
    }

    fn archive(&self, source: ArchiveError) -> LandingError {
        LandingError::Archive { generation: self.generation.id, source }
    }

    /// Notes which wanted terms and which tables the archive does not have.
    fn describe(&mut self, archive: &Archive<File>, core: &Table, multimedia: Option<&Table>) {
        let mut missing = missing_columns("occurrence", &OCCURRENCE_COLUMNS, core);
        missing.extend(missing_columns("occurrence", &[LAST_INTERPRETED], core));
        if let Some(table) = multimedia {
            missing.extend(missing_columns("multimedia", &MULTIMEDIA_COLUMNS, table));
        }
        self.generation.report.missing_terms = missing;
        self.generation.report.absent_tables = archive.absent().into_iter().map(str::to_owned).collect();
    }

    /// Lands the rest of one table. Gives the archive back at its end; nothing when it was stopped before.
    async fn table(
        &mut self,
        archive: Archive<File>,
        kind: TableKind,
        table: Table,
    ) -> Result<Option<Archive<File>>, LandingError> {
        let skip = match kind {
            TableKind::Occurrence => self.generation.cursor.occurrence,
            TableKind::Multimedia => self.generation.cursor.multimedia,
        };
        let mut pipeline = Pipeline::start(archive, kind, table, self.config.limits.max_line_bytes, skip);
        let mut ended = Ok(Part::Full);
        while matches!(ended, Ok(Part::Full)) {
            ended = self.part(&mut pipeline, kind).await;
        }
        // Both threads have stopped before anything else is done with the file.
        let stopped = pipeline.stop().await;
        let generation = self.generation.id;
        let archive = stopped.map_err(|source| LandingError::Thread { generation, source })?;
        Ok(match ended? {
            Part::Last => Some(archive),
            Part::Full | Part::Stopped => None,
        })
    }

    /// Copies and commits one part.
    async fn part(&mut self, pipeline: &mut Pipeline, kind: TableKind) -> Result<Part, LandingError> {
        let name = match kind {
            TableKind::Occurrence => "occurrence",
            TableKind::Multimedia => "multimedia",
        };
        let id = self.generation.id;
        let statement = format!("COPY pinv_gbif.{name}_{id} ({}) FROM STDIN (FORMAT binary)", kind.copy_columns());
        let from = self.generation.cursor;
        let mut after = self.generation.clone();
        let (mut read, mut rows) = (0, 0);

        let mut transaction = self.pool.begin().await.map_err(self.database("beginning a part"))?;
        hold(&mut transaction, id).await?;
        let mut copy = transaction.copy_in_raw(&statement).await.map_err(self.database("beginning to copy"))?;
        copy.send(&HEADER[..]).await.map_err(self.database("copying"))?;
        let end = loop {
            let frame = tokio::select! {
                biased;
                () = self.cancel.cancelled() => break Part::Stopped,
                frame = pipeline.next() => frame,
            };
            match frame {
                None => break Part::Last,
                Some(Ok(frame)) => {
                    copy.send(frame.bytes.as_slice()).await.map_err(self.database("copying"))?;
                    read += frame.read;
                    rows += frame.rows;
                    count(&mut after, kind, &frame);
                    pipeline.recycle(frame.bytes);
                }
                Some(Err(source)) => {
                    copy.abort("the archive cannot be read").await.map_err(self.database("giving up a part"))?;
                    return Err(self.archive(source));
                }
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break Part::Stopped;
            }
            if read >= self.config.part_records {
                break Part::Full;
            }
        };
        copy.send(&TRAILER[..]).await.map_err(self.database("copying"))?;
        let stored = copy.finish().await.map_err(self.database("copying"))?;
        if stored != rows {
            return Err(LandingError::RowsLost { generation: id, sent: rows, stored });
        }
        if matches!(end, Part::Last) {
            match kind {
                TableKind::Occurrence => after.report.occurrence_done = true,
                TableKind::Multimedia => after.report.multimedia_done = true,
            }
        }
        self.check_fence(&mut transaction).await?;
        let saved = after.save(&mut transaction, from).await.map_err(self.database("saving the cursor"))?;
        if !saved {
            return Err(LandingError::ClaimLost { generation: id });
        }
        transaction.commit().await.map_err(self.database("committing a part"))?;
        self.tell(&after.counts, &[RecordOutcome::Read, RecordOutcome::Malformed]);
        self.generation = after;
        Ok(end)
    }

    async fn check_fence(&self, connection: &mut PgConnection) -> Result<(), LandingError> {
        match &self.fence {
            Some(fence) => fence.check(connection, self.generation.id).await,
            None => Ok(()),
        }
    }

    /// Builds the key, removes duplicates if there are any, and makes both tables partitions.
    async fn complete(&mut self) -> Result<(), LandingError> {
        let id = self.generation.id;
        let from = self.generation.cursor;
        let mut transaction = self.pool.begin().await.map_err(self.database("beginning to complete it"))?;
        hold(&mut transaction, id).await?;
        self.check_fence(&mut transaction).await?;
        let attempt = attach(&mut transaction, id).await;
        let duplicate = match attempt {
            Ok(()) => 0,
            Err(sqlx::Error::Database(refusal)) if refusal.is_unique_violation() => {
                let removed =
                    remove_duplicates(&mut transaction, id).await.map_err(self.database("removing duplicates"))?;
                attach(&mut transaction, id).await.map_err(self.database("building its key"))?;
                removed
            }
            Err(error) => return Err(self.database("building its key")(error)),
        };
        let mut after = self.generation.clone();
        after.state = "landed".to_owned();
        after.counts.duplicate = duplicate;
        after.counts.landed -= duplicate;
        let saved = after.save(&mut transaction, from).await.map_err(self.database("saving its counts"))?;
        if !saved {
            return Err(LandingError::ClaimLost { generation: id });
        }
        transaction.commit().await.map_err(self.database("committing its key"))?;
        self.tell(&after.counts, &[RecordOutcome::Landed, RecordOutcome::Duplicate]);
        self.generation = after;
        Ok(())
    }
}

/// Keeps the generation's harvest from being cancelled until the end of the transaction: its tables would be dropped under
/// the work. First of all locks, as everywhere.
async fn hold(connection: &mut PgConnection, generation: i64) -> Result<(), LandingError> {
    let held: Option<bool> =
        sqlx::query_scalar("SELECT passereau.hold(g.harvest_id) FROM pinv_gbif.generation g WHERE g.id = $1")
            .bind(generation)
            .fetch_optional(connection)
            .await
            .map_err(|source| LandingError::Database { generation, doing: "holding its harvest", source })?;
    if held == Some(false) { Err(LandingError::ClaimLost { generation }) } else { Ok(()) }
}

/// Why a part ended.
enum Part {
    /// It holds as many records as a part may.
    Full,
    /// The table is at its end.
    Last,
    /// The deadline passed or the process is to stop.
    Stopped,
}

/// Adds a frame to what is counted.
fn count(generation: &mut Generation, kind: TableKind, frame: &Frame) {
    let (counts, report) = (&mut generation.counts, &mut generation.report);
    let samples = match kind {
        TableKind::Occurrence => {
            generation.cursor.occurrence += frame.read;
            counts.read += frame.read;
            counts.landed += frame.rows;
            counts.malformed += frame.malformed;
            &mut report.malformed
        }
        TableKind::Multimedia => {
            generation.cursor.multimedia += frame.read;
            counts.multimedia += frame.rows;
            report.multimedia_malformed += frame.malformed;
            &mut report.multimedia_malformed_rows
        }
    };
    let room = SAMPLES.saturating_sub(samples.len());
    samples.extend(frame.samples.iter().take(room).cloned());
    for (column, unreadable) in &frame.unreadable {
        *report.unreadable.entry((*column).to_owned()).or_default() += unreadable;
    }
}

fn missing_columns(table_name: &str, columns: &[Column], table: &Table) -> Vec<String> {
    let fields = resolve(columns, table);
    let missing = columns.iter().zip(fields).filter(|(_, field)| field.is_none());
    missing.map(|(column, _)| format!("{table_name}.{}", column.name)).collect()
}

/// Calls `complete_generation` under a savepoint, so that duplicates do not undo the transaction.
async fn attach(connection: &mut PgConnection, generation: i64) -> Result<(), sqlx::Error> {
    let mut savepoint = connection.begin().await?;
    let attached =
        sqlx::query("SELECT pinv_gbif.complete_generation($1)").bind(generation).execute(&mut *savepoint).await;
    match attached {
        Ok(_) => savepoint.commit().await,
        Err(error) => {
            savepoint.rollback().await?;
            Err(error)
        }
    }
}

/// Keeps the newest of each number's rows, else the first, and returns how many went.
async fn remove_duplicates(connection: &mut PgConnection, generation: i64) -> Result<u64, sqlx::Error> {
    let table = format!("pinv_gbif.occurrence_{generation}");
    // The only thing that is not bound is the number of the generation.
    let statement = AssertSqlSafe(format!(
        "DELETE FROM {table} d
         USING (SELECT o.ctid, row_number() OVER (PARTITION BY o.gbif_id
                                                  ORDER BY o.last_interpreted DESC NULLS LAST, o.ctid) AS rank
                FROM {table} o
                WHERE o.gbif_id IN (SELECT gbif_id FROM {table} GROUP BY gbif_id HAVING count(*) > 1)) ranked
         WHERE d.ctid = ranked.ctid AND ranked.rank > 1"
    ));
    Ok(sqlx::query(statement).execute(connection).await?.rows_affected())
}
