//! The file server behind GBIF's redirect: a plain web server with ranges (RFC 9110 §14), on a port of its own.
//!
//! It refuses a call that carries an `Authorization` header and counts it: credentials must not follow a redirect.

use std::{
    io::SeekFrom,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::UNIX_EPOCH,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{
            ACCEPT_RANGES, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LAST_MODIFIED,
            RANGE,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, Utc};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::sandbox::Shared;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/occurrence/download/request/{name}", get(serve)).with_state(shared)
}

/// What a `Range` header asks of a file of known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part { first: u64, last: u64 },
    Unsatisfiable,
}

fn wanted(range: Option<&str>, length: u64) -> Wanted {
    // A header that cannot be read, or asks for several parts, is ignored: RFC 9110 allows that.
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return Wanted::Whole;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), _) if first >= length => Wanted::Unsatisfiable,
        (Ok(first), Ok(last)) if last < first => Wanted::Whole,
        (Ok(first), Ok(last)) => Wanted::Part { first, last: last.min(length - 1) },
        (Ok(first), Err(_)) if last.trim().is_empty() => Wanted::Part { first, last: length - 1 },
        (Err(_), Ok(0)) => Wanted::Unsatisfiable,
        (Err(_), Ok(tail)) if first.trim().is_empty() => {
            Wanted::Part { first: length.saturating_sub(tail), last: length.saturating_sub(1) }
        }
        _ => Wanted::Whole,
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    if headers.contains_key(AUTHORIZATION) {
        shared.leaks.fetch_add(1, Ordering::Relaxed);
        return Err((StatusCode::FORBIDDEN, "Credentials do not belong on the file server\n").into_response());
    }
    let not_found = || (StatusCode::NOT_FOUND, "Not Found\n").into_response();
    let key = name.strip_suffix(".zip").unwrap_or(&name);
    let path = {
        let downloads = shared.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        downloads.find(key).map(|download| shared.archives[download.archive].path.clone()).ok_or_else(not_found)?
    };
    let mut file = tokio::fs::File::open(path).await.map_err(|_| not_found())?;
    let metadata = file.metadata().await.map_err(|_| not_found())?;
    let length = metadata.len();
    let modified = metadata.modified().ok();
    let age = modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    // Changes when the file is replaced, which is how a test makes a download change under a client's hands.
    let etag = format!("\"{length:x}-{:x}\"", age.as_nanos());
    let last_modified = DateTime::<Utc>::from(UNIX_EPOCH + age).format("%a, %d %b %Y %H:%M:%S GMT").to_string();

    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let same = text(IF_RANGE).is_none_or(|known| known == etag || known == last_modified);
    let range = if same { text(RANGE) } else { None };
    let (status, first, last) = match wanted(range, length) {
        Wanted::Whole => (StatusCode::OK, 0, length.saturating_sub(1)),
        Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last),
        Wanted::Unsatisfiable => {
            let range = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return Err((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    let size = if length == 0 { 0 } else { last - first + 1 };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        file.seek(SeekFrom::Start(first)).await.map_err(|_| not_found())?;
        Body::from_stream(ReaderStream::with_capacity(file.take(size), 64 << 10))
    };
    let mut response = (
        status,
        [
            (CONTENT_TYPE, "application/zip".to_owned()),
            (CONTENT_LENGTH, size.to_string()),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (ETAG, etag),
            (LAST_MODIFIED, last_modified),
        ],
        body,
    )
        .into_response();
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = format!("bytes {first}-{last}/{length}").try_into()
    {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |first, last| Wanted::Part { first, last };
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=2-4"), 10), part(2, 4));
        assert_eq!(wanted(Some("bytes=2-"), 10), part(2, 9));
        assert_eq!(wanted(Some("bytes=2-400"), 10), part(2, 9));
        assert_eq!(wanted(Some("bytes=-3"), 10), part(7, 9));
        assert_eq!(wanted(Some("bytes=-30"), 10), part(0, 9));
        assert_eq!(wanted(Some("bytes=10-"), 10), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=4-2"), 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-1,3-4"), 10), Wanted::Whole);
        assert_eq!(wanted(Some("lines=1-2"), 10), Wanted::Whole);
    }
}
