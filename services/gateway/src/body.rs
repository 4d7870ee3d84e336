//! The bytes of a file on their way: one chunk in memory, the place among the downloads held until the end.
//!
//! An error while reading, or a file that ends too early, breaks the connection: fewer bytes than `Content-Length` say are no file (RFC 9112, 8).

use axum::body::Body;
use futures_util::StreamExt;
use tokio::{fs::File, io::AsyncReadExt};
use tokio_util::io::ReaderStream;

use crate::{observed::Download, places::Place};

/// Bytes that are read at a time.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// So many bytes of a file, from where it stands.
pub(crate) fn stream(mut file: File, size: u64, mut download: Download, place: Place) -> Body {
    // tokio would read up to 2 MiB ahead.
    file.set_max_buf_size(CHUNK_BYTES);
    let chunks = ReaderStream::with_capacity(file.take(size), CHUNK_BYTES);
    Body::from_stream(chunks.map(move |chunk| {
        let _held = &place;
        match &chunk {
            Ok(bytes) => download.sent(bytes.len()),
            Err(error) => {
                tracing::error!(%error, "reading a file of a delivery failed on the way; the connection breaks")
            }
        }
        chunk
    }))
}
