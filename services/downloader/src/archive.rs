//! From parts to an archive that is visible: join, verify, publish.
//!
//! The parts are joined in a scratch file, because a zip is verified from its end. Only a file that passed every check gets its key
//! in the store, so whoever sees the key sees a whole archive. These steps are not resumable; each is begun only while there is time.

use std::fs::File;
use std::io::{BufReader, Seek};

use passereau_dwca::{Limits, Verified, verify};
use passereau_store::{ObjectKey, Store, StoreError};
use uuid::Uuid;

use crate::error::FetchError;
use crate::fetch::part_key;
use crate::parts::Cutting;

/// Key of the archive of a GBIF download.
pub(crate) fn archive_key(download_key: &str) -> Result<ObjectKey, FetchError> {
    ObjectKey::parse(&format!("archives/{download_key}.zip"))
        .map_err(|error| passereau_runner::Stop::reject(error.to_string()).into())
}

/// Joins the parts in a scratch file.
///
/// # Errors
/// A part is missing, or the store or the scratch folder failed.
pub async fn join(store: &Store, harvest_id: Uuid, cutting: Cutting) -> Result<File, FetchError> {
    let mut archive = store.scratch_file()?;
    for number in 0..cutting.parts() {
        let mut part = store.open_seekable(&part_key(harvest_id, number)?).await?;
        archive = blocking(move || std::io::copy(&mut part, &mut archive).map(|_| archive)).await?;
    }
    let found = archive.metadata().map_err(unreadable)?.len();
    if found != cutting.size_bytes {
        let reason = format!("its parts make {found} bytes instead of {}", cutting.size_bytes);
        return Err(FetchError::Corrupt { reason });
    }
    Ok(archive)
}

/// Checks the whole archive: directory, names, limits, every checksum.
///
/// # Errors
/// [`FetchError::Corrupt`] when fetching again may help, [`FetchError::Unusable`] when not.
pub async fn check(archive: File, limits: &Limits) -> Result<(File, Verified), FetchError> {
    let limits = limits.clone();
    let checked = tokio::task::spawn_blocking(move || {
        let mut archive = archive;
        let verified = archive
            .rewind()
            .map_err(|source| passereau_dwca::ArchiveError::Io { what: "the fetched archive".to_owned(), source })
            .and_then(|()| verify(BufReader::with_capacity(256 * 1024, &archive), &limits))?;
        Ok::<_, passereau_dwca::ArchiveError>((archive, verified))
    });
    Ok(checked.await.map_err(|error| unreadable(error.into()))??)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, FetchError> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::from).flatten().map_err(unreadable)
}

fn unreadable(source: std::io::Error) -> FetchError {
    FetchError::Store(StoreError::Scratch { folder: "the scratch folder".into(), source })
}
