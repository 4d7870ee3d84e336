//! The key of an object: relative, made of plain segments, the same in messages, columns and stores.

use std::fmt;
use std::str::FromStr;

/// Longest key in bytes; stores of the S3 kind allow 1,024.
const MAX_BYTES: usize = 512;

/// A relative key such as `archives/0012150-260108223611665.zip`. Segments hold `A-Z a-z 0-9 . _ -` only, so that a key is a valid
/// path, URL and S3 key without any escaping, and can never lead outside the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an object key: {problem}; write for instance `archives/download.zip`")]
pub struct KeyError {
    /// The text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl ObjectKey {
    /// Takes `text` as a key.
    ///
    /// # Errors
    /// It is empty, absolute, too long, or holds a segment that is empty, `.`, `..` or has other characters.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        match problem(text) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(KeyError { text: text.chars().take(80).collect(), problem }),
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn location(&self) -> object_store::path::Path {
        object_store::path::Path::from(self.0.as_str())
    }
}

fn problem(text: &str) -> Option<&'static str> {
    if text.len() > MAX_BYTES {
        return Some("it is longer than 512 bytes");
    }
    if text.starts_with('/') {
        return Some("it begins with a slash");
    }
    text.split('/').find_map(|segment| match segment {
        "" => Some("it has an empty segment"),
        "." | ".." => Some("it has a segment `.` or `..`"),
        _ if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) => {
            Some("a segment holds other characters than A-Z a-z 0-9 . _ -")
        }
        _ => None,
    })
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_keys_are_taken_as_they_are() {
        for text in ["a", "archives/0012150-260108223611665.zip", "parts/018f/00001", "..a/.b"] {
            assert_eq!(ObjectKey::parse(text).map(|key| key.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn nothing_leads_outside_the_store() {
        let long = "a".repeat(513);
        for text in [
            "",
            "/etc/passwd",
            "../x",
            "a/../x",
            "a/./x",
            "a//x",
            "a/",
            "a\\x",
            "a%2fx",
            "é",
            "a b",
            "a\0",
            "a#1",
            &long,
        ] {
            assert!(ObjectKey::parse(text).is_err(), "{text}");
        }
    }
}
