//! Scratch files: unnamed, so that nothing is left behind even after SIGKILL.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The scratch folder of a process.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let scratch = Self { folder: folder.to_owned() };
        std::fs::create_dir_all(folder).map_err(|source| scratch.failed(source))?;
        scratch.file()?;
        Ok(scratch)
    }

    pub(crate) fn file(&self) -> Result<File, StoreError> {
        tempfile::tempfile_in(&self.folder).map_err(|source| self.failed(source))
    }

    pub(crate) fn failed(&self, source: std::io::Error) -> StoreError {
        StoreError::Scratch { folder: self.folder.clone(), source }
    }
}

/// Bytes that an ordinary user may still write to the file system of `folder`.
pub(crate) fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let status = rustix::fs::statvfs(folder)?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}
