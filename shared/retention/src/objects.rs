//! What lies in the store: archives, and parts of archives whose fetch was given up.

use std::collections::BTreeMap;

use passereau_runner::Claim;
use passereau_store::{ObjectKey, Store};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{Amount, Kind, RetentionError};

/// Keys that are judged by one statement.
const BATCH: usize = 1_000;

/// Objects that have expired, with their sizes in bytes.
pub(crate) async fn expired(pool: &PgPool, store: &Store, kind: Kind) -> Result<Vec<(ObjectKey, u64)>, RetentionError> {
    let prefix = if kind == Kind::Archive { "archives" } else { "parts" };
    let found = store.list(prefix).await.map_err(|source| RetentionError::Store { kind, source })?;
    let mut expired = Vec::new();
    if kind == Kind::Archive {
        for batch in found.chunks(BATCH) {
            let keys: Vec<&str> = batch.iter().map(|(key, _)| key.as_str()).collect();
            let gone = expired_archives(pool, &keys).await?;
            expired.extend(batch.iter().filter(|(key, _)| gone.iter().any(|gone| gone == key.as_str())).cloned());
        }
        return Ok(expired);
    }
    let mut parts: BTreeMap<Uuid, Vec<(ObjectKey, u64)>> = BTreeMap::new();
    for (key, size_bytes) in found {
        // `parts/<harvest>/<number>`; anything else there is not ours.
        if let Some(harvest) = key.as_str().split('/').nth(1).and_then(|segment| segment.parse().ok()) {
            parts.entry(harvest).or_default().push((key, size_bytes));
        }
    }
    let harvests: Vec<Uuid> = parts.keys().copied().collect();
    for harvest in expired_parts(pool, &harvests).await? {
        expired.extend(parts.remove(&harvest).unwrap_or_default());
    }
    Ok(expired)
}

/// Deletes what has expired and counts it in `removed`; says whether it came to the end, or paused because `go_on` said no.
pub(crate) async fn remove(
    pool: &PgPool,
    store: &Store,
    kind: Kind,
    removed: &mut Amount,
    go_on: impl Fn() -> bool,
) -> Result<bool, RetentionError> {
    for (key, size_bytes) in expired(pool, store, kind).await? {
        let gone = match kind {
            Kind::Archive => remove_archive(pool, store, &key).await?,
            _ => delete(store, kind, &key).await.map(|()| true)?,
        };
        if gone {
            *removed += Amount { count: 1, bytes: size_bytes };
            if !go_on() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Deletes an archive unless somebody needs it by now; says whether it did. A fetch of the same archive holds this claim (it is the
/// downloader's). With it in hand the key is judged once more: a harvest that was made meanwhile keeps the file, and a later one
/// finds it gone and fetches it.
async fn remove_archive(pool: &PgPool, store: &Store, key: &ObjectKey) -> Result<bool, RetentionError> {
    let claim = Claim::take(pool, &format!("fetch {key}")).await;
    let Some(claim) = claim.map_err(RetentionError::database("claiming an archive"))? else { return Ok(false) };
    let still = !expired_archives(pool, &[key.as_str()]).await?.is_empty();
    if still {
        delete(store, Kind::Archive, key).await?;
    }
    let mut connection = pool.acquire().await.map_err(RetentionError::database("giving an archive back"))?;
    if let Err(stop) = claim.release(&mut connection).await {
        tracing::debug!(%key, %stop, "the claim ran out by itself");
    }
    Ok(still)
}

async fn delete(store: &Store, kind: Kind, key: &ObjectKey) -> Result<(), RetentionError> {
    store.delete(key).await.map_err(|source| RetentionError::Store { kind, source })
}

async fn expired_archives(pool: &PgPool, keys: &[&str]) -> Result<Vec<String>, RetentionError> {
    sqlx::query_scalar("SELECT key FROM passereau.expired_archives($1)")
        .bind(keys)
        .fetch_all(pool)
        .await
        .map_err(RetentionError::database("looking for archives that have expired"))
}

async fn expired_parts(pool: &PgPool, harvests: &[Uuid]) -> Result<Vec<Uuid>, RetentionError> {
    sqlx::query_scalar("SELECT harvest_id FROM passereau.expired_parts($1)")
        .bind(harvests)
        .fetch_all(pool)
        .await
        .map_err(RetentionError::database("looking for parts that have expired"))
}
