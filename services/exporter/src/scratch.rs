//! Scratch files with a name, which SQLite needs.
//!
//! Each process has a folder of its own for them, and holds a lock in it for as long as it lives. A process that is killed leaves its folder; the next
//! one that starts takes away those that nobody holds. Unnamed files, which vanish by themselves, are the store's.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use tempfile::{TempDir, TempPath};

const PREFIX: &str = "passereau-export-";
/// In each folder, locked by its process.
const LOCK: &str = "lock";
/// Beside the folders, locked while one is made or taken away: a new one has no lock for a moment.
const STARTING: &str = "passereau-export.lock";

/// The folder of this process. It goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes the folder, below one that all processes may share, and takes away those of processes that are gone.
    pub(crate) fn open(below: &Path) -> io::Result<Self> {
        let starting = File::options().create(true).truncate(false).write(true).open(below.join(STARTING))?;
        starting.lock()?;
        for entry in fs::read_dir(below)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX)
                && let Err(error) = take_away(&entry.path())
            {
                tracing::warn!(path = %entry.path().display(), %error, "what a killed process has left could not be taken away");
            }
        }
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(below)?;
        let lock = File::create(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    /// An empty file, which goes when it is dropped.
    pub(crate) fn path(&self) -> io::Result<TempPath> {
        Ok(tempfile::NamedTempFile::new_in(self.folder.path())?.into_temp_path())
    }
}

/// Takes away what no living process holds.
fn take_away(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        return fs::remove_file(path);
    }
    match File::open(path.join(LOCK)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => fs::remove_dir_all(path),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        },
        // Killed before it had one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::remove_dir_all(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_has_left_goes_and_what_a_living_one_holds_stays() {
        let below = tempfile::tempdir().unwrap();
        let killed = below.path().join("passereau-export-killed");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join(LOCK), "").unwrap();
        fs::write(killed.join("atlas.gpkg"), "half").unwrap();
        fs::write(below.path().join("passereau-export-file"), "of an earlier version").unwrap();
        fs::write(below.path().join("others"), "").unwrap();
        let first = Scratch::open(below.path()).unwrap();
        let held = first.path().unwrap();
        let second = Scratch::open(below.path()).unwrap();
        assert!(!killed.exists() && !below.path().join("passereau-export-file").exists());
        assert!(held.exists() && below.path().join("others").exists());
        let folder = first.folder.path().to_owned();
        drop((held, first));
        assert!(!folder.exists() && second.folder.path().exists());
    }
}
