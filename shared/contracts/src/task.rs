//! What each worker can be asked to do, and the table of all workers.

use uuid::Uuid;

use crate::{
    ArchiveFetch, ArchiveLoad, DatasetDescribe, DecodeError, DownloadPoll, DownloadRequest, FlowDeliver,
    HarvestApprove, HarvestCancel, HarvestFinish, HarvestPlan, HarvestRequest, InatEnrich, Message, RetentionRun,
    SyntheseUpsert, decode,
};

/// The closed set of messages of one worker.
pub trait Task: Send + Sync + Sized + 'static {
    /// Decodes a message of the worker's queue.
    ///
    /// # Errors
    /// [`DecodeError`]: kind, version or body.
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError>;

    /// The harvest that the message is about, when it names one.
    fn harvest_id(&self) -> Option<Uuid>;
}

/// One worker and the kinds that its queue is bound to.
#[derive(Clone, Copy, Debug)]
pub struct WorkerKinds {
    /// Name of the worker; its queue is `passereau.<name>`.
    pub worker: &'static str,
    /// Routing keys.
    pub kinds: &'static [&'static str],
}

/// All workers: those of a harvest in the order in which it meets them, then those of flows and schedules.
pub const WORKERS: &[WorkerKinds] = &[
    WorkerKinds {
        worker: "requester",
        kinds: &[HarvestRequest::KIND, HarvestCancel::KIND, DownloadRequest::KIND, DatasetDescribe::KIND],
    },
    WorkerKinds { worker: "poller", kinds: &[DownloadPoll::KIND] },
    WorkerKinds { worker: "downloader", kinds: &[ArchiveFetch::KIND] },
    WorkerKinds { worker: "loader", kinds: &[ArchiveLoad::KIND] },
    WorkerKinds { worker: "inat-enricher", kinds: &[InatEnrich::KIND] },
    WorkerKinds {
        worker: "upserter",
        kinds: &[HarvestPlan::KIND, HarvestApprove::KIND, SyntheseUpsert::KIND, HarvestFinish::KIND],
    },
    WorkerKinds { worker: "exporter", kinds: &[FlowDeliver::KIND] },
    WorkerKinds { worker: "scheduler", kinds: &[RetentionRun::KIND] },
];

fn unknown(kind: &str) -> DecodeError {
    DecodeError::UnknownKind { kind: kind.to_owned() }
}

/// Tasks of the requester.
#[derive(Clone, Debug)]
pub enum RequesterTask {
    /// Somebody asks for a harvest.
    Harvest(Box<HarvestRequest>),
    /// Somebody ends a harvest.
    Cancel(HarvestCancel),
    /// A harvest asks for its download.
    Download(DownloadRequest),
    /// A harvest asks about its datasets.
    Describe(DatasetDescribe),
}

impl Task for RequesterTask {
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        match kind {
            HarvestRequest::KIND => Ok(Self::Harvest(Box::new(decode(version, body)?))),
            HarvestCancel::KIND => Ok(Self::Cancel(decode(version, body)?)),
            DownloadRequest::KIND => Ok(Self::Download(decode(version, body)?)),
            DatasetDescribe::KIND => Ok(Self::Describe(decode(version, body)?)),
            other => Err(unknown(other)),
        }
    }

    fn harvest_id(&self) -> Option<Uuid> {
        match self {
            // A cancellation that fails is none of the harvest's failures, and a paused harvest can be cancelled.
            Self::Harvest(_) | Self::Cancel(_) => None,
            Self::Download(message) => Some(message.harvest_id),
            Self::Describe(message) => Some(message.harvest_id),
        }
    }
}

/// The task of the poller.
#[derive(Clone, Debug)]
pub struct PollerTask(pub DownloadPoll);

/// The task of the downloader.
#[derive(Clone, Debug)]
pub struct DownloaderTask(pub ArchiveFetch);

/// The task of the loader.
#[derive(Clone, Debug)]
pub struct LoaderTask(pub ArchiveLoad);

/// The task of the inat-enricher.
#[derive(Clone, Debug)]
pub struct EnricherTask(pub InatEnrich);

impl Task for PollerTask {
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        only(kind, version, body).map(Self)
    }

    fn harvest_id(&self) -> Option<Uuid> {
        Some(self.0.harvest_id)
    }
}

impl Task for DownloaderTask {
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        only(kind, version, body).map(Self)
    }

    fn harvest_id(&self) -> Option<Uuid> {
        Some(self.0.harvest_id)
    }
}

impl Task for LoaderTask {
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        only(kind, version, body).map(Self)
    }

    fn harvest_id(&self) -> Option<Uuid> {
        Some(self.0.harvest_id)
    }
}

impl Task for EnricherTask {
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        only(kind, version, body).map(Self)
    }

    fn harvest_id(&self) -> Option<Uuid> {
        Some(self.0.harvest_id)
    }
}

/// The task of the exporter.
#[derive(Clone, Debug)]
pub struct ExporterTask(pub FlowDeliver);

impl Task for ExporterTask {
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        only(kind, version, body).map(Self)
    }

    fn harvest_id(&self) -> Option<Uuid> {
        None
    }
}

/// The task of the scheduler.
#[derive(Clone, Debug)]
pub struct SchedulerTask(pub RetentionRun);

impl Task for SchedulerTask {
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        only(kind, version, body).map(Self)
    }

    fn harvest_id(&self) -> Option<Uuid> {
        None
    }
}

/// Decodes for a worker that has one kind only.
fn only<M: Message>(kind: &str, version: u16, body: &[u8]) -> Result<M, DecodeError> {
    if kind == M::KIND { decode(version, body) } else { Err(unknown(kind)) }
}

/// Tasks of the upserter.
#[derive(Clone, Debug)]
pub enum UpserterTask {
    /// Make the plan.
    Plan(HarvestPlan),
    /// Apply a plan that waited for it.
    Approve(HarvestApprove),
    /// Write a slice of it.
    Upsert(SyntheseUpsert),
    /// Close the harvest.
    Finish(HarvestFinish),
}

impl Task for UpserterTask {
    fn decode(kind: &str, version: u16, body: &[u8]) -> Result<Self, DecodeError> {
        match kind {
            HarvestPlan::KIND => Ok(Self::Plan(decode(version, body)?)),
            HarvestApprove::KIND => Ok(Self::Approve(decode(version, body)?)),
            SyntheseUpsert::KIND => Ok(Self::Upsert(decode(version, body)?)),
            HarvestFinish::KIND => Ok(Self::Finish(decode(version, body)?)),
            other => Err(unknown(other)),
        }
    }

    fn harvest_id(&self) -> Option<Uuid> {
        match self {
            Self::Plan(message) => Some(message.harvest_id),
            Self::Approve(message) => Some(message.harvest_id),
            Self::Upsert(message) => Some(message.harvest_id),
            Self::Finish(message) => Some(message.harvest_id),
        }
    }
}
