//! Secrets that a process is given: passwords, and addresses that hold one.
//!
//! Each comes by one of two settings: `NAME`, the secret itself, or `NAME_FILE`, a file that holds it and nothing else, as Docker, Kubernetes
//! and systemd (`LoadCredential=`) provide secrets. The environment of a process can be read by its user and is inherited by what it starts; a file cannot
//! leave by either way.
//!
//! Invariants. A secret travels as [`SecretString`], which prints as nothing, cannot be serialised and is overwritten in memory when it is dropped;
//! whoever needs the text says `expose_secret()`, and these places are few and can be looked for. No error holds a secret or a part of one.
//!
//! Failure. [`SecretError`] names the setting and the file, and what to do.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use secrecy::{ExposeSecret, SecretString};

/// Larger files are something else.
const MOST_BYTES: u64 = 16 * 1024;

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Both settings are set, and nothing tells which one is meant.
    #[error("{name} and {name}_FILE are both set; unset one of them")]
    Both {
        /// The setting.
        name: &'static str,
    },
    /// Neither setting is set, or the one that is set is empty.
    #[error("{name} is not set; set it, or set {name}_FILE to the path of a file that holds it and nothing else")]
    Missing {
        /// The setting.
        name: &'static str,
    },
    /// The file cannot be read.
    #[error("{name}_FILE: {} cannot be read: {source}; the user of this process must be allowed to", file.display())]
    Unreadable {
        /// The setting.
        name: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no secret.
    #[error("{name}_FILE: {} {problem}; it must hold the secret on one line, and nothing else", file.display())]
    NotASecret {
        /// The setting.
        name: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The secret of setting `name`, from its value or from the file that `NAME_FILE` names. An empty value or path is as good as none, since
/// compose files set variables that way. `None`: neither is set.
///
/// # Errors
/// Both are set, or the file is not readable or holds no secret.
pub fn read(
    name: &'static str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, SecretError> {
    let value = value.filter(|value| !value.expose_secret().is_empty());
    let file = file.filter(|file| !file.as_os_str().is_empty());
    match (value, file) {
        (Some(_), Some(_)) => Err(SecretError::Both { name }),
        (Some(value), None) => Ok(Some(value.clone())),
        (None, Some(file)) => from_file(name, file).map(Some),
        (None, None) => Ok(None),
    }
}

/// The same for a secret that there must be.
///
/// # Errors
/// As [`read`], and [`SecretError::Missing`].
pub fn require(
    name: &'static str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<SecretString, SecretError> {
    read(name, value, file)?.ok_or(SecretError::Missing { name })
}

fn from_file(name: &'static str, path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |source| SecretError::Unreadable { name, file: path.to_owned(), source };
    let wrong = |problem| SecretError::NotASecret { name, file: path.to_owned(), problem };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(wrong("is not text in UTF-8")),
        Err(error) => return Err(unreadable(error)),
        Ok(size) if size as u64 > MOST_BYTES => return Err(wrong("is larger than 16 KiB")),
        Ok(_) => {}
    }
    // Editors and `echo` end a file with a line's end, which is no part of the secret.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(wrong("is empty"));
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err(wrong("has more than one line"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const NAME: &str = "PASSEREAU_TEST_PASSWORD";

    fn given(text: &str) -> Option<SecretString> {
        Some(SecretString::from(text))
    }

    fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn exposed(secret: Result<Option<SecretString>, SecretError>) -> Option<String> {
        secret.unwrap().map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn a_secret_comes_from_its_setting_or_from_its_file() {
        let (_folder, path) = file(b"opensesame");
        assert_eq!(exposed(read(NAME, given("hermine").as_ref(), None)).as_deref(), Some("hermine"));
        assert_eq!(exposed(read(NAME, None, Some(&path))).as_deref(), Some("opensesame"));
        assert_eq!(exposed(read(NAME, None, None)), None);
        // As compose files write what is not set.
        assert_eq!(exposed(read(NAME, given("").as_ref(), Some(&path))).as_deref(), Some("opensesame"));
        assert_eq!(exposed(read(NAME, given("hermine").as_ref(), Some(Path::new("")))).as_deref(), Some("hermine"));
    }

    #[test]
    fn the_end_of_the_line_is_no_part_of_a_secret_and_spaces_are() {
        for (content, secret) in
            [("a\n", "a"), ("a\r\n", "a"), (" a b ", " a b "), ("a\tb\n", "a\tb"), ("é\n", "é"), ("x\r", "")]
        {
            let (_folder, path) = file(content.as_bytes());
            match read(NAME, None, Some(&path)) {
                Ok(found) => assert_eq!(found.unwrap().expose_secret(), secret, "{content:?}"),
                Err(error) => assert!(secret.is_empty(), "{content:?}: {error}"),
            }
        }
    }

    #[test]
    fn both_settings_at_once_are_an_error_that_names_them() {
        let (_folder, path) = file(b"opensesame");
        let error = read(NAME, given("hermine").as_ref(), Some(&path)).unwrap_err().to_string();
        assert_eq!(error, "PASSEREAU_TEST_PASSWORD and PASSEREAU_TEST_PASSWORD_FILE are both set; unset one of them");
        let error = require(NAME, given("").as_ref(), None).unwrap_err().to_string();
        assert!(error.contains("PASSEREAU_TEST_PASSWORD is not set"), "{error}");
    }

    #[test]
    fn a_file_that_holds_no_secret_is_named_and_not_shown() {
        let large = [b'o'; 17 * 1024];
        for (content, problem) in [
            (&b"\n"[..], "is empty"),
            (b"", "is empty"),
            (b"opensesame\nopensesame\n", "more than one line"),
            (b"open\0sesame", "more than one line"),
            (b"opensesame\xff", "UTF-8"),
            (&large, "16 KiB"),
        ] {
            let (_folder, path) = file(content);
            let error = read(NAME, None, Some(&path)).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(problem) && shown.contains("password"), "{shown}");
            assert!(!shown.contains("sesame"), "{shown}");
        }
        let error = read(NAME, None, Some(Path::new("/nowhere/password"))).unwrap_err().to_string();
        assert!(error.contains("PASSEREAU_TEST_PASSWORD_FILE: /nowhere/password cannot be read"), "{error}");
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = read(NAME, given("opensesame").as_ref(), None).unwrap();
        assert!(!format!("{secret:?}").contains("sesame"));
    }
}
