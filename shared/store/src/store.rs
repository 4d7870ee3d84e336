//! The store itself: put, look, list, open, delete.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, pin_mut};
use object_store::local::LocalFileSystem;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt};

use crate::config::{Place, StoreConfig};
use crate::error::StoreError;
use crate::key::ObjectKey;
use crate::s3;
use crate::scratch::{Scratch, free_bytes};
use crate::upload::{Spare, Stored, Upload, hash};

/// Bytes of a file that are read at once on their way into the store.
const READ_BYTES: usize = 1 << 20;

/// An open object store. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    folder: Option<PathBuf>,
    scratch: Scratch,
    spare: Spare,
}

/// What a store tells of an object without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Size in bytes.
    pub size_bytes: u64,
}

impl Store {
    /// Opens the store; makes its folder and the scratch folder where they are missing.
    ///
    /// # Errors
    /// The URL is not understood, a folder cannot be made or written to, or what is said of a bucket is no use.
    pub fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let scratch = Scratch::open(&config.scratch)?;
        let (objects, folder): (Arc<dyn ObjectStore>, _) = match config.place()? {
            Place::Folder(folder) => {
                let failed = |source| StoreError::Folder { folder: folder.clone(), source };
                std::fs::create_dir_all(&folder).map_err(failed)?;
                let objects = LocalFileSystem::new_with_prefix(&folder)
                    .map_err(|source| failed(std::io::Error::other(source)))?
                    .with_fsync(true);
                (Arc::new(objects), Some(folder))
            }
            Place::Bucket { bucket, prefix } => (s3::open(config, &bucket, &prefix)?, None),
        };
        Ok(Self { objects, folder, scratch, spare: Spare::default() })
    }

    /// Stores a stream. The object becomes visible when the stream has ended well and all of it is on disk.
    ///
    /// # Errors
    /// The stream failed ([`StoreError::Input`], whose source is the stream's error), or the store did. Nothing is visible then.
    pub async fn put_stream<S, E>(&self, key: &ObjectKey, stream: S) -> Result<Stored, StoreError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Error + Send + Sync + 'static,
    {
        self.keeps_inside(key)?;
        let mut upload = Upload::begin(self.objects.as_ref(), key, &self.spare).await?;
        pin_mut!(stream);
        while let Some(next) = stream.next().await {
            let pushed = match next {
                Ok(bytes) => upload.push(bytes).await,
                Err(source) => Err(StoreError::Input { key: key.clone(), source: Box::new(source) }),
            };
            if let Err(error) = pushed {
                upload.abort().await;
                return Err(error);
            }
        }
        upload.finish().await
    }

    /// Stores a file of this machine.
    ///
    /// # Errors
    /// The file cannot be read ([`StoreError::Input`]), or the store failed.
    pub async fn put_file(&self, key: &ObjectKey, path: &Path) -> Result<Stored, StoreError> {
        let file = File::open(path).map_err(|source| StoreError::Input { key: key.clone(), source: source.into() })?;
        self.put_open_file(key, file).await
    }

    /// Stores an open file, such as a scratch file, from its beginning.
    ///
    /// # Errors
    /// As [`Store::put_file`].
    pub async fn put_open_file(&self, key: &ObjectKey, mut file: File) -> Result<Stored, StoreError> {
        if let Err(source) = file.rewind() {
            return Err(StoreError::Input { key: key.clone(), source: source.into() });
        }
        let blocks = futures_util::stream::try_unfold(file, |file| async {
            let (block, file) = tokio::task::spawn_blocking(move || read_block(file)).await??;
            Ok::<_, std::io::Error>((!block.is_empty()).then_some((block, file)))
        });
        self.put_stream(key, blocks).await
    }

    /// Size of an object; none when it is not there (or not whole yet).
    ///
    /// # Errors
    /// The store failed.
    pub async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, StoreError> {
        self.keeps_inside(key)?;
        match self.objects.head(&key.location()).await {
            Ok(found) => Ok(Some(ObjectInfo { size_bytes: found.size })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(StoreError::object("look at", key, source)),
        }
    }

    /// All objects below `prefix`, which ends at a segment (`parts/1` does not find `parts/12/0`), with their sizes in bytes, ordered by key.
    /// An empty prefix lists everything. Files whose name is no key are not objects and do not appear.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(ObjectKey, u64)>, StoreError> {
        let below = (!prefix.is_empty()).then(|| object_store::path::Path::from(prefix));
        let mut found: Vec<(ObjectKey, u64)> = self
            .objects
            .list(below.as_ref())
            .try_filter_map(|meta| async move {
                Ok(ObjectKey::parse(meta.location.as_ref()).ok().map(|key| (key, meta.size)))
            })
            .try_collect()
            .await
            .map_err(|source| StoreError::Object { action: "list below", key: prefix.to_owned(), source })?;
        found.sort();
        Ok(found)
    }

    /// Removes an object. An object that is not there counts as removed.
    ///
    /// # Errors
    /// The store failed.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.keeps_inside(key)?;
        match self.objects.delete(&key.location()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(StoreError::object("delete", key, source)),
        }
    }

    /// Opens an object as a file that can be read from any place: the object's own file where the store is a folder, else a scratch
    /// copy. An object that is replaced or deleted meanwhile stays readable through the open file.
    ///
    /// # Errors
    /// There is no such object, or the store or the scratch folder failed.
    pub async fn open_seekable(&self, key: &ObjectKey) -> Result<File, StoreError> {
        self.keeps_inside(key)?;
        let failed = |source| StoreError::object("open", key, source);
        let found = self.objects.get(&key.location()).await.map_err(failed)?;
        let mut blocks = match found.payload {
            GetResultPayload::File(file, _) => return Ok(file),
            GetResultPayload::Stream(blocks) => blocks,
        };
        let mut file = self.scratch_file()?;
        while let Some(block) = blocks.next().await {
            let block = block.map_err(failed)?;
            let written = tokio::task::spawn_blocking(move || file.write_all(&block).map(|()| file)).await;
            file = written.map_err(std::io::Error::from).flatten().map_err(|source| self.scratch.failed(source))?;
        }
        file.rewind().map_err(|source| self.scratch.failed(source))?;
        Ok(file)
    }

    /// Reads an object through and tells its size and SHA-256.
    ///
    /// # Errors
    /// There is no such object, or it cannot be read.
    pub async fn digest(&self, key: &ObjectKey) -> Result<Stored, StoreError> {
        let file = self.open_seekable(key).await?;
        let read = tokio::task::spawn_blocking(move || hash(file)).await.map_err(std::io::Error::from).flatten();
        read.map_err(|source| StoreError::Unreadable { key: key.clone(), source })
    }

    /// A key alone cannot lead outside; a symbolic link in the folder could. One that stays inside is followed. What is neither a file nor a folder is no
    /// object: reading a pipe would wait for ever.
    fn keeps_inside(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut path = folder.clone();
        for segment in key.as_str().split('/') {
            path.push(segment);
            // What is not there leads nowhere; what cannot be looked at, the store itself will meet.
            let Ok(found) = std::fs::symlink_metadata(&path) else { return Ok(()) };
            let kind = match found.is_symlink() {
                false => found.file_type(),
                true => {
                    let inside =
                        |target: &PathBuf| folder.canonicalize().is_ok_and(|folder| target.starts_with(folder));
                    let target = path.canonicalize().ok().filter(inside);
                    let target = target.ok_or_else(|| StoreError::Outside { key: key.clone() })?;
                    let Ok(found) = std::fs::metadata(target) else { return Ok(()) };
                    found.file_type()
                }
            };
            if !kind.is_file() && !kind.is_dir() {
                return Err(StoreError::Outside { key: key.clone() });
            }
        }
        Ok(())
    }

    /// A new scratch file without a name, for reading and writing. It vanishes when it is closed, however the process ends.
    ///
    /// # Errors
    /// The scratch folder failed.
    pub fn scratch_file(&self) -> Result<File, StoreError> {
        self.scratch.file()
    }

    /// Bytes free in the store; none where a store knows no limit.
    ///
    /// # Errors
    /// The folder of the store cannot be asked.
    pub fn free_store_bytes(&self) -> Result<Option<u64>, StoreError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        free_bytes(folder).map(Some).map_err(|source| StoreError::Folder { folder: folder.clone(), source })
    }
}

fn read_block(file: File) -> std::io::Result<(Bytes, File)> {
    let mut block = Vec::with_capacity(READ_BYTES);
    (&file).take(READ_BYTES as u64).read_to_end(&mut block)?;
    Ok((block.into(), file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Read;

    use futures_util::stream;
    use tempfile::TempDir;

    use super::*;
    use crate::upload::BLOCK_BYTES;

    const ABC_SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let url = url::Url::from_directory_path(folder.path().join("store")).unwrap().to_string();
        let store = Store::open(&StoreConfig::new(url, folder.path().join("scratch"))).unwrap();
        (folder, store)
    }

    fn key(text: &str) -> ObjectKey {
        ObjectKey::parse(text).unwrap()
    }

    fn chunks(parts: &[&'static str]) -> impl Stream<Item = Result<Bytes, std::io::Error>> + use<> {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
    }

    fn text(mut file: File) -> String {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[tokio::test]
    async fn what_is_stored_comes_back_with_size_and_digest() {
        let (_folder, store) = store();
        let key = key("archives/a.zip");
        assert_eq!(store.head(&key).await.unwrap(), None);
        let stored = store.put_stream(&key, chunks(&["a", "", "bc"])).await.unwrap();
        assert_eq!(stored, Stored { size_bytes: 3, sha256: ABC_SHA256.to_owned() });
        assert_eq!(store.head(&key).await.unwrap(), Some(ObjectInfo { size_bytes: 3 }));
        assert_eq!(text(store.open_seekable(&key).await.unwrap()), "abc");
        assert_eq!(store.digest(&key).await.unwrap(), stored);
        store.put_stream(&key, chunks(&["new"])).await.unwrap();
        assert_eq!(text(store.open_seekable(&key).await.unwrap()), "new");
        store.delete(&key).await.unwrap();
        store.delete(&key).await.unwrap();
        assert!(matches!(store.open_seekable(&key).await, Err(StoreError::NotFound { .. })));
        assert!(matches!(store.digest(&key).await, Err(StoreError::NotFound { .. })));
    }

    #[tokio::test]
    async fn a_stream_that_breaks_leaves_nothing_visible() {
        let (folder, store) = store();
        let key = key("archives/a.zip");
        store.put_stream(&key, chunks(&["old"])).await.unwrap();
        let broken = chunks(&["half"]).chain(stream::once(async { Err(std::io::Error::other("connection reset")) }));
        let error = store.put_stream(&key, broken).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("connection reset"), "{error}");
        assert!(std::error::Error::source(&error).unwrap().is::<std::io::Error>());
        assert_eq!(text(store.open_seekable(&key).await.unwrap()), "old");
        let left: Vec<_> = std::fs::read_dir(folder.path().join("store/archives")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[tokio::test]
    async fn an_object_is_invisible_until_its_stream_has_ended() {
        let (folder, store) = store();
        let key = key("archives/a.zip");
        let looker = store.clone();
        let seen = key.clone();
        let stream = chunks(&["abc"]).chain(stream::once(async move {
            assert_eq!(looker.head(&seen).await.unwrap(), None);
            assert_eq!(looker.list("").await.unwrap(), []);
            Ok(Bytes::new())
        }));
        store.put_stream(&key, stream).await.unwrap();
        assert!(store.head(&key).await.unwrap().is_some());
        // What a killed writer leaves behind is no object either.
        std::fs::write(folder.path().join("store/archives/b.zip#1"), "half").unwrap();
        assert_eq!(store.list("").await.unwrap(), [(key, 3)]);
    }

    #[tokio::test]
    async fn files_larger_than_a_block_are_stored_from_their_beginning() {
        let (_folder, store) = store();
        let mut file = store.scratch_file().unwrap();
        let size = BLOCK_BYTES + 3;
        file.write_all(&vec![b'x'; size]).unwrap();
        let stored = store.put_open_file(&key("big"), file).await.unwrap();
        assert_eq!(stored.size_bytes, size as u64);
        assert_eq!(text(store.open_seekable(&key("big")).await.unwrap()).len(), size);
        let empty = store.put_open_file(&key("empty"), store.scratch_file().unwrap()).await.unwrap();
        assert_eq!(empty.size_bytes, 0);
        assert_eq!(store.head(&key("empty")).await.unwrap(), Some(ObjectInfo { size_bytes: 0 }));
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let (folder, store) = store();
        let error = store.put_file(&key("a"), &folder.path().join("absent")).await.unwrap_err();
        assert!(matches!(error, StoreError::Input { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_listing_is_ordered_and_keeps_to_segments() {
        let (_folder, store) = store();
        for name in ["parts/1/00002", "parts/1/00001", "parts/12/00001", "other"] {
            store.put_stream(&key(name), chunks(&["x"])).await.unwrap();
        }
        let found = store.list("parts/1").await.unwrap();
        assert_eq!(found, [(key("parts/1/00001"), 1), (key("parts/1/00002"), 1)]);
        assert_eq!(store.list("absent").await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_store_without_files_gives_a_scratch_copy() {
        let (_folder, mut store) = store();
        store.objects = Arc::new(object_store::memory::InMemory::new());
        store.put_stream(&key("a"), chunks(&["abc"])).await.unwrap();
        assert_eq!(text(store.open_seekable(&key("a")).await.unwrap()), "abc");
    }

    #[tokio::test]
    async fn a_link_that_leads_outside_is_not_followed_and_a_pipe_is_not_read() {
        let (folder, store) = store();
        store.put_stream(&key("archives/a.zip"), chunks(&["inside"])).await.unwrap();
        let place = |name: &str| folder.path().join("store").join(name);
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, place(name)).unwrap();
        link(&folder.path().join("secret"), "archives/secret.zip");
        link(Path::new("../secret"), "relative.zip");
        link(folder.path(), "away");
        link(Path::new("/nowhere"), "dangling.zip");
        link(Path::new("archives/a.zip"), "same.zip");
        rustix::fs::mknodat(rustix::fs::CWD, place("pipe.zip"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for name in ["archives/secret.zip", "relative.zip", "away/secret", "dangling.zip", "pipe.zip"] {
            let key = key(name);
            for error in [
                store.open_seekable(&key).await.map(drop).unwrap_err(),
                store.digest(&key).await.map(drop).unwrap_err(),
                store.head(&key).await.map(drop).unwrap_err(),
                store.put_stream(&key, chunks(&["x"])).await.map(drop).unwrap_err(),
                store.delete(&key).await.unwrap_err(),
            ] {
                assert!(matches!(error, StoreError::Outside { .. }) && !error.is_transient(), "{name}: {error}");
            }
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("secret")).unwrap(), "outside");
        assert_eq!(text(store.open_seekable(&key("same.zip")).await.unwrap()), "inside");
    }

    #[test]
    fn free_space_is_known() {
        let (_folder, store) = store();
        assert!(store.free_store_bytes().unwrap().unwrap() > 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let url = url::Url::from_file_path(folder.path().join("file/store")).unwrap().to_string();
        let error = Store::open(&StoreConfig::new(url, folder.path())).unwrap_err();
        assert!(matches!(error, StoreError::Folder { .. }), "{error}");
    }
}
