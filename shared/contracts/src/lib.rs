//! The messages of the fleet: kinds, versions, schemas.
//!
//! Terms. A *message* is a small JSON body with a stable *kind* (its AMQP routing key and `type`) and a *version* (header
//! [`VERSION_HEADER`], 1 when absent). A message **names** things (a harvest, a slice); data never travels in it. A
//! *task* is what one worker can be asked to do: the closed set of kinds bound to its queue.
//!
//! Invariants. A kind never changes its name, a published version never changes its shape: a test compares every schema
//! and example with the files in `docs/contracts/` (`asyncapi.json` holds all of it in one document), and another reads the
//! frozen examples of every kind and version, which are never made anew. Unknown fields of a message are refused, so that a
//! misspelt option is an error and not silence; those of an event are to be ignored by listeners, as are unknown events.
//!
//! Failure. Decoding returns a [`DecodeError`] that says whether the kind, the version or the body is at fault; the
//! runner turns it into a dead letter. Nothing here panics on input.

mod asyncapi;
mod cancel;
mod catalogue;
#[cfg(test)]
mod compatibility;
mod event;
mod flow;
mod header;
mod message;
mod request;
mod settings;
mod stage;
mod task;

pub use asyncapi::asyncapi;
pub use cancel::HarvestCancel;
pub use catalogue::{Contract, Role, contracts};
pub use event::{Counts, Event, EventKind};
pub use flow::{DeliveryEvent, DeliveryEventKind, FlowDeliver, RetentionRun};
pub use header::{
    ATTEMPT_HEADER, FIRST_PUBLISHED_AT_HEADER, FOREIGN_HEADER, LAST_ERROR_CHARS, LAST_ERROR_HEADER, ORIGIN_HEADER,
    TRACEPARENT_HEADER, TRACESTATE_HEADER,
};
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
    DownloaderTask, EnricherTask, ExporterTask, LoaderTask, PollerTask, RequesterTask, SchedulerTask, Task,
    UpserterTask, WORKERS, WorkerKinds,
};
