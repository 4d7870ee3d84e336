//! A representation, and the answer that it becomes: RFC 9110, 3.2 and 15.3.

use std::{
    io::{Seek, SeekFrom},
    ops::Range,
    time::{Duration, SystemTime},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use passereau_store::{ObjectKey, Store};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    body,
    catalogue::FileEntry,
    conditions::{Validators, Verdict, judge},
    handler::Shared,
    refusal::Refusal,
};

/// When a client that found every place taken is asked to come back.
const BUSY: Duration = Duration::from_secs(5);

/// Bytes with what is said of them.
#[derive(Debug)]
pub(crate) struct Representation {
    pub source: Source,
    pub size: u64,
    pub validators: Validators,
    pub media_type: &'static str,
    /// The coding that its bytes have and its media type does not tell.
    pub is_gzipped: bool,
    /// The headers that chose it.
    pub vary: Option<&'static str>,
    /// Further headers: where else it is, what it is called, its language.
    pub headers: HeaderMap,
}

/// Where its bytes are.
#[derive(Debug)]
pub(crate) enum Source {
    /// In the store; for whom.
    Object { key: ObjectKey, flow: String, token: Uuid },
    /// Here.
    Bytes(Bytes),
}

/// The strong entity tag of bytes: their SHA-256 (RFC 9110, 8.8.3).
pub(crate) fn etag(sha256: &str) -> String {
    format!("\"{sha256}\"")
}

/// In whole seconds, as a header says it.
pub(crate) fn whole_seconds(moment: DateTime<Utc>) -> Option<SystemTime> {
    u64::try_from(moment.timestamp()).ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

impl Representation {
    /// Of a document that was made just now.
    pub(crate) fn document(bytes: Vec<u8>, media_type: &'static str, modified: Option<DateTime<Utc>>) -> Self {
        let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let validators = Validators {
            etag: etag(&sha256),
            modified: modified.and_then(whole_seconds),
            // Nobody promises that such a document changed only once in that second.
            is_date_strong: false,
        };
        let size = bytes.len() as u64;
        let source = Source::Bytes(bytes.into());
        Self { source, size, validators, media_type, is_gzipped: false, vary: None, headers: HeaderMap::new() }
    }

    /// Of a file of the store.
    pub(crate) fn file(entry: &FileEntry, source: Source, media_type: &'static str, validators: Validators) -> Self {
        let size = entry.size_bytes;
        Self { source, size, validators, media_type, is_gzipped: false, vary: None, headers: HeaderMap::new() }
    }

    /// The answer to a request.
    pub(crate) async fn answer(
        self,
        shared: &Shared,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Refusal> {
        let verdict = judge(method, headers, &self.validators, self.size);
        let (status, part) = match verdict {
            Verdict::Whole => (StatusCode::OK, 0..self.size),
            Verdict::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Verdict::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
            Verdict::PreconditionFailed => return Err(Refusal::Precondition),
            Verdict::Unsatisfiable => return Err(Refusal::Range { size: self.size }),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        self.describe(response.headers_mut(), status, &part)?;
        if status != StatusCode::NOT_MODIFIED && method == Method::GET {
            *response.body_mut() = self.body(shared, part).await?;
        }
        Ok(response)
    }

    fn describe(&self, headers: &mut HeaderMap, status: StatusCode, part: &Range<u64>) -> Result<(), Refusal> {
        let value = |text: String| HeaderValue::try_from(text).map_err(|_| Refusal::Broken);
        headers.extend(self.headers.clone());
        headers.insert(header::ETAG, value(self.validators.etag.clone())?);
        if let Some(modified) = self.validators.modified {
            headers.insert(header::LAST_MODIFIED, value(httpdate::fmt_http_date(modified))?);
        }
        if let Some(vary) = self.vary {
            headers.insert(header::VARY, HeaderValue::from_static(vary));
        }
        // Kept by nobody but the client, and asked for again each time: a version may be withdrawn, a token revoked.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
        if status == StatusCode::NOT_MODIFIED {
            return Ok(());
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
        if self.is_gzipped {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, self.size);
            headers.insert(header::CONTENT_RANGE, value(range)?);
        }
        Ok(())
    }

    async fn body(self, shared: &Shared, part: Range<u64>) -> Result<Body, Refusal> {
        let (key, flow, token) = match self.source {
            Source::Bytes(bytes) => {
                let bounds = usize::try_from(part.start).ok().zip(usize::try_from(part.end).ok());
                let (start, end) = bounds.ok_or(Refusal::Broken)?;
                return Ok(Body::from(bytes.slice(start..end)));
            }
            Source::Object { key, flow, token } => (key, flow, token),
        };
        let Some(place) = shared.downloads.take(token) else { return Err(Refusal::Busy { after: BUSY }) };
        let file = open(&shared.store, &key, self.size, part.start).await?;
        let size = part.end - part.start;
        Ok(body::stream(file, size, shared.observed.download(&flow, token, size), place))
    }
}

/// Opens an object at a place. It must have the size that the database says.
async fn open(store: &Store, key: &ObjectKey, size: u64, start: u64) -> Result<tokio::fs::File, Refusal> {
    let mut file = store.open_seekable(key).await.map_err(|error| match error {
        // Taken away since the row was read; whoever asks is told so.
        passereau_store::StoreError::NotFound { .. } => {
            tracing::warn!(%key, "a file of a delivery is not in the store: it was taken away just now, or the store was not restored whole");
            Refusal::Gone
        }
        error => {
            tracing::error!(%key, %error, "opening a file of a delivery failed");
            Refusal::Broken
        }
    })?;
    let sought = tokio::task::spawn_blocking(move || {
        let found = file.metadata()?.len();
        file.seek(SeekFrom::Start(start))?;
        Ok::<_, std::io::Error>((file, found))
    });
    match sought.await.map_err(std::io::Error::from).flatten() {
        Ok((file, found)) if found == size => Ok(tokio::fs::File::from_std(file)),
        Ok((_, found)) => {
            tracing::error!(%key, size, found, "a file of a delivery has another size than the database says; nothing of it is sent");
            Err(Refusal::Broken)
        }
        Err(error) => {
            tracing::error!(%key, %error, "reading a file of a delivery failed");
            Err(Refusal::Broken)
        }
    }
}
