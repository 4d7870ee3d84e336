//! Where archives and answers of GBIF and iNaturalist that were recorded once are, for tests of every crate. They are too large for the repository and not
//! ours to publish, so a test that reads some must do without them elsewhere: it gets `None`, with the reason printed, and returns.
//!
//! `PASSEREAU_FIXTURES` names their folder; without it that is `shared/fixtures` beside the workspace. Where they must be there, as on a machine whose
//! tests decide about a change, `PASSEREAU_REQUIRE_FIXTURES=1` makes a test fail that misses some.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const FOLDER: &str = "PASSEREAU_FIXTURES";
const REQUIRE: &str = "PASSEREAU_REQUIRE_FIXTURES";

/// The recorded file or folder `path`, relative to their folder. `None`, with the reason printed: it is not there.
///
/// # Panics
/// It is not there and `PASSEREAU_REQUIRE_FIXTURES` says that it must be.
#[must_use]
pub fn recorded(path: &str) -> Option<PathBuf> {
    let (folder, require) = (std::env::var_os(FOLDER), std::env::var_os(REQUIRE));
    match find(folder.as_deref(), path) {
        Ok(found) => Some(found),
        Err(missing) => {
            assert!(!is_set(require.as_deref()), "{missing}, and {REQUIRE} says that it must be");
            println!("skipped: {}: {missing}", std::thread::current().name().unwrap_or("a test"));
            None
        }
    }
}

fn find(folder: Option<&OsStr>, path: &str) -> Result<PathBuf, String> {
    let folder = match folder.filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
    };
    let place = folder.join(path);
    place.canonicalize().map_err(|error| {
        format!(
            "recorded `{path}` is not in {}: {error}; {FOLDER} names the folder of what was recorded",
            folder.display()
        )
    })
}

fn is_set(value: Option<&OsStr>) -> bool {
    value.is_some_and(|value| !value.is_empty() && value != "0")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_was_recorded_is_found_in_the_folder_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("gbif")).unwrap();
        let found = find(Some(folder.path().as_os_str()), "gbif").unwrap();
        assert_eq!(found, folder.path().join("gbif").canonicalize().unwrap());
    }

    #[test]
    fn what_is_missing_is_told_with_the_setting_that_names_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let missing = find(Some(folder.path().as_os_str()), "gbif").unwrap_err();
        assert!(missing.contains(FOLDER) && missing.contains("`gbif`"), "{missing}");
        assert!(missing.contains(folder.path().to_str().unwrap()), "{missing}");
    }

    #[test]
    fn an_empty_setting_or_a_nought_requires_nothing() {
        for (value, required) in [(None, false), (Some(""), false), (Some("0"), false), (Some("1"), true)] {
            assert_eq!(is_set(value.map(OsStr::new)), required, "{value:?}");
        }
    }
}
