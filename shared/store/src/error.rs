//! What can go wrong with objects and scratch files.

use std::error::Error;
use std::path::PathBuf;

use crate::key::ObjectKey;

/// Why an object was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The configured URL cannot be used. It is not shown: it may hold credentials.
    #[error(
        "the object store cannot be opened: {problem}; set PASSEREAU_STORE_URL to a folder such as file:///var/lib/passereau/store, or to a bucket such as s3://bucket/passereau"
    )]
    Url {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The folder of the store cannot be made or read.
    #[error("the object store cannot be opened in {}: {source}; the folder must be writable for this user", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is said of the bucket cannot be used.
    #[error(
        "the object store cannot be opened in bucket `{bucket}`: {reason}; see the variables AWS_… of this process"
    )]
    Bucket {
        /// The bucket.
        bucket: String,
        /// What is wrong.
        reason: String,
    },
    /// The key of a bucket cannot be had.
    #[error("the object store cannot be opened: {0}")]
    Secret(#[from] passereau_secret::SecretError),
    /// There is no object of that key.
    #[error(
        "object `{key}` is not in the store: put the file there (below PASSEREAU_STORE_URL) under this key, then replay the dead letter"
    )]
    NotFound {
        /// The key.
        key: ObjectKey,
    },
    /// A symbolic link leads out of the store, or the name is that of a pipe or a device.
    #[error(
        "object `{key}` is a link that leads out of the store, or no file; put the file itself there (below PASSEREAU_STORE_URL)"
    )]
    Outside {
        /// The key.
        key: ObjectKey,
    },
    /// The store failed.
    #[error("could not {action} object `{key}`: {source}")]
    Object {
        /// What was being done.
        action: &'static str,
        /// To which object, or below which prefix.
        key: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// An object was opened and could not be read to its end.
    #[error("object `{key}` cannot be read: {source}; check the disk of the store")]
    Unreadable {
        /// The key.
        key: ObjectKey,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes to be stored stopped coming. Nothing was stored. The source is the stream's own error.
    #[error("object `{key}` was not stored, its bytes stopped coming: {source}")]
    Input {
        /// The key.
        key: ObjectKey,
        /// The stream's error, of the stream's type.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The scratch folder failed.
    #[error("scratch space in {} failed: {source}; PASSEREAU_SCRATCH_DIR must be a writable folder with room for one archive", folder.display())]
    Scratch {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StoreError {
    pub(crate) fn object(action: &'static str, key: &ObjectKey, source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::NotFound { key: key.clone() },
            source => Self::Object { action, key: key.to_string(), source },
        }
    }

    /// Whether the same call may succeed later. A full disk counts as passing: somebody will make room.
    /// For [`StoreError::Input`] the stream's own error decides; without knowing it, a broken transfer may be repeated.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Bucket { .. } | Self::Secret(_) | Self::NotFound { .. } | Self::Outside { .. } => {
                false
            }
            Self::Folder { .. } | Self::Unreadable { .. } | Self::Input { .. } | Self::Scratch { .. } => true,
            Self::Object { source, .. } => !matches!(
                source,
                object_store::Error::InvalidPath { .. }
                    | object_store::Error::NotSupported { .. }
                    | object_store::Error::NotImplemented { .. }
                    | object_store::Error::PermissionDenied { .. }
                    | object_store::Error::Unauthenticated { .. }
            ),
        }
    }
}
