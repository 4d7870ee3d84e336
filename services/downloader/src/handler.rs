//! `archive.fetch`: from the key of a download to a verified archive in the store.

use std::time::Duration;

use passereau_contracts::{ArchiveLoad, DownloaderTask};
use passereau_dwca::Limits;
use passereau_gbif::client::ArchivePlace;
use passereau_gbif::{DownloadKey, GbifClient, GbifConfig};
use passereau_harvest::{Harvest, State, advance, in_state};
use passereau_http::{HttpClient, HttpConfig, HttpError, Url};
use passereau_runner::{Claim, Context, Done, Outcome, Stop, Worker};
use passereau_store::{ObjectKey, Store, StoreConfig, Stored};

use crate::archive::{self, archive_key};
use crate::config::{FetchConfig, next_look};
use crate::error::FetchError;
use crate::fetch::{Fetch, Fetched, Until};
use crate::joined::Joined;
use crate::ledger::{Progress, Table};
use crate::parts::Cutting;
use crate::room::Room;

/// Everything the downloader is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct DownloaderConfig {
    /// Where archives are kept.
    #[command(flatten)]
    pub store: StoreConfig,
    /// How others are called.
    #[command(flatten)]
    pub http: HttpConfig,
    /// Where GBIF is.
    #[command(flatten)]
    pub gbif: GbifConfig,
    /// What an archive may ask of us.
    #[command(flatten)]
    pub limits: Limits,
    /// How archives are fetched.
    #[command(flatten)]
    pub fetch: FetchConfig,
}

/// The worker.
#[derive(Clone, Debug)]
pub struct Downloader {
    store: Store,
    room: Room,
    http: HttpClient,
    gbif: GbifClient,
    limits: Limits,
    config: FetchConfig,
}

impl Downloader {
    /// Opens the store and prepares the clients.
    ///
    /// # Errors
    /// A setting is wrong; the error names it.
    pub fn new(config: &DownloaderConfig) -> anyhow::Result<Self> {
        let http = HttpClient::new(&config.http)?;
        let store = Store::open(&config.store)?;
        Ok(Self {
            room: Room::of(&store, config.fetch.fetch_reserve_bytes),
            store,
            gbif: GbifClient::new(http.clone(), &config.gbif)?,
            http,
            limits: config.limits.clone(),
            config: config.fetch.clone(),
        })
    }

    /// The archive under its key, fetched if it is not there.
    async fn provide(&self, context: &Context, claim: &Claim, job: &Job) -> Result<Stored, FetchError> {
        let table = Table { pool: context.pool(), claim, harvest_id: job.harvest_id };
        let fetch = Fetch {
            http: &self.http,
            store: &self.store,
            room: &self.room,
            ledger: &table,
            harvest_id: job.harvest_id,
            announced_bytes: job.announced_bytes,
            part_bytes: self.config.fetch_part_bytes,
            metrics: Some(context.metrics()),
        };
        if let Some(stored) = self.already_there(job).await? {
            fetch.drop_parts().await?;
            return Ok(stored);
        }
        let mut progress = table.load(self.config.fetch_part_bytes).await?;
        let until = Until { shutdown: context.shutdown().clone(), deadline: context.deadline() };
        match self.fetch_and_publish(&fetch, job, &mut progress, &until).await {
            Err(FetchError::Corrupt { reason }) if progress.corruptions == 0 => {
                progress.corruptions += 1;
                fetch.begin_anew(&mut progress).await?;
                Err(Stop::retry(format!("the archive is corrupt: {reason}; fetching it again once")).into())
            }
            Err(FetchError::Corrupt { reason }) => {
                fetch.forget(&mut progress).await?;
                Err(Stop::reject(format!(
                    "the archive of download {} is corrupt, fetched twice: {reason}; GBIF made a broken file, and gives the same one back for the \
                     same request within 48 hours: submit the request with a changed predicate, or tell GBIF (https://github.com/gbif/portal-feedback)",
                    job.download_key
                ))
                .into())
            }
            Err(error) => {
                let stop = error.after_steps(progress.steps);
                tracing::info!(harvest_id = %job.harvest_id, steps = progress.steps, %stop, "the archive is not here yet");
                Err(stop)
            }
            Ok(stored) => Ok(stored),
        }
    }

    /// Three steps: fetch, check, publish. Each is begun only while there is time, and the next delivery begins after the last that was done.
    async fn fetch_and_publish(
        &self,
        fetch: &Fetch<'_, Table<'_>>,
        job: &Job,
        progress: &mut Progress,
        until: &Until,
    ) -> Result<Stored, FetchError> {
        let cutting = match fetch.whole(progress).await? {
            Some(cutting) => cutting,
            None => self.fetch_missing(fetch, job, progress, until).await?,
        };
        let archive = |doing| {
            if until.reached() {
                return Err(FetchError::TimeUp { doing });
            }
            Ok(Joined::new(&self.store, job.harvest_id, cutting, until, doing))
        };
        if !progress.verified {
            let verified = archive::check(archive("checking the archive")?, &self.limits).await?;
            fetch.verified(progress).await?;
            tracing::info!(
                harvest_id = %job.harvest_id, size_bytes = cutting.size_bytes,
                entries = verified.entries, inflated_bytes = verified.inflated_bytes, "archive verified"
            );
        }
        // The parts are there; beside them the archive itself is still to be written.
        self.room.check(cutting.size_bytes, cutting.size_bytes)?;
        let stored = archive::publish(&self.store, &job.archive_key, archive("storing the archive")?).await?;
        fetch.drop_parts().await?;
        tracing::info!(harvest_id = %job.harvest_id, archive = %job.archive_key, size_bytes = stored.size_bytes, "archive stored");
        Ok(stored)
    }

    async fn fetch_missing(
        &self,
        fetch: &Fetch<'_, Table<'_>>,
        job: &Job,
        progress: &mut Progress,
        until: &Until,
    ) -> Result<Cutting, FetchError> {
        let url = self.place(job, progress).await?;
        match fetch.run(&url, progress, until).await {
            Ok(Fetched::Whole(cutting)) => Ok(cutting),
            Ok(Fetched::Paused) if progress.steps == 0 && !until.shutdown.is_cancelled() => Err(Stop::retry(format!(
                "not one part of {} bytes came in the time of a delivery; the connection is slow: lower PASSEREAU_FETCH_PART_BYTES",
                progress.part_bytes
            ))
            .into()),
            Ok(Fetched::Paused) => {
                Err(Stop::snooze(Duration::ZERO, format!("{} parts came, going on", progress.steps)).into())
            }
            Err(FetchError::Http(HttpError::Status { status: 404, excerpt, .. })) => {
                Err(self.not_ready(job, progress, &excerpt).into())
            }
            Err(FetchError::Http(HttpError::Status { status: 410, excerpt, .. })) => Err(erased(job, &excerpt).into()),
            Err(error) => Err(error),
        }
    }

    /// An archive under its key is whole and verified: another harvest, or this one before it was stopped, has put it there.
    async fn already_there(&self, job: &Job) -> Result<Option<Stored>, FetchError> {
        match self.store.head(&job.archive_key).await? {
            Some(found) if job.announced_bytes.is_none_or(|announced| announced == found.size_bytes) => {
                Ok(Some(self.store.digest(&job.archive_key).await?))
            }
            _ => Ok(None),
        }
    }

    async fn place(&self, job: &Job, progress: &Progress) -> Result<Url, FetchError> {
        match self.gbif.archive_place(&job.download_key).await.map_err(FetchError::Place)? {
            ArchivePlace::At(url) => Ok(url),
            ArchivePlace::NotReady(text) => Err(self.not_ready(job, progress, &text).into()),
            ArchivePlace::Erased(text) => Err(erased(job, &text).into()),
        }
    }

    /// GBIF answers 404 both for a file that is not there yet and for a key that it does not know: only time tells them apart.
    fn not_ready(&self, job: &Job, progress: &Progress, text: &str) -> Stop {
        if progress.age < self.config.patience() {
            return Stop::snooze(
                next_look(progress.age),
                format!("GBIF has no file for {} yet ({text})", job.download_key),
            );
        }
        Stop::reject(format!(
            "GBIF has had no file for download {} in {} hours ({text}); check the key, or submit the request again",
            job.download_key,
            progress.age.as_secs() / 3600
        ))
    }
}

fn erased(job: &Job, text: &str) -> Stop {
    Stop::reject(format!(
        "GBIF has erased the file of download {} ({text}); files are kept for six months unless cited: submit the request again",
        job.download_key
    ))
}

/// What there is to do.
#[derive(Clone, Debug)]
struct Job {
    harvest_id: uuid::Uuid,
    download_key: DownloadKey,
    archive_key: ObjectKey,
    announced_bytes: Option<u64>,
}

impl Job {
    async fn of(context: &Context, harvest: &Harvest) -> Result<Self, Stop> {
        let text = harvest.download_key.as_deref().unwrap_or_default();
        let download_key: DownloadKey =
            text.parse().map_err(|error| Stop::reject(format!("harvest {}: {error}", harvest.id)))?;
        // 0 means that GBIF could not tell (gbif/registry, OccurrenceDownload.size).
        let announced: Option<i64> =
            sqlx::query_scalar("SELECT size_bytes FROM passereau.download WHERE harvest_id = $1 AND size_bytes > 0")
                .bind(harvest.id)
                .fetch_optional(context.pool())
                .await?;
        Ok(Self {
            harvest_id: harvest.id,
            archive_key: archive_key(text).map_err(FetchError::into_stop)?,
            download_key,
            announced_bytes: announced.and_then(|size| u64::try_from(size).ok()),
        })
    }
}

impl Worker for Downloader {
    const NAME: &'static str = "downloader";
    type Task = DownloaderTask;

    async fn handle(&self, context: &Context, task: DownloaderTask) -> Outcome {
        let id = task.0.harvest_id;
        let Some(harvest) = in_state(context.pool(), id, &[State::Fetching]).await? else {
            return Ok(Done::nothing());
        };
        let job = Job::of(context, &harvest).await?;
        let claim = context.claim(&format!("fetch {}", job.archive_key)).await?;
        let stored = self.provide(context, &claim, &job).await;
        context.metrics().store_full(matches!(stored, Err(FetchError::NoRoom { .. })));
        let stored = stored.map_err(FetchError::into_stop)?;

        let mut tx = context.begin().await?;
        claim.release(&mut tx).await?;
        if !advance(&mut tx, id, State::Fetching, State::Loading).await? {
            return Ok(Done::with(tx));
        }
        sqlx::query(
            "UPDATE passereau.harvest SET archive_key = $2, archive_sha256 = $3, archive_bytes = $4 WHERE id = $1",
        )
        .bind(id)
        .bind(job.archive_key.as_str())
        .bind(&stored.sha256)
        .bind(i64::try_from(stored.size_bytes).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM passereau.fetch WHERE harvest_id = $1").bind(id).execute(&mut *tx).await?;
        Done::with(tx).send(&ArchiveLoad { harvest_id: id })
    }
}
