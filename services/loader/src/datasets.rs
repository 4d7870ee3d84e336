//! The documents of an archive that describe its datasets, into `pinv_gbif.dataset`.
//!
//! They are read after the records have landed, in parts of one transaction each; `report.documents` of the generation says
//! where a reading that was stopped goes on. A document that GBIF left out is normal, and one that cannot be read is counted
//! and named: neither stops a harvest.

use std::fs::File;
use std::sync::Arc;

use passereau_dwca::{Archive, ArchiveError, Limits};
use passereau_eml::{Eml, MAX_BYTES};
use passereau_harvest::dataset::{DocumentSource, keep_documents};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::LandingError;
use crate::generation::Generation;
use crate::landing::Fence;
use crate::report::{Documents, SAMPLES, UnreadableDocument};

/// Most documents of one part. The largest seen have 200 kB, most some 10 kB.
const PART: usize = 100;
/// A part ends with the document that brings it to so many bytes: memory is bounded by bytes, whatever an archive holds.
const PART_BYTES: usize = 2 * MAX_BYTES;

/// Reads the documents of a landed generation's archive, or goes on reading them, under a claim that every commit checks.
/// `None` when `must_pause` stopped it before the end.
pub async fn read_documents(
    pool: &PgPool,
    generation_id: i64,
    file: File,
    limits: Limits,
    fence: Option<&Fence>,
    must_pause: impl Fn() -> bool,
) -> Result<Option<Documents>, LandingError> {
    let database = |doing| move |source| LandingError::Database { generation: generation_id, doing, source };
    let unreadable = |source| LandingError::Archive { generation: generation_id, source };
    let stopped = |source| LandingError::Thread { generation: generation_id, source };
    let generation = Generation::find(pool, generation_id).await.map_err(database("reading what it has reported"))?;
    let Some(Generation { mut report, .. }) = generation else {
        return Err(LandingError::NotLoading { generation: generation_id, state: "missing".to_owned() });
    };
    let documents = &mut report.documents;
    let mut archive =
        tokio::task::spawn_blocking(|| Archive::open(file, limits)).await.map_err(stopped)?.map_err(unreadable)?;
    let names: Arc<[String]> = archive.documents().into();
    while let Some(part) = names.get(documents.seen()..).filter(|rest| !rest.is_empty()) {
        if must_pause() {
            return Ok(None);
        }
        let range = documents.seen()..documents.seen() + part.len().min(PART);
        let names = Arc::clone(&names);
        let read = tokio::task::spawn_blocking(move || {
            let read = read_part(&mut archive, names.get(range).unwrap_or_default());
            (archive, read)
        });
        let (given_back, read) = read.await.map_err(stopped)?;
        archive = given_back;
        let read = read.map_err(unreadable)?;
        documents.read += read.good.len() as u64;
        documents.unreadable += read.bad.len() as u64;
        let room = SAMPLES.saturating_sub(documents.samples.len());
        documents.samples.extend(read.bad.into_iter().take(room));

        let mut tx = pool.begin().await.map_err(database("beginning to keep documents"))?;
        if let Some(fence) = fence {
            fence.check(&mut tx, generation_id).await?;
        }
        keep_documents(&mut tx, &read.good, DocumentSource::Archive)
            .await
            .map_err(database("keeping what documents tell of datasets"))?;
        sqlx::query("UPDATE pinv_gbif.generation SET report = jsonb_set(report, '{documents}', $2) WHERE id = $1")
            .bind(generation_id)
            .bind(Json(&*documents))
            .execute(&mut *tx)
            .await
            .map_err(database("reporting the documents"))?;
        tx.commit().await.map_err(database("committing documents"))?;
    }
    Ok(Some(report.documents))
}

/// What became of the documents of a part.
#[derive(Default)]
struct Part {
    good: Vec<(Uuid, Eml)>,
    bad: Vec<UnreadableDocument>,
}

/// Reads `names` up to the end of a part. Fails only when the file below the archive cannot be read.
fn read_part(archive: &mut Archive<File>, names: &[String]) -> Result<Part, ArchiveError> {
    let mut part = Part::default();
    let mut bytes = 0;
    for name in names {
        if bytes >= PART_BYTES {
            break;
        }
        match read(archive, name) {
            Ok((key, document, length)) => {
                bytes += length;
                part.good.push((key, document));
            }
            Err(Problem::Archive(error)) if error.is_transient() => return Err(error),
            Err(problem) => part.bad.push(UnreadableDocument { name: name.clone(), reason: problem.to_string() }),
        }
    }
    Ok(part)
}

/// Why a document tells nothing.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("its name holds no key of a dataset")]
    Name,
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Document(#[from] passereau_eml::EmlError),
}

/// A dataset's key, what its document tells, and the length of the document.
fn read(archive: &mut Archive<File>, name: &str) -> Result<(Uuid, Eml, usize), Problem> {
    let key = name.strip_prefix("dataset/").and_then(|name| name.strip_suffix(".xml"));
    let key = key.and_then(|key| key.parse().ok()).ok_or(Problem::Name)?;
    // One byte more than is read tells that there is too much.
    let bytes = archive.document(name, MAX_BYTES as u64 + 1)?;
    Ok((key, Eml::parse(&bytes)?, bytes.len()))
}
