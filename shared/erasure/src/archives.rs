//! Archives that are kept in the store: which of them hold a name.
//!
//! An archive cannot be edited: one that holds the name is deleted. Its harvest keeps the key and the SHA-256, so that what
//! was harvested stays provable, and `archive_erased_at` says why the file is gone. GBIF hands it out again by its DOI.
//!
//! Memory is flat: names are collected in batches of distinct values, which PostgreSQL compares as it compares what is landed.

use std::collections::HashSet;
use std::fs::File;

use passereau_dwca::{Archive as Zip, ArchiveError, Block, Limits, Splitter, Table, lines, unquote};
use passereau_store::{ObjectKey, Store};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::error::ErasureError;

/// Terms of Darwin Core, Dublin Core and their extensions that name people; titles of media often do (what is landed is searched in
/// the same columns: `passereau.landed_names`).
const NAMING: [&str; 9] = [
    "recordedBy",
    "identifiedBy",
    "rightsHolder",
    "creator",
    "contributor",
    "georeferencedBy",
    "measurementDeterminedBy",
    "photographer",
    "title",
];
/// Distinct values that are compared at once.
const BATCH: usize = 20_000;

/// An archive that matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Archive {
    /// Its key in the store.
    pub key: String,
    /// What was found.
    pub verdict: Verdict,
}

/// What was found in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "found", content = "detail")]
pub enum Verdict {
    /// It holds the name.
    Holds,
    /// It may hold the name, and a harvest still needs it.
    InUse,
    /// It could not be read, for this reason: delete it by hand if it may hold the name.
    Unreadable(String),
}

#[derive(FromRow)]
struct Kept {
    archive_key: String,
    in_use: bool,
}

/// The archives of harvests that are still in the store and hold one of the names, or may.
pub(crate) async fn archives(
    pool: &PgPool,
    store: &Store,
    limits: &Limits,
    digests: &[Vec<u8>],
) -> Result<Vec<Archive>, ErasureError> {
    let kept: Vec<Kept> = sqlx::query_as(
        "SELECT archive_key, bool_or(state IN ('fetching', 'loading')) AS in_use FROM passereau.harvest
         WHERE archive_key IS NOT NULL AND archive_erased_at IS NULL GROUP BY archive_key ORDER BY archive_key",
    )
    .fetch_all(pool)
    .await
    .map_err(ErasureError::database("looking for archives"))?;
    let mut found = Vec::new();
    for Kept { archive_key: name, in_use } in kept {
        // What was copied by hand has no archive.
        let Ok(key) = ObjectKey::parse(&name) else { continue };
        let named = &name;
        let failed = |doing| move |source| ErasureError::Store { doing, key: named.clone(), source };
        if store.head(&key).await.map_err(failed("looking at"))?.is_none() {
            continue;
        }
        let verdict = if in_use {
            Some(Verdict::InUse)
        } else {
            let file = store.open_seekable(&key).await.map_err(failed("opening"))?;
            search(pool, file, limits.clone(), digests).await?
        };
        found.extend(verdict.map(|verdict| Archive { key: name, verdict }));
    }
    Ok(found)
}

/// Deletes the archives that brought a name that is suppressed and that no harvest needs any more; returns their keys.
///
/// # Errors
/// PostgreSQL or the store failed; what was deleted is noted.
pub async fn sweep(pool: &PgPool, store: &Store) -> Result<Vec<String>, ErasureError> {
    let keys: Vec<String> = sqlx::query_scalar("SELECT archive_key FROM passereau.archives_to_sweep()")
        .fetch_all(pool)
        .await
        .map_err(ErasureError::database("looking for archives to sweep"))?;
    let mut swept = Vec::new();
    for key in keys {
        let archive = Archive { key, verdict: Verdict::Holds };
        if drop_archive(pool, store, &archive).await? {
            swept.push(archive.key);
        }
    }
    Ok(swept)
}

/// Deletes an archive that holds the name, and says whether it did: not while a harvest needs it.
pub(crate) async fn drop_archive(pool: &PgPool, store: &Store, archive: &Archive) -> Result<bool, ErasureError> {
    let (Verdict::Holds, Ok(key)) = (&archive.verdict, ObjectKey::parse(&archive.key)) else { return Ok(false) };
    // Said first: a file without the note would look lost, a note without a file is mended by the next call.
    let mut tx = pool.begin().await.map_err(ErasureError::database("beginning to delete an archive"))?;
    // A harvest may have taken it up since it was looked at.
    let states: Vec<String> =
        sqlx::query_scalar("SELECT state FROM passereau.harvest WHERE archive_key = $1 ORDER BY id FOR NO KEY UPDATE")
            .bind(&archive.key)
            .fetch_all(&mut *tx)
            .await
            .map_err(ErasureError::database("looking whether an archive is in use"))?;
    if states.iter().any(|state| matches!(state.as_str(), "fetching" | "loading")) {
        return Ok(false);
    }
    sqlx::query("UPDATE passereau.harvest SET archive_erased_at = now(), updated_at = now() WHERE archive_key = $1")
        .bind(&archive.key)
        .execute(&mut *tx)
        .await
        .map_err(ErasureError::database("noting that an archive is deleted"))?;
    store.delete(&key).await.map_err(|source| ErasureError::Store {
        doing: "deleting",
        key: archive.key.clone(),
        source,
    })?;
    tx.commit().await.map_err(ErasureError::database("noting that an archive is deleted"))?;
    Ok(true)
}

/// Whether an archive holds one of the names; nothing when it does not.
async fn search(
    pool: &PgPool,
    file: File,
    limits: Limits,
    digests: &[Vec<u8>],
) -> Result<Option<Verdict>, ErasureError> {
    let (out, mut batches) = mpsc::channel(1);
    let reading = spawn_blocking(move || read(file, limits, &out));
    let mut holds = false;
    while let Some(batch) = batches.recv().await {
        holds = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM unnest($1::text[]) v (value), passereau.erasure_salt s
                            WHERE passereau.without_names(v.value, $2, s.salt) IS DISTINCT FROM v.value)",
        )
        .bind(&batch)
        .bind(digests)
        .fetch_one(pool)
        .await
        .map_err(ErasureError::database("comparing the names of an archive"))?;
        if holds {
            break;
        }
    }
    // The thread stops at its next batch.
    drop(batches);
    let read = reading.await;
    if holds {
        return Ok(Some(Verdict::Holds));
    }
    Ok(match read {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Verdict::Unreadable(error.to_string())),
        Err(error) => Some(Verdict::Unreadable(error.to_string())),
    })
}

/// Sends the distinct values of all columns that name people, in batches; stops when nobody listens any more.
fn read(file: File, limits: Limits, out: &mpsc::Sender<Vec<String>>) -> Result<(), ArchiveError> {
    let max_line_bytes = limits.max_line_bytes;
    let mut archive = Zip::open(file, limits)?;
    let descriptor = archive.descriptor().clone();
    let mut seen = HashSet::new();
    for table in std::iter::once(&descriptor.core).chain(&descriptor.extensions) {
        let columns = naming(table);
        if columns.is_empty() || !archive.holds(table) {
            continue;
        }
        let mut splitter = Splitter::new(table.width(), max_line_bytes);
        let mut blocks = archive.rows(table)?;
        let mut buffer = Vec::new();
        while let Some(block) = blocks.next_block(&mut buffer)? {
            if matches!(block, Block::TooLong { .. }) {
                continue;
            }
            for line in lines(&buffer) {
                // What is no row was not landed either.
                let Ok(row) = splitter.split(line) else { continue };
                for value in columns.iter().map(|column| row.field(*column)).filter(|value| !value.is_empty()) {
                    if !seen.contains(value) {
                        seen.insert(value.to_owned());
                    }
                }
            }
            if seen.len() >= BATCH && !send(&mut seen, out) {
                return Ok(());
            }
        }
    }
    send(&mut seen, out);
    Ok(())
}

fn send(seen: &mut HashSet<String>, out: &mpsc::Sender<Vec<String>>) -> bool {
    out.blocking_send(seen.drain().map(|value| unquote(&value).into_owned()).collect()).is_ok()
}

/// The places of the columns of a table that name people.
fn naming(table: &Table) -> Vec<usize> {
    let naming = table.fields.iter().filter(|field| NAMING.contains(&field.simple_name()));
    naming.filter_map(|field| field.index).collect()
}
