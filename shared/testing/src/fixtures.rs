//! Where recorded archives and answers are, if they are.

use std::path::{Path, PathBuf};

/// Folder of the recorded archives and answers: `PASSEREAU_FIXTURES`, else `shared/fixtures` beside the workspace. `None`
/// when neither is there: the caller prints `skipped: … fixtures not found` and returns.
pub fn fixtures() -> Option<PathBuf> {
    let folder = match std::env::var_os("PASSEREAU_FIXTURES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
    };
    folder.canonicalize().ok().filter(|folder| folder.is_dir())
}
