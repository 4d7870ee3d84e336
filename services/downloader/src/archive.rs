//! From parts to an archive that is visible: check, then publish.
//!
//! Only a file that passed every check gets its key in the store, so whoever sees the key sees a whole archive. Each of the two is a
//! step with a delivery of its own where it needs one: that the check was passed is kept with the fetch, and the parts stay until the
//! archive is visible. Within a step nothing is kept: a step that the delivery's end breaks off is done again from its beginning.

use std::io::BufReader;

use futures_util::stream;
use passereau_dwca::{Limits, Verified, verify};
use passereau_runner::Stop;
use passereau_store::{ObjectKey, Store, Stored};

use crate::error::FetchError;
use crate::joined::Joined;

/// Key of the archive of a GBIF download.
pub(crate) fn archive_key(download_key: &str) -> Result<ObjectKey, FetchError> {
    ObjectKey::parse(&format!("archives/{download_key}.zip")).map_err(|error| Stop::reject(error.to_string()).into())
}

/// Checks the whole archive: directory, names, limits, every checksum.
///
/// # Errors
/// [`FetchError::Corrupt`] when fetching again may help, [`FetchError::Unusable`] when not, [`FetchError::TimeUp`], and those of the store.
pub async fn check(mut archive: Joined, limits: &Limits) -> Result<Verified, FetchError> {
    let limits = limits.clone();
    blocking(move || {
        let verified = verify(BufReader::with_capacity(256 * 1024, &mut archive), &limits);
        match archive.take_failure() {
            Some(failure) => Err(failure),
            None => Ok(verified?),
        }
    })
    .await
}

/// Gives the archive its key.
///
/// # Errors
/// [`FetchError::TimeUp`], and those of the store. Nothing is visible then.
pub async fn publish(store: &Store, key: &ObjectKey, archive: Joined) -> Result<Stored, FetchError> {
    let blocks = stream::try_unfold(archive, |mut archive| async {
        let (block, archive) = blocking(move || archive.block().map(|block| (block, archive))).await?;
        Ok::<_, FetchError>((!block.is_empty()).then_some((block, archive)))
    });
    Ok(store.put_stream(key, blocks).await?)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Stop::retry(format!("reading the archive was interrupted: {error}")))?
}
