//! The messages of the fleet: kinds, versions, schemas.
//!
//! Terms. A *message* is a small JSON body with a stable *kind* (its AMQP routing key and `type`) and a *version* (header
//! [`VERSION_HEADER`], 1 when absent). A message **names** things (a harvest, a slice); data never travels in it. A
//! *task* is what one worker can be asked to do: the closed set of kinds bound to its queue.
//!
//! Invariants. A kind never changes its name, a published version never changes its shape: a test compares every schema
//! and example with the files in `docs/contracts/`. Unknown fields are refused, so that a misspelt option is an error and
//! not silence.
//!
//! Failure. Decoding returns a [`DecodeError`] that says whether the kind, the version or the body is at fault; the
//! runner turns it into a dead letter. Nothing here panics on input.

mod cancel;
mod catalogue;
mod event;
mod message;
mod request;
mod settings;
mod stage;
mod task;

pub use cancel::HarvestCancel;
pub use catalogue::{Contract, contracts};
pub use event::{Counts, Event, EventKind};
pub use message::{DecodeError, MAX_BODY_BYTES, Message, VERSION_HEADER, decode};
pub use request::{HarvestApprove, HarvestRequest, Origin, RequestProblem};
pub use settings::{
    Acceptable, AlreadyPresent, Metadata, Obscured, Observers, SubscriptionSettings, UuidAbsent, Vanished,
};
pub use stage::{
    ArchiveFetch, ArchiveLoad, DatasetDescribe, DownloadPoll, DownloadRequest, HarvestFinish, HarvestPlan, InatEnrich,
    SyntheseUpsert,
};
pub use task::{
    DownloaderTask, EnricherTask, LoaderTask, PollerTask, RequesterTask, Task, UpserterTask, WORKERS, WorkerKinds,
};
