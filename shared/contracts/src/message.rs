//! What every message has: a kind, a version, a JSON body.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// AMQP header that carries the version of the body's shape (integer). A message without it is version 1, so that a
/// foreign client needs no header at all.
pub const VERSION_HEADER: &str = "passereau-version";

/// Largest body, in bytes, that is published or accepted. A message names things; a query of more than some 1,500 keys is
/// asked of GBIF by hand, and the key of its download is harvested (decision record 0008).
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A body with a stable name.
pub trait Message: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Routing key and AMQP `type`, for ever.
    const KIND: &'static str;
    /// Version of the shape that this type describes.
    const VERSION: u16 = 1;
}

/// Why a message cannot be understood. Each variant ends as a dead letter with a reason of its own.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The kind is not one that the worker's queue is bound to.
    #[error("kind {kind:?} is not handled by this worker; check the routing key, or upgrade the worker")]
    UnknownKind {
        /// The kind that came in.
        kind: String,
    },
    /// The version is newer (or otherwise unknown) than this program.
    #[error(
        "{kind} version {version} is unknown, this worker understands version {known}; upgrade the worker, then replay"
    )]
    UnknownVersion {
        /// The kind that came in.
        kind: &'static str,
        /// The version that came in.
        version: u16,
        /// The version this program understands.
        known: u16,
    },
    /// The body is not the JSON that the kind asks for.
    #[error("the body of {kind} is malformed: {problem}; compare it with docs/contracts/{kind}.schema.json")]
    Malformed {
        /// The kind that came in.
        kind: &'static str,
        /// Where and what, in the words of the JSON parser.
        problem: String,
    },
}

/// Decodes the body of one kind.
///
/// # Errors
/// [`DecodeError::UnknownVersion`] and [`DecodeError::Malformed`].
pub fn decode<M: Message>(version: u16, body: &[u8]) -> Result<M, DecodeError> {
    if version != M::VERSION {
        return Err(DecodeError::UnknownVersion { kind: M::KIND, version, known: M::VERSION });
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(DecodeError::Malformed {
            kind: M::KIND,
            problem: format!("{} bytes, at most {MAX_BODY_BYTES} are accepted", body.len()),
        });
    }
    let malformed = |problem: String| DecodeError::Malformed { kind: M::KIND, problem };
    if holds_nul(body) {
        return Err(malformed("a text holds the character U+0000, which no database column can keep".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))
}

/// Whether a text of the document holds the NUL character, which JSON writes `\u0000`; a bare one is no JSON. After an even number
/// of backslashes the same letters are no escape: `\\u0000` is a backslash and a word.
fn holds_nul(body: &[u8]) -> bool {
    let is_escape = |at: usize| {
        let before = body.get(..at).unwrap_or_default();
        before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
    };
    body.windows(5).enumerate().any(|(at, window)| window == b"u0000" && is_escape(at))
}
