//! Writing one object: bytes go to a hidden name while they are hashed, and become visible at the end or not at all.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::future::try_join;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::key::ObjectKey;

/// Bytes written at once. Stores of the S3 kind want at least 5 MiB a part.
pub(crate) const BLOCK_BYTES: usize = 8 * 1024 * 1024;

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// Memory of a block that no upload fills now. One is kept for all of them: blocks of their own would be spread over the arenas of the allocator, and stay
/// there.
pub(crate) type Spare = Arc<Mutex<BytesMut>>;

/// Beyond so many bytes an upload takes the memory of a whole block at once.
const SMALL_BYTES: usize = 256 * 1024;

/// An object on its way. Dropped before [`Upload::finish`], it leaves nothing visible.
pub(crate) struct Upload {
    key: ObjectKey,
    target: Box<dyn MultipartUpload>,
    waiting: BytesMut,
    spare: Spare,
    hasher: Sha256,
    size_bytes: u64,
}

impl Upload {
    pub(crate) async fn begin(objects: &dyn ObjectStore, key: &ObjectKey, spare: &Spare) -> Result<Self, StoreError> {
        let target =
            objects.put_multipart(&key.location()).await.map_err(|source| StoreError::object("begin", key, source))?;
        let waiting = std::mem::take(&mut *spare.lock().unwrap_or_else(PoisonError::into_inner));
        let (key, spare) = (key.clone(), Arc::clone(spare));
        Ok(Self { key, target, waiting, spare, hasher: Sha256::new(), size_bytes: 0 })
    }

    pub(crate) async fn push(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        self.size_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = BLOCK_BYTES.saturating_sub(self.waiting.len());
            let piece = bytes.split_to(room.min(bytes.len()));
            if self.waiting.len() + piece.len() > SMALL_BYTES {
                self.waiting.reserve(room);
            }
            self.waiting.extend_from_slice(&piece);
            if self.waiting.len() >= BLOCK_BYTES {
                let block = std::mem::take(&mut self.waiting).freeze();
                self.waiting = self.write(block).await?;
            }
        }
        Ok(())
    }

    /// Makes the object visible.
    pub(crate) async fn finish(mut self) -> Result<Stored, StoreError> {
        let rest = std::mem::take(&mut self.waiting).freeze();
        // An empty object still needs one part: some stores refuse an upload without any.
        if !rest.is_empty() || self.size_bytes == 0 {
            let free = self.write(rest).await?;
            *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = free;
        }
        self.target.complete().await.map_err(|source| StoreError::object("complete", &self.key, source))?;
        Ok(Stored { size_bytes: self.size_bytes, sha256: hexadecimal(self.hasher) })
    }

    /// Removes what was written so far. An error here changes nothing: the object is invisible either way.
    pub(crate) async fn abort(mut self) {
        drop(self.target.abort().await);
    }

    /// Hashes and writes at the same time; the hash has a thread of its own, 8 MiB keep one busy for tens of milliseconds. Gives the block's memory
    /// back to be filled again.
    async fn write(&mut self, block: Bytes) -> Result<BytesMut, StoreError> {
        let mut hasher = std::mem::take(&mut self.hasher);
        let hashed = block.clone();
        let hash = tokio::task::spawn_blocking(move || {
            hasher.update(&hashed);
            hasher
        });
        let put = self.target.put_part(PutPayload::from_bytes(block.clone()));
        let hash = async { hash.await.map_err(object_store::Error::from) };
        let (hasher, ()) =
            try_join(hash, put).await.map_err(|source| StoreError::object("write", &self.key, source))?;
        self.hasher = hasher;
        // Where a store still holds it, another one is made.
        let mut waiting = block.try_into_mut().unwrap_or_default();
        waiting.clear();
        Ok(waiting)
    }
}

/// Reads a file to its end.
pub(crate) fn hash(mut file: File) -> std::io::Result<Stored> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; 256 * 1024];
    let mut size_bytes = 0;
    loop {
        match file.read(&mut block)? {
            0 => return Ok(Stored { size_bytes, sha256: hexadecimal(hasher) }),
            read => {
                hasher.update(&block[..read]);
                size_bytes += read as u64;
            }
        }
    }
}

fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
