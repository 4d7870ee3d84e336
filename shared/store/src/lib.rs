//! Objects by key: the place where archives and their parts lie, shared by workers that share no disk path.
//!
//! - An **object** is a sequence of bytes under an [`ObjectKey`]. It is visible only when it is whole: it is written under a hidden name,
//!   flushed to disk, then renamed. A reader sees the old object, the new one, or none; never half of one. A process that is
//!   killed while writing leaves at most a hidden file `key#1`, which no listing and no key reaches.
//! - **Stored** is what the writer learns: size and SHA-256, computed from the very bytes that were written.
//! - **Scratch** is room of this process alone, for work that needs a seekable file. Scratch files have no name, so
//!   they vanish with the process however it ends.
//!
//! A store is a folder (`file:///…`) that all workers mount, or a bucket of the S3 kind (`s3://…`, see [`StoreConfig`]) for workers on several hosts; users of this crate
//! see no difference and no path. Writing to a key that exists replaces the object; keys that name their content never need that.

mod config;
mod error;
mod key;
mod s3;
mod scratch;
mod store;
mod upload;

pub use config::StoreConfig;
pub use error::StoreError;
pub use key::{KeyError, ObjectKey};
pub use store::{ObjectInfo, Store};
pub use upload::Stored;
