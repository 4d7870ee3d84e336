//! The key of a download.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A download's key: at least seven digits of a counter, `-`, and the fifteen digits of the time GBIF's service was
/// started (gbif/occurrence, `DownloadIdService`). Only such a text is ever put into an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DownloadKey(String);

/// A text that is no key of a download.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no key of a GBIF download; a key looks like 0012150-260108223611665")]
pub struct BadDownloadKey(String);

impl DownloadKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DownloadKey {
    type Err = BadDownloadKey;

    fn from_str(text: &str) -> Result<Self, BadDownloadKey> {
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('-') {
            Some((counter, start))
                if (7..=19).contains(&counter.len()) && start.len() == 15 && is_number(counter) && is_number(start) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(BadDownloadKey(text.chars().take(60).collect())),
        }
    }
}

impl TryFrom<String> for DownloadKey {
    type Error = BadDownloadKey;

    fn try_from(text: String) -> Result<Self, BadDownloadKey> {
        text.parse()
    }
}

impl From<DownloadKey> for String {
    fn from(key: DownloadKey) -> Self {
        key.0
    }
}

impl fmt::Display for DownloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_is_a_key() {
        for good in ["0012150-260108223611665", "12345678-260108223611665"] {
            assert_eq!(good.parse::<DownloadKey>().map(String::from), Ok(good.to_owned()));
        }
        let bad = [
            "",
            "foo-bar",
            "012150-260108223611665",
            "0012150-26010822361166",
            "../x-260108223611665",
            "0012150-260108223611665.zip",
            "\"0012150-260108223611665\"",
            "<!DOCTYPE html>",
        ];
        for text in bad {
            assert!(text.parse::<DownloadKey>().is_err(), "{text}");
        }
    }
}
